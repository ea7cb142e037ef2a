//! Tags: Azure's limits, and the text form that azcmagent's `--tags` has.

use super::values::shown;
use crate::model::pairs::Pairs;

/// Most tags on one resource.
pub const MOST: usize = 50;

/// What is wrong with a tag, if anything.
pub fn check(name: &str, value: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a tag has no name".to_owned());
    }
    if let Some(c) = name.chars().find(|c| "<>%&\\?/".contains(*c) || c.is_control()) {
        return Err(format!(
            "the tag name {} holds {c:?}; Azure refuses < > % & \\ ? / and control characters",
            shown(name)
        ));
    }
    let lower = name.to_lowercase();
    if let Some(prefix) = ["azure", "microsoft", "windows"].into_iter().find(|p| lower.starts_with(p)) {
        return Err(format!(
            "the tag name {} begins with {prefix}, which Azure keeps for itself",
            shown(name)
        ));
    }
    let (name_length, value_length) = (name.chars().count(), value.chars().count());
    if name_length > 512 {
        return Err(format!("a tag name has {name_length} characters; Azure takes 512 at most"));
    }
    if value_length > 256 {
        return Err(format!(
            "the value of tag {} has {value_length} characters; Azure takes 256 at most",
            shown(name)
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("the value of tag {} holds a line break or control character", shown(name)));
    }
    Ok(())
}

/// What is wrong with tags taken together, if anything.
pub fn check_all(tags: &Pairs) -> Result<(), String> {
    if tags.len() > MOST {
        return Err(format!("holds {} tags; Azure takes {MOST} at most", tags.len()));
    }
    let mut names: Vec<(String, &String)> = tags.keys().map(|name| (name.to_lowercase(), name)).collect();
    names.sort();
    let same = names.windows(2).find_map(|pair| match pair {
        [(a, first), (b, second)] if a == b => Some((first, second)),
        _ => None,
    });
    match same {
        Some((a, b)) => {
            Err(format!("{} and {} are one name to Azure, which ignores case", shown(a), shown(b)))
        }
        None => Ok(()),
    }
}

/// Reads `A=1,B='two words',C=a\,b`: single quotes around what holds commas or spaces, a backslash
/// before a character that is meant as it is.
pub fn parse(text: &str) -> Result<Pairs, String> {
    let mut tags = Pairs::default();
    let mut pair = Pair::default();
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => pair.push_exactly(characters.next().ok_or("ends in a backslash that escapes nothing")?),
            '\'' => {
                quoted = !quoted;
                pair.mark_quote();
            }
            ',' if !quoted => std::mem::take(&mut pair).finish(&mut tags)?,
            '=' if !quoted && pair.value.is_none() => pair.value = Some(TagPart::default()),
            _ if quoted => pair.push_exactly(c),
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

/// Text of which outer spaces do not count unless they were quoted or escaped.
#[derive(Default)]
struct TagPart {
    text: String,
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

    fn push_exactly(&mut self, c: char) {
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
            return Err(format!("{} is not NAME=VALUE; tags are written A=1,B='two words'", shown(&name)));
        };
        let value = value.finish();
        check(&name, &value)?;
        if tags.get(&name).is_some() {
            return Err(format!("names the tag {} twice", shown(&name)));
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
    fn the_text_form() {
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
    fn wrong_text_forms() {
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
