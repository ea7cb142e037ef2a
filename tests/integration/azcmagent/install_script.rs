//! Installing azcmagent by Microsoft's script.

use super::{assert_not_installed, config, WORK};

use crate::assertions::assert_enrolled;
use crate::nexus::spec::{HttpAct, Playbook, Reply};
use crate::nexus::vm::Vm;

#[test]
fn official_script_installs() {
    let vm = Vm::new().config(&config(&["install: script"], 20)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let asked = vm.observed();
    assert!(asked.azure_at("gbl.his.arc.azure.com").iter().any(|seen| seen.target == "/azcmagent-linux"));
    let left: Vec<String> =
        vm.tree().into_keys().filter(|path| path.starts_with(WORK) && !path.ends_with("bin/sudo")).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// A VM that is served this text as the installation script.
fn with_script(text: &str) -> Vm {
    let act = script(text);
    Vm::new()
        .config(&config(&["install: script"], 2))
        .azure(|azure| {
            azure.routes.insert("script".into(), Playbook::new().forever(act));
        })
        .start()
}

#[test]
fn script_success_without_azcmagent_is_a_fault() {
    let vm = with_script("#!/bin/bash\necho Latest version of azcmagent is installed.\nexit 0\n");
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.install-failed", 75);
}

#[test]
fn script_output_with_invalid_json_is_classified() {
    let vm = with_script(
        "#!/bin/bash\nwhile [ $# -gt 0 ]; do [ \"$1\" = --output ] && out=\"$2\"; shift; done\n\
         printf '{ \"status\": \"failed\", \"error\": { \"code\": \"AZCM0141\", \"message\": \"cannot \"install\" }' >\"$out\"\n\
         exit 1\n",
    );
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.azure-vm", 19);
    assert!(!vm.path(&format!("{WORK}/result.json")).exists());
}

#[test]
fn page_served_in_place_of_the_script_is_not_run() {
    let vm = with_script("<!DOCTYPE html><html><body>$(touch /tmp/pwned)</body></html>\n");
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.source-unreachable", 75);
    assert!(run.last().to_string().contains("is not a script"), "{}", run.text());
}

#[test]
fn script_runs_on_a_vm_without_sudo() {
    if ["/usr/bin/sudo", "/bin/sudo", "/usr/local/bin/sudo"]
        .iter()
        .any(|path| std::path::Path::new(path).exists())
    {
        eprintln!("not tried: this machine has sudo, and the simulated VM sees it");
        return;
    }
    let text = "#!/bin/bash\nroot=\"${0%/var/lib/*}\"\nexport root\n\
        sudo -E sh -c 'echo \"deb [arch=amd64] https://packages.microsoft.com/debian/12/prod bookworm main\" \
        >\"$root/etc/apt/sources.list.d/packages-microsoft-prod.list\"' || exit 1\n\
        sudo -E \"$root/usr/bin/apt-get\" update && sudo -E \"$root/usr/bin/apt-get\" install -y azcmagent\n";
    let vm = with_script(text);
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    assert!(!vm.path("usr/bin/sudo").exists(), "what stands in for sudo is the script's alone");
}

fn script(text: &str) -> HttpAct {
    Reply::text(200, text).act()
}
