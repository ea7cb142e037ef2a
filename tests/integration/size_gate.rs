//! `packaging/size-gate` with programs that print as many bytes as a test wants.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::docs::repository;

/// Bytes of the program that the user-data would carry; they do not compress.
const PROGRAM: usize = 9_000;

/// What the gate said, and whether it was content.
struct Verdict {
    passed: bool,
    text: String,
}

/// Whether xz is installed; under CI it must be.
fn is_here() -> bool {
    let found = Command::new("xz").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "xz is not installed");
        eprintln!("SKIPPED: xz is not installed, so the size gate was not run");
    }
    found
}

fn program(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("a program");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    path
}

/// Runs the gate on a program whose two forms have these sizes, with this history.
fn gate(text: usize, gzip: usize, history: &str) -> Verdict {
    let script = format!(
        "#!/bin/sh\nfor argument; do\n  [ \"$argument\" = --gzip ] && exec head -c {gzip} /dev/zero\ndone\n\
         exec head -c {text} /dev/zero\n"
    );
    gate_on(&script, history)
}

fn gate_on(script: &str, history: &str) -> Verdict {
    let folder = TempDir::new().expect("a folder");
    let binary = program(&folder, "workstation", script.as_bytes());
    let mut random = fastrand::Rng::with_seed(10);
    let vm =
        program(&folder, "vm", &std::iter::repeat_with(|| random.u8(..)).take(PROGRAM).collect::<Vec<_>>());
    let sizes = folder.path().join("sizes");
    std::fs::write(&sizes, history).expect("a history");
    let output = Command::new(repository().join("packaging/size-gate"))
        .arg("--vm")
        .arg(vm)
        .arg("--sizes")
        .arg(sizes)
        .arg(binary)
        .output()
        .expect("the gate runs");
    let text = [output.stdout, output.stderr].concat();
    Verdict { passed: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
}

impl Verdict {
    fn assert(&self, passed: bool, words: &[&str]) {
        assert_eq!(self.passed, passed, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "{word} is not in:\n{}", self.text);
        }
    }
}

const HISTORY: &str =
    "# date, text, gzip, reason\n2026-01-01\t700000\t500000\tfirst\n2026-02-01\t800000\t600000\tmore of it\n";

#[test]
fn sizes_within_one_percent_pass_with_limits_and_history() {
    if !is_here() {
        return;
    }
    let words = [
        "text  808000",
        "42000 below the goal of 850000",
        "192000 below the ceiling",
        "+8000 since 2026-02-01",
    ];
    gate(808_000, 606_000, HISTORY).assert(true, &words);
    gate(800_000, 600_000, HISTORY)
        .assert(true, &["2026-01-01\t700000", "more of it", "40000 below the goal of 640000"]);
    gate(700_000, 600_000, HISTORY).assert(true, &["smaller by more than 1 %", "700000\t600000\tREASON"]);
}

#[test]
fn growth_of_either_form_without_a_line_fails() {
    if !is_here() {
        return;
    }
    gate(808_001, 600_000, HISTORY)
        .assert(false, &["text: 8001 bytes above the newest line", "808001\t600000\tREASON"]);
    gate(800_000, 606_001, HISTORY).assert(false, &["gzip: 6001 bytes above the newest line"]);
    let meant = format!("{HISTORY}2026-03-01\t808001\t600000\tworth it\n");
    gate(808_001, 600_000, &meant).assert(true, &["worth it"]);
}

#[test]
fn the_ceiling_holds_whatever_the_history_says() {
    if !is_here() {
        return;
    }
    let history = "2026-01-01\t1200000\t1200000\tvery large\n";
    gate(1_000_000, 1_000_000, history).assert(true, &["150000 above the goal"]);
    gate(1_000_001, 600_000, history).assert(false, &["text: 1 bytes above the ceiling of 1000000"]);
    gate(800_000, 1_000_001, history).assert(false, &["gzip: 1 bytes above the ceiling"]);
}

#[test]
fn what_cannot_hold_the_program_fails() {
    if !is_here() {
        return;
    }
    gate(0, 600_000, HISTORY).assert(false, &["text: 0 bytes cannot hold the program"]);
    gate(800_000, PROGRAM, HISTORY).assert(false, &["gzip: 9000 bytes cannot hold the program"]);
    gate_on("#!/bin/sh\necho no configuration >&2\nexit 2\n", HISTORY)
        .assert(false, &["no configuration", "failed"]);
}

#[test]
fn a_history_without_a_reason_fails() {
    if !is_here() {
        return;
    }
    for history in [
        "",
        "# nothing\n",
        "2026-02-01\t800000\t600000\n",
        "2026-02-01\t800000\t600000\t\n",
        "lately\t1\t1\tx\n",
    ] {
        gate(800_000, 600_000, history)
            .assert(false, &["is not DATE, TEXT, GZIP, REASON", "800000\t600000\tREASON"]);
    }
}
