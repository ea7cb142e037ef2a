//! Installing azcmagent, in the way that the configuration names. Whether it worked is judged by what is
//! there afterwards, never by an exit status alone: the official script reports success for failures.

use std::path::Path;
use std::time::Duration;

use tracing::info;

use crate::catalogue;
use crate::clients::azcmagent::PROGRAM;
use crate::clients::packages::distribution::{repository_for, Family, Repository};
use crate::clients::packages::outcome::{self, Cause, Failure, Kind};
use crate::clients::packages::plan::{self, Command, Plan, Purpose};
use crate::clients::packages::{key, os_release::OsRelease, PACKAGE};
use crate::conditions::proxy_environment::not_writable;
use crate::conditions::Vm;
use crate::host::commands::{tail, CommandError, Finished, Run};
use crate::host::files::Readable;
use crate::host::https::{self, HttpsError, Request};
use crate::model::fault::Fault;
use crate::model::url::Url;
use crate::settings::{Cloud, Install, Package, PackageSource};

/// Time limit of one command of the package manager: the package has 85 MB and the link may be thin.
const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Time limit of fetching a key or a script.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Where fetched files are kept while they are needed, below `--root`; not /tmp, which may be cleaned or noexec.
const WORK: &str = "/var/lib/arc-enroll/install";

/// There as long as a package manager installs: found later, the power or the run went in the middle of it. Only
/// dpkg remembers that by itself.
const BEGUN: &str = "/var/lib/arc-enroll/install-begun";

/// Installs azcmagent.
///
/// # Errors
/// What stands in the way.
pub(crate) async fn install(vm: &Vm) -> Result<(), Fault> {
    match &vm.settings.agent.install {
        Install::Repository => from_repository(vm).await?,
        Install::Script => by_script(vm).await?,
        Install::Package(package) => from_package(vm, package).await?,
        Install::Never => return Err(catalogue::AGENT_NOT_WANTED.with_evidence("agent.install is never")),
    }
    if vm.host.commands.find(PROGRAM).is_some() {
        info!(event = "agent.installed", "azcmagent is installed");
        Ok(())
    } else {
        Err(catalogue::AGENT_INSTALL.with_evidence("everything reported success, but there is no azcmagent"))
    }
}

/// Whether an installation was begun here that never came to its end, and may be made again.
pub(crate) fn was_cut_off(vm: &Vm) -> bool {
    vm.settings.agent.install != Install::Never && vm.host.files.exists(BEGUN)
}

