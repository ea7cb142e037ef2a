//! A small HTTP/1.1 server that can also misbehave: hang, truncate a body, close without a response. A library
//! would prevent this.

use std::io;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::nexus::spec::{HttpAct, Reply};

const HEAD_LIMIT: usize = 64 * 1024;
const BODY_LIMIT: usize = 4 * 1024 * 1024;

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// The query's names and values, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        let Some((_, query)) = self.target.split_once('?') else { return Vec::new() };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(n, v)| (decode(n), decode(v)))
            .collect()
    }
}

/// A response.
#[derive(Clone, Debug)]
pub enum Answer {
    Full { status: u16, headers: Vec<(String, String)>, body: Vec<u8>, delay_ms: u64, cut: Option<usize> },
    Hang,
    Close,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self::Full { status, headers, body: body.into(), delay_ms: 0, cut: None }
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string())
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Full { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub fn late(mut self, ms: u64) -> Self {
        if let Self::Full { delay_ms, .. } = &mut self {
            *delay_ms += ms;
        }
        self
    }

    pub fn status(&self) -> u16 {
        match self {
            Self::Full { status, .. } => *status,
            Self::Hang | Self::Close => 0,
        }
    }

    pub fn of(reply: &Reply) -> Self {
        let headers = reply.headers.iter().filter(|(_, value)| !value.is_empty());
        Self::Full {
            status: reply.status,
            headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: reply.body.clone().into_bytes(),
            delay_ms: reply.delay_ms,
            cut: reply.cut,
        }
    }
}

/// The response for an act of a playbook; `healthy` produces the usual one.
pub fn play(act: Option<HttpAct>, healthy: impl FnOnce() -> Answer) -> Answer {
    match act {
        Some(HttpAct::Reply(reply)) => Answer::of(&reply),
        Some(HttpAct::Hang) => Answer::Hang,
        Some(HttpAct::Close | HttpAct::EmptyTunnel) => Answer::Close,
        Some(HttpAct::Late(ms)) => healthy().late(ms),
        Some(HttpAct::Token(_)) | None => healthy(),
    }
}

/// Answers the requests of one connection until either side ends it.
pub async fn serve<S>(
    stream: &mut S,
    clock_offset_s: impl Fn() -> i64,
    handler: impl Fn(&Request) -> Answer,
) -> io::Result<()>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    while let Some(request) = read_request(stream).await? {
        let answer = handler(&request);
        if !write_answer(stream, &request, answer, clock_offset_s()).await? {
            break;
        }
    }
    stream.shutdown().await
}

/// Reads the head of a request and its body; nothing at the end of the connection.
pub async fn read_request<S>(stream: &mut S) -> io::Result<Option<Request>>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    let Some(mut request) = read_head(stream).await? else { return Ok(None) };
    if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        stream.flush().await?;
    }
    let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    if length > BODY_LIMIT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "body too large"));
    }
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).await?;
    Ok(Some(request))
}

async fn read_head<S: AsyncBufRead + Unpin>(stream: &mut S) -> io::Result<Option<Request>> {
    let mut request = Request::default();
    let mut first = true;
    let mut size = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        size += line.len();
        if size > HEAD_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "head too large"));
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if first {
            let mut words = line.split(' ');
            request.method = words.next().unwrap_or("").to_owned();
            request.target = words.next().unwrap_or("").to_owned();
            // Empty lines before a request are ignored.
            first = request.method.is_empty();
        } else if line.is_empty() {
            return Ok(Some(request));
        } else if let Some((name, value)) = line.split_once(':') {
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

/// Writes the response; returns whether the connection stays open.
pub async fn write_answer<S>(
    stream: &mut S,
    request: &Request,
    answer: Answer,
    offset_s: i64,
) -> io::Result<bool>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    let (status, headers, body, delay_ms, cut) = match answer {
        Answer::Close => return Ok(false),
        Answer::Hang => {
            // Until the client closes the connection.
            while !stream.fill_buf().await?.is_empty() {
                let length = stream.fill_buf().await?.len();
                stream.consume(length);
            }
            return Ok(false);
        }
        Answer::Full { status, headers, body, delay_ms, cut } => (status, headers, body, delay_ms, cut),
    };
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let close =
        cut.is_some() || request.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    if !has("date") {
        head += &format!("Date: {}\r\n", httpdate::fmt_http_date(now(offset_s)));
    }
    for (name, value) in &headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !has("content-length") && status != 204 && status != 304 {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    if close {
        head += "Connection: close\r\n";
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).await?;
    if request.method != "HEAD" {
        stream.write_all(body.get(..cut.unwrap_or(body.len())).unwrap_or(&body)).await?;
    }
    stream.flush().await?;
    Ok(!close)
}

/// The clock of a server that is ahead (or behind) by so many seconds.
pub fn now(offset_s: i64) -> SystemTime {
    let shift = Duration::from_secs(offset_s.unsigned_abs());
    if offset_s < 0 {
        SystemTime::now() - shift
    } else {
        SystemTime::now() + shift
    }
}

pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        409 => "Conflict",
        410 => "Gone",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

/// Undoes percent-encoding and `+`.
pub fn decode(text: &str) -> String {
    let mut bytes = text.as_bytes().iter();
    let mut out = Vec::with_capacity(text.len());
    while let Some(&byte) = bytes.next() {
        let code = bytes.as_slice().get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                bytes.nth(1);
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
