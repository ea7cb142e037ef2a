//! A simulated VM: described with [`Vm::new`], started by [`Builder::start`], removed when it is dropped.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use serde_json::{json, Value};
use tempfile::TempDir;

use super::control::Order;
use super::run::{lock_spawn, Agent, Mode, Run};
use super::seen::{Call, Observed};
use super::spec::{
    machine, machine_id, AzurePlan, CsnPlan, GuestPlan, ImdsPlan, Outcome, Playbook, Spec, System, Unit,
    AGENT_VERSION, LOCATION, MARKER, REPOSITORY_KEY, RESOURCE_GROUP, SERVICES, SUBSCRIPTION, TENANT, VM_NAME,
};

/// The agent's log on the VM.
pub const LOG: &str = "var/log/cloud-init-output.log";
/// The agent's record on the VM.
pub const RECORD: &str = "var/lib/arc-enroll/status.json";
/// The agent's configuration on the VM.
pub const CONFIG: &str = "etc/arc-enroll/config.yaml";

const MACHINE_ID: &str = "aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaaa";
const SHIMS: [&str; 2] = ["systemctl", "timedatectl"];

/// A configuration that enrolls the healthy VM: the target, the key of the simulated repository, and waits
/// that fit a test.
pub fn config() -> String {
    format!(
        "azure:\n  subscription_id: {SUBSCRIPTION}\n  resource_group: {RESOURCE_GROUP}\n  location: {LOCATION}\n\
         agent:\n  repository_key: [{REPOSITORY_KEY}]\n\
         wait:\n  boot: 60s\n  token: 40s\n  access: 40s\n  endpoint: 20s\n"
    )
}

/// A VM before it is started.
#[derive(Default)]
pub struct Builder {
    spec: Spec,
    guest: GuestPlan,
    system: System,
    files: BTreeMap<String, (u32, Vec<u8>)>,
    installed: bool,
    connected: Option<String>,
    folder: Option<PathBuf>,
}

impl Builder {
    pub fn imds(mut self, change: impl FnOnce(&mut ImdsPlan)) -> Self {
        change(&mut self.spec.imds);
        self
    }

    pub fn csn(mut self, change: impl FnOnce(&mut CsnPlan)) -> Self {
        change(&mut self.spec.csn);
        self
    }

    pub fn azure(mut self, change: impl FnOnce(&mut AzurePlan)) -> Self {
        change(&mut self.spec.azure);
        self
    }

    pub fn guest(mut self, change: impl FnOnce(&mut GuestPlan)) -> Self {
        change(&mut self.guest);
        self
    }

    pub fn system(mut self, change: impl FnOnce(&mut System)) -> Self {
        change(&mut self.system);
        self
    }

    /// What a stand-in program does first, such as `azcmagent connect` or `apt-get update`.
    pub fn call(mut self, name: &str, playbook: Playbook<Outcome>) -> Self {
        self.guest.calls.insert(name.to_owned(), playbook);
        self
    }

    pub fn hostname(mut self, name: &str) -> Self {
        self.spec.hostname = name.to_owned();
        self
    }

    /// A VM without this program.
    pub fn without(mut self, program: &str) -> Self {
        self.spec.hidden.push(program.to_owned());
        self
    }

    /// Content of the /etc/hosts that programs on the VM see.
    pub fn hosts(mut self, text: &str) -> Self {
        self.spec.hosts = Some(text.to_owned());
        self
    }

    /// A name server that never answers.
    pub fn silent_dns(mut self) -> Self {
        self.spec.silent_dns = true;
        self
    }

    pub fn config(self, text: &str) -> Self {
        self.file(CONFIG, text)
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        self.file_with_mode(path, 0o644, text)
    }

    pub fn file_with_mode(mut self, path: &str, mode: u32, text: &str) -> Self {
        self.files.insert(path.to_owned(), (mode, text.as_bytes().to_vec()));
        self
    }

    /// Another distribution than Debian 12.
    pub fn os(self, id: &str, version: &str, codename: &str) -> Self {
        let text = format!("ID={id}\nVERSION_ID=\"{version}\"\nVERSION_CODENAME={codename}\n");
        self.file("etc/os-release", &text)
    }

    /// azcmagent is installed, with its services running.
    pub fn installed(mut self) -> Self {
        self.installed = true;
        self
    }

    /// azcmagent is installed and connected to this machine resource.
    pub fn connected(mut self, resource_id: &str) -> Self {
        self.connected = Some(resource_id.to_owned());
        self.installed()
    }

