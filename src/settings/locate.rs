//! Finds the line of a key in the YAML source, and the source text of its value.
//!
//! The YAML parser reports a location only with an error. So the document is deserialized along the path of the key,
//! and a visitor returns an error at the key or list entry. The parser thereby handles block and flow style, quotes,
//! comments and anchors.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step of a path to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// Into the value of this key.
    Key(String),
    /// Into this entry of a list, counted from 0.
    Entry(usize),
}

/// The line of the last step of the path, counted from 1.
///
/// When only the beginning of the path exists, the line of the last existing step.
pub fn find_line(text: &str, path: &[PathStep]) -> Option<usize> {
    (1..=path.len()).rev().find_map(|length| exact_line(text, path.get(..length)?))
}

fn exact_line(text: &str, path: &[PathStep]) -> Option<usize> {
    let walk = Walk { path, goal: Goal::Place };
    match walk.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(_) => None,
        Err(error) if error.to_string().contains(FOUND) => error.location().map(|place| place.line()),
        Err(_) => None,
    }
}

/// The source text of the scalar at the end of the path: `1.50` stays `1.50`.
pub fn find_scalar_text(text: &str, path: &[PathStep]) -> Option<String> {
    let walk = Walk { path, goal: Goal::Text };
    walk.deserialize(serde_yaml::Deserializer::from_str(text)).ok().flatten()
}

/// The first duplicate key of a mapping, and the line of its second occurrence.
pub fn find_duplicate_key(text: &str) -> Option<(String, usize)> {
    let error = AnyValue { stop: false }.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    let message = error.to_string();
    let key = message.split(FOUND).nth(1)?;
    Some((key.to_owned(), error.location()?.line()))
}

/// The text of the error that marks a match; it holds a character that YAML does not allow.
const FOUND: &str = "\u{1}found\u{1}";

#[derive(Clone, Copy)]
enum Goal {
    Place,
    Text,
}

#[derive(Clone, Copy)]
struct Walk<'p> {
    path: &'p [PathStep],
    goal: Goal,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.path.first() {
            Some(PathStep::Key(_)) => deserializer.deserialize_map(self),
            Some(PathStep::Entry(_)) => deserializer.deserialize_seq(self),
            None => deserializer.deserialize_str(Scalar).map(Some),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((PathStep::Key(wanted), rest)) = self.path.split_first() else { return Ok(None) };
        let stop = rest.is_empty() && matches!(self.goal, Goal::Place);
        let mut found = None;
        while let Some(matches) = map.next_key_seed(KeyPath { wanted, stop })? {
            if matches && found.is_none() {
                found = map.next_value_seed(Walk { path: rest, goal: self.goal })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let Some((PathStep::Entry(wanted), rest)) = self.path.split_first() else { return Ok(None) };
        for _ in 0..*wanted {
            if entries.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = if rest.is_empty() && matches!(self.goal, Goal::Place) {
            entries.next_element_seed(AnyValue { stop: true })?;
            None
        } else {
            entries.next_element_seed(Walk { path: rest, goal: self.goal })?.flatten()
        };
        while entries.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

/// Compares a key with the wanted one; with `stop`, a match is reported as an error.
struct KeyPath<'p> {
    wanted: &'p str,
    stop: bool,
}

impl<'de> DeserializeSeed<'de> for KeyPath<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyPath<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.stop => Err(E::custom(FOUND)),
            matches => Ok(matches),
        }
    }
}

/// Accepts any value and reports a duplicate key as an error; with `stop`, the value itself.
#[derive(Clone, Copy)]
struct AnyValue {
    stop: bool,
}

