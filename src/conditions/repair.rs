//! The repairs: what the agent does by itself. Each does one thing once; the loop bounds them.

use std::cell::RefCell;
use std::time::Duration;

use tracing::{info, warn};

use super::{proxy_environment, Vm};
use crate::arm::Arm;
use crate::azcmagent::{self, connect, MAIN_SERVICE, PROGRAM};
use crate::fault::{self, Fault, Repair};
use crate::host::commands::{tail, CommandError, Finished, Run};
use crate::host::memory_file::MemoryFile;
use crate::settings::TokenHandover;

/// Time limit of a connect: its own is 10 minutes (release notes of 1.17).
const CONNECT_LIMIT: Duration = Duration::from_secs(12 * 60);

/// Time limit of a change to services.
const SERVICE_LIMIT: Duration = Duration::from_secs(90);

/// "Machine already connected": whether to the right target is for `azcmagent show` to say.
const ALREADY_CONNECTED: &str = "AZCM0067";

impl Vm {
    /// Whether the configuration allows a repair.
    pub fn may(&self, repair: Repair) -> bool {
        match repair {
            Repair::PersistProxy => self.settings.proxy.persist,
            Repair::AllowAzureVm => self.settings.agent.allow_azure_vm,
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
                self.spend_token();
                Ok(())
            }
            Repair::InstallAgent => super::install::install(self).await,
            Repair::ConfigurePackages => super::install::finish_interrupted(self).await,
            Repair::StartServices => self.services("start").await,
            Repair::RestartServices => self.services("restart").await,
            Repair::SetAgentProxy => self.set_agent_proxy().await,
            Repair::AllowAzureVm => self.allow_azure_vm().await,
            Repair::Connect => self.connect().await,
        }
    }

    /// The next look at `identity` asks for a new token.
    pub fn spend_token(&self) {
        *self.learnt.token.borrow_mut() = None;
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

    async fn systemctl(&self, args: &[&str]) -> Result<Finished, Fault> {
        let run = Run::new("systemctl", args, SERVICE_LIMIT);
        self.host.commands.run(run).await.map_err(|error| fault::AGENT_SERVICE_DOWN.seen(error.to_string()))
    }

    async fn services(&self, verb: &str) -> Result<(), Fault> {
        let finished = self.systemctl(&[verb, MAIN_SERVICE]).await?;
        if !finished.succeeded() {
            let said = self.host.mask.apply(&tail(&finished.transcript));
            return Err(fault::AGENT_SERVICE_DOWN.seen(format!("systemctl {verb} {MAIN_SERVICE}: {said}")));
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
            .map_err(|error| fault::AGENT_BROKEN.seen(error.to_string()))?;
        if finished.succeeded() {
            self.learnt.agent_proxy_set.set(true);
            return Ok(());
        }
        let said = self.host.mask.apply(&tail(&finished.transcript));
        Err(fault::AGENT_BROKEN.seen(format!("azcmagent would not take its proxy.url: {said}")))
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
        let Some(token) = self.learnt.token.borrow().clone() else {
            return Err(fault::IDENTITY_TOKEN_REJECTED.seen("the token is spent"));
        };
        let Some(name) = self.resource_name() else {
            return Err(
                fault::AGENT_CONFIGURATION.seen("the hostname makes no legal name; set azure.resource_name")
            );
        };
        let Some(tenant) = self.tenant() else {
            return Err(fault::IDENTITY_TENANT_UNKNOWN
                .seen("the token's text tells nothing, and azure.tenant_id is not set"));
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
        if self.verbose {
            args.push("--verbose".to_owned());
        }
        let result = self.run_connect(args).await;
        drop(file);
        result?;
        self.learnt.connected.set(true);
        self.settle_tags(&token.secret, name.as_str()).await;
        Ok(())
    }

    async fn run_connect(&self, args: Vec<String>) -> Result<(), Fault> {
        let transcript = RefCell::new(String::new());
        let watch = |line: &str| {
            let line = self.host.mask.apply(line);
            info!(event = "connect.output", line = %line.trim_end(), "azcmagent: {}", line.trim());
            transcript.borrow_mut().push_str(&format!("{line}\n"));
            !line.contains(connect::SIGN_IN)
        };
        let limit = self.within(CONNECT_LIMIT);
        let mut run = Run::new(PROGRAM, &[], limit);
        run.args = args;
        run.watch = Some(&watch);
        let result = self.host.commands.run(run).await;
        let transcript = transcript.take();
        let failure = match result {
            Ok(finished) if finished.succeeded() => return Ok(()),
            Ok(finished) if finished.code == Some(67) || transcript.contains(ALREADY_CONNECTED) => {
                return Ok(())
            }
            Ok(finished) => connect::read_failure(finished.code, &transcript),
            Err(error @ CommandError::TimedOut { .. }) => fault::CONNECTED_TIMEOUT.seen(error.to_string()),
            Err(error @ CommandError::Stopped { .. }) => {
                fault::CONNECTED_TOKEN_NOT_TAKEN.seen(error.to_string())
            }
            Err(error @ CommandError::NotFound { .. }) => fault::AGENT_ABSENT.seen(error.to_string()),
            Err(error @ CommandError::Start { .. }) => fault::AGENT_BROKEN.seen(error.to_string()),
        };
        // After a refusal the next try is made with a fresh token: the role may be newer than this one.
        if failure.entry.again_from <= crate::condition::Condition::Identity {
            self.spend_token();
        }
        Err(failure)
    }

    /// Quoting of `--tags` has changed over the versions of azcmagent: what is not plain is looked at in Azure.
    async fn settle_tags(&self, token: &crate::secret::Secret, name: &str) {
        let azure = &self.settings.azure;
        let is_plain =
            |text: &String| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if azure.tags.iter().all(|(name, value)| is_plain(name) && is_plain(value)) {
            return;
        }
        let proxy = self.settings.proxy.url.as_ref();
        let arm = Arm { commands: &self.host.commands, proxy, azure, token };
        let machine = match arm.machine(name).await {
            Ok(reply) if reply.status == 200 => reply.body,
            Ok(reply) => {
                return warn!(
                    event = "tags.unchecked",
                    "the tags were not checked: ARM answered {}", reply.status
                )
            }
            Err(error) => return warn!(event = "tags.unchecked", "the tags were not checked: {error}"),
        };
        let machine: serde_json::Value = serde_json::from_str(&machine).unwrap_or_default();
        let stored = |(name, value): (&String, &String)| {
            machine.get("tags").and_then(|tags| tags.get(name)).and_then(serde_json::Value::as_str)
                == Some(value)
        };
        if azure.tags.iter().all(stored) {
            return info!(event = "tags.checked", "the tags stand in Azure as configured");
        }
        match arm.set_tags(name).await {
            Ok(reply) if (200..300).contains(&reply.status) => {
                info!(event = "tags.written", "the tags were written again")
            }
            Ok(reply) => {
                warn!(event = "tags.differ", "the tags differ in Azure; ARM answered {}", reply.status)
            }
            Err(error) => warn!(event = "tags.differ", "the tags differ in Azure: {error}"),
        }
    }
}
