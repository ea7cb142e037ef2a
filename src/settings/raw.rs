//! The configuration file as text: read strictly, with every fault placed at its line.

use std::fmt;

use serde_yaml::{Mapping, Value};

use super::locate::{self, PathStep};
use super::nearest::nearest;
use super::{tags, values::shown};
use crate::model::pairs::Pairs;
use crate::model::secret::Mask;

/// One fault of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is: `config.yaml:7: azure.location`, or `--location`.
    pub place: String,
    /// The key it is about: `azure.location`; empty when it is the whole file.
    pub key: String,
    /// The line of the file, counted from 1.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A fault of a flag or of the environment.
    pub fn elsewhere(place: &str, key: &str, message: &str) -> Self {
        let message = Mask::default().apply(message);
        Self { place: place.to_owned(), key: key.to_owned(), line: None, message }
    }

    /// A fault of the file.
    pub fn in_file(origin: &str, key: &str, line: Option<usize>, message: &str) -> Self {
        let mut place = origin.to_owned();
        if let Some(line) = line {
            place.push_str(&format!(":{line}"));
        }
        if !key.is_empty() {
            place.push_str(&format!(": {key}"));
        }
        Self { line, ..Self::elsewhere(&Mask::default().apply(&place), key, message) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All faults of a configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Puts the faults into the order of their lines, what has no line behind.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        Self(problems)
    }

    /// The faults.
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Makes a value of its text, or says what is wrong with it. A plain function, so that reading a key is compiled
/// once a type and not once a key.
pub type Check<T> = fn(&str) -> Result<T, String>;

/// What reading a key came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// The key is not there, or null.
    Absent,
    /// It is there and wrong; that has been noted.
    Wrong,
    /// It is there and right.
    Right(T),
}

impl<T> Found<T> {
    /// The value, if it is there and right.
    pub fn right(self) -> Option<T> {
        match self {
            Self::Right(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }
}

/// Every section and its keys.
const SCHEMA: [(&str, &[&str]); 8] = [
    (
        "azure",
        &[
            "subscription_id",
            "resource_group",
            "location",
            "tenant_id",
            "resource_name",
            "cloud",
            "tags",
            "private_link_scope",
            "gateway_id",
            "correlation_id",
        ],
    ),
    ("identity", &["resource_id", "client_id", "object_id"]),
    ("imds", &["endpoint", "resource"]),
    ("proxy", &["url", "no_proxy", "persist"]),
    ("agent", &["install", "version", "package", "repository_key", "token", "allow_azure_vm"]),
    ("wait", &["boot", "token", "access", "endpoint"]),
    ("repair", &["timer", "every", "recreate_expired"]),
    ("log", &["file", "level"]),
];

/// The keys of `agent.package`.
const PACKAGE: [&str; 3] = ["file", "url", "sha256"];

/// A configuration file and the faults found in it so far.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    origin: &'t str,
    root: Mapping,
    problems: Vec<Problem>,
}

impl<'t> Document<'t> {
    /// No file at all.
    pub fn absent(origin: &'t str) -> Self {
        Self { text: "", origin, root: Mapping::new(), problems: Vec::new() }
    }

    /// Parses the text and checks that every key is a known one.
    pub fn parse(text: &'t str, origin: &'t str) -> Result<Self, Problem> {
        let whole = |line, message: &str| Problem::in_file(origin, "", line, message);
        if let Some((key, line)) = locate::duplicate(text) {
            let message = format!("{} stands here a second time; keep one of the two", shown(&key));
            return Err(whole(Some(line), &message));
        }
        let root = match serde_yaml::from_str::<Value>(text) {
            Ok(Value::Mapping(root)) => root,
            Ok(Value::Null) => Mapping::new(),
            Ok(other) => {
                let message =
                    format!("holds {} where a mapping is needed, starting with azure:", kind(&other));
                return Err(whole(Some(1), &message));
            }
            Err(error) => {
                let line = error.location().map(|place| place.line());
                return Err(whole(line, &syntax_message(text, line, &error.to_string())));
            }
        };
        let mut document = Self { text, origin, root, problems: Vec::new() };
        document.check_keys();
        Ok(document)
    }

