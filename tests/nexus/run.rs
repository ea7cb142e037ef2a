//! Runs the agent inside a simulated VM, in the ways it is run on a real one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{sleep, spawn, JoinHandle};
use std::time::{Duration, Instant};

use nix::fcntl::{fcntl, FcntlArg, FdFlag, OFlag};
use nix::pty::{openpty, Winsize};
use nix::sys::signal::{kill, Signal};
use nix::unistd::{pipe2, Pid};
use serde_json::Value;

use super::spec::MARKER;
use super::vm::{agent_program, Vm, LOG};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Time after which a wait counts as stuck. It only turns a hang into a failure and does not measure how
/// fast something is: longer than any wait of a healthy run on a loaded machine, shorter than the stand-ins hang.
pub const HANG_LIMIT: Duration = Duration::from_secs(300);
/// Signals that a run starts with at their default, whatever this process ignores: a job in a shell's background
/// ignores SIGINT, one under nohup SIGHUP, and the agent respects what it finds ignored.
const DEFAULT_SIGNALS: &str = "--default-signal=HUP,INT,TERM";
const PAUSE: Duration = Duration::from_millis(10);

static SPAWN: Mutex<()> = Mutex::new(());

/// Prevents other threads from starting children until the guard is dropped.
pub(super) fn lock_spawn() -> MutexGuard<'static, ()> {
    SPAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the agent's output goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Two pipes to this process, as for a script.
    Pipe,
    /// A terminal, as for an operator.
    Terminal,
    /// A pipe to `tee -a` of the log, as under cloud-init.
    CloudInit,
    /// The log file itself.
    LogFile,
    /// This process's own output: the demo.
    Inherit,
}

/// The agent about to be run.
pub struct Agent<'a> {
    vm: &'a Vm,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    mode: Mode,
    limit: Duration,
    stdin: Option<String>,
}

impl<'a> Agent<'a> {
    pub(super) fn new(vm: &'a Vm, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        let environment = Vec::new();
        Self { vm, arguments, environment, mode: Mode::Pipe, limit: HANG_LIMIT, stdin: None }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Time after which a run counts as stuck.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    pub fn run(self) -> Run {
        self.spawn().finish()
    }

    pub fn spawn(self) -> Running<'a> {
        let vm = self.vm;
        let mut command = vm.inside("/usr/bin/env".as_ref());
        command
            .arg(DEFAULT_SIGNALS)
            .arg(agent_program())
            .args(&self.arguments)
            .arg("--root")
            .arg(&vm.root)
            .current_dir(&vm.root);
        let ca = vm.root.join(MARKER).join("ca.pem");
        // Little more than what cloud-init gives: no HOME, no locale.
        command.env_clear().env("PATH", PATH).env("CURL_CA_BUNDLE", &ca).env("SSL_CERT_FILE", &ca);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let log_before = fs::metadata(vm.path(LOG)).map(|data| data.len()).unwrap_or(0);
        let mut readers = Vec::new();
        let mut tee = None;
        match self.mode {
            Mode::Pipe => {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
            }
            Mode::Inherit => {}
            Mode::LogFile => {
                let log = File::options().append(true).open(vm.path(LOG)).expect("the log can be opened");
                command.stdout(log.try_clone().expect("a file can be cloned")).stderr(log);
            }
            Mode::Terminal => readers.push(terminal(&mut command)),
            Mode::CloudInit => {
                let (input, output) = pipe2(OFlag::O_CLOEXEC).expect("a pipe can be made");
                let mut child = vm.inside("/usr/bin/tee".as_ref());
                child.arg("-a").arg(vm.root.join(LOG)).stdin(input).stdout(Stdio::piped());
                let mut child = child.spawn().expect("tee runs");
                wait_until_open(&child);
                readers.push(reader(child.stdout.take()));
                tee = Some(child);
                // One pipe for both, as cloud-init redirects itself.
                command.stdout(output.try_clone().expect("a descriptor can be cloned")).stderr(output);
            }
        }
        let started = Instant::now();
        let alone = lock_spawn();
        let mut child = command.spawn().expect("the agent starts");
        drop(alone);
        drop(command);
        if let (Some(text), Some(mut input)) = (&self.stdin, child.stdin.take()) {
            drop(input.write_all(text.as_bytes()));
        }
        if self.mode == Mode::Pipe {
            readers = vec![reader(child.stdout.take()), reader(child.stderr.take())];
        }
        Running { vm, child, tee, readers, started, limit: self.limit, log_before, status: None }
    }
}

