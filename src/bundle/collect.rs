//! Collects the sources of the table: files and folders, and commands concurrently, each with a limit.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{HIMDS, LARGEST_ENTRY, LARGEST_WHOLE, TABLE};
use crate::host::commands::{CommandError, Program};
use crate::host::files::{read_end, FileError};
use crate::host::redaction;
use crate::host::tasks::{join_all, Task};
use crate::host::{Host, SharedMask};

/// Time limit of one command; one that ignores SIGTERM is killed 5 s later.
const LIMIT: Duration = Duration::from_secs(14);

/// Bytes read in addition to an entry's limit. It is longer than any secret, so that truncation at the front never
/// leaves the unrecognizable rest of a secret.
const MARGIN: usize = 64 << 10;

/// Largest number of files of one folder; the newest are taken.
const MOST_FILES: usize = 30;

/// One entry of the bundle, or the reason why it is missing.
pub struct Part {
    /// Name in the archive.
    pub name: String,
    /// The source: a file, a command or a description.
    pub from: String,
    /// The content.
    pub content: Content,
    /// Time it took to collect.
    pub elapsed: Duration,
}

/// The content of a part.
pub enum Content {
    /// A text; the status of the command, where it failed; whether the text is truncated at the front.
    Text(String, Option<String>, bool),
    /// A JSON value; secrets are redacted in its strings.
    Json(Value),
    /// The reason why the content is missing.
    Missing(String),
}

impl Part {
    /// A part with an elapsed time of zero.
    pub fn new(name: &str, from: &str, content: Content) -> Self {
        Self { name: name.to_owned(), from: from.to_owned(), content, elapsed: Duration::ZERO }
    }

    /// The text; `None` for other content.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text, ..) => Some(text),
            Content::Json(_) | Content::Missing(_) => None,
        }
    }

    /// Applies `change` to every text.
    fn change(&mut self, change: &dyn Fn(&str) -> String) {
        match &mut self.content {
            Content::Text(text, ..) | Content::Missing(text) => *text = change(text),
            Content::Json(value) => change_texts(value, change),
        }
        self.from = change(&self.from);
    }
}

fn change_texts(value: &mut Value, change: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(values) => values.iter_mut().for_each(|value| change_texts(value, change)),
        Value::Object(members) => members.values_mut().for_each(|value| change_texts(value, change)),
        _ => {}
    }
}

/// The collected parts, before redaction.
pub struct Collected {
    pub(super) parts: Vec<Part>,
    started: Instant,
}

/// Collects the sources of the table, and the log where it is another file.
pub fn collect<'a>(host: &'a Host, log: Option<&'a str>) -> Task<'a, Collected> {
    Box::pin(collect_all(host, log))
}

async fn collect_all(host: &Host, log: Option<&str>) -> Collected {
    let started = Instant::now();
    let mut parts = Vec::new();
    if let Some(log) = log {
        parts.push(read_timed(host, "log/arc-enroll.log", log));
    }
    for (name, from) in TABLE.lines().filter_map(|line| line.split_once(' ')) {
        add_source(host, name, from, &mut parts);
    }
    let mut tasks: Vec<Task<'_, ()>> = Vec::new();
    for part in &mut parts {
        if !part.from.starts_with('/') {
            tasks.push(Box::pin(run(host, part)));
        }
    }
    join_all(tasks).await;
    if let Some(part) = parts.iter_mut().find(|part| part.name == HIMDS) {
        read_himds_environment(host, part);
    }
    Collected { parts, started }
}

/// Replaces the output of systemctl, the process id of himds, by the environment of that process.
fn read_himds_environment(host: &Host, part: &mut Part) {
    let output = part.text().unwrap_or_default().trim();
    let pid = output.strip_prefix("MainPID=").filter(|pid| *pid != "0");
    part.content = match pid.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(pid) => {
            let from = format!("/proc/{pid}/environ");
            let content = read(host, &from);
            part.from = from;
            content
        }
        None => {
            Content::Missing("himdsd.service does not run, or systemd does not report its process".to_owned())
        }
    };
}

impl Collected {
    /// Time since the start of the collection.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Adds parts before all others.
    pub fn prepend(&mut self, mut parts: Vec<Part>) {
        parts.append(&mut self.parts);
        self.parts = parts;
    }

