//! `user-data`: this very binary and the configuration, as what goes into `--user-data-content`.

use std::path::Path;

use super::load_or_complain;
use crate::cli::Invocation;
use crate::host::files::read_path;
use crate::host::{describe, output};
use crate::user_data::{self, Form, Parts, CEILING, GOAL};
use crate::{EXIT_INTERNAL, EXIT_USAGE};

pub(super) fn run(invocation: &Invocation, base64: bool, gzip: bool, include: Option<&Path>) -> u8 {
    let loaded = match load_or_complain(invocation, None) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if loaded.text.is_empty() {
        output::complain("arc-enroll: user-data needs a configuration file: --config FILE\n");
        return EXIT_USAGE;
    }
    let include_name = include;
    let include = match include.map(read_text).transpose() {
        Ok(text) => text,
        Err(code) => return code,
    };
    let binary = match read_path("/proc/self/exe".as_ref()) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) => {
            output::complain(&format!("arc-enroll: {}\n", describe(&error)));
            return EXIT_INTERNAL;
        }
    };
    let parts = Parts { binary: &binary, configuration: &loaded.text, include: include.as_deref() };
    let form = if gzip { Form::Gzip } else { Form::Text };
    let encoded = user_data::compose(&parts).and_then(|text| user_data::encode(&text, form, base64));
    let encoded = match encoded {
        Ok(encoded) => encoded,
        Err(error) => {
            let about = about(&error, include_name);
            output::complain(&format!("arc-enroll: {about}{error}\n"));
            return EXIT_USAGE;
        }
    };
    let size = encoded.size;
    let over = if size.encoded > GOAL { format!(", over the goal of {GOAL}") } else { String::new() };
    output::complain(&format!(
        "user-data: {} bytes; as base64: {} bytes of at most {CEILING}{over}\n",
        size.user_data, size.encoded
    ));
    if !base64 {
        output::complain("Azure takes it as base64: add --base64 and write it to user-data.b64\n");
    }
    let settings = &loaded.settings;
    output::complain(&user_data::create_command(&settings.azure, &settings.identity, "user-data.b64"));
    match output::print_bytes(&encoded.bytes) {
        Ok(()) => 0,
        Err(error) => {
            output::complain(&format!("arc-enroll: the user-data was not written: {error}\n"));
            EXIT_INTERNAL
        }
    }
}

fn read_text(path: &Path) -> Result<String, u8> {
    let problem = match read_path(path) {
        Ok(Some(bytes)) => match String::from_utf8(bytes) {
            Ok(text) => return Ok(text),
            Err(_) => "it is not UTF-8 text".to_owned(),
        },
        Ok(None) => "there is no such file".to_owned(),
        Err(error) => describe(&error),
    };
    output::complain(&format!("arc-enroll: --include {}: {problem}\n", path.display()));
    Err(EXIT_USAGE)
}

/// Faults of the text to include speak of "it"; this says what "it" is.
fn about(error: &user_data::Error, include: Option<&Path>) -> String {
    use user_data::Error as E;
    match (error, include) {
        (E::TooLarge { .. }, _) | (_, None) => String::new(),
        (_, Some(path)) => format!("--include {}: ", path.display()),
    }
}
