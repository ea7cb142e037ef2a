//! Parses the command line into an [`Invocation`].

mod help;
pub mod table;

pub use help::help;

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::settings::{nearest, Identity, Overrides};
use table::{Flag, Subcommand, EVERYWHERE, SUBCOMMANDS, TARGETS};

/// A parsed command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The subcommand.
    pub command: Action,
    /// The directory below which every file path is resolved.
    pub root: PathBuf,
    /// The configuration file, if named.
    pub config: Option<PathBuf>,
    /// The output format, if given.
    pub output: Option<Output>,
    /// The number of `-v` options.
    pub verbose: u8,
    /// Values from flags and environment that override the target.
    pub overrides: Overrides,
}

/// The subcommands.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make every condition hold.
    Enroll {
        /// End at once when another run is in progress.
        if_idle: bool,
    },
    /// Observe every condition.
    Doctor,
    /// Show the record of the last run and the state of azcmagent.
    Status,
    /// Print an access token.
    Token {
        /// The resource to request the token for; when absent, the configured one.
        resource: Option<String>,
        /// The identity; when absent, the configured one.
        identity: Option<Identity>,
    },
    /// Print the proxy exports.
    Env,
    /// Collect evidence for a support request.
    Bundle {
        /// The archive; `-` for standard output; when absent, a generated name.
        file: Option<PathBuf>,
    },
    /// Explain a fault.
    Explain {
        /// Its code; when absent, all faults are listed.
        code: Option<String>,
    },
    /// Check a configuration file.
    Validate {
        /// The file, given as an argument; `--config` is in the invocation.
        file: Option<PathBuf>,
    },
    /// Write user-data.
    UserData(UserData),
    /// Check the Azure side from the operator's workstation.
    Precheck {
        /// Name or id of the cloud services network.
        csn: Option<String>,
        /// Name or id of the VM.
        vm: Option<String>,
    },
    /// Show help.
    Help(Option<&'static Subcommand>),
    /// Show the version.
    Version,
}

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

/// The output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Text for people.
    Text,
    /// JSON for programs.
    Json,
}

/// An invalid command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}\nTry 'arc-enroll --help'")]
pub struct UsageError {
    message: String,
}

impl UsageError {
    fn new(message: String) -> Self {
        Self { message }
    }
}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        use lexopt::Error as E;
        Self::new(match error {
            E::MissingValue { option: Some(option) } => format!("{option} needs a value"),
            // The value is not repeated, since it may be secret.
            E::UnexpectedValue { option, .. } => format!("{option} takes no value"),
            E::NonUnicodeValue(_) => "a value is not UTF-8 text".to_owned(),
            other => other.to_string(),
        })
    }
}

/// The arguments parsed so far. Options may precede or follow the subcommand.
#[derive(Default)]
struct Read {
    subcommand: Option<&'static Subcommand>,
    argument: Option<OsString>,
    /// Options with their values, except those of the target; the last of several wins.
    given: Vec<(&'static Flag, OsString)>,
}

/// Parses the arguments, without the program's name, and reads the environment variables of the target.
///
/// # Errors
/// When the command line is invalid.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Invocation, UsageError> {
    let mut overrides = Overrides::from_environment(environment);
    let mut read = Read::default();
    let mut parser = Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        let flag = match arg {
            Arg::Short(c) => EVERYWHERE
                .iter()
                .find(|flag| flag.short == Some(c))
                .ok_or_else(|| UsageError::new(format!("unknown option -{c}")))?,
            Arg::Long(name) => find_flag(name)?,
            Arg::Value(word) => {
                read.word(word)?;
                continue;
            }
        };
        let value = if flag.value.is_empty() { OsString::new() } else { parser.value()? };
        if TARGETS.iter().any(|target| target.flag.name == flag.name) {
            overrides.set_flag(flag.name, value.string()?);
        } else {
            read.given.push((flag, value));
        }
    }
    read.finish(overrides)
}

impl Read {
    fn word(&mut self, word: OsString) -> Result<(), UsageError> {
        let text = word.to_string_lossy();
        match self.subcommand {
            None if text == "help" && !self.has("help") => {
                self.given.push((find_flag("help")?, OsString::new()))
            }
            None => {
                let named = SUBCOMMANDS.iter().find(|subcommand| subcommand.name == text);
                self.subcommand = Some(named.ok_or_else(|| unknown_command(&text))?);
            }
            Some(subcommand) if !subcommand.argument.is_empty() && self.argument.is_none() => {
                self.argument = Some(word);
            }
            Some(Subcommand { name, .. }) => {
                return Err(UsageError::new(format!("{name} does not take the argument {text:?}")))
            }
        }
        Ok(())
    }

