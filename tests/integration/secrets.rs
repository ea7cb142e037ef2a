//! No token and no password can be read: planted ones are searched in everything that every command prints,
//! writes, and gives its children.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::assertions::{assert_enrolled, assert_no_secret_left};
use crate::nexus::run::Run;
use crate::nexus::spec::{Outcome, Playbook};
use crate::nexus::vm::{self, Vm};

/// The proxy's password in the URL, as plain text, and with its user in a header.
const PASSWORD: [&str; 3] = ["kanari%2Fvogel-77", "kanari/vogel-77", "bmV4dXM6a2FuYXJpL3ZvZ2VsLTc3"];

/// A VM whose proxy requires the password, which the configuration has.
fn behind_a_password() -> vm::Builder {
    let url = format!("proxy:\n  url: http://nexus:{}@169.254.0.11:3128\n", PASSWORD[0]);
    Vm::new().csn(|csn| csn.credentials = Some(format!("nexus:{}", PASSWORD[1]))).file_with_mode(
        vm::CONFIG,
        0o600,
        &(vm::config() + &url),
    )
}

fn assert_no_password(name: &str, text: &str) {
    for word in PASSWORD {
        assert!(!text.contains(word), "{word} stands in {name}:\n{text}");
    }
}

/// Every command with its arguments; those that print the secret come last.
const COMMANDS: [&[&str]; 12] = [
    &["doctor", "-vv"],
    &["doctor", "-vv", "--output", "json"],
    &["status", "-vv"],
    &["status", "-vv", "--output", "json"],
    &["validate", "-vv"],
    &["validate", "-vv", "--output", "json"],
    &["explain", "-vv"],
    &["enroll", "-vv"],
    &["enroll", "-vv", "--output", "json"],
    &["env", "-vv"],
    &["token", "-vv"],
    &["token", "-vv", "--output", "json"],
];

fn assert_no_secret(vm: &Vm, command: &[&str], run: &Run) {
    let name = command.join(" ");
    assert_no_password(&format!("stderr of {name}"), &run.stderr);
    assert_no_password(&format!("the log of {name}"), &run.log);
    // The variables for a shell contain the password.
    if command[0] != "env" {
        assert_no_password(&format!("stdout of {name}"), &run.stdout);
    }
    let mut leaks = vm.leaks(&[run]);
    if command[0] == "token" {
        assert_eq!(leaks, ["stdout"], "{}", run.text());
        leaks.clear();
    }
    assert_eq!(leaks, Vec::<String>::new(), "{name}");
}

#[test]
fn no_command_shows_a_token_or_the_proxys_password() {
    let vm = behind_a_password()
        .call("azcmagent connect", Playbook::new().once(Outcome::EchoToken))
        .call(
            "azcmagent show",
            Playbook::new().once(Outcome::exit(1, &format!("{} {}\n", PASSWORD[0], PASSWORD[1]))),
        )
        .start();
    let first = vm.agent(&["enroll", "-vv"]).run();
    assert_enrolled(&vm, &first);
    assert_no_secret(&vm, &["enroll"], &first);
    for command in COMMANDS {
        let run = vm.agent(command).run();
        run.assert_code(0);
        assert_no_secret(&vm, command, &run);
    }
    let arguments: Vec<String> = vm.calls().into_iter().flat_map(|call| call.argv).collect();
    assert_no_password("the arguments of a child", &arguments.join("\n"));
}

#[test]
fn files_with_the_password_are_not_for_everyone() {
    let vm = behind_a_password().start();
    assert_enrolled(&vm, &vm.run(&["enroll"]));
    let mut places = 0;
    for (path, content) in vm.tree() {
        let text = String::from_utf8_lossy(&content).into_owned();
        if PASSWORD.iter().any(|word| text.contains(word)) {
            places += 1;
            assert_eq!(vm.mode(&path) & 0o007, 0, "{path} can be read by everyone");
            assert!(path.starts_with("etc/"), "{path} has no use for the password");
        }
    }
    assert!(places > 3, "the password is where programs look for it: {places}");
}

#[test]
fn failing_commands_show_no_secret() {
    let words =
        format!("FATAL   proxy http://nexus:{}@169.254.0.11:3128 and {{token}} failed\n", PASSWORD[0]);
    let vm = behind_a_password()
        .call("azcmagent connect", Playbook::new().forever(Outcome::exit(44, &words)))
        .call("azcmagent version", Playbook::new().times(1, Outcome::exit(1, &words)))
        .start();
    for command in [["enroll", "-vv"], ["doctor", "-vv"], ["status", "-vv"]] {
        let run = vm.agent(&command).run();
        assert_no_secret(&vm, &command, &run);
        assert_no_secret_left(&vm, &run);
    }
    assert_no_password("the record", &vm.record().expect("a record").to_string());
}

#[test]
fn configuration_errors_do_not_show_values() {
    let url = format!("proxy:\n  url: http://nexus:{}@169.254.0.11:3128/path\n", PASSWORD[0]);
    let vm = Vm::new().file_with_mode(vm::CONFIG, 0o600, &(vm::config() + &url)).start();
    for command in [&["validate"][..], &["validate", "--output", "json"], &["enroll"], &["doctor"], &["env"]]
    {
        let run = vm.agent(command).run();
        run.assert_code(2);
        for (name, text) in [("stdout", &run.stdout), ("stderr", &run.stderr), ("the log", &run.log)] {
            assert_no_password(name, text);
        }
    }
}

/// Collects the arguments and environment of every process of a VM until stopped.
fn watch(root: &str, stop: &AtomicBool) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let path = process.path();
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            if environment.contains(root) {
                let arguments = fs::read(path.join("cmdline")).unwrap_or_default();
                shown.insert(environment);
                shown.insert(String::from_utf8_lossy(&arguments).into_owned());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    shown
}

#[test]
fn no_process_has_the_token_in_its_environment_or_arguments() {
    let vm = behind_a_password().call("azcmagent connect", Playbook::new().once(Outcome::Late(3000))).start();
    let root = vm.root.to_string_lossy().into_owned();
    let stop = AtomicBool::new(false);
    let shown = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&root, &stop));
        let run = vm.run(&["enroll"]);
        stop.store(true, Ordering::Relaxed);
        assert_enrolled(&vm, &run);
        watching.join().expect("the watch ends")
    });
    let tokens: Vec<String> = vm.observed().tokens.into_iter().map(|issued| issued.token).collect();
    assert!(shown.iter().any(|text| text.contains("connect\0--config")), "connect was seen while it ran");
    assert!(
        shown.iter().any(|text| text.starts_with("curl") || text.contains("/curl")),
        "curl was seen while it ran"
    );
    for text in &shown {
        assert!(!tokens.iter().any(|token| text.contains(token.as_str())), "{text}");
    }
    // Children get the password by the proxy variables; arguments never contain it. A read during
    // an exec may return the environment, which begins with HOME.
    for arguments in shown.iter().filter(|text| !text.contains("LC_ALL=") && !text.contains("HOME=/root")) {
        assert_no_password("arguments", arguments);
    }
}
