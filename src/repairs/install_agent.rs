//! Installs azcmagent by the configured method. Success is judged by the installed program, never by an exit status
//! alone: the official script reports success for some failures.

use std::path::Path;

use tracing::info;

use super::installation::{
    command_error, fetch, fetch_error, package_fault, run_installer, FETCH_LIMIT, LIMIT, WORK,
};
use super::{always, install_script, Repair};
use crate::catalogue;
use crate::clients::azcmagent::PROGRAM;
use crate::clients::packages::distribution::Family;
use crate::clients::packages::outcome::{self, PackageFailure, PackageFailureKind};
use crate::clients::packages::plan::{self, PackageCommand, Plan, Purpose};
use crate::clients::packages::{self, key, PACKAGE};
use crate::context::{not_writable, Context};
use crate::formats::url::Url;
use crate::host::commands::Program;
use crate::host::files::Readable;
use crate::host::https::{self, HttpsRequest};
use crate::model::fault::Fault;
use crate::model::repair::RepairId;
use crate::settings::{Install, Package, PackageSource};

pub(super) static INSTALL: Repair = Repair {
    id: RepairId::InstallAgent,
    action: "installing azcmagent",
    bound: 2,
    limit: LIMIT,
    is_allowed: always,
    run: |context, _session| Box::pin(install(context)),
};

pub(super) static UPGRADE: Repair = Repair {
    id: RepairId::UpgradeAgent,
    action: "installing a newer azcmagent",
    bound: 1,
    limit: LIMIT,
    is_allowed: |settings| settings.agent.install != Install::Never,
    run: |context, _session| Box::pin(install(context)),
};

/// Installs azcmagent.
///
/// # Errors
/// The fault that prevents it.
pub(super) async fn install(context: &Context) -> Result<(), Fault> {
    match &context.settings.agent.install {
        Install::Repository => from_repository(context).await?,
        Install::Script => install_script::run(context).await?,
        Install::Package(package) => from_package(context, package).await?,
        Install::Never => return Err(catalogue::AGENT_NOT_WANTED.with_evidence("agent.install is never")),
    }
    if context.host.commands.find(PROGRAM).is_some() {
        info!(event = "agent.installed", "azcmagent is installed");
        Ok(())
    } else {
        Err(catalogue::AGENT_INSTALL
            .with_evidence("the installation reported success, but there is no azcmagent"))
    }
}

async fn from_repository(context: &Context) -> Result<(), Fault> {
    let repository = packages::repository(&context.host)?;
    let listed = {
        let texts = source_lists(context, repository.family);
        let pairs: Vec<(&str, &str)> =
            texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        plan::find_listed(&repository, &pairs)
    };
    let keyring = match (repository.key(), &listed) {
        (Some(key), None) => fetch_keyring(context, key.url).await?,
        _ => String::new(),
    };
    let version = context.settings.agent.version.as_deref();
    let plan = plan::from_repository(&repository, version, &keyring, listed.as_ref());
    execute_plan(context, repository.family, plan).await
}

fn source_lists(context: &Context, family: Family) -> Vec<(String, String)> {
    let directory = match family {
        Family::Apt => "/etc/apt/sources.list.d",
        Family::Zypper => "/etc/zypp/repos.d",
        Family::Dnf | Family::Yum | Family::Tdnf => "/etc/yum.repos.d",
    };
    let names = context.host.files.names(directory).into_iter().map(|name| format!("{directory}/{name}"));
    let paths = names.chain((family == Family::Apt).then(|| "/etc/apt/sources.list".to_owned()));
    paths.filter_map(|path| context.host.text(&path).map(|text| (path, text))).collect()
}

/// The keyring for the repository, made of its served key, whose fingerprint is known.
async fn fetch_keyring(context: &Context, url: &str) -> Result<String, Fault> {
    let proxy = context.settings.proxy.url.as_ref();
    let reply =
        https::send(&context.host.commands, proxy, HttpsRequest::get(url, context.within(FETCH_LIMIT)))
            .await
            .map_err(|error| fetch_error("packages.microsoft.com", &error))?;
    if reply.status != 200 {
        return Err(catalogue::AGENT_SOURCE.with_evidence(format!("{url}: HTTP {}", reply.status)));
    }
    let own: Vec<&str> = context.settings.agent.repository_key.iter().map(String::as_str).collect();
    let trusted = if own.is_empty() { &key::MICROSOFT[..] } else { &own };
    match key::keyring(&reply.body, trusted) {
        Ok(keyring) => {
            info!(event = "repository.key", url, "the repository's key is the expected one");
            Ok(keyring)
        }
        Err(error) => Err(catalogue::AGENT_KEY.with_evidence(format!("{url}: {error}"))),
    }
}

