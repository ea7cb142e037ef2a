//! User-data: the input of cloud-init that installs this binary and its configuration on a new VM and starts it.
//!
//! Alone it is one cloud-config. Together with the user's own user-data it is a multi-part message whose first part is
//! the user's text, unchanged: cloud-init reads YAML 1.1, so parsing and rendering the text again would change values
//! such as `0644`, `yes` or `12:30:45`. This module does no I/O.

mod create_command;

mod fetch;
mod include;
mod pack;
mod unpack;

pub use create_command::{create_command, create_words};
pub use fetch::{endpoint_to_add, Fetch, FetchUrl};
pub use unpack::Packed;

use std::io;
use std::path::Path;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use thiserror::Error;

pub use crate::settings::BINARY_PATH;

/// Where the configuration is installed.
pub const CONFIGURATION_PATH: &str = crate::settings::DEFAULT_PATH;

/// Maximum length of the base64 string in bytes. Azure Resource Manager limits a resource to 1 MiB, as Kubernetes does
/// a Secret.
pub const CEILING: usize = 1_000_000;

/// The name of the start script. cloud-init runs scripts in the order of their names, so it runs after `part-001`, the
/// script of the user, and after `runcmd`.
const SCRIPT_NAME: &str = "zz-arc-enroll";

/// Merges our `write_files` with the user's. Ours go first because cloud-init 22.4 skips the rest of
/// the list after the first file that it cannot write (for example, because its owner does not exist yet).
const MERGE_TYPE: &str = "list(prepend)+dict(recurse_array,no_replace)+str()";

/// What the scripts that bring the agent share.
const RUN: &str = include_str!("run.sh");

/// The script that starts an installed agent.
const START: &str = include_str!("start.sh");

/// How the agent is installed on the VM.
#[derive(Clone, Copy, Debug)]
pub enum Binary<'a> {
    /// It is in the user-data, packed.
    Carried {
        /// The program.
        packed: &'a Packed,
        /// The log file for runs of the script outside of cloud-init.
        log: &'a Path,
    },
    /// It is fetched from a web server.
    Fetched(&'a Fetch<'a>),
    /// It is already installed, by a package or in the image.
    Present,
}

impl Binary<'_> {
    /// The files that our part creates, directly or by its script.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Carried { .. } => {
                &[CONFIGURATION_PATH, BINARY_PATH, unpack::SCRIPT_PATH, unpack::PACKED_PATH]
            }
            Self::Fetched(_) => &[CONFIGURATION_PATH, BINARY_PATH, fetch::SCRIPT_PATH],
            Self::Present => &[CONFIGURATION_PATH],
        }
    }

    /// The script that brings the binary and starts it: its path and its text.
    fn script(self) -> Option<(&'static str, String)> {
        match self {
            Self::Carried { packed, log } => Some((unpack::SCRIPT_PATH, unpack::script(packed, log))),
            Self::Fetched(fetch) => Some((fetch::SCRIPT_PATH, fetch::script(fetch))),
            Self::Present => None,
        }
    }
}

/// Fills in a script: first what both share, then these markers, in order.
fn script(template: &str, values: &[(&str, String)]) -> String {
    let script = template.replacen("@RUN@\n", RUN, 1);
    values.iter().fold(script, |script, (mark, value)| script.replacen(mark, value, 1))
}

/// The parts of user-data.
#[derive(Clone, Copy, Debug)]
pub struct UserDataParts<'a> {
    /// The agent.
    pub binary: Binary<'a>,
    /// The configuration as the user wrote it, already validated.
    pub configuration: &'a str,
    /// The user's own user-data to include.
    pub include: Option<&'a str>,
}

/// How user-data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserDataForm {
    /// Uncompressed.
    Text,
    /// Compressed with gzip, which cloud-init unpacks.
    Gzip,
}

impl UserDataForm {
    /// Recommended maximum length of the base64 string in bytes, which leaves room for the user's own part.
    pub fn goal(self) -> usize {
        match self {
            Self::Text => 850_000,
            Self::Gzip => 640_000,
        }
    }
}

/// Encoded user-data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes to write.
    pub bytes: Vec<u8>,
    /// Its size.
    pub size: Size,
}

/// The size of user-data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the input of cloud-init.
    pub user_data: usize,
    /// Length of the base64 string for Azure.
    pub encoded: usize,
}

impl Size {
    /// The size for this many bytes of user-data.
    fn of(user_data: usize) -> Self {
        Self { user_data, encoded: user_data.div_ceil(3).saturating_mul(4) }
    }
}

