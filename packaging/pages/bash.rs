//! The completion of bash. It needs nothing of the package bash-completion but to be found by it.

use super::table::{Flag, SUBCOMMANDS};
use super::{all, common, names, offer, offer_for, Offer};

const HEAD: &str = r#"# bash completion for arc-enroll

_arc_enroll() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local word command='' argument='' is_value='' words='' files='' i
    COMPREPLY=()
    # readline parts words at "=": --output=json is three of them.
    if [[ $cur == = ]]; then cur=''; fi
    if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then
            continue
        elif [[ $is_value ]]; then
            is_value=''
            continue
        fi
        case $word in
"#;

const MIDDLE: &str = r"        -* | help) ;;
        *) if [[ $command ]]; then argument=$word; else command=$word; fi ;;
        esac
    done
    case $prev:$cur:$command:$argument in
";

const TAIL: &str = r#"    esac
    if [[ $files ]]; then
        # Quotes what must be quoted, and gives a directory its slash.
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen "$files" -- "$cur")
    elif [[ $words ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    fi
}

complete -F _arc_enroll arc-enroll
"#;

/// The script that bash-completion loads.
pub fn completion() -> String {
    let mut text = HEAD.to_owned();
    let takes: Vec<&Flag> = all().into_iter().filter(|flag| !flag.value.is_empty()).collect();
    let patterns: Vec<String> = takes.iter().map(|flag| format!("--{}", flag.name)).collect();
    text.push_str(&format!("        {}) is_value=yes ;;\n{MIDDLE}", patterns.join(" | ")));
    // The value of an option; of most only the user knows it, and file names would mislead.
    for flag in takes {
        text.push_str(&format!("    --{}:*){} ;;\n", flag.name, action(&offer_for(flag))));
    }
    for subcommand in SUBCOMMANDS.iter().filter(|subcommand| !subcommand.flags.is_empty()) {
        let words = format!("{} {}", spelt(subcommand.flags), everywhere());
        text.push_str(&format!("    *:-*:{}:*) words='{words}' ;;\n", subcommand.name));
    }
    text.push_str(&format!("    *:-*) words='{}' ;;\n", everywhere()));
    text.push_str(&format!("    *::) words='{}' ;;\n", names().join(" ")));
    for subcommand in SUBCOMMANDS.iter().filter(|subcommand| !subcommand.argument.is_empty()) {
        let action = action(&offer(subcommand.argument));
        text.push_str(&format!("    *:{}:){action} ;;\n", subcommand.name));
    }
    text.push_str(TAIL);
    text
}

fn everywhere() -> String {
    spelt(common())
}

/// Each option with its dashes.
fn spelt<'f>(flags: impl IntoIterator<Item = &'f Flag>) -> String {
    let mut words = Vec::new();
    for flag in flags {
        words.extend(flag.short.map(|letter| format!("-{letter}")));
        words.push(format!("--{}", flag.name));
    }
    words.join(" ")
}

fn action(offer: &Offer) -> String {
    match offer {
        Offer::Files => " files=-f".to_owned(),
        Offer::Directories => " files=-d".to_owned(),
        Offer::Words(list) => format!(" words='{}'", list.join(" ")),
        Offer::Codes => {
            r#" words=$("${COMP_WORDS[0]}" explain 2>/dev/null | sed -n 's/^      \([^ ]*\) .*/\1/p')"#
                .to_owned()
        }
        Offer::Nothing => String::new(),
    }
}
