//! The sidecar: absent, not ready, or another server in its place.

use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use crate::assertions::{assert_enrolled, assert_stopped, evidence, met, waits, with_windows};
use crate::nexus::spec::{HttpAct, ImdsPlan, Playbook, PortState, Reply};
use crate::nexus::vm::{Builder, Vm};

/// A VM whose token endpoint replies like this before it is healthy.
fn token(playbook: Playbook<HttpAct>) -> Builder {
    Vm::new().installed().imds(|imds| imds.token = playbook)
}

fn named(name: &str) -> HttpAct {
    Reply::named(name).act()
}

#[test]
fn a_late_sidecar_is_waited_for() {
    let vm = Vm::new().installed().imds(|imds| imds.port_state = PortState::Closed).start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("wait.started");
    vm.set_imds(ImdsPlan::default());
    let run = going.finish();
    assert_enrolled(&vm, &run);
    let lines = met(&run, "imds.refused");
    assert_eq!(lines[0]["condition"], "imds");
    assert!(lines[0]["remaining_s"].as_u64() > Some(15), "{}", lines[0]);
    assert!(!waits(&run, "imds.refused").is_empty());
    assert_eq!(vm.calls_of("azcmagent connect").len(), 1);
}

#[test]
fn a_missing_sidecar_ends_with_a_retryable_fault() {
    let vm = Vm::new()
        .installed()
        .imds(|imds| imds.port_state = PortState::Closed)
        .config(&with_windows(&[("boot", "1h"), ("endpoint", "3s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "imds.refused");
    // The other windows exceed the test's limit, so this window has ended; load can only prolong it.
    assert!(run.elapsed >= Duration::from_secs(3), "{:?}", run.elapsed);
    assert!(!waits(&run, "imds.refused").is_empty(), "{}", run.text());
    // The earlier conditions are established: the proxy settings are written.
    assert!(vm.read("etc/environment").contains("HTTPS_PROXY=http://169.254.0.11:3128\n"));
    assert!(vm.calls_of("azcmagent connect").is_empty());
    assert!(run.stdout.contains("NOT YET: imds.refused"), "{}", run.text());
    assert!(vm.record().expect("a record")["next"]
        .as_str()
        .is_some_and(|next| next.contains("the timer continues")));
}

#[test]
fn a_hanging_sidecar_is_retried_after_the_timeout() {
    let vm = token(Playbook::new().once(HttpAct::Hang)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "imds.timeout").contains("no answer within 15 s"), "{}", run.text());
}

#[test]
fn a_closed_connection_is_retried() {
    let vm = token(Playbook::new().once(HttpAct::Close)).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(met(&run, "imds.broken").len(), 1, "{}", run.text());
}

#[test]
fn an_unhealthy_sidecar_is_accepted_while_tokens_are_issued() {
    let vm = Vm::new()
        .installed()
        .imds(|imds| imds.healthz = Playbook::new().forever(named("healthz-503")))
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(run.events("condition.fails").iter().all(|line| line["condition"] != "imds"), "{}", run.text());
}

/// Asserts that any sign of another server in place of IMDS ends the run at the first reply.
fn assert_not_imds(builder: Builder, fault: &str, token_requests: usize, sign: &str) {
    let vm = builder.start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 13, fault);
    assert_eq!(vm.observed().token_requests().len(), token_requests);
    assert!(vm.observed().imds.len() <= 2, "{:?}", vm.observed().imds);
    assert!(evidence(&run, fault).contains(sign), "{}", run.text());
    assert!(waits(&run, fault).is_empty());
    assert!(run.stdout.contains("redirect port 80"), "{}", run.text());
}

#[test]
fn a_squid_page_in_place_of_a_token_ends_the_run_at_once() {
    let vm = token(Playbook::new().forever(named("imds-503-squid")));
    assert_not_imds(vm, "imds.proxied", 1, "ERR_CANNOT_FORWARD");
}

#[test]
fn a_login_page_in_place_of_a_token_ends_the_run_at_once() {
    let vm = token(Playbook::new().forever(named("imds-200-html")));
    assert_not_imds(vm, "imds.not-imds", 1, "an HTML page");
}

#[test]
fn a_via_header_on_the_health_page_ends_the_run_before_a_token_request() {
    let reply = Reply::text(200, "ok").header("Via", "1.1 cache.example");
    let vm = Vm::new().installed().imds(|imds| imds.healthz = Playbook::new().forever(reply.act()));
    assert_not_imds(vm, "imds.proxied", 0, "via: 1.1 cache.example");
}

#[test]
fn server_errors_are_retried_with_a_delay() {
    let vm = token(Playbook::new().times(2, named("imds-503"))).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let observed = vm.observed();
    let at: Vec<u64> = observed.token_requests().iter().map(|seen| seen.at_ms).collect();
    assert_eq!(at.len(), 3);
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 1000), "{at:?}");
    // Two occurrences of a failure are both logged: the first, and the first repeat.
    let repeats: Vec<_> =
        met(&run, "identity.token-service").iter().map(|line| line["repeat"].clone()).collect();
    assert_eq!(repeats, [1, 2]);
    assert_eq!(run.events("token.attempt").len(), 3);
}

