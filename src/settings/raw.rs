//! The configuration file before validation: parsed strictly, each problem with its line.

use std::fmt;

use super::nearest::nearest;
use super::node::{Node, Scalar, Value};
use super::yaml::{self, YamlError};
use super::{tags, values::excerpt};
use crate::model::pairs::Pairs;
use crate::model::secret::Mask;

/// One problem of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its location: `config.yaml:7: azure.location`, or `--location`.
    pub place: String,
    /// Its key: `azure.location`; empty when it concerns the file as such.
    pub key: String,
    /// The line of the file, counted from 1.
    pub line: Option<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Problem {
    /// A problem of a flag or of an environment variable.
    pub fn outside_file(place: &str, key: &str, message: &str) -> Self {
        let message = Mask::default().apply(message);
        Self { place: place.to_owned(), key: key.to_owned(), line: None, message }
    }

    /// A problem of the file.
    pub fn in_file(origin: &str, key: &str, line: Option<usize>, message: &str) -> Self {
        let mut place = origin.to_owned();
        if let Some(line) = line {
            place.push_str(&format!(":{line}"));
        }
        if !key.is_empty() {
            place.push_str(&format!(": {key}"));
        }
        Self { line, ..Self::outside_file(&Mask::default().apply(&place), key, message) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All problems of a configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts the problems by line; those without a line come last.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        Self(problems)
    }

    /// The problems in order.
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

/// Parses a value, or returns an error message. It is a function pointer, so that the code is generated once per type
/// and not once per key.
pub type Check<T> = fn(&str) -> Result<T, String>;

/// The result of reading a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// The key is missing or null.
    Absent,
    /// The value is invalid, and a problem was reported.
    Invalid,
    /// The value is valid.
    Valid(T),
}

impl<T> Found<T> {
    /// The value, if it is valid.
    pub fn valid(self) -> Option<T> {
        match self {
            Self::Valid(value) => Some(value),
            Self::Absent | Self::Invalid => None,
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
const PACKAGE_KEYS: [&str; 3] = ["file", "url", "sha256"];

/// A configuration file and the problems found in it so far.
#[derive(Debug)]
pub struct Document<'t> {
    origin: &'t str,
    root: Node,
    problems: Vec<Problem>,
}

impl<'t> Document<'t> {
    /// An empty document, for a run without a file.
    pub fn absent(origin: &'t str) -> Self {
        Self { origin, root: Node { line: 1, value: Value::Null }, problems: Vec::new() }
    }

    /// Parses the text and checks that every key is known.
    ///
    /// # Errors
    /// When the text is not a YAML mapping or holds a duplicate key. Unknown keys are reported later, by
    /// [`Document::into_problems`].
    pub fn parse(text: &str, origin: &'t str) -> Result<Self, Problem> {
        let problem = |line, message: &str| Problem::in_file(origin, "", line, message);
        let root = yaml::parse(text).map_err(|error| match error {
            YamlError::Refused { line, message } => problem(line, &message),
            YamlError::Syntax { line, message } => problem(line, &syntax_message(text, line, &message)),
        })?;
        if !matches!(root.value, Value::Mapping(_) | Value::Null) {
            let found = describe_type(&root);
            let message = format!("holds {found} where a mapping is needed, starting with azure:");
            return Err(problem(Some(1), &message));
        }
        let mut document = Self { origin, root, problems: Vec::new() };
        document.check_keys();
        Ok(document)
    }

    /// Whether the file holds no key.
    pub fn is_empty(&self) -> bool {
        self.root.entries().is_empty()
    }

    /// Reports a problem of a key.
    pub fn report(&mut self, key: &str, message: &str) {
        let (line, _) = self.find(key);
        self.report_at(key, line, message);
    }

    fn report_at(&mut self, key: &str, line: Option<usize>, message: &str) {
        self.problems.push(Problem::in_file(self.origin, key, line, message));
    }

    /// The problems reported so far.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The value of a key unless it is missing or null.
    pub fn value(&self, key: &str) -> Option<&Node> {
        self.find(key).1.filter(|node| !matches!(node.value, Value::Null))
    }

    /// Whether a key exists with the value null.
    pub fn is_null(&self, key: &str) -> bool {
        self.find(key).1.is_some_and(|node| matches!(node.value, Value::Null))
    }

    /// The line and the value of a key; when it is missing, the line of the key that it should be below.
    fn find(&self, key: &str) -> (Option<usize>, Option<&Node>) {
        let (mut line, mut node) = (None, &self.root);
        // The names in the schema hold no dots.
        for part in key.split('.') {
            let Some((key, value)) = node.get(part) else { return (line, None) };
            (line, node) = (Some(key.line), value);
        }
        (line, Some(node))
    }

    /// A value, parsed with `check`.
    pub fn parsed<T>(&mut self, key: &str, check: Check<T>) -> Found<T> {
        let mut valid = None;
        let has_value = self.check(key, &mut |text| check(text).map(|value| valid = Some(value)));
        match valid {
            Some(value) => Found::Valid(value),
            None if has_value => Found::Invalid,
            None => Found::Absent,
        }
    }

    /// Checks the source text of a scalar, and reports what is wrong; whether the key has a value. Not generic, since
    /// the settings have many types.
    fn check(&mut self, key: &str, check: &mut dyn FnMut(&str) -> Result<(), String>) -> bool {
        let Some(node) = self.value(key) else { return false };
        if let Err(message) = scalar(node, "one value is needed").and_then(|text| check(&text)) {
            self.report(key, &message);
        }
        true
    }

    /// A boolean, or the default.
    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
        let message = match self.value(key) {
            None => return default,
            Some(Node { value: Value::Scalar(Scalar::Bool(value), _), .. }) => return *value,
            Some(Node { value: Value::Scalar(Scalar::Text, text), .. }) => {
                let meant = match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" | "y" => "true",
                    "false" | "no" | "off" | "n" => "false",
                    _ => "true or false",
                };
                format!("{} is text; write {meant}", excerpt(text))
            }
            Some(other) => format!("is {}; write true or false", describe_type(other)),
        };
        self.report(key, &message);
        default
    }

    /// A list of values, parsed with `check`; invalid entries are reported and left out.
    pub fn list(&mut self, key: &str, check: Check<String>) -> Option<Vec<String>> {
        let entries = match self.value(key)? {
            Node { value: Value::List(entries), .. } => entries.clone(),
            other => {
                let message = format!("is {}; write a list: [one, two]", describe_type(other));
                self.report(key, &message);
                return None;
            }
        };
        let mut valid = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let text = scalar(entry, "one value is needed, in quotes if it holds a colon");
            match text.and_then(|text| check(&text)) {
                Ok(value) => valid.push(value),
                Err(message) => self.report_at(&format!("{key}[{index}]"), Some(entry.line), &message),
            }
        }
        Some(valid)
    }

    /// A mapping of tags; invalid ones are reported and left out.
    pub fn tags(&mut self, key: &str) -> Option<Pairs> {
        let entries = match self.value(key)? {
            Node { value: Value::Mapping(entries), .. } => entries.clone(),
            other => {
                let message = format!("is {}; write a mapping: {{name: value}}", describe_type(other));
                self.report(key, &message);
                return None;
            }
        };
        let mut tags = Pairs::default();
        for (name, value) in &entries {
            let line = Some(name.line);
            let Some(name) = name.as_text() else {
                let message = format!("a tag name is {}; put it in quotes", describe_type(name));
                self.report_at(key, line, &message);
                continue;
            };
            let text = scalar(value, "one value is needed, \"\" for an empty one");
            match text.and_then(|text| tags::check(name, &text).map(|()| text)) {
                Ok(text) => tags.set(name.to_owned(), text),
                Err(message) => self.report_at(&path_text(key, name), line, &message),
            }
        }
        if let Err(message) = tags::check_all(&tags) {
            self.report(key, &message);
        }
        Some(tags)
    }

    fn check_keys(&mut self) {
        let sections = SCHEMA.map(|(section, _)| section);
        let root = std::mem::replace(&mut self.root, Node { line: 1, value: Value::Null });
        self.check_mapping("", None, &root, &sections);
        for (section, keys) in SCHEMA {
            let Some((key, node)) = root.get(section) else { continue };
            match node.value {
                Value::Mapping(_) => self.check_mapping(section, Some(key.line), node, keys),
                Value::Null => {}
                _ if section == "identity" => {}
                _ => {
                    let message =
                        format!("is {}; a mapping is needed, with {}", describe_type(node), keys.join(", "));
                    self.report_at(section, Some(key.line), &message);
                }
            }
        }
        if let Some((key, package)) = root.get("agent").and_then(|(_, agent)| agent.get("package")) {
            self.check_mapping("agent.package", Some(key.line), package, &PACKAGE_KEYS);
        }
        self.root = root;
    }

    /// Reports the keys of a mapping at `place` that are not known there; `line` is that of the mapping's own key.
    fn check_mapping(&mut self, place: &str, line: Option<usize>, mapping: &Node, known: &[&'static str]) {
        for (key, _) in mapping.entries() {
            match key.as_text() {
                Some(text) if known.contains(&text) => {}
                Some(text) => {
                    let message = describe_unknown_key(place, text, known);
                    self.report_at(&path_text(place, text), Some(key.line), &message);
                }
                None => {
                    let message =
                        format!("a key is {}; known keys are {}", describe_type(key), known.join(", "));
                    self.report_at(place, line, &message);
                }
            }
        }
    }
}

/// The source text of a scalar; `expected` completes the message when the value is none.
fn scalar(node: &Node, expected: &str) -> Result<String, String> {
    match &node.value {
        Value::Scalar(_, text) => Ok(text.clone()),
        _ => Err(format!("is {}; {expected}", describe_type(node))),
    }
}

/// Parses one of several words.
///
/// # Errors
/// The allowed words, with the nearest one as a suggestion.
pub fn parse_one_of<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, String> {
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => Err(describe_unknown_word(text, &words.iter().map(|(word, _)| *word).collect::<Vec<_>>())),
    }
}

