//! Parses `/etc/os-release` (os-release(5)), shell-like assignments.
//!
//! A custom parser is used because a malformed line must not invalidate the others.

/// The fields of os-release that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// Id of the distribution, such as `debian`; `linux` where it is missing (os-release(5)).
    pub id: String,
    /// Ids of similar distributions, nearest first.
    pub id_like: Vec<String>,
    /// Its version, such as `22.04`.
    pub version_id: Option<String>,
    /// The version's code name, such as `bookworm`.
    pub version_codename: Option<String>,
    /// Display name.
    pub pretty_name: Option<String>,
}

impl OsRelease {
    /// Parses the text of the file; malformed lines are ignored.
    pub fn parse(text: &str) -> Self {
        let mut found = Self { id: "linux".to_owned(), ..Self::default() };
        for (name, value) in text.lines().filter_map(assignment) {
            match name {
                "ID" => found.id = value.to_ascii_lowercase(),
                "ID_LIKE" => {
                    found.id_like = value.split_whitespace().map(str::to_ascii_lowercase).collect();
                }
                "VERSION_ID" => found.version_id = Some(value),
                "VERSION_CODENAME" => found.version_codename = Some(value),
                "PRETTY_NAME" => found.pretty_name = Some(value),
                _ => {}
            }
        }
        found
    }

    /// The display name, else id and version.
    pub fn display_name(&self) -> String {
        match (&self.pretty_name, &self.version_id) {
            (Some(name), _) => name.clone(),
            (None, Some(version)) => format!("{} {version}", self.id),
            (None, None) => self.id.clone(),
        }
    }
}

fn assignment(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    let value = unquoted(value);
    (!value.is_empty()).then_some((name.trim_end(), value))
}

/// Removes quotes, and backslashes as a shell does.
fn unquoted(value: &str) -> String {
    if let Some(inner) = value.strip_prefix('\'') {
        return inner.strip_suffix('\'').unwrap_or(inner).to_owned();
    }
    let inner = match value.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None => value,
    };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        plain.push(if c == '\\' { characters.next().unwrap_or(c) } else { c });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_debian_is_parsed() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        let found = OsRelease::parse(text);
        assert_eq!((found.id.as_str(), found.version_id.as_deref()), ("debian", Some("12")));
        assert_eq!(found.version_codename.as_deref(), Some("bookworm"));
        assert_eq!(found.display_name(), "Debian GNU/Linux 12 (bookworm)");
    }

    #[test]
    fn quotes_escapes_comments_and_an_empty_file_are_parsed() {
        let found = OsRelease::parse("# ID=x\nID='Rocky'\r\nID_LIKE=\"rhel  centos fedora\"\nPRETTY_NAME=\"a \\\"b\\\"\"\nVERSION_ID=\nodd\n");
        assert_eq!(found.id, "rocky");
        assert_eq!(found.id_like, ["rhel", "centos", "fedora"]);
        assert_eq!(found.pretty_name.as_deref(), Some("a \"b\""));
        assert_eq!(found.version_id, None);
        assert_eq!(OsRelease::parse("").display_name(), "linux");
    }
}
