//! The command line as a [`Command`] of clap, built from the table.

use arc_enroll::catalogue;
use arc_enroll::cli::table::{Flag, Subcommand, EVERYWHERE, SUBCOMMANDS, SUMMARY, TARGETS};
use arc_enroll::settings::Cloud;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};

/// The name of the program.
pub const NAME: &str = "arc-enroll";

/// The program with its options, without subcommands. Each option is global: it may precede or follow a subcommand.
pub fn program() -> Command {
    let everywhere = EVERYWHERE.iter().map(option);
    let targets = TARGETS.iter().filter(|target| !target.flag.name.is_empty()).map(|target| {
        let about = format!("{}; stands for {}", one_line(target.flag.about), target.key);
        option(&target.flag).long_help(about).help_heading("Target")
    });
    without_default_flags(Command::new(NAME))
        .about(uncapitalized(SUMMARY.trim_end_matches('.')))
        .override_usage(format!("{NAME} [OPTIONS] COMMAND"))
        .args(everywhere.chain(targets).map(|arg| arg.global(true)))
}

/// A subcommand with its own options.
pub fn subcommand(of: &Subcommand) -> Command {
    let command = without_default_flags(Command::new(of.name))
        .about(of.summary)
        .long_about(of.about.trim_end().to_owned())
        .args(of.flags.iter().map(option));
    match of.argument {
        "" => command,
        name => command.arg(complete_with(Arg::new(name), name, name).help(one_line(of.about_argument))),
    }
}

/// The program with its subcommands.
pub fn whole() -> Command {
    program().subcommands(SUBCOMMANDS.iter().map(subcommand))
}

/// The table has help and version, so clap must not add its own.
fn without_default_flags(command: Command) -> Command {
    command.disable_help_flag(true).disable_version_flag(true).disable_help_subcommand(true)
}

fn option(flag: &Flag) -> Arg {
    let arg = Arg::new(flag.name).long(flag.name).short(flag.short).help(one_line(flag.about));
    match (flag.value, flag.name) {
        // -vv logs more than -v.
        ("", "verbose") => arg.action(ArgAction::Count),
        ("", _) => arg.action(ArgAction::SetTrue),
        (value, name) => complete_with(arg, name, value),
    }
}

/// An argument with its completions. The man page does not list them, since they include every fault, and `system` is
/// not the only identity.
fn complete_with(arg: Arg, name: &str, value: &'static str) -> Arg {
    let arg = arg.value_name(value).hide_possible_values(true);
    match (name, value) {
        ("cloud", _) => arg.value_parser(possible_values(Cloud::ALL.map(Cloud::name))),
        ("identity", _) => arg.value_parser(possible_values(["system"])),
        (_, "CODE") => arg.value_parser(possible_values(catalogue::all().map(|kind| kind.code))),
        (_, "FILE") => arg.value_hint(ValueHint::FilePath),
        (_, "DIR") => arg.value_hint(ValueHint::DirPath),
        (_, value) if value.contains('|') => arg.value_parser(possible_values(value.split('|'))),
        // Without this hint shells would offer file names.
        _ => arg.value_hint(ValueHint::Other),
    }
}

fn possible_values(list: impl IntoIterator<Item = &'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(list)
}

/// A description as one line.
pub fn one_line(about: &str) -> String {
    about.split_whitespace().collect::<Vec<&str>>().join(" ")
}

fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
