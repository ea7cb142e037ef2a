//! Plain HTTP to a link-local address: no proxy, no redirects, small bodies.
//!
//! This is a minimal HTTP/1.1 client because of the size limit of user-data: reqwest, in its smallest configuration,
//! adds 243,700 bytes and exceeds it. The tests compare the client with reqwest. It sends one request per
//! connection; the body is delimited by length, chunks or the end of the connection.
#![expect(clippy::disallowed_methods, reason = "this module is the I/O boundary that the ban points to")]

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::tasks::Task;
use crate::formats::url::{split_port, Url};

/// Timeout of the TCP connection.
const CONNECT: Duration = Duration::from_secs(3);

/// Timeout of an exchange: public reports mention responses after 6 s, so that a 1 s probe fails a healthy sidecar.
pub const EXCHANGE: Duration = Duration::from_secs(15);

/// Largest body that is read, in bytes: a token reply has 2 to 8 KiB.
const LARGEST_BODY: usize = 64 << 10;

/// Largest header that is read, in bytes.
const LARGEST_HEADER: usize = 16 << 10;

/// Why there was no response.
#[derive(Debug, thiserror::Error)]
pub enum LinkLocalError {
    /// The connection was refused: the address exists and the port is closed.
    #[error("{url}: connection refused")]
    Refused {
        /// The URL of the request.
        url: String,
    },
    /// There is no route to the address.
    #[error("{url}: no route ({detail})")]
    NoRoute {
        /// The URL of the request.
        url: String,
        /// Error of the operating system.
        detail: String,
    },
    /// The response did not arrive in time.
    #[error("{url}: no answer within {} s", after.as_secs().max(1))]
    Timeout {
        /// The URL of the request.
        url: String,
        /// Elapsed time.
        after: Duration,
    },
    /// The response is incomplete or is not HTTP.
    #[error("{url}: {detail}")]
    Broken {
        /// The URL of the request.
        url: String,
        /// The cause.
        detail: String,
    },
}

/// An HTTP response of any status.
#[derive(Clone, Debug)]
pub struct LinkLocalReply {
    /// HTTP status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, truncated at 64 KiB.
    pub body: String,
}

impl LinkLocalReply {
    /// The first field of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// Sends a GET request with `Metadata: true`; proxy settings are ignored.
///
/// # Errors
/// [`LinkLocalError`]; an HTTP error status is not an error.
pub fn get(url: String, limit: Duration) -> Task<'static, Result<LinkLocalReply, LinkLocalError>> {
    Box::pin(get_logged(url, limit))
}

async fn get_logged(url: String, limit: Duration) -> Result<LinkLocalReply, LinkLocalError> {
    let url = url.as_str();
    let started = super::http_started("GET", url);
    let result = match tokio::time::timeout(limit, exchange(url)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(classify_error(url, &error, started.elapsed())),
        Err(_) => Err(LinkLocalError::Timeout { url: url.to_owned(), after: started.elapsed() }),
    };
    let (status, message) = match &result {
        Ok(reply) => (reply.status.to_string(), format!("GET {url}: {}", reply.status)),
        Err(error) => ("none".to_owned(), error.to_string()),
    };
    super::http_finished(url, &status, started, &message);
    result
}

/// Opens a connection and closes it.
///
/// # Errors
/// [`LinkLocalError`].
pub async fn probe(url: &str) -> Result<(), LinkLocalError> {
    let started = Instant::now();
    match connect(url).await {
        Ok(_) => Ok(()),
        Err(error) => Err(classify_error(url, &error, started.elapsed())),
    }
}

/// The connection, and the authority and the target for the request.
async fn connect(url: &str) -> io::Result<(TcpStream, &str, &str)> {
    let invalid = |what| io::Error::new(ErrorKind::InvalidInput, what);
    let (authority, target) = split(url).ok_or_else(|| invalid("not an http:// URL"))?;
    let (host, port) = split_port(authority).map_err(invalid)?;
    // The settings accept addresses and this one name.
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let address: IpAddr = host.parse().map_err(|_| invalid("its host is not an address"))?;
    let address = SocketAddr::new(address, port.unwrap_or(80));
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await??;
    Ok((stream, authority, target))
}

