//! The Azure CLI of the operator's workstation: asked with the sign-in that is there, read tolerantly.
//!
//! Its words and exit codes are those of azure-cli 2.91: 1 for what Azure or az itself refuses, 2 for a command
//! that it does not know, 3 for a resource that is not there.

use std::time::Duration;

use serde_json::Value;

use crate::catalogue;
use crate::host::commands::{contains_any, CommandError, Program};
use crate::host::redaction;
use crate::host::Host;
use crate::model::fault::{Fault, FaultKind};

/// Time for one call; az alone takes one to three seconds to start.
const LIMIT: Duration = Duration::from_secs(45);

/// Longest part of az's own words that is shown.
const LONGEST_WORDS: usize = 300;

/// What az needs of the operator's environment: where the sign-in, the extensions and the trust store are, the way
/// to Azure, and where a machine itself is signed in (Cloud Shell, managed identity).
const KEPT: [&str; 21] = [
    "HOME",
    "USER",
    "AZURE_CONFIG_DIR",
    "AZURE_EXTENSION_DIR",
    "AZURE_CLOUD_NAME",
    "ARM_CLOUD_METADATA_URL",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "MSI_ENDPOINT",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
];

/// How az is made to answer without asking, installing or leaving anything running.
const QUIET: [(&str, &str); 6] = [
    ("AZURE_EXTENSION_USE_DYNAMIC_INSTALL", "no"),
    ("AZURE_CORE_ONLY_SHOW_ERRORS", "true"),
    ("AZURE_CORE_NO_COLOR", "true"),
    ("AZURE_CORE_DISABLE_CONFIRM_PROMPT", "true"),
    ("AZURE_CORE_SURVEY_MESSAGE", "false"),
    // It would leave a process behind that uploads.
    ("AZURE_CORE_COLLECT_TELEMETRY", "false"),
];

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{command}: {words}")]
pub struct AzFailure {
    /// What was run, as a person would type it.
    pub command: String,
    /// What kind of failure it is.
    pub kind: AzFailureKind,
    /// The last words of az, without secrets.
    pub words: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AzFailureKind {
    /// There is no az.
    NoAz,
    /// Nobody is signed in.
    SignedOut,
    /// The sign-in does not reach the subscription.
    Account,
    /// az does not know the command: the extension is not there.
    Extension,
    /// Azure does not show it to who is signed in.
    Refused,
    /// It does not exist.
    Missing,
    /// Anything else, an answer that cannot be read included.
    Other,
}

impl AzFailure {
    /// The fault that this is where the thing itself is not in question.
    pub fn fault(&self) -> Fault {
        let entry: &'static FaultKind = match self.kind {
            AzFailureKind::NoAz => &catalogue::HOST_NO_AZ,
            AzFailureKind::SignedOut => &catalogue::HOST_AZ_SIGN_IN,
            AzFailureKind::Account => &catalogue::HOST_AZ_ACCOUNT,
            AzFailureKind::Extension => &catalogue::HOST_AZ_EXTENSION,
            AzFailureKind::Refused => &catalogue::HOST_AZ_REFUSED,
            AzFailureKind::Missing | AzFailureKind::Other => &catalogue::HOST_AZ_FAILED,
        };
        entry.with_evidence(self.to_string())
    }
}

/// What came of a question.
pub type AzReply = Result<Value, AzFailure>;

/// The host with the environment that az needs, in place of that of a Nexus VM.
pub fn host(root: std::path::PathBuf, environment: &dyn Fn(&str) -> Option<String>) -> Host {
    let host = Host::new(root, &environment("PATH").unwrap_or_default(), Vec::new());
    for name in KEPT {
        if let Some(value) = environment(name) {
            // The proxy of the workstation may have a password, and az repeats the address when it fails.
            redaction::redact(&value, &host.mask);
            host.commands.set_environment(name, &value);
        }
    }
    for (name, value) in QUIET {
        host.commands.set_environment(name, value);
    }
    host
}

/// Asks az; the words of the question are parted by spaces.
///
/// # Errors
/// Why there is no answer.
pub async fn ask(host: &Host, question: &str) -> AzReply {
    let mut words: Vec<&str> = question.split(' ').collect();
    words.extend(["--output", "json"]);
    let outcome = host.commands.run(Program::new("az", &words, LIMIT)).await;
    let failed = |kind, words: &str| {
        let words = redaction::redact(words, &host.mask);
        let words = words.trim().chars().take(LONGEST_WORDS).collect();
        Err(AzFailure { command: typed(question), kind, words })
    };
    let finished = match outcome {
        Ok(finished) => finished,
        Err(error) => {
            let kind = if matches!(*error, CommandError::NotFound { .. }) {
                AzFailureKind::NoAz
            } else {
                AzFailureKind::Other
            };
            return failed(kind, &error.to_string());
        }
    };
    if finished.succeeded() {
        return read(&finished.stdout)
            .map_or_else(|| failed(AzFailureKind::Other, "its answer is no JSON"), Ok);
    }
    let said = finished.transcript.trim();
    // A traceback or a usage text stands before what matters, a hint behind it.
    let error = said.rfind("ERROR: ").and_then(|at| said.get(at..)).unwrap_or(said);
    let line = error.lines().next().unwrap_or_default();
    failed(kind(finished.code, error), if line.is_empty() { "it failed without a word" } else { line })
}

