//! A failure that repeats is thinned in the log; one that changes is not.

use serde_json::{json, Value};

use crate::assertions::{assert_enrolled, assert_stopped, met, with_windows};
use crate::nexus::run::Run;
use crate::nexus::spec::{GuestPlan, Outcome, Playbook};
use crate::nexus::vm::Vm;

/// `azcmagent show` has these outputs in turn after connecting.
fn shows(answers: &[(u32, &str)]) -> Playbook<Outcome> {
    let first = Playbook::new().once(Outcome::Usual);
    answers.iter().fold(first, |playbook, (times, words)| {
        playbook.times(*times, Outcome::Patch(json!({"status": "Disconnected", "agentErrorDetails": words})))
    })
}

fn repeats(run: &Run) -> Vec<(String, u64)> {
    let of = |line: &&Value| {
        let word = line["evidence"].as_str().and_then(|text| text.rsplit(' ').next()).unwrap_or_default();
        (word.to_owned(), line["repeat"].as_u64().unwrap_or_default())
    };
    met(run, "connected.pending").iter().map(of).collect()
}

#[test]
fn repeats_are_thinned_and_changed_failures_are_logged() {
    let playbook = shows(&[(5, "first"), (1, "second"), (2, "first")]);
    let vm = Vm::new().call("azcmagent show", playbook).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let told = repeats(&run);
    let expected = [("first", 1), ("first", 2), ("first", 4), ("second", 1), ("first", 1), ("first", 2)];
    assert_eq!(told, expected.map(|(word, repeat)| (word.to_owned(), repeat)), "{}", run.text());
    for line in met(&run, "connected.pending") {
        assert!(line["remaining_s"].as_u64().is_some_and(|left| left <= 20), "{line}");
    }
}

#[test]
fn long_wait_does_not_fill_the_log() {
    let vm = Vm::new()
        .config(&with_windows(&[("endpoint", "9s")]))
        .guest(|guest| *guest = GuestPlan { connected_after_shows: u32::MAX, ..GuestPlan::default() })
        .start();
    let run = vm.run(&["enroll"]);
    run.assert_code(75).assert_last("waiting", Some("connected.pending"));
    let told: Vec<u64> = repeats(&run).into_iter().map(|(_, repeat)| repeat).collect();
    assert_eq!(told.get(..3), Some([1, 2, 4].as_slice()), "{}", run.text());
    assert!(told.len() <= 4, "{told:?}");
    let waits = run.events("wait.started").into_iter().filter(|line| line["fault"] == "connected.pending");
    assert!(waits.count() <= 5, "waits are thinned as their failures are\n{}", run.text());
}

#[test]
fn alternating_faults_are_thinned() {
    let vm = Vm::new()
        .config(&with_windows(&[("endpoint", "8s")]))
        .call("apt-get update", Playbook::new().forever(Outcome::apt_locked()))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "agent.package-lock");
    let rounds = vm.calls_of("apt-get update").len();
    for fault in ["agent.absent", "agent.package-lock"] {
        let told = met(&run, fault).into_iter().filter_map(|line| line["repeat"].as_u64());
        let expected = [1, 2, 4, 8, 16].into_iter().filter(|repeat| *repeat <= rounds as u64);
        assert!(told.eq(expected), "{rounds} rounds\n{}", run.text());
    }
}
