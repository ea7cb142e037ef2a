//! The user's own user-data, as one part of a multi-part message.
//!
//! It is passed on unchanged. Only a cloud-config is parsed, to find what would make cloud-init drop content;
//! `write_files` is the only key that is merged with ours.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde_yaml::Value;

use super::UserDataError;

/// First lines by which cloud-init detects the kind of user-data; a longer prefix precedes a shorter one.
const KINDS: [(&str, &str); 9] = [
    ("#cloud-config-archive", "text/cloud-config-archive"),
    ("#cloud-config-jsonp", CLOUD_CONFIG_PATCH),
    ("#cloud-config", CLOUD_CONFIG),
    ("#cloud-boothook", "text/cloud-boothook"),
    ("#include-once", "text/x-include-once-url"),
    ("#include", "text/x-include-url"),
    ("#part-handler", "text/part-handler"),
    ("## template: jinja", "text/jinja2"),
    ("#!", "text/x-shellscript"),
];

const CLOUD_CONFIG: &str = "text/cloud-config";
const CLOUD_CONFIG_PATCH: &str = "text/cloud-config-jsonp";

/// Bytes at the beginning of a text in which cloud-init searches for `MIME-Version:`.
const HEADERS_WITHIN: usize = 4096;

/// Characters of the first line that a message shows.
const FIRST_LINE_LENGTH: usize = 60;

/// The user's text with the headers of a part; `ours` are the files that our part creates.
///
/// # Errors
/// When cloud-init would ignore the text, or drop or overwrite a file of either side.
pub(super) fn part(text: &str, ours: &[&'static str]) -> Result<String, UserDataError> {
    // cloud-init does not recognize a first line after a byte order mark, which some editors write.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(kind) = detect_kind(text) else {
        if is_message(text) {
            // The headers of the message become the headers of the part.
            return Ok(text.to_owned());
        }
        return Err(UserDataError::UnknownKind { first_line: first_line(text) });
    };
    if kind == CLOUD_CONFIG {
        check(text, ours)?;
    }
    let (encoding, body) = if is_ascii_text(text) {
        ("7bit", text.to_owned())
    } else {
        // cloud-init decodes bytes above 127 in a message incorrectly unless they are encoded.
        ("base64", wrap_lines(&STANDARD.encode(text)))
    };
    Ok(format!(
        "Content-Type: {kind}; charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: {encoding}\n\n{body}"
    ))
}

/// The content type that cloud-init detects.
fn detect_kind(text: &str) -> Option<&'static str> {
    let start = text.trim_start();
    let begins_with = |prefix: &str| {
        start.get(..prefix.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix))
    };
    KINDS.iter().find(|(prefix, _)| begins_with(prefix)).map(|(_, kind)| *kind)
}

/// Whether the text is a MIME message, the form of multi-part user-data.
fn is_message(text: &str) -> bool {
    let beginning: Vec<u8> = text.bytes().take(HEADERS_WITHIN).map(|b| b.to_ascii_lowercase()).collect();
    String::from_utf8_lossy(&beginning).contains("mime-version:")
}

fn first_line(text: &str) -> String {
    text.trim_start().lines().next().unwrap_or_default().chars().take(FIRST_LINE_LENGTH).collect()
}

fn is_ascii_text(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'\n' | b'\t' | b' '..=b'~'))
}

/// Base64 in lines of 76 characters, as in MIME messages.
fn wrap_lines(base64: &str) -> String {
    let mut lines = String::with_capacity(base64.len() + base64.len() / 64);
    for (index, character) in base64.chars().enumerate() {
        if index > 0 && index % 76 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines.push('\n');
    lines
}

/// Checks a cloud-config for what would make cloud-init drop it, or drop or overwrite a file of either side.
fn check(text: &str, ours: &[&'static str]) -> Result<(), UserDataError> {
    let mut config: Value = serde_yaml::from_str(text).map_err(|e| UserDataError::Yaml(e.to_string()))?;
    // Keys may come from an anchor by `<<`; cloud-init reports invalid ones.
    if config.apply_merge().is_err() {
        return Ok(());
    }
    let keys = match &config {
        Value::Mapping(keys) => keys,
        Value::Null => return Ok(()),
        _ => return Err(UserDataError::NotKeys),
    };
    let files = match keys.get("write_files") {
        None => return Ok(()),
        Some(Value::Sequence(files)) => files,
        Some(other) => return Err(UserDataError::WriteFilesNotAList { found: describe_type(other) }),
    };
    for file in files {
        let Some(path) = file.get("path").and_then(Value::as_str) else { continue };
        if let Some(path) = ours.iter().find(|ours| normalize_path(path) == normalize_path(ours)) {
            return Err(UserDataError::Conflict { path });
        }
    }
    Ok(())
}

/// The components of a path, without `.`, `..` and repeated slashes.
fn normalize_path(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            _ => names.push(name),
        }
    }
    names
}