/// An error in composing or encoding user-data.
#[derive(Debug, Error)]
pub enum UserDataError {
    /// cloud-init would not recognize the included text.
    #[error(
        "its first line is {first_line:?}, by which cloud-init would ignore it; a cloud-config begins with \
         `#cloud-config`, a script with `#!/bin/sh`, a multi-part message with its `Content-Type: multipart/mixed` \
         and `MIME-Version: 1.0` headers"
    )]
    UnknownKind {
        /// Its first line, truncated.
        first_line: String,
    },
    /// The included cloud-config is not valid YAML.
    #[error("it cannot be read as YAML: {0}")]
    Yaml(String),
    /// The included cloud-config is a list or a single value.
    #[error(
        "it is not a cloud-config: keys such as `write_files:` or `runcmd:` are expected at its top level"
    )]
    NotKeys,
    /// Our files cannot be merged with those of the included cloud-config.
    #[error(
        "its `write_files` is {found} and not a list, so no file can be added to it; make it a list or remove it"
    )]
    WriteFilesNotAList {
        /// What it is instead.
        found: &'static str,
    },
    /// The included cloud-config writes one of our files.
    #[error(
        "its `write_files` holds {path}, which this user-data writes itself; remove that entry \
         (the configuration comes from --config)"
    )]
    Conflict {
        /// The file that both sides write.
        path: &'static str,
    },
    /// The result is too large for Azure.
    #[error(
        "the user-data is {encoded} bytes long in base64, over the ceiling of {ceiling}; build the small static \
         program with packaging/build-static and name it by --agent, or add --gzip, or host the program and name \
         it by --fetch-url"
    )]
    TooLarge {
        /// Length of the base64 string.
        encoded: usize,
        /// The maximum length.
        ceiling: usize,
    },
    /// The program for the VM is something else.
    #[error("it is not a program for x86-64 Linux (an ELF file), which VMs on Nexus need")]
    NotAProgram,
    /// The compressor failed.
    #[error("it cannot be compressed: {0}")]
    Pack(#[source] io::Error),
}

/// Composes the user-data as text.
///
/// # Errors
/// When the included text cannot be merged, or the compressor fails.
pub fn compose(parts: &UserDataParts<'_>) -> Result<String, UserDataError> {
    let files = write_files(parts)?;
    let script = parts.binary.script().map(|(path, _)| path);
    let Some(included) = parts.include else {
        // cloud-init sees the exit status of the last line of `runcmd`.
        let command = script.map_or(format!("- {}", block(START, "")), |path| format!("- [sh, {path}]\n"));
        return Ok(format!("{files}runcmd:\n{command}"));
    };
    let included = include::part(included, parts.binary.files())?;
    // A separate script instead of a line of `runcmd`: an `exit` or `set -e` in the user's commands would skip ours, and
    // ours would hide their exit status.
    let script = script.map_or(START.to_owned(), |path| format!("#!/bin/sh\nexec sh {path}\n"));
    let ours = [
        format!(
            "Content-Type: text/cloud-config; charset=\"us-ascii\"\nMIME-Version: 1.0\nMerge-Type: {MERGE_TYPE}\n\
             Content-Disposition: attachment; filename=\"arc-enroll.yaml\"\n\n{files}"
        ),
        format!(
            "Content-Type: text/x-shellscript; charset=\"us-ascii\"\nMIME-Version: 1.0\n\
             Content-Disposition: attachment; filename=\"{SCRIPT_NAME}\"\n\n{script}"
        ),
    ];
    Ok(multi_part(&included, &ours))
}

/// Encodes user-data: as text or compressed, plain or as the base64 string for `--user-data-content @FILE`.
///
/// # Errors
/// When the base64 string exceeds [`CEILING`], in every form, since Azure receives base64; or the compressor fails.
pub fn encode(text: &str, form: UserDataForm, base64: bool) -> Result<Encoded, UserDataError> {
    let user_data = match form {
        UserDataForm::Text => text.as_bytes().to_vec(),
        UserDataForm::Gzip => pack::gzip(text.as_bytes()).map_err(UserDataError::Pack)?,
    };
    let size = Size::of(user_data.len());
    if size.encoded > CEILING {
        return Err(UserDataError::TooLarge { encoded: size.encoded, ceiling: CEILING });
    }
    let bytes = if base64 { STANDARD.encode(&user_data).into_bytes() } else { user_data };
    Ok(Encoded { bytes, size })
}