    /// Already enrolled to the configured target.
    pub fn enrolled(self) -> Self {
        self.connected(&machine_id(VM_NAME))
    }

    /// Keeps the VM's files in this folder, which is emptied first, instead of in a passing one.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Makes the files, the namespaces and the servers.
    pub fn start(self) -> Vm {
        self.try_start().unwrap_or_else(|error| panic!("the simulated VM does not start: {error}"))
    }

    /// As `start`; the error says why this machine cannot do it.
    pub fn try_start(mut self) -> std::io::Result<Vm> {
        let passing = match &self.folder {
            Some(_) => None,
            None => Some(TempDir::with_prefix("nexus-")?),
        };
        let folder = self.folder.take().or_else(|| passing.as_ref().map(|passing| passing.path().to_owned()));
        let folder = folder.unwrap_or_default();
        if passing.is_none() {
            drop(fs::remove_dir_all(&folder));
            fs::create_dir_all(&folder)?;
        }
        let root = folder.join("root");
        self.spec.root = root.clone();
        if self.connected.is_some() {
            let name = VM_NAME.to_owned();
            self.spec.azure.machines.entry(name).or_insert_with(|| machine(VM_NAME, "Connected", &vm_id()));
        }
        self.furnish(&root)?;
        let spec = folder.join("spec.json");
        fs::write(&spec, serde_json::to_string(&self.spec)?)?;
        let errors = folder.join("errors.txt");
        let alone = lock_spawn();
        let mut process = Command::new(nexus_program())
            .arg("vm")
            .arg(&spec)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors)?)
            .spawn()?;
        drop(alone);
        let missing = || std::io::Error::other("a pipe is missing");
        let orders = process.stdin.take().ok_or_else(missing)?;
        let mut answers = BufReader::new(process.stdout.take().ok_or_else(missing)?);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        if !line.contains("ready") {
            process.wait()?;
            return Err(std::io::Error::other(fs::read_to_string(&errors)?.trim().to_owned()));
        }
        Ok(Vm { process, channel: Mutex::new((orders, answers)), root, folder, passing })
    }

    fn furnish(&self, root: &Path) -> std::io::Result<()> {
        let home = root.join(MARKER);
        fs::create_dir_all(&home)?;
        for folder in [
            "run",
            "tmp",
            "var/tmp",
            "usr/bin",
            "etc/apt/apt.conf.d",
            "etc/apt/sources.list.d",
            "etc/profile.d",
        ] {
            fs::create_dir_all(root.join(folder))?;
        }
        let preset = [
            ("etc/os-release", 0o644, "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n".to_owned()),
            ("etc/environment", 0o644, String::new()),
            ("proc/uptime", 0o444, "600.00 900.00\n".to_owned()),
            ("etc/machine-id", 0o444, format!("{MACHINE_ID}\n")),
            ("etc/hostname", 0o644, format!("{}\n", self.spec.hostname)),
            (LOG, 0o640, "Cloud-init v. 22.4.2 running 'modules:final'\n".to_owned()),
            (CONFIG, 0o600, config()),
        ];
        for (path, mode, text) in &preset {
            place(&root.join(path), *mode, text.as_bytes())?;
        }
        for (path, (mode, content)) in &self.files {
            place(&root.join(path), *mode, content)?;
        }
        let os = fs::read_to_string(root.join("etc/os-release"))?;
        for name in SHIMS.into_iter().chain(package_programs(&os).iter().copied()) {
            symlink(nexus_program(), root.join("usr/bin").join(name))?;
        }
        let mut system = self.system.clone();
        let mut packages = json!({});
        if self.installed {
            self.install(root)?;
            packages = json!({"installed": {"azcmagent": AGENT_VERSION}, "available": ["azcmagent"]});
            for name in SERVICES {
                system.units.entry(name.to_owned()).or_insert_with(Unit::running);
            }
        }
        write_json(&home.join("system.json"), &serde_json::to_value(&system)?)?;
        write_json(&home.join("packages.json"), &packages)?;
        write_json(&home.join("guest.json"), &serde_json::to_value(&self.guest)?)
    }

    fn install(&self, root: &Path) -> std::io::Result<()> {
        for folder in ["opt/azcmagent/bin", "var/opt/azcmagent/log"] {
            fs::create_dir_all(root.join(folder))?;
        }
        symlink(nexus_program(), root.join("opt/azcmagent/bin/azcmagent"))?;
        symlink(nexus_program(), root.join("usr/bin/azcmagent"))?;
        fs::write(root.join("opt/azcmagent/bin/himds"), "")?;
        let state = root.join("var/opt/azcmagent");
        let Some(id) = &self.connected else {
            return write_json(&state.join("agentconfig.json"), &json!({}));
        };
        let parts: Vec<&str> = id.split('/').collect();
        let part = |index: usize| parts.get(index).copied().unwrap_or("");
        let config = json!({
            "subscriptionId": part(2), "resourceGroup": part(4), "resourceName": part(8), "tenantId": TENANT,
            "location": LOCATION, "vmId": vm_id(), "cloud": "AzureCloud", "resourceId": id,
            "correlationId": "2989a600-f32a-47d9-884d-c5d59e211ba7",
        });
        write_json(&state.join("agentconfig.json"), &config)?;
        write_json(&state.join("cloudconfig.json"), &json!({"connected": true}))?;
        write_json(&state.join("localconfig.json"), &json!({"proxy.url": "http://169.254.0.11:3128"}))
    }
}

