//! What each condition waits for, what ends the run at once, and that log, record and exit code agree.

/// The role, the resource group, and other replies of Azure.
mod access;
/// The clock against that of the sidecar.
mod clock;
/// The endpoints behind the proxy.
mod egress;
/// Rights, systemd, a read-only /etc, another active run.
mod host;
/// The token: who it is for, and what is wrong with it.
mod identity;
/// The sidecar: absent, not ready, or another server in its place.
mod imds;
/// The CSN proxy.
mod proxy;

use crate::assertions::{assert_stopped, met, with_windows};
use crate::nexus::spec::PortState;
use crate::nexus::vm::Vm;

#[test]
fn the_deadline_of_the_run_is_shorter_than_every_window() {
    // The other windows exceed the test's limit, so only the deadline can end this run.
    let vm = Vm::new()
        .installed()
        .imds(|imds| imds.port_state = PortState::Closed)
        .config(&with_windows(&[("boot", "2s"), ("token", "1h"), ("access", "1h"), ("endpoint", "1h")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "imds.refused");
    assert!(met(&run, "imds.refused")[0]["remaining_s"].as_u64() <= Some(2), "{}", run.text());
}
