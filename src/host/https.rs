//! HTTPS by the host's own curl: it has TLS, and the trust store that every other tool on the VM uses.
//!
//! Everything goes to curl as configuration on its standard input, so that no secret is in its arguments.
//! Without curl the caller learns that TLS was not checked.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tracing::info;

use super::commands::{tail, CommandError, Commands, Run};
use crate::secret::Secret;
use crate::settings::ProxyUrl;

/// The largest file that is fetched, in bytes: azcmagent's package has 85 MB.
const LARGEST_FILE: u32 = 512 << 20;

/// What separates the body from curl's own report.
const SEPARATOR: &str = "\n--arc-enroll-report--";

/// A request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// GET, HEAD, PATCH …
    pub method: &'a str,
    /// Absolute URL.
    pub url: &'a str,
    /// Token for `Authorization: Bearer`.
    pub bearer: Option<&'a Secret>,
    /// JSON body.
    pub json: Option<&'a str>,
    /// A file to save the body to; then an HTTP status of failure is an error (curl's exit code 22).
    pub save_to: Option<&'a Path>,
    /// How long it may take in all.
    pub limit: Duration,
}

impl<'a> Request<'a> {
    /// A plain GET, at most `limit` long.
    pub fn get(url: &'a str, limit: Duration) -> Self {
        Self { method: "GET", url, bearer: None, json: None, save_to: None, limit }
    }
}

/// An HTTP answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// There is no curl here.
    #[error("curl is not on this machine, so TLS was not checked")]
    NoCurl,
    /// curl could not be run.
    #[error("curl could not be run")]
    Run(#[source] CommandError),
    /// curl ended with a code of its own (`man curl`, EXIT CODES).
    #[error("{url}: {detail} (curl exit code {code})")]
    Curl {
        /// What was asked.
        url: String,
        /// curl's exit code.
        code: i32,
        /// Status of the answer to CONNECT, when there was one.
        tunnel_status: u16,
        /// curl's words.
        detail: String,
    },
}

#[derive(Deserialize)]
struct Report {
    http_code: String,
    http_connect: String,
}

/// Sends a request through the proxy, or directly when there is none.
///
/// # Errors
/// [`HttpsError`]; an HTTP status of failure is not one of them.
pub async fn send(
    commands: &Commands,
    proxy: Option<&ProxyUrl>,
    request: Request<'_>,
) -> Result<Reply, HttpsError> {
    let shown = format!("{} {}", request.method, without_query(request.url));
    info!(event = "http.started", method = request.method, url = %without_query(request.url), "{shown}");
    let started = Instant::now();
    let result = exchange(commands, proxy, &request).await;
    let elapsed_ms = started.elapsed().as_millis();
    let status = result.as_ref().map_or_else(ToString::to_string, |reply| reply.status.to_string());
    info!(event = "http.finished", url = %without_query(request.url), status = %status, elapsed_ms, "{shown}: {status}");
    result
}

async fn exchange(
    commands: &Commands,
    proxy: Option<&ProxyUrl>,
    request: &Request<'_>,
) -> Result<Reply, HttpsError> {
    let limit = commands.within(request.limit);
    let mut run = Run::new("curl", &["--config", "-"], limit + Duration::from_secs(5));
    run.stdin = Some(configuration(proxy, &Request { limit, ..request.clone() }));
    let finished = match commands.run(run).await {
        Ok(finished) => finished,
        Err(CommandError::NotFound { .. }) => return Err(HttpsError::NoCurl),
        Err(error) => return Err(HttpsError::Run(error)),
    };
    let (body, report) = finished.stdout.rsplit_once(SEPARATOR).unwrap_or((&finished.stdout, ""));
    let report: Option<Report> = serde_json::from_str(report).ok();
    let number = |text: Option<&String>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    let status = number(report.as_ref().map(|report| &report.http_code));
    let tunnel_status = number(report.as_ref().map(|report| &report.http_connect));
    if finished.succeeded() && status > 0 {
        return Ok(Reply { status, body: body.to_owned() });
    }
    let words: Vec<&str> = finished.transcript.lines().filter(|line| line.starts_with("curl:")).collect();
    let detail = if words.is_empty() { finished.status() } else { tail(&words.join("\n")) };
    let code = finished.code.unwrap_or(-1);
    Err(HttpsError::Curl { url: without_query(request.url), code, tunnel_status, detail })
}

/// The request in curl's configuration language; only options that curl 7.29 (RHEL 7) knows.
fn configuration(proxy: Option<&ProxyUrl>, request: &Request<'_>) -> Secret {
    let mut text = String::from("silent\nshow-error\n");
    let mut set = |name: &str, value: &str| text.push_str(&format!("{name} = {}\n", quoted(value)));
    set("url", request.url);
    match proxy {
        Some(proxy) => {
            set("proxy", &proxy.without_credentials());
            if let Some((user, password)) = proxy.credentials() {
                set("proxy-user", &format!("{user}:{}", password.reveal()));
            }
            // curl would otherwise read NO_PROXY, which is about other destinations.
            set("noproxy", "");
        }
        None => set("noproxy", "*"),
    }
    if let Some(path) = request.save_to {
        let path = quoted(&path.display().to_string());
        text.push_str(&format!("fail\nlocation\nmax-filesize = {LARGEST_FILE}\noutput = {path}\n"));
    }
    if request.method == "HEAD" {
        text.push_str("head\noutput = \"/dev/null\"\n");
    } else {
        text.push_str(&format!("request = {}\n", quoted(request.method)));
    }
    let mut set = |name: &str, value: &str| text.push_str(&format!("{name} = {}\n", quoted(value)));
    set("connect-timeout", "10");
    set("max-time", &request.limit.as_secs().max(1).to_string());
    set("user-agent", concat!("arc-enroll/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = request.bearer {
        set("header", &format!("Authorization: Bearer {}", token.reveal()));
    }
    if let Some(json) = request.json {
        set("header", "Content-Type: application/json");
        set("data-binary", json);
    }
    let report = r#"{"http_code":"%{http_code}","http_connect":"%{http_connect}"}"#;
    set("write-out", &format!("{SEPARATOR}{report}"));
    Secret::new(text)
}

/// What may be shown of a URL: a query may hold a key.
fn without_query(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

/// A value as curl's configuration files quote it.
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_curl() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
    }

    #[test]
    fn the_token_is_in_the_configuration_and_nowhere_else() {
        let token = Secret::new("secret-token");
        let url = "https://management.azure.com/";
        let limit = Duration::from_secs(5);
        let request = Request { bearer: Some(&token), ..Request::get(url, limit) };
        let text = configuration(None, &request);
        assert!(text.reveal().contains("header = \"Authorization: Bearer secret-token\"\n"));
        assert!(!format!("{request:?} {text:?}").contains("secret-token"));
    }
}
