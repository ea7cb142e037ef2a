use crate::assertions::{assert_enrolled, with_windows};
use crate::nexus::run::Run;
use crate::nexus::vm::{config, Vm, RECORD};

const URL: &str = "http://169.254.0.11:3128";
const NO_PROXY: &str = "localhost,127.0.0.1,::1,169.254.169.254";
const PROFILE: &str = "etc/profile.d/zz-arc-enroll-proxy.sh";
const SYSTEMD: &str = "etc/systemd/system.conf.d/50-arc-enroll-proxy.conf";
const APT: &str = "etc/apt/apt.conf.d/95arc-enroll-proxy";
const FILES: [&str; 4] = ["etc/environment", PROFILE, SYSTEMD, APT];

/// A VM with systemd's folder, so that its drop-in is written.
fn with_all_files() -> crate::nexus::vm::Builder {
    Vm::new().installed().file("etc/systemd/system.conf", "[Manager]\n#LogLevel=info\n")
}

fn environment(vm: &Vm) -> Vec<String> {
    vm.read("etc/environment").lines().map(str::to_owned).collect()
}

/// The lines that assign a variable.
fn assignments(vm: &Vm) -> Vec<String> {
    environment(vm).into_iter().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn six_variables_are_in_every_file() {
    let vm = with_all_files().start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let expected: Vec<String> = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
        .iter()
        .map(|name| format!("{name}={URL}"))
        .chain(["NO_PROXY", "no_proxy"].iter().map(|name| format!("{name}={NO_PROXY}")))
        .collect();
    assert_eq!(assignments(&vm), expected);
    let profile = vm.read(PROFILE);
    let systemd = vm.read(SYSTEMD);
    for line in &expected {
        let (name, value) = line.split_once('=').expect("a value");
        assert!(profile.contains(&format!("export {name}='{value}'\n")), "{profile}");
        assert!(systemd.contains(&format!("{name}={value}")), "{systemd}");
    }
    assert!(systemd.contains("[Manager]") && systemd.contains("DefaultEnvironment="), "{systemd}");
    let apt = vm.read(APT);
    assert!(
        apt.contains(&format!("Acquire::http::Proxy \"{URL}\";\nAcquire::https::Proxy \"{URL}\";\n")),
        "{apt}"
    );
    assert!(FILES.iter().all(|file| vm.mode(file) == 0o644));
    assert_eq!(vm.calls_of("systemctl daemon-reexec").len(), 1);
    // A shell that sources the file has its variables.
    let script = format!(". {} && printf %s \"$no_proxy\"", vm.root.join(PROFILE).display());
    let shell = vm.command("sh").arg("-c").arg(script).output().expect("a shell runs");
    assert_eq!(String::from_utf8_lossy(&shell.stdout), NO_PROXY);
}

#[test]
fn user_settings_are_kept_and_the_rest_is_merged_once() {
    let own = "PATH=\"/usr/bin:/opt/contoso\"\n# ours\nNO_PROXY=.contoso.example,10.0.0.0/8\nLANG=C.UTF-8\n";
    let vm = with_all_files()
        .file("etc/environment", own)
        .file(
            "etc/apt/apt.conf.d/10contoso",
            "Acquire::http::Proxy \"http://mirror.contoso.example:8080\";\n",
        )
        .start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let lines = environment(&vm);
    for kept in ["PATH=\"/usr/bin:/opt/contoso\"", "# ours", "LANG=C.UTF-8"] {
        assert!(lines.iter().any(|line| line == kept), "{kept} in {lines:?}");
    }
    let merged = format!(".contoso.example,10.0.0.0/8,{NO_PROXY}");
    for name in ["NO_PROXY", "no_proxy"] {
        let wanted = format!("{name}={merged}");
        assert_eq!(lines.iter().filter(|line| **line == wanted).count(), 1, "{lines:?}");
    }
    // The other files have the user's exceptions, too, and apt's http proxy is kept.
    assert!(vm.read(PROFILE).contains(&format!("NO_PROXY='{merged}'")), "{}", vm.read(PROFILE));
    assert!(vm.read(SYSTEMD).contains(&merged), "{}", vm.read(SYSTEMD));
    let apt = vm.read(APT);
    assert!(!apt.contains("Acquire::http::Proxy") && apt.contains("Acquire::https::Proxy"), "{apt}");
    // azcmagent gets the same value.
    let connects = vm.calls_of("azcmagent connect");
    assert_eq!(connects[0].env["no_proxy"], merged);
    let before: Vec<String> = FILES.iter().map(|file| vm.read(file)).collect();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    assert_eq!(FILES.iter().map(|file| vm.read(file)).collect::<Vec<_>>(), before);
    assert_eq!(vm.calls_of("systemctl daemon-reexec").len(), 1);
}

#[test]
fn children_get_the_configured_proxy_instead_of_the_environment() {
    let vm = Vm::new().installed().start();
    let dead = "http://127.0.0.1:9";
    let run = vm
        .agent(&["enroll"])
        .env("HTTP_PROXY", dead)
        .env("http_proxy", dead)
        .env("HTTPS_PROXY", dead)
        .env("https_proxy", dead)
        .env("ALL_PROXY", dead)
        .env("all_proxy", dead)
        .run();
    assert_enrolled(&vm, &run);
    let expected = ["proxy-environment", "agent", "connected"].map(serde_json::Value::from);
    assert!(
        run.events("condition.fails").iter().all(|line| expected.contains(&line["condition"])),
        "{}",
        run.text()
    );
    // The agent's requests to the sidecar do not go through the CSN proxy either.
    assert!(vm.observed().csn.iter().all(|seen| !seen.host.starts_with("169.254.")));
    for call in vm.calls() {
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
            assert_eq!(call.env.get(name).map(String::as_str), Some(URL), "{call:?}");
        }
        assert!(!call.env.contains_key("ALL_PROXY") && !call.env.contains_key("all_proxy"), "{call:?}");
        assert_eq!(call.env["NO_PROXY"], NO_PROXY);
        assert_eq!(call.env["no_proxy"], NO_PROXY);
    }
}

