//! Runs every command of the catalogue in a real shell with hostile values, and checks the arguments of its programs.
#![expect(clippy::disallowed_methods, reason = "the commands are tested with the system's shell")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{names, steps};
use crate::catalogue::RERUN;
use crate::model::step::{workstation, Step, Who};
use crate::model::var::{Var, Word, Words};

/// The programs of the commands.
const PROGRAMS: &[&str] = &[
    "apt-cache",
    "apt-get",
    "arc-enroll",
    "az",
    "azcmagent",
    "curl",
    "date",
    "df",
    "dnf",
    "dpkg",
    "du",
    "findmnt",
    "fuser",
    "grep",
    "head",
    "ip",
    "iptables",
    "journalctl",
    "kill",
    "ls",
    "lsattr",
    "mount",
    "nft",
    "nslookup",
    "openssl",
    "ping",
    "rpm",
    "sha256sum",
    "sort",
    "ss",
    "sudo",
    "systemctl",
    "tail",
    "timedatectl",
    "update-ca-certificates",
    "update-ca-trust",
];

/// Values that an unquoted command would misinterpret. A program of each name exists, since some variables are programs.
const HOSTILE: &[&str] = &[
    "edge(1)",
    "-rf",
    "two words; >canary && >canary",
    "it's \"$(>canary)\"",
    "`>canary` \\ !a #b",
    ">canary",
    "a\n>canary",
    "*",
    "~",
    "$HOME {vm}",
];

/// The script of a stand-in: it records its name and arguments, each terminated by a zero byte, in a separate file.
const STAND_IN: &str = r#"#!/bin/sh
printf '%s\0' "${0##*/}" "$@" >"$RECORDS/$$"
case ${0##*/} in findmnt) echo /mount ;; esac
exit "$RESULT"
"#;

/// A shell whose only programs are stand-ins.
struct Shell {
    dir: TempDir,
    /// The variables with their markers.
    markers: Vec<(String, Var)>,
    /// The environment variables that commands and placeholders expand.
    environment: BTreeSet<&'static str>,
}

/// The executed programs with their arguments, sorted.
type Calls = Vec<Vec<String>>;

impl Shell {
    fn new() -> Self {
        let shell =
            Self { dir: tempfile::tempdir().unwrap(), markers: markers(), environment: environment_names() };
        for name in ["programs", "here", "records"] {
            fs::create_dir(shell.at(name)).unwrap();
        }
        let stand_in = shell.at("stand-in");
        // Another process writes it: a file that any thread of this process has open for writing cannot be executed.
        let script = r#"printf '%s' "$1" >"$2" && chmod 755 "$2""#;
        let written =
            Command::new("sh").args(["-c", script, "sh", STAND_IN]).arg(&stand_in).status().unwrap();
        assert!(written.success());
        let markers = shell.markers.iter().map(|(marker, _)| marker.as_str());
        for name in PROGRAMS.iter().chain(HOSTILE).copied().chain(markers) {
            std::os::unix::fs::symlink(&stand_in, shell.at("programs").join(name)).unwrap();
        }
        shell
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a command whose programs end with this code.
    fn run(&self, command: &str, result: u8) -> Calls {
        // `kill` is a shell builtin.
        let script = format!("kill() {{ \"${{PATH}}/kill\" \"$@\"; }}\n{command}");
        let mut sh = Command::new("/bin/sh");
        sh.env_clear().env("PATH", self.at("programs")).env("RECORDS", self.at("records"));
        sh.env("RESULT", result.to_string()).envs(self.environment.iter().map(|name| (name, value_of(name))));
        let ran =
            sh.args(["-c", &script]).current_dir(self.at("here")).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(said.is_empty() && ran.status.code().is_some_and(|code| code < 2), "{command}\n{said}");
        self.take_calls()
    }

    fn take_calls(&self) -> Calls {
        let mut calls: Calls = paths(&self.at("records")).iter().map(|path| take_call(path)).collect();
        calls.sort();
        calls
    }

    /// The files created in the directory in which the commands run.
    fn made(&self) -> Vec<PathBuf> {
        paths(&self.at("here"))
    }
}

fn paths(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn take_call(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    fs::remove_file(path).unwrap();
    text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
}

/// Every variable of the commands with a plain word as its marker.
fn markers() -> Vec<(String, Var)> {
    let names: BTreeSet<&str> =
        steps().flat_map(|(_, step)| names(step.command)).map(|(_, name)| name).collect();
    names.iter().filter_map(|name| Some((format!("@{name}@"), Var::named(name)?))).collect()
}

/// The names of the environment that commands and placeholders expand.
fn environment_names() -> BTreeSet<&'static str> {
    let placeholders = Var::ALL.iter().flat_map(|var| var.take(None)).filter_map(|word| match word {
        Word::Shell(text) => Some(text),
        Word::Text(_) | Word::Assignment(..) => None,
    });
    let texts = placeholders.chain(steps().map(|(_, step)| step.command));
    let names = texts.flat_map(|text| text.split("\"$").skip(1)).map(|rest| rest.split('"').next().unwrap());
    names.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')).collect()
}

fn value_of(name: &str) -> String {
    format!("value of {name}; $(>canary)")
}

/// The words to which a shell expands a placeholder, which has quotes only around a variable.
fn expanded(placeholder: &str) -> Vec<String> {
    let word = |word: &str| match word.strip_prefix("\"$").and_then(|rest| rest.strip_suffix('"')) {
        Some(name) => value_of(name),
        None => word.to_owned(),
    };
    placeholder.split(' ').map(word).collect()
}

/// The words that a variable must become.
fn expected_words(var: Var, value: &Words) -> Vec<String> {
    let words = var.take(Some(value.clone()));
    let of = |word: &Word| match word {
        Word::Text(text) => vec![text.clone()],
        Word::Assignment(name, text) => vec![format!("{name}={text}")],
        Word::Shell(text) => expanded(text),
    };
    words.iter().flat_map(of).collect()
}

impl Shell {
    /// The calls of the command with plain markers in place of its variables.
    fn marked(&self, command: &str, result: u8) -> Calls {
        let marked = self.markers.iter().fold(command.to_owned(), |text, (marker, _)| {
            text.replace(&format!("{{{}}}", marker.trim_matches('@')), marker)
        });
        self.run(&marked, result)
    }

    /// The expected calls: those with markers, with the markers replaced.
    fn wanted(&self, marked: &Calls, value: &Words) -> Calls {
        let call = |call: &Vec<String>| call.iter().flat_map(|word| self.replaced(word, value)).collect();
        let mut calls: Calls = marked.iter().map(call).collect();
        calls.sort();
        calls
    }

    /// A word with its markers replaced by the words of their variables; the text around a marker is joined to the nearest
    /// word.
    fn replaced(&self, word: &str, value: &Words) -> Vec<String> {
        let parts = |(marker, var): &(String, Var)| word.split_once(marker).map(|(a, b)| (a, b, *var));
        let Some((before, after, var)) = self.markers.iter().find_map(parts) else {
            return vec![word.to_owned()];
        };
        let mut words = expected_words(var, value);
        if words.is_empty() && before.is_empty() && after.is_empty() {
            return words;
        }
        if words.is_empty() {
            words.push(String::new());
        }
        words[0].insert_str(0, before);
        let mut rest = self.replaced(after, value).into_iter();
        words.last_mut().unwrap().push_str(&rest.next().unwrap());
        words.extend(rest);
        words
    }
}

fn rendered(step: &Step, value: &Words) -> String {
    step.render(&|_| Some(value.clone())).command
}

/// The exit codes of the programs with which a command is run, to cover both branches of `||`.
fn results(command: &str) -> &'static [u8] {
    if command.contains("||") {
        &[0, 1]
    } else {
        &[0]
    }
}

/// Every command once.
fn commands() -> Vec<&'static Step> {
    let mut seen = BTreeSet::new();
    steps()
        .map(|(_, step)| step)
        .filter(|step| !step.command.is_empty() && seen.insert(step.command))
        .collect()
}

