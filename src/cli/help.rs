//! Renders the help texts from the table of the command line.

use crate::model::condition::Condition;

use super::table::{
    Flag, Subcommand, CONDITION_FAILS, EVERYWHERE, EXIT_CODES, ON_WORKSTATION, PRECEDENCE, SUBCOMMANDS,
    SUMMARY, TARGETS,
};

/// The help text of a subcommand or of the program, at most 80 columns wide.
pub fn help(of: Option<&Subcommand>) -> String {
    of.map_or_else(main_help, subcommand_help)
}

fn subcommand_help(of: &Subcommand) -> String {
    let mut text = format!("Usage: arc-enroll {}", with_argument(of));
    let mut rows = Rows::default();
    if !of.argument.is_empty() {
        rows.add(of.argument.to_owned(), of.about_argument.to_owned());
    }
    of.flags.iter().for_each(|flag| rows.add_flag(flag));
    text.push_str(" [OPTIONS]\n\n");
    text.push_str(of.about);
    if !rows.0.is_empty() {
        rows.write("\n", &mut text);
    }
    for part in ["\nExample:\n  ", of.example, "\n\nOptions everywhere: arc-enroll --help\n"] {
        text.push_str(part);
    }
    text
}

fn main_help() -> String {
    let mut text = format!("{SUMMARY}\n\nUsage: arc-enroll [OPTIONS] COMMAND\n");
    let mut rows = Rows::default();
    for command in SUBCOMMANDS {
        rows.add(with_argument(command), command.summary.to_owned());
    }
    rows.write("\nCommands:\n", &mut text);
    if !cfg!(feature = "operator") {
        let names = ON_WORKSTATION.join(", ");
        text.push_str(&format!("\nOn the workstation, with the build for it: {names}\n"));
    }
    let mut rows = Rows::default();
    EVERYWHERE.iter().for_each(|flag| rows.add_flag(flag));
    rows.write("\nOptions everywhere:\n", &mut text);
    let mut rows = Rows::default();
    for target in &TARGETS {
        let name = format!("[{}]", target.environment);
        let about = target.flag.about;
        match (target.flag.name, target.environment) {
            ("", _) => rows.add(name, about.to_owned()),
            (_, "") => rows.add_flag(&target.flag),
            _ => rows.add(usage(&target.flag), format!("{about} {name}")),
        }
    }
    rows.write("\nTarget, in place of the file (environment name in brackets):\n", &mut text);
    for part in ["\n", PRECEDENCE, "\n\nExit codes:\n"] {
        text.push_str(part);
    }
    exit_codes(&mut text);
    text
}

/// One exit code per line; those of the conditions, before the last, three per line with one explanation below.
fn exit_codes(text: &mut String) {
    let [before @ .., last] = &EXIT_CODES;
    for (code, meaning) in before {
        text.push_str(&format!("  {code:<2}  {meaning}\n"));
    }
    conditions(text);
    text.push_str(&format!("  {:<2}  {}\n", last.0, last.1));
}

fn conditions(text: &mut String) {
    for row in Condition::ALL.chunks(3) {
        let mut line = String::new();
        for condition in row {
            line.push_str(&format!("  {}  {:<17}", condition.entry().exit_code, condition.name()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let codes = || Condition::ALL.iter().map(|condition| condition.entry().exit_code);
    let (first, last) = (codes().min().unwrap_or_default(), codes().max().unwrap_or_default());
    text.push_str(&format!("      {first} to {last}: {CONDITION_FAILS}\n"));
}

/// The usage of an option: `-h, --help`, or `--config FILE`.
fn usage(flag: &Flag) -> String {
    let mut text = flag.short.map(|letter| format!("-{letter}, ")).unwrap_or_default();
    for part in ["--", flag.name, if flag.value.is_empty() { "" } else { " " }, flag.value] {
        text.push_str(part);
    }
    text
}

fn with_argument(command: &Subcommand) -> String {
    match command.argument {
        "" => command.name.to_owned(),
        argument => format!("{} [{argument}]", command.name),
    }
}

/// Rows of names and aligned descriptions.
#[derive(Default)]
struct Rows(Vec<(String, String)>);

impl Rows {
    fn add(&mut self, name: String, about: String) {
        self.0.push((name, about));
    }

    fn add_flag(&mut self, flag: &Flag) {
        self.add(usage(flag), flag.about.to_owned());
    }

    fn write(&self, heading: &str, text: &mut String) {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        text.push_str(heading);
        for (name, about) in &self.0 {
            let mut name = name.as_str();
            for line in about.lines() {
                text.push_str(&format!("  {name:width$}  {line}\n"));
                name = "";
            }
        }
    }
}
