//! A file that holds proxy settings, and the edit that corrects it.

use std::fmt;

use super::format::{Format, OtherText, RenderInput, UnwritableValue};
use super::variables::DesiredProxy;
use crate::model::pairs::Pairs;

/// When a file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// On every Linux; the file is created when it is missing.
    Always,
    /// Where this directory exists; the file is created when it is missing.
    Directory(&'static str),
    /// Where the file itself exists.
    File,
}

/// When a change has reached every reader of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// The program reads the file each time it runs.
    AtNextUse,
    /// Sessions that are open keep what they have.
    AtNextLogin,
    /// After `systemctl daemon-reexec`, for services that start afterwards (systemd-system.conf(5)).
    ManagerReexec,
}

/// Other files that a proxy file takes into account.
pub struct OtherFiles {
    /// A path; its last component may hold one `*`, which stands for one or more characters but no slash.
    pub pattern: &'static str,
    /// How these files are parsed.
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
    /// Its path on the VM, without the root directory that a test may set.
    pub path: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// A file that holds proxy settings: everything that is known about it.
pub struct ProxyFile {
    /// The file.
    pub path: &'static str,
    /// When it counts.
    pub presence: Presence,
    /// Who reads it, for messages.
    pub readers: &'static str,
    /// When a change has reached its readers.
    pub takes_effect: TakesEffect,
    /// How it is parsed and rendered.
    pub format: &'static Format,
    /// Files whose content `edit` needs.
    pub others: &'static [OtherFiles],
}

impl fmt::Debug for ProxyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

/// No two files of the list have the same path.
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

    /// The files that count here, in the list's order, so that the result does not depend on the caller's.
    fn in_order<'a>(&self, others: &[FileText<'a>]) -> Vec<OtherText<'a>> {
        let ranked = others.iter().filter_map(|other| Some((self.entry_of(other.path)?, *other)));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_key(|((rank, _), other)| (*rank, other.path));
        let texts = ranked.into_iter();
        texts.map(|((_, entry), other)| OtherText { format: entry.format, text: other.text }).collect()
    }

    /// The first entry of `others` that a path matches, with its position; the file itself is none of them.
    fn entry_of(&self, path: &str) -> Option<(usize, &'static OtherFiles)> {
        let mut entries = self.others.iter().enumerate();
        entries.find(|(_, entry)| path != self.path && entry.matches(path))
    }

    /// Whether `edit` needs the file of this path.
    pub fn looks_at(&self, path: &str) -> bool {
        self.entry_of(path).is_some()
    }

    /// What a text of this file sets, as its readers understand it: the last value of each name. Values may hold
    /// credentials.
    pub fn values(&self, text: &str) -> Pairs {
        (self.format.parse)(text).into_iter().collect()
    }

    /// Whether the file holds a credential, so that only root may read it, even when its content is correct.
    pub fn private(&self, desired: &DesiredProxy) -> bool {
        desired.has_credentials && desired.url.is_some()
    }
}

/// What has to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub file: &'static ProxyFile,
    /// Its whole new content.
    pub content: String,
    /// Whether the content holds a credential, so that only root may read the file.
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