/// Asserts that the programs of each command get these values unchanged, and nothing else is run or created.
fn assert_values_arrive(values: &[Words]) {
    let shell = Shell::new();
    for step in commands() {
        for result in results(step.command) {
            let marked = shell.marked(step.command, *result);
            assert!(!marked.is_empty(), "{} runs nothing", step.command);
            // Without a variable one value is sufficient.
            let count = if names(step.command).is_empty() { 1 } else { values.len() };
            for value in &values[..count] {
                let command = rendered(step, value);
                assert_eq!(shell.run(&command, *result), shell.wanted(&marked, value), "{command}");
                assert!(shell.made().is_empty(), "{command} made {:?}", shell.made());
            }
        }
    }
}

#[test]
fn hostile_values_arrive_unchanged() {
    let values: Vec<Words> = HOSTILE.iter().map(|text| vec![Word::from(*text)]).collect();
    assert_values_arrive(&values);
}

#[test]
fn values_of_several_words_arrive_unchanged() {
    assert_values_arrive(&[["az", "two words", "$(>canary)", ""].map(Word::from).to_vec()]);
}

#[test]
fn an_empty_option_is_not_an_argument() {
    let shell = Shell::new();
    let step = workstation(Who::SignedIn, "Sign in:", "az login {tenant_option}");
    let command = step.render(&|_| None).command;
    assert_eq!(command, "az login");
    assert_eq!(shell.run(&command, 0), [["az", "login"]]);
}

#[test]
fn an_unquoted_value_is_detected() {
    let shell = Shell::new();
    for text in ["$(>canary)", "`>canary`", "a;>canary", "a&&>canary", ">canary"] {
        shell.run(&format!("az {text}"), 0);
        assert_eq!(shell.made(), [shell.at("here/canary")], "{text}");
        fs::remove_file(shell.at("here/canary")).unwrap();
    }
    let value = vec![Word::from("say \"$(>canary)\"")];
    let step = Step { command: "az group show --name {resource_group}", ..RERUN };
    let wanted = shell.wanted(&shell.marked(step.command, 0), &value);
    assert_eq!(wanted, [["az", "group", "show", "--name", "say \"$(>canary)\""]]);
    assert_eq!(shell.run(&rendered(&step, &value), 0), wanted);
    let in_quotes = Step { command: "az group show --name \"{resource_group}\"", ..RERUN };
    assert_ne!(shell.run(&rendered(&in_quotes, &value), 0), wanted);
}
