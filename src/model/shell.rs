//! Quoting for a POSIX shell (Shell Command Language, section 2.2.2).
//!
//! Every text that goes into a command line for a shell, or into a script, is quoted here. The languages of
//! systemd's units and of curl's configuration differ from a shell's; their quoting stands beside their files.

/// The text as exactly one word of a command line: as it is where no shell reads anything into it, else between
/// single quotes.
///
/// Every character comes out as it went in, control characters and line breaks too. A NUL is none of them: no
/// argument of a program can hold it.
pub fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
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
    use std::process::Command;

    use super::*;

    #[test]
    fn plain_words_stay_plain() {
        for word in ["@user-data.b64", "/etc/arc-enroll/config.yaml", "http://10.0.0.1:3128", "a_b+c,d"] {
            assert_eq!(quote(word), word);
        }
        assert_eq!(quote("@my data"), "'@my data'");
        assert_eq!(quote("rg(1)"), "'rg(1)'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
        assert_eq!(single_quoted("a"), "'a'");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the host's sh is what it is held to")]
    fn a_shell_gives_every_text_to_the_program_as_one_argument() {
        let ascii: String = ('\u{1}'..='\u{7f}').collect();
        let hostile = [
            "",
            " ",
            "edge(1)",
            "it's",
            "''",
            "'\\''",
            "a\"b\"",
            "$(id) `id` $HOME ${HOME}",
            "a;b & c | d > /dev/null < e",
            "# no comment",
            "~",
            "~root",
            "* ? [a-z] {a,b}",
            "!! !$",
            "A=b",
            "line\nbreak",
            "\n",
            "ends with a line break\n\n",
            "carriage\r\treturn",
            "\u{1b}[31m\u{7}",
            "back\\slash\\",
            "-n",
            "--",
            "%s %n",
            "größe 日本 🦀",
            &ascii,
        ];
        for text in hostile {
            for word in [quote(text), single_quoted(text)] {
                // The bar behind each argument keeps line breaks at its end; "end" shows that nothing more was taken.
                let script =
                    format!("printf '%s|' \"$#\" \"$@\"\nset -- {word} end\nprintf '%s|' \"$#\" \"$@\"");
                let output = Command::new("sh").args(["-c", &script]).output().unwrap();
                assert!(output.status.success(), "{text:?}: {output:?}");
                assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("0|2|{text}|end|"), "{text:?}");
            }
        }
    }
}
