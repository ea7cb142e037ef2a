//! Shared by the stand-in programs: their VM's root, their plan, and the
//! record of their calls.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::statfs::{statfs, TMPFS_MAGIC};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::nexus::seen::{Call, ConfigFile};
use crate::nexus::spec::{GuestPlan, Outcome, Span, MARKER};

/// The state folder of the stand-ins on a VM without a marker, that is, one that is not simulated.
const REAL_HOME: &str = "var/opt/azcmagent/nexus";

/// The VM as one stand-in program sees it.
pub struct Guest {
    /// `/` of the VM.
    pub root: PathBuf,
    /// Folder with the plan and the record.
    pub home: PathBuf,
    pub plan: GuestPlan,
    /// Name under which the program was called.
    pub name: String,
    /// Without the program's own name.
    pub arguments: Vec<String>,
}

/// The position of a playbook, kept between calls.
#[derive(Default, Serialize, Deserialize)]
struct Progress {
    scene: usize,
    played: u32,
    since_ms: u64,
}

/// Behaves as the program of this name, if there is a stand-in for it.
pub fn stand_in(called: &str, arguments: &[String]) -> Option<ExitCode> {
    let work: fn(&Guest) -> u8 = match called {
        "azcmagent" => crate::azcmagent::run,
        "systemctl" => crate::systemctl::run,
        "apt-get" | "apt" => crate::apt::apt_get,
        "dpkg" => crate::apt::dpkg,
        "dpkg-query" => crate::apt::dpkg_query,
        "dnf" | "yum" | "tdnf" => crate::rpm::dnf,
        "zypper" => crate::rpm::zypper,
        "rpm" => crate::rpm::rpm,
        "timedatectl" => crate::systemctl::timedatectl,
        // The services of azcmagent, for a VM with a real systemd.
        "himds" | "arcproxy" | "gc_linux_service" | "gcad" | "extd" => daemon,
        _ => return None,
    };
    let guest = Guest::find(called, arguments);
    let code = work(&guest);
    guest.append(&json!({"pid": std::process::id(), "exit": code}));
    Some(ExitCode::from(code))
}

fn daemon(_: &Guest) -> u8 {
    sleep(Duration::from_secs(u64::MAX));
    0
}

impl Guest {
    fn find(name: &str, arguments: &[String]) -> Self {
        let program = arguments.first().map(PathBuf::from).unwrap_or_default();
        let program = if program.is_absolute() { program } else { in_path(&program).unwrap_or(program) };
        let marked = program.ancestors().find(|folder| folder.join(MARKER).is_dir());
        let (root, home) = match marked {
            Some(root) => (root.to_owned(), root.join(MARKER)),
            None => (PathBuf::from("/"), Path::new("/").join(REAL_HOME)),
        };
        if marked.is_none() && nix::unistd::geteuid().is_root() {
            drop(fs::create_dir_all(&home));
        }
        let plan = fs::read(home.join("guest.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let arguments = arguments.iter().skip(1).cloned().collect();
        Self { root, home, plan: plan.unwrap_or_default(), name: name.to_owned(), arguments }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below.trim_start_matches('/'))
    }

    /// Records the call and returns the plan's act for it. The names go from the most specific to the
    /// most general; the first is the one recorded.
    pub fn called(&self, names: &[&str], config: Option<&Path>) -> Outcome {
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        let call = Call {
            at_ms: now_ms(),
            pid: std::process::id(),
            call: names.first().copied().unwrap_or("").to_owned(),
            argv: self.arguments.iter().map(|argument| mask(argument)).collect(),
            token_in_argv: self.arguments.iter().any(|argument| mask(argument) != *argument),
            token_in_env: environment.values().any(|value| mask(value) != *value),
            env: environment.into_iter().map(|(name, value)| shown(name, &value)).collect(),
            config: config.map(config_file),
            exit: None,
        };
        self.append(&serde_json::to_value(&call).expect("a call is JSON"));
        names.iter().find_map(|name| self.next(name)).unwrap_or(Outcome::Usual)
    }

    /// The next act of a playbook; nothing when there is none, or when it is over.
    fn next(&self, name: &str) -> Option<Outcome> {
        let playbook = self.plan.calls.get(name)?;
        let path = self.home.join("progress.json");
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path).ok()?;
        let mut file = Flock::lock(file, FlockArg::LockExclusive).ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let mut all: BTreeMap<String, Progress> = serde_json::from_str(&text).unwrap_or_default();
        let at = all.entry(name.to_owned()).or_default();
        let mut found = None;
        while let Some(scene) = playbook.0.get(at.scene) {
            if at.since_ms == 0 {
                at.since_ms = now_ms();
            }
            let goes_on = match scene.span {
                Span::Times(times) => at.played < times,
                Span::For(ms) => now_ms().saturating_sub(at.since_ms) < ms,
                Span::Forever => true,
            };
            if goes_on {
                at.played += 1;
                found = Some(scene.act.clone());
                break;
            }
            *at = Progress { scene: at.scene + 1, ..Progress::default() };
        }
        file.set_len(0).ok()?;
        file.rewind().ok()?;
        file.write_all(serde_json::to_string(&all).ok()?.as_bytes()).ok()?;
        found
    }

