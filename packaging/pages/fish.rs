//! The completion of fish.

use super::table::{Flag, SUBCOMMANDS};
use super::{common, names, offer, offer_for, one_line, Offer};

/// The list of `complete` commands.
pub fn completion() -> String {
    let mut text = "# fish completion for arc-enroll\n\ncomplete -c arc-enroll -f\n".to_owned();
    // Not __fish_use_subcommand: it takes the value of an option in front for the subcommand.
    let none_yet = format!("not __fish_seen_subcommand_from {}", names().join(" "));
    for subcommand in &SUBCOMMANDS {
        let summary = quoted(subcommand.summary);
        text.push_str(&format!(
            "complete -c arc-enroll -n '{none_yet}' -a {} -d '{summary}'\n",
            subcommand.name
        ));
    }
    for flag in common() {
        text.push_str(&format!("complete -c arc-enroll{}\n", option(flag)));
    }
    for subcommand in &SUBCOMMANDS {
        let start = format!("complete -c arc-enroll -n '__fish_seen_subcommand_from {}'", subcommand.name);
        for flag in subcommand.flags {
            text.push_str(&format!("{start}{}\n", option(flag)));
        }
        let argument = action(&offer(subcommand.argument));
        if !subcommand.argument.is_empty() && !argument.is_empty() {
            text.push_str(&format!("{start}{argument}\n"));
        }
    }
    text
}

fn option(flag: &Flag) -> String {
    let letter = flag.short.map(|letter| format!(" -s {letter}")).unwrap_or_default();
    let value = match (flag.value, offer_for(flag)) {
        ("", _) => String::new(),
        (_, Offer::Files) => " -r -F".to_owned(),
        (_, other) => format!(" -x{}", action(&other)),
    };
    format!("{letter} -l {}{value} -d '{}'", flag.name, quoted(&one_line(flag.about)))
}

fn action(offer: &Offer) -> String {
    match offer {
        Offer::Files => " -F".to_owned(),
        Offer::Directories => " -a '(__fish_complete_directories)'".to_owned(),
        Offer::Words(list) => format!(" -a '{}'", list.join(" ")),
        Offer::Codes => {
            " -a '(arc-enroll explain 2>/dev/null | string match -rg \"^ {6}(\\S+)\")'".to_owned()
        }
        Offer::Nothing => String::new(),
    }
}

/// Inside of single quotes.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