    /// Whether the file says nothing.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Notes a fault of a key.
    pub fn fault(&mut self, key: &str, message: &str) {
        self.fault_at(key, &steps(key), message);
    }

    fn fault_at(&mut self, key: &str, path: &[PathStep], message: &str) {
        let line = locate::line(self.text, path);
        self.problems.push(Problem::in_file(self.origin, key, line, message));
    }

    /// The faults noted so far.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The value of a key unless it is missing or null.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.raw(key).filter(|value| !value.is_null())
    }

    /// Whether a key stands there with the value null.
    pub fn is_null(&self, key: &str) -> bool {
        self.raw(key).is_some_and(Value::is_null)
    }

    fn raw(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let mut value = self.root.get(parts.next()?)?;
        for part in parts {
            value = value.as_mapping()?.get(part)?;
        }
        Some(value)
    }

    /// One value as it is written.
    pub fn text(&mut self, key: &str) -> Found<String> {
        match self.value(key) {
            None => Found::Absent,
            Some(value) => {
                let value = value.clone();
                self.scalar(key, &steps(key), &value, "one value is needed")
            }
        }
    }

    /// The text of a scalar; `right` says what is needed when it is none.
    fn scalar(&mut self, key: &str, path: &[PathStep], value: &Value, right: &str) -> Found<String> {
        match value {
            Value::String(text) => Found::Right(text.clone()),
            Value::Number(_) | Value::Bool(_) => match locate::written(self.text, path) {
                Some(text) => Found::Right(text),
                None => self.wrong(key, path, "put the value in quotes"),
            },
            other => {
                let message = format!("is {}; {right}", kind(other));
                self.wrong(key, path, &message)
            }
        }
    }

    fn wrong<T>(&mut self, key: &str, path: &[PathStep], message: &str) -> Found<T> {
        self.fault_at(key, path, message);
        Found::Wrong
    }

    /// One value, checked.
    pub fn parsed<T>(&mut self, key: &str, check: Check<T>) -> Found<T> {
        match self.text(key) {
            Found::Right(text) => match check(&text) {
                Ok(value) => Found::Right(value),
                Err(message) => self.wrong(key, &steps(key), &message),
            },
            Found::Absent => Found::Absent,
            Found::Wrong => Found::Wrong,
        }
    }

    /// A yes or no, or the default.
    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
        let message = match self.value(key) {
            None => return default,
            Some(Value::Bool(value)) => return *value,
            Some(Value::String(text)) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => format!("{} is text; write true", shown(text)),
                "false" | "no" | "off" | "n" => format!("{} is text; write false", shown(text)),
                _ => format!("{} is text; write true or false", shown(text)),
            },
            Some(other) => format!("is {}; write true or false", kind(other)),
        };
        self.fault(key, &message);
        default
    }

    /// A list of checked values; what is wrong in it is noted and left out.
    pub fn list(&mut self, key: &str, check: Check<String>) -> Option<Vec<String>> {
        let entries = match self.value(key)? {
            Value::Sequence(entries) => entries.clone(),
            other => {
                let message = format!("is {}; write a list: [one, two]", kind(other));
                self.fault(key, &message);
                return None;
            }
        };
        let mut right = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let mut path = steps(key);
            path.push(PathStep::Entry(index));
            let place = format!("{key}[{index}]");
            if let Found::Right(text) =
                self.scalar(&place, &path, entry, "one value is needed, in quotes if it holds a colon")
            {
                match check(&text) {
                    Ok(value) => right.push(value),
                    Err(message) => self.fault_at(&place, &path, &message),
                }
            }
        }
        Some(right)
    }

    /// The tags of the file.
    pub fn tags(&mut self, key: &str) -> Option<Pairs> {
        let entries = match self.value(key)? {
            Value::Mapping(entries) => entries.clone(),
            other => {
                let message = format!("is {}; write a mapping: {{name: value}}", kind(other));
                self.fault(key, &message);
                return None;
            }
        };
        let mut tags = Pairs::default();
        for (name, value) in &entries {
            let Value::String(name) = name else {
                self.fault(key, &format!("a tag name is {}; put it in quotes", kind(name)));
                continue;
            };
            let mut path = steps(key);
            path.push(PathStep::Key(name.clone()));
            let place = format!("{key}.{name}");
            let right = "one value is needed, \"\" for an empty one";
            if let Found::Right(text) = self.scalar(&place, &path, value, right) {
                match tags::check(name, &text) {
                    Ok(()) => tags.set(name.clone(), text),
                    Err(message) => self.fault_at(&place, &path, &message),
                }
            }
        }
        if let Err(message) = tags::check_all(&tags) {
            self.fault(key, &message);
        }
        Some(tags)
    }

    fn check_keys(&mut self) {
        let sections = SCHEMA.map(|(section, _)| section);
        let root = std::mem::take(&mut self.root);
        self.check_mapping("", &root, &sections);
        for (section, keys) in SCHEMA {
            match root.get(section) {
                Some(Value::Mapping(mapping)) => self.check_mapping(section, mapping, keys),
                None | Some(Value::Null) => {}
                Some(_) if section == "identity" => {}
                Some(other) => {
                    let message =
                        format!("is {}; a mapping is needed, with {}", kind(other), keys.join(", "));
                    self.fault(section, &message);
                }
            }
        }
        if let Some(Value::Mapping(package)) = root.get("agent").and_then(|agent| agent.get("package")) {
            self.check_mapping("agent.package", package, &PACKAGE);
        }
        self.root = root;
    }

    fn check_mapping(&mut self, place: &str, mapping: &Mapping, known: &[&'static str]) {
        for key in mapping.keys() {
            match key {
                Value::String(key) if known.contains(&key.as_str()) => {}
                Value::String(key) => {
                    let mut path = steps(place);
                    path.push(PathStep::Key(key.clone()));
                    let whole = path_text(place, key);
                    self.fault_at(&whole, &path, &unknown_key(place, key, known));
                }
                other => self
                    .fault(place, &format!("a key is {}; known keys are {}", kind(other), known.join(", "))),
            }
        }
    }
}