    /// The redacted parts, within the size limits.
    pub fn parts(&mut self, mask: &SharedMask) -> Vec<Part> {
        let mut parts = std::mem::take(&mut self.parts);
        // Two passes, because a secret that is recognized in one text may occur without context in another.
        parts.iter_mut().for_each(|part| part.change(&|text| redaction::redact(text, mask)));
        parts.iter_mut().for_each(|part| part.change(&|text| mask.apply(text)));
        let mut room = LARGEST_WHOLE;
        let mut names: Vec<String> = Vec::new();
        for part in &mut parts {
            if let Content::Json(value) = &part.content {
                part.content = Content::Text(format!("{value:#}\n"), None, false);
            }
            let Content::Text(text, _, is_cut) = &mut part.content else { continue };
            *is_cut |= keep_end(text, LARGEST_ENTRY.min(room));
            room -= text.len();
            if room == 0 && text.is_empty() {
                part.content = Content::Missing("the bundle has reached its size limit".to_owned());
                continue;
            }
            while names.contains(&part.name) {
                part.name.push('_');
            }
            names.push(part.name.clone());
        }
        // A missing entry is dropped where another source provided the same name.
        parts.retain(|part| part.text().is_some() || !names.contains(&part.name));
        parts
    }
}

/// Adds the parts of one row of the table: one for a file, several for a folder, an empty one for a command.
fn add_source(host: &Host, name: &str, from: &str, parts: &mut Vec<Part>) {
    let Some((folder, suffix)) = from.split_once('*') else {
        return parts.push(match from.starts_with('/') {
            true => read_timed(host, name, from),
            false => Part::new(name, from, Content::Missing(String::new())),
        });
    };
    let why = match host.files.regular_files(folder, suffix) {
        Ok(names) => {
            for (index, file) in names.iter().enumerate() {
                let (name, from) = (format!("{name}{}", sanitize(file)), format!("{folder}{file}"));
                parts.push(match index < MOST_FILES {
                    true => read_timed(host, &name, &from),
                    false => {
                        let why = format!("only the {MOST_FILES} newest of this folder are taken");
                        Part::new(&name, &from, Content::Missing(why))
                    }
                });
            }
            if !names.is_empty() {
                return;
            }
            "it is empty".to_owned()
        }
        Err(error) => reason(&error),
    };
    parts.push(Part::new(name, from, Content::Missing(why)));
}

fn read_timed(host: &Host, name: &str, from: &str) -> Part {
    let started = Instant::now();
    let mut part = Part::new(name, from, read(host, from));
    part.elapsed = started.elapsed();
    part
}

/// Replaces unusual characters in a file name, and truncates it for the archive.
fn sanitize(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().map(|c| if is_plain(c) { c } else { '_' }).take(50).collect()
}

fn reason(error: &FileError) -> String {
    match error.source.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.source.to_string(),
    }
}

/// The content of a file below the root; /proc and /sys are read from the machine.
pub(super) fn read(host: &Host, from: &str) -> Content {
    match from.starts_with("/proc/") || from.starts_with("/sys/") {
        true => read_file(Path::new(from)),
        false => read_file(&host.files.path(from)),
    }
}

/// The content of the file at a real path.
pub fn read_file(path: &Path) -> Content {
    let mut end = match read_end(path, (LARGEST_ENTRY + MARGIN) as u64) {
        Ok(Some(end)) => end,
        Ok(None) => return Content::Missing("it is not there".to_owned()),
        Err(error) => return Content::Missing(reason(&error)),
    };
    // A process's environment is separated by NUL bytes; other files with NUL bytes are binary. Secrets in binary and
    // compressed files cannot be redacted.
    let is_binary = end.bytes.contains(&0) || end.bytes.starts_with(&[0x1f, 0x8b]);
    if is_binary && !path.as_os_str().as_bytes().ends_with(b"/environ") {
        return Content::Missing("it is not text".to_owned());
    }
    for byte in end.bytes.iter_mut().filter(|byte| **byte == 0) {
        *byte = b'\n';
    }
    let mut text = String::from_utf8_lossy(&end.bytes).into_owned();
    if end.is_cut {
        drop_first_line(&mut text);
    }
    Content::Text(text, None, end.is_cut)
}

/// Runs the command of a part and stores its output, also where it exceeded its limit.
async fn run(host: &Host, part: &mut Part) {
    let started = Instant::now();
    let words: Vec<&str> = part.from.split_whitespace().collect();
    let Some((program, args)) = words.split_first() else { return };
    let (mut text, mut is_cut) = (String::new(), false);
    let mut append = |line: &str| {
        text.push_str(line);
        text.push('\n');
        // Truncating after every line would move the text each time.
        if text.len() > 2 * LARGEST_ENTRY {
            is_cut |= keep_end(&mut text, LARGEST_ENTRY + MARGIN);
        }
        true
    };
    let result =
        host.commands.run(Program { watch: Some(&mut append), ..Program::new(program, args, LIMIT) }).await;
    part.elapsed = started.elapsed();
    let status = match result {
        Ok(finished) if finished.succeeded() => None,
        Ok(finished) => Some(finished.status()),
        Err(error) => match *error {
            CommandError::TimedOut { limit, .. } => Some(format!("stopped after {} s", limit.as_secs())),
            _ => {
                part.content = Content::Missing(error.to_string());
                return;
            }
        },
    };
    part.content = match status {
        Some(status) if text.is_empty() => Content::Missing(format!("{status}, no output")),
        status => Content::Text(text, status, is_cut),
    };
}

