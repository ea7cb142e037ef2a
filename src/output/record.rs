//! The record of the last run, for `status` and the next run.

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::host::files::{FileError, Files, Readable};

/// Path of the record, below `--root`.
pub const PATH: &str = "/var/lib/arc-enroll/status.json";

/// Version of the format.
pub const VERSION: u64 = 1;

/// A finished run. Unknown members of a later version are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Code of the fault that ended the run.
    pub fault: Option<String>,
    /// Evidence of the fault.
    pub evidence: Option<String>,
    /// Exit code.
    pub exit_code: u8,
    /// The remediation, one step per entry.
    #[serde(default)]
    pub remedy: Vec<String>,
    /// The repairs of the run, in order.
    #[serde(default)]
    pub repairs: Vec<Repaired>,
    /// The next step, for the operator.
    pub next: String,
    /// Firmware id of the VM that enrolled; empty where it could not be read, `None` before enrolling.
    pub vm: Option<String>,
}

/// One repair and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Description of the repair.
    pub repair: String,
    /// Code of the fault that it repairs.
    pub fault: String,
    /// Evidence before the repair.
    #[serde(default)]
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

impl Record {
    /// Writes the record atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, files: &Files) -> Result<(), FileError> {
        let text = format!("{:#}\n", json!(self));
        files.write(PATH, text.as_bytes(), Readable::Everyone)
    }
}

/// Reads the record; `None` where there is none.
///
/// # Errors
/// A message why the record cannot be read; the caller continues without it.
pub fn read(files: &Files) -> Result<Option<Record>, String> {
    let text = match files.read(PATH) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let value: Value =
        serde_json::from_str(&text).map_err(|error| format!("{PATH} cannot be read: {error}"))?;
    match value.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {
            Record::deserialize(&value).map(Some).map_err(|error| format!("{PATH} cannot be read: {error}"))
        }
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
        assert!(read(&files).unwrap_err().contains("missing field `agent`"));
    }
}
