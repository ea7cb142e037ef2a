//! The command line: arguments in, an [`Invocation`] out.

mod help;

pub use help::help;

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::settings::{nearest, Identity, Overrides, FLAGS};

/// What one run of the program is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The subcommand.
    pub command: Command,
    /// Every file path is taken below it.
    pub root: PathBuf,
    /// The configuration file, when one is named.
    pub config: Option<PathBuf>,
    /// The form of the output, when one is asked for.
    pub output: Option<Output>,
    /// How often `-v` was given.
    pub verbose: u8,
    /// What flags and environment say about the target.
    pub overrides: Overrides,
}

/// The subcommands.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Make every condition hold.
    Enroll {
        /// Only if no other run is at work.
        if_idle: bool,
    },
    /// Observe every condition.
    Doctor,
    /// Show the last run's record and azcmagent's state.
    Status,
    /// Print an access token.
    Token {
        /// What the token is for; the configured resource when absent.
        resource: Option<String>,
        /// Whose token; the configured identity when absent.
        identity: Option<Identity>,
    },
    /// Print the proxy exports.
    Env,
    /// Collect what support asks for.
    Bundle {
        /// The archive; `-` for standard output, a name of its own when absent.
        file: Option<PathBuf>,
    },
    /// Explain a fault.
    Explain {
        /// Its code; the list of all when absent.
        code: Option<String>,
    },
    /// Check a configuration file.
    Validate {
        /// The file, given as an argument; `--config` is in the invocation.
        file: Option<PathBuf>,
    },
    /// Write user-data.
    UserData {
        /// Write it as the base64 string that Azure takes.
        base64: bool,
        /// Compress the whole.
        gzip: bool,
        /// Cloud-config of the user's own to join in.
        include: Option<PathBuf>,
    },
    /// Show help.
    Help(Option<Topic>),
    /// Show the version.
    Version,
}

/// The forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A subcommand by its name, which is also its help topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// `enroll`
    Enroll,
    /// `doctor`
    Doctor,
    /// `status`
    Status,
    /// `token`
    Token,
    /// `env`
    Env,
    /// `explain`
    Explain,
    /// `bundle`
    Bundle,
    /// `validate`
    Validate,
    /// `user-data`
    UserData,
}

impl Topic {
    /// Every subcommand, in the order of the help.
    pub const ALL: [Self; 9] = [
        Self::Enroll,
        Self::Doctor,
        Self::Status,
        Self::Token,
        Self::Env,
        Self::Explain,
        Self::Bundle,
        Self::Validate,
        Self::UserData,
    ];

    /// The subcommand as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enroll => "enroll",
            Self::Doctor => "doctor",
            Self::Status => "status",
            Self::Token => "token",
            Self::Env => "env",
            Self::Explain => "explain",
            Self::Bundle => "bundle",
            Self::Validate => "validate",
            Self::UserData => "user-data",
        }
    }

    /// The long options that only this subcommand has.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Enroll => &["if-idle"],
            Self::Token => &["resource", "identity"],
            Self::UserData => &["base64", "gzip", "include"],
            _ => &[],
        }
    }
}

/// The long options of every subcommand, besides [`FLAGS`].
const EVERYWHERE: [&str; 6] = ["config", "output", "verbose", "help", "version", "root"];

/// A command line that cannot be followed.
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
            // The value is left out: it may be what should not be seen.
            E::UnexpectedValue { option, .. } => format!("{option} takes no value"),
            E::NonUnicodeValue(_) => "a value is not UTF-8 text".to_owned(),
            other => other.to_string(),
        })
    }
}

/// What has been read so far; options may stand before and behind the subcommand.
#[derive(Default)]
struct Read {
    topic: Option<Topic>,
    argument: Option<OsString>,
    config: Option<PathBuf>,
    root: Option<PathBuf>,
    output: Option<Output>,
    verbose: u8,
    help: bool,
    version: bool,
    own: Own,
}

/// The options that belong to one subcommand, and their names as far as given.
#[derive(Default)]
struct Own {
    given: Vec<&'static str>,
    resource: Option<String>,
    identity: Option<Identity>,
    include: Option<PathBuf>,
}

/// Reads the arguments (without the program's name) and the environment names of the target.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Invocation, UsageError> {
    let mut overrides = Overrides::from_environment(environment);
    let mut read = Read::default();
    let mut parser = Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') => read.help = true,
            Arg::Short('V') => read.version = true,
            Arg::Short('v') => read.verbose = read.verbose.saturating_add(1),
            Arg::Short(c) => return Err(UsageError::new(format!("unknown option -{c}"))),
            Arg::Long(name) => {
                let name = name.to_owned();
                read.long(&name, &mut parser, &mut overrides)?;
            }
            Arg::Value(word) => read.word(word)?,
        }
    }
    read.finish(overrides)
}

