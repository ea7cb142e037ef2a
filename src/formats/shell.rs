//! Quoting for a POSIX shell (Shell Command Language, section 2.2.2), for command lines and scripts. The quoting of
//! systemd units and of curl's configuration is in `timer::units` and `host::https`.

/// Longest word without quotes, in bytes, so that it fits on a line with its option.
const LONGEST_BARE: usize = 64;

/// Quotes a text as one word; a plain and short text is not quoted.
///
/// Double quotes are preferred where no character is special in them, because a folded command can be split inside
/// double quotes, but not inside single quotes.
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

/// Quotes a text with single quotes, also where it is plain; a single quote in it becomes `'\''`.
pub fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_necessary() {
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
    #[expect(clippy::disallowed_methods, reason = "compares with the system's shell")]
    fn a_shell_reads_back_each_quoted_word() {
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