/// The programs of a distribution's package manager; another's are not there either.
fn package_programs(os_release: &str) -> &'static [&'static str] {
    let id = os_release.lines().find_map(|line| line.strip_prefix("ID=")).unwrap_or("").trim_matches('"');
    match id {
        "debian" | "ubuntu" => &["apt-get", "apt", "dpkg", "dpkg-query"],
        "sles" | "sles_sap" | "opensuse-leap" | "opensuse-tumbleweed" | "sl-micro" => &["zypper", "rpm"],
        "azurelinux" | "mariner" => &["tdnf", "rpm"],
        _ => &["dnf", "yum", "rpm"],
    }
}

fn place(path: &Path, mode: u32, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    drop(fs::remove_file(path));
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn write_json(path: &Path, value: &Value) -> std::io::Result<()> {
    fs::write(path, serde_json::to_string_pretty(value)?)
}

/// The id that the stand-in of azcmagent makes of the VM's machine-id.
fn vm_id() -> String {
    "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa".to_owned()
}

/// A running simulated VM.
pub struct Vm {
    process: Child,
    channel: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    pub root: PathBuf,
    folder: PathBuf,
    passing: Option<TempDir>,
}

impl Vm {
    #[expect(clippy::new_ret_no_self, reason = "a VM is described before it exists")]
    pub fn new() -> Builder {
        Builder { spec: Spec { hostname: VM_NAME.to_owned(), ..Spec::default() }, ..Builder::default() }
    }

    /// Runs the agent as a person or a script would, without a terminal.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.agent(arguments).run()
    }

    /// The agent with these arguments, to be set up further.
    pub fn agent(&self, arguments: &[&str]) -> Agent<'_> {
        Agent::new(self, arguments)
    }

    /// Runs the agent as cloud-init does: its output goes through `tee -a` into the log.
    pub fn first_boot(&self, arguments: &[&str]) -> Run {
        self.agent(arguments).mode(Mode::CloudInit).run()
    }

    /// Any program inside the VM's namespaces, found below the VM's root first.
    pub fn command(&self, program: &str) -> Command {
        let below = self.root.join("usr/bin").join(program);
        let found = if below.exists() { below } else { PathBuf::from(program) };
        self.inside(&found)
    }

    pub fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new(nexus_program());
        command.arg("in").arg(self.process.id().to_string()).arg(program);
        command
    }

    /// A file of the VM as this process reaches it; `run` is a file system of the VM's own.
    pub fn path(&self, below: &str) -> PathBuf {
        let full = self.root.join(below.trim_start_matches('/'));
        let inside = PathBuf::from(format!("/proc/{}/root", self.process.id()));
        inside.join(full.strip_prefix("/").unwrap_or(&full))
    }

    /// Content of a file; empty where there is none.
    pub fn read(&self, below: &str) -> String {
        fs::read(self.path(below))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub fn write(&self, below: &str, text: &str) {
        place(&self.path(below), 0o644, text.as_bytes()).expect("a file of the VM can be written");
    }

    /// Permission bits of a file.
    pub fn mode(&self, below: &str) -> u32 {
        fs::metadata(self.path(below)).map(|data| data.permissions().mode() & 0o7777).unwrap_or(0)
    }

    /// Every file below the root with its content, without what belongs to the simulation.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.path(""), &self.path(""), &mut found);
        found.retain(|path, _| !path.starts_with(MARKER));
        found
    }

    /// The agent's record of its last run.
    pub fn record(&self) -> Option<Value> {
        serde_json::from_str(&self.read(RECORD)).ok()
    }

    /// JSON lines of the agent's log.
    pub fn log(&self) -> Vec<Value> {
        self.read(LOG).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What the servers saw until now.
    pub fn observed(&self) -> Observed {
        serde_json::from_value(self.order(&Order::Observe)).expect("the record is readable")
    }

    pub fn set_imds(&self, plan: ImdsPlan) {
        self.order(&Order::Imds(plan));
    }

    pub fn set_csn(&self, plan: CsnPlan) {
        self.order(&Order::Csn(plan));
    }

    pub fn set_azure(&self, plan: AzurePlan) {
        self.order(&Order::Azure(plan));
    }

    /// Replaces the playbooks of the stand-in programs.
    pub fn set_guest(&self, plan: &GuestPlan) {
        let home = self.root.join(MARKER);
        drop(fs::remove_file(home.join("progress.json")));
        write_json(&home.join("guest.json"), &serde_json::to_value(plan).expect("a plan is JSON"))
            .expect("the plan can be written");
    }

    /// Units and manager environment as the stand-in of systemctl left them.
    pub fn system(&self) -> System {
        serde_json::from_str(&self.read(&format!("{MARKER}/system.json"))).unwrap_or_default()
    }

    fn order(&self, order: &Order) -> Value {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let line = serde_json::to_string(order).expect("an order is JSON");
        writeln!(channel.0, "{line}").expect("the VM's process listens");
        let mut answer = String::new();
        channel.1.read_line(&mut answer).expect("the VM's process answers");
        serde_json::from_str(&answer).expect("its answer is JSON")
    }

    /// Calls of the stand-in programs in their order.
    pub fn calls(&self) -> Vec<Call> {
        let text = self.read(&format!("{MARKER}/calls.jsonl"));
        let mut calls: Vec<Call> = Vec::new();
        for value in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if value.get("call").is_some() {
                calls.push(serde_json::from_value(value).expect("a call is readable"));
            } else if let Some(call) = calls.iter_mut().rev().find(|call| value["pid"] == call.pid) {
                call.exit = value["exit"].as_i64().and_then(|code| i32::try_from(code).ok());
            }
        }
        calls
    }

    /// Calls of one kind, such as `azcmagent connect`.
    pub fn calls_of(&self, name: &str) -> Vec<Call> {
        let full = |call: &Call| call.call == name || call.call.starts_with(&format!("{name} "));
        self.calls().into_iter().filter(full).collect()
    }

    /// Places where a token of this VM can still be read: files, and the output of a run.
    pub fn leaks(&self, runs: &[&Run]) -> Vec<String> {
        let tokens: Vec<String> = self.observed().tokens.into_iter().map(|issued| issued.token).collect();
        let holds = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            tokens.iter().any(|token| text.contains(token.as_str()))
        };
        let mut found: Vec<String> =
            self.tree().into_iter().filter(|(_, content)| holds(content)).map(|(path, _)| path).collect();
        for run in runs {
            for (name, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
                if holds(text.as_bytes()) {
                    found.push(name.to_owned());
                }
            }
        }
        found
    }

    /// Folder of this VM on the machine.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::env::var_os("NEXUS_KEEP").is_some() {
            if let Some(passing) = &mut self.passing {
                passing.disable_cleanup(true);
                eprintln!("kept: {}", self.folder.display());
            }
        }
    }
}

