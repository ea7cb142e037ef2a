//! `user-data`: writes user-data with this binary and the configuration.

use std::path::Path;

use super::load_or_report;
use crate::cli::{Invocation, UserData};
use crate::host::files::{digest_of, read_path};
use crate::host::{describe, output};
use crate::model::exit_code::{INTERNAL, USAGE};
use crate::operator::user_data::{self, Binary, Fetch, FetchUrl, UserDataForm, UserDataParts, CEILING, GOAL};
use crate::settings::{self, Settings};

pub(super) fn run(invocation: &Invocation, options: &UserData) -> u8 {
    let loaded = match load_or_report(invocation, None) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if loaded.text.is_empty() {
        return report_usage_error("user-data needs a configuration file: --config FILE");
    }
    let include = match options.include.as_deref().map(read_text).transpose() {
        Ok(text) => text,
        Err(code) => return code,
    };
    let program = match read_path("/proc/self/exe".as_ref()) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) => {
            output::write_stderr(&format!("arc-enroll: {}\n", describe(&error)));
            return INTERNAL;
        }
    };
    let fetch = match fetch(options, &loaded.settings, &program) {
        Ok(fetch) => fetch,
        Err(problem) => return report_usage_error(&problem),
    };
    let binary = match &fetch {
        Some(fetch) => Binary::Fetched(fetch),
        None if options.without_binary => Binary::Present,
        None => Binary::Carried(&program),
    };
    let parts = UserDataParts { binary, configuration: &loaded.text, include: include.as_deref() };
    let form = if options.gzip { UserDataForm::Gzip } else { UserDataForm::Text };
    let encoded = user_data::compose(&parts).and_then(|text| user_data::encode(&text, form, options.base64));
    let encoded = match encoded {
        Ok(encoded) => encoded,
        Err(error) => {
            return report_usage_error(&format!(
                "{}{error}",
                error_prefix(&error, options.include.as_deref())
            ))
        }
    };
    report_size(options, encoded.size, &fetch, &loaded.settings);
    match output::print_bytes(&encoded.bytes) {
        Ok(()) => 0,
        Err(error) => {
            output::write_stderr(&format!("arc-enroll: the user-data was not written: {error}\n"));
            INTERNAL
        }
    }
}

fn report_usage_error(problem: &str) -> u8 {
    output::write_stderr(&format!("arc-enroll: {problem}\n"));
    USAGE
}

/// The download of the binary that the options ask for, if any.
///
/// # Errors
/// What is wrong with the options.
fn fetch<'a>(
    options: &UserData,
    settings: &'a Settings,
    program: &[u8],
) -> Result<Option<Fetch<'a>>, String> {
    let url = match (&options.fetch_url, &options.fetch_sha256) {
        (Some(url), _) => url,
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            return Err("--fetch-sha256 is the digest of what --fetch-url fetches; give that too".into())
        }
    };
    let url = FetchUrl::new(url).map_err(|problem| format!("--fetch-url {problem}"))?;
    let sha256 = match &options.fetch_sha256 {
        Some(digest) => {
            settings::parse_sha256(digest).map_err(|problem| format!("--fetch-sha256 {problem}"))?
        }
        None => digest_of(program),
    };
    let (proxy, window) = (settings.proxy.url.as_ref(), settings.wait.boot);
    Ok(Some(Fetch { url, sha256, proxy, window, log: &settings.log.file }))
}

/// Reports on standard error the size and the next steps.
fn report_size(options: &UserData, size: user_data::Size, fetch: &Option<Fetch<'_>>, settings: &Settings) {
    let over = if size.encoded > GOAL { format!(", over the goal of {GOAL}") } else { String::new() };
    output::write_stderr(&format!(
        "user-data: {} bytes; as base64: {} bytes of at most {CEILING}{over}\n",
        size.user_data, size.encoded
    ));
    if let Some(fetch) = fetch {
        output::write_stderr(&user_data::endpoint_to_add(fetch));
    }
    if options.without_binary {
        output::write_stderr(
            "the VM needs arc-enroll at /usr/bin (its package) or /usr/local/bin beforehand\n",
        );
    }
    if !options.base64 {
        output::write_stderr("Azure takes it as base64: add --base64 and write it to user-data.b64\n");
    }
    output::write_stderr(&user_data::create_command(&settings.azure, &settings.identity, "user-data.b64"));
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
    Err(report_usage_error(&format!("--include {}: {problem}", path.display())))
}

/// The prefix for errors of the included text, whose messages call it "it".
fn error_prefix(error: &user_data::UserDataError, include: Option<&Path>) -> String {
    use user_data::UserDataError as E;
    match (error, include) {
        (E::TooLarge { .. }, _) | (_, None) => String::new(),
        (_, Some(path)) => format!("--include {}: ", path.display()),
    }
}
