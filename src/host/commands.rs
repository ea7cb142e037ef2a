//! Runs other programs with a fixed environment, a time limit and an output limit, each in its own process group,
//! which is terminated when this program stops.
#![expect(clippy::disallowed_methods, reason = "this module is the I/O boundary that the ban points to")]

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tracing::info;

use super::files::Files;
use super::tasks::Task;
use super::SharedMask;
use crate::model::secret::Secret;

/// Directories searched in addition to PATH, which is short under cloud-init.
const STANDARD_PATH: [&str; 7] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/azcmagent/bin"];

/// Largest output kept of one command, in bytes; the rest is dropped. `az` may print a VM with 1 MB of user-data
/// twice.
const LARGEST_OUTPUT: usize = 4 << 20;

/// Largest part kept of one line, in bytes; the rest of the line is skipped.
const LONGEST_LINE: usize = LARGEST_OUTPUT;

/// Time between SIGTERM and SIGKILL; dpkg finishes its current file in that time.
const GRACE: Duration = Duration::from_secs(5);

/// Time to wait for remaining output after the program ended; a daemon it started may keep the pipe open.
const DRAIN: Duration = Duration::from_millis(300);

/// Why a program did not complete. A non-zero exit status is not an error here.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program is not installed.
    #[error("{program} is not on this machine")]
    NotFound {
        /// Its name.
        program: String,
    },
    /// The program could not be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// Its path.
        program: PathBuf,
        /// Error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The program exceeded its time limit and was stopped.
    #[error("{command} did not end within {} s and was stopped; end of its output: {tail}", limit.as_secs())]
    TimedOut {
        /// The command, redacted.
        command: String,
        /// The limit.
        limit: Duration,
        /// The end of its output, redacted.
        tail: String,
    },
    /// A line of its output showed that it cannot succeed, and it was stopped.
    #[error("{command} was stopped after it printed: {line}")]
    Stopped {
        /// The command, redacted.
        command: String,
        /// The line, redacted.
        line: String,
    },
}

/// A program to run.
pub struct Program<'a> {
    /// Name of the program.
    pub program: &'a str,
    /// Its arguments.
    pub args: Vec<String>,
    /// Additional environment variables; they override the fixed ones.
    pub env: Vec<(String, String)>,
    /// Standard input; `/dev/null` where it is `None`.
    pub stdin: Option<Secret>,
    /// Time limit.
    pub limit: Duration,
    /// Called with each line of output; `false` stops the program.
    pub watch: Option<&'a mut dyn FnMut(&str) -> bool>,
}

impl<'a> Program<'a> {
    /// A program with arguments and a time limit.
    pub fn new(program: &'a str, args: &[&str], limit: Duration) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Self { program, args, env: Vec::new(), stdin: None, limit, watch: None }
    }
}

/// A program that ended within its limit.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard output and standard error, line by line in order of arrival.
    pub transcript: String,
}

impl Finished {
    /// Whether it ended with status 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// "exit code 7" or "signal 9", for messages.
    pub fn status(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".to_owned(),
        }
    }
}

/// The result of a run. Boxed, because both types are large and pass through many callers.
pub type CommandResult = Result<Box<Finished>, Box<CommandError>>;

/// Runs programs.
#[derive(Clone)]
pub struct Commands {
    root: PathBuf,
    path: Vec<PathBuf>,
    environment: Rc<RefCell<Vec<(String, String)>>>,
    running: Rc<RefCell<Vec<i32>>>,
    deadline: Rc<Cell<Option<Instant>>>,
    mask: SharedMask,
}

impl Commands {
    /// A runner that searches `path` (the text of PATH), first below the root.
    pub fn new(files: &Files, path: &str, environment: Vec<(String, String)>, mask: SharedMask) -> Self {
        let named = path.split(':').filter(|dir| dir.starts_with('/')).map(PathBuf::from);
        let mut directories: Vec<PathBuf> = Vec::new();
        for dir in named.chain(STANDARD_PATH.iter().map(PathBuf::from)) {
            if !directories.contains(&dir) {
                directories.push(dir);
            }
        }
        let joined: Vec<String> = directories.iter().map(|dir| dir.display().to_string()).collect();
        let mut fixed = environment;
        fixed.push(("PATH".into(), joined.join(":")));
        fixed.push(("HOME".into(), "/root".into()));
        fixed.push(("LC_ALL".into(), "C".into()));
        Self {
            root: files.path("/"),
            path: directories,
            environment: Rc::new(RefCell::new(fixed)),
            running: Rc::default(),
            deadline: Rc::default(),
            mask,
        }
    }

