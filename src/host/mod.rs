//! The only I/O boundary: files below `--root`, programs, the link-local HTTP client, tunnels
//! through the proxy, HTTPS by the host's curl, the system's own facts.
//!
//! The lint table bans `std::fs`, `Command::new` and HTTP clients everywhere else.

pub mod commands;
pub mod files;
pub mod https;
pub mod link_local;
pub mod lock;
pub mod memory_file;
pub mod names;
pub mod output;
pub mod redaction;
pub mod system;
pub mod tasks;
pub mod tunnel;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::info;

use crate::model::secret::{Mask, Secret};

/// The machine as the agent may touch it.
#[derive(Clone)]
pub struct Host {
    /// Files below `--root`.
    pub files: files::Files,
    /// Programs, with a fixed environment.
    pub commands: commands::Commands,
    /// What must not show up in anything that is written down.
    pub mask: SharedMask,
}

/// One mask for everything that writes other programs' words down.
#[derive(Clone, Debug, Default)]
pub struct SharedMask(Arc<Mutex<Mask>>);

impl SharedMask {
    /// From now on this secret is redacted.
    pub fn learn(&self, secret: &Secret) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).learn(secret);
    }

    /// The text without secrets.
    pub fn apply(&self, text: &str) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).apply(text)
    }
}

/// An error with its causes on one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// Logs a request, and the moment at which it was made.
fn http_started(method: &str, url: &str) -> Instant {
    info!(event = "http.started", method, url, "{method} {url}");
    Instant::now()
}

/// Logs what came of a request.
fn http_finished(url: &str, status: &str, started: Instant, words: &str) {
    info!(event = "http.finished", url, status, elapsed_ms = started.elapsed().as_millis(), "{words}");
}

impl Host {
    /// A host whose files are below `root`, whose programs see `environment` and are found along `path`.
    pub fn new(root: PathBuf, path: &str, environment: Vec<(String, String)>) -> Self {
        let files = files::Files::new(root);
        let mask = SharedMask::default();
        let commands = commands::Commands::new(&files, path, environment, mask.clone());
        Self { files, commands, mask }
    }

    /// The last words of a program, masked.
    pub fn last_words(&self, finished: &commands::Finished) -> String {
        self.mask.apply(&commands::tail(&finished.transcript))
    }

    /// The text of a file, where there is one that can be read.
    pub fn text(&self, path: &str) -> Option<String> {
        self.files.read(path).ok().flatten()
    }
}
