//! How a subcommand ends that is told to stop.

use std::future::Future;

use tokio::signal::unix::{signal, SignalKind};

use crate::catalogue;
use crate::host::files::read_path;
use crate::host::{output, Host};

/// Observes, on a terminal with these words meanwhile. Stopped by a signal, it ends the programs that run, and there is
/// only an exit code.
pub(super) async fn unless_stopped<T>(
    host: &Host,
    meanwhile: Option<String>,
    looking: impl Future<Output = T>,
) -> Result<T, u8> {
    if let Some(words) = &meanwhile {
        output::print(words);
    }
    let found = tokio::select! {
        // Listening before the first program is started.
        biased;
        signal = shutdown_signal() => Err(signal),
        found = looking => Ok(found),
    };
    if meanwhile.is_some() {
        output::print("\r\x1b[K");
    }
    match found {
        Ok(found) => Ok(found),
        Err(signal) => {
            host.commands.reap().await;
            output::write_stderr(&format!("arc-enroll: stopped by {signal}\n"));
            Err(catalogue::RUN_INTERRUPTED.exit_code())
        }
    }
}

/// Ends when the process is told to stop; the name of the signal.
pub(super) async fn shutdown_signal() -> &'static str {
    let ignored = ignored_signals();
    let kinds = [
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::interrupt(), "SIGINT"),
        (SignalKind::hangup(), "SIGHUP"),
    ];
    let mut signals = Vec::new();
    for (kind, name) in kinds {
        // One that was ignored from the start, as nohup does, stays so: handling it would undo that.
        let is_ignored = ignored >> (kind.as_raw_value() - 1) & 1 == 1;
        if let (false, Ok(signal)) = (is_ignored, signal(kind)) {
            signals.push((signal, name));
        }
    }
    std::future::poll_fn(|context| {
        let came = signals
            .iter_mut()
            .find_map(|(signal, name)| signal.poll_recv(context).is_ready().then_some(*name));
        came.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await
}

/// The signals that this process was started to ignore, bit 0 being signal 1 (proc_pid_status(5), SigIgn).
fn ignored_signals() -> u64 {
    let status = read_path("/proc/self/status".as_ref()).ok().flatten().unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
