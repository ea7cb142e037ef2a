//! The subcommands.

mod bundle;
mod doctor;
mod enroll;
mod env;
mod explain;
#[cfg(feature = "operator")]
mod precheck;
mod shutdown;
mod status;
mod token;
#[cfg(feature = "operator")]
mod user_data;
mod validate;

use std::path::PathBuf;
use std::time::Instant;

use crate::cli::{self, Action, Invocation};
use crate::context::{Context, Mode};
use crate::host::files::{read_path, Files};
use crate::host::tasks::Task;
use crate::host::{describe, output, system, Host};
use crate::model::exit_code::{OK, USAGE};
use crate::model::pairs::Pairs;
use crate::proxy_files::{self, DesiredProxy, NO_PROXY_NAMES};
use crate::settings::{self, Overrides, Problem, Settings, DEFAULT_PATH};
use crate::timer::Repeat;

/// Environment variables that name the trust store; they are passed on to child processes.
const TRUST_STORE_VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"];

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Runs the subcommand and returns the exit code.
pub async fn run(invocation: &Invocation, environment: Environment<'_>) -> u8 {
    let running: Task<'_, u8> = match &invocation.command {
        Action::Help(topic) => {
            output::print(&cli::help(*topic));
            return OK;
        }
        Action::Version => {
            output::print(concat!("arc-enroll ", env!("CARGO_PKG_VERSION"), "\n"));
            return OK;
        }
        Action::Explain { code } => return explain::run(invocation, environment, code.as_deref()),
        Action::Env => return env::run(invocation, environment),
        Action::Validate { file } => return validate::run(invocation, file.as_ref()),
        #[cfg(feature = "operator")]
        Action::UserData(options) => return user_data::run(invocation, options),
        Action::Enroll { if_idle } => Box::pin(enroll::run(invocation, environment, *if_idle)),
        Action::Doctor => Box::pin(doctor::run(invocation, environment)),
        Action::Status => Box::pin(status::run(invocation, environment)),
        Action::Token { resource, identity } => {
            Box::pin(token::run(invocation, environment, resource.as_deref(), identity.as_ref()))
        }
        Action::Bundle { file } => Box::pin(bundle::run(invocation, environment, file.as_deref())),
        #[cfg(feature = "operator")]
        Action::Precheck { csn, vm } => {
            Box::pin(precheck::run(invocation, environment, csn.as_deref(), vm.as_deref()))
        }
    };
    running.await
}

/// The settings, with the text and path of the configuration file.
struct Loaded {
    settings: Settings,
    #[cfg_attr(not(feature = "operator"), expect(dead_code, reason = "user-data embeds it"))]
    text: String,
    /// The path of the file, which may not exist.
    path: String,
    /// Why the file was not read, when an observing subcommand continues without it.
    unread: Option<String>,
    /// Whether the file, flags or environment set the target.
    has_target: bool,
}

/// A placeholder for the target, for observing subcommands when no target is configured.
const NO_TARGET: &str =
    "azure: {subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: unknown, location: unknown}";

/// The path of the configuration file: the named one, or the default one below the root.
fn configuration_path(invocation: &Invocation, named: Option<&PathBuf>) -> PathBuf {
    let files = Files::new(invocation.root.clone());
    match named.or(invocation.config.as_ref()) {
        // A path is resolved below the root if the file exists there, otherwise it is used unchanged.
        Some(named) => {
            Some(files.path(named)).filter(|below| below.exists()).unwrap_or_else(|| named.clone())
        }
        None => files.path(DEFAULT_PATH),
    }
}

/// Loads the settings from the named file, or from the default one if it exists.
fn load(invocation: &Invocation, named: Option<&PathBuf>) -> Result<Loaded, Vec<Problem>> {
    let path = configuration_path(invocation, named);
    let named = named.or(invocation.config.as_ref());
    let origin = path.display().to_string();
    let problem =
        |message: String| vec![Problem { place: origin.clone(), key: String::new(), line: None, message }];
    let bytes = read_path(&path).map_err(|error| problem(describe(&error)))?;
    if bytes.is_none() && named.is_some() {
        return Err(problem("there is no such file".to_owned()));
    }
    let text = match bytes.map(String::from_utf8) {
        None => None,
        Some(Ok(text)) => Some(text),
        Some(Err(_)) => return Err(problem("it is not UTF-8 text; save it as UTF-8".to_owned())),
    };
    let settings = settings::load(text.as_deref(), &origin, &invocation.overrides)
        .map_err(|problems| problems.as_slice().to_vec())?;
    let path = named.map_or(DEFAULT_PATH.to_owned(), |named| named.display().to_string());
    Ok(Loaded { settings, text: text.unwrap_or_default(), path, unread: None, has_target: true })
}

/// Like [`load`], for observing subcommands: they continue without a file that only root may read.
fn load_for_observation(invocation: &Invocation) -> Result<Loaded, Vec<Problem>> {
    let problems = match load(invocation, None) {
        Ok(loaded) => return Ok(loaded),
        Err(problems) => problems,
    };
    let files = Files::new(invocation.root.clone());
    // Only the default file may be left out, not one that was named.
    if configuration_path(invocation, None) != files.path(DEFAULT_PATH) {
        return Err(problems);
    }
    // `token` and `env` do not depend on the target.
    let needs_target = !matches!(invocation.command, Action::Token { .. } | Action::Env);
    let unread = match files.read(DEFAULT_PATH) {
        Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => describe(&error),
        Ok(None) if invocation.config.is_none() && !needs_target => "there is none".to_owned(),
        _ => return Err(problems),
    };
    load_without_file(&invocation.overrides, unread)
}