fn describe_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Mapping(_) => "a set of keys",
        _ => "a single value",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BINARY_PATH, CONFIGURATION_PATH};
    use super::*;

    fn part(text: &str) -> Result<String, UserDataError> {
        super::part(text, &[CONFIGURATION_PATH, BINARY_PATH])
    }

    fn body(part: &str) -> &str {
        part.split_once("\n\n").expect("headers end with an empty line").1
    }

    #[test]
    fn known_kinds_are_passed_on_unchanged() {
        let texts = [
            ("#cloud-config\nruncmd: [date]\nmode: 0644\non: yes", CLOUD_CONFIG),
            ("#Cloud-Config\n", CLOUD_CONFIG),
            ("\n  #cloud-config\n{}", CLOUD_CONFIG),
            ("#!/bin/sh\nexit 3", "text/x-shellscript"),
            ("## template: jinja\n#cloud-config\nx: {{ v1.region }}\n", "text/jinja2"),
            ("#cloud-config-archive\n- '#!/bin/sh'\n", "text/cloud-config-archive"),
            ("#cloud-boothook\necho\n", "text/cloud-boothook"),
            ("#include\nhttp://10.0.0.1/x\n", "text/x-include-url"),
            ("#include-once\nhttp://10.0.0.1/x\n", "text/x-include-once-url"),
        ];
        for (text, kind) in texts {
            let part = part(text).unwrap();
            assert!(part.starts_with(&format!("Content-Type: {kind};")), "{part}");
            assert_eq!(body(&part), text);
        }
    }

    #[test]
    fn a_message_becomes_a_part_with_its_own_headers() {
        let text = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b--\n";
        assert_eq!(part(text).unwrap(), text);
    }

    #[test]
    fn text_beyond_ascii_is_encoded() {
        for text in ["#cloud-config\nx: grüße\n", "#cloud-config\r\nx: 1\r\n", "#!/bin/sh\necho \u{1b}[0m"]
        {
            let part = part(text).unwrap();
            assert!(part.contains("\nContent-Transfer-Encoding: base64\n"));
            let joined: String = body(&part).split_whitespace().collect();
            assert_eq!(STANDARD.decode(joined).unwrap(), text.as_bytes());
            assert!(part.lines().all(|line| line.len() <= 76));
        }
    }

    #[test]
    fn a_byte_order_mark_is_removed() {
        assert_eq!(body(&part("\u{feff}#cloud-config\n{}\n").unwrap()), "#cloud-config\n{}\n");
    }

    #[test]
    fn unknown_kinds_are_rejected() {
        for text in ["", "runcmd: [date]\n", "# comment\n#cloud-config\n", "hello"] {
            assert!(matches!(part(text), Err(UserDataError::UnknownKind { .. })), "{text}");
        }
        let error = part("runcmd: [date]\n").unwrap_err().to_string();
        assert!(error.contains("\"runcmd: [date]\"") && error.contains("#cloud-config"), "{error}");
    }

    #[test]
    fn unmergeable_cloud_configs_are_rejected() {
        let refused = |text: &str| part(text).unwrap_err();
        assert!(matches!(refused("#cloud-config\na: [1\n"), UserDataError::Yaml(_)));
        assert!(matches!(refused("#cloud-config\na: 1\na: 2\n"), UserDataError::Yaml(_)));
        assert!(matches!(refused("#cloud-config\n- a\n"), UserDataError::NotKeys));
        assert!(matches!(
            refused("#cloud-config\nwrite_files:\n"),
            UserDataError::WriteFilesNotAList { found: "empty" }
        ));
        assert!(matches!(
            refused("#cloud-config\nwrite_files: {a: 1}\n"),
            UserDataError::WriteFilesNotAList { .. }
        ));
    }

    #[test]
    fn a_file_of_both_sides_is_a_conflict() {
        let texts = [
            "write_files: [{path: /etc/arc-enroll/config.yaml}]",
            "write_files:\n- path: /x\n- {content: a, path: \"/etc//arc-enroll/../arc-enroll/./config.yaml\"}",
            "a: &p /etc/arc-enroll/config.yaml\nwrite_files: [{path: *p}]",
            "a: &f {path: /etc/arc-enroll/config.yaml}\nwrite_files: [{<<: *f, content: x}]",
        ];
        for text in texts {
            let error = part(&format!("#cloud-config\n{text}\n")).unwrap_err();
            assert!(matches!(error, UserDataError::Conflict { path: CONFIGURATION_PATH }), "{text}: {error}");
        }
        let binary = "#cloud-config\nwrite_files: [{path: /usr/local/bin/arc-enroll}]\n";
        assert!(matches!(part(binary), Err(UserDataError::Conflict { path: BINARY_PATH })));
        assert!(super::part(binary, &[CONFIGURATION_PATH]).is_ok(), "where we do not write it, they may");
    }

    #[test]
    fn ordinary_cloud_configs_are_accepted() {
        let texts = [
            "# only a comment",
            "write_files: []",
            "write_files:\n- encoding: gzip\n  content: !!binary |\n    H4sIAIDb/U8C\n  path: /usr/bin/hello\n  permissions: 0755",
            "write_files: [{path: /etc/arc-enroll/other.yaml}, plain, {content: no path}]",
            "a: &a {b: 1}\nc: {<<: *a}",
            "on: off\ntime: 12:30:45\nnumber: 1_000\nempty: ~",
            "---\nruncmd:\n- [sh, -c, 'echo \"{{\"']\n...",
        ];
        for text in texts {
            let text = format!("#cloud-config\n{text}\n");
            assert_eq!(body(&part(&text).unwrap()), text);
        }
    }
}
