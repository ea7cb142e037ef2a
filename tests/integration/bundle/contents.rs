//! The contents of the archive of an enrolled VM, and of an empty one.

use serde_json::json;

use super::{archive_of, JOURNALCTL};
use crate::nexus::spec::{HttpAct, Outcome, Playbook, PortState, SYSTEM_OBJECT, VM_NAME};
use crate::nexus::vm::{self, Vm};

const AGENT_LOG: &str = "time=\"2026-11-23T14:00:00Z\" level=info msg=\"fine\"\n\
    time=\"2026-11-23T14:00:01Z\" level=fatal msg=\"AZCM0042: Failed to Create Resource\"\n";

const OUR_LOG: &str = "Cloud-init v. 22.4.2 running\n\
    {\"timestamp\":\"2026-11-23T14:00:00.000Z\",\"level\":\"info\",\"event\":\"run.started\",\"message\":\"on\"}\n\
    {\"timestamp\":\"2026-11-23T14:00:01.000Z\",\"level\":\"info\",\"event\":\"connect.output\",\"message\":\"azcmagent: FATAL no\"}\n\
    {\"timestamp\":\"2026-11-23T14:00:02.000Z\",\"level\":\"error\",\"event\":\"run.finished\",\"message\":\"bad end\"}\n";

fn with_all_files() -> vm::Builder {
    Vm::new()
        .enrolled()
        .file_with_mode("usr/bin/journalctl", 0o755, JOURNALCTL)
        .file_with_mode("usr/bin/cloud-init", 0o755, "#!/bin/sh\necho \"cloud-init $*\"\n")
        .file(vm::LOG, OUR_LOG)
        .file("var/log/cloud-init.log", "util.py[DEBUG]: Running command\n")
        .file("run/ignored", "")
        .file("var/opt/azcmagent/log/azcmagent.log", AGENT_LOG)
        .file("var/opt/azcmagent/log/himds.log", "himds says so\n")
        .file("var/opt/azcmagent/log/himds.log.1.gz", "not taken")
        .file("var/lib/GuestConfig/ext_mgr_logs/gc_ext.log", "<GCLOG>extension</GCLOG>\n")
        .file("etc/environment", "HTTPS_PROXY=http://169.254.0.11:3128\nLANG=C\n")
        .file("etc/apt/apt.conf.d/10own", "Acquire::http::Proxy \"http://10.0.0.9:80\";\nAPT::Color \"0\";\n")
        .system(|system| {
            system.environment.insert("HTTPS_PROXY".to_owned(), "http://169.254.0.11:3128".to_owned());
        })
}

