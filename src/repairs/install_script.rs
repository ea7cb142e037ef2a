//! Installs azcmagent with Microsoft's install script.

use std::path::Path;

use super::installation::{fetch, package_fault, run_installer, FETCH_LIMIT, LIMIT, WORK};
use crate::catalogue;
use crate::clients::azcmagent::PROGRAM;
use crate::clients::packages::outcome;
use crate::context::{not_writable, Context};
use crate::host::commands::{tail, Program};
use crate::host::files::Readable;
use crate::model::fault::Fault;
use crate::settings::Cloud;

/// Runs the official script under a time limit, with workarounds for its documented defects.
pub(super) async fn run(context: &Context) -> Result<(), Fault> {
    let arc_endpoint = match context.settings.azure.cloud {
        Cloud::Public => "https://gbl.his.arc.azure.com/azcmagent-linux",
        Cloud::UsGovernment => "https://gbl.his.arc.azure.us/azcmagent-linux",
        Cloud::China => "https://gbl.his.arc.azure.cn/azcmagent-linux",
    };
    let script = Path::new(WORK).join("install_linux_azcmagent.sh");
    // Arc needs the first host anyway; the short link leads to the same file.
    if fetch(context, arc_endpoint, &script, FETCH_LIMIT).await.is_err() {
        fetch(context, "https://aka.ms/azcmagent", &script, FETCH_LIMIT).await?;
    }
    let text = context.host.files.read(&script).map_err(|error| not_writable(&error))?.unwrap_or_default();
    if !text.starts_with("#!") {
        return Err(
            catalogue::AGENT_SOURCE.with_evidence("the response for the install script is not a script")
        );
    }
    let result = run_script(context, &script).await;
    let _left_for_the_next_run = context.host.files.remove(&script);
    result
}

async fn run_script(context: &Context, script: &Path) -> Result<(), Fault> {
    let real = |name: &str| context.host.files.path(Path::new(WORK).join(name)).display().to_string();
    let temporary =
        context.host.files.make_dir(Path::new(WORK).join("tmp")).map_err(|error| not_writable(&error))?;
    let output = Path::new(WORK).join("result.json");
    let mut args = vec![context.host.files.path(script).display().to_string()];
    args.extend([
        "--output".to_owned(),
        real("result.json"),
        "--tempdir".to_owned(),
        temporary.display().to_string(),
    ]);
    let proxy = context.settings.proxy.url.as_ref();
    // A proxy with a password is passed only by environment: arguments can be read by every process.
    if let Some(proxy) = proxy.filter(|proxy| proxy.credentials().is_none()) {
        args.extend(["--proxy".to_owned(), proxy.without_credentials()]);
    }
    if let Some(version) = &context.settings.agent.version {
        args.extend(["--desiredversion".to_owned(), version.clone()]);
    }
    let mut run = Program::new("bash", &[], context.within(LIMIT));
    run.args = args;
    run.env = vec![("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
    if context.host.commands.find("sudo").is_none() {
        // The script calls sudo for everything; this process is root already.
        let shim = "#!/bin/sh\n[ \"$1\" = -E ] && shift\nexec env \"$@\"\n";
        let path = Path::new(WORK).join("bin/sudo");
        context
            .host
            .files
            .write(&path, shim.as_bytes(), Readable::Program)
            .map_err(|error| not_writable(&error))?;
        run.env.push(("PATH".to_owned(), format!("{}:{}", real("bin"), context.host.commands.search_path())));
    }
    let finished = run_installer(context, run).await?;
    let result = context.host.files.read(&output).ok().flatten().unwrap_or_default();
    let _left_for_the_next_run = context.host.files.remove(&output);
    if context.host.commands.find(PROGRAM).is_some() {
        return Ok(());
    }
    Err(script_failed(context, &format!("{}\n{result}", finished.transcript)))
}

/// Classifies a failure by the code in the output and in the `--output` file, which may be invalid JSON; the script's
/// exit status is always 0 or 1.
fn script_failed(context: &Context, words: &str) -> Fault {
    let said = context.host.mask.apply(&tail(words));
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
        () => package_fault(context, &outcome::classify(words)),
    }
}
