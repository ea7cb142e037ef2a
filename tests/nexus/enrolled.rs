//! `nexus enrolled COMMAND`: runs a program inside a VM that is enrolled already.

use std::process::ExitCode;

use crate::nexus::vm::Vm;

/// The environment variable with the path of the VM's files.
const ROOT: &str = "NEXUS_ROOT";

/// Starts the VM and the program; ends with the program's exit code.
pub fn run(command: &[&str]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        eprintln!("nexus: nothing to run");
        return ExitCode::from(2);
    };
    let vm = match Vm::new().enrolled().try_start() {
        Ok(vm) => vm,
        Err(error) => {
            eprintln!("The simulated VM does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match vm.inside(program.as_ref()).args(arguments).env(ROOT, &vm.root).status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("nexus: {program}: {error}");
            ExitCode::FAILURE
        }
    }
}
