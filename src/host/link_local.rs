//! Plain HTTP to a link-local neighbour: no proxy whatever the environment says, no redirects, small bodies.
#![expect(clippy::disallowed_methods, reason = "this is the door that the ban leads to")]

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tracing::info;

/// Time for the TCP connection; the neighbour is on this host.
const CONNECT: Duration = Duration::from_secs(3);

/// Time for a whole exchange: public reports name answers after 6 s, so 1 s probes fail healthy sidecars.
const EXCHANGE: Duration = Duration::from_secs(15);

/// The largest body that is read: a token reply has 2 to 8 KiB.
const LARGEST_BODY: usize = 64 << 10;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum LinkLocalError {
    /// The connection was refused: the address is there, nobody listens.
    #[error("{url}: connection refused")]
    Refused {
        /// What was asked.
        url: String,
    },
    /// There is no way to the address.
    #[error("{url}: no route ({detail})")]
    NoRoute {
        /// What was asked.
        url: String,
        /// What the operating system said.
        detail: String,
    },
    /// Nothing, or not everything, came in time.
    #[error("{url}: no answer within {} s", after.as_secs().max(1))]
    Timeout {
        /// What was asked.
        url: String,
        /// How long it took.
        after: Duration,
    },
    /// The exchange broke off, or what came is not HTTP.
    #[error("{url}: {detail}")]
    Broken {
        /// What was asked.
        url: String,
        /// The causes, joined.
        detail: String,
    },
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, cut at 64 KiB.
    pub body: String,
}

impl Reply {
    /// The first field of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// The client.
#[derive(Clone, Debug)]
pub struct LinkLocal {
    client: reqwest::Client,
}

impl LinkLocal {
    /// A client that ignores every proxy setting.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(EXCHANGE)
            .build()?;
        Ok(Self { client })
    }

    /// GET with `Metadata: true`.
    ///
    /// # Errors
    /// [`LinkLocalError`]; an HTTP status of failure is not one of them.
    pub async fn get(&self, url: &str) -> Result<Reply, LinkLocalError> {
        info!(event = "http.started", url, "GET {url}");
        let started = Instant::now();
        let result = self.exchange(url).await.map_err(|error| explain(url, &error, started.elapsed()));
        let elapsed_ms = started.elapsed().as_millis();
        match &result {
            Ok(reply) => {
                info!(
                    event = "http.finished",
                    url,
                    status = reply.status,
                    elapsed_ms,
                    "GET {url}: {}",
                    reply.status
                );
            }
            Err(error) => info!(event = "http.finished", url, status = "none", elapsed_ms, "{error}"),
        }
        result
    }

    async fn exchange(&self, url: &str) -> Result<Reply, reqwest::Error> {
        let mut response = self.client.get(url).header("Metadata", "true").send().await?;
        let status = response.status().as_u16();
        let text =
            |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers =
            response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() >= LARGEST_BODY {
                body.truncate(LARGEST_BODY);
                break;
            }
        }
        Ok(Reply { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn explain(url: &str, error: &reqwest::Error, after: Duration) -> LinkLocalError {
    let url = url.to_owned();
    let mut details = Vec::new();
    let mut cause = error.source();
    while let Some(source) = cause {
        if let Some(io) = source.downcast_ref::<std::io::Error>() {
            match io.kind() {
                ErrorKind::ConnectionRefused => return LinkLocalError::Refused { url },
                ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
                    return LinkLocalError::NoRoute { url, detail: io.to_string() };
                }
                _ => {}
            }
        }
        details.push(source.to_string());
        cause = source.source();
    }
    if error.is_timeout() {
        return LinkLocalError::Timeout { url, after };
    }
    details.dedup();
    LinkLocalError::Broken { url, detail: details.join(": ") }
}
