//! Quoting for a POSIX shell (Shell Command Language, section 2.2.2): every text that goes into a command line for a
//! shell, or into a script. The languages of systemd's units and of curl's configuration differ; their quoting stands
//! beside their files.

/// Longest word that stands without quotes where it is plain: with its option it fits on a line.
const LONGEST_BARE: usize = 64;

/// The text as one word: as it is where it is plain and short, else in quotes.
///
/// Double quotes are preferred where nothing in them is special, because a command that is folded may be parted
/// inside double quotes, and not inside single ones.
pub fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:+,=%".contains(c);
    let is_special = |c: char| matches!(c, '"' | '$' | '`' | '\\' | '!' | '\n');
    if !text.is_empty() && text.len() <= LONGEST_BARE && text.chars().all(is_plain) {
        text.to_owned()
    } else if !text.contains(is_special) {
        format!("\"{text}\"")
    } else {
        single_quoted(text)
    }
}

/// The text between single quotes, also where it needs none; a single quote within stands outside of them, escaped.
pub fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_they_need_it() {
        for (text, word) in [
            ("vm-7", "vm-7"),
            ("", "\"\""),
            ("edge(1)", "\"edge(1)\""),
            ("[{'a':'b'}]", "\"[{'a':'b'}]\""),
            ("$(id)", "'$(id)'"),
            ("it's $5", r"'it'\''s $5'"),
        ] {
            assert_eq!(quote(text), word);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the system's own shell is what the words are held to")]
    fn a_shell_reads_each_word_as_it_was() {
        for text in [
            "",
            "vm-7",
            "-rf",
            "edge(1)",
            "two  words ",
            "it's",
            "''",
            "say \"hi\"",
            "$(id) `id` $HOME ${HOME}",
            "a;id&&id||id|id&",
            ">a <b 2>&1",
            "line\nbreak\n",
            "tab\tand\rreturn",
            "\\ \\\\ \\' \\\"",
            "* ? [a] {a,b} ~ #a !a =a",
            "/a/ü…\u{202e}",
        ] {
            let script = format!("printf '%s\\0' {}", quote(text));
            let ran = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&ran.stdout), format!("{text}\0"), "{script}");
            assert!(ran.status.success() && ran.stderr.is_empty(), "{script}");
        }
    }
}