/// One of several words, or which is meant.
pub fn one_of<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, String> {
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => Err(none_of(text, &words.iter().map(|(word, _)| *word).collect::<Vec<_>>())),
    }
}

fn none_of(text: &str, words: &[&'static str]) -> String {
    let hint = nearest(text, words).map(|word| format!("; did you mean {word}?")).unwrap_or_default();
    format!("{} is none of {}{hint}", shown(text), words.join(", "))
}

fn unknown_key(place: &str, key: &str, known: &[&'static str]) -> String {
    if let Some(meant) = nearest(key, known) {
        return format!("unknown key; did you mean {}?", path_text(place, meant));
    }
    let sections = SCHEMA.map(|(section, _)| section);
    let mut all = SCHEMA.to_vec();
    all.extend([("agent.package", &PACKAGE[..]), ("", &sections)]);
    let words: Vec<&'static str> = all.iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
    let Some(meant) = nearest(key, &words) else {
        return format!("unknown key; known here are {}", known.join(", "));
    };
    all.retain(|(_, keys)| keys.contains(&meant));
    let places: Vec<String> = all.iter().map(|(place, _)| path_text(place, meant)).collect();
    format!("unknown key here; did you mean {}?", places.join(" or "))
}

fn path_text(place: &str, key: &str) -> String {
    match place {
        "" => key.to_owned(),
        _ => format!("{place}.{key}"),
    }
}

/// The steps to a key of the schema, none of which holds a dot.
fn steps(key: &str) -> Vec<PathStep> {
    key.split('.').filter(|part| !part.is_empty()).map(|part| PathStep::Key(part.to_owned())).collect()
}

/// What a value is, for messages; never the value itself, which may be secret.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a value with a YAML tag (!)",
    }
}

/// Says what keeps the text from being YAML, and names tabs, which are the usual cause.
fn syntax_message(text: &str, line: Option<usize>, error: &str) -> String {
    let near = line.unwrap_or(usize::MAX);
    let tab = text.lines().take(near).position(|line| {
        let indent = line.len() - line.trim_start().len();
        line.get(..indent).is_some_and(|indent| indent.contains('\t'))
    });
    match tab {
        Some(index) => format!("is not YAML: line {} is indented with a tab; use spaces", index + 1),
        None => format!("is not YAML: {error}"),
    }
}
