//! Renders faults and conditions as text: 80 columns, colour only on a terminal.

use std::time::Duration;

use crate::model::check::{Probe, ProbeState};
use crate::model::condition::Condition;
use crate::model::fault::{Fault, FaultKind, Resolution};
use crate::model::step::RenderedStep;

/// Width of the output, in columns.
const WIDTH: usize = 80;

/// Column at which the text of a condition's line begins.
const INDENT: usize = 26;

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With escape sequences.
    Colour,
    /// Without escape sequences.
    Plain,
}

/// The state that is printed before the name of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It holds.
    Good,
    /// It fails.
    Bad,
    /// It is being repaired or waited for.
    Busy,
    /// It was not observed.
    Skipped,
}

impl Style {
    fn paint(self, mark: Mark, text: &str) -> String {
        let code = match mark {
            Mark::Good => "32",
            Mark::Bad => "31",
            Mark::Busy => "33",
            Mark::Skipped => "2",
        };
        match self {
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// One line for a condition; a long text is wrapped.
pub fn line(style: &Style, mark: Mark, name: &str, text: &str) -> String {
    let word = match mark {
        Mark::Good => "ok  ",
        Mark::Bad => "FAIL",
        Mark::Busy => "... ",
        Mark::Skipped => "skip",
    };
    let lines = wrap(text, WIDTH - INDENT);
    let mut shown = format!("  {}  {name:<17} ", style.paint(mark, word));
    for (index, part) in lines.iter().enumerate() {
        if index > 0 {
            shown.push_str(&" ".repeat(INDENT));
        }
        shown.push_str(part);
        shown.push('\n');
    }
    if lines.is_empty() {
        shown.push('\n');
    }
    shown
}

/// A failed row: its line, the fault, the evidence and the remediation.
pub fn diagnosis(style: &Style, name: &str, fault: &Fault, remediation: &[RenderedStep]) -> String {
    let kind = fault.kind;
    let mut text = line(style, Mark::Bad, name, kind.summary);
    text.push_str(&format!("        Fault: {}\n", kind.code));
    if !fault.evidence.is_empty() {
        text.push_str(&paragraph("        Seen: ", &fault.evidence));
    }
    text.push_str("        What to do:\n");
    text.push_str(&steps(remediation, 10));
    text
}

/// One network test.
pub fn probe(style: &Style, probe: &Probe) -> String {
    let (mark, word) = match probe.state {
        ProbeState::Ok => (Mark::Good, "ok  "),
        ProbeState::Fails => (Mark::Bad, "FAIL"),
        ProbeState::Information => (Mark::Busy, "note"),
        ProbeState::Skipped => (Mark::Skipped, "skip"),
    };
    let time = format!("{:>6} ms", probe.elapsed.as_millis());
    let detail = if probe.state == ProbeState::Ok { String::new() } else { format!(": {}", probe.detail) };
    let what = format!("{}{detail}", probe.target);
    let indent = " ".repeat(18);
    let shown = wrap(&what, WIDTH - indent.len()).join(&format!("\n{indent}"));
    format!("  {}  {time} {shown}\n", style.paint(mark, word))
}

/// The result in one line; `failed` is the headline for a fault that needs manual action.
pub fn headline(style: &Style, fault: &Fault, failed: &str) -> String {
    let kind = fault.kind;
    let verdict = if kind.resolution == Resolution::Retry { "NOT YET" } else { failed };
    let headline = format!("{verdict}: {} (exit code {})", kind.code, kind.exit_code());
    format!("\n{}\n", style.paint(Mark::Bad, &headline))
}

/// The result of a run that ended with a fault: evidence, causes, remediation and the path of the log.
pub fn verdict(style: &Style, fault: &Fault, remediation: &[RenderedStep], log: &str) -> String {
    let kind = fault.kind;
    let mut text = headline(style, fault, "NOT ENROLLED");
    text.push_str(&paragraph("  ", kind.summary));
    if !fault.evidence.is_empty() {
        text.push_str(&paragraph("  Seen: ", &fault.evidence));
    }
    text.push_str("  Likely:\n");
    for cause in kind.causes {
        text.push_str(&paragraph("    - ", cause.text));
    }
    text.push_str("  What to do:\n");
    text.push_str(&steps(remediation, 4));
    text.push_str(&format!("  More: arc-enroll explain {}\n", kind.code));
    text.push_str(&format!("  Log:  {log}\n"));
    text
}

/// A fault kind with its causes and remediation, for `explain`.
pub fn explanation(kind: &FaultKind, remediation: &[RenderedStep]) -> String {
    let mut text =
        format!("{} (condition {}, exit code {})\n", kind.code, kind.condition.name(), kind.exit_code());
    text.push_str(&paragraph("  ", kind.summary));
    text.push_str("\n  Likely causes:\n");
    for cause in kind.causes {
        text.push_str(&paragraph("    - ", cause.text));
    }
    text.push_str(&paragraph("\n  By itself: ", kind.automatic));
    text.push_str("\n  What a person does:\n");
    text.push_str(&steps(remediation, 4));
    text.push_str(&paragraph("\n  From: ", kind.guide));
    text
}

/// All fault codes by condition, for `explain` without a code.
pub fn catalogue(kinds: &[&FaultKind]) -> String {
    let mut text = String::new();
    for condition in Condition::ALL {
        text.push_str(&format!("{:2}  {}\n", condition.number(), condition.name()));
        for kind in kinds.iter().filter(|kind| kind.condition == *condition) {
            text.push_str(&format!("      {:<36} exit {}\n", kind.code, kind.exit_code()));
        }
    }
    text
}

/// The remediation as a numbered list. A command is on its own lines, so that it can be copied, unless the complete step
/// fits on one line.
pub fn steps(steps: &[RenderedStep], indent: usize) -> String {
    let mut text = String::new();
    for (index, step) in steps.iter().enumerate() {
        let lead = format!("{}{}. ", " ".repeat(indent), index + 1);
        let line = format!("{lead}{}", step.line());
        if line.chars().count() <= WIDTH {
            text.push_str(&line);
            text.push('\n');
            continue;
        }
        if step.text.is_empty() {
            text.push_str(&fold_command(&lead, &step.command));
            continue;
        }
        text.push_str(&paragraph(&lead, &step.text));
        if !step.command.is_empty() {
            text.push_str(&fold_command(&" ".repeat(lead.len() + 2), &step.command));
        }
    }
    text
}

/// Folds a command into lines of at most 80 columns with backslash continuations.
///
/// An option stays on the same line as its value. A word in double quotes that is too long is split inside the quotes,
/// where a continuation is also valid; the next line then begins in the first column.
pub fn fold_command(lead: &str, command: &str) -> String {
    let indent = " ".repeat(lead.chars().count());
    let mut lines = vec![lead.to_owned()];
    let mut is_fresh = true;
    for unit in units(command) {
        let length = lines.last().map_or(0, |line| line.chars().count());
        // Two columns for the space and the backslash that may follow.
        if !is_fresh && length + 1 + unit.chars().count() > WIDTH - 2 {
            lines.push(format!("{indent}  "));
            is_fresh = true;
        }
        let Some(line) = lines.last_mut() else { continue };
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(&unit);
        is_fresh = false;
    }
    let lines: Vec<String> = lines.iter().map(|line| split_quoted(line)).collect();
    lines.join(" \\\n") + "\n"
}

/// The units of a command that are not split: a word, an option with its value, a pipe with its program.
fn units(command: &str) -> Vec<String> {
    let mut units: Vec<String> = Vec::new();
    for word in words(command) {
        let joins = |unit: &String| {
            let is_option = unit.starts_with('-') && !unit.contains(' ') && !word.starts_with('-');
            is_option || matches!(unit.as_str(), "|" | "&&")
        };
        match units.last_mut() {
            Some(unit) if joins(unit) => {
                unit.push(' ');
                unit.push_str(word);
            }
            _ => units.push(word.to_owned()),
        }
    }
    units
}

/// Splits at spaces outside quotes.
fn words(command: &str) -> Vec<&str> {
    let mut quote = None;
    let is_outside = |c: char| {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        c == ' ' && quote.is_none()
    };
    command.split(is_outside).filter(|word| !word.is_empty()).collect()
}

/// Splits a line that is too long inside its double quotes.
fn split_quoted(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    let mut carried = None;
    while rest.chars().count() > WIDTH - 2 {
        let mut open = carried;
        let mut at = None;
        for (index, (position, c)) in rest.char_indices().enumerate() {
            if index >= WIDTH - 2 {
                break;
            }
            match open {
                None if matches!(c, '"' | '\'') => open = Some(c),
                Some(quote) if quote == c => open = None,
                Some('"') if matches!(c, '/' | ',' | ' ' | '&' | '{') => at = Some(position + c.len_utf8()),
                _ => {}
            }
        }
        let Some((before, after)) = at.and_then(|at| rest.split_at_checked(at)) else { break };
        text.push_str(before);
        text.push_str("\\\n");
        rest = after;
        carried = Some('"');
    }
    text + rest
}

/// A text after a lead, wrapped and indented.
pub fn paragraph(lead: &str, text: &str) -> String {
    let indent = lead.trim_start_matches('\n').chars().count();
    let mut shown = String::new();
    for (index, part) in wrap(text, WIDTH.saturating_sub(indent).max(20)).iter().enumerate() {
        if index == 0 {
            shown.push_str(lead);
        } else {
            shown.push_str(&" ".repeat(indent));
        }
        shown.push_str(part);
        shown.push('\n');
    }
    shown
}

/// Wraps a text at spaces, and a word that is too long after a slash.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().flat_map(|word| pieces(word, width)) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Splits a word that is longer than a line after slashes.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let mut rest = word;
    let mut pieces = Vec::new();
    while rest.chars().count() > width {
        let within = rest.char_indices().nth(width).map_or(rest.len(), |(at, _)| at);
        let Some(slash) = rest.get(..within).and_then(|start| start.rfind('/')).filter(|at| *at > 0) else {
            break;
        };
        let (piece, after) = rest.split_at(slash + 1);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// A duration for people, rounded up to seconds, such as "1 min 5 s".
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::var::{one, Var};

    #[test]
    fn lines_fit_eighty_columns() {
        let text = "word ".repeat(60);
        for shown in line(&Style::Plain, Mark::Good, "proxy-environment", &text).lines() {
            assert!(shown.chars().count() <= WIDTH, "{shown}");
        }
    }

    #[test]
    fn every_fault_kind_can_be_explained() {
        let kinds: Vec<&FaultKind> = crate::catalogue::all().collect();
        let listed = catalogue(&kinds);
        for kind in kinds {
            let text = explanation(kind, &kind.remediation(&|_| None));
            assert!(text.contains(kind.code) && text.contains("What a person does"), "{text}");
            assert!(listed.contains(kind.code));
        }
    }

    #[test]
    fn every_remediation_fits_eighty_columns_and_folds_to_one_command() {
        let scope =
            format!("/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/{}", "x".repeat(60));
        let json = "[{'category':'azure-arc','endpoints':[".to_owned()
            + &"{'domainName':'agentserviceapi.guestconfiguration.azure.com','port':443},".repeat(4);
        let value = |var| match var {
            Var::Scope => Some(one(scope.as_str())),
            Var::EgressJson => Some(one(json.as_str())),
            _ => None,
        };
        for (kind, indent) in crate::catalogue::all().flat_map(|kind| [(kind, 4), (kind, 10)]) {
            let rendered = kind.remediation(&value);
            let shown = steps(&rendered, indent);
            assert!(shown.lines().all(|line| line.chars().count() <= WIDTH), "{shown}");
            let joined = shown.replace(" \\\n", " ").replace("\\\n", "");
            for step in rendered.iter().filter(|step| !step.command.is_empty()) {
                let command = words(&step.command).join(" ");
                let found = joined.lines().any(|line| words(line).join(" ").contains(&command));
                assert!(found, "{command}\n{shown}");
            }
        }
    }

    #[test]
    fn durations_are_rendered_for_people() {
        let rendered: Vec<String> =
            [0, 1, 59, 60, 61, 3600, 3700].map(|s| duration(Duration::from_secs(s))).into();
        assert_eq!(rendered, ["0 s", "1 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min"]);
    }
}
