//! The demo: enrolls a simulated VM on this machine and shows what happens.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde_json::Value;

use crate::nexus::run::Mode;
use crate::nexus::seen::{Observed, Seen};
use crate::nexus::spec::{Playbook, PortState, Reply, VM_NAME};
use crate::nexus::vm::{self, agent_program, Vm, CONFIG, LOG, RECORD};

const WIDTH: usize = 78;
const INTRODUCTION: &str = "\
A VM on Azure Operator Nexus has no way out but a proxy, and no credential but
its managed identity. This is such a VM, simulated in a private network on
this machine: no root, no internet and no Azure subscription are needed, and
nothing on this machine changes.
";

/// Runs the demo; exits with the agent's exit code.
pub fn run() -> ExitCode {
    if let Err(error) = build_agent() {
        eprintln!("The agent cannot be built: {error}");
        return ExitCode::FAILURE;
    }
    let vm = match machine().try_start() {
        Ok(vm) => vm,
        Err(error) => {
            eprintln!("The simulated VM does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    introduce();
    heading("arc-enroll enroll");
    let run = vm.agent(&["enroll"]).mode(Mode::Inherit).limit(Duration::from_secs(900)).run();
    report(&vm, run.last());
    let code = run.code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    ExitCode::from(code)
}

fn build_agent() -> Result<(), String> {
    let program = agent_program();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--bin", "arc-enroll"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if program.components().any(|part| part.as_os_str() == "release") {
        command.arg("--release");
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        // A binary carried elsewhere has no sources to build from, but perhaps its agent beside it.
        _ if program.exists() && !Path::new(env!("CARGO_MANIFEST_DIR")).exists() => Ok(()),
        Ok(status) => Err(format!("cargo build ended with {status}")),
        Err(error) => Err(error.to_string()),
    }
}

fn machine() -> vm::Builder {
    let config =
        vm::config().replace("agent:\n", "  tags:\n    Site: \"Oslo, hall 2\"\n    Owner: O'Hara\nagent:\n");
    let folder: PathBuf =
        agent_program().parent().and_then(Path::parent).unwrap_or(Path::new("/tmp")).join("nexus-demo");
    Vm::new()
        .imds(|imds| {
            imds.port_state = PortState::ClosedFor(2500);
            imds.token = Playbook::new().times(2, Reply::named("imds-503").act());
        })
        .azure(|azure| azure.access.denials = 1)
        .config(&config)
        .folder(&folder)
}

fn introduce() {
    heading("A simulated Nexus VM");
    println!("{INTRODUCTION}");
    line("VM", &format!("{VM_NAME}: Debian 12, first boot, azcmagent not installed"));
    line("IMDS sidecar", "http://169.254.169.254:80, silent, then 503, then ready");
    line("CSN proxy", "http://169.254.0.11:3128, opens the names that Arc needs");
    line("Azure", "the identity's role comes a moment late: ARM says 403 first");
}

fn report(vm: &Vm, last: &Value) {
    let observed = vm.observed();
    heading("What the others saw");
    let tokens = observed.token_requests();
    line("IMDS sidecar", &format!("requests for a token: {}", statuses(&tokens)));
    let tunnels: Vec<&Seen> = observed.csn.iter().filter(|seen| seen.method == "CONNECT").collect();
    let names: BTreeMap<&str, ()> = tunnels.iter().map(|seen| (seen.host.as_str(), ())).collect();
    line("CSN proxy", &format!("{} tunnels to {} names of Azure", tunnels.len(), names.len()));
    let mut name = "ARM";
    for (request, statuses) in arm_requests(&observed) {
        line(std::mem::take(&mut name), &format!("{request:<27} {statuses}"));
    }
    for call in vm.calls_of("azcmagent connect") {
        let place = match &call.config {
            Some(_) if call.token_in_argv => "among its arguments".to_owned(),
            Some(file) => format!("in a file on {}, mode 0{}", file.file_system, file.mode),
            None => "not in a file".to_owned(),
        };
        let code = call.exit.map_or("no exit code".to_owned(), |code| format!("exit {code}"));
        line("azcmagent", &format!("connect: {code}; the token came {place}"));
    }
    let leaks = vm.leaks(&[]);
    let found = if leaks.is_empty() { "none, in any file of the VM".to_owned() } else { leaks.join(", ") };
    line("Tokens left", &found);
    heading("What is in Azure now");
    azure(&observed);
    heading("The last line of the log");
    println!("{}", wrapped(&last.to_string()));
    heading("To look at");
    println!("  {}", vm.root.display());
    for (name, path) in [("log", LOG), ("record", RECORD), ("configuration", CONFIG)] {
        println!("    {path:<36} {name}");
    }
}

/// The requests to ARM in order of first occurrence, with the responses.
fn arm_requests(observed: &Observed) -> Vec<(String, String)> {
    let mut groups: Vec<(String, Vec<&Seen>)> = Vec::new();
    for seen in observed.azure_at("management.azure.com") {
        let path = seen.target.split('?').next().unwrap_or("");
        let what = match path.rsplit('/').take(2).collect::<Vec<&str>>().as_slice() {
            ["permissions", ..] => "permissions".to_owned(),
            [_, "machines"] => "the machine".to_owned(),
            ["register", ..] => "register the provider".to_owned(),
            [last, ..] => format!("/{last}"),
            [] => "/".to_owned(),
        };
        let request = format!("{} {what}", seen.method);
        match groups.iter_mut().find(|(known, _)| *known == request) {
            Some((_, all)) => all.push(seen),
            None => groups.push((request, vec![seen])),
        }
    }
    groups.into_iter().map(|(request, all)| (request, statuses(&all))).collect()
}

fn azure(observed: &Observed) {
    if observed.machines.is_empty() {
        println!("No machine.");
    }
    for machine in observed.machines.values() {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let id = text(&machine["id"]);
        let group = id.split('/').nth(4).unwrap_or("").to_owned();
        line("machine", &text(&machine["name"]));
        line("where", &format!("resource group {group}, {}", text(&machine["location"])));
        line("status", &text(&machine["properties"]["status"]));
        for (name, value) in machine["tags"].as_object().into_iter().flatten() {
            line("tag", &format!("{name} = {}", text(value)));
        }
    }
}

/// `503, 503, 200`, with repeats counted.
fn statuses(seen: &[&Seen]) -> String {
    let mut groups: Vec<(u16, usize)> = Vec::new();
    for one in seen {
        match groups.last_mut() {
            Some((status, count)) if *status == one.status => *count += 1,
            _ => groups.push((one.status, 1)),
        }
    }
    if groups.is_empty() {
        return "none".to_owned();
    }
    let text = |(status, count): &(u16, usize)| match count {
        1 => status.to_string(),
        count => format!("{count} x {status}"),
    };
    groups.iter().map(text).collect::<Vec<String>>().join(", ")
}

fn heading(text: &str) {
    let bold = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let rule = "-".repeat(WIDTH.saturating_sub(text.chars().count() + 4));
    if bold {
        println!("\n\x1b[1m-- {text} {rule}\x1b[0m\n");
    } else {
        println!("\n-- {text} {rule}\n");
    }
}

fn line(name: &str, text: &str) {
    println!("  {name:<14} {text}");
}

/// Cut into lines of the terminal's width, at commas where there are any.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for piece in text.split_inclusive(',') {
        let full = lines.last().is_some_and(|line| !line.is_empty() && line.len() + piece.len() > WIDTH - 2);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { piece.trim_start() } else { piece });
        }
    }
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<String>>().join("\n")
}