fn describe_unknown_word(text: &str, words: &[&'static str]) -> String {
    let hint = nearest(text, words).map(|word| format!("; did you mean {word}?")).unwrap_or_default();
    format!("{} is none of {}{hint}", excerpt(text), words.join(", "))
}

fn describe_unknown_key(place: &str, key: &str, known: &[&'static str]) -> String {
    if let Some(meant) = nearest(key, known) {
        return format!("unknown key; did you mean {}?", path_text(place, meant));
    }
    let sections = SCHEMA.map(|(section, _)| section);
    let mut all = SCHEMA.to_vec();
    all.extend([("agent.package", &PACKAGE_KEYS[..]), ("", &sections)]);
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

/// The type of a value, for messages; not the value itself, which may be secret.
fn describe_type(node: &Node) -> &'static str {
    match node.value {
        Value::Null => "nothing",
        Value::Scalar(Scalar::Bool(_), _) => "true or false",
        Value::Scalar(Scalar::Number, _) => "a number",
        Value::Scalar(Scalar::Text, _) => "text",
        Value::List(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged => "a value with a YAML tag (!)",
    }
}

/// The message for a YAML syntax error; it names tabs, which are the most frequent cause.
fn syntax_message(text: &str, line: Option<usize>, error: &str) -> String {
    let tab = text.lines().take(line.unwrap_or(usize::MAX)).position(|line| {
        let indent = line.len() - line.trim_start().len();
        line.get(..indent).is_some_and(|indent| indent.contains('\t'))
    });
    match tab {
        Some(index) => format!("is not YAML: line {} is indented with a tab; use spaces", index + 1),
        None => format!("is not YAML: {error}"),
    }
}
