//! Names and their texts: tags, variables.

use serde::{Serialize, Serializer};

/// Texts by name, each name once, in the order of the names.
///
/// There are few of them, and a sorted list is a tenth of the code of std's map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Sets a name's text, in place of the one that it had.
    pub fn set(&mut self, name: String, text: String) {
        match self.0.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = text;
                }
            }
            Err(at) => self.0.insert(at, (name, text)),
        }
    }

    /// A name's text.
    pub fn get(&self, name: &str) -> Option<&String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text)
    }

    /// Whether there is this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and texts, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().map(|(name, text)| (name, text))
    }

    /// The names, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(name, _)| name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of several texts for a name the last one holds.
impl FromIterator<(String, String)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut all = Self::default();
        pairs.into_iter().for_each(|(name, text)| all.set(name, text));
        all
    }
}

/// As a mapping.
impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sorted_and_the_last_text_of_a_name_holds() {
        let given = [("b", "1"), ("a", "2"), ("b", "3")].map(|(n, t)| (n.to_owned(), t.to_owned()));
        let pairs: Pairs = given.into_iter().collect();
        assert_eq!(serde_json::to_string(&pairs).unwrap(), r#"{"a":"2","b":"3"}"#);
        assert_eq!((pairs.len(), pairs.is_empty(), pairs.contains_key("c")), (2, false, false));
        assert_eq!(pairs.get("b").map(String::as_str), Some("3"));
        assert_eq!(pairs.keys().collect::<Vec<_>>(), ["a", "b"]);
    }
}