fn collect(top: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(top, &path, found),
            Ok(kind) if kind.is_file() => {
                let name = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// The agent that is tried: the one Cargo built beside this program.
pub fn agent_program() -> PathBuf {
    if let Some(path) = option_env!("CARGO_BIN_EXE_arc-enroll") {
        return PathBuf::from(path);
    }
    // The demo is an example, one folder below the programs.
    let own = std::env::current_exe().expect("this program has a path");
    own.parent().and_then(Path::parent).expect("examples have a folder").join("arc-enroll")
}

/// The `nexus` example; built when a test run did not build it, or built it from older sources.
pub fn nexus_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if option_env!("CARGO_BIN_EXE_arc-enroll").is_none() {
            return std::env::current_exe().expect("this program has a path");
        }
        let agent = agent_program();
        let program = agent.parent().expect("the agent has a folder").join("examples/nexus");
        let built = fs::metadata(&program).and_then(|data| data.modified());
        if built.map_or(true, |built| built < newest_source()) {
            build(&agent);
        }
        program
    })
}

fn newest_source() -> SystemTime {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nexus");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let times = entries.filter_map(|entry| entry.metadata().and_then(|data| data.modified()).ok());
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn build(agent: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--example", "nexus"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if agent.components().any(|part| part.as_os_str() == "release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "the nexus example cannot be built");
}
