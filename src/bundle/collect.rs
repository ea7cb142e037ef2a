//! Takes what the table names: files, folders, commands; everything at the same time, each within its limit.

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

/// Time limit of one command; one that does not heed its end is killed 5 s later.
const LIMIT: Duration = Duration::from_secs(14);

/// Longer than any secret: that much is read beyond an entry's limit, so that what is cut off at the front is never
/// the beginning of a secret whose rest stays.
const MARGIN: usize = 64 << 10;

/// Most files of one folder; the newest are taken.
const MOST_FILES: usize = 30;

/// One entry of the bundle, or why there is none.
pub struct Part {
    /// Its name in the archive.
    pub name: String,
    /// The file or the command it comes from, or the command that shows what is not to be had here.
    pub from: String,
    /// What it holds.
    pub content: Content,
    /// How long it took.
    pub elapsed: Duration,
}

/// What a part holds.
pub enum Content {
    /// A text; how the command ended, when that was not well; whether the beginning is missing.
    Text(String, Option<String>, bool),
    /// Members that stay JSON when secrets are taken out of their texts.
    Json(Value),
    /// It could not be had, and why.
    Missing(String),
}

impl Part {
    /// A part that took no time worth telling.
    pub fn new(name: &str, from: &str, content: Content) -> Self {
        Self { name: name.to_owned(), from: from.to_owned(), content, elapsed: Duration::ZERO }
    }

    /// Its text.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text, ..) => Some(text),
            Content::Json(_) | Content::Missing(_) => None,
        }
    }

    /// Replaces every text by what `change` makes of it.
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

/// Everything that was found, secrets included.
pub struct Collected {
    pub(super) parts: Vec<Part>,
    started: Instant,
}

/// Takes everything that the table names, and the log where it is elsewhere.
pub async fn collect(host: &Host, log: Option<&str>) -> Collected {
    let started = Instant::now();
    let mut parts = Vec::new();
    if let Some(log) = log {
        parts.push(read_timed(host, "log/arc-enroll.log", log));
    }
    for (name, from) in TABLE.lines().filter_map(|line| line.split_once(' ')) {
        take_files(host, name, from, &mut parts);
    }
    let mut tasks: Vec<Task<'_, ()>> = Vec::new();
    for part in &mut parts {
        if !part.from.starts_with('/') {
            tasks.push(Box::pin(run(host, part)));
        }
    }
    join_all(tasks).await;
    if let Some(part) = parts.iter_mut().find(|part| part.name == HIMDS) {
        look_at_himds(host, part);
    }
    Collected { parts, started }
}

/// Puts the environment of himds in the place of what systemctl said of its process.
fn look_at_himds(host: &Host, part: &mut Part) {
    let said = part.text().unwrap_or_default().trim();
    let pid = said.strip_prefix("MainPID=").filter(|pid| *pid != "0");
    part.content = match pid.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(pid) => {
            let from = format!("/proc/{pid}/environ");
            let content = read(host, &from);
            part.from = from;
            content
        }
        None => Content::Missing("himdsd.service does not run, or systemd does not say so".to_owned()),
    };
}

impl Collected {
    /// How long it took so far.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Adds what was made of other things, before everything else.
    pub fn add(&mut self, mut parts: Vec<Part>) {
        parts.append(&mut self.parts);
        self.parts = parts;
    }

    /// The parts without secrets and within the limits.
    pub fn parts(&mut self, mask: &SharedMask) -> Vec<Part> {
        let mut parts = std::mem::take(&mut self.parts);
        // Twice, since a secret that one text gives away may stand alone in any other.
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
                part.content = Content::Missing("the bundle is as large as it may be".to_owned());
                continue;
            }
            // Equal names are told apart.
            while names.contains(&part.name) {
                part.name.push('_');
            }
            names.push(part.name.clone());
        }
        // What is missing only because another entry of that name was had is not missed.
        parts.retain(|part| part.text().is_some() || !names.contains(&part.name));
        parts
    }
}