    /// The PATH of child processes.
    pub fn search_path(&self) -> String {
        let environment = self.environment.borrow();
        environment.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone()).unwrap_or_default()
    }

    /// Sets an environment variable for all later child processes.
    pub fn set_environment(&self, name: &str, value: &str) {
        let mut environment = self.environment.borrow_mut();
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value.to_owned()));
    }

    /// Sets a deadline that bounds the time limit of all later programs.
    pub fn set_deadline(&self, deadline: Instant) {
        self.deadline.set(Some(deadline));
    }

    /// The time limit, shortened to the deadline of [`Commands::set_deadline`]; at least 1 s.
    pub fn within(&self, limit: Duration) -> Duration {
        let left = self.deadline.get().map(|at| at.saturating_duration_since(Instant::now()));
        left.map_or(limit, |left| limit.min(left.max(Duration::from_secs(1))))
    }

    /// The path of a program: searched below the root first, then on the machine itself.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        let below_root =
            self.path.iter().map(|dir| self.root.join(dir.strip_prefix("/").unwrap_or(dir)).join(program));
        below_root.chain(self.path.iter().map(|dir| dir.join(program))).find(|path| is_program(path))
    }

    /// Runs a program and waits for its end.
    ///
    /// Dropping the future terminates the process group; [`Commands::reap`] then waits for it.
    ///
    /// # Errors
    /// [`CommandError`]; a non-zero exit status is not an error.
    pub fn run<'a, 'p: 'a>(&'a self, program: Program<'p>) -> Task<'a, CommandResult> {
        Box::pin(self.run_logged(program))
    }

    async fn run_logged(&self, mut run: Program<'_>) -> CommandResult {
        run.limit = self.within(run.limit);
        let Some(program) = self.find(run.program) else {
            return Err(Box::new(CommandError::NotFound { program: run.program.to_owned() }));
        };
        let command = self.mask.apply(&render_command(run.program, &run.args));
        info!(event = "command.started", command = %command, limit_s = run.limit.as_secs(), "running {command}");
        let started = Instant::now();
        let result = self.run_found(&program, &command, run).await;
        let elapsed_ms = started.elapsed().as_millis();
        let (status, message) = match &result {
            Ok(finished) => (finished.status(), format!("{command}: {}", finished.status())),
            Err(error) => ("failed".to_owned(), error.to_string()),
        };
        info!(event = "command.finished", command = %command, status = %status, elapsed_ms, "{message}");
        result
    }

    async fn run_found(&self, program: &Path, redacted: &str, run: Program<'_>) -> CommandResult {
        let failed = |source| Box::new(CommandError::Start { program: program.to_owned(), source });
        let mut command = Command::new(program);
        command.args(&run.args).env_clear().envs(self.environment.borrow().iter().cloned());
        command.envs(run.env).current_dir("/").process_group(0);
        command.stdin(if run.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let group = Group::of(&child, &self.running);
        if let (Some(text), Some(mut pipe)) = (run.stdin, child.stdin.take()) {
            // A program that needed its input reports the failure in its exit status.
            let _unread = pipe.write_all(text.reveal().as_bytes()).await;
        }
        let transcript = RefCell::new(Transcript::default());
        let watch = RefCell::new(run.watch);
        let outcome = tokio::select! {
            ended = read_outputs(&mut child, &transcript, &watch) => ended.map_err(failed)?,
            () = tokio::time::sleep(run.limit) => Outcome::TimedOut,
        };
        let Outcome::Exited(status) = outcome else {
            group.stop(&mut child).await;
            let command = redacted.to_owned();
            return Err(Box::new(if let Outcome::StoppedByWatch(line) = outcome {
                CommandError::Stopped { command, line: self.mask.apply(&line) }
            } else {
                let tail = self.mask.apply(&tail(&transcript.borrow().both));
                CommandError::TimedOut { command, limit: run.limit, tail }
            }));
        };
        group.ended();
        let transcript = transcript.into_inner();
        Ok(Box::new(Finished {
            code: status.code(),
            signal: std::os::unix::process::ExitStatusExt::signal(&status),
            stdout: transcript.stdout,
            transcript: transcript.both,
        }))
    }

    /// Waits until the terminated process groups are gone; sends SIGKILL after 5 s.
    pub async fn reap(&self) {
        let until = Instant::now() + GRACE;
        loop {
            self.running.borrow_mut().retain(|group| killpg(Pid::from_raw(*group), None).is_ok());
            if self.running.borrow().is_empty() {
                return;
            }
            if Instant::now() >= until {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for group in self.running.borrow().iter() {
            let _gone = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
    }
}

/// The end of an output, short enough for a message: at most 4 lines and 600 characters.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(4);
    let joined = lines.get(from..).unwrap_or_default().join(" | ");
    let excess = joined.chars().count().saturating_sub(600);
    joined.chars().skip(excess).collect()
}

/// Whether a text contains one of these patterns.
pub fn contains_any(text: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| text.contains(pattern))
}

fn render_command(program: &str, args: &[String]) -> String {
    let mut text = program.to_owned();
    for arg in args {
        text.push(' ');
        if arg.is_empty() || arg.contains(char::is_whitespace) {
            text.push_str(&format!("{arg:?}"));
        } else {
            text.push_str(arg);
        }
    }
    text
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

enum Outcome {
    Exited(std::process::ExitStatus),
    StoppedByWatch(String),
    TimedOut,
}

#[derive(Default)]
struct Transcript {
    stdout: String,
    both: String,
}

impl Transcript {
    fn add(&mut self, line: &[u8], is_stdout: bool) -> String {
        let text = String::from_utf8_lossy(line).into_owned();
        if is_stdout && self.stdout.len() < LARGEST_OUTPUT {
            self.stdout.push_str(&text);
        }
        if self.both.len() < LARGEST_OUTPUT {
            self.both.push_str(&text);
            if !text.ends_with('\n') {
                self.both.push('\n');
            }
        }
        text.trim_end_matches(['\n', '\r']).to_owned()
    }
}

/// Reads both outputs until they are closed or the program has ended.
async fn read_outputs(
    child: &mut Child,
    transcript: &RefCell<Transcript>,
    watch: &Watch<'_>,
) -> std::io::Result<Outcome> {
    let stdout = child.stdout.take().map(|pipe| Box::new(pipe) as Pipe);
    let stderr = child.stderr.take().map(|pipe| Box::new(pipe) as Pipe);
    let reading = async {
        let out = read_lines(stdout, true, transcript, watch);
        let err = read_lines(stderr, false, transcript, watch);
        tokio::pin!(out, err);
        tokio::select! {
            line = &mut out => if line.is_some() { line } else { err.await },
            line = &mut err => if line.is_some() { line } else { out.await },
        }
    };
    tokio::pin!(reading);
    tokio::select! {
        stopped = &mut reading => match stopped {
            Some(line) => Ok(Outcome::StoppedByWatch(line)),
            None => Ok(Outcome::Exited(child.wait().await?)),
        },
        status = child.wait() => {
            let status = status?;
            let _held_open_by_a_daemon = tokio::time::timeout(DRAIN, reading).await;
            Ok(Outcome::Exited(status))
        }
    }
}

/// The callback for each line of both outputs.
type Watch<'a> = RefCell<Option<&'a mut dyn FnMut(&str) -> bool>>;

/// Standard output or standard error of a child.
type Pipe = Box<dyn AsyncRead + Unpin>;

/// Reads lines until the end; the line at which the watch stopped the program, if it did.
async fn read_lines(
    pipe: Option<Pipe>,
    is_stdout: bool,
    transcript: &RefCell<Transcript>,
    watch: &Watch<'_>,
) -> Option<String> {
    let mut reader = BufReader::new(pipe?);
    let mut line = Vec::new();
    let mut is_cut = false;
    loop {
        let available = reader.fill_buf().await.unwrap_or_default();
        let end = available.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(available.len(), |end| end + 1);
        let kept = used.min(LONGEST_LINE.saturating_sub(line.len()));
        line.extend_from_slice(available.get(..kept).unwrap_or_default());
        is_cut |= kept < used;
        reader.consume(used);
        let is_over = used == 0;
        if is_over && line.is_empty() {
            return None;
        }
        if end.is_some() || is_over {
            if std::mem::take(&mut is_cut) {
                truncate_at_blank(&mut line);
            }
            let text = transcript.borrow_mut().add(&line, is_stdout);
            if watch.borrow_mut().as_mut().is_some_and(|should_continue| !should_continue(&text)) {
                return Some(text);
            }
            line.clear();
        }
    }
}

/// Truncates an overlong line at a blank, because half a token would not be recognized and redacted.
fn truncate_at_blank(line: &mut Vec<u8>) {
    let blank = line.iter().rposition(u8::is_ascii_whitespace);
    line.truncate(blank.unwrap_or_default());
    line.push(b'\n');
}

/// A process group; it receives SIGTERM when it is dropped before its end.
struct Group {
    id: i32,
    running: Rc<RefCell<Vec<i32>>>,
    ended: bool,
}

impl Group {
    fn of(child: &Child, running: &Rc<RefCell<Vec<i32>>>) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
        if id > 0 {
            running.borrow_mut().push(id);
        }
        Self { id, running: Rc::clone(running), ended: id == 0 }
    }

    fn signal(&self, signal: Signal) {
        if self.id > 0 {
            let _gone = killpg(Pid::from_raw(self.id), signal);
        }
    }

    /// Sends SIGTERM, and SIGKILL after [`GRACE`].
    async fn stop(self, child: &mut Child) {
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
            self.signal(Signal::SIGKILL);
            let _ended = child.wait().await;
        }
        // Grandchildren may outlive their parent in the same group.
        self.signal(Signal::SIGKILL);
        self.ended();
    }

    fn ended(mut self) {
        self.running.borrow_mut().retain(|id| *id != self.id);
        self.ended = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(Signal::SIGTERM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Commands {
        Commands::new(&Files::new("/".into()), "/usr/bin:/bin", Vec::new(), SharedMask::default())
    }

    fn block_on<T>(future: impl std::future::Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn sh<'a>(script: &str) -> Program<'a> {
        Program::new("sh", &["-c", script], Duration::from_secs(20))
    }

    #[test]
    fn output_status_and_environment() {
        let finished = block_on(commands().run(sh("echo out; echo err >&2; env; exit 7"))).unwrap();
        assert_eq!(finished.code, Some(7));
        assert!(finished.stdout.starts_with("out\n"));
        assert!(finished.stdout.contains("LC_ALL=C") && finished.stdout.contains("HOME=/root"));
        assert!(!finished.stdout.contains("CARGO"));
        assert!(finished.transcript.contains("err\n"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error =
            block_on(commands().run(Program::new("no-such-program", &[], Duration::ZERO))).unwrap_err();
        assert_eq!(error.to_string(), "no-such-program is not on this machine");
    }

    #[test]
    fn a_timeout_kills_the_process_group() {
        let mut run = sh("echo begun; sleep 600 & echo $!; wait");
        // Enough for sh to get as far as its second line on a loaded machine.
        run.limit = Duration::from_secs(5);
        let error = block_on(commands().run(run)).unwrap_err();
        let CommandError::TimedOut { tail, .. } = &*error else { panic!("{error:?}") };
        let child: i32 = tail.rsplit(' ').next().unwrap().parse().unwrap();
        // Without an init that reaps it, the killed grandchild stays as a zombie. The limit of the loop turns a hang
        // into a failure.
        let stat = || {
            Files::new("/".into()).read(format!("/proc/{child}/stat")).unwrap_or_default().unwrap_or_default()
        };
        let is_dead = |stat: &str| stat.is_empty() || stat.contains(") Z ");
        for _ in 0..1000 {
            if is_dead(&stat()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{}", stat());
    }

    #[test]
    fn a_watch_can_stop_the_program() {
        let mut watch = |line: &str| line != "stop here";
        let mut run = sh("echo fine; echo stop here; sleep 60");
        run.watch = Some(&mut watch);
        let error = block_on(commands().run(run)).unwrap_err();
        assert!(matches!(*error, CommandError::Stopped { line, .. } if line == "stop here"));
    }

    #[test]
    fn a_daemon_that_keeps_the_pipe_open_does_not_block() {
        let mut run = sh("sleep 20 & echo done");
        run.limit = Duration::from_secs(10);
        let finished = block_on(commands().run(run)).unwrap();
        assert_eq!(finished.stdout, "done\n");
    }

    #[test]
    fn an_overlong_line_is_truncated() {
        let script = "yes word | head -c 5000000 | tr '\\n' ' '; echo; echo after";
        let finished = block_on(commands().run(sh(script))).unwrap();
        let (line, after) = finished.stdout.split_once('\n').unwrap();
        assert!((LONGEST_LINE - 10..=LONGEST_LINE).contains(&line.len()), "{}", line.len());
        assert!(line.ends_with(" word"), "{:?}", line.get(line.len() - 10..));
        assert_eq!(after, "after\n");
        // Without a blank nothing of the line is kept; the next line is complete.
        let one = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo after; printf end";
        let finished = block_on(commands().run(sh(one))).unwrap();
        assert_eq!(finished.stdout, "\nafter\nend");
    }

    #[test]
    fn the_tail_is_short() {
        assert_eq!(tail("a\n\nb\nc\nd\ne\n"), "b | c | d | e");
        assert_eq!(tail(&"x".repeat(5000)).len(), 600);
    }
}
