//! Entries that are made of other things: the proxy settings place by place, the errors met, the identity.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{json, Value};

use super::collect::{read, run};
use super::{Collected, Content, Part};
use crate::conditions::{other_files, Vm};
use crate::host::files::Files;
use crate::host::link_local::{self, EXCHANGE};
use crate::host::Host;
use crate::imds;
use crate::proxy_settings::{NO_PROXY_NAMES, PLACES, PROXY_NAMES};

/// What azcmagent asks the sidecar to find out whether this is an Azure VM (its install script).
const INSTANCE: &str = "/metadata/instance/compute?api-version=2019-06-01";

/// Words of the lines in azcmagent's own log that tell an error.
const ERRORS: [&str; 5] = ["level=fatal", "level=error", "AZCM", "FATAL", "ERROR"];

/// Every file that may hold a proxy setting with its lines about a proxy, then what this process has of them.
pub fn places(files: &Files, environment: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut seen: Vec<String> = Vec::new();
    for place in &PLACES {
        let own = (place.path.to_owned(), format!(" ({})", place.readers));
        for (path, readers) in std::iter::once(own)
            .chain(other_files(files, place).into_iter().map(|path| (path, String::new())))
        {
            if seen.contains(&path) {
                continue;
            }
            text.push_str(&format!("== {path}{readers}\n"));
            text.push_str(&match files.read(&path) {
                Ok(Some(content)) => lines_about_a_proxy(&content),
                Ok(None) => "(it is not there)\n".to_owned(),
                Err(error) => format!("({})\n", error.source),
            });
            seen.push(path);
        }
    }
    text.push_str("== environment of this program\n");
    let names = PROXY_NAMES.into_iter().chain(NO_PROXY_NAMES).chain(["ALL_PROXY", "all_proxy"]);
    let set = names.filter_map(|name| Some(format!("{name}={}\n", environment(name)?)));
    let set: String = set.collect();
    text.push_str(if set.is_empty() { "(no proxy variable)\n" } else { &set });
    text
}

fn lines_about_a_proxy(content: &str) -> String {
    let about = content.lines().filter(|line| line.to_ascii_lowercase().contains("proxy"));
    let lines: String = about.map(|line| format!("{line}\n")).collect();
    if lines.is_empty() {
        "(nothing about a proxy)\n".to_owned()
    } else {
        lines
    }
}

/// What the sidecar answers besides a token, and the environment that himds runs with.
#[derive(Default)]
pub struct Sidecar {
    answers: RefCell<Vec<(String, String)>>,
    himds: RefCell<Option<Part>>,
}

impl Sidecar {
    /// Asks the sidecar's pages.
    pub async fn ask(&self, endpoint: &str, page: &str) {
        let answer = match link_local::get(
            &format!("{endpoint}{page}"),
            EXCHANGE.min(Duration::from_secs(14)),
        )
        .await
        {
            Ok(reply) => imds::words(&reply),
            Err(error) => error.to_string(),
        };
        self.answers.borrow_mut().push((page.to_owned(), answer));
    }

    /// The pages to ask.
    pub const PAGES: [&'static str; 2] = ["/healthz", INSTANCE];

    /// Looks at the process of himds, which keeps the environment it was started with.
    pub async fn look_at_himds(&self, host: &Host) {
        let shown = run(host, "systemctl show --property=MainPID himdsd.service").await;
        let pid = match &shown {
            Content::Text(text, ..) => text.trim().strip_prefix("MainPID=").filter(|pid| *pid != "0"),
            Content::Json(_) | Content::Missing(_) => None,
        };
        let from = format!("/proc/{}/environ", pid.unwrap_or("PID"));
        let content = match pid.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())) {
            Some(_) => read(host, &from),
            None => Content::Missing("himdsd.service does not run, or systemd does not say so".to_owned()),
        };
        *self.himds.borrow_mut() = Some(Part::new("proxy/himds-environment.txt", &from, content));
    }

    /// What was found, with what is known of the identity.
    pub fn into_parts(self, vm: &Vm) -> Vec<Part> {
        let sidecar: Value = self.answers.into_inner().into_iter().collect();
        let identity = json!({
            "configured": vm.settings.identity.to_string(), "resource": vm.settings.imds.resource,
            "endpoint": vm.settings.imds.endpoint, "sidecar": sidecar,
            "claims_of_the_token": *vm.learnt.claims.borrow(),
        });
        let from = "the sidecar's pages, and the claims of a token that was not kept";
        std::iter::once(Part::new("identity.json", from, Content::Json(identity)))
            .chain(self.himds.into_inner())
            .collect()
    }
}

/// Adds the errors of the logs: our own warnings and errors with azcmagent's words, and those of azcmagent's log.
pub fn add(collected: &mut Collected) {
    let ours = |line: &&str| {
        line.starts_with('{')
            && [r#""level":"warn""#, r#""level":"error""#, r#""event":"connect.output""#]
                .iter()
                .any(|word| line.contains(word))
    };
    let theirs = |line: &&str| ERRORS.iter().any(|word| line.contains(word));
    let mut text = String::new();
    for name in ["azcmagent/log/azcmagent", "log/", "cloud-init/cloud-init-output.log"] {
        for part in collected.named(name) {
            let content = part.text().unwrap_or_default().lines();
            let lines: Vec<&str> = match name.starts_with("azcmagent") {
                true => content.filter(theirs).collect(),
                false => content.filter(ours).collect(),
            };
            text.push_str(&format!("== {} (newest last)\n", part.from));
            lines.iter().for_each(|line| text.extend([line, "\n"]));
        }
    }
    let from = "the warnings and errors of the logs, and what azcmagent connect said";
    collected.add(vec![Part::new("errors.txt", from, Content::Text(text, None, false))]);
}
