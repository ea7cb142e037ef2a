//! The I/O boundary: files below `--root`, programs, the link-local HTTP client, tunnels through the proxy, HTTPS
//! through the host's curl, and facts from the kernel.
//!
//! A lint bans `std::fs`, `Command::new`, connections and HTTP clients elsewhere.

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

/// The machine that the program reads and changes.
#[derive(Clone)]
pub struct Host {
    /// Files below `--root`.
    pub files: files::Files,
    /// Programs, with a fixed environment.
    pub commands: commands::Commands,
    /// Redacts secrets in everything that is logged or saved.
    pub mask: SharedMask,
}

/// One mask, shared by everything that logs or saves text.
#[derive(Clone, Debug, Default)]
pub struct SharedMask(Arc<Mutex<Mask>>);

impl SharedMask {
    /// Adds a secret, which is redacted from now on.
    pub fn learn(&self, secret: &Secret) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).learn(secret);
    }

    /// The redacted text.
    pub fn apply(&self, text: &str) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).apply(text)
    }
}

/// An error and its causes on one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// Logs a request; returns its start time.
fn http_started(method: &str, url: &str) -> Instant {
    info!(event = "http.started", method, url, "{method} {url}");
    Instant::now()
}

/// Logs the result of a request.
fn http_finished(url: &str, status: &str, started: Instant, message: &str) {
    info!(event = "http.finished", url, status, elapsed_ms = started.elapsed().as_millis(), "{message}");
}

impl Host {
    /// A host with files below `root`, and programs that are found in `path` and run with `environment`.
    pub fn new(root: PathBuf, path: &str, environment: Vec<(String, String)>) -> Self {
        let files = files::Files::new(root);
        let mask = SharedMask::default();
        let commands = commands::Commands::new(&files, path, environment, mask.clone());
        Self { files, commands, mask }
    }

    /// The end of a program's output, redacted.
    pub fn output_tail(&self, finished: &commands::Finished) -> String {
        self.mask.apply(&commands::tail(&finished.transcript))
    }

    /// The text of a file; `None` where it does not exist or cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        self.files.read(path).ok().flatten()
    }
}
