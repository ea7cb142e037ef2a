//! The completions that clap_complete generates, with additions for bash and fish.

use std::io::Error;

use arc_enroll::catalogue;
use arc_enroll::cli::table::SUBCOMMANDS;
use clap::Command;
use clap_complete::{generate, Generator, Shell};

use super::command::{program, whole, NAME};

/// Two additions to the generated function of bash: it parses `--output=json`, which readline splits at "=", as an
/// option with its value, and it completes files only for the subcommands whose argument is a file.
const BASH: &str = r#"
_arc_enroll_words() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=$3
    if [[ $cur == = ]]; then
        cur=''
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    _arc_enroll "$1" "$cur" "$prev"
    case " ${COMP_WORDS[*]:1:COMP_CWORD-1} " in
    @FILES@) [[ ${COMPREPLY[*]} ]] || compopt -o default ;;
    esac
}

complete -F _arc_enroll_words arc-enroll
"#;

/// The script that bash-completion loads.
pub fn bash() -> Result<Vec<u8>, Error> {
    // clap_complete 4.6 spells a dash in the name of the program in two ways and then finds no subcommand.
    let script = generate_script(Shell::Bash, whole(), &NAME.replace('-', "_"))?;
    let (functions, _registration) =
        script.rsplit_once("\nif [[ ").ok_or_else(|| Error::other("bash: nothing is registered"))?;
    let patterns: Vec<String> = with_argument("FILE").map(|name| format!("*' {name} '*")).collect();
    Ok([functions, &BASH.replace("@FILES@", &patterns.join(" | "))].concat().into_bytes())
}

/// The function `_arc-enroll`, as a file in a directory of `$fpath`.
pub fn zsh() -> Result<Vec<u8>, Error> {
    Ok(generate_script(Shell::Zsh, whole(), NAME)?.into_bytes())
}

/// The list of `complete` commands. clap_complete offers no values for options before a subcommand, so those options are
/// generated separately; and it lets fish offer files for every argument, which is turned off here.
pub fn fish() -> Result<Vec<u8>, Error> {
    let subcommands = whole().mut_args(|arg| arg.global(false));
    let mut script = generate_script(Shell::Fish, subcommands, NAME)?;
    script.push_str(&generate_script(Shell::Fish, program(), NAME)?);
    let mut add = |line: String| script.push_str(&format!("complete -c {NAME} {line}\n"));
    add("-f".to_owned());
    let using = "__fish_arc_enroll_using_subcommand";
    for name in with_argument("FILE") {
        add(format!("-n '{using} {name}' -F"));
    }
    let codes: Vec<&str> = catalogue::all().map(|kind| kind.code).collect();
    for name in with_argument("CODE") {
        add(format!("-n '{using} {name}' -a '{}'", codes.join(" ")));
    }
    Ok(script.into_bytes())
}

fn generate_script(shell: impl Generator, mut command: Command, name: &str) -> Result<String, Error> {
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    String::from_utf8(script).map_err(Error::other)
}

/// The subcommands whose argument has this placeholder.
fn with_argument(kind: &str) -> impl Iterator<Item = &'static str> + '_ {
    SUBCOMMANDS.iter().filter(move |subcommand| subcommand.argument == kind).map(|subcommand| subcommand.name)
}
