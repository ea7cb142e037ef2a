//! HTTPS through the proxy for the stand-in programs: blocking, one request per connection.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const TIME_LIMIT: Duration = Duration::from_secs(20);
const SYSTEM_STORE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// One request.
pub struct Call<'a> {
    /// `http://host:port`, or nothing for a direct connection.
    pub proxy: Option<&'a str>,
    pub host: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub token: Option<&'a str>,
    pub body: Option<String>,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Call<'_> {
    /// Sends the request; errors are worded like those of Go programs.
    pub fn send(&self) -> Result<Response, String> {
        let url = format!("https://{}{}", self.host, self.path);
        let method = self.method.get(..1).unwrap_or("").to_owned() + &self.method[1..].to_ascii_lowercase();
        self.attempt().map_err(|error| format!("{method} \"{url}\": {error}"))
    }

    fn attempt(&self) -> Result<Response, String> {
        let stream = match self.proxy {
            Some(proxy) => tunnel(proxy, self.host)?,
            None => connect(self.host, 443)?,
        };
        let name = ServerName::try_from(self.host.to_owned()).map_err(|error| error.to_string())?;
        let session = ClientConnection::new(Arc::new(trust()?), name).map_err(|error| error.to_string())?;
        let mut stream = StreamOwned::new(session, stream);
        let body = self.body.as_deref().unwrap_or("");
        let mut request = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: azcmagent (stand-in)\r\nConnection: close\r\n",
            self.method, self.path, self.host
        );
        if let Some(token) = self.token {
            request += &format!("Authorization: Bearer {token}\r\n");
        }
        if self.body.is_some() {
            request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        request += &format!("\r\n{body}");
        stream.write_all(request.as_bytes()).map_err(|error| format!("tls: {error}"))?;
        read_response(&mut BufReader::new(stream)).map_err(|error| error.to_string())
    }
}

fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let address = (host, port).to_socket_addrs().ok().and_then(|mut found| found.next());
    let Some(address) = address else { return Err(format!("dial tcp: lookup {host}: no such host")) };
    let stream = TcpStream::connect_timeout(&address, TIME_LIMIT)
        .map_err(|error| format!("dial tcp {address}: connect: {}", plain(&error)))?;
    stream.set_read_timeout(Some(TIME_LIMIT)).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// `Connection refused (os error 111)` as `connection refused`.
fn plain(error: &std::io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or("").to_ascii_lowercase()
}

fn tunnel(proxy: &str, host: &str) -> Result<TcpStream, String> {
    let rest = proxy.strip_prefix("http://").unwrap_or(proxy).trim_end_matches('/');
    let (credentials, address) = rest.rsplit_once('@').map_or((None, rest), |(c, a)| (Some(c), a));
    let (name, port) = address.rsplit_once(':').unwrap_or((address, "80"));
    let stream = connect(name, port.parse().map_err(|_| format!("invalid proxy port {port}"))?)?;
    let mut request = format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n");
    if let Some(credentials) = credentials {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(crate::http1::decode(credentials));
        request += &format!("Proxy-Authorization: Basic {encoded}\r\n");
    }
    request += "\r\n";
    (&stream).write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    // Nothing comes after the head of a successful answer before we speak, so none of it gets lost here.
    let mut lines = BufReader::new(&stream).lines();
    let first = lines.next().transpose().map_err(|error| format!("proxyconnect tcp: {error}"))?;
    let status = first.as_deref().and_then(|line| line.split_once(' ')).map_or("EOF", |(_, rest)| rest);
    if !status.starts_with("200") {
        return Err(status.split_once(' ').map_or(status, |(_, reason)| reason).to_owned());
    }
    for line in lines {
        if line.map_err(|error| error.to_string())?.is_empty() {
            break;
        }
    }
    Ok(stream)
}

/// Uses the system's trust store, or the bundle named in the environment, like curl and Go.
fn trust() -> Result<ClientConfig, String> {
    let named = ["SSL_CERT_FILE", "CURL_CA_BUNDLE"].iter().find_map(|name| std::env::var(name).ok());
    let file = named.unwrap_or_else(|| SYSTEM_STORE.to_owned());
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(&file).map_err(|error| format!("{file}: {error}"))?;
    roots.add_parsable_certificates(found.flatten());
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
}

fn read_response(stream: &mut impl BufRead) -> std::io::Result<Response> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    if status == 0 {
        return Err(std::io::Error::other("EOF"));
    }
    let mut response = Response { status, ..Response::default() };
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        response.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length =
        response.headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    stream.take(length).read_to_string(&mut response.body)?;
    Ok(response)
}

/// A plain GET of the IMDS, as azcmagent makes it to find out whether it is on an Azure VM.
pub fn imds_status(path: &str) -> u16 {
    let attempt = || -> Result<Response, String> {
        let mut stream = connect("169.254.169.254", 80)?;
        let host = "Host: 169.254.169.254\r\nMetadata: true\r\nUser-Agent: azcmagent (stand-in)";
        let request = format!("GET {path} HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n");
        stream.set_read_timeout(Some(Duration::from_secs(2))).map_err(|error| error.to_string())?;
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        read_response(&mut BufReader::new(stream)).map_err(|error| error.to_string())
    };
    attempt().map_or(0, |response| response.status)
}
