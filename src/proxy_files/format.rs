//! A file format: parses a text into assignments, and renders the desired settings.

use super::no_proxy::{self, merge_no_proxy};
use super::variables::DesiredProxy;

/// The format of a proxy file.
pub struct Format {
    /// Parses the names and values that a text sets, in file order.
    pub(super) parse: fn(&str) -> Vec<(String, String)>,
    /// The names whose value is a NO_PROXY list; empty when the format has no such list.
    pub(super) no_proxy_names: &'static [&'static str],
    /// Renders the complete content of a file; `None` when the file is not needed.
    pub(super) render: fn(&RenderInput<'_>) -> Result<Option<String>, UnwritableValue>,
}

impl Format {
    /// The NO_PROXY lists of a text.
    pub(super) fn no_proxy_values(&self, text: &str) -> Vec<String> {
        let pairs = (self.parse)(text).into_iter();
        pairs
            .filter(|(name, _)| self.no_proxy_names.contains(&name.as_str()))
            .map(|(_, value)| value)
            .collect()
    }
}

/// The content of another file, with its format.
pub(super) struct OtherText<'a> {
    pub format: &'static Format,
    pub text: &'a str,
}

impl OtherText<'_> {
    /// Every name and value that the file sets, in file order.
    pub fn assignments(&self) -> Vec<(String, String)> {
        (self.format.parse)(self.text)
    }
}

/// The input for rendering a file.
pub(super) struct RenderInput<'a> {
    /// The path, for error messages.
    pub path: &'static str,
    pub desired: &'a DesiredProxy,
    /// The current content; `None` when the file does not exist.
    pub existing: Option<&'a str>,
    /// The other files that the content depends on, in the order of the list.
    pub others: &'a [OtherText<'a>],
}

impl RenderInput<'_> {
    /// The current content; empty when the file does not exist.
    pub fn text(&self) -> &str {
        self.existing.unwrap_or_default()
    }

    /// The value of NO_PROXY: the entries of this file, those of the other files, then the required ones.
    pub fn no_proxy(&self, own: &[String]) -> String {
        let others = self.others.iter().flat_map(|other| other.format.no_proxy_values(other.text));
        let additional = no_proxy::additional_entries(others, &self.desired.no_proxy);
        let existing: Vec<&str> = own.iter().chain(&additional).map(String::as_str).collect();
        merge_no_proxy(&existing, &self.desired.no_proxy)
    }

    /// Checks that the syntax of the file can express a value.
    ///
    /// # Errors
    /// When the value holds a control character or one of `refused`.
    pub fn check(
        &self,
        what: &'static str,
        value: &str,
        refused: &[(char, &'static str)],
    ) -> Result<(), UnwritableValue> {
        let path = self.path;
        if value.chars().any(|c| c.is_control()) {
            return Err(UnwritableValue { path, what, character: "a control character" });
        }
        match refused.iter().find(|(c, _)| value.contains(*c)) {
            Some((_, character)) => Err(UnwritableValue { path, what, character }),
            None => Ok(()),
        }
    }
}

/// A value that the syntax of a file cannot express.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} holds {character}, which {path} cannot express; write it percent-encoded")]
pub struct UnwritableValue {
    /// The path of the file.
    pub path: &'static str,
    /// The name of the variable or option.
    pub what: &'static str,
    /// The name of the character, for messages.
    pub character: &'static str,
}