/// A terminal of 80 columns as the command's output and errors.
fn terminal(command: &mut Command) -> JoinHandle<String> {
    let size = Winsize { ws_row: 40, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    // Held while the descriptors can still be inherited by a child that another test starts.
    let alone = lock_spawn();
    let pty = openpty(Some(&size), None).expect("a terminal can be made");
    for end in [&pty.master, &pty.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("a flag can be set");
    }
    drop(alone);
    let clone = || pty.slave.try_clone().expect("a descriptor can be cloned");
    command.stdin(clone()).stdout(clone()).stderr(clone());
    reader(Some(File::from(pty.master)))
}

/// Reads to the end in a thread; a terminal ends with an error where a pipe ends with nothing.
fn reader(source: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut source) = source {
            drop(source.read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits until tee has the log open: the agent recognizes the log by its reader.
fn wait_until_open(tee: &Child) {
    let folder = format!("/proc/{}/fd", tee.id());
    let is_log = |entry: fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|path| path.ends_with(LOG));
    wait_until("tee opens the log", || fs::read_dir(&folder).into_iter().flatten().flatten().any(is_log));
}

/// Waits until something holds, at most [`HANG_LIMIT`].
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < HANG_LIMIT, "timed out waiting until {what}");
        sleep(PAUSE);
    }
}

/// The agent while it runs.
pub struct Running<'a> {
    vm: &'a Vm,
    child: Child,
    tee: Option<Child>,
    readers: Vec<JoinHandle<String>>,
    started: Instant,
    limit: Duration,
    log_before: u64,
    status: Option<ExitStatus>,
}

impl Running<'_> {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("a process id fits");
        kill(Pid::from_raw(pid), signal).expect("the agent runs");
    }

    /// Waits until something holds; the agent ending first, or the time limit, is a failure.
    pub fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&Vm) -> bool) {
        while !holds(self.vm) {
            let ended = self.poll();
            assert!(!ended, "the agent ended ({:?}) before {what}:\n{}", self.status, self.vm.read(LOG));
            self.check_limit(what);
            sleep(PAUSE);
        }
    }

    /// Waits until the log has a line with this event.
    pub fn wait_for_event(&mut self, event: &str) {
        self.wait_until(event, |vm| vm.log().iter().any(|line| line["event"] == event));
    }

    fn poll(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("the agent can be waited for");
        }
        self.status.is_some()
    }

    fn check_limit(&mut self, what: &str) {
        if self.started.elapsed() > self.limit {
            drop(self.child.kill());
            panic!("the agent took too long ({what}); its log:\n{}", self.vm.read(LOG));
        }
    }

    /// Waits for the end and gathers what there is.
    pub fn finish(mut self) -> Run {
        while !self.poll() {
            self.check_limit("the end");
            sleep(Duration::from_millis(2));
        }
        let elapsed = self.started.elapsed();
        if let Some(tee) = &mut self.tee {
            drop(tee.wait());
        }
        let mut outputs = self.readers.drain(..).map(|reader| reader.join().expect("a reader ends"));
        let stdout = outputs.next().unwrap_or_default();
        let stderr = outputs.next().unwrap_or_default();
        drop(outputs);
        let status = self.status.expect("the agent has ended");
        let log = fs::read(self.vm.path(LOG)).unwrap_or_default();
        let added = log.get(usize::try_from(self.log_before).unwrap_or(0)..).unwrap_or_default();
        let log = String::from_utf8_lossy(added).into_owned();
        let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Run { code: status.code(), signal: status.signal(), stdout, stderr, elapsed, lines, log }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.status.is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// How a run of the agent ended.
#[derive(Debug)]
pub struct Run {
    /// Exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// A terminal's or tee's text is here; errors too where they went the same way.
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
    /// What the run added to the log: the JSON lines of it, and all of it.
    pub lines: Vec<Value>,
    pub log: String,
}

impl Run {
    /// The last line of the log.
    pub fn last(&self) -> &Value {
        self.lines.last().unwrap_or(&Value::Null)
    }

    /// The lines with one event.
    pub fn events(&self, event: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["event"] == event).collect()
    }

    /// Standard output with the commands on one line each, as a shell takes them.
    pub fn unfolded(&self) -> String {
        let mut text = String::new();
        for line in self.stdout.lines() {
            match line.strip_suffix('\\') {
                // A backslash after a space separates words; a backslash alone is inside quotes.
                Some(part) => text
                    .push_str(&(part.trim_end().to_owned() + if part.ends_with(' ') { "\u{1}" } else { "" })),
                None => text.push_str(&format!("{line}\n")),
            }
        }
        let mut words = text.split('\u{1}');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |text, rest| format!("{text} {}", rest.trim_start()))
    }

    /// All output of the run, for the message of a failed assertion.
    pub fn text(&self) -> String {
        format!(
            "exit {:?} signal {:?} after {:?}\n--- stdout\n{}\n--- stderr\n{}\n--- log\n{}",
            self.code, self.signal, self.elapsed, self.stdout, self.stderr, self.log
        )
    }

    /// Fails with all output unless the run ended with this code.
    pub fn assert_code(&self, code: i32) -> &Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{}", self.text());
        self
    }

    /// Fails unless the last line of the log has this outcome and fault.
    pub fn assert_last(&self, outcome: &str, fault: Option<&str>) -> &Self {
        let last = self.last();
        let fits =
            last["event"] == "run.finished" && last["outcome"] == outcome && last["fault"].as_str() == fault;
        assert!(fits, "expected the last line to say {outcome} {fault:?}\n{}", self.text());
        self
    }
}