#[test]
fn bundle_of_an_enrolled_vm_is_complete_and_changes_nothing() {
    let vm = with_all_files().start();
    let before = vm.tree();
    let run = vm.agent(&["bundle"]).env("NO_PROXY", "169.254.169.254").run();
    let archive = archive_of(&vm, &run);
    archive.assert_reported();
    let mut after = vm.tree();
    after.retain(|path, _| !path.starts_with("var/tmp/"));
    assert!(before == after, "something else was changed");
    assert!(vm.calls_of("azcmagent connect").is_empty() && vm.calls_of("azcmagent config set").is_empty());
    assert!(archive.folder.starts_with(&format!("arc-enroll-bundle-{VM_NAME}-20")), "{}", archive.folder);

    let doctor = archive.json("doctor.json");
    let connected = super::condition(&doctor, "connected");
    assert_eq!(connected["state"], "holds", "{doctor:#}");
    assert!(doctor["network"].as_array().is_some_and(|tests| tests.len() > 5), "{doctor:#}");
    let identity = archive.json("identity.json");
    assert_eq!(identity["claims_of_the_token"]["oid"], SYSTEM_OBJECT);
    assert!(
        identity["sidecar"]["/healthz"].as_str().is_some_and(|words| words.contains("200")),
        "{identity:#}"
    );
    let instance = &identity["sidecar"]["/metadata/instance/compute?api-version=2019-06-01"];
    assert!(instance.as_str().is_some_and(|words| words.contains("404")), "{identity:#}");
    assert_eq!(archive.text("cloud-init/cloud-init-output.log"), OUR_LOG);
    assert_eq!(archive.text("azcmagent/log/azcmagent.log"), AGENT_LOG);
    assert_eq!(archive.text("azcmagent/log/himds.log"), "himds says so\n");
    assert!(!archive.files.keys().any(|name| name.contains(".gz")));
    assert_eq!(archive.text("guest-configuration/ext_mgr_logs/gc_ext.log"), "<GCLOG>extension</GCLOG>\n");
    assert_eq!(archive.text("cloud-init/status.txt"), "cloud-init status --long\n");
    for unit in ["himdsd", "arcproxyd", "gcad", "extd", "azcmagent", "arc-enroll", "cloud-final"] {
        assert!(archive.text(&format!("journal/{unit}.txt")).ends_with(&format!("line of {unit}\n")));
    }
    assert!(archive.text("azcmagent/show.json").contains("\"Connected\""));
    assert!(archive.text("azcmagent/config-list.txt").contains("proxy.url"));
    assert!(archive.text("azcmagent/version.txt").contains("azcmagent version"));
    let is_own_check = |test: &&serde_json::Value| {
        test["test"] == "azcmagent check"
            && test["target"].as_str().is_some_and(|text| text.contains("management.azure.com"))
    };
    let checked = doctor["network"].as_array().and_then(|tests| tests.iter().find(is_own_check));
    assert_eq!(checked.map(|test| &test["verdict"]), Some(&json!("ok")), "{doctor:#}");
    assert!(archive.text("configuration/config.yaml").contains("subscription_id"));
    assert!(archive.text("configuration/in-force.txt").contains("http://169.254.0.11:3128"));
    assert!(archive.text("vm/os-release").contains("ID=debian"));
    assert!(archive.text("vm/ip-address.txt").contains("169.254.169.254"));

    let errors = archive.text("errors.txt");
    for line in ["AZCM0042", "azcmagent: FATAL no", "bad end"] {
        assert!(errors.contains(line), "{errors}");
    }
    assert!(!errors.contains("run.started") && !errors.contains("msg=\"fine\""), "{errors}");
    let places = archive.text("proxy/places.txt");
    for line in [
        "== /etc/environment (logins and cron, through pam_env)\nHTTPS_PROXY=http://169.254.0.11:3128\n==",
        "== /etc/apt/apt.conf.d/10own\nAcquire::http::Proxy \"http://10.0.0.9:80\";\n==",
        "== environment of this program\nNO_PROXY=169.254.169.254\n",
    ] {
        assert!(places.contains(line), "{places}");
    }
    assert_eq!(archive.text("proxy/azcmagent.txt"), "http://169.254.0.11:3128\n");
    assert_eq!(archive.text("proxy/systemd-environment.txt"), "HTTPS_PROXY=http://169.254.0.11:3128\n");
}

#[test]
fn what_to_do_with_it_is_said_in_eighty_columns() {
    let vm = with_all_files().start();
    let run = vm.run(&["bundle"]);
    let archive = archive_of(&vm, &run);
    let file = vm.root.join("var/tmp").join(format!("{}.tar.gz", archive.folder));
    let mut lines = run.stdout.lines();
    assert_eq!(lines.next(), Some(file.to_string_lossy().as_ref()));
    assert!(lines.all(|line| line.chars().count() <= 80), "{}", run.stdout);
    let told = run.unfolded();
    assert!(told.contains("secrets are redacted") && told.contains("support request"), "{told}");
    assert!(told.contains("az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\""), "{told}");
    assert!(told.contains(&format!("az role assignment list --assignee {SYSTEM_OBJECT} --all")), "{told}");
    assert!(run.stderr.is_empty(), "{}", run.text());

    let csn = super::find(&archive.manifest()["missing"], "CSN configuration");
    assert!(csn["command"].as_str().is_some_and(|text| text.contains("cloudservicesnetwork show")), "{csn}");
    assert!(archive.why("az login --identity").contains("does not use the az CLI"));
}

#[test]
fn json_output_has_the_same_content() {
    let vm = with_all_files().start();
    let run = vm.run(&["bundle", "/root/out.tar.gz", "--output", "json"]);
    // The path is below the root, and the folder does not exist yet.
    run.assert_code(1);
    let run = vm.run(&["bundle", "/tmp/out.tar.gz", "--output", "json"]);
    run.assert_code(0);
    let value: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let archive = super::Unpacked::of(&vm.path("tmp/out.tar.gz"));
    assert_eq!(value["file"], json!(vm.root.join("tmp/out.tar.gz")));
    assert_eq!(value["entries"], json!(archive.files.len() - 1));
    let bytes = std::fs::metadata(vm.path("tmp/out.tar.gz")).expect("a file").len();
    assert_eq!((&value["bytes"], &value["truncated"]), (&json!(bytes), &json!(0)));
}

#[test]
fn folder_as_the_file_gets_the_archive_under_its_own_name() {
    let vm = with_all_files().file("home/admin/x", "").start();
    let run = vm.run(&["bundle", "/home/admin/"]);
    run.assert_code(0);
    let made = vm.tree().keys().filter(|path| path.starts_with("home/admin/arc-enroll-bundle-")).count();
    assert_eq!(made, 1, "{}", run.text());
}

