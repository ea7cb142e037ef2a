//! The configuration file before validation: parsed strictly, each problem with its line.

use std::fmt;

use serde_yaml::{Mapping, Value};

use super::locate::{self, PathStep};
use super::nearest::nearest;
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
    text: &'t str,
    origin: &'t str,
    root: Mapping,
    problems: Vec<Problem>,
}

impl<'t> Document<'t> {
    /// An empty document, for a run without a file.
    pub fn absent(origin: &'t str) -> Self {
        Self { text: "", origin, root: Mapping::new(), problems: Vec::new() }
    }

    /// Parses the text and checks that every key is known.
    ///
    /// # Errors
    /// When the text is not a YAML mapping or holds a duplicate key. Unknown keys are reported later, by
    /// [`Document::into_problems`].
    pub fn parse(text: &'t str, origin: &'t str) -> Result<Self, Problem> {
        let problem = |line, message: &str| Problem::in_file(origin, "", line, message);
        if let Some((key, line)) = locate::find_duplicate_key(text) {
            let message = format!("{} is here a second time; keep one of the two", excerpt(&key));
            return Err(problem(Some(line), &message));
        }
        let root = match serde_yaml::from_str::<Value>(text) {
            Ok(Value::Mapping(root)) => root,
            Ok(Value::Null) => Mapping::new(),
            Ok(other) => {
                let message = format!(
                    "holds {} where a mapping is needed, starting with azure:",
                    describe_type(&other)
                );
                return Err(problem(Some(1), &message));
            }
            Err(error) => {
                let line = error.location().map(|place| place.line());
                return Err(problem(line, &syntax_message(text, line, &error.to_string())));
            }
        };
        let mut document = Self { text, origin, root, problems: Vec::new() };
        document.check_keys();
        Ok(document)
    }

    /// Whether the file holds no key.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Reports a problem of a key.
    pub fn report(&mut self, key: &str, message: &str) {
        self.report_at(key, &steps(key), message);
    }

    fn report_at(&mut self, key: &str, path: &[PathStep], message: &str) {
        let line = locate::find_line(self.text, path);
        self.problems.push(Problem::in_file(self.origin, key, line, message));
    }

    /// The problems reported so far.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The value of a key unless it is missing or null.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.raw(key).filter(|value| !value.is_null())
    }

    /// Whether a key exists with the value null.
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

    /// The source text of a scalar value.
    pub fn text(&mut self, key: &str) -> Found<String> {
        match self.value(key) {
            None => Found::Absent,
            Some(value) => {
                let value = value.clone();
                self.scalar(key, &steps(key), &value, "one value is needed")
            }
        }
    }

    /// The source text of a scalar; `expected` completes the message when the value is not a scalar.
    fn scalar(&mut self, key: &str, path: &[PathStep], value: &Value, expected: &str) -> Found<String> {
        match value {
            Value::String(text) => Found::Valid(text.clone()),
            Value::Number(_) | Value::Bool(_) => match locate::find_scalar_text(self.text, path) {
                Some(text) => Found::Valid(text),
                None => self.invalid(key, path, "put the value in quotes"),
            },
            other => {
                let message = format!("is {}; {expected}", describe_type(other));
                self.invalid(key, path, &message)
            }
        }
    }

    fn invalid<T>(&mut self, key: &str, path: &[PathStep], message: &str) -> Found<T> {
        self.report_at(key, path, message);
        Found::Invalid
    }

    /// A value, parsed with `check`.
    pub fn parsed<T>(&mut self, key: &str, check: Check<T>) -> Found<T> {
        match self.text(key) {
            Found::Valid(text) => match check(&text) {
                Ok(value) => Found::Valid(value),
                Err(message) => self.invalid(key, &steps(key), &message),
            },
            Found::Absent => Found::Absent,
            Found::Invalid => Found::Invalid,
        }
    }

    /// A boolean, or the default.
    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
        let message = match self.value(key) {
            None => return default,
            Some(Value::Bool(value)) => return *value,
            Some(Value::String(text)) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => format!("{} is text; write true", excerpt(text)),
                "false" | "no" | "off" | "n" => format!("{} is text; write false", excerpt(text)),
                _ => format!("{} is text; write true or false", excerpt(text)),
            },
            Some(other) => format!("is {}; write true or false", describe_type(other)),
        };
        self.report(key, &message);
        default
    }

    /// A list of values, parsed with `check`; invalid entries are reported and left out.
    pub fn list(&mut self, key: &str, check: Check<String>) -> Option<Vec<String>> {
        let entries = match self.value(key)? {
            Value::Sequence(entries) => entries.clone(),
            other => {
                let message = format!("is {}; write a list: [one, two]", describe_type(other));
                self.report(key, &message);
                return None;
            }
        };
        let mut valid = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let mut path = steps(key);
            path.push(PathStep::Entry(index));
            let place = format!("{key}[{index}]");
            if let Found::Valid(text) =
                self.scalar(&place, &path, entry, "one value is needed, in quotes if it holds a colon")
            {
                match check(&text) {
                    Ok(value) => valid.push(value),
                    Err(message) => self.report_at(&place, &path, &message),
                }
            }
        }
        Some(valid)
    }

    /// A mapping of tags; invalid ones are reported and left out.
    pub fn tags(&mut self, key: &str) -> Option<Pairs> {
        let entries = match self.value(key)? {
            Value::Mapping(entries) => entries.clone(),
            other => {
                let message = format!("is {}; write a mapping: {{name: value}}", describe_type(other));
                self.report(key, &message);
                return None;
            }
        };
        let mut tags = Pairs::default();
        for (name, value) in &entries {
            let Value::String(name) = name else {
                self.report(key, &format!("a tag name is {}; put it in quotes", describe_type(name)));
                continue;
            };
            let mut path = steps(key);
            path.push(PathStep::Key(name.clone()));
            let place = format!("{key}.{name}");
            let expected = "one value is needed, \"\" for an empty one";
            if let Found::Valid(text) = self.scalar(&place, &path, value, expected) {
                match tags::check(name, &text) {
                    Ok(()) => tags.set(name.clone(), text),
                    Err(message) => self.report_at(&place, &path, &message),
                }
            }
        }
        if let Err(message) = tags::check_all(&tags) {
            self.report(key, &message);
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
                        format!("is {}; a mapping is needed, with {}", describe_type(other), keys.join(", "));
                    self.report(section, &message);
                }
            }
        }
        if let Some(Value::Mapping(package)) = root.get("agent").and_then(|agent| agent.get("package")) {
            self.check_mapping("agent.package", package, &PACKAGE_KEYS);
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
                    let full_key = path_text(place, key);
                    self.report_at(&full_key, &path, &describe_unknown_key(place, key, known));
                }
                other => self.report(
                    place,
                    &format!("a key is {}; known keys are {}", describe_type(other), known.join(", ")),
                ),
            }
        }
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

/// The path of a key of the schema; the names in the schema hold no dots.
fn steps(key: &str) -> Vec<PathStep> {
    key.split('.').filter(|part| !part.is_empty()).map(|part| PathStep::Key(part.to_owned())).collect()
}

/// The type of a value, for messages; not the value itself, which may be secret.
fn describe_type(value: &Value) -> &'static str {
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

/// The message for a YAML syntax error; it names tabs, which are the most frequent cause.
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
