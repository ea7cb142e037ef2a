//! Writes the proxy settings into the proxy files.

use super::{systemctl, Repair, SERVICE_LIMIT};
use crate::conditions::proxy_environment;
use crate::context::{not_writable, Context, Session};
use crate::host::files::Readable;
use crate::model::fault::Fault;
use crate::model::repair::RepairId;
use crate::proxy_files::{self, DesiredProxy, Mismatch, TakesEffect};

pub(super) static REPAIR: Repair = Repair {
    id: RepairId::PersistProxy,
    action: "writing the proxy settings",
    bound: 1,
    limit: SERVICE_LIMIT,
    is_allowed: |settings| settings.proxy.persist,
    run: |context, session| Box::pin(run(context, session)),
};

/// Writes the missing settings and updates the running systemd.
async fn run(context: &Context, session: &mut Session) -> Result<(), Fault> {
    let mut is_read_by_manager = false;
    for (edit, _) in proxy_environment::edits(context, &mut Vec::new())? {
        let readable = if edit.private { Readable::Owner } else { Readable::Everyone };
        let written = context.host.files.write(edit.file.path, edit.content.as_bytes(), readable);
        written.map_err(|error| not_writable(&error))?;
        is_read_by_manager |= edit.file.takes_effect == TakesEffect::ManagerReexec;
    }
    let finding = proxy_environment::manager(context, &session.facts).await;
    if finding.as_ref().is_some_and(|finding| finding.mismatch != Mismatch::Incomplete) {
        // Variables set by hand override the files.
        let mut args = vec!["unset-environment"];
        let wanted = DesiredProxy::from(&context.settings.proxy);
        args.extend(proxy_files::variables(&wanted, &[]).into_iter().map(|(name, _)| name));
        systemctl(context, &args).await?;
    }
    if is_read_by_manager || finding.is_some() {
        // In every version of systemd, only a re-executed manager reads DefaultEnvironment= again.
        systemctl(context, &["daemon-reexec"]).await?;
    }
    Ok(())
}
