//! Builds JSON objects from names and values.
//!
//! It replaces `json!`, which expands to much machine code for every member.

use serde::Serialize;
use serde_json::{Map, Value};

/// A value of an object member: every type that serde can serialize.
pub trait Member {
    /// The value; null where JSON cannot represent it, such as a map with numeric keys.
    fn value(&self) -> Value;
}

impl<T: Serialize> Member for T {
    fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// An object of these names and their members; the last of two equal names wins. They are apart, because a list of
/// names is a constant.
pub fn object_of(names: &[&str], members: &[&dyn Member]) -> Value {
    let mut object = Map::new();
    for (name, member) in names.iter().zip(members) {
        object.insert((*name).to_owned(), member.value());
    }
    Value::Object(object)
}

/// A list of these values; it takes a dyn iterator so that it is compiled only once.
pub fn list(values: &mut dyn Iterator<Item = Value>) -> Value {
    Value::Array(values.collect())
}

/// [`object_of`] in JSON syntax: `object! { "name": name, "vm": object! { "id": id } }`.
macro_rules! object {
    ($($name:literal: $value:expr),* $(,)?) => {
        $crate::formats::json::object_of(&[$($name),*], &[$(&$value),*])
    };
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn the_macro_builds_the_same_value_as_json() {
        let (text, list) = ("a\"\n".to_owned(), [object! { "x": 1 }]);
        let made = object! { "t": text, "n": None::<u8>, "b": true, "l": list, "e": object! {} };
        assert_eq!(made, json!({ "t": "a\"\n", "n": null, "b": true, "l": [{ "x": 1 }], "e": {} }));
        assert_eq!(object! { "a": 1, "a": 2 }, json!({ "a": 2 }));
    }
}