/// Drops the partial line at the front, at most [`MARGIN`] bytes of it.
fn drop_first_line(text: &mut String) {
    let end = text.bytes().take(MARGIN).position(|byte| byte == b'\n').map_or(MARGIN, |at| at + 1);
    let end = (end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text.drain(..end);
}

/// Keeps complete lines at the end of a text, at most `most` bytes; returns whether the text was truncated.
fn keep_end(text: &mut String, most: usize) -> bool {
    let Some(from) = text.len().checked_sub(most).filter(|from| *from > 0) else { return false };
    let bytes = text.as_bytes();
    let line = bytes.iter().skip(from - 1).position(|byte| *byte == b'\n').map(|at| from + at);
    let from = line.filter(|line| *line < text.len()).unwrap_or(from);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text.drain(..from);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, content: Content) -> Part {
        Part::new(name, "x", content)
    }

    fn text(text: &str) -> Content {
        Content::Text(text.to_owned(), None, false)
    }

    fn packed(parts: Vec<Part>) -> Vec<Part> {
        Collected { parts, started: Instant::now() }.parts(&SharedMask::default())
    }

    #[test]
    fn keep_end_keeps_complete_lines() {
        for (whole, most, kept) in [
            ("a\nbb\nccc\n", 9, "a\nbb\nccc\n"),
            ("a\nbb\nccc\n", 8, "bb\nccc\n"),
            ("a\nbb\nccc\n", 7, "bb\nccc\n"),
            ("a\nbb\nccc\n", 6, "ccc\n"),
            ("aaaa", 2, "aa"),
            ("äää", 3, "ä"),
            ("a", 0, ""),
        ] {
            let mut text = whole.to_owned();
            assert_eq!((keep_end(&mut text, most), text.as_str()), (kept != whole, kept));
        }
    }

    #[test]
    fn a_partial_first_line_is_dropped() {
        let mut text = "rest of a secret\nwhole\n".to_owned();
        drop_first_line(&mut text);
        assert_eq!(text, "whole\n");
        let mut text = "x".repeat(MARGIN + 5);
        drop_first_line(&mut text);
        assert_eq!(text, "xxxxx");
    }

    #[test]
    fn earlier_parts_have_priority_within_the_size_limit() {
        let line = "0123456789abcde\n";
        let large = line.repeat(2 * LARGEST_ENTRY / line.len());
        let parts = packed((0..20).map(|index| part(&index.to_string(), text(&large))).collect());
        let lengths: Vec<usize> = parts.iter().filter_map(|part| part.text().map(str::len)).collect();
        assert_eq!(lengths, [LARGEST_ENTRY; 16]);
        let is_cut = |part: &Part| matches!(part.content, Content::Text(_, _, true));
        assert!(parts.iter().take(16).all(is_cut));
        assert_eq!(parts.iter().filter(|part| matches!(part.content, Content::Missing(_))).count(), 4);
    }

    #[test]
    fn equal_names_get_a_suffix_and_alternative_sources_are_not_reported_missing() {
        let missing = || Content::Missing("no rpm".to_owned());
        let parts = packed(vec![
            part("a", text("1")),
            part("a", missing()),
            part("b", missing()),
            part("b", missing()),
            part("c", text("2")),
            part("c", text("3")),
        ]);
        let names: Vec<(&str, bool)> =
            parts.iter().map(|part| (part.name.as_str(), part.text().is_some())).collect();
        assert_eq!(names, [("a", true), ("b", false), ("b", false), ("c", true), ("c_", true)]);
    }

    #[test]
    fn redaction_keeps_json_valid() {
        let value = serde_json::json!({"port": 3128, "url": "http://u:3128@h:80", "list": ["x 3128"]});
        let parts = packed(vec![part("j", Content::Json(value))]);
        let back: Value = serde_json::from_str(parts[0].text().unwrap()).unwrap();
        assert_eq!(back, serde_json::json!({"port": 3128, "url": "http://***@h:80", "list": ["x ***"]}));
    }

    #[test]
    fn file_names_are_sanitized() {
        assert_eq!(sanitize("gc agent/ü.log"), "gc_agent__.log");
        assert_eq!(sanitize(&"n".repeat(300)).len(), 50);
    }
}
