//! Shared by the installation methods: fetching, running an installer, classifying failures.

use std::path::Path;
use std::time::Duration;

use crate::catalogue;
use crate::clients::packages::distribution::Family;
use crate::clients::packages::outcome::{PackageFailure, PackageFailureKind, UnreachableCause};
use crate::clients::packages::INSTALL_BEGUN;
use crate::context::{about_endpoints, not_writable, Context};
use crate::formats::url::Url;
use crate::host::commands::{CommandError, Finished, Program};
use crate::host::files::Readable;
use crate::host::https::{self, HttpsError, HttpsRequest};
use crate::model::fault::Fault;

/// Time limit of one package manager command: the package has 85 MB and the link may be slow.
pub(super) const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Time limit of fetching a key or a script.
pub(super) const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// The directory of fetched files, below `--root`; not /tmp, which may be cleaned or mounted noexec.
pub(super) const WORK: &str = "/var/lib/arc-enroll/install";

/// Fetches a URL into a file.
pub(super) async fn fetch(context: &Context, url: &str, to: &Path, limit: Duration) -> Result<(), Fault> {
    context.host.files.make_dir(WORK).map_err(|error| not_writable(&error))?;
    let path = context.host.files.path(to);
    let request = HttpsRequest { save_to: Some(&path), ..HttpsRequest::get(url, context.within(limit)) };
    match https::send(&context.host.commands, context.settings.proxy.url.as_ref(), request).await {
        Ok(_) => Ok(()),
        Err(error) => Err(fetch_error(Url::split(url).map_or("", |url| url.host()), &error)),
    }
}

/// A package manager's failure as a fault.
pub(super) fn package_fault(context: &Context, failure: &PackageFailure) -> Fault {
    let kind = match failure.kind {
        PackageFailureKind::Locked => &catalogue::AGENT_PACKAGE_LOCK,
        PackageFailureKind::Interrupted => &catalogue::AGENT_DPKG_INTERRUPTED,
        PackageFailureKind::DiskFull => &catalogue::HOST_DISK_FULL,
        PackageFailureKind::VersionNotFound => &catalogue::AGENT_VERSION_UNKNOWN,
        PackageFailureKind::Untrusted => &catalogue::AGENT_KEY,
        PackageFailureKind::Unreachable(UnreachableCause::Certificate) => &catalogue::EGRESS_UNTRUSTED,
        PackageFailureKind::Unreachable(_) => &catalogue::AGENT_SOURCE,
        _ => &catalogue::AGENT_INSTALL,
    };
    kind.with_evidence(context.host.mask.apply(&failure.line))
}

/// The fault of an installer that could not be run.
pub(super) fn command_error(error: &CommandError) -> Fault {
    catalogue::AGENT_INSTALL.with_evidence(error.to_string())
}

/// Runs an installer, and keeps a marker file while it runs: see [`INSTALL_BEGUN`].
pub(super) async fn run_installer(context: &Context, run: Program<'_>) -> Result<Box<Finished>, Fault> {
    if run.program != Family::Apt.program() {
        // A marker that cannot be written matters only if the power fails too.
        let _logged = context.host.files.write(INSTALL_BEGUN, b"", Readable::Everyone);
    }
    let finished = context.host.commands.run(run).await;
    if !matches!(finished.as_ref().map_err(|error| &**error), Err(CommandError::TimedOut { .. })) {
        let _left_to_be_written_over = context.host.files.remove(INSTALL_BEGUN);
    }
    finished.map_err(|error| command_error(&error))
}

/// The fault of a failed fetch.
pub(super) fn fetch_error(host: &str, error: &HttpsError) -> Fault {
    match error {
        HttpsError::Curl { tunnel_status: 400..=499, .. } => {
            let fault = catalogue::EGRESS_REFUSED.with_evidence(format!("{host}: {error}"));
            about_endpoints(fault, &[host.to_owned()])
        }
        HttpsError::Curl { code: 51 | 60 | 77, .. } => {
            catalogue::EGRESS_UNTRUSTED.with_evidence(error.to_string())
        }
        // 23: curl cannot write the file, as when it is confined by snap.
        HttpsError::NoCurl | HttpsError::Curl { code: 23, .. } => {
            catalogue::AGENT_NO_CURL.with_evidence(format!("fetching from {host}: {error}"))
        }
        _ => catalogue::AGENT_SOURCE.with_evidence(error.to_string()),
    }
}