impl Read {
    fn long(&mut self, name: &str, parser: &mut Parser, overrides: &mut Overrides) -> Result<(), UsageError> {
        match name {
            "help" => self.help = true,
            "version" => self.version = true,
            "verbose" => self.verbose = self.verbose.saturating_add(1),
            "config" => self.config = Some(path("--config", parser)?),
            "root" => self.root = Some(path("--root", parser)?),
            "output" => self.output = Some(output(&parser.value()?.string()?)?),
            "resource" => {
                self.own.resource = Some(parser.value()?.string()?);
                self.own.given.push("resource");
            }
            "identity" => {
                let identity = Identity::from_word(&parser.value()?.string()?);
                self.own.identity =
                    Some(identity.map_err(|fault| UsageError::new(format!("--identity: {fault}")))?);
                self.own.given.push("identity");
            }
            "include" => {
                self.own.include = Some(path("--include", parser)?);
                self.own.given.push("include");
            }
            "if-idle" => self.own.given.push("if-idle"),
            "base64" => self.own.given.push("base64"),
            "gzip" => self.own.given.push("gzip"),
            flag if FLAGS.iter().any(|(known, _)| *known == flag) => {
                overrides.set_flag(flag, parser.value()?.string()?);
            }
            unknown => return Err(unknown_option(unknown)),
        }
        Ok(())
    }

    fn word(&mut self, word: OsString) -> Result<(), UsageError> {
        let text = word.to_string_lossy();
        match self.topic {
            None if text == "help" && !self.help => self.help = true,
            None => {
                let topic = Topic::ALL.into_iter().find(|topic| topic.name() == text);
                self.topic = Some(topic.ok_or_else(|| unknown_command(&text))?);
            }
            Some(Topic::Explain | Topic::Bundle | Topic::Validate) if self.argument.is_none() => {
                self.argument = Some(word)
            }
            Some(topic) => {
                return Err(UsageError::new(format!("{} does not take the argument {text:?}", topic.name())))
            }
        }
        Ok(())
    }

    fn finish(self, overrides: Overrides) -> Result<Invocation, UsageError> {
        let command = match (self.topic, self.help, self.version) {
            (topic, true, _) => Command::Help(topic),
            (_, _, true) => Command::Version,
            (None, ..) => {
                return Err(UsageError::new(
                    "a command is missing; on a VM it is: arc-enroll enroll".to_owned(),
                ))
            }
            (Some(topic), ..) => self.command(topic)?,
        };
        Ok(Invocation {
            command,
            root: self.root.unwrap_or_else(|| PathBuf::from("/")),
            config: self.config,
            output: self.output,
            verbose: self.verbose,
            overrides,
        })
    }

    fn command(&self, topic: Topic) -> Result<Command, UsageError> {
        let given = &self.own.given;
        if let Some(stray) = given.iter().find(|option| !topic.options().contains(option)) {
            let owner = Topic::ALL.into_iter().find(|topic| topic.options().contains(stray)).map(Topic::name);
            let owner = owner.unwrap_or_default();
            return Err(UsageError::new(format!("--{stray} belongs to {owner}, not to {}", topic.name())));
        }
        let own = &self.own;
        Ok(match topic {
            Topic::Enroll => Command::Enroll { if_idle: given.contains(&"if-idle") },
            Topic::Doctor => Command::Doctor,
            Topic::Status => Command::Status,
            Topic::Token => Command::Token { resource: own.resource.clone(), identity: own.identity.clone() },
            Topic::Env => Command::Env,
            Topic::Explain => Command::Explain {
                code: self.argument.as_ref().map(|code| code.to_string_lossy().into_owned()),
            },
            Topic::Bundle => Command::Bundle { file: self.argument.as_ref().map(PathBuf::from) },
            Topic::Validate => {
                if self.argument.is_some() && self.config.is_some() {
                    let message = "validate takes one file: as its argument or by --config";
                    return Err(UsageError::new(message.to_owned()));
                }
                Command::Validate { file: self.argument.as_ref().map(PathBuf::from) }
            }
            Topic::UserData => Command::UserData {
                base64: given.contains(&"base64"),
                gzip: given.contains(&"gzip"),
                include: own.include.clone(),
            },
        })
    }
}

