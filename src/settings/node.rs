//! The tree that a configuration is read into: values with their lines and their source text.

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The line on which it begins, counted from 1. The value of a key may have that of the key or of its content.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// A boolean, a number or text, with its source text, without quotes.
    Scalar(Scalar, String),
    /// A list.
    List(Vec<Node>),
    /// Keys with their values, in the order of the source.
    Mapping(Vec<(Node, Node)>),
    /// A value with a tag other than those of YAML itself.
    Tagged,
}

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number in a notation of YAML.
    Number,
    /// Anything else, and all that is quoted.
    Text,
}

impl Node {
    /// The text of a scalar that is text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(Scalar::Text, text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; none for any other value.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The key and the value of an entry of a mapping.
    pub fn get(&self, key: &str) -> Option<(&Node, &Node)> {
        let (key, value) = self.entries().iter().find(|(known, _)| known.as_text() == Some(key))?;
        Some((key, value))
    }
}