async fn exchange(url: &str) -> io::Result<LinkLocalReply> {
    let (mut stream, authority, target) = connect(url).await?;
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {authority}\r\nMetadata: true\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut received = Vec::new();
    let (mut reply, framing, body_at) = loop {
        if read_more(&mut stream, &mut received).await? == 0 {
            return Err(broken(if received.is_empty() {
                "closed without a response"
            } else {
                "the response is incomplete"
            }));
        }
        if let Some(head) = parse_head(&mut received)? {
            break head;
        }
        if received.len() > LARGEST_HEADER {
            return Err(broken("the header is too large"));
        }
    };
    let mut raw = received.split_off(body_at);
    let body = loop {
        if let Some(body) = framing.body(&raw)? {
            break body;
        }
        if read_more(&mut stream, &mut raw).await? == 0 {
            break framing.body_at_end(raw)?;
        }
    };
    reply.body = String::from_utf8_lossy(body.get(..LARGEST_BODY).unwrap_or(&body)).into_owned();
    Ok(reply)
}

async fn read_more(stream: &mut TcpStream, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; 4096];
    let read = stream.read(&mut chunk).await?;
    into.extend_from_slice(chunk.get(..read).unwrap_or_default());
    Ok(read)
}

/// `host[:port]` and the request target of an `http://` URL.
fn split(url: &str) -> Option<(&str, &str)> {
    let is_clean = url.bytes().all(|byte| byte.is_ascii_graphic());
    let url = Url::split(url).filter(|url| is_clean && url.scheme == "http" && url.credentials.is_none())?;
    let target = if url.target.is_empty() { "/" } else { url.target };
    (!url.authority.is_empty() && target.starts_with('/')).then_some((url.authority, target))
}

/// How the end of a body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunks,
    Close,
}

impl Framing {
    /// The body, once it is complete or has reached the size limit.
    fn body(self, raw: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Length(length) => Ok(raw.get(..length.min(LARGEST_BODY)).map(<[u8]>::to_vec)),
            Self::Chunks => join_chunks(raw),
            Self::Close => Ok(raw.get(..LARGEST_BODY).map(<[u8]>::to_vec)),
        }
    }

    /// The body when the connection is closed.
    fn body_at_end(self, raw: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Close => Ok(raw),
            Self::Length(_) | Self::Chunks => Err(broken("the response is incomplete")),
        }
    }
}

/// Removes interim responses (1xx); returns the response without its body, and the offset of the body.
fn parse_head(received: &mut Vec<u8>) -> io::Result<Option<(LinkLocalReply, Framing, usize)>> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(end) = response.parse(received).map_err(broken)? else {
            return Ok(None);
        };
        let status = response.code.unwrap_or_default();
        if (100..200).contains(&status) {
            received.drain(..end);
            continue;
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers =
            response.headers.iter().map(|field| (field.name.to_ascii_lowercase(), text(field.value)));
        let reply = LinkLocalReply { status, headers: headers.collect(), body: String::new() };
        let framing = framing(&reply)?;
        return Ok(Some((reply, framing, end)));
    }
}

fn framing(reply: &LinkLocalReply) -> io::Result<Framing> {
    if matches!(reply.status, 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if reply.header("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"))
    {
        return Ok(Framing::Chunks);
    }
    match reply.header("content-length") {
        Some(length) => {
            length.trim().parse().map(Framing::Length).map_err(|_| broken("the Content-Length is invalid"))
        }
        None => Ok(Framing::Close),
    }
}

fn join_chunks(mut raw: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while body.len() < LARGEST_BODY {
        let (start, length) = match httparse::parse_chunk_size(raw) {
            Ok(httparse::Status::Complete((_, 0))) => break,
            Ok(httparse::Status::Complete((start, length))) => {
                (start, usize::try_from(length).unwrap_or(usize::MAX))
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(broken("a chunk has no valid size")),
        };
        let rest = raw.get(start..).unwrap_or_default();
        let Some(chunk) = rest.get(..length) else {
            // The rest of the chunk is not needed once the size limit is reached.
            body.extend_from_slice(rest);
            return Ok((body.len() >= LARGEST_BODY).then_some(body));
        };
        body.extend_from_slice(chunk);
        raw = match rest.get(length..) {
            Some([b'\r', b'\n', next @ ..]) => next,
            Some([] | [b'\r']) | None => return Ok(None),
            Some(_) => return Err(broken("a chunk is longer than its size")),
        };
    }
    Ok(Some(body))
}

fn broken(detail: impl ToString) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, detail.to_string())
}