/// The settings from flags, environment and defaults only; `unread` is the reason why the file is not used.
fn load_without_file(overrides: &Overrides, unread: String) -> Result<Loaded, Vec<Problem>> {
    let path = DEFAULT_PATH.to_owned();
    let with = |text| settings::load(text, &path, overrides);
    let (settings, has_target) = match with(None) {
        Ok(settings) => (settings, true),
        Err(_) => (with(Some(NO_TARGET)).map_err(|problems| problems.as_slice().to_vec())?, false),
    };
    Ok(Loaded { settings, text: String::new(), path, unread: Some(unread), has_target })
}

/// Loads the settings, or reports the problems on standard error and returns the exit code.
fn load_or_report(invocation: &Invocation, named: Option<&PathBuf>) -> Result<Loaded, u8> {
    load(invocation, named).map_err(|problems| report_problems(&problems))
}

fn report_problems(problems: &[Problem]) -> u8 {
    for problem in problems {
        output::write_stderr(&format!("{problem}\n"));
    }
    let count = problems.len();
    let noun = if count == 1 { "fault" } else { "faults" };
    output::write_stderr(&format!("arc-enroll: {count} {noun} in the configuration\n"));
    USAGE
}

/// The host for this invocation and settings.
fn host(invocation: &Invocation, environment: Environment<'_>, settings: &Settings) -> Host {
    let trust = TRUST_STORE_VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), environment(name)?)))
        .collect();
    let path = environment("PATH").unwrap_or_default();
    let host = Host::new(invocation.root.clone(), &path, trust);
    for form in settings.proxy.url.iter().flat_map(settings::ProxyUrl::password_forms) {
        host.mask.learn(&form);
    }
    let existing = existing_no_proxy(environment, &host);
    let existing: Vec<&str> = existing.iter().map(String::as_str).collect();
    for (name, value) in proxy_files::variables(&DesiredProxy::from(&settings.proxy), &existing) {
        host.commands.set_environment(name, value.reveal());
    }
    host
}

/// The current values of NO_PROXY, in `/etc/environment` and in the environment of this process.
fn existing_no_proxy(environment: Environment<'_>, host: &Host) -> Vec<String> {
    let text = host.text("/etc/environment").unwrap_or_default();
    let stored = proxy_files::effective(&text);
    let in_file = NO_PROXY_NAMES.iter().filter_map(|name| stored.get(name).cloned());
    in_file.chain(NO_PROXY_NAMES.iter().filter_map(|name| environment(name))).collect()
}

/// How the proxy variables of the calling shell differ from the desired ones; empty when it sets none.
fn compare_shell_proxy(environment: Environment<'_>, settings: &Settings) -> String {
    let desired = DesiredProxy::from(&settings.proxy);
    let right = desired.environment();
    let found: Pairs = right.keys().filter_map(|name| Some((name.clone(), environment(name)?))).collect();
    proxy_files::compare(&found, &right, &desired.no_proxy).1
}

/// The context of a run.
fn context(invocation: &Invocation, environment: Environment<'_>, loaded: Loaded, mode: Mode) -> Context {
    let settings = loaded.settings;
    let host = host(invocation, environment, &settings);
    Context {
        run_id: run_id(),
        verbose: invocation.verbose > 0,
        deadline: Instant::now() + settings.wait.boot,
        mode,
        config: loaded.path,
        has_target: loaded.has_target,
        is_first_boot: false,
        shell_mismatch: String::new(),
        host,
        settings,
    }
}

/// The options that the timer needs to run `enroll` like this invocation.
fn repeat(invocation: &Invocation) -> Repeat {
    let files = Files::new(invocation.root.clone());
    let config = invocation.config.as_ref().map(|named| {
        let is_below = named.is_absolute() || files.exists(named);
        let base = if is_below { None } else { system::current_directory() };
        base.unwrap_or_else(|| PathBuf::from("/")).join(named).to_string_lossy().into_owned()
    });
    Repeat::new(config.filter(|path| path != DEFAULT_PATH), &invocation.overrides)
}

/// The context of the observing subcommands, with a list of what could not be read. On problems of the configuration it
/// reports them and returns the exit code.
fn context_to_observe(
    invocation: &Invocation,
    environment: Environment<'_>,
) -> Result<(Context, Vec<String>), u8> {
    let mut loaded = load_for_observation(invocation).map_err(|problems| report_problems(&problems))?;
    let unread = loaded.unread.take().map(|reason| format!("the configuration: {reason}"));
    let context = context(invocation, environment, loaded, Mode::Observe);
    let shell_mismatch = compare_shell_proxy(environment, &context.settings);
    Ok((Context { shell_mismatch, ..context }, unread.into_iter().collect()))
}

/// A random id from the kernel, which is also the default correlation id of the onboarding.
fn run_id() -> String {
    let id = read_path("/proc/sys/kernel/random/uuid".as_ref()).ok().flatten();
    id.and_then(|id| String::from_utf8(id).ok()).map(|id| id.trim().to_owned()).unwrap_or_default()
}
