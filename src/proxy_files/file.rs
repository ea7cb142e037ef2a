//! A proxy file, and the edit that corrects it.

use std::fmt;

use super::format::{Format, OtherText, RenderInput, UnwritableValue};
use super::variables::DesiredProxy;
use crate::model::pairs::Pairs;

/// When a file is relevant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// On every Linux; the file is created when it is missing.
    Always,
    /// Where this directory exists; the file is created when it is missing.
    Directory(&'static str),
    /// Where the file itself exists.
    File,
}

/// When a change of a file takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// At the next run of the program, which reads the file each time.
    AtNextUse,
    /// At the next login; open sessions keep their values.
    AtNextLogin,
    /// After `systemctl daemon-reexec`, for services that start afterwards (systemd-system.conf(5)).
    ManagerReexec,
}

/// Other files that the content of a proxy file depends on.
pub struct OtherFiles {
    /// A path; its last component may hold one `*`, which matches one or more characters except a slash.
    pub pattern: &'static str,
    /// The format of these files.
    pub format: &'static Format,
}

impl OtherFiles {
    pub(super) fn matches(&self, path: &str) -> bool {
        match self.pattern.split_once('*') {
            None => self.pattern == path,
            Some((before, after)) => path
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|middle| !middle.is_empty() && !middle.contains('/')),
        }
    }
}

/// The content of one file.
#[derive(Clone, Copy)]
pub struct FileText<'a> {
    /// Its path on the VM, without the directory of `--root`.
    pub path: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// A proxy file.
pub struct ProxyFile {
    /// The path.
    pub path: &'static str,
    /// When the file is relevant.
    pub presence: Presence,
    /// The programs that read it, for messages.
    pub readers: &'static str,
    /// When a change takes effect.
    pub takes_effect: TakesEffect,
    /// The format to parse and render it.
    pub format: &'static Format,
    /// The files that `edit` depends on.
    pub others: &'static [OtherFiles],
}

impl fmt::Debug for ProxyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

/// Compares paths, which are unique in the list.
impl PartialEq for ProxyFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for ProxyFile {}

impl ProxyFile {
    /// The edit that corrects this file, or nothing when it is correct already.
    ///
    /// `others` may hold any files; those that this file does not look at are ignored.
    ///
    /// # Errors
    ///
    /// When the settings hold a character that the file's syntax cannot express.
    pub fn edit(
        &'static self,
        desired: &DesiredProxy,
        existing: Option<&str>,
        others: &[FileText<'_>],
    ) -> Result<Option<Edit>, UnwritableValue> {
        let others = self.in_order(others);
        let input = RenderInput { path: self.path, desired, existing, others: &others };
        let content = (self.format.render)(&input)?;
        Ok(content.filter(|content| existing != Some(content.as_str())).map(|content| Edit {
            file: self,
            content,
            private: self.private(desired),
        }))
    }

    /// The relevant files in the order of `others`, so that the result does not depend on the order of the argument.
    fn in_order<'a>(&self, others: &[FileText<'a>]) -> Vec<OtherText<'a>> {
        let ranked = others.iter().filter_map(|other| Some((self.find_other(other.path)?, *other)));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_key(|((rank, _), other)| (*rank, other.path));
        let texts = ranked.into_iter();
        texts.map(|((_, entry), other)| OtherText { format: entry.format, text: other.text }).collect()
    }

    /// The first entry of `others` that matches a path, with its position; the file itself is excluded.
    fn find_other(&self, path: &str) -> Option<(usize, &'static OtherFiles)> {
        let mut entries = self.others.iter().enumerate();
        entries.find(|(_, entry)| path != self.path && entry.matches(path))
    }

    /// Whether `edit` depends on the file with this path.
    pub fn looks_at(&self, path: &str) -> bool {
        self.find_other(path).is_some()
    }

    /// The settings in a text of this file: the last value of each name. Values may hold credentials.
    pub fn values(&self, text: &str) -> Pairs {
        (self.format.parse)(text).into_iter().collect()
    }

    /// Whether the file holds credentials and must be readable by root only.
    pub fn private(&self, desired: &DesiredProxy) -> bool {
        desired.has_credentials && desired.url.is_some()
    }
}

/// A correction of a proxy file.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub file: &'static ProxyFile,
    /// Its complete new content.
    pub content: String,
    /// Whether the content holds credentials, so that the file must be readable by root only.
    pub private: bool,
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = if self.private { "***" } else { self.content.as_str() };
        f.debug_struct("Edit")
            .field("path", &self.file.path)
            .field("content", &content)
            .finish_non_exhaustive()
    }
}