    fn finish(self, overrides: Overrides) -> Result<Invocation, UsageError> {
        let output = self.text("output")?.map(|text| output(&text)).transpose()?;
        let config = self.path("config")?;
        let root = self.path("root")?.unwrap_or_else(|| PathBuf::from("/"));
        let command = match self.subcommand {
            of if self.has("help") => Action::Help(of),
            _ if self.has("version") => Action::Version,
            Some(subcommand) => self.command(subcommand, config.is_some())?,
            None => {
                let message = "a command is missing; on a VM it is: arc-enroll enroll";
                return Err(UsageError::new(message.to_owned()));
            }
        };
        let verbose = self.given.iter().filter(|(flag, _)| flag.name == "verbose").count();
        let verbose = u8::try_from(verbose).unwrap_or(u8::MAX);
        Ok(Invocation { command, root, config, output, verbose, overrides })
    }

    fn command(&self, subcommand: &Subcommand, has_config: bool) -> Result<Action, UsageError> {
        self.reject_foreign_options(subcommand)?;
        let file = self.argument.as_ref().map(PathBuf::from);
        Ok(match subcommand.name {
            "enroll" => Action::Enroll { if_idle: self.has("if-idle") },
            "doctor" => Action::Doctor,
            "status" => Action::Status,
            "token" => Action::Token { resource: self.text("resource")?, identity: self.identity()? },
            "env" => Action::Env,
            "explain" => Action::Explain {
                code: self.argument.as_ref().map(|code| code.to_string_lossy().into_owned()),
            },
            "bundle" => Action::Bundle { file },
            "validate" if file.is_some() && has_config => {
                let message = "validate takes one file: as its argument or by --config";
                return Err(UsageError::new(message.to_owned()));
            }
            "validate" => Action::Validate { file },
            "user-data" => Action::UserData(self.user_data()?),
            "precheck" => Action::Precheck { csn: self.text("csn")?, vm: self.text("vm")? },
            // Unreachable: a test runs every subcommand of the table.
            other => return Err(unknown_command(other)),
        })
    }

    /// The options of `user-data`, of which some exclude each other.
    fn user_data(&self) -> Result<UserData, UsageError> {
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

    /// Rejects options of other subcommands.
    fn reject_foreign_options(&self, subcommand: &Subcommand) -> Result<(), UsageError> {
        for (stray, _) in &self.given {
            let has = |of: &&Subcommand| of.flags.iter().any(|flag| flag.name == stray.name);
            if let Some(owner) = SUBCOMMANDS.iter().find(has).filter(|_| !has(&subcommand)) {
                let (owner, name) = (owner.name, subcommand.name);
                let message = format!("--{} belongs to {owner}, not to {name}", stray.name);
                return Err(UsageError::new(message));
            }
        }
        Ok(())
    }

    /// The value of an option; empty when the option takes none.
    fn value(&self, name: &str) -> Option<&OsString> {
        self.given.iter().rfind(|(flag, _)| flag.name == name).map(|(_, value)| value)
    }

    fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn text(&self, name: &str) -> Result<Option<String>, UsageError> {
        Ok(self.value(name).map(|value| value.clone().string()).transpose()?)
    }

    fn path(&self, name: &str) -> Result<Option<PathBuf>, UsageError> {
        match self.value(name) {
            Some(value) if value.is_empty() => {
                Err(UsageError::new(format!("--{name} needs a path, not an empty value")))
            }
            value => Ok(value.map(PathBuf::from)),
        }
    }

    fn identity(&self) -> Result<Option<Identity>, UsageError> {
        let Some(word) = self.text("identity")? else { return Ok(None) };
        let identity = Identity::from_word(&word);
        identity.map(Some).map_err(|fault| UsageError::new(format!("--identity: {fault}")))
    }
}

fn output(text: &str) -> Result<Output, UsageError> {
    match text {
        "text" => Ok(Output::Text),
        "json" => Ok(Output::Json),
        other => {
            let hint = did_you_mean(nearest(other, &["text", "json"]), "");
            Err(UsageError::new(format!("--output is text or json, not {other:?}{hint}")))
        }
    }
}

/// Every option; an option of several subcommands occurs several times.
fn all_flags() -> Vec<&'static Flag> {
    let mut all: Vec<&Flag> = EVERYWHERE.iter().collect();
    for target in TARGETS.iter().filter(|target| !target.flag.name.is_empty()) {
        all.push(&target.flag);
    }
    for subcommand in &SUBCOMMANDS {
        all.extend(subcommand.flags);
    }
    all
}

