//! The record of the last run, for `status` and the next run.
//!
//! serde's derive writes it. Reading is by hand: `derive(Deserialize)` was measured to add 15.8 KB to the binary
//! (11.6 KB in its smallest form), and the tests hold both ways to each other.

use serde::Serialize;
use serde_json::{json, Value};

use crate::host::files::{FileError, Files, Readable};
use crate::model::step::RenderedStep;

/// Path of the record, below `--root`.
pub const PATH: &str = "/var/lib/arc-enroll/status.json";

/// Version of the format.
pub const VERSION: u64 = 1;

/// A finished run. Unknown members of a later program are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// [`VERSION`]; a record of another version is not read.
    pub version: u64,
    /// Version of the program that wrote it.
    pub agent: String,
    /// Id of the run.
    pub run_id: String,
    /// Start time, RFC 3339.
    pub started: String,
    /// End time, RFC 3339.
    pub finished: String,
    /// `enrolled`, `waiting` or `failed`.
    pub outcome: String,
    /// Code of the fault that ended it.
    pub fault: Option<String>,
    /// Evidence of the fault.
    pub evidence: Option<String>,
    /// Exit code.
    pub exit_code: u8,
    /// The remediation, one step per entry.
    pub remedy: Vec<String>,
    /// The repairs of the run, in order.
    pub repairs: Vec<Repaired>,
    /// The next step, for the operator.
    pub next: String,
    /// Firmware id of the VM that enrolled; empty where it could not be read, `None` before enrolling.
    pub vm: Option<String>,
}

/// One repair and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Description of the repair.
    pub repair: String,
    /// Code of the fault that it repairs.
    pub fault: String,
    /// Evidence before the repair.
    pub before: String,
    /// Evidence after the repair.
    pub after: Option<String>,
    /// Whether the fault was gone afterwards; `None` where it was not observed again.
    pub helped: Option<bool>,
}

impl Repaired {
    /// Sets the result of the repair.
    pub fn set_result(&mut self, helped: bool, evidence: &str) {
        self.helped = Some(helped);
        self.after = Some(evidence.to_owned());
    }
}

impl Repaired {
    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            repair: text(value, "repair")?,
            fault: text(value, "fault")?,
            before: text(value, "before").unwrap_or_default(),
            after: text(value, "after"),
            helped: value.get("helped").and_then(Value::as_bool),
        })
    }
}

impl Record {
    /// Reads what serde writes; the name of a member that is missing.
    fn read(value: &Value) -> Result<Self, &'static str> {
        let text = |name| text(value, name).ok_or(name);
        let list =
            |name: &str| value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let exit_code = value.get("exit_code").and_then(Value::as_u64);
        Ok(Self {
            version: VERSION,
            agent: text("agent")?,
            run_id: text("run_id")?,
            started: text("started")?,
            finished: text("finished")?,
            outcome: text("outcome")?,
            fault: text("fault").ok(),
            evidence: text("evidence").ok(),
            exit_code: exit_code.and_then(|code| code.try_into().ok()).ok_or("exit_code")?,
            remedy: list("remedy").iter().filter_map(|step| Some(step.as_str()?.to_owned())).collect(),
            repairs: list("repairs").iter().filter_map(Repaired::read).collect(),
            next: text("next")?,
            vm: text("vm").ok(),
        })
    }

    /// The remediation's steps.
    pub fn steps(&self) -> Vec<RenderedStep> {
        self.remedy.iter().map(|step| RenderedStep::parse_marked(step)).collect()
    }

    /// Writes the record atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, files: &Files) -> Result<(), FileError> {
        let text = format!("{:#}\n", json!(self));
        files.write(PATH, text.as_bytes(), Readable::Everyone)
    }
}

/// A member that is text.
fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

/// The last record, or why it cannot be used; an unreadable one is no reason to stop.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(files: &Files) -> Result<Option<Record>, String> {
    let text = match files.read(PATH) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let value: Value =
        serde_json::from_str(&text).map_err(|error| format!("{PATH} cannot be read: {error}"))?;
    match value.get("version").and_then(Value::as_u64) {
        Some(VERSION) => Record::read(&value)
            .map(Some)
            .map_err(|name| format!("{PATH} cannot be read: {name} is missing or of another kind")),
        Some(other) => Err(format!("{PATH} has version {other}, this program reads {VERSION}")),
        None => Err(format!("{PATH} cannot be read: it has no version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_an_invalid_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().to_owned());
        assert_eq!(read(&files), Ok(None));
        let record = Record {
            version: VERSION,
            agent: "0.1.0".into(),
            run_id: "r".into(),
            started: "s".into(),
            finished: "f".into(),
            outcome: "failed".into(),
            fault: Some("imds.refused".into()),
            evidence: None,
            exit_code: 75,
            remedy: vec!["r".into()],
            repairs: vec![Repaired {
                repair: "a".into(),
                fault: "b".into(),
                before: "c".into(),
                after: Some("d".into()),
                helped: Some(false),
            }],
            next: "n".into(),
            vm: Some("id".into()),
        };
        record.write(&files).unwrap();
        assert_eq!(read(&files), Ok(Some(record)));
        files.write(PATH, b"{\"version\":", Readable::Everyone).unwrap();
        assert!(read(&files).unwrap_err().contains("cannot be read"));
        files.write(PATH, b"{\"version\":2}", Readable::Everyone).unwrap();
        assert!(read(&files).unwrap_err().contains("has version 2"));
        let of_a_later_program = r#"{"version":1,"agent":"a","run_id":"r","started":"s","finished":"f",
            "outcome":"enrolled","exit_code":0,"next":"n","later":{"a":[1]}}"#;
        files.write(PATH, of_a_later_program.as_bytes(), Readable::Everyone).unwrap();
        let read_back = read(&files).unwrap().unwrap();
        assert_eq!((read_back.fault, read_back.remedy.len(), read_back.vm), (None, 0, None));
        files.write(PATH, b"{\"version\":1}", Readable::Everyone).unwrap();
        assert!(read(&files).unwrap_err().contains("agent is missing"));
    }
}
