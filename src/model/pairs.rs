//! A small ordered map of strings, for tags and environment variables.

use serde::{Serialize, Serializer};

/// Values by unique name, sorted by name.
///
/// A sorted vector, since the maps are small and it adds a tenth of the code of `BTreeMap` to the binary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Sets the value of a name, replacing an earlier one.
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

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text)
    }

    /// Whether the name has a value.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().map(|(name, text)| (name, text))
    }

    /// The names, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// If a name occurs several times, the last value is kept.
impl FromIterator<(String, String)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut all = Self::default();
        pairs.into_iter().for_each(|(name, text)| all.set(name, text));
        all
    }
}

/// Serialized as a mapping.
impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_the_last_value_is_kept() {
        let given = [("b", "1"), ("a", "2"), ("b", "3")].map(|(n, t)| (n.to_owned(), t.to_owned()));
        let pairs: Pairs = given.into_iter().collect();
        assert_eq!(serde_json::to_string(&pairs).unwrap(), r#"{"a":"2","b":"3"}"#);
        assert_eq!((pairs.len(), pairs.is_empty(), pairs.contains_key("c")), (2, false, false));
        assert_eq!(pairs.get("b").map(String::as_str), Some("3"));
        assert_eq!(pairs.keys().collect::<Vec<_>>(), ["a", "b"]);
    }
}