fn find_flag(name: &str) -> Result<&'static Flag, UsageError> {
    let flags = all_flags();
    let found = flags.iter().find(|flag| flag.name == name).copied();
    found.ok_or_else(|| {
        let names: Vec<&str> = flags.iter().map(|flag| flag.name).collect();
        UsageError::new(format!("unknown option --{name}{}", did_you_mean(nearest(name, &names), "--")))
    })
}

fn unknown_command(word: &str) -> UsageError {
    let names: Vec<&str> = SUBCOMMANDS.iter().map(|subcommand| subcommand.name).collect();
    UsageError::new(format!("unknown command {word:?}{}", did_you_mean(nearest(word, &names), "")))
}

fn did_you_mean(near: Option<&str>, dashes: &str) -> String {
    near.map(|near| format!("; did you mean {dashes}{near}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::Condition;
    use crate::settings::Cloud;
    use table::TargetOption;

    const GUID: &str = "12345678-9abc-def0-1234-56789abcdef0";

    fn run(line: &str) -> Result<Invocation, UsageError> {
        parse(line.split_whitespace().map(OsString::from), &|_| None)
    }

    fn command(line: &str) -> Action {
        run(line).expect(line).command
    }

    #[test]
    fn every_command_is_known_by_its_name() {
        for subcommand in &SUBCOMMANDS {
            let name = subcommand.name;
            assert!(run(name).is_ok(), "{name}");
            assert_eq!(command(&format!("{name} --help")), Action::Help(Some(subcommand)));
            assert_eq!(command(&format!("help {name}")), Action::Help(Some(subcommand)));
            assert!(help(None).contains(&format!("\n  {name}")));
        }
        assert_eq!(command("-h"), Action::Help(None));
        assert_eq!(command("help"), Action::Help(None));
        assert_eq!(command("-V"), Action::Version);
        assert_eq!(command("enroll --version"), Action::Version);
    }

    #[test]
    fn options_may_precede_or_follow_the_command() {
        let expected = run("enroll --config /c --root /r --output json -vv --location eastus").unwrap();
        for line in [
            "--config /c --root /r --output json -v -v --location eastus enroll",
            "--config=/c -v enroll --root=/r --output=json --verbose --location=eastus",
        ] {
            assert_eq!(run(line).unwrap(), expected, "{line}");
        }
        assert_eq!((expected.root, expected.config, expected.verbose), ("/r".into(), Some("/c".into()), 2));
        assert_eq!(expected.output, Some(Output::Json));
        assert_eq!(expected.overrides.get("azure.location").unwrap().value, "eastus");
        assert_eq!(run("enroll").unwrap().root, PathBuf::from("/"));
    }

    #[test]
    fn every_target_flag_and_environment_name_arrives() {
        for TargetOption { flag, environment, key } in &TARGETS {
            if !flag.name.is_empty() {
                let read = run(&format!("enroll --{} x", flag.name)).unwrap();
                assert_eq!(read.overrides.get(key).unwrap().value, "x");
                assert!(help(None).contains(&format!("--{} ", flag.name)), "{flag:?}");
            }
            if !environment.is_empty() {
                let given = |name: &str| (name == *environment).then(|| "y".to_owned());
                let read = parse(["enroll".into()], &given).unwrap();
                assert_eq!(read.overrides.get(key).unwrap().value, "y");
                assert!(help(None).contains(&format!("[{environment}]")), "{environment}");
            }
        }
    }

    #[test]
    fn options_of_one_command() {
        assert_eq!(command("enroll"), Action::Enroll { if_idle: false });
        assert_eq!(command("enroll --if-idle"), Action::Enroll { if_idle: true });
        let identity = Some(Identity::from_word(GUID).unwrap());
        let expected = Action::Token { resource: Some("r".to_owned()), identity };
        assert_eq!(command(&format!("token --resource r --identity {GUID}")), expected);
        assert_eq!(command(&format!("--identity {GUID} --resource r token")), expected);
        let system = Action::Token { resource: None, identity: Some(Identity::System) };
        assert_eq!(command("token --identity system"), system);
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
        assert_eq!(command("explain"), Action::Explain { code: None });
        assert_eq!(command("explain some-code"), Action::Explain { code: Some("some-code".to_owned()) });
        assert_eq!(command("bundle"), Action::Bundle { file: None });
        assert_eq!(command("bundle -"), Action::Bundle { file: Some("-".into()) });
        assert_eq!(command("validate f"), Action::Validate { file: Some("f".into()) });
        assert_eq!(command("validate --config f"), Action::Validate { file: None });
    }

    #[test]
    fn errors_name_the_cause() {
        for (line, word) in [
            ("", "a command is missing"),
            ("enrol", "did you mean enroll?"),
            ("docter", "did you mean doctor?"),
            ("userdata", "did you mean user-data?"),
            ("bundel", "did you mean bundle?"),
            ("prechek", "did you mean precheck?"),
            ("doctor --vm x", "--vm belongs to precheck, not to doctor"),
            ("enroll --locaton x", "did you mean --location?"),
            ("enroll --subscription x", "did you mean --subscription-id?"),
            ("enroll --conf x", "did you mean --config?"),
            ("enroll --zzz", "unknown option --zzz"),
            ("enroll -x", "unknown option -x"),
            ("enroll --config", "--config needs a value"),
            ("enroll --config=", "needs a path"),
            ("enroll --verbose=3", "--verbose takes no value"),
            ("enroll --output yaml", "--output is text or json"),
            ("enroll --output jsn", "did you mean json?"),
            ("enroll now", "does not take the argument \"now\""),
            ("doctor --if-idle", "--if-idle belongs to enroll, not to doctor"),
            ("enroll --gzip", "--gzip belongs to user-data, not to enroll"),
            ("--resource x doctor", "--resource belongs to token"),
            ("token --identity me", "--identity: \"me\" is none of"),
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
            ("validate a b", "does not take the argument \"b\""),
            ("validate a --config b", "one file"),
        ] {
            let error = run(line).expect_err(line).to_string();
            assert!(error.contains(word), "{line}: {error}");
            let lines: Vec<&str> = error.lines().collect();
            assert_eq!((lines.len(), lines[1]), (2, "Try 'arc-enroll --help'"), "{error}");
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_an_error_except_in_paths() {
        use std::os::unix::ffi::OsStringExt;
        let bad = || OsString::from_vec(vec![b'a', 0xff]);
        let read = |args: Vec<OsString>| parse(args, &|_| None);
        assert!(read(vec!["enroll".into(), "--config".into(), bad()]).unwrap().config.is_some());
        assert!(read(vec!["enroll".into(), "--location".into(), bad()]).is_err());
        assert!(read(vec![bad()]).is_err());
    }

    #[test]
    fn every_option_of_the_table_is_read() {
        for subcommand in &SUBCOMMANDS {
            for flag in subcommand.flags {
                let value = if flag.name == "identity" { "system" } else { "x" };
                let with = match flag.value {
                    "" => format!("{} --{}", subcommand.name, flag.name),
                    _ => format!("{} --{} {value}", subcommand.name, flag.name),
                };
                assert_ne!(command(&with), command(subcommand.name), "{with} makes no difference");
            }
        }
    }

    #[test]
    fn an_option_has_one_meaning() {
        for flag in all_flags() {
            let same = |other: &&Flag| other.name != flag.name || other.value == flag.value;
            assert!(all_flags().iter().all(same), "--{}", flag.name);
            let is_everywhere = EVERYWHERE.iter().any(|other| other == flag);
            assert!(
                !is_everywhere || all_flags().iter().filter(|other| other.name == flag.name).count() == 1
            );
        }
    }

    #[test]
    fn values_in_the_table_are_valid() {
        let cloud = TARGETS.iter().find(|target| target.flag.name == "cloud").unwrap();
        assert!(Cloud::ALL.iter().all(|known| cloud.flag.about.contains(known.name())));
        let form = EVERYWHERE.iter().find(|flag| flag.name == "output").unwrap();
        assert!(form.value.split('|').all(|form| output(form).is_ok()));
    }

    #[test]
    fn help_fits_the_terminal_and_has_an_example() {
        for text in std::iter::once(help(None)).chain(SUBCOMMANDS.iter().map(|it| help(Some(it)))) {
            assert!(text.lines().all(|line| line.chars().count() <= 80 && line.trim_end() == line), "{text}");
            assert!(text.ends_with('\n') && !text.contains("\n\n\n"));
        }
        for subcommand in &SUBCOMMANDS {
            let text = help(Some(subcommand));
            assert!(text.contains("\nExample:\n"), "{text}");
            assert!(text.starts_with(&format!("Usage: arc-enroll {}", subcommand.name)));
            assert!(subcommand.flags.iter().all(|flag| text.contains(&format!("  --{}", flag.name))));
        }
        for condition in Condition::ALL {
            let code = condition.entry().exit_code;
            assert!(help(None).contains(&format!("  {code}  {}", condition.name())), "{condition:?}");
        }
        assert!(help(None).ends_with("\n  75  not yet: waiting longer can help\n"));
    }
}
