//! Prints what packages ship about the command line: the man page, and the completions of bash, zsh and fish.
//!
//! All of it is generated from the table that the program itself uses, so that both agree: with the feature `operator`
//! for the workstation's build, without it for the VM's, which is what packages ship. It is an example target,
//! because its dependencies must not be in the binary that user-data embeds.

mod command;
mod completions;
mod man;

use std::io::{Error, Write};
use std::process::ExitCode;

const USAGE: &str =
    "Usage: pages man DATE | bash | zsh | fish     (DATE: that of the man page, 2026-11-23)\n";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let page = match words.as_slice() {
        ["man", date] => man::page(date),
        ["bash"] => completions::bash(),
        ["zsh"] => completions::zsh(),
        ["fish"] => completions::fish(),
        _ => {
            let _ignored = std::io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(2);
        }
    };
    // A truncated page must not end up in a package.
    match page.and_then(|page| std::io::stdout().write_all(&page)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

fn failure(error: &Error) -> ExitCode {
    let _ignored = std::io::stderr().write_all(format!("pages: {error}\n").as_bytes());
    ExitCode::FAILURE
}
