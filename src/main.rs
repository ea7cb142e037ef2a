//! The program: parses the command line, runs the subcommand, exits with its code.

use std::process::ExitCode;

use arc_enroll::cli;
use arc_enroll::commands;
use arc_enroll::host::{memory_file, output};
use arc_enroll::model::exit_code::{INTERNAL, USAGE};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        memory_file::remove_all();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(event = "run.panicked", place = %place, exit_code = INTERNAL, "{panic}");
        output::write_stderr(&format!("arc-enroll: internal error: {panic}\n"));
        // A panic ends with the exit code of internal errors, after secret files are removed.
        std::process::exit(i32::from(INTERNAL));
    }));
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let environment = |name: &str| std::env::var(name).ok();
    let code = match cli::parse(std::env::args_os().skip(1), &environment) {
        Ok(invocation) => run(&invocation, &environment),
        Err(error) => {
            output::write_stderr(&format!("arc-enroll: {error}\n"));
            USAGE
        }
    };
    ExitCode::from(code)
}

/// Runs the subcommand on one thread, since the agent mostly waits for I/O.
fn run(invocation: &cli::Invocation, environment: commands::Environment<'_>) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::write_stderr(&format!("arc-enroll: cannot start: {error}\n"));
            return INTERNAL;
        }
    };
    let code = runtime.block_on(commands::run(invocation, environment));
    // A hanging name lookup in a thread of the runtime must not delay the exit.
    runtime.shutdown_background();
    code
}