#[test]
fn settings_for_this_run_only_do_not_change_files() {
    let vm = with_all_files().config(&(config() + "proxy:\n  persist: false\n")).start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    assert_eq!(vm.read("etc/environment"), "");
    assert!(FILES.iter().skip(1).all(|file| !vm.path(file).exists()));
    assert_eq!(vm.calls_of("azcmagent connect")[0].env["https_proxy"], URL);
}

const WORD: &str = "s3cr3t-w0rd";

fn assert_password_is_nowhere(vm: &Vm, run: &Run) {
    assert!(!run.text().contains(WORD), "{}", run.text());
    assert!(!vm.read(RECORD).contains(WORD));
    let calls = vm.calls();
    assert!(calls.iter().all(|call| !call.argv.join(" ").contains(WORD)));
    let config = |call: &crate::nexus::seen::Call| call.config.as_ref().map(|file| file.content.to_string());
    assert!(calls.iter().filter_map(config).all(|content| !content.contains(WORD)));
}

#[test]
fn a_proxy_password_is_used_and_never_shown() {
    let text = config() + &format!("proxy:\n  url: http://user:{WORD}@169.254.0.11:3128\n");
    let vm = with_all_files()
        .csn(|csn| csn.credentials = Some(format!("user:{WORD}")))
        .file_with_mode("etc/arc-enroll/config.yaml", 0o600, &text)
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_password_is_nowhere(&vm, &run);
    assert_eq!(
        vm.calls_of("azcmagent connect")[0].env["https_proxy"],
        format!("http://user:{WORD}@169.254.0.11:3128")
    );
    // Only root and its group can read the files that contain it.
    let mut holders = 0;
    for (path, content) in vm.tree() {
        if String::from_utf8_lossy(&content).contains(WORD) {
            assert_eq!(vm.mode(&path) & 0o037, 0, "{path} {:o}", vm.mode(&path));
            holders += 1;
        }
    }
    assert!(holders >= FILES.len(), "{holders}");
    let again = vm.run(&["enroll"]);
    assert_enrolled(&vm, &again);
    assert!(again.events("repair.started").is_empty(), "{}", again.text());
    assert_password_is_nowhere(&vm, &again);
}

#[test]
fn a_world_readable_proxy_file_with_a_password_is_made_private() {
    let text = config() + &format!("proxy:\n  url: http://user:{WORD}@169.254.0.11:3128\n");
    let vm = with_all_files()
        .csn(|csn| csn.credentials = Some(format!("user:{WORD}")))
        .file_with_mode("etc/arc-enroll/config.yaml", 0o600, &text)
        .start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(vm.path(PROFILE), open).expect("the mode can be set");
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    assert_eq!(vm.mode(PROFILE) & 0o037, 0, "{:o}", vm.mode(PROFILE));
}

#[test]
fn without_a_proxy_only_the_exceptions_are_written() {
    // Azure cannot be reached then; the test checks the files written before.
    let vm =
        with_all_files().config(&(with_windows(&[("endpoint", "1s")]) + "proxy:\n  url: null\n")).start();
    let run = vm.run(&["enroll"]);
    assert_eq!(
        assignments(&vm),
        [format!("NO_PROXY={NO_PROXY}"), format!("no_proxy={NO_PROXY}")],
        "{}",
        run.text()
    );
    assert!(!vm.path(APT).exists());
    assert!(run.code == Some(16) && vm.observed().csn.is_empty(), "{}", run.text());
}
