//! The simulated Nexus VM, and the stand-in programs in it, in one binary.
//!
//! Without arguments it enrolls such a VM and shows what happens; see `--help`. Under the name of
//! another program (`azcmagent`, `systemctl`, `apt-get` …) it behaves as that one.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    dead_code,
    reason = "this is a test double: it may stop at its own mistakes, and shares modules with the tests"
)]

#[path = "mod.rs"]
mod nexus;

mod agent_package;
mod apt;
mod arm;
mod azcmagent;
mod azcmagent_connect;
mod azcmagent_show;
mod azure;
mod csn;
mod demo;
mod enrolled;
mod guest;
mod http1;
mod https_client;
mod namespaces;
mod rpm;
mod serve;
mod servers;
mod sidecar;
mod systemctl;
mod tls;
mod token;
mod unit_files;
mod vm_process;
mod world;

use std::process::ExitCode;

const HELP: &str = "\
The simulated Nexus VM.

Usage:
  nexus [demo]               enroll a simulated VM on this machine and show it
  nexus enrolled COMMAND...  run a program inside a simulated VM that is enrolled;
                             NEXUS_ROOT tells it where the VM's files are
  nexus serve [OPTIONS]      only the servers: IMDS sidecar, CSN proxy, Azure
  nexus --help

Options of `serve`:
  --sidecar ADDR:PORT        where IMDS answers             [127.0.0.1:8080]
  --proxy ADDR:PORT          where the CSN proxy answers    [127.0.0.1:3128]
  --packages DIR             served as https://packages.microsoft.com/
  --state DIR                keeps requests.jsonl, machines.json, tokens.txt
  --ca-out FILE              the CA of the Azure names; FILE and FILE.key are
                             used again when they are there
  --plan FILE                JSON with what goes wrong (see tests/nexus/spec.rs)

The demo needs neither root nor a network. It makes a private network of its
own, in which the sidecar is at 169.254.169.254:80 and the CSN proxy at
169.254.0.11:3128, and writes only below a scratch folder.
";

fn main() -> ExitCode {
    let mut arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let called = arguments.first().and_then(|path| path.rsplit('/').next()).unwrap_or("").to_owned();
    if let Some(code) = guest::stand_in(&called, &arguments) {
        return code;
    }
    let rest = arguments.split_off(arguments.len().min(1));
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [] | ["demo"] => return demo::run(),
        ["enrolled", command @ ..] => return enrolled::run(command),
        ["vm", spec] => vm_process::run(spec),
        ["in", pid, ..] => vm_process::enter(pid, rest.get(2..).unwrap_or_default()),
        ["serve", options @ ..] => serve::run(options),
        ["-h" | "--help" | "help"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nexus: {error}");
            ExitCode::FAILURE
        }
    }
}
