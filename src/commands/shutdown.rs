//! The shutdown signal, and how an observing subcommand ends on it.

use std::future::Future;

use tokio::signal::unix::{signal, SignalKind};

use crate::catalogue;
use crate::host::files::read_path;
use crate::host::tasks::Task;
use crate::host::{output, Host};

/// Runs an observation, showing `status` meanwhile.
///
/// # Errors
/// The exit code when a shutdown signal arrived; child processes have been ended then.
pub(super) async fn run_until_shutdown<T>(
    host: &Host,
    status: Option<String>,
    observation: impl Future<Output = T>,
) -> Result<T, u8> {
    until_shutdown(host, status, output::print, observation).await.map_err(|signal| {
        output::write_stderr(&format!("arc-enroll: stopped by {signal}\n"));
        catalogue::RUN_INTERRUPTED.exit_code()
    })
}

/// Runs an observation, showing `status` meanwhile by `print`.
///
/// # Errors
/// The name of the shutdown signal that arrived; child processes have been ended then.
pub(super) async fn until_shutdown<T>(
    host: &Host,
    status: Option<String>,
    print: fn(&str),
    observation: impl Future<Output = T>,
) -> Result<T, &'static str> {
    if let Some(status) = &status {
        print(status);
    }
    let found = tokio::select! {
        // The signal handlers have to be installed before the first child process is started.
        biased;
        signal = shutdown_signal() => Err(signal),
        found = observation => Ok(found),
    };
    if status.is_some() {
        print("\r\x1b[K");
    }
    if found.is_err() {
        host.commands.reap().await;
    }
    found
}

/// Waits for a shutdown signal and returns its name.
pub(super) fn shutdown_signal() -> Task<'static, &'static str> {
    Box::pin(first_signal())
}

async fn first_signal() -> &'static str {
    let ignored = ignored_signals();
    let kinds = [
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::interrupt(), "SIGINT"),
        (SignalKind::hangup(), "SIGHUP"),
    ];
    let mut signals = Vec::new();
    for (kind, name) in kinds {
        // A signal that was ignored at start, as by nohup, has to stay ignored.
        let is_ignored = ignored >> (kind.as_raw_value() - 1) & 1 == 1;
        if let (false, Ok(signal)) = (is_ignored, signal(kind)) {
            signals.push((signal, name));
        }
    }
    std::future::poll_fn(|context| {
        let received = signals
            .iter_mut()
            .find_map(|(signal, name)| signal.poll_recv(context).is_ready().then_some(*name));
        received.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await
}

/// The signals that were ignored at start; bit 0 is signal 1 (proc_pid_status(5), SigIgn).
fn ignored_signals() -> u64 {
    let status = read_path("/proc/self/status".as_ref()).ok().flatten().unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
