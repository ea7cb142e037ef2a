//! How faults and conditions are shown to people: 80 columns, colour only on a terminal.

use std::time::Duration;

use crate::condition::Condition;
use crate::conditions::Vm;
use crate::fault::{self, Entry, Fault, Outlook};

/// Columns that every terminal has.
const WIDTH: usize = 80;

/// Where the text of a condition's line begins.
const INDENT: usize = 26;

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Escape sequences.
    Colour,
    /// Text only.
    Plain,
}

/// The state in front of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It holds.
    Good,
    /// It fails.
    Bad,
    /// Something is being done about it.
    Busy,
    /// It was not looked at.
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

/// One line for a condition, continued below itself when it is long.
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

/// The verdict on a fault, with what was seen and what to do, filled with this VM's own values.
pub fn verdict(vm: &Vm, style: &Style, fault: &Fault) -> String {
    let entry = fault.entry;
    let headline = match entry.outlook {
        Outlook::Time => format!("NOT YET: {} (exit code {})", entry.code, entry.exit_code()),
        _ => format!("NOT ENROLLED: {} (exit code {})", entry.code, entry.exit_code()),
    };
    let mut text = format!("\n{}\n", style.paint(Mark::Bad, &headline));
    text.push_str(&paragraph("  ", entry.means));
    if !fault.evidence.is_empty() {
        text.push_str(&paragraph("  Seen: ", &fault.evidence));
    }
    text.push_str("  Likely:\n");
    for cause in entry.causes {
        text.push_str(&paragraph("    - ", cause));
    }
    text.push_str("  What to do:\n");
    text.push_str(&steps(entry, |step| vm.fill(step)));
    text.push_str(&format!("  More: arc-enroll explain {}\n", entry.code));
    text.push_str(&format!("  Log:  {}\n", vm.settings.log.file.display()));
    text
}

/// A catalogue entry, for `explain`.
pub fn explanation(entry: &Entry) -> String {
    let mut text =
        format!("{} (condition {}, exit code {})\n", entry.code, entry.condition.name(), entry.exit_code());
    text.push_str(&paragraph("  ", entry.means));
    text.push_str("\n  Likely causes:\n");
    for cause in entry.causes {
        text.push_str(&paragraph("    - ", cause));
    }
    text.push_str(&paragraph("\n  By itself: ", entry.agent));
    text.push_str("\n  What a person does:\n");
    text.push_str(&steps(entry, str::to_owned));
    text.push_str(&paragraph("\n  From: ", entry.guide));
    text
}

/// All codes, for `explain` without one.
pub fn catalogue() -> String {
    let mut text = String::new();
    for condition in Condition::ALL {
        text.push_str(&format!("{:2}  {}\n", condition.number(), condition.name()));
        for entry in fault::catalogue().filter(|entry| entry.condition == condition) {
            text.push_str(&format!("      {:<36} exit {}\n", entry.code, entry.exit_code()));
        }
    }
    text
}

/// The steps of a person. Commands stand whole on one line, so that they can be copied.
pub fn steps(entry: &Entry, fill: impl Fn(&str) -> String) -> String {
    let numbered = entry.person.iter().enumerate();
    numbered.map(|(index, step)| format!("    {}. {}\n", index + 1, fill(step))).collect()
}

/// A paragraph that begins with `lead` and is continued below its text.
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

/// Breaks a text at spaces, and an id or address that is too long for a line behind a slash.
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

/// A duration as people say it.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().ceil() as u64;
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

    #[test]
    fn lines_fit_eighty_columns() {
        let text = "word ".repeat(60);
        for shown in line(&Style::Plain, Mark::Good, "proxy-environment", &text).lines() {
            assert!(shown.chars().count() <= WIDTH, "{shown}");
        }
    }

    #[test]
    fn every_entry_can_be_explained() {
        for entry in fault::catalogue() {
            let text = explanation(entry);
            assert!(text.contains(entry.code) && text.contains("What a person does"), "{text}");
            assert!(catalogue().contains(entry.code));
        }
    }

    #[test]
    fn durations_are_said_plainly() {
        let said: Vec<String> = [0, 1, 59, 60, 61, 3600, 3700].map(|s| span(Duration::from_secs(s))).into();
        assert_eq!(said, ["0 s", "1 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min"]);
    }
}