/// Our cloud-config up to and including `write_files`.
fn write_files(parts: &UserDataParts<'_>) -> Result<String, UserDataError> {
    let mut files = file(CONFIGURATION_PATH, "0600", &content(parts.configuration));
    if let Some((path, script)) = parts.binary.script() {
        files.push_str(&file(path, "0700", &compressed_content(script.as_bytes())?));
    }
    // The largest last: where it does not fit on the disk, the script reports that.
    if let Binary::Carried { packed, .. } = parts.binary {
        files.push_str(&file(unpack::PACKED_PATH, "0600", &encoded_content("b64", packed.xz())));
    }
    Ok(format!(
        "#cloud-config\n\
         # Made by `arc-enroll user-data`, version {version}: enrolls this VM as an Azure Arc-enabled server.\n\
         write_files:\n{files}",
        version = env!("CARGO_PKG_VERSION"),
    ))
}

/// One entry of `write_files`.
fn file(path: &str, permissions: &str, content: &str) -> String {
    format!("- path: {path}\n  owner: root:root\n  permissions: '{permissions}'\n{content}")
}

/// The `content` of a file, compressed.
fn compressed_content(bytes: &[u8]) -> Result<String, UserDataError> {
    Ok(encoded_content("gz+b64", &pack::gzip(bytes).map_err(UserDataError::Pack)?))
}

/// The `content` of a file as base64, in one line, since wrapped and indented lines would add a tenth.
fn encoded_content(encoding: &str, bytes: &[u8]) -> String {
    format!("  encoding: {encoding}\n  content: {}\n", STANDARD.encode(bytes))
}

/// The `content` of a file: a literal block if YAML preserves the text, otherwise base64.
fn content(text: &str) -> String {
    if !is_plain_block(text) {
        // In quotes, since YAML could parse a short string as a number or keyword.
        return format!("  encoding: b64\n  content: '{}'\n", STANDARD.encode(text));
    }
    format!("  content: {}", block(text, "  "))
}

/// The text as a literal block of YAML, with this indentation of its key or dash.
fn block(text: &str, indent: &str) -> String {
    // The indentation indicator is required when the first line begins with spaces.
    let mut block = String::from("|2\n");
    for line in text.lines() {
        if !line.is_empty() {
            block.push_str(indent);
            block.push_str("  ");
            block.push_str(line);
        }
        block.push('\n');
    }
    block
}

/// Whether a literal block preserves the text: lines of printable ASCII, with one line feed at the end.
fn is_plain_block(text: &str) -> bool {
    let plain = |line: &str| line.is_empty() || !line.trim().is_empty();
    text.ends_with('\n')
        && !text.ends_with("\n\n")
        && text.len() > 1
        && text.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b))
        && text.lines().all(plain)
}

/// A multi-part message of the included part and ours.
fn multi_part(included: &str, ours: &[String]) -> String {
    let boundary = choose_boundary(included);
    let mut message = format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n\
         Made by `arc-enroll user-data`: user-data that was there already, then what enrolls this VM.\n"
    );
    for part in std::iter::once(included).chain(ours.iter().map(String::as_str)) {
        // The line feed before a boundary is part of the boundary (RFC 2046, section 5.1.1).
        message.push_str(&format!("\n--{boundary}\n{part}"));
    }
    message.push_str(&format!("\n--{boundary}--\n"));
    message
}

