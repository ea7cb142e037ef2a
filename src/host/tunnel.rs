//! A CONNECT request to the proxy: the probe that distinguishes a blocked endpoint from other failures.
#![expect(clippy::disallowed_methods, reason = "this module is the I/O boundary that the ban points to")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::info;

use super::commands::Commands;
use super::names;
use super::tasks::Task;
use crate::settings::ProxyUrl;

/// Timeout of the TCP connection to the proxy.
const CONNECT: Duration = Duration::from_secs(5);

/// Timeout of the response to CONNECT.
pub const OPEN: Duration = Duration::from_secs(15);

/// Timeout of the body of an error response, which usually arrives with the header.
const BODY: Duration = Duration::from_millis(200);

/// Largest response header that is read, in bytes.
const LARGEST_HEADER: usize = 16 << 10;

/// The result of a CONNECT request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// 2xx: the tunnel is open.
    Open,
    /// Any other response.
    Answered {
        /// HTTP status.
        status: u16,
        /// The reason phrase, the header fields that describe the proxy's error, and the first line of the body.
        detail: String,
    },
    /// The proxy's port refused the connection.
    Refused,
    /// There is no route to the proxy, or its name does not resolve.
    NoRoute(String),
    /// The proxy, or the endpoint behind it, did not respond in time.
    Timeout {
        /// Whether the proxy had accepted the connection.
        connected: bool,
    },
    /// The response is incomplete or is not HTTP.
    Broken(String),
}

/// Requests a tunnel to port 443 of a host from the proxy, and closes it.
pub fn probe<'a>(
    commands: &'a Commands,
    proxy: &'a ProxyUrl,
    host: &'a str,
    limit: Duration,
) -> Task<'a, Tunnel> {
    Box::pin(probe_logged(commands, proxy, host, limit))
}

async fn probe_logged(commands: &Commands, proxy: &ProxyUrl, host: &str, limit: Duration) -> Tunnel {
    let port = 443;
    info!(event = "tunnel.started", host, port, "CONNECT {host}:{port}");
    let started = Instant::now();
    let result = match connect(commands, proxy).await {
        Ok(stream) => match tokio::time::timeout(limit, open(stream, proxy, host, port)).await {
            Ok(Ok(tunnel)) => tunnel,
            Ok(Err(error)) => Tunnel::Broken(error.to_string()),
            Err(_) => Tunnel::Timeout { connected: true },
        },
        Err(failed) => failed,
    };
    let elapsed_ms = started.elapsed().as_millis();
    let outcome = describe(&result);
    info!(event = "tunnel.finished", host, port, outcome = %outcome, elapsed_ms, "CONNECT {host}:{port}: {outcome}");
    result
}

/// The outcome as text.
pub fn describe(tunnel: &Tunnel) -> String {
    match tunnel {
        Tunnel::Open => "open".to_owned(),
        Tunnel::Answered { status, detail } => format!("{status} {detail}"),
        Tunnel::Refused => "the proxy's port refused the connection".to_owned(),
        Tunnel::NoRoute(detail) => format!("no route to the proxy ({detail})"),
        Tunnel::Timeout { connected: false } => "the proxy did not accept the connection in time".to_owned(),
        Tunnel::Timeout { connected: true } => "the proxy accepted, then did not answer in time".to_owned(),
        Tunnel::Broken(detail) => format!("not an HTTP answer ({detail})"),
    }
}

async fn connect(commands: &Commands, proxy: &ProxyUrl) -> Result<TcpStream, Tunnel> {
    let address = names::resolve(commands, proxy.host(), CONNECT).await;
    let address = address.map_err(|error| Tunnel::NoRoute(error.to_string()))?;
    let connecting = TcpStream::connect(SocketAddr::new(address, proxy.port()));
    match tokio::time::timeout(CONNECT, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(match error.kind() {
            ErrorKind::ConnectionRefused => Tunnel::Refused,
            ErrorKind::TimedOut => Tunnel::Timeout { connected: false },
            ErrorKind::ConnectionReset => Tunnel::Broken(error.to_string()),
            _ => Tunnel::NoRoute(error.to_string()),
        }),
        Err(_) => Err(Tunnel::Timeout { connected: false }),
    }
}

async fn open(mut stream: TcpStream, proxy: &ProxyUrl, host: &str, port: u16) -> std::io::Result<Tunnel> {
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(credentials) = proxy.basic_credentials() {
        request.push_str(&format!("Proxy-Authorization: Basic {}\r\n", credentials.reveal()));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut header = Vec::new();
    let mut chunk = [0; 2048];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            let text = if header.is_empty() {
                "it closed the connection without a response"
            } else {
                "its response is incomplete"
            };
            return Ok(Tunnel::Broken(text.to_owned()));
        }
        header.extend_from_slice(chunk.get(..read).unwrap_or_default());
        match parse(&header) {
            Ok(Some(Tunnel::Open)) => return Ok(Tunnel::Open),
            Ok(Some(answer)) => {
                if let Ok(Ok(read)) = tokio::time::timeout(BODY, stream.read(&mut chunk)).await {
                    header.extend_from_slice(chunk.get(..read).unwrap_or_default());
                }
                return Ok(parse(&header).ok().flatten().unwrap_or(answer));
            }
            Ok(None) if header.len() > LARGEST_HEADER => {
                return Ok(Tunnel::Broken("its response header is too large".to_owned()));
            }
            Ok(None) => {}
            Err(error) => return Ok(Tunnel::Broken(error.to_string())),
        }
    }
}

/// The outcome; `None` where the header is incomplete.
fn parse(header: &[u8]) -> Result<Option<Tunnel>, httparse::Error> {
    let mut fields = [httparse::EMPTY_HEADER; 48];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(end) = response.parse(header)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    if (200..300).contains(&status) {
        return Ok(Some(Tunnel::Open));
    }
    let mut detail = response.reason.unwrap_or_default().to_owned();
    for field in response.headers.iter() {
        if ["x-squid-error", "proxy-authenticate", "server", "via"]
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name))
        {
            detail.push_str(&format!("; {}: {}", field.name, String::from_utf8_lossy(field.value)));
        }
    }
    // Proxies without such fields describe the error in the first line of a plain text body.
    let body = String::from_utf8_lossy(header.get(end..).unwrap_or_default()).into_owned();
    let line: String = body.lines().next().unwrap_or_default().chars().take(120).collect();
    if !line.is_empty() && !line.starts_with('<') && !line.contains(char::is_control) {
        detail.push_str(&format!("; {line}"));
    }
    Ok(Some(Tunnel::Answered { status, detail }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_classified() {
        assert_eq!(parse(b"HTTP/1.1 200 Connection established\r\n\r\n"), Ok(Some(Tunnel::Open)));
        assert_eq!(parse(b"HTTP/1.1 200 Connection est"), Ok(None));
        let refused =
            parse(b"HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nAge: 1\r\n\r\n<html>");
        let detail = "Forbidden; X-Squid-Error: ERR_ACCESS_DENIED 0".to_owned();
        assert_eq!(refused, Ok(Some(Tunnel::Answered { status: 403, detail })));
        let unavailable = parse(b"HTTP/1.1 503 Busy\r\nServer: envoy\r\n\r\nDNS resolution failure");
        let detail = "Busy; Server: envoy; DNS resolution failure".to_owned();
        assert_eq!(unavailable, Ok(Some(Tunnel::Answered { status: 503, detail })));
        assert!(parse(b"SSH-2.0-OpenSSH_9.2\r\n").is_err());
    }
}
