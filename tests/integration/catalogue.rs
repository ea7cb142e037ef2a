//! Every fault of the catalogue, caused on a simulated VM: code, exit code, evidence, and
//! remediation.

mod access;
mod agent;
mod connected;
mod identity;
pub mod machine;
mod network;
mod precheck;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::assertions::assert_no_secret_left;
use crate::nexus::run::Run;
use crate::nexus::vm::{Builder, Vm};

/// One test of a fault: the VM, the command, and the expected report.
pub struct Met {
    vm: Builder,
    prepare: fn(&Vm),
    command: &'static str,
    runner: Option<fn(&Vm) -> Run>,
    exit: i32,
    seen: Vec<&'static str>,
    remedy: Vec<&'static str>,
}

impl Met {
    /// The fault is found by `doctor`.
    pub fn by_doctor(vm: Builder) -> Self {
        let (seen, remedy) = (Vec::new(), Vec::new());
        Self { vm, prepare: |_| {}, command: "doctor", runner: None, exit: 0, seen, remedy }
    }

    /// The fault ends `enroll`.
    pub fn by_enroll(vm: Builder) -> Self {
        Self { command: "enroll", ..Self::by_doctor(vm) }
    }

    /// Prepares the started VM before the command.
    pub fn prepared(self, prepare: fn(&Vm)) -> Self {
        Self { prepare, ..self }
    }

    /// Runs the command in a special way.
    pub fn run_by(self, runner: fn(&Vm) -> Run) -> Self {
        Self { runner: Some(runner), ..self }
    }

    /// Exit code of the command.
    pub fn exit(self, exit: i32) -> Self {
        Self { exit, ..self }
    }

    /// Expects this text in the evidence.
    pub fn seen(mut self, words: &'static str) -> Self {
        self.seen.push(words);
        self
    }

    /// Expects this text in the remediation, with the values of the VM.
    pub fn remedy(mut self, words: &'static str) -> Self {
        self.remedy.push(words);
        self
    }

    /// Runs the command and checks the report.
    pub fn assert(self, code: &str) {
        assert!(
            self.exit != 0 && !self.seen.is_empty() && !self.remedy.is_empty(),
            "{code}: nothing is asserted"
        );
        let vm = self.vm.start();
        (self.prepare)(&vm);
        let run = self.runner.map_or_else(|| vm.run(&[self.command]), |runner| runner(&vm));
        let (evidence, remedy) = match self.command {
            "doctor" => diagnosed(&vm, &run, code),
            _ => ended(&vm, &run, code),
        };
        run.assert_code(self.exit);
        for words in &self.seen {
            assert!(
                evidence.contains(words),
                "{code}: {words:?} is not in the evidence {evidence:?}\n{}",
                run.text()
            );
        }
        assert_reported(&run, code, &remedy, &self.remedy);
        assert_no_secret_left(&vm, &run);
    }
}

/// Asserts that the remediation is complete, rendered, and shown in 80 columns.
pub fn assert_reported(run: &Run, code: &str, remedy: &str, wanted: &[&str]) {
    let shown = run.unfolded();
    for words in wanted {
        assert!(remedy.contains(words), "{code}: {words:?} is not in the remedy {remedy:?}\n{}", run.text());
        let first = words.split_whitespace().next().unwrap_or_default();
        assert!(shown.contains(first), "{code}: {first:?} is not shown\n{}", run.text());
    }
    assert!(shown.contains(code), "{code} is not shown\n{}", run.text());
    for blank in ["{subscription_id}", "{resource_group}", "{config}", "{imds}", "{proxy}", "{vm}", "{scope}"]
    {
        assert!(!remedy.contains(blank), "{code}: {blank} is not filled in: {remedy}");
    }
    let wide = run.stdout.lines().find(|line| line.chars().count() > 80);
    assert!(wide.is_none(), "{code}: wider than 80 columns: {wide:?}");
}

/// Evidence and remedy as doctor's JSON has them.
fn diagnosed(vm: &Vm, run: &Run, code: &str) -> (String, String) {
    let json = vm.run(&["doctor", "--output", "json"]);
    let value: Value = serde_json::from_str(&json.stdout).unwrap_or_default();
    let conditions = value["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["fault"] == code);
    let found =
        found.unwrap_or_else(|| panic!("doctor does not find {code}\n{}\n{}", run.text(), json.stdout));
    assert_eq!(value["exit_code"], run.code.unwrap_or_default(), "text and JSON end alike");
    (found["evidence"].as_str().unwrap_or_default().to_owned(), steps(&found["remedy"]))
}

/// Evidence and remedy as the log's last failure and the record have them.
fn ended(vm: &Vm, run: &Run, code: &str) -> (String, String) {
    assert_eq!(run.last()["fault"], code, "{}", run.text());
    // On an unsuitable machine nothing is written, not even a record.
    let Some(record) = vm.record() else {
        return (run.last()["message"].as_str().unwrap_or_default().to_owned(), run.unfolded());
    };
    assert_eq!(record["fault"], code, "{}", run.text());
    (record["evidence"].as_str().unwrap_or_default().to_owned(), steps(&record["remedy"]))
}

fn steps(list: &Value) -> String {
    let steps: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    steps.join("\n").replace('`', "")
}

/// Causes a fault in a special way; implemented for functions that take the code.
pub trait Meet {
    fn assert(self, code: &str);
}

impl<F: FnOnce(&str)> Meet for F {
    fn assert(self, code: &str) {
        self(code);
    }
}

/// Generates a test for each fault, and the list of the tested faults.
macro_rules! faults {
    ($($name:ident $code:literal => $met:expr;)*) => {
        /// The faults that are tested in this file.
        pub const CODES: &[&str] = &[$($code),*];
        $(#[test]
        fn $name() {
            $met.assert($code);
        })*
    };
}
use faults;

#[test]
fn every_fault_of_the_catalogue_is_tested() {
    let vm = Vm::new().start();
    let run = vm.run(&["explain", "--output", "json"]);
    let listed: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let listed: BTreeSet<&str> =
        listed.as_array().into_iter().flatten().filter_map(|entry| entry["code"].as_str()).collect();
    let met: BTreeSet<&str> = [
        machine::CODES,
        network::CODES,
        identity::CODES,
        agent::CODES,
        access::CODES,
        connected::CODES,
        precheck::CODES,
    ]
    .concat()
    .into_iter()
    .collect();
    let missing: Vec<_> = listed.difference(&met).collect();
    assert!(missing.is_empty(), "no test meets {missing:?}");
    let unknown: Vec<_> = met.difference(&listed).collect();
    assert!(unknown.is_empty(), "not in the catalogue: {unknown:?}");
}
