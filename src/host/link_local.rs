//! Plain HTTP to a link-local address: no proxy, no redirects, small bodies.
//!
//! reqwest is the client, configured for a neighbour of the VM: without TLS, proxies, redirects and retries, which the
//! callers do by their own rules, and with one connection per request. Names are never looked up: the host of a URL is
//! an address or `localhost`. In the static binary the resolver of the C library is therefore a stub.
#![expect(clippy::disallowed_methods, reason = "this module is the I/O boundary that the ban points to")]

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderValue, CONNECTION};
use reqwest::{redirect, retry, Client, Response};
use tokio::net::TcpStream;

use super::tasks::Task;
use crate::formats::url::{split_port, Url};

/// Timeout of the TCP connection.
const CONNECT: Duration = Duration::from_secs(3);

/// Timeout of an exchange: public reports mention responses after 6 s, so that a 1 s probe fails a healthy sidecar.
pub const EXCHANGE: Duration = Duration::from_secs(15);

/// Largest body that is read, in bytes: a token reply has 2 to 8 KiB.
const LARGEST_BODY: usize = 64 << 10;

/// Largest header that is accepted, in bytes of names and values. hyper gives up at 100 fields, and at 400 KiB, for which
/// reqwest has no option.
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
    let started = super::http_started("GET", &url);
    let result = match tokio::time::timeout(limit, exchange(&url)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(classify_error(&url, &*error, started.elapsed())),
        Err(_) => Err(LinkLocalError::Timeout { url: url.clone(), after: started.elapsed() }),
    };
    let (status, message) = match &result {
        Ok(reply) => (reply.status.to_string(), format!("GET {url}: {}", reply.status)),
        Err(error) => ("none".to_owned(), error.to_string()),
    };
    super::http_finished(&url, &status, started, &message);
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

async fn connect(url: &str) -> io::Result<TcpStream> {
    let (address, _) = split(url)?;
    tokio::time::timeout(CONNECT, TcpStream::connect(address)).await?
}

async fn exchange(url: &str) -> Result<LinkLocalReply, Box<dyn Error>> {
    let (address, target) = split(url)?;
    let request = client()?.get(format!("http://{address}{target}"));
    let mut response = request.header("Metadata", "true").header(CONNECTION, "close").send().await?;
    let headers = read_headers(response.headers())?;
    let body = read_body(&mut response).await?;
    Ok(LinkLocalReply { status: response.status().as_u16(), headers, body })
}

fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT)
        // Some sidecars compare the names of fields with their usual spelling.
        .http1_title_case_headers()
        .build()
}

/// The address and the request target of an `http://` URL.
fn split(url: &str) -> io::Result<(SocketAddr, &str)> {
    let is_clean = url.bytes().all(|byte| byte.is_ascii_graphic());
    let url = Url::split(url)
        .filter(|url| is_clean && url.scheme == "http" && url.credentials.is_none())
        .ok_or_else(|| invalid("not an http:// URL"))?;
    let (host, port) = split_port(url.authority).map_err(invalid)?;
    // The settings accept addresses and this one name.
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let address: IpAddr = host.parse().map_err(|_| invalid("its host is not an address"))?;
    Ok((SocketAddr::new(address, port.unwrap_or(80)), url.target))
}