#[test]
fn permanent_server_errors_end_with_a_retryable_fault() {
    let vm = token(Playbook::new().forever(named("imds-500-pods")))
        .config(&with_windows(&[("token", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "identity.token-service");
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn an_update_of_the_sidecar_gets_75_seconds_whatever_the_settings() {
    let vm = token(Playbook::new().forever(named("imds-410")))
        .config(&with_windows(&[("boot", "10m"), ("token", "2s")]))
        .start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("wait.started");
    going.signal(Signal::SIGTERM);
    let run = going.finish();
    assert_stopped(&vm, &run, 75, "run.interrupted");
    let remaining = met(&run, "identity.updating")[0]["remaining_s"].as_u64();
    assert!((70..=75).contains(&remaining.unwrap_or(0)), "{}", run.text());
}

#[test]
fn retry_after_in_seconds_is_honoured() {
    let vm = token(Playbook::new().once(named("imds-429-retry-after"))).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(waits(&run, "identity.throttled"), [2000], "{}", run.text());
    let observed = vm.observed();
    let requests = observed.token_requests();
    assert!(requests[1].at_ms - requests[0].at_ms >= 2000, "{requests:?}");
}

#[test]
fn retry_after_as_a_date_is_honoured() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    let reply =
        Reply::json(429, &serde_json::json!({"error": "too_many_requests"})).header("Retry-After", &date);
    let vm = token(Playbook::new().once(reply.act()))
        .config(&with_windows(&[("boot", "2h"), ("token", "1h")]))
        .start();
    let mut going = vm.agent(&["enroll"]).spawn();
    going.wait_for_event("wait.started");
    going.signal(Signal::SIGINT);
    let run = going.finish();
    assert_stopped(&vm, &run, 75, "run.interrupted");
    // Retry-After is an hour, so that even on a slow machine more than two minutes, the maximum,
    // remain when the reply is read.
    assert_eq!(waits(&run, "identity.throttled"), [120_000], "{}", run.text());
}

#[test]
fn retry_after_is_limited_to_the_window() {
    let reply = Reply::json(429, &serde_json::json!({})).header("Retry-After", "86400");
    let vm = token(Playbook::new().once(reply.act())).config(&with_windows(&[("token", "1s")])).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let waited = waits(&run, "identity.throttled");
    assert!(waited.len() == 1 && waited[0] <= 1000, "{waited:?}");
}

#[test]
fn a_missing_token_endpoint_is_retried() {
    let vm = token(Playbook::new().once(named("imds-404"))).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(met(&run, "identity.not-ready").len(), 1, "{}", run.text());
}

#[test]
fn a_truncated_answer_is_retried_and_its_partial_token_is_not_shown() {
    let half = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL21hbmFnZW1lbnQuYXp1cmUuY29tLyJ9";
    let reply =
        Reply::json(200, &serde_json::json!({"access_token": format!("{half}.sig"), "expires_in": "86399"}));
    let cut = reply.body.find(".sig").expect("a token");
    let vm = token(Playbook::new().once(reply.cut_after(cut).act())).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(met(&run, "imds.broken").len(), 1, "{}", run.text());
    assert!(!run.text().contains(half));
}

#[test]
fn a_success_without_a_token_is_retried() {
    let vm = token(Playbook::new().once(named("imds-200-no-token"))).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(met(&run, "identity.reply-unreadable").len(), 1, "{}", run.text());
}

#[test]
fn an_unknown_source_address_ends_the_run_at_once() {
    let vm = token(Playbook::new().forever(named("imds-401-unknown-source"))).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 13, "imds.unknown-source");
    assert_eq!(vm.observed().token_requests().len(), 1);
    assert!(vm.calls_of("azcmagent connect").is_empty());
}
