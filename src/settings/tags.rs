//! Tags: Azure's limits, and the notation of azcmagent's `--tags`.

use super::values::excerpt;
use crate::model::pairs::Pairs;

/// Maximum number of tags on one resource (Azure Resource Manager, tag limitations).
pub const MAX_TAGS: usize = 50;

/// Validates one tag.
///
/// # Errors
/// The limit of Azure that the tag violates.
pub fn check(name: &str, value: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a tag has no name".to_owned());
    }
    if let Some(c) = name.chars().find(|c| "<>%&\\?/".contains(*c) || c.is_control()) {
        return Err(format!(
            "the tag name {} holds {c:?}; Azure refuses < > % & \\ ? / and control characters",
            excerpt(name)
        ));
    }
    let lower = name.to_lowercase();
    if let Some(prefix) = ["azure", "microsoft", "windows"].into_iter().find(|p| lower.starts_with(p)) {
        return Err(format!("the tag name {} begins with {prefix}, which Azure reserves", excerpt(name)));
    }
    let (name_length, value_length) = (name.chars().count(), value.chars().count());
    if name_length > 512 {
        return Err(format!("a tag name has {name_length} characters; Azure takes 512 at most"));
    }
    if value_length > 256 {
        return Err(format!(
            "the value of tag {} has {value_length} characters; Azure takes 256 at most",
            excerpt(name)
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("the value of tag {} holds a line break or control character", excerpt(name)));
    }
    Ok(())
}

/// Validates the tags of one resource together.
///
/// # Errors
/// When there are too many tags, or two names differ in case only.
pub fn check_all(tags: &Pairs) -> Result<(), String> {
    if tags.len() > MAX_TAGS {
        return Err(format!("holds {} tags; Azure takes {MAX_TAGS} at most", tags.len()));
    }
    let mut names: Vec<(String, &String)> = tags.keys().map(|name| (name.to_lowercase(), name)).collect();
    names.sort();
    let same = names.windows(2).find_map(|pair| match pair {
        [(a, first), (b, second)] if a == b => Some((first, second)),
        _ => None,
    });
    match same {
        Some((a, b)) => {
            Err(format!("{} and {} are the same name, since Azure ignores case", excerpt(a), excerpt(b)))
        }
        None => Ok(()),
    }
}

/// Parses `A=1,B='two words',C=a\,b`: single quotes enclose commas and spaces, a backslash escapes one character.
///
/// # Errors
/// When the notation is invalid, or a tag violates a limit of Azure.
pub fn parse(text: &str) -> Result<Pairs, String> {
    let mut tags = Pairs::default();
    let mut pair = Pair::default();
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => pair.push_literal(characters.next().ok_or("ends in a backslash that escapes nothing")?),
            '\'' => {
                quoted = !quoted;
                pair.mark_quote();
            }
            ',' if !quoted => std::mem::take(&mut pair).finish(&mut tags)?,
            '=' if !quoted && pair.value.is_none() => pair.value = Some(TagPart::default()),
            _ if quoted => pair.push_literal(c),
            _ => pair.push(c),
        }
    }
    if quoted {
        return Err("has a quote ' that is not closed; a literal one is written \\'".to_owned());
    }
    if !text.trim().is_empty() {
        pair.finish(&mut tags)?;
    }
    check_all(&tags)?;
    Ok(tags)
}

/// A name or value; leading and trailing spaces are trimmed unless they were quoted or escaped.
#[derive(Default)]
struct TagPart {
    text: String,
    /// Length of `text` in bytes that is not trimmed.
    kept: usize,
}

#[derive(Default)]
struct Pair {
    name: TagPart,
    value: Option<TagPart>,
}

impl TagPart {
    fn finish(mut self) -> String {
        let plain_end = self.text.trim_end().len().max(self.kept);
        self.text.truncate(plain_end);
        self.text
    }
}

impl Pair {
    fn part(&mut self) -> &mut TagPart {
        self.value.as_mut().unwrap_or(&mut self.name)
    }

    fn push(&mut self, c: char) {
        let part = self.part();
        if !(c.is_whitespace() && part.text.is_empty() && part.kept == 0) {
            part.text.push(c);
        }
    }

    fn push_literal(&mut self, c: char) {
        let part = self.part();
        part.text.push(c);
        part.kept = part.text.len();
    }

    fn mark_quote(&mut self) {
        let part = self.part();
        part.kept = part.text.len();
    }

    fn finish(self, tags: &mut Pairs) -> Result<(), String> {
        let name = self.name.finish();
        let Some(value) = self.value else {
            return Err(format!("{} is not NAME=VALUE; tags are written A=1,B='two words'", excerpt(&name)));
        };
        let value = value.finish();
        check(&name, &value)?;
        if tags.get(&name).is_some() {
            return Err(format!("names the tag {} twice", excerpt(&name)));
        }
        tags.set(name, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().iter().map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    #[test]
    fn tags_parse_from_text() {
        let cases: [(&str, &[(&str, &str)]); 10] = [
            ("", &[]),
            ("  ", &[]),
            ("A=1", &[("A", "1")]),
            ("A=1,B='two words'", &[("A", "1"), ("B", "two words")]),
            (" A = 1 , B = x y ", &[("A", "1"), ("B", "x y")]),
            (r"A=a\,b\'c\\d", &[("A", r"a,b'c\d")]),
            ("'a name'=' v, w=1 '", &[("a name", " v, w=1 ")]),
            ("A=,B=''", &[("A", ""), ("B", "")]),
            ("A=x=y", &[("A", "x=y")]),
            ("Größe='Ä €'", &[("Größe", "Ä €")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            assert_eq!(pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn invalid_text_is_rejected() {
        for text in [
            "A",
            "A=1,",
            ",A=1",
            "A='x",
            r"A=x\",
            "=1",
            "A=1,A=2",
            "A=1,a=2",
            "a<b=1",
            "Azure-x=1",
            "A=1,,B=2",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits() {
        assert!(check(&"n".repeat(512), &"v".repeat(256)).is_ok());
        assert!(check(&"ä".repeat(512), &"€".repeat(256)).is_ok());
        assert!(check(&"n".repeat(513), "").is_err());
        assert!(check("n", &"v".repeat(257)).is_err());
        assert!(check("cost:center+1*", "<any>&value?").is_ok());
        let many = |count: usize| (0..count).map(|n| (format!("n{n}"), String::new())).collect();
        assert!(check_all(&many(50)).is_ok());
        assert!(check_all(&many(51)).is_err());
    }
}