    /// Adds a line to the record of calls; one write, so that lines of several programs do not mix.
    fn append(&self, line: &Value) {
        let file = File::options().create(true).append(true).open(self.home.join("calls.jsonl"));
        if let Ok(mut file) = file {
            drop(file.write_all(format!("{line}\n").as_bytes()));
        }
    }

    pub fn read_json<T: for<'a> Deserialize<'a> + Default>(&self, path: &Path) -> T {
        fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    pub fn write_json(&self, path: &Path, value: &impl Serialize) {
        if let Some(folder) = path.parent() {
            drop(fs::create_dir_all(folder));
        }
        let text = serde_json::to_string_pretty(value).expect("a state is JSON");
        // Renamed into place: another stand-in may be reading it at this moment.
        let new = path.with_extension(format!("new-{}", std::process::id()));
        drop(fs::write(&new, text).and_then(|()| fs::rename(&new, path)));
    }
}

/// Acts that are the same for every program: the exit code where the call is over, nothing where the usual
/// work follows.
pub fn perform(outcome: &Outcome, token: &str) -> Option<u8> {
    match outcome {
        Outcome::Exit { code, stdout, stderr } => {
            print!("{}", stdout.replace("{token}", token));
            eprint!("{}", stderr.replace("{token}", token));
            Some(*code)
        }
        Outcome::Hang { stdout } => {
            hang(&stdout.replace("{token}", token), Duration::MAX);
            Some(1)
        }
        Outcome::Deaf { stdout } => {
            ignore_sigterm();
            hang(&stdout.replace("{token}", token), Duration::MAX);
            Some(1)
        }
        Outcome::Late(ms) => {
            sleep(Duration::from_millis(*ms));
            None
        }
        _ => None,
    }
}

/// Prints a text unbuffered, and waits.
pub fn hang(text: &str, time: Duration) {
    print!("{text}");
    drop(std::io::stdout().flush());
    sleep(time);
}

fn ignore_sigterm() {
    // Blocked rather than ignored: a handler would need `unsafe`, which this crate forbids.
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.thread_block().ok();
}

pub fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    crate::nexus::spec::millis(now)
}

fn in_path(program: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.exists())
}

/// Records the values of proxy variables, and only the names of the others.
fn shown(name: String, value: &str) -> (String, String) {
    let proxy = name.to_ascii_lowercase().ends_with("_proxy");
    let kept = if proxy || name == "PATH" || name == "LC_ALL" { mask(value) } else { String::new() };
    (name, kept)
}

/// Hides every token in a text.
pub fn mask(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["eyJ", "opaque-token-value-"].iter().filter_map(|start| rest.find(start)).min() {
        let (before, token) = rest.split_at(at);
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let end = token.find(|c| !is_part(c)).unwrap_or(token.len());
        out.push_str(before);
        // Short pieces are not tokens.
        out.push_str(if end > 20 { "<token>" } else { &token[..end] });
        rest = &token[end..];
    }
    out + rest
}

fn config_file(path: &Path) -> ConfigFile {
    let mode = fs::metadata(path).map(|data| data.permissions().mode() & 0o777).unwrap_or(0);
    let file_system = match statfs(path) {
        Ok(facts) if facts.filesystem_type() == TMPFS_MAGIC => "tmpfs".to_owned(),
        Ok(facts) => format!("{:x}", facts.filesystem_type().0),
        Err(error) => error.to_string(),
    };
    let text = mask(&fs::read_to_string(path).unwrap_or_default());
    ConfigFile {
        path: path.to_string_lossy().into_owned(),
        mode: format!("{mode:o}"),
        file_system,
        content: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}