/// The files of one row of the table; a folder gives several parts. A command has yet to be run.
fn take_files(host: &Host, name: &str, from: &str, parts: &mut Vec<Part>) {
    let Some((folder, suffix)) = from.split_once('*') else {
        return parts.push(match from.starts_with('/') {
            true => read_timed(host, name, from),
            false => Part::new(name, from, Content::Missing(String::new())),
        });
    };
    let why = match host.files.regular_files(folder, suffix) {
        Ok(names) => {
            for (index, file) in names.iter().enumerate() {
                let (name, from) = (format!("{name}{}", plain(file)), format!("{folder}{file}"));
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

/// A name as every system takes it, short enough for the archive.
fn plain(name: &str) -> String {
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

/// A file's content. What the kernel tells is not below the root.
pub(super) fn read(host: &Host, from: &str) -> Content {
    match from.starts_with("/proc/") || from.starts_with("/sys/") {
        true => read_file(Path::new(from)),
        false => read_file(&host.files.path(from)),
    }
}

/// The content of the file of this real path.
pub fn read_file(path: &Path) -> Content {
    let mut end = match read_end(path, (LARGEST_ENTRY + MARGIN) as u64) {
        Ok(Some(end)) => end,
        Ok(None) => return Content::Missing("it is not there".to_owned()),
        Err(error) => return Content::Missing(reason(&error)),
    };
    // A process's environment has zeros between its lines; anything else with zeros is no text, and what is packed
    // cannot be looked through for secrets.
    let is_binary = end.bytes.contains(&0) || end.bytes.starts_with(&[0x1f, 0x8b]);
    if is_binary && !path.as_os_str().as_bytes().ends_with(b"/environ") {
        return Content::Missing("it is no text".to_owned());
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

/// A command's words, both outputs in the order they came, up to its end or its limit.
async fn run(host: &Host, part: &mut Part) {
    let started = Instant::now();
    let words: Vec<&str> = part.from.split_whitespace().collect();
    let Some((program, args)) = words.split_first() else { return };
    let (mut text, mut is_cut) = (String::new(), false);
    let mut listen = |line: &str| {
        text.push_str(line);
        text.push('\n');
        // Not line by line, which would move the whole of it each time.
        if text.len() > 2 * LARGEST_ENTRY {
            is_cut |= keep_end(&mut text, LARGEST_ENTRY + MARGIN);
        }
        true
    };
    let result =
        host.commands.run(Program { watch: Some(&mut listen), ..Program::new(program, args, LIMIT) }).await;
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
        Some(status) if text.is_empty() => Content::Missing(format!("{status}, without a word")),
        status => Content::Text(text, status, is_cut),
    };
}

/// Drops the line that was cut at the front, or of a very long one as much as any secret takes.
fn drop_first_line(text: &mut String) {
    let end = text.bytes().take(MARGIN).position(|byte| byte == b'\n').map_or(MARGIN, |at| at + 1);
    let end = (end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text.drain(..end);
}

/// Keeps whole lines at the end of a text, at most so many bytes; whether anything went.
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
    fn whole_lines_are_kept_at_the_end() {
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
    fn the_first_line_goes_with_whatever_was_cut() {
        let mut text = "rest of a secret\nwhole\n".to_owned();
        drop_first_line(&mut text);
        assert_eq!(text, "whole\n");
        let mut text = "x".repeat(MARGIN + 5);
        drop_first_line(&mut text);
        assert_eq!(text, "xxxxx");
    }

    #[test]
    fn limits_hold_and_what_comes_first_has_the_room() {
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
    fn equal_names_are_told_apart_and_the_other_distribution_is_not_missed() {
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
    fn json_stays_json_whatever_the_password_is() {
        let value = serde_json::json!({"port": 3128, "url": "http://u:3128@h:80", "list": ["x 3128"]});
        let parts = packed(vec![part("j", Content::Json(value))]);
        let back: Value = serde_json::from_str(parts[0].text().unwrap()).unwrap();
        assert_eq!(back, serde_json::json!({"port": 3128, "url": "http://***@h:80", "list": ["x ***"]}));
    }

    #[test]
    fn names_of_files_are_made_plain() {
        assert_eq!(plain("gc agent/ü.log"), "gc_agent__.log");
        assert_eq!(plain(&"n".repeat(300)).len(), 50);
    }
}