/// Finishes what was cut off: dpkg can do that; rpm has to forget the package, and then it is installed anew.
///
/// rpm writes a package down before it runs its scripts, and takes it for installed ever after. What the script
/// would have done (users, units) is then missing.
///
/// # Errors
/// What stands in the way.
pub(crate) async fn finish_interrupted(vm: &Vm) -> Result<(), Fault> {
    let family = family(vm).unwrap_or(Family::Apt);
    let was_ours = was_cut_off(vm);
    let command = if family == Family::Apt { &["dpkg", "--configure", "-a"][..] } else { &FORGET[..] };
    let [program, args @ ..] = command else { return Ok(()) };
    let mut run = Run::new(program, args, vm.within(INSTALL_LIMIT));
    run.env = vec![("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
    let finished = vm.host.commands.run(run).await.map_err(|error| not_run(&error))?;
    // That rpm does not know the package is as good.
    let is_done =
        finished.succeeded() || family != Family::Apt && finished.transcript.contains("not installed");
    if !is_done {
        return Err(failed(vm, &outcome::classify(&finished.transcript)));
    }
    if was_ours && family != Family::Apt {
        return install(vm).await;
    }
    let _mark_of_the_script = vm.host.files.remove(BEGUN);
    Ok(())
}

/// Takes the package out of rpm's database and leaves its files and services alone.
const FORGET: [&str; 7] = ["rpm", "--erase", "--justdb", "--nodeps", "--noscripts", "--allmatches", PACKAGE];

async fn from_repository(vm: &Vm) -> Result<(), Fault> {
    let repository = repository(vm)?;
    let listed = {
        let texts = source_lists(vm, repository.family);
        let pairs: Vec<(&str, &str)> =
            texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        plan::find_listed(&repository, &pairs)
    };
    let armored = match (repository.key(), &listed) {
        (Some(key), None) => checked_key(vm, key.url).await?,
        _ => String::new(),
    };
    let version = vm.settings.agent.version.as_deref();
    let plan = plan::from_repository(&repository, version, &armored, listed.as_ref());
    carry_out(vm, repository.family, plan).await
}

fn repository(vm: &Vm) -> Result<Repository, Fault> {
    let text = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| vm.host.text(path))
        .ok_or_else(|| catalogue::AGENT_DISTRIBUTION.with_evidence("there is no /etc/os-release"))?;
    repository_for(&OsRelease::parse(&text), std::env::consts::ARCH)
        .map_err(|unsupported| catalogue::AGENT_DISTRIBUTION.with_evidence(unsupported.to_string()))
}

/// How this distribution installs packages; one that is not in the table, by the program of rpm's that it has.
fn family(vm: &Vm) -> Result<Family, Fault> {
    let by_program = |fault| {
        let is_here = |family: &Family| vm.host.commands.find(family.program()).is_some();
        Family::OF_RPM.into_iter().find(is_here).ok_or(fault)
    };
    repository(vm).map(|repository| repository.family).or_else(by_program)
}

/// The program by which this distribution installs packages.
pub(crate) fn package_manager(vm: &Vm) -> &'static str {
    family(vm).unwrap_or(Family::Apt).program()
}

fn source_lists(vm: &Vm, family: Family) -> Vec<(String, String)> {
    let directory = match family {
        Family::Apt => "/etc/apt/sources.list.d",
        Family::Zypper => "/etc/zypp/repos.d",
        Family::Dnf | Family::Yum | Family::Tdnf => "/etc/yum.repos.d",
    };
    let names = vm.host.files.names(directory).into_iter().map(|name| format!("{directory}/{name}"));
    let paths = names.chain((family == Family::Apt).then(|| "/etc/apt/sources.list".to_owned()));
    paths.filter_map(|path| vm.host.text(&path).map(|text| (path, text))).collect()
}

/// The repository's key, fetched and known by its fingerprint.
async fn checked_key(vm: &Vm, url: &str) -> Result<String, Fault> {
    let proxy = vm.settings.proxy.url.as_ref();
    let reply = https::send(&vm.host.commands, proxy, Request::get(url, vm.within(FETCH_LIMIT)))
        .await
        .map_err(|error| not_fetched(vm, "packages.microsoft.com", &error))?;
    if reply.status != 200 {
        return Err(catalogue::AGENT_SOURCE.with_evidence(format!("{url}: HTTP {}", reply.status)));
    }
    let own = &vm.settings.agent.repository_key;
    let checked =
        if own.is_empty() { key::check(&reply.body, &key::MICROSOFT) } else { key::check(&reply.body, own) };
    match checked {
        Ok(()) => {
            info!(event = "repository.key", url, "the repository's key is the expected one");
            Ok(reply.body)
        }
        Err(error) => Err(catalogue::AGENT_KEY.with_evidence(format!("{url}: {error}"))),
    }
}

