//! Runs the Azure CLI of the operator's workstation with the existing sign-in.
//!
//! Messages and exit codes are those of azure-cli 2.91: 1 for an error of Azure or az, 2 for an unknown command, 3 for
//! a missing resource.

use std::time::Duration;

use serde_json::Value;

use crate::catalogue;
use crate::host::commands::{contains_any, CommandError, Program};
use crate::host::redaction;
use crate::host::Host;
use crate::model::fault::{Fault, FaultKind};

/// Time limit of one call; az takes one to three seconds to start.
const LIMIT: Duration = Duration::from_secs(45);

/// Characters of az's error message that are shown.
const MAX_MESSAGE_LENGTH: usize = 300;

/// The environment variables that az needs: for the sign-in, extensions, trust store and proxy, and for the sign-in of
/// a machine (Cloud Shell, managed identity).
const PASSED_VARIABLES: [&str; 21] = [
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

/// The environment variables that keep az from prompting, installing extensions and starting background processes.
const QUIET_VARIABLES: [(&str, &str); 6] = [
    ("AZURE_EXTENSION_USE_DYNAMIC_INSTALL", "no"),
    ("AZURE_CORE_ONLY_SHOW_ERRORS", "true"),
    ("AZURE_CORE_NO_COLOR", "true"),
    ("AZURE_CORE_DISABLE_CONFIRM_PROMPT", "true"),
    ("AZURE_CORE_SURVEY_MESSAGE", "false"),
    // Telemetry is uploaded by a background process.
    ("AZURE_CORE_COLLECT_TELEMETRY", "false"),
];

/// A failed query.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{command}: {message}")]
pub struct AzFailure {
    /// The command as typed in a shell.
    pub command: String,
    /// The kind of failure.
    pub kind: AzFailureKind,
    /// The error message of az, with secrets redacted.
    pub message: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AzFailureKind {
    /// az is not installed.
    NoAz,
    /// az is not signed in.
    SignedOut,
    /// The sign-in has no access to the subscription.
    Account,
    /// az does not know the command, because the extension is missing.
    Extension,
    /// The signed-in account is not authorized.
    Refused,
    /// The resource does not exist.
    Missing,
    /// Any other failure, including an answer that cannot be parsed.
    Other,
}

impl AzFailure {
    /// The fault for a failure that does not concern the queried resource.
    pub fn fault(&self) -> Fault {
        let kind: &'static FaultKind = match self.kind {
            AzFailureKind::NoAz => &catalogue::HOST_NO_AZ,
            AzFailureKind::SignedOut => &catalogue::HOST_AZ_SIGN_IN,
            AzFailureKind::Account => &catalogue::HOST_AZ_ACCOUNT,
            AzFailureKind::Extension => &catalogue::HOST_AZ_EXTENSION,
            AzFailureKind::Refused => &catalogue::HOST_AZ_REFUSED,
            AzFailureKind::Missing | AzFailureKind::Other => &catalogue::HOST_AZ_FAILED,
        };
        kind.with_evidence(self.to_string())
    }
}

/// The answer to a query.
pub type AzReply = Result<Value, AzFailure>;

/// A host with the environment that az needs on the workstation.
pub fn host(root: std::path::PathBuf, environment: &dyn Fn(&str) -> Option<String>) -> Host {
    let host = Host::new(root, &environment("PATH").unwrap_or_default(), Vec::new());
    for name in PASSED_VARIABLES {
        if let Some(value) = environment(name) {
            // The proxy URL of the workstation may hold a password, and az prints the URL in errors.
            redaction::redact(&value, &host.mask);
            host.commands.set_environment(name, &value);
        }
    }
    for (name, value) in QUIET_VARIABLES {
        host.commands.set_environment(name, value);
    }
    host
}

/// Runs a query, given as words separated by spaces.
///
/// # Errors
/// Why there is no answer.
pub async fn ask(host: &Host, question: &str) -> AzReply {
    let mut words: Vec<&str> = question.split(' ').collect();
    words.extend(["--output", "json"]);
    let outcome = host.commands.run(Program::new("az", &words, LIMIT)).await;
    let failed = |kind, message: &str| {
        let message = redaction::redact(message, &host.mask);
        let message = message.trim().chars().take(MAX_MESSAGE_LENGTH).collect();
        Err(AzFailure { command: display_command(question), kind, message })
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
        return parse_first_value(&finished.stdout)
            .map_or_else(|| failed(AzFailureKind::Other, "its output is not JSON"), Ok);
    }
    let output = finished.transcript.trim();
    // A traceback or usage text may precede the error, and a hint may follow it.
    let error = output.rfind("ERROR: ").and_then(|at| output.get(at..)).unwrap_or(output);
    let line = error.lines().next().unwrap_or_default();
    failed(classify(finished.code, error), if line.is_empty() { "it failed without a message" } else { line })
}

/// The command as typed in a shell, without the selection of members. Queries hold no shell syntax.
pub fn display_command(question: &str) -> String {
    format!("az {}", question.split(" --query").next().unwrap_or_default())
}

/// The first JSON value in the output of az, which may print warnings before it.
fn parse_first_value(stdout: &str) -> Option<Value> {
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

/// Classifies a failure by exit code and error message.
fn classify(code: Option<i32>, message: &str) -> AzFailureKind {
    const SIGNED_OUT: [&str; 4] = ["az login", "AADSTS", "MSAL token cache", "refresh token"];
    const ACCOUNT: [&str; 4] =
        ["SubscriptionNotFound", "InvalidAuthenticationTokenTenant", "ubscription of ", "Subscription '"];
    const EXTENSION: [&str; 3] =
        ["misspelled or not recognized", "requires the extension", "is not installed. Please install"];
    const REFUSED: [&str; 4] =
        ["AuthorizationFailed", "does not have authorization", "Insufficient privileges", "(Forbidden)"];
    const MISSING: [&str; 4] = ["NotFound)", "could not be found", "was not found", "does not exist"];
    let says = |texts: &[&str]| contains_any(message, texts);
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

/// A member of a resource, at the top level or below `properties`; az flattens the properties of ARM.
pub fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let there = |value: &'v Value| value.get(name).filter(|member| !member.is_null());
    there(value).or_else(|| there(value.get("properties")?))
}

/// A text member of a resource; empty when missing.
pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    member(value, name).and_then(Value::as_str).unwrap_or_default()
}

/// A list member of a resource; empty when missing.
pub fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    member(value, name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_between_other_output() {
        for text in
            ["{\"a\": 1}", "WARNING: [old]\n{ \"a\": 1 }\n", "x\n\n  {\"a\":1}\nbehind", "[oops\n{\"a\":1}"]
        {
            assert_eq!(parse_first_value(text), Some(serde_json::json!({"a": 1})), "{text}");
        }
        for text in ["", "\n", "<html><body>{</body></html>", "{\"a\": ", "{\"a\": 1", "null"] {
            assert_eq!(parse_first_value(text), None, "{text}");
        }
    }

    #[test]
    fn failures_are_classified() {
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
            assert_eq!(classify(Some(code), words), right, "{words}");
        }
    }
}
