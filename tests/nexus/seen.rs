//! What the servers and the stand-in programs saw, for assertions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One request to a server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Milliseconds since the servers started.
    pub at_ms: u64,
    pub method: String,
    pub host: String,
    /// Path and query, or the authority of a CONNECT.
    pub target: String,
    /// Names in lower case; a bearer token is replaced by its number.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// Status of the answer; 0 where there was none.
    pub status: u16,
}

/// A token that the sidecar gave out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Issued {
    pub number: usize,
    pub token: String,
    pub claims: Value,
}

/// Everything that the servers know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Observed {
    pub imds: Vec<Seen>,
    pub csn: Vec<Seen>,
    pub azure: Vec<Seen>,
    pub tokens: Vec<Issued>,
    /// Arc machines by name.
    pub machines: BTreeMap<String, Value>,
}

impl Observed {
    /// Requests for a token.
    pub fn token_requests(&self) -> Vec<&Seen> {
        self.imds.iter().filter(|seen| seen.target.starts_with("/metadata/identity/oauth2/token")).collect()
    }

    /// Requests to one name of Azure.
    pub fn azure_at(&self, host: &str) -> Vec<&Seen> {
        self.azure.iter().filter(|seen| seen.host == host).collect()
    }
}

/// One call of a stand-in program.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub pid: u32,
    /// Program and sub-command: `azcmagent connect`, `apt-get install`.
    pub call: String,
    /// Arguments, tokens masked.
    pub argv: Vec<String>,
    /// Environment: values of the proxy variables, only the names of the others.
    pub env: BTreeMap<String, String>,
    pub token_in_argv: bool,
    pub token_in_env: bool,
    pub config: Option<ConfigFile>,
    /// Not there when the program was killed or is still running.
    pub exit: Option<i32>,
}

/// The file given to `azcmagent connect --config`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConfigFile {
    pub path: String,
    /// Permission bits, such as `600`.
    pub mode: String,
    /// `tmpfs`, or the number of another file system.
    pub file_system: String,
    /// Content with the token masked.
    pub content: Value,
}
