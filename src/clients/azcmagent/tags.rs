//! The text form of `--tags`: `A=1,B='two words'`.

use crate::model::pairs::Pairs;

/// Tags as `azcmagent connect` takes them.
///
/// Names and values with anything special stand in single quotes (connect reference). A quote or a backslash
/// stands outside the quotes behind a backslash, which reads the same whether or not the reader knows escapes
/// inside quotes (it does since 1.50).
pub fn encode(tags: &Pairs) -> String {
    let pairs: Vec<String> =
        tags.iter().map(|(name, value)| format!("{}={}", word(name), word(value))).collect();
    pairs.join(",")
}

fn word(text: &str) -> String {
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

    /// Reads the form back; `inside` says whether a backslash escapes inside quotes too.
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
    fn any_tag_arrives_as_written_with_either_reader() {
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
    fn plain_tags_stay_plain() {
        let tags = Pairs::from_iter([("env".to_owned(), "prod-1".to_owned())]);
        assert_eq!(encode(&tags), "env=prod-1");
        assert_eq!(encode(&Pairs::default()), "");
    }
}
