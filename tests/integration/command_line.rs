//! Subcommands, flags and help: what is printed on which output, with which exit code.

use std::process::Command;

use crate::nexus::vm::agent_program;

/// The program on the operator's own machine: no VM, no network.
pub fn agent(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(agent_program());
    let output = command.args(arguments).env_clear().output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn misspelt_commands_and_flags_suggest_the_nearest() {
    for (arguments, word) in [
        (&["enrol"][..], "did you mean enroll?"),
        (&["doctr"], "did you mean doctor?"),
        (&["doctor", "--confg", "x"], "did you mean --config?"),
        (&["enroll", "--resource-grup", "x"], "did you mean --resource-group?"),
        (&["status", "--output", "jsn"], "did you mean json?"),
        (&["enroll", "--gzip"], "belongs to user-data"),
        (&["env", "now"], "does not take the argument"),
        (&[], "a command is missing"),
    ] {
        let (code, stdout, stderr) = agent(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(word) && stderr.contains("Try 'arc-enroll --help'"), "{stderr}");
    }
}

#[test]
fn help_is_on_standard_output_and_fits_eighty_columns() {
    for command in [
        "",
        "enroll",
        "doctor",
        "status",
        "token",
        "env",
        "explain",
        "bundle",
        "validate",
        "user-data",
        "precheck",
    ] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let (code, stdout, stderr) = agent(&arguments);
        assert_eq!((code, stderr.as_str()), (0, ""), "{command}");
        assert!(stdout.contains("Usage: arc-enroll"), "{stdout}");
        assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
    }
    let (code, stdout, _) = agent(&["--version"]);
    assert_eq!((code, stdout), (0, format!("arc-enroll {}\n", env!("CARGO_PKG_VERSION"))));
}
