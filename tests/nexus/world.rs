//! State shared by the servers: the plans, the position of each playbook, and the record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::json;
use tokio::sync::watch;

use crate::http1::Request;
use crate::nexus::seen::{Issued, Observed, Seen};
use crate::nexus::spec::{AzurePlan, CsnPlan, HttpAct, ImdsPlan, Playbook, Span, Spec};

/// A playbook and its position.
#[derive(Debug, Default)]
pub struct Stage {
    playbook: Playbook<HttpAct>,
    scene: usize,
    played: u32,
    since: Option<Instant>,
}

impl Stage {
    fn new(playbook: &Playbook<HttpAct>) -> Self {
        Self { playbook: playbook.clone(), ..Self::default() }
    }

    /// The act for the next request; nothing when the part is healthy.
    pub fn next(&mut self) -> Option<HttpAct> {
        while let Some(scene) = self.playbook.0.get(self.scene) {
            let since = *self.since.get_or_insert_with(Instant::now);
            let goes_on = match scene.span {
                Span::Times(times) => self.played < times,
                Span::For(ms) => since.elapsed().as_millis() < u128::from(ms),
                Span::Forever => true,
            };
            if goes_on {
                self.played += 1;
                return Some(scene.act.clone());
            }
            self.scene += 1;
            self.played = 0;
            self.since = None;
        }
        None
    }
}

/// The changing part.
#[derive(Debug, Default)]
pub struct State {
    pub imds: ImdsPlan,
    pub csn: CsnPlan,
    pub azure: AzurePlan,
    pub token: Stage,
    pub healthz: Stage,
    pub connect: Stage,
    pub hosts: BTreeMap<String, Stage>,
    pub routes: BTreeMap<String, Stage>,
    /// ARM requests that were refused because of a missing role.
    pub denied: u32,
    /// Numbers of the tokens that ARM saw before the role arrived.
    pub stale_tokens: Vec<usize>,
    /// When the present plan for Azure was set.
    azure_since: Option<Instant>,
    pub seen: Observed,
}

impl State {
    pub fn set_imds(&mut self, plan: ImdsPlan) {
        self.token = Stage::new(&plan.token);
        self.healthz = Stage::new(&plan.healthz);
        self.imds = plan;
    }

    pub fn set_csn(&mut self, plan: CsnPlan) {
        self.connect = Stage::new(&plan.connect);
        self.hosts = plan.hosts.iter().map(|(host, playbook)| (host.clone(), Stage::new(playbook))).collect();
        self.csn = plan;
    }

    /// Machines that are there already stay.
    pub fn set_azure(&mut self, plan: AzurePlan) {
        self.routes =
            plan.routes.iter().map(|(route, playbook)| (route.clone(), Stage::new(playbook))).collect();
        self.denied = 0;
        self.azure_since = Some(Instant::now());
        self.seen.machines.extend(plan.machines.clone());
        self.azure = plan;
    }

    pub fn azure_for_ms(&self) -> u64 {
        self.azure_since.map_or(0, |since| crate::nexus::spec::millis(since.elapsed()))
    }

    /// The act for a request to ARM or to another host, if its playbook has one.
    pub fn route(&mut self, name: &str) -> Option<HttpAct> {
        self.routes.get_mut(name).and_then(Stage::next)
    }

    /// The number of a token in an Authorization header.
    pub fn issued(&self, authorization: &str) -> Option<&Issued> {
        let token =
            authorization.strip_prefix("Bearer ").or_else(|| authorization.strip_prefix("bearer "))?;
        self.seen.tokens.iter().find(|issued| issued.token == token)
    }
}

/// Shared by all servers of one VM.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    started: Instant,
    /// Changes when a plan is replaced, so that ports open and close at once.
    pub changed: watch::Sender<u64>,
    /// Where `nexus serve` keeps the record.
    folder: Option<PathBuf>,
    pub root: PathBuf,
}

#[derive(Clone, Copy)]
pub enum Server {
    Imds,
    Csn,
    Azure,
}

impl Server {
    fn name(self) -> &'static str {
        match self {
            Self::Imds => "imds",
            Self::Csn => "csn",
            Self::Azure => "azure",
        }
    }
}

impl World {
    pub fn new(spec: Spec, folder: Option<PathBuf>) -> Self {
        let mut state = State::default();
        state.set_imds(spec.imds);
        state.set_csn(spec.csn);
        state.set_azure(spec.azure);
        let (changed, _) = watch::channel(0);
        Self { state: Arc::new(Mutex::new(state)), started: Instant::now(), changed, folder, root: spec.root }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn elapsed_ms(&self) -> u64 {
        crate::nexus::spec::millis(self.started.elapsed())
    }

    /// Adds one request to the record.
    pub fn note(&self, server: Server, host: &str, request: &Request, status: u16) {
        let mut state = self.state();
        let mut headers = BTreeMap::new();
        for (name, value) in &request.headers {
            let shown = match name.as_str() {
                "authorization" => match state.issued(value) {
                    Some(issued) => format!("Bearer <token {}>", issued.number),
                    None => "<unknown>".to_owned(),
                },
                _ => value.clone(),
            };
            headers.insert(name.clone(), shown);
        }
        let seen = Seen {
            at_ms: self.elapsed_ms(),
            method: request.method.clone(),
            host: host.to_owned(),
            target: request.target.clone(),
            headers,
            body: String::from_utf8_lossy(&request.body).into_owned(),
            status,
        };
        if let Some(folder) = &self.folder {
            let mut line = serde_json::to_value(&seen).expect("a record is JSON");
            line["server"] = json!(server.name());
            append(&folder.join("requests.jsonl"), &line.to_string());
        }
        match server {
            Server::Imds => state.seen.imds.push(seen),
            Server::Csn => state.seen.csn.push(seen),
            Server::Azure => state.seen.azure.push(seen),
        }
        drop(state);
        self.save();
    }

    /// Keeps the machines and the tokens where `nexus serve --state` was told to, so that a test can search
    /// a disk for the tokens.
    pub fn save(&self) {
        let Some(folder) = &self.folder else { return };
        let state = self.state();
        let machines = serde_json::to_string_pretty(&state.seen.machines).expect("machines are JSON");
        let tokens: Vec<&str> = state.seen.tokens.iter().map(|issued| issued.token.as_str()).collect();
        drop(std::fs::write(folder.join("machines.json"), machines));
        drop(std::fs::write(folder.join("tokens.txt"), tokens.join("\n") + "\n"));
    }
}

fn append(path: &Path, line: &str) {
    let file = File::options().create(true).append(true).open(path);
    if let Ok(mut file) = file {
        drop(writeln!(file, "{line}"));
    }
}
