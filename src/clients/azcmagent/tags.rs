//! Encodes the value of `--tags`: `A=1,B='two words'`.

use crate::model::pairs::Pairs;

/// Encodes tags for `azcmagent connect`.
///
/// Names and values with special characters are in single quotes (connect reference). A quote or a backslash is escaped
/// outside the quotes, so that the value is also valid for azcmagent before 1.50, which has no escapes inside quotes.
pub fn encode(tags: &Pairs) -> String {
    let pairs: Vec<String> =
        tags.iter().map(|(name, value)| format!("{}={}", quote(name), quote(value))).collect();
    pairs.join(",")
}

fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '@');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => quoted.push_str("'\\''"),
            '\\' => quoted.push_str("'\\\\'"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes the value; `inside` tells whether a backslash is an escape inside quotes.
    fn decode(text: &str, inside: bool) -> Pairs {
        let (mut tags, mut name, mut word) = (Pairs::default(), None, String::new());
        let (mut quoted, mut chars) = (false, text.chars());
        while let Some(c) = chars.next() {
            match c {
                '\\' if !quoted || inside => word.extend(chars.next()),
                '\'' => quoted = !quoted,
                '=' if !quoted && name.is_none() => name = Some(std::mem::take(&mut word)),
                ',' if !quoted => {
                    tags.set(name.take().unwrap(), std::mem::take(&mut word));
                }
                other => word.push(other),
            }
        }
        if let Some(name) = name {
            tags.set(name, word);
        }
        tags
    }

    #[test]
    fn tags_decode_to_the_original_with_and_without_escapes_inside_quotes() {
        let tags: Pairs = [
            ("site", "Zürich"),
            ("two words", "a, b=c"),
            ("quote", "it's \"here\""),
            ("back\\slash", "\\'\\,"),
            ("empty", ""),
            ("日本", "東京, 港区"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        let text = encode(&tags);
        assert_eq!(decode(&text, true), tags, "{text}");
        assert_eq!(decode(&text, false), tags, "{text}");
    }

    #[test]
    fn plain_tags_are_not_quoted() {
        let tags = Pairs::from_iter([("env".to_owned(), "prod-1".to_owned())]);
        assert_eq!(encode(&tags), "env=prod-1");
        assert_eq!(encode(&Pairs::default()), "");
    }
}
