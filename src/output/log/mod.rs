//! The log: one redacted JSON object per line, each written atomically.
//!
//! Under cloud-init, standard output is the log file, and lines are written to it only. On a manual run, they are
//! appended to the file, and the terminal shows [`crate::output::progress`].
//!
//! A custom layer is used because that of tracing-subscriber neither redacts values nor limits the length of a line.

mod destination;

pub use destination::{detect_destination, Destination};

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use crate::host::SharedMask;

/// Longest line, in bytes: writes to a pipe are atomic up to this length (PIPE_BUF, pipe(7)).
const LONGEST_LINE: usize = 4096;

/// A field value that is logged as JSON null, because tracing omits absent values.
pub const NULL: &str = "\0";

/// The target of the last line of a run, which is written at every log level.
pub const LAST_LINE: &str = "arc_enroll::last_line";

/// Events that announce a change to the VM.
const CHANGES: [&str; 2] = ["file.started", "repair.started"];

/// Longest text of one field, in characters.
const LONGEST_TEXT: usize = 1200;

/// The destinations of log lines.
pub struct Sink {
    file: Option<std::fs::File>,
    stdout: bool,
    /// In quiet mode, the buffered lines, written once there is news.
    held: Option<Vec<u8>>,
}

/// Size limit of the buffer in quiet mode, in bytes.
const MOST_HELD: usize = 256 << 10;

/// The importance of a line in quiet mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// Nothing is wrong or changed.
    Routine,
    /// A warning, an error or a change.
    News,
    /// The last line of a run.
    LastLine,
}

impl Sink {
    /// Standard output only.
    pub fn stdout() -> Self {
        Self { file: None, stdout: true, held: None }
    }

    /// A file opened for appending.
    pub fn file(file: std::fs::File) -> Self {
        Self { file: Some(file), stdout: false, held: None }
    }

    /// No destination, for a log that cannot be written.
    pub fn nowhere() -> Self {
        Self { file: None, stdout: false, held: None }
    }

    /// Adds standard output.
    pub fn and_stdout(self) -> Self {
        Self { stdout: true, ..self }
    }

    /// Quiet mode: of a run without news only the last line is written, so that the timer's runs do not fill the disk.
    pub fn quiet(self) -> Self {
        Self { held: Some(Vec::new()), ..self }
    }

    fn accept(&mut self, line: &[u8], weight: Weight) {
        match (&mut self.held, weight) {
            (Some(held), Weight::Routine) if held.len() < MOST_HELD => held.extend_from_slice(line),
            (_, Weight::LastLine) | (None, _) => self.write(line),
            (Some(_), _) => {
                let held = self.held.take().unwrap_or_default();
                held.split_inclusive(|byte| *byte == b'\n').for_each(|line| self.write(line));
                self.write(line);
            }
        }
    }

    fn write(&mut self, line: &[u8]) {
        // A failure to write the log does not stop the run.
        if let Some(file) = &mut self.file {
            let _lost = file.write_all(line);
        }
        if self.stdout {
            let _lost = std::io::stdout().lock().write_all(line);
        }
    }
}

/// Starts logging for this process.
pub fn start(run_id: &str, level: Level, sink: Sink, mask: SharedMask) {
    let layer = JsonLines { run_id: run_id.to_owned(), level, mask, sink: Mutex::new(sink) };
    // It fails only on a second call in a process.
    let _first = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}

struct JsonLines {
    run_id: String,
    level: Level,
    mask: SharedMask,
    sink: Mutex<Sink>,
}

/// The condition of a span, stored in its extensions.
struct InCondition(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // Events of libraries have no stable ids.
        let is_wanted = *metadata.level() <= self.level || metadata.target() == LAST_LINE;
        is_wanted && metadata.target().starts_with("arc_enroll")
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(span), Some(condition)) = (context.span(id), fields.take("condition")) {
            span.extensions_mut().insert(InCondition(condition.as_str().unwrap_or_default().to_owned()));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let condition = context.event_scope(event).and_then(|mut scope| {
            scope.find_map(|span| span.extensions().get::<InCondition>().map(|found| found.0.clone()))
        });
        let level = *event.metadata().level();
        let has = |wanted: &str, is: &dyn Fn(&str) -> bool| {
            fields.0.iter().any(|(name, value)| *name == wanted && value.as_str().is_some_and(is))
        };
        // Every run writes the record; any other write is a change.
        let is_record = has("path", &|path| path.ends_with(crate::output::record::PATH));
        let changes = has("event", &|event| CHANGES.contains(&event)) && !is_record;
        let weight = match event.metadata().target() {
            _ if level <= Level::WARN || changes => Weight::News,
            LAST_LINE => Weight::LastLine,
            _ => Weight::Routine,
        };
        let line = self.line(level, condition, fields);
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).accept(line.as_bytes(), weight);
    }
}

