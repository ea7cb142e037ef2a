//! HTTPS through the host's curl, which uses the same trust store as other tools on the VM.
//!
//! The request goes to curl as configuration on standard input, so that no secret is in its arguments.
//! Without curl, [`HttpsError::NoCurl`] tells the caller that TLS was not checked.

use std::path::Path;
use std::time::Duration;

use super::commands::{tail, CommandError, Commands, Program};
use super::tasks::Task;
use crate::model::secret::Secret;
use crate::settings::ProxyUrl;

/// Largest download, in bytes: the azcmagent package has 85 MB.
const LARGEST_FILE: u32 = 512 << 20;

/// Separates the body from the status codes that curl reports.
const SEPARATOR: &str = "\n--arc-enroll-report--";

/// `-q` comes first, so that no `.curlrc` changes what a request does: which certificates it accepts, what it writes.
const CURL: [&str; 3] = ["-q", "--config", "-"];

/// A request.
#[derive(Clone, Debug)]
pub struct HttpsRequest<'a> {
    /// GET, HEAD, PATCH …
    pub method: &'a str,
    /// Absolute URL.
    pub url: &'a str,
    /// Token for `Authorization: Bearer`.
    pub bearer: Option<&'a Secret>,
    /// JSON body.
    pub json: Option<&'a str>,
    /// A file for the body; an HTTP error status is then an error (curl exit code 22).
    pub save_to: Option<&'a Path>,
    /// Time limit of the exchange.
    pub limit: Duration,
}

impl<'a> HttpsRequest<'a> {
    /// A GET request with a time limit.
    pub fn get(url: &'a str, limit: Duration) -> Self {
        Self { method: "GET", url, bearer: None, json: None, save_to: None, limit }
    }
}

/// An HTTP response of any status.
#[derive(Clone, Debug)]
pub struct HttpsReply {
    /// HTTP status.
    pub status: u16,
    /// Body; for a HEAD request the header, preceded by the proxy's response to CONNECT.
    pub body: String,
}

impl HttpsReply {
    /// The last field of this name (any letter case) in the header of a HEAD request.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.body.lines().rev().filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Why there was no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// curl is not installed.
    #[error("curl is not on this machine, so TLS was not checked")]
    NoCurl,
    /// curl could not be run.
    #[error("curl could not be run")]
    Program(#[source] Box<CommandError>),
    /// curl failed (curl(1), EXIT CODES).
    #[error("{url}: {detail} (curl exit code {code})")]
    Curl {
        /// The URL without its query.
        url: String,
        /// curl's exit code.
        code: i32,
        /// HTTP status of the response to CONNECT; 0 where there was none.
        tunnel_status: u16,
        /// curl's error message.
        detail: String,
    },
}

/// Sends a request through the proxy, or directly where there is none.
///
/// # Errors
/// [`HttpsError`]; an HTTP error status is not an error, except with [`HttpsRequest::save_to`].
pub fn send<'a>(
    commands: &'a Commands,
    proxy: Option<&'a ProxyUrl>,
    request: HttpsRequest<'a>,
) -> Task<'a, Result<HttpsReply, Box<HttpsError>>> {
    Box::pin(send_logged(commands, proxy, request))
}

async fn send_logged(
    commands: &Commands,
    proxy: Option<&ProxyUrl>,
    request: HttpsRequest<'_>,
) -> Result<HttpsReply, Box<HttpsError>> {
    let url = without_query(request.url);
    let started = super::http_started(request.method, &url);
    let result = exchange(commands, proxy, &request).await;
    let status = result.as_ref().map_or_else(ToString::to_string, |reply| reply.status.to_string());
    super::http_finished(&url, &status, started, &format!("{} {url}: {status}", request.method));
    result
}

async fn exchange(
    commands: &Commands,
    proxy: Option<&ProxyUrl>,
    request: &HttpsRequest<'_>,
) -> Result<HttpsReply, Box<HttpsError>> {
    let limit = commands.within(request.limit);
    let mut run = Program::new("curl", &CURL, limit + Duration::from_secs(5));
    run.stdin = Some(configuration(proxy, &HttpsRequest { limit, ..request.clone() }));
    let finished = match commands.run(run).await {
        Ok(finished) => finished,
        Err(error) if matches!(*error, CommandError::NotFound { .. }) => {
            return Err(Box::new(HttpsError::NoCurl))
        }
        Err(error) => return Err(Box::new(HttpsError::Program(error))),
    };
    let (body, report) = finished.stdout.rsplit_once(SEPARATOR).unwrap_or((&finished.stdout, ""));
    let mut numbers = report.split(' ').map(|number| number.trim().parse().unwrap_or(0_u16));
    let (status, tunnel_status) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if finished.succeeded() && status > 0 {
        return Ok(HttpsReply { status, body: body.to_owned() });
    }
    let errors: Vec<&str> = finished.transcript.lines().filter(|line| line.starts_with("curl:")).collect();
    let detail =
        if errors.is_empty() { finished.status() } else { replace_durations(&tail(&errors.join("\n"))) };
    let code = finished.code.unwrap_or(-1);
    Err(Box::new(HttpsError::Curl { url: without_query(request.url), code, tunnel_status, detail }))
}

