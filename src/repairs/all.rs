//! The repairs: what the agent does by itself. Each does one thing once; the loop bounds them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::catalogue;
use crate::clients::arm::{self, Machine};
use crate::clients::azcmagent::{self, connect, show::Show, MAIN_SERVICE, PROGRAM};
use crate::clients::imds::Token;
use crate::conditions::{connected, proxy_environment, Vm};
use crate::host::commands::{CommandError, Finished, Run};
use crate::host::https::Reply;
use crate::host::memory_file::MemoryFile;
use crate::model::condition::Condition;
use crate::model::fault::{Fault, Repair};
use crate::model::secret::Secret;
use crate::settings::{Install, TokenHandover};

/// Time limit of a connect: its own is 10 minutes (release notes of 1.17).
const CONNECT_LIMIT: Duration = Duration::from_secs(12 * 60);

/// Time limit of a change to services.
const SERVICE_LIMIT: Duration = Duration::from_secs(90);

/// How long ARM may take to delete a machine after it has said yes.
const DELETE_LIMIT: Duration = Duration::from_secs(2 * 60);

/// Time limit of a disconnect on this VM alone.
const DISCONNECT_LIMIT: Duration = Duration::from_secs(2 * 60);

impl Vm {
    /// Whether the configuration allows a repair.
    pub fn may(&self, repair: Repair) -> bool {
        match repair {
            Repair::PersistProxy => self.settings.proxy.persist,
            Repair::AllowAzureVm => self.settings.agent.allow_azure_vm,
            Repair::UpgradeAgent => self.settings.agent.install != Install::Never,
            Repair::RecreateExpired => self.settings.repair.recreate_expired,
            _ => true,
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// What stands in the way of the repair itself.
    pub async fn repair(&self, repair: Repair) -> Result<(), Fault> {
        match repair {
            Repair::PersistProxy => self.persist_proxy().await,
            Repair::StepClock => self.step_clock().await,
            Repair::RenewToken => {
                self.invalidate_token();
                Ok(())
            }
            Repair::InstallAgent | Repair::UpgradeAgent => super::install_agent::install(self).await,
            Repair::ConfigurePackages => super::install_agent::finish_interrupted(self).await,
            Repair::StartServices => self.services("start").await,
            Repair::RestartServices => self.services("restart").await,
            Repair::SetAgentProxy => self.set_agent_proxy().await,
            Repair::AllowAzureVm => self.allow_azure_vm().await,
            Repair::Connect => self.connect().await,
            Repair::RecreateExpired => self.recreate_expired().await,
        }
    }

    /// The next look at `identity` asks for a new token.
    pub fn invalidate_token(&self) {
        *self.learnt.token.borrow_mut() = None;
    }

    /// The token, as long as nothing has spent it.
    pub(crate) fn token(&self) -> Result<Rc<Token>, Fault> {
        let held = self.learnt.token.borrow().clone();
        held.ok_or_else(|| catalogue::IDENTITY_TOKEN_REJECTED.with_evidence("the token is spent"))
    }

    /// After a refusal the next try is made with a fresh token: the role may be newer than this one.
    fn spend_for(&self, failure: &Fault) {
        if failure.kind.recheck_from <= Condition::Identity {
            self.invalidate_token();
        }
    }

    async fn persist_proxy(&self) -> Result<(), Fault> {
        for args in proxy_environment::persist(self).await? {
            self.systemctl(&args).await?;
        }
        Ok(())
    }

    async fn step_clock(&self) -> Result<(), Fault> {
        let programs: [(&str, &[&str]); 3] = [
            ("chronyc", &["makestep"]),
            ("timedatectl", &["set-ntp", "true"]),
            ("systemctl", &["restart", "systemd-timesyncd.service"]),
        ];
        for (program, args) in programs {
            if self.host.commands.find(program).is_some() {
                let run = Run::new(program, args, SERVICE_LIMIT);
                if self.host.commands.run(run).await.is_ok_and(|finished| finished.succeeded()) {
                    return Ok(());
                }
            }
        }
        // Whether it helped is for the next look at the clock to say.
        Ok(())
    }

    async fn systemctl(&self, args: &[&str]) -> Result<Box<Finished>, Fault> {
        let run = Run::new("systemctl", args, self.within(SERVICE_LIMIT));
        self.host
            .commands
            .run(run)
            .await
            .map_err(|error| catalogue::AGENT_SERVICE_DOWN.with_evidence(error.to_string()))
    }

    async fn services(&self, verb: &str) -> Result<(), Fault> {
        let finished = self.systemctl(&[verb, MAIN_SERVICE]).await?;
        if !finished.succeeded() {
            let said = self.host.last_words(&finished);
            return Err(catalogue::AGENT_SERVICE_DOWN
                .with_evidence(format!("systemctl {verb} {MAIN_SERVICE}: {said}")));
        }
        for service in azcmagent::SERVICES.iter().filter(|service| **service != MAIN_SERVICE) {
            // Which of the others exist depends on the version; the next look judges what counts.
            let _judged_later = self.systemctl(&[verb, service]).await?;
        }
        Ok(())
    }

    async fn set_agent_proxy(&self) -> Result<(), Fault> {
        let Some(proxy) = &self.settings.proxy.url else { return Ok(()) };
        let value = proxy.credentials().is_none().then(|| proxy.without_credentials());
        let finished = azcmagent::configure(&self.host.commands, "proxy.url", value.as_deref())
            .await
            .map_err(|error| catalogue::AGENT_BROKEN.with_evidence(error.to_string()))?;
        if finished.succeeded() {
            self.learnt.agent_proxy_set.set(true);
            return Ok(());
        }
        let said = self.host.last_words(&finished);
        Err(catalogue::AGENT_BROKEN.with_evidence(format!("azcmagent would not take its proxy.url: {said}")))
    }

    /// Documented for tests only; the services look once, when they start, so they are restarted.
    async fn allow_azure_vm(&self) -> Result<(), Fault> {
        self.systemctl(&["set-environment", "MSFT_ARC_TEST=true"]).await?;
        self.host.commands.set_environment("MSFT_ARC_TEST", "true");
        if self.host.commands.find(PROGRAM).is_some() {
            self.services("restart").await?;
        }
        Ok(())
    }

    /// One `azcmagent connect`, bounded, its output in the log line by line.
    async fn connect(&self) -> Result<(), Fault> {
        let token = self.token()?;
        let Some(name) = self.resource_name() else {
            return Err(catalogue::AGENT_CONFIGURATION
                .with_evidence("the hostname makes no legal name; set azure.resource_name"));
        };
        let Some(tenant) = self.tenant() else {
            return Err(catalogue::IDENTITY_TENANT_UNKNOWN
                .with_evidence("the token's text tells nothing, and azure.tenant_id is not set"));
        };
        let azure = &self.settings.azure;
        let correlation =
            azure.correlation_id.as_ref().map_or_else(|| self.run_id.clone(), ToString::to_string);
        let target =
            connect::Target { azure, tenant: &tenant, name: name.as_str(), correlation_id: &correlation };
        let by_file = self.settings.agent.token == TokenHandover::File;
        let content = connect::configuration(&target, by_file.then_some(&token.secret));
        let file = MemoryFile::create(&self.host.files, "connect.json", &content)
            .map_err(|error| proxy_environment::not_writable(self, &error))?;
        let mut args = vec!["connect".to_owned(), "--config".to_owned(), file.path().display().to_string()];
        if !by_file {
            args.extend(["--access-token".to_owned(), token.secret.reveal().to_owned()]);
        }
        let wants_detail = self.learnt.wants_detail.get();
        let mut is_verbose = self.verbose || wants_detail == Some(true);
        let mut result = self.run_connect(&args, is_verbose).await;
        if let (Err((failure, _)), false, None) = (&result, is_verbose, wants_detail) {
            if has_more_to_tell(failure) {
                // What is tried again in this run is verbose then; what ends the run is tried once more for it.
                is_verbose = !self.is_tried_again(failure) && Instant::now() < self.deadline;
                self.learnt.wants_detail.set(Some(!is_verbose));
                if is_verbose {
                    info!(
                        event = "connect.verbose",
                        fault = failure.code(),
                        "connect failed; it is run once more verbosely, so that the log has the details"
                    );
                    result = self.run_connect(&args, true).await;
                }
            }
        } else if wants_detail == Some(true) {
            self.learnt.wants_detail.set(Some(false));
        }
        drop(file);
        match result {
            Ok(is_new) => {
                self.learnt.connected.set(true);
                if is_new {
                    self.settle_tags(&token.secret, name.as_str()).await;
                }
                Ok(())
            }
            Err((failure, words)) => {
                Err(self.look_closer(failure, &words, &token.secret, name.as_str()).await)
            }
        }
    }

    /// Whether the loop connects again after this failure: it waits, or it repairs something first.
    fn is_tried_again(&self, failure: &Fault) -> bool {
        failure.kind.backoff.is_some() || failure.kind.repair.is_some_and(|repair| self.may(repair))
    }

    /// One run; whether it connected, or was connected already. A failure comes with everything that was said.
    async fn run_connect(&self, args: &[String], is_verbose: bool) -> Result<bool, (Fault, String)> {
        let transcript = RefCell::new(String::new());
        let watch = |line: &str| {
            let line = self.host.mask.apply(line);
            info!(event = "connect.output", line = %line.trim_end(), "azcmagent: {}", line.trim());
            transcript.borrow_mut().push_str(&format!("{line}\n"));
            !line.contains(connect::SIGN_IN)
        };
        let mut run = Run::new(PROGRAM, &[], self.within(CONNECT_LIMIT));
        run.args = args.to_vec();
        if is_verbose {
            run.args.push("--verbose".to_owned());
        }
        run.watch = Some(&watch);
        let result = self.host.commands.run(run).await;
        let transcript = transcript.take();
        let failure = match result {
            Ok(finished) if finished.succeeded() && !connect::says_failure(&transcript) => return Ok(true),
            Ok(finished)
                if finished.code == Some(connect::ALREADY_CONNECTED)
                    || connect::agent_code(&transcript) == Some(connect::ALREADY_CONNECTED) =>
            {
                return self.already_connected(&transcript).map_err(|fault| (fault, transcript));
            }
            Ok(finished) => connect::read_failure(finished.code, &transcript),
            Err(error) => {
                let entry = match *error {
                    CommandError::TimedOut { .. } => &catalogue::CONNECTED_TIMEOUT,
                    CommandError::Stopped { .. } => &catalogue::CONNECTED_TOKEN_NOT_TAKEN,
                    CommandError::NotFound { .. } => &catalogue::AGENT_ABSENT,
                    CommandError::Start { .. } => &catalogue::AGENT_BROKEN,
                };
                entry.with_evidence(error.to_string())
            }
        };
        self.spend_for(&failure);
        Err((failure, connect::without_details(&transcript)))
    }

    /// Connected already: to this target is as good as now, to another one is not; `show` has the last word.
    fn already_connected(&self, transcript: &str) -> Result<bool, Fault> {
        let Some(id) = connect::named_machine(transcript) else { return Ok(false) };
        let named = Show { resource_id: id.to_owned(), ..Show::default() };
        match connected::elsewhere(self, &named) {
            Some(difference) => Err(catalogue::CONNECTED_ELSEWHERE
                .with_evidence(format!("it is connected as {id}: {difference}"))),
            None => Ok(false),
        }
    }

    /// A failed connect with what Azure knows beyond azcmagent's words.
    async fn look_closer(&self, failure: Fault, words: &str, token: &Secret, name: &str) -> Fault {
        if failure.code() == catalogue::CONNECTED_NAME_TAKEN.code {
            return self.look_at_namesake(failure, token, name).await;
        }
        let is_role =
            [catalogue::ACCESS_ROLE.code, catalogue::ACCESS_LIST_ROLE.code].contains(&failure.code());
        let Some(action) = arm::refused_action(words).filter(|_| is_role) else { return failure };
        let is_listed = self.learnt.permissions.borrow().as_ref().is_some_and(|listed| listed.grants(action));
        let (entry, note) = match arm::role_of(action) {
            _ if is_listed => {
                (&catalogue::ACCESS_PROPAGATING, "Azure lists this action for the identity".to_owned())
            }
            Some(role) => (failure.kind, format!("the action {action} is of the role {role}")),
            None => (failure.kind, format!("the action {action} is of neither of the two roles")),
        };
        entry.with_evidence(format!("{note}; {}", failure.evidence))
    }

    /// Who has the name: a machine that this very VM has made is half-made, not another one's.
    async fn look_at_namesake(&self, failure: Fault, token: &Secret, name: &str) -> Fault {
        let machine = match self.arm(token).machine(name).await {
            Ok(reply) if reply.status == 200 => Machine::read(&reply.body),
            _ => return failure,
        };
        let own = connected::ask(self).await.map(|show| show.vm_id).unwrap_or_default();
        let is_own = !own.is_empty() && own.eq_ignore_ascii_case(&machine.vm_id);
        let entry = if is_own { &catalogue::CONNECTED_HALF_MADE } else { failure.kind };
        entry.with_evidence(format!(
            "Azure has a machine {name} that is {} since {}, of the VM with id {}{}; {}",
            machine.status,
            machine.changed,
            machine.vm_id,
            if is_own { ", which is this one" } else { "" },
            failure.evidence
        ))
    }

    /// Deletes the machine in Azure first: interrupted after it, the VM still says Expired and the next run goes on.
    async fn recreate_expired(&self) -> Result<(), Fault> {
        let show = connected::ask(self).await?;
        let target = connected::machine_of(&show).filter(|_| show.is("Expired") && show.is_onboarded());
        let (Some(name), None) = (target, connected::elsewhere(self, &show)) else {
            return Err(
                catalogue::CONNECTED_RECREATE.with_evidence("what azcmagent shows has changed meanwhile")
            );
        };
        let token = self.token()?;
        self.delete_machine(&token.secret, name.as_str(), &show.vm_id).await?;
        let args = ["disconnect", "--force-local-only"];
        let run = Run::new(PROGRAM, &args, self.within(DISCONNECT_LIMIT));
        match self.host.commands.run(run).await {
            Ok(finished) if finished.succeeded() => Ok(()),
            Ok(finished) => Err(catalogue::CONNECTED_RECREATE.with_evidence(format!(
                "azcmagent disconnect ({}): {}",
                finished.status(),
                self.host.last_words(&finished)
            ))),
            Err(error) => Err(catalogue::CONNECTED_RECREATE.with_evidence(error.to_string())),
        }
    }

    /// Deletes exactly this machine of the configured group, if it is this VM's, and waits until it is gone.
    async fn delete_machine(&self, token: &Secret, name: &str, vm_id: &str) -> Result<(), Fault> {
        let failed = |what: &str, status: u16| {
            catalogue::CONNECTED_RECREATE
                .with_evidence(format!("deleting {name} in Azure: {what} HTTP {status}"))
        };
        let arm = self.arm(token);
        let until = Instant::now() + self.within(DELETE_LIMIT);
        let mut method = "GET";
        let mut is_deleted = false;
        loop {
            let reply = arm.on_machine(method, name).await;
            let reply =
                reply.map_err(|error| catalogue::CONNECTED_NETWORK.with_evidence(error.to_string()))?;
            // At the first look, too: an earlier run was interrupted after this step.
            if connected::is_gone(&reply) {
                info!(event = "machine.deleted", name, "the Arc machine {name} is gone from Azure");
                return Ok(());
            }
            match (method, reply.status) {
                ("DELETE", 200 | 202 | 204) => (method, is_deleted) = ("GET", true),
                ("GET", 200) if !is_deleted => {
                    check_ownership(&Machine::read(&reply.body), name, vm_id)?;
                    method = "DELETE";
                    continue;
                }
                ("GET", _) if is_deleted && Instant::now() < until => {}
                ("GET", status) if is_deleted => {
                    return Err(failed("it is still there, a look gives", status))
                }
                (_, status) => {
                    let refusal = arm::read_refusal(&reply).inspect(|refusal| self.spend_for(refusal));
                    return Err(refusal.unwrap_or_else(|| failed("the answer is", status)));
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Quoting of `--tags` has changed over the versions of azcmagent: what is not plain is looked at in Azure.
    async fn settle_tags(&self, token: &Secret, name: &str) {
        let azure = &self.settings.azure;
        let is_plain =
            |text: &String| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if azure.tags.iter().all(|(name, value)| is_plain(name) && is_plain(value)) {
            return;
        }
        let arm = self.arm(token);
        let answered = |reply: &Reply| format!("ARM answered {}", reply.status);
        let found = match arm.machine(name).await {
            Ok(reply) if reply.status == 200 => Ok(reply.body),
            Ok(reply) => Err(answered(&reply)),
            Err(error) => Err(error.to_string()),
        };
        let machine = match found {
            Ok(machine) => machine,
            Err(why) => return warn!(event = "tags.unchecked", "the tags were not checked: {why}"),
        };
        let machine: serde_json::Value = serde_json::from_str(&machine).unwrap_or_default();
        let stored = |(name, value): (&String, &String)| {
            machine.get("tags").and_then(|tags| tags.get(name)).and_then(serde_json::Value::as_str)
                == Some(value)
        };
        if azure.tags.iter().all(stored) {
            return info!(event = "tags.checked", "the tags stand in Azure as configured");
        }
        let why = match arm.set_tags(name).await {
            Ok(reply) if (200..300).contains(&reply.status) => {
                return info!(event = "tags.written", "the tags were written again");
            }
            Ok(reply) => answered(&reply),
            Err(error) => error.to_string(),
        };
        warn!(event = "tags.differ", "the tags differ in Azure: {why}");
    }
}

/// Whether the machine that Azure has is this VM's: an identity that has expired connects no more.
fn check_ownership(known: &Machine, name: &str, vm_id: &str) -> Result<(), Fault> {
    if known.vm_id.eq_ignore_ascii_case(vm_id) && !known.status.eq_ignore_ascii_case("Connected") {
        return Ok(());
    }
    Err(catalogue::CONNECTED_CLONED.with_evidence(format!(
        "azcmagent says Expired for VM id {vm_id}, but Azure says {} for {name}, of the VM with id {}",
        known.status, known.vm_id
    )))
}

/// Whether a verbose run can say more: not where it took its time, asked for a person, or has done its part.
fn has_more_to_tell(failure: &Fault) -> bool {
    let done = [
        &catalogue::CONNECTED_TIMEOUT,
        &catalogue::CONNECTED_TOKEN_NOT_TAKEN,
        &catalogue::CONNECTED_HALF_MADE,
        &catalogue::CONNECTED_ELSEWHERE,
        &catalogue::AGENT_ABSENT,
    ];
    !done.iter().any(|entry| entry.code == failure.code())
}
