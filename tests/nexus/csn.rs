//! The cloud services network's proxy at 169.254.0.11:3128: CONNECT and absolute-form requests to the names on
//! its egress list. Every name leads to the simulated Azure in this process.

use std::io;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::azure;
use crate::http1::{self, Answer, Request};
use crate::nexus::spec::{CsnPlan, HttpAct};
use crate::world::{Server, World};

/// Names that `--enable-default-egress-endpoints` opens here. The true list is not published; this is what
/// enrolment needs without the package repository.
const DEFAULT_EGRESS: [&str; 15] = [
    "management.azure.com",
    "login.microsoftonline.com",
    ".login.microsoft.com",
    "pas.windows.net",
    ".his.arc.azure.com",
    ".guestconfiguration.azure.com",
    "guestnotificationservice.azure.com",
    ".guestnotificationservice.azure.com",
    ".servicebus.windows.net",
    ".blob.core.windows.net",
    "aka.ms",
    ".usgovcloudapi.net",
    ".chinacloudapi.cn",
    ".azure.us",
    ".azure.cn",
];

/// Serves one connection to the proxy.
pub async fn serve(world: World, tls: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(request) = http1::read_request(&mut stream).await? else { return Ok(()) };
        let offset = world.state().csn.clock_offset_s;
        let host = host_of(&request);
        let act = next_act(&world, &host, request.method == "CONNECT");
        let refusal = refusal(&world.state().csn, &request, &host);
        let empty = matches!(act, Some(HttpAct::EmptyTunnel));
        let answer = match act {
            None | Some(HttpAct::EmptyTunnel) => refusal,
            Some(HttpAct::Late(ms)) => {
                tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
                refusal
            }
            act => Some(http1::play(act, || denied("ERR_ACCESS_DENIED 0"))),
        };
        if let Some(answer) = answer {
            world.note(Server::Csn, &host, &request, answer.status());
            if !http1::write_answer(&mut stream, &request, answer, offset).await? {
                return stream.shutdown().await;
            }
            continue;
        }
        world.note(Server::Csn, &host, &request, 200);
        if request.method == "CONNECT" {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            return if empty { stream.shutdown().await } else { tunnel(world, tls, stream, host).await };
        }
        let answer = azure::answer(&world, &host, &origin_form(&request)).with("Via", "1.1 csn (squid/5.7)");
        if !http1::write_answer(&mut stream, &request, answer, offset).await? {
            return stream.shutdown().await;
        }
    }
}

/// What the tunnel leads to: TLS with a certificate for the name, then HTTP.
async fn tunnel(
    world: World,
    tls: TlsAcceptor,
    stream: BufReader<TcpStream>,
    host: String,
) -> io::Result<()> {
    let stream = tls.accept(stream).await?;
    let mut stream = BufReader::new(stream);
    let offset = || world.state().azure.clock_offset_s;
    http1::serve(&mut stream, offset, |request| azure::answer(&world, &host, request)).await
}

fn next_act(world: &World, host: &str, connect: bool) -> Option<HttpAct> {
    let mut state = world.state();
    let for_host = state.hosts.get_mut(host).and_then(crate::world::Stage::next);
    for_host.or_else(|| if connect { state.connect.next() } else { None })
}

/// The reason why the proxy refuses a request, if it does.
fn refusal(plan: &CsnPlan, request: &Request, host: &str) -> Option<Answer> {
    if host.is_empty() {
        let answer = squid_page(400, "ERR_INVALID_URL 0", "Invalid URL");
        return Some(answer);
    }
    if let Some(credentials) = &plan.credentials {
        let wanted = format!("Basic {}", STANDARD.encode(credentials));
        if request.header("proxy-authorization") != Some(wanted.as_str()) {
            let page = squid_page(407, "ERR_CACHE_ACCESS_DENIED 0", "Cache Access Denied.");
            return Some(page.with("Proxy-Authenticate", "Basic realm=\"CSN\""));
        }
    }
    if request.method == "CONNECT" && !request.target.ends_with(":443") {
        return Some(denied("ERR_ACCESS_DENIED 0"));
    }
    if allowed(plan, host) {
        None
    } else {
        Some(denied("ERR_ACCESS_DENIED 0"))
    }
}

fn allowed(plan: &CsnPlan, host: &str) -> bool {
    let defaults: &[&str] = if plan.default_egress { &DEFAULT_EGRESS } else { &[] };
    let mut names = defaults.iter().copied().chain(plan.additional.iter().map(String::as_str));
    let on_list = |entry: &str| {
        host.eq_ignore_ascii_case(entry.trim_start_matches('.'))
            || host.to_ascii_lowercase().ends_with(&format!(".{}", entry.trim_start_matches('.')))
    };
    names.any(on_list) && !plan.refused.iter().any(|entry| on_list(entry))
}

fn host_of(request: &Request) -> String {
    let authority = match request.method.as_str() {
        "CONNECT" => request.target.as_str(),
        _ => request.target.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap_or(""),
    };
    authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase()
}

fn origin_form(request: &Request) -> Request {
    let mut request = request.clone();
    if let Some(rest) = request.target.strip_prefix("http://") {
        request.target = rest.find('/').map_or("/", |at| &rest[at..]).to_owned();
    }
    request
}

fn denied(error: &str) -> Answer {
    squid_page(403, error, "Access Denied.")
}

/// An error in squid's format.
fn squid_page(status: u16, error: &str, title: &str) -> Answer {
    let id = error.split(' ').next().unwrap_or("");
    let body = format!(
        "<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 4.01//EN\">\n<html><head>\n\
         <title>ERROR: The requested URL could not be retrieved</title>\n</head><body id=\"{id}\">\n\
         <h1>ERROR</h1>\n<h2>The requested URL could not be retrieved</h2>\n<p><b>{title}</b></p>\n\
         <p>Generated by csn (squid/5.7)</p>\n</body></html>\n"
    );
    Answer::new(status, "text/html;charset=utf-8", body)
        .with("Server", "squid/5.7")
        .with("Mime-Version", "1.0")
        .with("X-Squid-Error", error)
        .with("X-Cache", "MISS from csn")
        .with("Via", "1.1 csn (squid/5.7)")
}