#[test]
fn bundle_of_an_empty_vm_lists_what_is_missing() {
    let vm = Vm::new()
        .imds(|imds| imds.port_state = PortState::Closed)
        .csn(|csn| csn.port_state = PortState::Closed)
        .system(|system| system.state = "offline".into())
        .start();
    for gone in ["etc/arc-enroll/config.yaml", "etc/environment", "etc/machine-id", vm::LOG] {
        std::fs::remove_file(vm.path(gone)).expect("it was there");
    }
    let run = vm.run(&["bundle"]);
    let archive = archive_of(&vm, &run);
    archive.assert_reported();
    assert_eq!(archive.why("azcmagent/version.txt"), "azcmagent is not on this machine");
    assert_eq!(archive.why("cloud-init/cloud-init-output.log"), "it is not there");
    assert_eq!(archive.why("azcmagent/log/"), "it is not there");
    assert_eq!(archive.why("configuration/config.yaml"), "it is not there");
    assert!(archive.text("configuration/problems.txt").contains("azure.subscription_id"));
    assert!(archive.text("journal/status.txt").contains("has not been booted with systemd"));
    assert_eq!(archive.entry("journal/status.txt")["status"], "exit code 1");
    let doctor = archive.json("doctor.json");
    assert_eq!(super::condition(&doctor, "imds")["fault"], "imds.refused", "{doctor:#}");
    let words: Vec<&str> = run.stdout.split_whitespace().collect();
    assert!(words.join(" ").contains("azcmagent is not on this machine"), "{}", run.stdout);
    assert!(!run.stdout.contains("00000000"), "{}", run.stdout);
}

#[test]
fn broken_configuration_is_included() {
    let broken = vm::config() + "proxy: {url: \"http://nexus:kanarienvogel-7@169.254.0.11:3128/path\"}\n";
    for text in [broken.as_str(), "azure: [\n", "\u{0}\u{1}", ""] {
        let vm = with_all_files().config(text).start();
        let run = vm.run(&["bundle"]);
        let archive = archive_of(&vm, &run);
        assert!(!archive.text("configuration/problems.txt").is_empty());
        assert_eq!(archive.files.contains_key("configuration/config.yaml"), !text.contains('\u{0}'));
        let doctor = archive.json("doctor.json");
        assert_eq!(super::condition(&doctor, "imds")["state"], "holds", "{doctor:#}");
        assert!(!archive.text("configuration/problems.txt").contains("kanarienvogel"));
    }
    let vm = with_all_files().start();
    let run = vm.agent(&["bundle"]).env("SUBSCRIPTION_ID", "mine").run();
    assert!(archive_of(&vm, &run).text("configuration/problems.txt").contains("SUBSCRIPTION_ID"));
    let run = vm.run(&["bundle", "-", "--config", "/no/such.yaml"]);
    run.assert_code(0);
}

#[test]
fn bundle_ends_when_everything_hangs() {
    let hang = || Playbook::new().forever(Outcome::Deaf { stdout: "so far so good\n".into() });
    let vm = with_all_files()
        .imds(|imds| {
            imds.token = Playbook::new().forever(HttpAct::Hang);
            imds.healthz = Playbook::new().forever(HttpAct::Hang);
        })
        .csn(|csn| csn.connect = Playbook::new().forever(HttpAct::Hang))
        .call("azcmagent", hang())
        .call("systemctl status", hang())
        .file_with_mode(
            "usr/bin/journalctl",
            0o755,
            "#!/bin/sh\ntrap '' TERM\necho begun\nsleep 600 & wait\nsleep 600\n",
        )
        .file_with_mode("usr/bin/cloud-init", 0o755, "#!/bin/sh\nexec sleep 600\n")
        .start();
    let run = vm.run(&["bundle"]);
    // The programs hang for longer than the test's limit, so the end of the run shows that it does not wait for them.
    let archive = archive_of(&vm, &run);
    archive.assert_reported();
    assert_eq!(archive.text("journal/himdsd.txt"), "begun\n");
    let status = archive.entry("journal/himdsd.txt")["status"].as_str().unwrap_or_default().to_owned();
    assert!(status.starts_with("stopped after 1"), "{status}");
    assert_eq!(archive.text("azcmagent/version.txt"), "so far so good\n");
    assert!(archive.why("cloud-init/status.txt").starts_with("stopped after"));
    assert!(archive.files.contains_key("doctor.json"));
}