fn classify_error(url: &str, error: &io::Error, after: Duration) -> LinkLocalError {
    let url = url.to_owned();
    match error.kind() {
        ErrorKind::ConnectionRefused => LinkLocalError::Refused { url },
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
            LinkLocalError::NoRoute { url, detail: error.to_string() }
        }
        ErrorKind::TimedOut => LinkLocalError::Timeout { url, after },
        _ => LinkLocalError::Broken { url, detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Serves one request with these pieces; returns the reply and the request.
    async fn exchange_pieces(
        pieces: &'static [&'static [u8]],
    ) -> (Result<LinkLocalReply, LinkLocalError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            format!("http://{}/metadata/x?api-version=1&resource=a%2Fb", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            request.truncate(read);
            for piece in pieces {
                stream.write_all(piece).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            String::from_utf8(request).unwrap()
        });
        (get(url, EXCHANGE).await, server.await.unwrap())
    }

    #[tokio::test]
    async fn bodies_are_delimited_by_length_chunks_or_end_of_connection() {
        let by_length: &[&[u8]] =
            &[b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\nServer: IMDS\r\n\r\nhe", b"llo and more"];
        let (reply, request) = exchange_pieces(by_length).await;
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.body.as_str(), reply.header("server")), (200, "hello", Some("IMDS")));
        assert!(
            request.starts_with("GET /metadata/x?api-version=1&resource=a%2Fb HTTP/1.1\r\nHost: 127.0.0.1:")
        );
        assert!(request.contains("\r\nMetadata: true\r\n"));

        let chunks: &[&[u8]] = &[
            b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nhe",
            b"l\r",
            b"\n2;x\r\nlo\r\n",
            b"0\r\n\r\n",
        ];
        let reply = exchange_pieces(chunks).await.0.unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (400, "hello"));

        let to_the_end: &[&[u8]] = &[b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503 Later\r\n\r\nhel", b"lo"];
        let reply = exchange_pieces(to_the_end).await.0.unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (503, "hello"));
    }

    /// The same response as reqwest reads it, configured like this client.
    async fn read_by_reqwest(answer: &'static [u8]) -> Option<(u16, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _read = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().no_proxy().redirect(redirects).build().unwrap();
        let response = client.get(url).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.text().await.ok()?))
    }

    #[tokio::test]
    async fn responses_are_read_as_reqwest_reads_them() {
        const ANSWERS: [&[&[u8]]; 14] = [
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
            &[b"HTTP/1.1 200 OK\r\ncontent-length:5\r\nX: \xff\r\n\r\nhello"],
            &[b"HTTP/1.0 200 OK\r\n\r\nto the end"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\nTrailer: x\r\n\r\n"],
            &[b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"],
            &[b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"],
            &[b"HTTP/1.1 204 No Content\r\n\r\n"],
            &[b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello"],
            &[b"HTTP/1.1 200 OK\r\nContent-"],
            &[b"SSH-2.0-OpenSSH_9.2\r\n"],
        ];
        for answer in ANSWERS {
            let ours = exchange_pieces(answer).await.0.ok().map(|reply| (reply.status, reply.body));
            let theirs = read_by_reqwest(answer[0]).await;
            assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(answer[0]));
        }
    }

    #[tokio::test]
    async fn an_incomplete_response_is_an_error() {
        let halves: [&'static [&'static [u8]]; 5] = [
            &[],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
            &[b"SSH-2.0-OpenSSH_9.2\r\n"],
        ];
        for pieces in halves {
            assert!(
                matches!(exchange_pieces(pieces).await.0, Err(LinkLocalError::Broken { .. })),
                "{pieces:?}"
            );
        }
    }

    #[test]
    fn bodies_are_truncated_at_the_limit() {
        let long = vec![b'x'; LARGEST_BODY + 10];
        assert_eq!(Framing::Close.body(&long).unwrap().unwrap().len(), LARGEST_BODY);
        assert_eq!(Framing::Length(usize::MAX).body(&long).unwrap().unwrap().len(), LARGEST_BODY);
        let mut chunked = b"fffffff\r\n".to_vec();
        chunked.extend_from_slice(&long);
        assert!(join_chunks(&chunked).unwrap().unwrap().len() >= LARGEST_BODY);
        assert!(join_chunks(b"5\r\nhello6\r\n").is_err());
    }

    #[tokio::test]
    async fn a_closed_port_is_reported_as_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(get(url, EXCHANGE).await, Err(LinkLocalError::Refused { .. })));
    }

    #[test]
    fn urls_are_split() {
        assert_eq!(split("http://169.254.169.254"), Some(("169.254.169.254", "/")));
        assert_eq!(split("http://[fe80::1]:80/a?b=c/d"), Some(("[fe80::1]:80", "/a?b=c/d")));
        assert_eq!(split("https://169.254.169.254/"), None);
        assert_eq!(split("http://a/b\r\nX: y"), None);
        assert_eq!(split("http://a?b"), None);
        assert_eq!(split("http://u@a/b"), None);
    }
}
