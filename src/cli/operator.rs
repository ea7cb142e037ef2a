//! The options of the workstation's subcommands.

use std::path::PathBuf;

use super::{Read, UsageError};

/// The options of `user-data`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserData {
    /// Write the base64 string for Azure.
    pub base64: bool,
    /// Compress the user-data.
    pub gzip: bool,
    /// The user's own user-data to include.
    pub include: Option<PathBuf>,
    /// The URL from which the VM fetches the binary; when absent, the user-data embeds it.
    pub fetch_url: Option<String>,
    /// SHA-256 of the binary at the URL; when absent, that of the VM's program.
    pub fetch_sha256: Option<String>,
    /// Neither embed nor fetch the binary, since it is already installed.
    pub without_binary: bool,
    /// The VM's program; when absent, the one that this program carries.
    pub agent: Option<PathBuf>,
}

impl Read {
    /// The options of `user-data`, of which some exclude each other.
    pub(super) fn user_data(&self) -> Result<UserData, UsageError> {
        let wanted = UserData {
            base64: self.has("base64"),
            gzip: self.has("gzip"),
            include: self.path("include")?,
            fetch_url: self.text("fetch-url")?,
            fetch_sha256: self.text("fetch-sha256")?,
            without_binary: self.has("without-binary"),
            agent: self.path("agent")?,
        };
        let exclusive =
            [["fetch-url", "without-binary"], ["agent", "without-binary"], ["agent", "fetch-sha256"]];
        match exclusive.into_iter().find(|both| both.iter().all(|name| self.has(name))) {
            Some([one, other]) => Err(UsageError::new(format!("--{one} and --{other} exclude each other"))),
            None => Ok(wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{help, parse, table, Action, Invocation};
    use super::*;

    fn run(line: &str) -> Result<Invocation, UsageError> {
        parse(line.split_whitespace().map(Into::into), &|_| None)
    }

    fn command(line: &str) -> Action {
        run(line).expect(line).command
    }

    #[test]
    fn options_of_the_workstation() {
        let include = Some(PathBuf::from("f"));
        assert_eq!(
            command("user-data --gzip --include f"),
            Action::UserData(UserData { gzip: true, include, ..UserData::default() })
        );
        assert_eq!(
            command("user-data --base64"),
            Action::UserData(UserData { base64: true, ..UserData::default() })
        );
        let (fetch_url, fetch_sha256) = (Some("u".to_owned()), Some("d".to_owned()));
        assert_eq!(
            command("user-data --fetch-url u --fetch-sha256 d"),
            Action::UserData(UserData { fetch_url, fetch_sha256, ..UserData::default() })
        );
        assert_eq!(
            command("user-data --agent f"),
            Action::UserData(UserData { agent: Some("f".into()), ..UserData::default() })
        );
        assert_eq!(
            command("user-data --without-binary"),
            Action::UserData(UserData { without_binary: true, ..UserData::default() })
        );
        let (csn, vm) = (Some("c".to_owned()), Some("v".to_owned()));
        assert_eq!(command("precheck --csn c --vm=v"), Action::Precheck { csn, vm });
    }

    #[test]
    fn errors_name_the_cause() {
        for (line, word) in [
            ("doctor --vm x", "--vm belongs to precheck, not to doctor"),
            ("enroll --gzip", "--gzip belongs to user-data, not to enroll"),
            (
                "user-data --fetch-url u --without-binary",
                "--fetch-url and --without-binary exclude each other",
            ),
            ("user-data --agent f --without-binary", "--agent and --without-binary exclude each other"),
            (
                "user-data --agent f --fetch-url u --fetch-sha256 d",
                "--agent and --fetch-sha256 exclude each other",
            ),
            ("user-data --agent=", "--agent needs a path"),
            ("enroll --fetch-url u", "--fetch-url belongs to user-data, not to enroll"),
        ] {
            let error = run(line).expect_err(line).to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn the_build_of_the_vm_knows_the_names() {
        for name in table::ON_WORKSTATION {
            assert!(table::SUBCOMMANDS.iter().any(|subcommand| subcommand.name == name), "{name}");
        }
        assert!(!help(None).contains("with the build for it"));
    }
}