fn path(option: &str, parser: &mut Parser) -> Result<PathBuf, UsageError> {
    let value = parser.value()?;
    match value.is_empty() {
        true => Err(UsageError::new(format!("{option} needs a path, not an empty value"))),
        false => Ok(PathBuf::from(value)),
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

fn unknown_option(name: &str) -> UsageError {
    let mut all = EVERYWHERE.to_vec();
    all.extend(FLAGS.map(|(flag, _)| flag));
    Topic::ALL.iter().for_each(|topic| all.extend(topic.options()));
    UsageError::new(format!("unknown option --{name}{}", did_you_mean(nearest(name, &all), "--")))
}

fn unknown_command(word: &str) -> UsageError {
    let near = nearest(word, &Topic::ALL.map(Topic::name));
    UsageError::new(format!("unknown command {word:?}{}", did_you_mean(near, "")))
}

fn did_you_mean(near: Option<&str>, dashes: &str) -> String {
    near.map(|near| format!("; did you mean {dashes}{near}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "12345678-9abc-def0-1234-56789abcdef0";

    fn run(line: &str) -> Result<Invocation, UsageError> {
        parse(line.split_whitespace().map(OsString::from), &|_| None)
    }

    fn command(line: &str) -> Command {
        run(line).expect(line).command
    }

    #[test]
    fn every_command_is_known_by_its_name() {
        for topic in Topic::ALL {
            assert!(run(topic.name()).is_ok(), "{topic:?}");
            assert_eq!(command(&format!("{} --help", topic.name())), Command::Help(Some(topic)));
            assert_eq!(command(&format!("help {}", topic.name())), Command::Help(Some(topic)));
            assert!(help(None).contains(&format!("\n  {}", topic.name())));
        }
        assert_eq!(command("-h"), Command::Help(None));
        assert_eq!(command("help"), Command::Help(None));
        assert_eq!(command("-V"), Command::Version);
        assert_eq!(command("enroll --version"), Command::Version);
    }

    #[test]
    fn options_stand_before_and_behind_the_command() {
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
        for (flag, key) in FLAGS {
            let read = run(&format!("enroll --{flag} x")).unwrap();
            assert_eq!(read.overrides.get(key).unwrap().value, "x");
            assert!(help(None).contains(&format!("--{flag} ")), "{flag}");
        }
        let read = parse(["enroll".into()], &|name| (name == "UAMI_ID").then(|| "id".to_owned())).unwrap();
        assert_eq!(read.overrides.get("identity").unwrap().value, "id");
    }

    #[test]
    fn options_of_one_command() {
        assert_eq!(command("enroll"), Command::Enroll { if_idle: false });
        assert_eq!(command("enroll --if-idle"), Command::Enroll { if_idle: true });
        let identity = Some(Identity::from_word(GUID).unwrap());
        let expected = Command::Token { resource: Some("r".to_owned()), identity };
        assert_eq!(command(&format!("token --resource r --identity {GUID}")), expected);
        assert_eq!(command(&format!("--identity {GUID} --resource r token")), expected);
        let system = Command::Token { resource: None, identity: Some(Identity::System) };
        assert_eq!(command("token --identity system"), system);
        let include = Some(PathBuf::from("f"));
        assert_eq!(
            command("user-data --gzip --include f"),
            Command::UserData { base64: false, gzip: true, include }
        );
        assert_eq!(
            command("user-data --base64"),
            Command::UserData { base64: true, gzip: false, include: None }
        );
        assert_eq!(command("explain"), Command::Explain { code: None });
        assert_eq!(command("explain some-code"), Command::Explain { code: Some("some-code".to_owned()) });
        assert_eq!(command("bundle"), Command::Bundle { file: None });
        assert_eq!(command("bundle -"), Command::Bundle { file: Some("-".into()) });
        assert_eq!(command("validate f"), Command::Validate { file: Some("f".into()) });
        assert_eq!(command("validate --config f"), Command::Validate { file: None });
    }

    #[test]
    fn errors_name_the_right_thing() {
        for (line, word) in [
            ("", "a command is missing"),
            ("enrol", "did you mean enroll?"),
            ("docter", "did you mean doctor?"),
            ("userdata", "did you mean user-data?"),
            ("bundel", "did you mean bundle?"),
            ("precheck", "unknown command \"precheck\""),
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
    fn help_fits_the_terminal_and_has_an_example() {
        for text in std::iter::once(help(None)).chain(Topic::ALL.map(|topic| help(Some(topic)))) {
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(text.ends_with('\n'));
        }
        for topic in Topic::ALL {
            let text = help(Some(topic));
            assert!(
                text.contains("\nExample:\n")
                    && text.contains(&format!("Usage: arc-enroll {}", topic.name()))
            );
            assert!(topic.options().iter().all(|option| text.contains(&format!("--{option}"))));
        }
        assert!(help(None).contains("\n  75  "));
    }
}
