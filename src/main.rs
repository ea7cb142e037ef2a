//! arc-enroll: makes a VM on Azure Operator Nexus an Azure Arc-enabled server, from its user-data.
//!
//! Where to begin reading: [`converge`] is the loop, [`conditions`] what it makes hold, [`fault`] what may
//! stand in the way. [`host`] has the doors to the outside.

mod arm;
mod azcmagent;
mod bundle;
mod cli;
mod condition;
mod conditions;
mod converge;
mod fault;
mod finding;
mod host;
mod imds;
mod logging;
mod packages;
mod pairs;
mod precheck;
mod progress;
mod proxy_settings;
#[cfg(test)]
mod readers;
mod record;
mod report;
mod retry;
mod secret;
mod settings;
mod subcommands;
mod timer;
mod user_data;

use std::process::ExitCode;

use host::output;

/// Exit code of a fault in this program itself.
const EXIT_INTERNAL: u8 = 1;

/// Exit code of a command line or configuration that cannot be followed.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        host::memory_file::remove_all();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(event = "run.panicked", place = %place, exit_code = EXIT_INTERNAL, "{panic}");
        output::complain(&format!("arc-enroll: internal error: {panic}\n"));
        // Not a signal: a panic ends with the exit code of internal errors, after what had to be removed.
        std::process::exit(i32::from(EXIT_INTERNAL));
    }));
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let environment = |name: &str| std::env::var(name).ok();
    let code = match cli::parse(std::env::args_os().skip(1), &environment) {
        Ok(invocation) => run(&invocation, &environment),
        Err(error) => {
            output::complain(&format!("arc-enroll: {error}\n"));
            EXIT_USAGE
        }
    };
    ExitCode::from(code)
}

/// One thread is enough: the agent waits for others, and starts nothing that computes.
fn run(invocation: &cli::Invocation, environment: &dyn Fn(&str) -> Option<String>) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("arc-enroll: cannot start: {error}\n"));
            return EXIT_INTERNAL;
        }
    };
    let code = runtime.block_on(subcommands::run(invocation, environment));
    // A name look-up that hangs in a thread of its own must not hold up the end.
    runtime.shutdown_background();
    code
}