/// The command as a person types it; the choice of members is for this program only. No word of a question has what a
/// shell would read.
pub fn typed(question: &str) -> String {
    format!("az {}", question.split(" --query").next().unwrap_or_default())
}

/// The first JSON value in what az printed: a warning may stand before it.
fn read(stdout: &str) -> Option<Value> {
    let mut rest = stdout;
    loop {
        let trimmed = rest.trim_start();
        if trimmed.starts_with(['{', '[', '"']) {
            let first = serde_json::Deserializer::from_str(trimmed).into_iter::<Value>().next();
            if let Some(Ok(value)) = first {
                return Some(value);
            }
        }
        rest = trimmed.split_once('\n')?.1;
    }
}

/// What kind of failure az's words are.
fn kind(code: Option<i32>, words: &str) -> AzFailureKind {
    const SIGNED_OUT: [&str; 4] = ["az login", "AADSTS", "MSAL token cache", "refresh token"];
    const ACCOUNT: [&str; 4] =
        ["SubscriptionNotFound", "InvalidAuthenticationTokenTenant", "ubscription of ", "Subscription '"];
    const EXTENSION: [&str; 3] =
        ["misspelled or not recognized", "requires the extension", "is not installed. Please install"];
    const REFUSED: [&str; 4] =
        ["AuthorizationFailed", "does not have authorization", "Insufficient privileges", "(Forbidden)"];
    const MISSING: [&str; 4] = ["NotFound)", "could not be found", "was not found", "does not exist"];
    let says = |texts: &[&str]| contains_any(words, texts);
    match code {
        _ if says(&REFUSED) => AzFailureKind::Refused,
        _ if says(&ACCOUNT) => AzFailureKind::Account,
        _ if says(&SIGNED_OUT) => AzFailureKind::SignedOut,
        _ if says(&EXTENSION) => AzFailureKind::Extension,
        Some(3) => AzFailureKind::Missing,
        _ if says(&MISSING) => AzFailureKind::Missing,
        _ => AzFailureKind::Other,
    }
}

/// A member of a resource: the CLI flattens what ARM has below `properties`.
pub fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let there = |value: &'v Value| value.get(name).filter(|member| !member.is_null());
    there(value).or_else(|| there(value.get("properties")?))
}

/// A text of a resource; empty where there is none.
pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    member(value, name).and_then(Value::as_str).unwrap_or_default()
}

/// A list of a resource; empty where there is none.
pub fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    member(value, name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_what_stands_before_and_behind() {
        for text in
            ["{\"a\": 1}", "WARNING: [old]\n{ \"a\": 1 }\n", "x\n\n  {\"a\":1}\nbehind", "[oops\n{\"a\":1}"]
        {
            assert_eq!(read(text), Some(serde_json::json!({"a": 1})), "{text}");
        }
        for text in ["", "\n", "<html><body>{</body></html>", "{\"a\": ", "{\"a\": 1", "null"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn words_of_az_are_told_apart() {
        for (code, words, right) in [
            (1, "ERROR: Please run 'az login' to setup account.", AzFailureKind::SignedOut),
            (1, "ERROR: AADSTS70043: The refresh token has expired", AzFailureKind::SignedOut),
            (
                1,
                "ERROR: Subscription 'x' not found. Check the ID or name and try again.",
                AzFailureKind::Account,
            ),
            (
                1,
                "ERROR: (SubscriptionNotFound) The subscription 'x' could not be found.",
                AzFailureKind::Account,
            ),
            (
                2,
                "ERROR: 'networkcloud' is misspelled or not recognized by the system.",
                AzFailureKind::Extension,
            ),
            (
                1,
                "ERROR: (AuthorizationFailed) The client 'a' does not have authorization",
                AzFailureKind::Refused,
            ),
            (3, "ERROR: (ResourceNotFound) The Resource 'x' was not found.", AzFailureKind::Missing),
            (
                1,
                "ERROR: (ResourceGroupNotFound) Resource group 'x' could not be found.",
                AzFailureKind::Missing,
            ),
            (1, "ERROR: HTTPSConnectionPool(host='management.azure.com', port=443)", AzFailureKind::Other),
        ] {
            assert_eq!(kind(Some(code), words), right, "{words}");
        }
    }
}
