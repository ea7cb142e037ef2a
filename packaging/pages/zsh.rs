//! The completion of zsh, as its function `_arguments` reads it.

use super::table::{Flag, SUBCOMMANDS};
use super::{common, offer, offer_for, one_line, Offer};

const CODES: &str = r#"_arc_enroll_codes() {
  local list
  local -a codes
  list=$(_call_program codes $_arc_enroll_program explain 2>/dev/null | sed -n 's/^      \([^ ]*\) .*/\1/p')
  codes=(${(f)list})
  compadd -a codes
}
"#;

/// The function `_arc-enroll`, as a file in a directory of `$fpath`.
pub fn completion() -> String {
    let mut text = "#compdef arc-enroll\n\n".to_owned();
    text.push_str(CODES);
    text.push_str("\nlocal context state state_descr line _arc_enroll_program=$words[1]\n");
    text.push_str("typeset -A opt_args\nlocal -a commands everywhere\n\ncommands=(\n");
    for subcommand in &SUBCOMMANDS {
        let summary = quoted(&subcommand.summary.replace(':', "\\:"));
        text.push_str(&format!("  '{}:{summary}'\n", subcommand.name));
    }
    text.push_str(")\neverywhere=(\n");
    for flag in common() {
        text.push_str(&format!("  {}\n", spec(flag)));
    }
    text.push_str(
        ")\n\n_arguments -C -S $everywhere '1:command:->command' '*::argument:->argument' && return\n\n",
    );
    text.push_str("case $state in\ncommand) _describe command commands ;;\nargument)\n  case $words[1] in\n");
    for subcommand in &SUBCOMMANDS {
        let mut arguments: Vec<String> = subcommand.flags.iter().map(spec).collect();
        if !subcommand.argument.is_empty() {
            let (shown, action) = (subcommand.argument, action(&offer(subcommand.argument)));
            arguments.push(format!("'1:{shown}:{action}'"));
        }
        let arguments: String = arguments.iter().map(|argument| format!(" {argument}")).collect();
        text.push_str(&format!("  {}) _arguments -S $everywhere{arguments} ;;\n", subcommand.name));
    }
    text.push_str("  esac\n  ;;\nesac\n");
    text
}

/// `'--config=[settings]:FILE:_files'`, and both spellings where there is a letter.
fn spec(flag: &Flag) -> String {
    let about = one_line(flag.about).replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
    let about = quoted(&about);
    let name = flag.name;
    if let Some(letter) = flag.short {
        // More than once makes sense for -v alone.
        let others = if letter == 'v' { "*".to_owned() } else { format!("(-{letter} --{name})") };
        return format!("'{others}'{{-{letter},--{name}}}'[{about}]'");
    }
    match flag.value {
        "" => format!("'--{name}[{about}]'"),
        value => format!("'--{name}=[{about}]:{}:{}'", value.replace('|', " or "), action(&offer_for(flag))),
    }
}

fn action(offer: &Offer) -> String {
    match offer {
        Offer::Files => "_files".to_owned(),
        Offer::Directories => "_files -/".to_owned(),
        Offer::Words(list) => format!("({})", list.join(" ")),
        Offer::Codes => "_arc_enroll_codes".to_owned(),
        // A message says what is expected.
        Offer::Nothing => " ".to_owned(),
    }
}

/// Inside of single quotes.
fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''")
}