/// A boundary that does not occur in the included text; deterministic.
fn choose_boundary(included: &str) -> String {
    let mut boundary = String::from("==arc-enroll==");
    while included.contains(&boundary) {
        boundary.push('=');
    }
    boundary
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// The header of a program for x86-64, and nothing in it.
    pub(super) const PROGRAM: &[u8] = &{
        let mut header = [0; 64];
        (header[0], header[1], header[2], header[3]) = (0x7f, b'E', b'L', b'F');
        (header[4], header[5], header[16], header[18]) = (2, 1, 2, 62);
        header
    };
    const CONFIGURATION: &str = "# mine\nazure:\n  location: eastus\n";

    fn composed(configuration: &str, include: Option<&str>) -> String {
        let packed = Packed::new(PROGRAM).unwrap();
        compose(&UserDataParts { binary: carried(&packed), configuration, include }).unwrap()
    }

    fn carried(packed: &Packed) -> Binary<'_> {
        Binary::Carried { packed, log: "/var/log/l".as_ref() }
    }

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
        plain
    }

    #[test]
    fn without_included_text_it_is_a_cloud_config() {
        let text = composed(CONFIGURATION, None);
        assert!(text.starts_with("#cloud-config\n"));
        let config: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        let [configuration, script, program] = config["write_files"].as_sequence().unwrap().as_slice() else {
            panic!("three files are expected: {text}")
        };
        assert_eq!(configuration["path"], "/etc/arc-enroll/config.yaml");
        assert_eq!(configuration["permissions"], "0600");
        assert_eq!(configuration["content"], CONFIGURATION);
        let packed = Packed::new(PROGRAM).unwrap();
        assert_eq!(script["path"], "/usr/local/sbin/arc-enroll-unpack");
        assert_eq!((&script["permissions"], &script["encoding"]), (&"0700".into(), &"gz+b64".into()));
        let content = STANDARD.decode(script["content"].as_str().unwrap()).unwrap();
        assert_eq!(gunzip(&content), unpack::script(&packed, "/var/log/l".as_ref()).as_bytes());
        assert_eq!(program["path"], "/usr/local/lib/arc-enroll.xz");
        assert_eq!((&program["permissions"], &program["encoding"]), (&"0600".into(), &"b64".into()));
        assert_eq!(STANDARD.decode(program["content"].as_str().unwrap()).unwrap(), packed.xz());
        let command: Vec<&str> =
            config["runcmd"][0].as_sequence().unwrap().iter().filter_map(|word| word.as_str()).collect();
        assert_eq!(command, ["sh", "/usr/local/sbin/arc-enroll-unpack"]);
        assert_eq!(text, composed(CONFIGURATION, None), "the same input gives other user-data");
    }

    #[test]
    fn the_configuration_is_preserved() {
        let texts = [
            "a: 1\n",
            "a: 1",
            "",
            "\n",
            "  a: 1\n",
            "\n\na: 1\n",
            "a: 1\n\n\n",
            "a:\n   \n  b: 1\n",
            "a: ü\n",
            "a: 1\r\n",
            "a:\tb\n",
            "--- \n# {{ x }}\n...\n",
            "#cloud-config\n'\"\\\n",
            " \n",
            "a: 1\n \n",
        ];
        for text in texts {
            let config: serde_yaml::Value = serde_yaml::from_str(&composed(text, None)).unwrap();
            let file = &config["write_files"][0];
            let content = file["content"].as_str().unwrap();
            let arrived = match file.get("encoding") {
                Some(_) => String::from_utf8(STANDARD.decode(content).unwrap()).unwrap(),
                None => content.to_owned(),
            };
            assert_eq!(arrived, text);
        }
    }

    /// The files and the commands of a cloud-config.
    fn read(text: &str) -> (Vec<(String, String)>, Vec<serde_yaml::Value>) {
        let config: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
        let word = |value: &serde_yaml::Value| value.as_str().unwrap().to_owned();
        let files = config["write_files"].as_sequence().unwrap();
        let files = files.iter().map(|file| (word(&file["path"]), word(&file["content"]))).collect();
        (files, config["runcmd"].as_sequence().cloned().unwrap_or_default())
    }

    fn to_fetch() -> Fetch<'static> {
        Fetch {
            url: FetchUrl::new("https://example.com/arc-enroll").unwrap(),
            sha256: "0".repeat(64),
            proxy: None,
            window: std::time::Duration::from_secs(9),
            log: "/var/log/l".as_ref(),
        }
    }

    #[test]
    fn a_fetched_binary_is_replaced_by_a_script() {
        let fetch = to_fetch();
        let mut parts =
            UserDataParts { binary: Binary::Fetched(&fetch), configuration: CONFIGURATION, include: None };
        let text = compose(&parts).unwrap();
        let (files, commands) = read(&text);
        assert_eq!(files[0], (CONFIGURATION_PATH.to_owned(), CONFIGURATION.to_owned()));
        assert_eq!(files[1].0, fetch::SCRIPT_PATH);
        assert_eq!(gunzip(&STANDARD.decode(&files[1].1).unwrap()), fetch::script(&fetch).as_bytes());
        assert!(files.len() == 2 && text.contains("permissions: '0700'"));
        assert_eq!(
            commands,
            serde_yaml::from_str::<Vec<serde_yaml::Value>>("[[sh, /usr/local/sbin/arc-enroll-fetch]]")
                .unwrap()
        );
        parts.include = Some("#!/bin/sh\n");
        let message = compose(&parts).unwrap();
        assert!(message.contains("\n#!/bin/sh\nexec sh /usr/local/sbin/arc-enroll-fetch\n\n--"));
        let size = encode(&text, UserDataForm::Text, true).unwrap().size.encoded;
        assert!(size < 20_000, "a few KiB were promised: {size}");
    }

    #[test]
    fn an_installed_binary_needs_the_configuration_and_the_start_script() {
        let mut parts =
            UserDataParts { binary: Binary::Present, configuration: CONFIGURATION, include: None };
        let (files, commands) = read(&compose(&parts).unwrap());
        assert_eq!(files, [(CONFIGURATION_PATH.to_owned(), CONFIGURATION.to_owned())]);
        assert_eq!(commands, [serde_yaml::Value::from(START)]);
        parts.include = Some("#cloud-config\n{}\n");
        assert!(compose(&parts).unwrap().contains(&format!("\n\n{START}\n--")));
    }

    #[test]
    fn only_own_files_conflict_with_included_ones() {
        let (fetch, packed) = (to_fetch(), Packed::new(PROGRAM).unwrap());
        let refused = |binary, path: &str| {
            let included = format!("#cloud-config\nwrite_files: [{{path: {path}}}]\n");
            compose(&UserDataParts { binary, configuration: CONFIGURATION, include: Some(&included) })
                .is_err()
        };
        for (binary, refusals) in [
            (carried(&packed), [true, true, true, true, false]),
            (Binary::Fetched(&fetch), [true, true, false, false, true]),
            (Binary::Present, [true, false, false, false, false]),
        ] {
            let paths = [
                CONFIGURATION_PATH,
                BINARY_PATH,
                unpack::SCRIPT_PATH,
                unpack::PACKED_PATH,
                fetch::SCRIPT_PATH,
            ];
            assert_eq!(paths.map(|path| refused(binary, path)), refusals);
        }
    }

    #[test]
    fn an_included_cloud_config_makes_a_message_of_three_parts() {
        let included = "#cloud-config\nruncmd:\n- exit 3\nmode: 0644\n";
        let text = composed(CONFIGURATION, Some(included));
        let beginning: String = text.chars().take(200).collect();
        assert!(beginning.contains("MIME-Version: 1.0\n"));
        let parts: Vec<&str> = text.split("\n--==arc-enroll==").collect();
        assert_eq!(parts.len(), 5, "{text}");
        assert!(parts[1].ends_with(included));
        assert!(parts[2].contains("Merge-Type: list(prepend)+") && !parts[2].contains("runcmd"));
        assert!(parts[3].ends_with("#!/bin/sh\nexec sh /usr/local/sbin/arc-enroll-unpack\n"));
        assert_eq!(parts[4], "--\n");
    }

    #[test]
    fn the_boundary_is_not_in_their_text() {
        let included = "#!/bin/sh\n# --==arc-enroll==\n# ==arc-enroll===\n";
        let text = composed(CONFIGURATION, Some(included));
        assert!(text.contains("boundary=\"==arc-enroll====\""), "{text}");
        assert_eq!(text.matches("\n--==arc-enroll====\n").count(), 3);
    }

    #[test]
    fn every_form_holds_the_same_text_and_repeats() {
        let text = composed(CONFIGURATION, None);
        let plain = encode(&text, UserDataForm::Text, false).unwrap();
        assert_eq!(plain.bytes, text.as_bytes());
        let encoded = encode(&text, UserDataForm::Text, true).unwrap();
        assert_eq!(STANDARD.decode(&encoded.bytes).unwrap(), text.as_bytes());
        assert_eq!(encoded.size, plain.size);
        assert_eq!(encoded.size, Size { user_data: text.len(), encoded: encoded.bytes.len() });
        let gzip = encode(&text, UserDataForm::Gzip, false).unwrap();
        assert_eq!(gunzip(&gzip.bytes), text.as_bytes());
        assert_eq!(gzip, encode(&text, UserDataForm::Gzip, false).unwrap());
    }

    #[test]
    fn the_ceiling_is_that_of_the_base64_string() {
        assert_eq!(Size::of(0).encoded, 0);
        assert_eq!(Size::of(1).encoded, 4);
        assert_eq!(Size::of(750_000).encoded, CEILING);
        assert!(encode(&"x".repeat(750_000), UserDataForm::Text, false).is_ok());
        let error = encode(&"x".repeat(750_001), UserDataForm::Text, true).unwrap_err();
        assert!(matches!(error, UserDataError::TooLarge { encoded: 1_000_004, ceiling: CEILING }));
        assert!(error.to_string().contains("packaging/build-static"));
        assert!(encode(&"x".repeat(750_001), UserDataForm::Gzip, true).is_ok());
        assert!(UserDataForm::Gzip.goal() < UserDataForm::Text.goal() && UserDataForm::Text.goal() < CEILING);
    }
}
