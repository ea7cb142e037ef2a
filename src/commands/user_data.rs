//! `user-data`: writes user-data with the VM's program and the configuration.

use std::path::Path;

use super::load_or_report;
use crate::cli::{Invocation, UserData};
use crate::host::files::read_path;
use crate::host::{describe, output};
use crate::model::exit_code::{INTERNAL, USAGE};
use crate::operator::payload;
use crate::operator::user_data::{
    self, Binary, Encoded, Fetch, FetchUrl, Packed, UserDataForm, UserDataParts, CEILING,
};
use crate::settings::{self, Settings};

pub(super) fn run(invocation: &Invocation, options: &UserData) -> u8 {
    let loaded = match load_or_report(invocation, None) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if loaded.text.is_empty() {
        return report_usage_error("user-data needs a configuration file: --config FILE");
    }
    let composed = compose(options, &loaded.text, &loaded.settings);
    let (encoded, fetch) = match composed {
        Ok(composed) => composed,
        Err(problem) => return report_usage_error(&problem),
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

/// The user-data that the options ask for, and the download in it.
///
/// # Errors
/// What is wrong with the options or the files that they name.
fn compose<'a>(
    options: &UserData,
    configuration: &str,
    settings: &'a Settings,
) -> Result<(Encoded, Option<Fetch<'a>>), String> {
    let include = options.include.as_deref().map(read_text).transpose()?;
    let download = download(options)?;
    let packed = program(options)?;
    let fetch = download.map(|(url, given)| {
        let sha256 = given.or(packed.as_ref().map(|packed| packed.sha256().to_owned())).unwrap_or_default();
        let (proxy, window) = (settings.proxy.url.as_ref(), settings.wait.boot);
        Fetch { url, sha256, proxy, window, log: &settings.log.file }
    });
    let binary = match (&fetch, &packed) {
        (Some(fetch), _) => Binary::Fetched(fetch),
        (None, Some(packed)) => Binary::Carried { packed, log: &settings.log.file },
        (None, None) => Binary::Present,
    };
    let parts = UserDataParts { binary, configuration, include: include.as_deref() };
    let encoded =
        user_data::compose(&parts).and_then(|text| user_data::encode(&text, form(options), options.base64));
    let problem = |error| format!("{}{error}", error_prefix(&error, options.include.as_deref()));
    Ok((encoded.map_err(problem)?, fetch))
}

fn form(options: &UserData) -> UserDataForm {
    if options.gzip {
        UserDataForm::Gzip
    } else {
        UserDataForm::Text
    }
}

/// The VM's program, of the file that is named or carried by this program; `None` where the options need none.
///
/// # Errors
/// When the file is no program for the VM, or this is a development build, which carries none.
fn program(options: &UserData) -> Result<Option<Packed>, String> {
    if let Some(path) = &options.agent {
        let problem = |problem: String| format!("--agent {}: {problem}", path.display());
        let bytes = read(path).map_err(problem)?;
        return Packed::new(&bytes).map(Some).map_err(|error| problem(error.to_string()));
    }
    if options.without_binary || options.fetch_sha256.is_some() {
        return Ok(None);
    }
    let payload = payload::embedded().ok_or(
        "this is a development build, which carries no program for the VM: name one by --agent FILE, such as \
         dist/vm/arc-enroll of packaging/build-static, or run the released program",
    )?;
    Ok(Some(payload.into()))
}

fn report_usage_error(problem: &str) -> u8 {
    output::write_stderr(&format!("arc-enroll: {problem}\n"));
    USAGE
}

/// The URL to fetch the binary from and the digest for it, as far as the options have them.
///
/// # Errors
/// What is wrong with the options.
fn download(options: &UserData) -> Result<Option<(FetchUrl, Option<String>)>, String> {
    let Some(url) = &options.fetch_url else {
        return match options.fetch_sha256 {
            Some(_) => Err("--fetch-sha256 is the digest of what --fetch-url fetches; give that too".into()),
            None => Ok(None),
        };
    };
    let url = FetchUrl::new(url).map_err(|problem| format!("--fetch-url {problem}"))?;
    let sha256 = options.fetch_sha256.as_deref().map(settings::parse_sha256).transpose();
    Ok(Some((url, sha256.map_err(|problem| format!("--fetch-sha256 {problem}"))?)))
}

/// Reports on standard error the size and the next steps.
fn report_size(options: &UserData, size: user_data::Size, fetch: &Option<Fetch<'_>>, settings: &Settings) {
    let goal = form(options).goal();
    let over = if size.encoded > goal { format!(", over the goal of {goal}") } else { String::new() };
    output::write_stderr(&format!(
        "user-data: {} bytes; as base64: {} bytes of at most {CEILING}{over}\n",
        size.user_data, size.encoded
    ));
    if let Some(fetch) = fetch {
        let is_own = options.fetch_sha256.is_none() && options.agent.is_none();
        let file = if is_own { "dist/vm/arc-enroll of this release" } else { "the VM's program" };
        output::write_stderr(&format!("put at the URL: {file}, SHA-256 {}\n", fetch.sha256));
        output::write_stderr(&user_data::endpoint_to_add(fetch));
    }
    if options.without_binary {
        output::write_stderr(
            "the VM needs arc-enroll at /usr/bin (its package) or /usr/local/bin beforehand\n",
        );
    }
    if options.gzip {
        output::write_stderr(
            "it is binary data, which some platforms spoil before cloud-init reads it; without --gzip it is text\n",
        );
    }
    if !options.base64 {
        output::write_stderr("Azure takes it as base64: add --base64 and write it to user-data.b64\n");
    }
    output::write_stderr(&user_data::create_command(&settings.azure, &settings.identity, "user-data.b64"));
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    match read_path(path) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err("there is no such file".to_owned()),
        Err(error) => Err(describe(&error)),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let text =
        read(path).and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned()));
    text.map_err(|problem| format!("--include {}: {problem}", path.display()))
}

/// The prefix for errors of the included text, whose messages call it "it".
fn error_prefix(error: &user_data::UserDataError, include: Option<&Path>) -> String {
    use user_data::UserDataError as E;
    match (error, include) {
        (E::TooLarge { .. } | E::Pack(_), _) | (_, None) => String::new(),
        (_, Some(path)) => format!("--include {}: ", path.display()),
    }
}