impl AnyValue {
    fn accept<E: Error>(self) -> Result<(), E> {
        match self.stop {
            true => Err(E::custom(FOUND)),
            false => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! accept_scalars {
    ($($visit:ident($type:ty)),+) => {$(
        fn $visit<E: Error>(self, _: $type) -> Result<(), E> {
            self.accept()
        }
    )+};
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    accept_scalars!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.accept()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.accept()?;
        while entries.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.accept()?;
        let mut seen = Vec::new();
        while map.next_key_seed(NewKey(&mut seen))?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

struct NewKey<'s>(&'s mut Vec<String>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if self.0.iter().any(|known| known == key) {
            return Err(E::custom(format!("{FOUND}{key}{FOUND}")));
        }
        self.0.push(key.to_owned());
        Ok(())
    }
}

/// Deserializes any scalar as text.
struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dotted: &str) -> Vec<PathStep> {
        dotted
            .split('.')
            .map(|step| step.parse().map_or_else(|_| PathStep::Key(step.to_owned()), PathStep::Entry))
            .collect()
    }

    fn line_of(text: &str, dotted: &str) -> Option<usize> {
        find_line(text, &path(dotted))
    }

    const BLOCK: &str = "\
# azure: not here
azure:
  # location: nor here
  note: 'azure: location: nor here'
  text: |
    location: nor here
    tags:
  location: eastus   # location
  \"resource_group\": rg
  'tenant_id':
    null
  tags: {a: 1,
     b: 2, \"c d\": [x, y]}
proxy:
  no_proxy:
  - localhost
  # between
  - 127.0.0.1
  -
    ::1
agent: {install: never, token: file}
";

    #[test]
    fn keys_in_block_flow_quotes_and_comments() {
        let cases = [
            ("azure", 2),
            ("azure.note", 4),
            ("azure.location", 8),
            ("azure.resource_group", 9),
            ("azure.tenant_id", 10),
            ("azure.tags", 12),
            ("azure.tags.a", 12),
            ("azure.tags.b", 13),
            ("azure.tags.c d", 13),
            ("azure.tags.c d.1", 13),
            ("proxy.no_proxy.0", 16),
            ("proxy.no_proxy.1", 18),
            ("proxy.no_proxy.2", 20),
            ("agent.token", 21),
        ];
        for (dotted, expected) in cases {
            assert_eq!(line_of(BLOCK, dotted), Some(expected), "{dotted}");
        }
    }

    #[test]
    fn a_missing_key_has_the_line_of_its_parent() {
        assert_eq!(line_of(BLOCK, "azure.nothing"), Some(2));
        assert_eq!(line_of(BLOCK, "proxy.no_proxy.9"), Some(15));
        assert_eq!(line_of(BLOCK, "nothing.at.all"), None);
        assert_eq!(line_of("", "azure"), None);
    }

    #[test]
    fn windows_lines_anchors_and_documents() {
        assert_eq!(line_of("a: 1\r\nb:\r\n  c: 2\r\n", "b.c"), Some(3));
        assert_eq!(line_of("---\na: &x {k: 1}\nb: *x\nc: 3\n", "c"), Some(4));
        assert_eq!(line_of("a: [1, {b: 2},\n {c: 3}]\n", "a.2.c"), Some(2));
    }

    #[test]
    fn duplicate_keys() {
        assert_eq!(find_duplicate_key("a: 1\nb:\n  c: 1\n  d: 2\n  'c': 3\n"), Some(("c".to_owned(), 5)));
        assert_eq!(find_duplicate_key("a: {x: 1, x: 2}"), Some(("x".to_owned(), 1)));
        assert_eq!(find_duplicate_key("a: {x: 1}\nb: {x: 1}\nc: [{x: 1}, {x: 2}, ~, 1.5, true, -1]\n"), None);
        assert_eq!(find_duplicate_key(""), None);
    }

    #[test]
    fn scalars_keep_their_source_text() {
        let text = "a: 1.50\nb: [0x10, true, 007]\nc: \"1.0\"\nd: {e: 1_000}\nf: [x]\n";
        let cases =
            [("a", "1.50"), ("b.0", "0x10"), ("b.1", "true"), ("b.2", "007"), ("c", "1.0"), ("d.e", "1_000")];
        for (dotted, expected) in cases {
            assert_eq!(find_scalar_text(text, &path(dotted)).as_deref(), Some(expected), "{dotted}");
        }
        assert_eq!(find_scalar_text(text, &path("f")), None);
        assert_eq!(find_scalar_text(text, &path("z")), None);
    }
}
