//! The names of Azure behind the proxy: ARM, sign-in, the Arc services and the package repository.

use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::json;

use crate::arm;
use crate::http1::{play, Answer, Request};
use crate::nexus::spec::{AGENT_VERSION, PACKAGE};
use crate::world::{Server, World};

const REPOSITORY_KEY: &str = include_str!("replies/repository-key.asc");

/// Answers and records one request to one of the names.
pub fn answer(world: &World, host: &str, request: &Request) -> Answer {
    let act = world.state().route(host);
    let answer = play(act, || match host {
        host if host.starts_with("management.") => arm::answer(&mut world.state(), request),
        "packages.microsoft.com" => packages(world, request),
        "aka.ms" => aka(request),
        "gbl.his.arc.azure.com" if request.path() == "/azcmagent-linux" => script(world),
        host => other(host, request),
    });
    world.note(Server::Azure, host, request, answer.status());
    answer
}

/// Names that only have to be reached: any HTTP answer is enough.
fn other(host: &str, request: &Request) -> Answer {
    if host.starts_with("login.") {
        let tenant = request.path().trim_matches('/').split('/').next().unwrap_or("").to_owned();
        if request.path().ends_with("/.well-known/openid-configuration") {
            let issuer = format!("https://sts.windows.net/{tenant}/");
            return Answer::json(200, &json!({"issuer": issuer}));
        }
        return Answer::new(
            200,
            "text/html; charset=utf-8",
            "<html><title>Sign in to your account</title></html>",
        );
    }
    if host == "guestnotificationservice.azure.com" && request.path() == "/urls/allowlist" {
        return Answer::json(200, &json!(["azgn-eastus-public-1p-1.servicebus.windows.net"]));
    }
    Answer::json(404, &json!({"error": {"code": "NotFound", "message": "Nothing is here."}}))
}

fn aka(request: &Request) -> Answer {
    match request.path() {
        "/azcmagent" => Answer::new(301, "text/plain", "")
            .with("Location", "https://gbl.his.arc.azure.com/azcmagent-linux"),
        _ => Answer::new(302, "text/plain", "").with("Location", "https://www.bing.com/"),
    }
}

/// The installation script: like the official one it ends with 0 or 1 only and writes its result to `--output`.
/// It calls the VM's own stand-ins by their full paths, so that it cannot touch the machine it runs on.
fn script(world: &World) -> Answer {
    let act = world.state().route("script");
    let root = world.root.clone();
    play(act, || {
        let text = include_str!("replies/install-script.sh").replace("@ROOT@", &root.to_string_lossy());
        Answer::new(200, "application/octet-stream", text)
    })
}

/// A static folder, or a small repository that is just enough for the apt-get stand-in.
fn packages(world: &World, request: &Request) -> Answer {
    let act = world.state().route("packages");
    let folder = world.state().azure.packages.clone();
    play(act, || match folder {
        Some(folder) => file(&folder, request),
        None => built_in(request.path()),
    })
}

fn built_in(path: &str) -> Answer {
    let text = match path {
        "/keys/microsoft.asc" | "/keys/microsoft-2025.asc" => REPOSITORY_KEY.to_owned(),
        "/" => "<html><h1>Linux Software Repository for Microsoft Products</h1></html>".to_owned(),
        path if path.ends_with("/InRelease") => {
            "Origin: microsoft-prod bookworm\nSuite: bookworm\nArchitectures: amd64 arm64\n".to_owned()
        }
        path if path.ends_with("/Packages") => {
            format!("Package: azcmagent\nVersion: {AGENT_VERSION}\nArchitecture: amd64\n")
        }
        path if path.ends_with(".deb") || path.ends_with(".rpm") => PACKAGE.to_owned(),
        path if path.ends_with("repomd.xml") => "<repomd></repomd>".to_owned(),
        _ => return Answer::new(404, "text/plain", "404 Not Found"),
    };
    Answer::new(200, "text/plain", text)
}

fn file(folder: &Path, request: &Request) -> Answer {
    let path = crate::http1::decode(request.path());
    let below: PathBuf =
        Path::new(&path).components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let path = folder.join(below);
    let Ok(content) = std::fs::read(&path) else { return Answer::new(404, "text/plain", "404 Not Found") };
    let changed = std::fs::metadata(&path).and_then(|data| data.modified()).unwrap_or(UNIX_EPOCH);
    let modified = httpdate::fmt_http_date(changed);
    if request.header("if-modified-since") == Some(modified.as_str()) {
        return Answer::new(304, "text/plain", "").with("Last-Modified", &modified);
    }
    Answer::new(200, "application/octet-stream", content).with("Last-Modified", &modified)
}
