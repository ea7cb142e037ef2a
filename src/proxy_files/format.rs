//! A file format: how a text is parsed into assignments, and how the desired settings are rendered.

use super::no_proxy::{self, merge_no_proxy};
use super::variables::DesiredProxy;

/// How a kind of file is parsed and rendered.
pub struct Format {
    /// Every name and value that a text of this format sets, in its order.
    pub(super) parse: fn(&str) -> Vec<(String, String)>,
    /// The names whose value is a NO_PROXY list; none where the format has no such list.
    pub(super) no_proxy_names: &'static [&'static str],
    /// The whole new content of a file, or nothing when the file is not needed.
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

/// The content of another file, with the format to parse it with.
pub(super) struct OtherText<'a> {
    pub format: &'static Format,
    pub text: &'a str,
}

impl OtherText<'_> {
    /// Every name and value that the file sets, in its order.
    pub fn assignments(&self) -> Vec<(String, String)> {
        (self.format.parse)(self.text)
    }
}

/// What a file is rendered from.
pub(super) struct RenderInput<'a> {
    /// The file, for error messages.
    pub path: &'static str,
    pub desired: &'a DesiredProxy,
    /// The current content; none when there is no file.
    pub existing: Option<&'a str>,
    /// The other files that the rendering takes into account, in the order of the list.
    pub others: &'a [OtherText<'a>],
}

impl RenderInput<'_> {
    /// The current content; empty when there is no file.
    pub fn text(&self) -> &str {
        self.existing.unwrap_or_default()
    }

    /// The value of NO_PROXY: the file's own entries, those of the other files, then the required ones.
    pub fn no_proxy(&self, own: &[String]) -> String {
        let others = self.others.iter().flat_map(|other| other.format.no_proxy_values(other.text));
        let elsewhere = no_proxy::elsewhere(others, &self.desired.no_proxy);
        let existing: Vec<&str> = own.iter().chain(&elsewhere).map(String::as_str).collect();
        merge_no_proxy(&existing, &self.desired.no_proxy)
    }

    /// An error when a value holds a character that the file's syntax cannot express.
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

/// A value that a file's syntax has no way to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} holds {character}, which {path} cannot express; write it percent-encoded")]
pub struct UnwritableValue {
    /// The file.
    pub path: &'static str,
    /// Which value: a variable's or an option's name.
    pub what: &'static str,
    /// The character, named so that it can be shown.
    pub character: &'static str,
}