async fn from_package(vm: &Vm, package: &Package) -> Result<(), Fault> {
    let path = match &package.source {
        PackageSource::File(path) => path.clone(),
        PackageSource::Url(url) => {
            let path = Url::split(url).map_or("", |url| url.path());
            Path::new(WORK).join(path.rsplit('/').next().unwrap_or_default())
        }
    };
    let digest = || vm.host.files.sha256(&path).map_err(|error| not_writable(vm, &error));
    if let PackageSource::Url(url) = &package.source {
        // What an earlier try has fetched is good for the next one.
        if digest()?.as_ref() != Some(&package.sha256) {
            fetch(vm, url, &path, INSTALL_LIMIT).await?;
        }
    }
    let result = match digest()? {
        Some(found) if found == package.sha256 => install_file(vm, &path).await,
        Some(found) => {
            let evidence = format!("{} has {found}, expected {}", path.display(), package.sha256);
            Err(catalogue::AGENT_DIGEST.with_evidence(evidence))
        }
        None => Err(catalogue::AGENT_DIGEST.with_evidence(format!("there is no file {}", path.display()))),
    };
    let is_of_use = result.as_ref().is_err_and(|fault| fault.code() != catalogue::AGENT_DIGEST.code);
    if matches!(package.source, PackageSource::Url(_)) && !is_of_use {
        let _left_for_the_next_run = vm.host.files.remove(&path);
    }
    result
}

async fn install_file(vm: &Vm, path: &Path) -> Result<(), Fault> {
    let is_deb = path.extension().is_some_and(|extension| extension == "deb");
    let family = if is_deb { Family::Apt } else { family(vm)? };
    let real = vm.host.files.path(path).display().to_string();
    carry_out(vm, family, plan::from_file(family, &real)).await
}

/// The official script, under our time limit; its documented defects are covered here.
async fn by_script(vm: &Vm) -> Result<(), Fault> {
    let his = match vm.settings.azure.cloud {
        Cloud::Public => "https://gbl.his.arc.azure.com/azcmagent-linux",
        Cloud::UsGovernment => "https://gbl.his.arc.azure.us/azcmagent-linux",
        Cloud::China => "https://gbl.his.arc.azure.cn/azcmagent-linux",
    };
    let script = Path::new(WORK).join("install_linux_azcmagent.sh");
    // Arc needs the first host anyway; the short link is a second name for the same file.
    if fetch(vm, his, &script, FETCH_LIMIT).await.is_err() {
        fetch(vm, "https://aka.ms/azcmagent", &script, FETCH_LIMIT).await?;
    }
    let text = vm.host.files.read(&script).map_err(|error| not_writable(vm, &error))?.unwrap_or_default();
    if !text.starts_with("#!") {
        return Err(
            catalogue::AGENT_SOURCE.with_evidence("what was served as the install script is no script")
        );
    }
    let result = run_script(vm, &script).await;
    let _left_for_the_next_run = vm.host.files.remove(&script);
    result
}