/// The fields as text, names in lower case.
fn read_headers(fields: &HeaderMap) -> io::Result<Vec<(String, String)>> {
    let size: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > LARGEST_HEADER {
        return Err(io::Error::new(ErrorKind::InvalidData, "the header is too large"));
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(fields.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
}

/// The body, until it ends or has reached the size limit.
async fn read_body(response: &mut Response) -> reqwest::Result<String> {
    let mut body = Vec::new();
    while body.len() < LARGEST_BODY {
        let Some(chunk) = response.chunk().await? else { break };
        body.extend_from_slice(&chunk);
    }
    body.truncate(LARGEST_BODY);
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn invalid(detail: impl ToString) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, detail.to_string())
}

/// Classifies by the error of the operating system, which reqwest has at the end of its chain of causes.
fn classify_error(url: &str, error: &(dyn Error + 'static), after: Duration) -> LinkLocalError {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    let is_late = error.downcast_ref().is_some_and(reqwest::Error::is_timeout);
    let kind = if is_late { Some(ErrorKind::TimedOut) } else { root.downcast_ref().map(io::Error::kind) };
    let (url, detail) = (url.to_owned(), root.to_string());
    match kind {
        Some(ErrorKind::ConnectionRefused) => LinkLocalError::Refused { url },
        Some(ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown) => {
            LinkLocalError::NoRoute { url, detail }
        }
        Some(ErrorKind::TimedOut) => LinkLocalError::Timeout { url, after },
        _ => LinkLocalError::Broken { url, detail },
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::task::JoinHandle;

    use super::*;

    /// What a server writes as its response.
    type Pieces = &'static [&'static [u8]];

    /// Starts a server of one request; returns a URL of it, and the request once the response is written. Where
    /// `is_endless`, it repeats the last piece until the client closes the connection.
    async fn serve(pieces: Pieces, is_endless: bool) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metadata/x?v=1&resource=a%2Fb", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            request.truncate(read);
            for piece in pieces {
                stream.write_all(piece).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            while is_endless && stream.write_all(pieces.last().unwrap()).await.is_ok() {
                // A short piece is trickled.
                if pieces.last().unwrap().len() == 1 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            String::from_utf8(request).unwrap()
        });
        (url, server)
    }

    async fn exchange_pieces(pieces: Pieces) -> Result<LinkLocalReply, LinkLocalError> {
        let (url, server) = serve(pieces, false).await;
        let result = get(url, EXCHANGE).await;
        server.await.unwrap();
        result
    }

    /// The result with a server that writes until the client closes the connection, which it therefore does.
    async fn exchange_endless(pieces: Pieces, limit: Duration) -> Result<LinkLocalReply, LinkLocalError> {
        let (url, server) = serve(pieces, true).await;
        let result = get(url, limit).await;
        server.await.unwrap();
        result
    }

    #[tokio::test]
    async fn requests_have_the_usual_names_of_fields_and_the_target_as_written() {
        let (url, server) =
            serve(&[b"HTTP/1.1 204 No Content\r\nServer: IMDS\r\nX: \xff\r\n\r\n"], false).await;
        let authority = url["http://".len()..].split('/').next().unwrap().to_owned();
        let reply = get(url, EXCHANGE).await.unwrap();
        assert_eq!((reply.status, reply.body.as_str(), reply.header("server")), (204, "", Some("IMDS")));
        assert_eq!(reply.header("x"), Some("\u{fffd}"));
        let request = server.await.unwrap();
        let mut lines = request.split("\r\n");
        assert_eq!(lines.next(), Some("GET /metadata/x?v=1&resource=a%2Fb HTTP/1.1"));
        let mut fields: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        fields.sort_unstable();
        let host = format!("Host: {authority}");
        assert_eq!(fields, ["Accept: */*", "Connection: close", &host, "Metadata: true"]);
    }

    #[tokio::test]
    async fn complete_responses_are_read() {
        const RESPONSES: [(Pieces, u16, &str); 16] = [
            (&[b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\n\r\nhe", b"llo and more"], 200, "hello"),
            (&[b"HTTP/1.1 200 OK\r\ncontent-length:5\r\nX: \xff\r\n\r\nhello"], 200, "hello"),
            (&[b"HTTP/1.0 200 OK\r\n\r\nto the", b" end"], 200, "to the end"),
            (
                &[
                    b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nhe",
                    b"l\r",
                    b"\n2;x\r\nlo\r\n",
                    b"0\r\n\r\n",
                ],
                400,
                "hello",
            ),
            (
                &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n"],
                200,
                "hello",
            ),
            (
                &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\nTrailer: x\r\n\r\n"],
                200,
                "he",
            ),
            (
                &[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n"],
                200,
                "he",
            ),
            (
                &[b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"],
                503,
                "no",
            ),
            (&[b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", b"HTTP/1.0 503 Later\r\n\r\nhel", b"lo"], 503, "hello"),
            (&[b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbody"], 101, ""),
            (&[b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"], 302, ""),
            (&[b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nto"], 307, "to"),
            (&[b"HTTP/1.1 204 No Content\r\n\r\nignored"], 204, ""),
            (&[b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"], 304, ""),
            (&[b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"], 410, ""),
            (&[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe"], 200, "\u{fffd}\u{fffd}"),
        ];
        for (pieces, status, body) in RESPONSES {
            let reply = exchange_pieces(pieces).await.unwrap();
            assert_eq!((reply.status, reply.body.as_str()), (status, body), "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn incomplete_and_malformed_responses_are_errors() {
        const RESPONSES: [Pieces; 16] = [
            &[],
            &[b"HTTP/1.1 200 OK\r\nContent-"],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello"],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello"],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhello"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello6\r\n0\r\n\r\n"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n"],
            &[b"HTTP/1.1 100 Continue\r\n\r\n"],
            &[b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
            &[b"SSH-2.0-OpenSSH_9.2\r\n"],
            &[b"just text"],
        ];
        for pieces in RESPONSES {
            let result = exchange_pieces(pieces).await;
            assert!(matches!(result, Err(LinkLocalError::Broken { .. })), "{pieces:?}: {result:?}");
        }
    }

    #[tokio::test]
    async fn large_headers_are_errors() {
        const FIELD: &[u8] = &[b'x'; LARGEST_HEADER / 2];
        let two = exchange_pieces(&[b"HTTP/1.1 204 No\r\nA: ", FIELD, b"\r\nB: ", FIELD, b"\r\n\r\n"]).await;
        assert!(two.unwrap_err().to_string().ends_with(": the header is too large"));
        let one = exchange_pieces(&[b"HTTP/1.1 204 No\r\nA: ", FIELD, b"\r\n\r\n"]).await.unwrap();
        assert_eq!(one.header("a").map(str::len), Some(FIELD.len()));
        const ENDLESS: [Pieces; 3] = [
            &[b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"],
            &[b"HTTP/1.1 200 OK\r\nA: ", FIELD],
            &[b"HTTP/1.1 200 ", FIELD],
        ];
        for pieces in ENDLESS {
            let result = exchange_endless(pieces, EXCHANGE).await;
            assert!(matches!(result, Err(LinkLocalError::Broken { .. })), "{pieces:?}: {result:?}");
        }
    }

    #[tokio::test]
    async fn bodies_are_truncated_at_the_limit() {
        const PART: &[u8] = &[b'x'; 1000];
        const ENDLESS: [Pieces; 3] = [
            &[b"HTTP/1.1 200 OK\r\n\r\n", PART],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", PART],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", PART],
        ];
        for pieces in ENDLESS {
            let reply = exchange_endless(pieces, EXCHANGE).await.unwrap();
            assert_eq!((reply.status, reply.body.len()), (200, LARGEST_BODY), "{:?}", pieces[0]);
        }
    }

    #[tokio::test]
    async fn what_does_not_end_is_a_timeout() {
        const LIMIT: Duration = Duration::from_millis(200);
        const ENDLESS: [Pieces; 4] = [
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n", b"x"],
            &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n", b"x"],
            &[b"HTTP/1.1 200 OK\r\nA: ", b"x"],
            &[b"HTTP/1.1 100 Continue\r\n\r\n"],
        ];
        for pieces in ENDLESS {
            let result = exchange_endless(pieces, LIMIT).await;
            assert!(matches!(result, Err(LinkLocalError::Timeout { .. })), "{pieces:?}: {result:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_not_accepted_is_a_timeout() {
        // The queue of this listener has one place, and the system drops what comes after.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let _first = TcpStream::connect(address).await.unwrap();
        let url = format!("http://{address}");
        // EXCHANGE is longer than CONNECT, so it is the limit of the connection that ends the request.
        let (result, probed) = tokio::join!(get(url.clone(), EXCHANGE), probe(&url));
        assert!(
            matches!(result, Err(LinkLocalError::Timeout { after, .. }) if after < EXCHANGE),
            "{result:?}"
        );
        assert!(matches!(probed, Err(LinkLocalError::Timeout { .. })), "{probed:?}");
    }

    #[tokio::test]
    async fn an_address_without_a_route_is_told_apart() {
        // Linux has no route for TCP to a multicast group.
        let result = get("http://224.0.0.1:9/".to_owned(), EXCHANGE).await;
        let error = result.unwrap_err();
        assert!(
            matches!(&error, LinkLocalError::NoRoute { detail, .. } if detail.starts_with("Network is unreachable")),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_closed_port_is_reported_as_refused() {
        // Bound and not listening, so that no other test takes the port.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        assert!(matches!(get(url.clone(), EXCHANGE).await, Err(LinkLocalError::Refused { .. })));
        assert!(matches!(probe(&url).await, Err(LinkLocalError::Refused { .. })));
    }

    #[test]
    fn urls_are_split() {
        let split = |url| split(url).ok().map(|(address, target)| (address.to_string(), target));
        let right = |address: &str, target| Some((address.to_owned(), target));
        assert_eq!(split("http://169.254.169.254"), right("169.254.169.254:80", ""));
        assert_eq!(split("http://[fe80::1]:81/a?b=c/d"), right("[fe80::1]:81", "/a?b=c/d"));
        assert_eq!(split("http://localhost:8080/x"), right("127.0.0.1:8080", "/x"));
        for wrong in [
            "https://169.254.169.254/",
            "http://127.0.0.1/b\r\nX: y",
            "http://a/b",
            "http://u@127.0.0.1/b",
            "http://",
        ] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }
}
