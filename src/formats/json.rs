//! JSON objects by name and value.
//!
//! In place of `json!`, which expands to a screen of machine code for every member.

use serde::Serialize;
use serde_json::{Map, Value};

/// What may be a member of an object: all that serde can write.
pub trait Member {
    /// The value; null for what JSON cannot hold, such as a map by numbers, of which there is none here.
    fn value(&self) -> Value;
}

impl<T: Serialize> Member for T {
    fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// An object of these members; of two with one name the last one holds.
pub fn object_of(members: &[(&str, &dyn Member)]) -> Value {
    let mut object = Map::new();
    for (name, member) in members {
        object.insert((*name).to_owned(), member.value());
    }
    Value::Object(object)
}

/// [`object_of`], written as JSON is: `object! { "name": name, "vm": object! { "id": id } }`.
macro_rules! object {
    ($($name:literal: $value:expr),* $(,)?) => {
        $crate::formats::json::object_of(&[$(($name, &$value)),*])
    };
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn it_is_what_the_macro_of_serde_json_makes() {
        let (text, list) = ("a\"\n".to_owned(), [object! { "x": 1 }]);
        let made = object! { "t": text, "n": None::<u8>, "b": true, "l": list, "e": object! {} };
        assert_eq!(made, json!({ "t": "a\"\n", "n": null, "b": true, "l": [{ "x": 1 }], "e": {} }));
        assert_eq!(object! { "a": 1, "a": 2 }, json!({ "a": 2 }));
    }
}
