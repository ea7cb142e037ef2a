//! Prints what packages ship about the command line: the man page, and the completions of bash, zsh and fish.
//!
//! All of it is made from the table that the program itself reads, so that it is right whenever the program
//! is. It is a program of its own, since the binary in user-data needs none of it.

mod bash;
mod fish;
mod man;
#[path = "../../src/cli/table.rs"]
mod table;
mod zsh;

use std::io::Write;
use std::process::ExitCode;

use table::{Flag, CLOUDS, EVERYWHERE, SUBCOMMANDS, TARGETS};

const USAGE: &str =
    "Usage: pages man DATE | bash | zsh | fish     (DATE: that of the man page, 2026-11-23)\n";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let page = match words.as_slice() {
        ["man", date] => man::page(date),
        ["bash"] => bash::completion(),
        ["zsh"] => zsh::completion(),
        ["fish"] => fish::completion(),
        _ => {
            let _unheard = std::io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(2);
        }
    };
    // A page that is cut off must not end up in a package.
    match std::io::stdout().write_all(page.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What a shell offers for a value or an argument.
enum Offer {
    /// Names of files.
    Files,
    /// Names of directories.
    Directories,
    /// These words.
    Words(Vec<&'static str>),
    /// The codes of faults, which the program itself lists.
    Codes,
    /// Nothing: only the user knows.
    Nothing,
}

/// What is offered where help shows this in place of the value.
fn offer(shown: &'static str) -> Offer {
    match shown {
        "FILE" => Offer::Files,
        "DIR" => Offer::Directories,
        "CODE" => Offer::Codes,
        shown if shown.contains('|') => Offer::Words(shown.split('|').collect()),
        _ => Offer::Nothing,
    }
}

/// What is offered for the value of an option.
fn offer_for(flag: &Flag) -> Offer {
    match flag.name {
        "cloud" => Offer::Words(CLOUDS.to_vec()),
        "identity" => Offer::Words(vec!["system"]),
        _ => offer(flag.value),
    }
}

/// The options that every subcommand has, those that name the target among them.
fn common() -> Vec<&'static Flag> {
    let targets = TARGETS.iter().map(|target| &target.flag).filter(|flag| !flag.name.is_empty());
    EVERYWHERE.iter().chain(targets).collect()
}

/// Every option, each name once.
fn all() -> Vec<&'static Flag> {
    let mut all = common();
    for flag in SUBCOMMANDS.iter().flat_map(|subcommand| subcommand.flags) {
        if all.iter().all(|other| other.name != flag.name) {
            all.push(flag);
        }
    }
    all
}

/// An explanation as one line.
fn one_line(about: &str) -> String {
    about.split_whitespace().collect::<Vec<&str>>().join(" ")
}

/// The names of the subcommands.
fn names() -> Vec<&'static str> {
    SUBCOMMANDS.iter().map(|subcommand| subcommand.name).collect()
}