impl JsonLines {
    /// Renders a line: the fixed members in the documented order, then those of the event that fit.
    fn line(&self, level: Level, condition: Option<String>, mut fields: Fields) -> String {
        let level = level.to_string().to_ascii_lowercase();
        let own = |name: &str, fields: &mut Fields| fields.take(name).unwrap_or(Value::Null);
        let condition = condition.map_or_else(|| own("condition", &mut fields), Value::String);
        let event = own("event", &mut fields);
        let message = own("message", &mut fields);
        let fixed = [
            ("timestamp", Value::String(humantime::format_rfc3339_millis(SystemTime::now()).to_string())),
            ("level", Value::String(level)),
            ("run_id", Value::String(self.run_id.clone())),
            ("condition", condition),
            ("event", event),
            ("message", message),
        ];
        let mut line = String::from("{");
        for (name, value) in fixed.into_iter().chain(fields.0) {
            let member = format!("{}:{}", Value::String(name.to_owned()), self.redacted(value));
            let separator = usize::from(line.len() > 1);
            if line.len() + member.len() + separator + 2 > LONGEST_LINE {
                continue;
            }
            if separator == 1 {
                line.push(',');
            }
            line.push_str(&member);
        }
        line.push_str("}\n");
        line
    }

    fn redacted(&self, value: Value) -> Value {
        match value {
            Value::String(text) => {
                let mut text = self.mask.apply(&text);
                if let Some((at, _)) = text.char_indices().nth(LONGEST_TEXT) {
                    text.truncate(at);
                    text.push('…');
                }
                Value::String(text)
            }
            other => other,
        }
    }
}

/// The fields of an event, in order.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(field, _)| *field == name)?;
        Some(self.0.remove(at).1)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _infallible = write!(text, "{value:?}");
        self.0.push((field.name(), Value::String(text)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let value = if value == NULL { Value::Null } else { Value::String(value.to_owned()) };
        self.0.push((field.name(), value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.0.push((field.name(), u64::try_from(value).unwrap_or(u64::MAX).into()));
    }

    // No field is a fraction; the default would link the conversions of floating point to text.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), value.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn layer() -> JsonLines {
        let mask = SharedMask::default();
        mask.learn(&Secret::new("opaque-secret"));
        JsonLines { run_id: "r".into(), level: Level::INFO, mask, sink: Mutex::new(Sink::nowhere()) }
    }

    #[test]
    fn members_are_in_the_documented_order() {
        let fields = Fields(vec![("message", "hello".into()), ("n", 3.into()), ("event", "a.b".into())]);
        let line = layer().line(Level::WARN, Some("imds".into()), fields);
        let rest = line.split_once("\"level\"").unwrap().1;
        assert_eq!(
            rest,
            ":\"warn\",\"run_id\":\"r\",\"condition\":\"imds\",\"event\":\"a.b\",\"message\":\"hello\",\"n\":3}\n"
        );
    }

    #[test]
    fn a_line_with_long_fields_is_limited_valid_and_redacted() {
        let long = format!("opaque-secret {}", "ä\"".repeat(9000));
        let fields = Fields(vec![
            ("message", long.clone().into()),
            ("a", long.clone().into()),
            ("b", long.clone().into()),
            ("c", long.into()),
            ("z", "end".into()),
        ]);
        let line = layer().line(Level::INFO, None, fields);
        assert!(line.len() <= LONGEST_LINE, "{}", line.len());
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(value["message"].as_str().unwrap().starts_with("*** ä"));
        assert_eq!(value["z"], "end");
        assert!(!line.contains("opaque-secret"));
    }

    #[test]
    fn a_quiet_log_writes_all_lines_once_there_is_news() {
        let logged = |lines: &[(&str, Weight)]| {
            let mut file = tempfile::tempfile().unwrap();
            let mut sink = Sink::file(file.try_clone().unwrap()).quiet();
            lines.iter().for_each(|(line, weight)| sink.accept(format!("{line}\n").as_bytes(), *weight));
            let mut text = String::new();
            std::io::Seek::rewind(&mut file).unwrap();
            std::io::Read::read_to_string(&mut file, &mut text).unwrap();
            text
        };
        let (routine, news, last) = (Weight::Routine, Weight::News, Weight::LastLine);
        assert_eq!(logged(&[("a", routine), ("b", routine), ("end", last)]), "end\n");
        let lines = [("a", routine), ("b", news), ("c", routine), ("end", last)];
        assert_eq!(logged(&lines), "a\nb\nc\nend\n");
    }
}