/// Replaces the milliseconds in curl's error message, so that the same failure gives the same text each time.
fn replace_durations(message: &str) -> String {
    let mut text: Vec<&str> = Vec::new();
    for word in message.split(' ') {
        if word.starts_with("ms") || word.starts_with("millisecond") {
            if let Some(number) = text.last_mut().filter(|last| last.parse::<u64>().is_ok()) {
                *number = "some";
            }
        }
        text.push(word);
    }
    text.join(" ")
}

/// The issuer of the certificate that is presented for a URL; `None` where this build of curl does not print it.
///
/// The request has no credentials, because the peer is not verified.
pub async fn fetch_issuer(
    commands: &Commands,
    proxy: Option<&ProxyUrl>,
    url: &str,
    limit: Duration,
) -> Option<String> {
    let limit = commands.within(limit);
    let request = HttpsRequest { method: "HEAD", ..HttpsRequest::get(url, limit) };
    let text = format!("{}insecure\nverbose\n", configuration(proxy, &request).reveal());
    let mut run = Program::new("curl", &CURL, limit + Duration::from_secs(5));
    run.stdin = Some(Secret::new(text));
    let finished = commands.run(run).await.ok()?;
    let issuer = finished
        .transcript
        .lines()
        .find_map(|line| line.trim_start_matches(['*', ' ', '\t']).strip_prefix("issuer:").map(str::trim))?;
    Some(issuer.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// The request as a curl configuration file; only options of curl 7.29 (RHEL 7) and later.
fn configuration(proxy: Option<&ProxyUrl>, request: &HttpsRequest<'_>) -> Secret {
    let mut text = String::from("silent\nshow-error\n");
    let mut set = |name: &str, value: &str| text.push_str(&format!("{name} = {}\n", curl_quoted(value)));
    set("url", request.url);
    // Only a file whose digest is known may be fetched over HTTP; a redirect never leaves HTTPS.
    let is_plain = request.url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    let protocols = if is_plain { "=http,https" } else { "=https" };
    set("proto", protocols);
    set("proto-redir", protocols);
    match proxy {
        Some(proxy) => {
            set("proxy", &proxy.without_credentials());
            if let Some((user, password)) = proxy.credentials() {
                set("proxy-user", &format!("{user}:{}", password.reveal()));
            }
            // Without this option, curl would apply NO_PROXY.
            set("noproxy", "");
        }
        None => set("noproxy", "*"),
    }
    if let Some(path) = request.save_to {
        let path = curl_quoted(&path.display().to_string());
        text.push_str(&format!("fail\nlocation\nmax-filesize = {LARGEST_FILE}\noutput = {path}\n"));
    }
    if request.method == "HEAD" {
        text.push_str("head\n");
    } else {
        text.push_str(&format!("request = {}\n", curl_quoted(request.method)));
    }
    let mut set = |name: &str, value: &str| text.push_str(&format!("{name} = {}\n", curl_quoted(value)));
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
    set("write-out", &format!("{SEPARATOR}%{{http_code}} %{{http_connect}}"));
    Secret::new(text)
}

/// The URL without its query, which may contain a key.
fn without_query(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

/// Quotes a value for a curl configuration file (curl(1), `--config`), which has escapes for three control characters
/// only.
pub fn curl_quoted(value: &str) -> String {
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
        assert_eq!(curl_quoted("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
    }

    #[test]
    fn durations_in_error_messages_are_replaced() {
        let message = "curl: (7) Failed to connect to 169.254.0.11 port 3128 after 12 ms: Couldn't connect";
        let right = "curl: (7) Failed to connect to 169.254.0.11 port 3128 after some ms: Couldn't connect";
        assert_eq!(replace_durations(message), right);
        assert_eq!(
            replace_durations("timed out after 10001 milliseconds"),
            "timed out after some milliseconds"
        );
        assert_eq!(replace_durations("ms"), "ms");
    }

    #[test]
    fn field_returns_the_last_occurrence() {
        let body = "HTTP/1.1 200 Connection established\r\ndate: a\r\n\r\nHTTP/2 404\r\nDate: b:c\r\n\r\n";
        let reply = HttpsReply { status: 404, body: body.to_owned() };
        assert_eq!((reply.field("date"), reply.field("via")), (Some("b:c"), None));
    }

    #[test]
    fn the_token_is_in_the_configuration_and_not_in_debug_output() {
        let token = Secret::new("secret-token");
        let url = "https://management.azure.com/";
        let limit = Duration::from_secs(5);
        let request = HttpsRequest { bearer: Some(&token), ..HttpsRequest::get(url, limit) };
        let text = configuration(None, &request);
        assert!(text.reveal().contains("header = \"Authorization: Bearer secret-token\"\n"));
        assert!(!format!("{request:?} {text:?}").contains("secret-token"));
    }
}