async fn from_package(context: &Context, package: &Package) -> Result<(), Fault> {
    let path = match &package.source {
        PackageSource::File(path) => path.clone(),
        PackageSource::Url(url) => {
            let path = Url::split(url).map_or("", |url| url.path());
            Path::new(WORK).join(path.rsplit('/').next().unwrap_or_default())
        }
    };
    let digest = || context.host.files.sha256(&path).map_err(|error| not_writable(&error));
    let mut found = digest()?;
    if let PackageSource::Url(url) = &package.source {
        // A file that an earlier attempt fetched is reused.
        if found.as_ref() != Some(&package.sha256) {
            fetch(context, url, &path, LIMIT).await?;
            found = digest()?;
        }
    }
    let result = match found {
        Some(found) if found == package.sha256 => install_file(context, &path).await,
        Some(found) => {
            let evidence = format!("{} has {found}, expected {}", path.display(), package.sha256);
            Err(catalogue::AGENT_DIGEST.with_evidence(evidence))
        }
        None => Err(catalogue::AGENT_DIGEST.with_evidence(format!("there is no file {}", path.display()))),
    };
    let is_reusable = result.as_ref().is_err_and(|fault| !fault.is(&catalogue::AGENT_DIGEST));
    if matches!(package.source, PackageSource::Url(_)) && !is_reusable {
        let _left_for_the_next_run = context.host.files.remove(&path);
    }
    result
}

async fn install_file(context: &Context, path: &Path) -> Result<(), Fault> {
    let is_deb = path.extension().is_some_and(|extension| extension == "deb");
    let family = if is_deb { Family::Apt } else { packages::family(&context.host)? };
    let real = context.host.files.path(path).display().to_string();
    execute_plan(context, family, plan::from_file(family, &real)).await
}

/// Writes the plan's files and runs its commands; the second attempt runs only if the first one is not enough.
async fn execute_plan(context: &Context, family: Family, plan: Plan) -> Result<(), Fault> {
    for file in &plan.files {
        let unchanged = context.host.text(file.path).as_deref() == Some(file.content.as_str());
        if !unchanged {
            context
                .host
                .files
                .write(file.path, file.content.as_bytes(), Readable::Everyone)
                .map_err(|error| not_writable(&error))?;
        }
    }
    let mut first = None;
    for attempt in plan.attempts {
        match run_attempt(context, family, attempt).await? {
            None if context.host.commands.find(PROGRAM).is_some() => return Ok(()),
            Some(failure) if !second_attempt_can_help(failure.kind) => {
                return Err(package_fault(context, &failure))
            }
            outcome => first = first.or(outcome),
        }
    }
    match first {
        Some(failure) => Err(package_fault(context, &failure)),
        None => Ok(()),
    }
}

fn second_attempt_can_help(kind: PackageFailureKind) -> bool {
    matches!(
        kind,
        PackageFailureKind::UnmetDependencies
            | PackageFailureKind::PackageNotFound
            | PackageFailureKind::Mismatch
            | PackageFailureKind::Other
    )
}

async fn run_attempt(
    context: &Context,
    family: Family,
    commands: Vec<PackageCommand>,
) -> Result<Option<PackageFailure>, Fault> {
    let pinned = context.settings.agent.version.as_deref().unwrap_or_default();
    let mut version = pinned.to_owned();
    for command in commands {
        let mut run = Program::new(command.program, &[], context.within(LIMIT));
        run.args = command.arguments;
        let wanted = format!("{PACKAGE}={pinned}");
        if let Some(last) = run.args.last_mut().filter(|last| **last == wanted) {
            *last = format!("{PACKAGE}={version}");
        }
        run.env = command
            .environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let finished = match command.purpose {
            Purpose::Install => run_installer(context, run).await?,
            _ => context.host.commands.run(run).await.map_err(|error| command_error(&error))?,
        };
        let refreshes = matches!(command.purpose, Purpose::Refresh);
        let failure = match finished.code {
            Some(code) if family.succeeded(code) && refreshes => outcome::find(&finished.transcript),
            Some(code) if family.succeeded(code) => None,
            _ => Some(outcome::classify(&finished.transcript)),
        };
        let tolerated = |failure: &PackageFailure| {
            command.purpose == Purpose::RefreshAll
                && !matches!(failure.kind, PackageFailureKind::Locked | PackageFailureKind::Interrupted)
        };
        if let Some(failure) = failure.filter(|failure| !tolerated(failure)) {
            return Ok(Some(failure));
        }
        if command.purpose == Purpose::Choose {
            let Some(newest) = plan::newest_version(&finished.stdout, pinned) else {
                let line = format!("the repository has no {PACKAGE} {pinned}");
                return Ok(Some(PackageFailure { kind: PackageFailureKind::VersionNotFound, line }));
            };
            version = newest;
        }
    }
    Ok(None)
}
