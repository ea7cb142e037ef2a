//! Rules for every entry and every step of the catalogue.

mod shell;

use std::collections::BTreeSet;

use super::*;
use crate::model::step::{Step, Where, Who};
use crate::model::var::Var;

/// Every step, with the code of its fault.
fn steps() -> impl Iterator<Item = (&'static str, &'static Step)> {
    all().flat_map(|kind| kind.steps.iter().map(move |step| (kind.code, step)))
}

/// The names in braces that have the form of a variable, each with the text before it; curl's `%{…}` are excluded.
fn names(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('{') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let name = after.split('}').next().filter(|name| name.len() < after.len()).unwrap_or_default();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_name && !before.ends_with('%') {
            found.push((before, name));
        }
    }
    found
}

/// Whether a prefix of a command ends inside quotes; `$(` starts an unquoted context.
fn ends_in_quotes(before: &str) -> bool {
    let mut open: Vec<char> = Vec::new();
    let mut chars = before.chars().peekable();
    while let Some(c) = chars.next() {
        match (open.last(), c) {
            (Some('\''), '\'') | (Some('"'), '"') | (Some('('), ')') => drop(open.pop()),
            (Some('\''), _) => {}
            (_, '\\') => drop(chars.next()),
            (_, '$') if chars.next_if_eq(&'(').is_some() => open.push('('),
            (_, '"') => open.push('"'),
            (None | Some('('), '\'') => open.push('\''),
            _ => {}
        }
    }
    matches!(open.last(), Some('\'' | '"'))
}

#[test]
fn codes_are_unique_and_well_formed() {
    let codes: BTreeSet<_> = all().map(|kind| kind.code).collect();
    assert_eq!(codes.len(), all().count());
    for code in codes {
        let shape = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        assert!(code.chars().all(shape) && code.matches('.').count() == 1, "{code}");
        assert_eq!(find(code).map(|kind| kind.code), Some(code));
    }
}

#[test]
fn every_kind_is_complete() {
    for kind in all() {
        let code = kind.code;
        assert!(kind.summary.ends_with('.') && !kind.guide.is_empty(), "{code}");
        assert!(kind.automatic.ends_with('.'), "{code}: {}", kind.automatic);
        assert!(!kind.causes.is_empty() && !kind.steps.is_empty(), "{code}");
        assert!(kind.recheck_from <= kind.condition, "{code}");
        assert!(kind.least_window_s <= kind.most_window_s, "{code}");
    }
}

#[test]
fn causes_are_sentences_and_are_ruled_out_by_earlier_conditions() {
    for kind in all() {
        for cause in kind.causes {
            assert!(cause.text.ends_with('.'), "{}: {}", kind.code, cause.text);
            assert!(cause.ruled_out_by.is_none_or(|condition| condition < kind.condition), "{}", cause.text);
        }
    }
}

#[test]
fn exit_codes_follow_the_resolution() {
    for kind in all() {
        let code = kind.exit_code();
        match kind.resolution {
            Resolution::Configuration => assert_eq!(code, 2),
            Resolution::Unsuitable => assert_eq!(code, 3),
            Resolution::Manual => assert_eq!(code, kind.condition.entry().exit_code),
            Resolution::Retry => assert_eq!(code, 75),
        }
    }
}

#[test]
fn retryable_faults_have_a_backoff() {
    for kind in all().filter(|kind| kind.resolution == Resolution::Retry) {
        assert!(kind.backoff.is_some() || *kind == RUN_INTERRUPTED, "{}", kind.code);
    }
}

#[test]
fn a_step_is_a_sentence_and_a_command() {
    for (code, step) in steps() {
        let (text, command) = (step.text, step.command);
        assert!(!text.is_empty() && text.trim() == text && command.trim() == command, "{code}: {step:?}");
        assert!(!text.contains(['`', '\n']) && !command.contains(['`', '\n']), "{code}: {step:?}");
        assert!(!text.ends_with('.') && text.ends_with(':') != command.is_empty(), "{code}: {text}");
        let needs_none = step.place == Where::Ask || text.contains("{config}") || text.contains("https://");
        assert!(!command.is_empty() || needs_none, "{code}: {text}");
    }
}

#[test]
fn place_and_person_of_a_step_are_consistent() {
    for (code, step) in steps() {
        let fits = match step.place {
            Where::VmAsRoot => step.who == Who::Root,
            Where::Vm => step.who == Who::Anyone,
            Where::Workstation => step.who != Who::Root,
            Where::Ask => {
                step.command.is_empty() && ![Who::Root, Who::Anyone, Who::SignedIn].contains(&step.who)
            }
        };
        assert!(fits, "{code}: {step:?}");
    }
}

#[test]
fn a_command_is_run_where_it_works() {
    const OF_THE_WORKSTATION: &[&str] = &["az", "{az}", "{create}", "{precheck}"];
    const OF_ROOT: &[&str] = &[
        "{rerun}",
        "{packages}",
        "arc-enroll",
        "apt-get",
        "azcmagent",
        "dpkg",
        "du",
        "eval",
        "fuser",
        "iptables",
        "journalctl",
        "kill",
        "ls",
        "mount",
        "nft",
        "rpm",
        "ss",
        "sudo",
        "systemctl",
        "tail",
        "update-ca-certificates",
    ];
    for (code, step) in steps().filter(|(_, step)| !step.command.is_empty()) {
        let program = step.command.split(' ').next().unwrap_or_default();
        let is_azure = OF_THE_WORKSTATION.contains(&program);
        assert_eq!(is_azure, step.place == Where::Workstation, "{code}: {step:?}");
        // Any user may show its version.
        let needs_root = OF_ROOT.contains(&program) && step.command != "azcmagent version";
        assert!(!needs_root || step.place == Where::VmAsRoot, "{code}: {step:?}");
    }
}

#[test]
fn changes_in_azure_need_more_than_reader() {
    let changes = [" create ", " delete ", " update ", " update-version ", " register ", " restart "];
    for (code, step) in steps().filter(|(_, step)| step.command.starts_with("az ")) {
        let is_change =
            changes.iter().any(|verb| step.command.contains(verb)) && !step.command.contains("extension");
        let is_reader = [Who::Reader, Who::SignedIn, Who::Anyone].contains(&step.who);
        assert_eq!(is_change, !is_reader, "{code}: {step:?}");
    }
}

#[test]
fn variables_are_known_and_outside_quotes() {
    for (code, step) in steps() {
        for (_, name) in names(step.text).into_iter().chain(names(step.command)) {
            assert!(Var::named(name).is_some(), "{code}: {name}");
        }
        for (before, name) in names(step.command) {
            assert!(!ends_in_quotes(before), "{code}: {name} in {}", step.command);
        }
    }
}

#[test]
fn quotes_are_tracked_like_a_shell() {
    for inside in ["a '", "a \"b", "\"it's", "\"\\\"", "a '\\", "\"$(b \"c\") d", "\"$(b 'c"] {
        assert!(ends_in_quotes(inside), "{inside}");
    }
    for outside in
        ["", "a 'b' ", "a \"b\" ", "\"it's\" ", "\\\"", "'\\' ", "a \"$(b ", "\"$(b \"c\" ", "$(b) "]
    {
        assert!(!ends_in_quotes(outside), "{outside}");
    }
    assert_eq!(names("%{time_total} {a:b} {'c'} {vm} {No} {"), [("%{time_total} {a:b} {'c'} ", "vm")]);
}
