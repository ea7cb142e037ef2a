//! The command line as a [`Command`] of clap, built from the table.

use arc_enroll::catalogue;
use arc_enroll::cli::table::{Flag, Subcommand, EVERYWHERE, SUBCOMMANDS, SUMMARY, TARGETS};
use arc_enroll::settings::Cloud;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};

/// The name of the program.
pub const NAME: &str = "arc-enroll";

/// The program with its options, without subcommands. Each option is global: it may stand before and behind
/// a subcommand.
pub fn program() -> Command {
    let everywhere = EVERYWHERE.iter().map(option);
    let targets = TARGETS.iter().filter(|target| !target.flag.name.is_empty()).map(|target| {
        let about = format!("{}; stands for {}", one_line(target.flag.about), target.key);
        option(&target.flag).long_help(about).help_heading("Target")
    });
    own(Command::new(NAME))
        .about(uncapitalized(SUMMARY.trim_end_matches('.')))
        .override_usage(format!("{NAME} [OPTIONS] COMMAND"))
        .args(everywhere.chain(targets).map(|arg| arg.global(true)))
}

/// A subcommand with the options that only it has.
pub fn subcommand(of: &Subcommand) -> Command {
    let command = own(Command::new(of.name))
        .about(of.summary)
        .long_about(of.about.trim_end().to_owned())
        .args(of.flags.iter().map(option));
    match of.argument {
        "" => command,
        name => command.arg(offered(Arg::new(name), name, name).help(one_line(of.about_argument))),
    }
}

/// The program with its subcommands.
pub fn whole() -> Command {
    program().subcommands(SUBCOMMANDS.iter().map(subcommand))
}

/// Help and version are in the table, and clap is not to add its own.
fn own(command: Command) -> Command {
    command.disable_help_flag(true).disable_version_flag(true).disable_help_subcommand(true)
}

fn option(flag: &Flag) -> Arg {
    let arg = Arg::new(flag.name).long(flag.name).short(flag.short).help(one_line(flag.about));
    match (flag.value, flag.name) {
        // -vv logs more than -v.
        ("", "verbose") => arg.action(ArgAction::Count),
        ("", _) => arg.action(ArgAction::SetTrue),
        (value, name) => offered(arg, name, value),
    }
}

/// An argument with what shells offer for it. The man page lists none of that: it would be a list of every
/// fault, and `system` is not the only identity.
fn offered(arg: Arg, name: &str, value: &'static str) -> Arg {
    let arg = arg.value_name(value).hide_possible_values(true);
    match (name, value) {
        ("cloud", _) => arg.value_parser(words(Cloud::ALL.map(Cloud::name))),
        ("identity", _) => arg.value_parser(words(["system"])),
        (_, "CODE") => arg.value_parser(words(catalogue::all().map(|kind| kind.code))),
        (_, "FILE") => arg.value_hint(ValueHint::FilePath),
        (_, "DIR") => arg.value_hint(ValueHint::DirPath),
        (_, value) if value.contains('|') => arg.value_parser(words(value.split('|'))),
        // Only the user knows, and file names would mislead.
        _ => arg.value_hint(ValueHint::Other),
    }
}

fn words(list: impl IntoIterator<Item = &'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(list)
}

/// An explanation as one line.
pub fn one_line(about: &str) -> String {
    about.split_whitespace().collect::<Vec<&str>>().join(" ")
}

fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