async fn run_script(vm: &Vm, script: &Path) -> Result<(), Fault> {
    let real = |name: &str| vm.host.files.path(Path::new(WORK).join(name)).display().to_string();
    let temporary =
        vm.host.files.make_dir(Path::new(WORK).join("tmp")).map_err(|error| not_writable(vm, &error))?;
    let output = Path::new(WORK).join("result.json");
    let mut args = vec![vm.host.files.path(script).display().to_string()];
    args.extend([
        "--output".to_owned(),
        real("result.json"),
        "--tempdir".to_owned(),
        temporary.display().to_string(),
    ]);
    let proxy = vm.settings.proxy.url.as_ref();
    // With a password the proxy goes by environment alone: arguments can be read by every process.
    if let Some(proxy) = proxy.filter(|proxy| proxy.credentials().is_none()) {
        args.extend(["--proxy".to_owned(), proxy.without_credentials()]);
    }
    if let Some(version) = &vm.settings.agent.version {
        args.extend(["--desiredversion".to_owned(), version.clone()]);
    }
    let mut run = Run::new("bash", &[], vm.within(INSTALL_LIMIT));
    run.args = args;
    run.env = vec![("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
    if vm.host.commands.find("sudo").is_none() {
        // The script calls sudo for everything; we are root already.
        let shim = "#!/bin/sh\n[ \"$1\" = -E ] && shift\nexec env \"$@\"\n";
        let path = Path::new(WORK).join("bin/sudo");
        vm.host
            .files
            .write(&path, shim.as_bytes(), Readable::Program)
            .map_err(|error| not_writable(vm, &error))?;
        run.env.push(("PATH".to_owned(), format!("{}:{}", real("bin"), vm.host.commands.search_path())));
    }
    let finished = run_installer(vm, run).await?;
    let result = vm.host.files.read(&output).ok().flatten().unwrap_or_default();
    let _left_for_the_next_run = vm.host.files.remove(&output);
    if vm.host.commands.find(PROGRAM).is_some() {
        return Ok(());
    }
    Err(script_failed(vm, &format!("{}\n{result}", finished.transcript)))
}

/// The script's exit status is 0 or 1 whatever happened; its words and the `--output` file, which may be
/// invalid JSON, hold the code.
fn script_failed(vm: &Vm, words: &str) -> Fault {
    let said = vm.host.mask.apply(&tail(words));
    let has = |code: &str| words.contains(code);
    match () {
        () if has("AZCM0141") => catalogue::AGENT_AZURE_VM.with_evidence(said),
        () if has("AZCM0145") => catalogue::AGENT_PACKAGE_LOCK.with_evidence(said),
        () if has("AZCM0146") => catalogue::AGENT_SOURCE.with_evidence(said),
        () if has("AZCM0157") => catalogue::AGENT_NO_CURL.with_evidence(said),
        () if has("AZCM0147") => catalogue::AGENT_VERSION_UNKNOWN.with_evidence(said),
        () if has("AZCM0130") => catalogue::HOST_NO_SYSTEMD.with_evidence(said),
        () if ["AZCM0131", "AZCM0132", "AZCM0133"].iter().any(|code| has(code)) => {
            catalogue::AGENT_DISTRIBUTION.with_evidence(said)
        }
        () => failed(vm, &outcome::classify(words)),
    }
}

/// Writes the plan's files and runs its commands; the second attempt only where the first one is not enough.
async fn carry_out(vm: &Vm, family: Family, plan: Plan) -> Result<(), Fault> {
    for file in &plan.files {
        let unchanged = vm.host.text(file.path).as_deref() == Some(file.content.as_str());
        if !unchanged {
            vm.host
                .files
                .write(file.path, file.content.as_bytes(), Readable::Everyone)
                .map_err(|error| not_writable(vm, &error))?;
        }
    }
    let mut first = None;
    for attempt in plan.attempts {
        match run_attempt(vm, family, attempt).await? {
            None if vm.host.commands.find(PROGRAM).is_some() => return Ok(()),
            Some(failure) if !a_second_attempt_helps(failure.kind) => return Err(failed(vm, &failure)),
            outcome => first = first.or(outcome),
        }
    }
    match first {
        Some(failure) => Err(failed(vm, &failure)),
        None => Ok(()),
    }
}

fn a_second_attempt_helps(kind: Kind) -> bool {
    matches!(kind, Kind::UnmetDependencies | Kind::PackageNotFound | Kind::Mismatch | Kind::Other)
}

async fn run_attempt(vm: &Vm, family: Family, commands: Vec<Command>) -> Result<Option<Failure>, Fault> {
    let pinned = vm.settings.agent.version.as_deref().unwrap_or_default();
    let mut version = pinned.to_owned();
    for command in commands {
        let mut run = Run::new(command.program, &[], vm.within(INSTALL_LIMIT));
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
            Purpose::Install => run_installer(vm, run).await?,
            _ => vm.host.commands.run(run).await.map_err(|error| not_run(&error))?,
        };
        let refreshes = matches!(command.purpose, Purpose::Refresh);
        let failure = match finished.code {
            Some(code) if family.succeeded(code) && refreshes => outcome::find(&finished.transcript),
            Some(code) if family.succeeded(code) => None,
            _ => Some(outcome::classify(&finished.transcript)),
        };
        let tolerated = |failure: &Failure| {
            command.purpose == Purpose::RefreshAll
                && !matches!(failure.kind, Kind::Locked | Kind::Interrupted)
        };
        if let Some(failure) = failure.filter(|failure| !tolerated(failure)) {
            return Ok(Some(failure));
        }
        if command.purpose == Purpose::Choose {
            let Some(newest) = plan::chosen(&finished.stdout, pinned) else {
                let line = format!("the repository has no {PACKAGE} {pinned}");
                return Ok(Some(Failure { kind: Kind::VersionNotFound, line }));
            };
            version = newest;
        }
    }
    Ok(None)
}

/// Runs what unpacks the package, and leaves a mark that lasts as long: see [`BEGUN`].
async fn run_installer(vm: &Vm, run: Run<'_>) -> Result<Box<Finished>, Fault> {
    if run.program != Family::Apt.program() {
        // Where nothing can be written the mark is missed only if the power goes too.
        let _logged = vm.host.files.write(BEGUN, b"", Readable::Everyone);
    }
    let finished = vm.host.commands.run(run).await;
    if !matches!(finished.as_ref().map_err(|error| &**error), Err(CommandError::TimedOut { .. })) {
        let _left_to_be_written_over = vm.host.files.remove(BEGUN);
    }
    finished.map_err(|error| not_run(&error))
}

/// A package manager's failure as a fault.
fn failed(vm: &Vm, failure: &Failure) -> Fault {
    let entry = match failure.kind {
        Kind::Locked => &catalogue::AGENT_PACKAGE_LOCK,
        Kind::Interrupted => &catalogue::AGENT_DPKG_INTERRUPTED,
        Kind::DiskFull => &catalogue::HOST_DISK_FULL,
        Kind::VersionNotFound => &catalogue::AGENT_VERSION_UNKNOWN,
        Kind::Untrusted => &catalogue::AGENT_KEY,
        Kind::Unreachable(Cause::Certificate) => &catalogue::EGRESS_UNTRUSTED,
        Kind::Unreachable(_) => &catalogue::AGENT_SOURCE,
        _ => &catalogue::AGENT_INSTALL,
    };
    entry.with_evidence(vm.host.mask.apply(&failure.line))
}

fn not_run(error: &CommandError) -> Fault {
    catalogue::AGENT_INSTALL.with_evidence(error.to_string())
}

async fn fetch(vm: &Vm, url: &str, to: &Path, limit: Duration) -> Result<(), Fault> {
    vm.host.files.make_dir(WORK).map_err(|error| not_writable(vm, &error))?;
    let path = vm.host.files.path(to);
    let request = Request { save_to: Some(&path), ..Request::get(url, vm.within(limit)) };
    match https::send(&vm.host.commands, vm.settings.proxy.url.as_ref(), request).await {
        Ok(_) => Ok(()),
        Err(error) => Err(not_fetched(vm, Url::split(url).map_or("", |url| url.host()), &error)),
    }
}

/// A fetch that failed: refused by the proxy is the network's list, anything else may pass.
fn not_fetched(vm: &Vm, host: &str, error: &HttpsError) -> Fault {
    match error {
        HttpsError::Curl { tunnel_status: 400..=499, .. } => {
            *vm.learnt.endpoints.borrow_mut() = vec![host.to_owned()];
            catalogue::EGRESS_REFUSED.with_evidence(format!("{host}: {error}"))
        }
        HttpsError::Curl { code: 51 | 60 | 77, .. } => {
            catalogue::EGRESS_UNTRUSTED.with_evidence(error.to_string())
        }
        // 23: curl may not write where it has to, as one confined by snap.
        HttpsError::NoCurl | HttpsError::Curl { code: 23, .. } => {
            catalogue::AGENT_NO_CURL.with_evidence(format!("fetching from {host}: {error}"))
        }
        _ => catalogue::AGENT_SOURCE.with_evidence(error.to_string()),
    }
}
