//! The questions of each round, and what follows from the answers.

use std::time::Duration;

use super::*;

/// The reply and the time of an answer; without one the thing is taken for one that is not there.
fn next(answers: &mut std::vec::IntoIter<Option<Answer>>) -> Option<Answer> {
    answers.next().flatten()
}

impl Look<'_> {
    /// Which az, and who is signed in.
    pub(super) fn first_questions(&self) -> Vec<Option<String>> {
        vec![Some("version".to_owned()), Some(format!("account show {}", self.subscription))]
    }

    pub(super) fn hear_first(&mut self, answers: Vec<Option<Answer>>) {
        let mut answers = answers.into_iter();
        let (Some(version), Some(account)) = (next(&mut answers), next(&mut answers)) else { return };
        let row = self.judge_az(&version.reply, &account.reply);
        self.is_signed_in = matches!(row, Row::Holds(_));
        self.row("az", account.elapsed, row);
        if let (true, Ok(found)) = (self.is_signed_in, &version.reply) {
            let row = judge_extension(found);
            self.has_extension = matches!(row, Row::Holds(_));
            self.row("extension", version.elapsed, row);
        }
    }

    fn judge_az(&mut self, version: &Reply, account: &Reply) -> Row {
        let found = match (version, account) {
            (Err(failure), _) | (_, Err(failure)) => return Row::failed(failure),
            (Ok(version), Ok(account)) => (text(version, "azure-cli"), account),
        };
        let (version, account) = found;
        let azure = &self.vm.settings.azure;
        let (tenant, cloud) = (text(account, "tenantId"), text(account, "environmentName"));
        self.subscription_state = text(account, "state").to_owned();
        if version.is_empty() || !azure.subscription_id.matches(text(account, "id")) {
            let seen = "az does not tell its version and the id of the subscription".to_owned();
            return Row::fails(&fault::HOST_AZ_FAILED, seen);
        }
        if let Some(wanted) = azure.tenant_id.as_ref().filter(|wanted| !wanted.matches(tenant)) {
            let seen = format!("the subscription is of tenant {tenant}, the configuration says {wanted}");
            return Row::fails(&fault::HOST_AZ_ACCOUNT, seen);
        }
        if !cloud.is_empty() && cloud != azure.cloud.name() {
            let seen = format!("az is signed in to {cloud}, the configuration says {}", azure.cloud.name());
            return Row::fails(&fault::HOST_AZ_ACCOUNT, seen);
        }
        let user = account.get("user").map(|user| text(user, "name")).unwrap_or_default();
        Row::Holds(format!(
            "azure-cli {version}, signed in as {user}, subscription {}",
            text(account, "name")
        ))
    }

    /// What needs nothing but a sign-in, and the resources that are named.
    pub(super) fn second_questions(&self) -> Vec<Option<String>> {
        let (subscription, group) = (&self.subscription, &self.vm.settings.azure.resource_group);
        let mut questions = vec![Some(format!("group show --name {group} {subscription}"))];
        for name in PROVIDERS {
            let members = "--query {registrationState:registrationState}";
            questions.push(Some(format!("provider show --namespace {name} {subscription} {members}")));
        }
        questions.push(match &self.vm.settings.identity {
            Identity::System => None,
            Identity::ResourceId(id) => Place::of_id(id.as_str(), USER_IDENTITY)
                .map(|place| format!("identity show {}", place.words())),
            Identity::ClientId(_) | Identity::ObjectId(_) => Some(format!("identity list {subscription}")),
        });
        let nexus = |question: String| self.has_extension.then(|| format!("networkcloud {question}"));
        questions.push(nexus(match &self.csn_place {
            Some(place) => format!("cloudservicesnetwork show {}", place.words()),
            None => format!("cloudservicesnetwork list --resource-group {group} {subscription}"),
        }));
        let place = self.vm_place.as_ref();
        questions
            .push(place.and_then(|place| nexus(format!("virtualmachine show {} {OF_VM}", place.words()))));
        questions
    }

    pub(super) fn hear_second(&mut self, answers: Vec<Option<Answer>>) {
        let mut answers = answers.into_iter();
        if let Some(group) = next(&mut answers) {
            let row = self.judge_group(&group.reply);
            self.row("resource-group", group.elapsed, row);
        }
        let providers: Vec<Answer> = answers.by_ref().take(PROVIDERS.len()).flatten().collect();
        let elapsed = providers.iter().map(|answer| answer.elapsed).max().unwrap_or_default();
        self.row("providers", elapsed, judge_providers(&providers));
        let user = next(&mut answers);
        let csn = next(&mut answers);
        let vm = next(&mut answers);
        if !self.has_extension {
            for check in ["platform", "csn", "egress", "vm"] {
                self.row(check, Duration::ZERO, Row::Skipped("extension"));
            }
        } else {
            self.hear_vm(vm);
        }
        if let Some(user) = user {
            let row = self.judge_user(user.reply);
            self.row("identity", user.elapsed, row);
        }
        if let Some(csn) = csn {
            self.hear_csn(csn);
        }
    }

    fn judge_group(&self, reply: &Reply) -> Row {
        let azure = &self.vm.settings.azure;
        if !matches!(self.subscription_state.as_str(), "" | "Enabled" | "Warned" | "PastDue") {
            let seen = format!("its state is {}", self.subscription_state);
            return Row::fails(&fault::ACCESS_SUBSCRIPTION_DISABLED, seen);
        }
        match reply {
            Ok(group) => {
                Row::Holds(format!("{} is there, in {}", azure.resource_group, text(group, "location")))
            }
            Err(failure) if failure.kind == Kind::Missing => {
                Row::fails(&fault::ACCESS_GROUP, failure.words.clone())
            }
            Err(failure) => Row::failed(failure),
        }
    }

    fn hear_vm(&mut self, answer: Option<Answer>) {
        let name = self.vm_place.as_ref().map(|place| place.name.clone()).unwrap_or_default();
        let Some(answer) = answer else {
            let why = "no VM is named yet (--vm NAME, or azure.resource_name in the configuration)";
            return self.row("vm", Duration::ZERO, Row::Open(why.to_owned()));
        };
        let row = match &answer.reply {
            Ok(found) if text(found, "id").is_empty() => nameless(),
            Ok(found) => {
                let attachment = found.get("cloudServicesNetworkAttachment");
                let attachment = attachment.or_else(|| az::member(found, "cloudServicesNetworkAttachment"));
                let attached = attachment.map(|one| text(one, "attachedNetworkId")).unwrap_or_default();
                self.csn_of_vm = Place::of_id(attached, CSN);
                self.cluster = Place::of_id(text(found, "clusterId"), CLUSTER);
                let (row, principal) = identity::of_vm(found, &self.vm.settings.identity);
                self.principal = principal;
                row
            }
            Err(failure) if failure.kind == Kind::Missing && self.wanted.vm.is_some() => {
                Row::fails(&fault::IDENTITY_VM_MISSING, failure.words.clone())
            }
            Err(failure) if failure.kind == Kind::Missing => Row::Open(format!("there is no VM {name} yet")),
            Err(failure) => Row::failed(failure),
        };
        self.row("vm", answer.elapsed, row);
    }

    fn judge_user(&mut self, reply: Reply) -> Row {
        let wanted = &self.vm.settings.identity;
        let found = match &reply {
            Ok(one) if matches!(wanted, Identity::ResourceId(_)) => Some(one),
            Ok(listing) => identity::in_listing(listing, wanted),
            Err(failure) if failure.kind == Kind::Missing => None,
            Err(failure) => return Row::failed(failure),
        };
        let Some(found) = found else {
            // The VM's own word for it, where the identity is out of this sign-in's sight.
            if self.principal.is_some() {
                return Row::Holds(format!("{wanted} is on the VM; it is not listed in this subscription"));
            }
            let mut without = vec!["Make it"];
            if matches!(wanted, Identity::ResourceId(_)) {
                without.clear();
            }
            let fault = fault::IDENTITY_USER_MISSING.seen(match &reply {
                Err(failure) => failure.words.clone(),
                Ok(_) => format!("{wanted} is not among the identities of the subscription"),
            });
            return Row::Fails { fault, values: Vec::new(), without };
        };
        let principal = text(found, "principalId").to_owned();
        let shown = format!("{} is there, principal {principal}", text(found, "id"));
        self.principal = Some(principal).filter(|principal| !principal.is_empty()).or(self.principal.take());
        Row::Holds(shown)
    }

    /// The network that was named, or those of the resource group.
    fn hear_csn(&mut self, answer: Answer) {
        let Answer { reply, elapsed } = answer;
        if self.wanted.csn.is_some() {
            return self.judge_csn(reply, elapsed);
        }
        self.csn_place.clone_from(&self.csn_of_vm);
        let listed: Vec<Value> = match &reply {
            Ok(listing) => listing.as_array().cloned().unwrap_or_default(),
            Err(_) if self.csn_of_vm.is_some() => Vec::new(),
            Err(_) => return self.judge_csn(reply, elapsed),
        };
        let place = |csn: &Value| Place::of_id(text(csn, "id"), CSN);
        let found = match &self.csn_of_vm {
            Some(of_vm) => listed.iter().find(|csn| place(csn).is_some_and(|one| one.is(of_vm))),
            None => listed.first().filter(|_| listed.len() == 1),
        };
        match found {
            Some(csn) => {
                self.csn_place = place(csn);
                self.judge_csn(Ok(csn.clone()), elapsed);
            }
            // It is in another resource group and is asked for in the next round.
            None if self.csn_of_vm.is_some() => {}
            None => {
                let names: Vec<&str> = listed.iter().map(|csn| text(csn, "name")).collect();
                let group = &self.vm.settings.azure.resource_group;
                let (seen, without) = match names.as_slice() {
                    [] => (format!("{group} has none"), Vec::new()),
                    several => (format!("{group} has {}", several.join(", ")), vec!["Or make one"]),
                };
                let fault = fault::PROXY_CSN_UNKNOWN.seen(seen);
                self.row("csn", elapsed, Row::Fails { fault, values: Vec::new(), without });
                self.row("egress", Duration::ZERO, Row::Skipped("csn"));
            }
        }
    }

    fn judge_csn(&mut self, reply: Reply, elapsed: Duration) {
        let csn = match reply {
            Ok(csn) if text(&csn, "id").is_empty() => {
                self.row("csn", elapsed, nameless());
                return self.row("egress", Duration::ZERO, Row::Skipped("csn"));
            }
            Ok(csn) => csn,
            Err(failure) => {
                let row = match failure.kind {
                    Kind::Missing => Row::fails(&fault::PROXY_CSN_UNKNOWN, failure.words.clone()),
                    _ => Row::failed(&failure),
                };
                self.row("csn", elapsed, row);
                return self.row("egress", Duration::ZERO, Row::Skipped("csn"));
            }
        };
        let row = match (&self.csn_of_vm, &self.csn_place) {
            (Some(of_vm), Some(named)) if !of_vm.is(named) => {
                let seen = format!("the VM is attached to {}, named was {}", of_vm.id(CSN), named.id(CSN));
                Row::fails(&fault::PROXY_CSN_OTHER, seen)
            }
            _ => network::state(&csn),
        };
        self.row("csn", elapsed, row);
        if self.cluster.is_none() {
            self.cluster = Place::of_id(text(&csn, "clusterId"), CLUSTER);
        }
        let (row, endpoints) = network::egress(&csn, &self.vm.settings);
        self.vm.learnt.endpoints.replace(endpoints);
        self.row("egress", elapsed, row);
    }

    /// The VM's own network where it is elsewhere, the roles of the principal, the cluster.
    pub(super) fn third_questions(&mut self) -> Vec<Option<String>> {
        let is_csn_open = self.has_extension && self.known("csn").is_none();
        let csn = self.csn_place.as_ref().filter(|_| is_csn_open);
        let csn = csn.map(|place| format!("networkcloud cloudservicesnetwork show {}", place.words()));
        // What stands in a command is what it has to be.
        self.principal = self.principal.take().filter(|id| Guid::new(id).is_ok());
        let roles = |scope: &str| {
            let principal = self.principal.as_ref()?;
            let subscription = &self.subscription;
            Some(format!("role assignment list --assignee {principal} {scope} --fill-principal-name false {subscription}"))
        };
        let here = roles(&format!("--scope {} --include-inherited", self.group_id));
        let anywhere = roles("--all");
        vec![csn, here, anywhere, self.cluster_question()]
    }

    fn cluster_question(&mut self) -> Option<String> {
        let place = self.cluster.as_ref().filter(|_| !self.is_cluster_asked)?;
        let members =
            "--query {clusterVersion:clusterVersion,availableUpgradeVersions:availableUpgradeVersions}";
        let question = format!("networkcloud cluster show {} {members}", place.words());
        self.is_cluster_asked = true;
        Some(question)
    }

    pub(super) fn hear_third(&mut self, answers: Vec<Option<Answer>>) {
        let mut answers = answers.into_iter();
        if let Some(csn) = next(&mut answers) {
            self.judge_csn(csn.reply, csn.elapsed);
        }
        let (here, anywhere) = (next(&mut answers), next(&mut answers));
        match here {
            Some(Answer { reply: Ok(here), elapsed }) => {
                let anywhere = anywhere.and_then(|answer| answer.reply.ok()).unwrap_or_default();
                self.assignments = roles::read(&[&here, &anywhere]);
                self.unknown_roles = roles::unknown(&self.assignments, &self.group_id);
                if self.unknown_roles.is_empty() {
                    let row = roles::judge(&self.assignments, &self.group_id);
                    self.row("roles", elapsed, row);
                }
            }
            Some(Answer { reply: Err(failure), elapsed }) => {
                self.row("roles", elapsed, Row::failed(&failure))
            }
            None => {
                let row = self.roles_of_nobody();
                self.row("roles", Duration::ZERO, row);
            }
        }
        self.hear_cluster(next(&mut answers));
        if let Some(principal) = &self.principal {
            self.vm.learnt.claims.borrow_mut().oid = Some(principal.clone());
        }
    }

    /// Why there is no principal whose roles could be looked at.
    fn roles_of_nobody(&self) -> Row {
        let is_system = self.vm.settings.identity == Identity::System;
        let of = if is_system { "vm" } else { "identity" };
        match self.known(of) {
            Some(Row::Holds(_)) => Row::fails(
                &fault::HOST_AZ_FAILED,
                "az does not tell the principal of the identity".to_owned(),
            ),
            Some(Row::Skipped(cause)) => Row::Skipped(cause),
            Some(Row::Open(_)) => {
                let name = self.vm_place.as_ref().map_or("NAME", |place| place.name.as_str());
                Row::Open(format!(
                    "the system-assigned identity comes with the VM; once it is there, run: arc-enroll precheck --vm {name}"
                ))
            }
            Some(Row::Fails { .. }) | None => Row::Skipped(of),
        }
    }

    fn hear_cluster(&mut self, answer: Option<Answer>) {
        let Some(answer) = answer else { return };
        let row = match &answer.reply {
            // The cluster is often another team's: what is not shown is no fault of this sign-in.
            Err(failure) => Row::Open(format!(
                "not readable, ask who runs the cluster: the runtime has to be 4.7.0 and the management bundle 2510.1 at \
                 least ({})",
                failure.words
            )),
            Ok(cluster) => judge_cluster(cluster),
        };
        self.row("platform", answer.elapsed, row);
    }

    /// The cluster that only the VM's network told, and what unknown roles allow.
    pub(super) fn fourth_questions(&mut self) -> Vec<Option<String>> {
        let mut questions = vec![self.cluster_question()];
        for id in &self.unknown_roles {
            let (scope, subscription) = (&self.group_id, &self.subscription);
            questions.push(Some(format!("role definition list --name {id} --scope {scope} {subscription}")));
        }
        questions
    }

    pub(super) fn hear_fourth(&mut self, answers: Vec<Option<Answer>>) {
        let mut answers = answers.into_iter();
        self.hear_cluster(next(&mut answers));
        if self.known("platform").is_none() {
            let why = "not known: neither the VM nor its cloud services network names the cluster";
            self.row("platform", Duration::ZERO, Row::Open(why.to_owned()));
        }
        if self.unknown_roles.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut self.unknown_roles);
        let mut elapsed = Duration::ZERO;
        for (id, answer) in ids.iter().zip(answers) {
            let Some(answer) = answer else { continue };
            elapsed = elapsed.max(answer.elapsed);
            if let Ok(definitions) = &answer.reply {
                roles::learn(&mut self.assignments, id, definitions);
            }
        }
        let row = roles::judge(&self.assignments, &self.group_id);
        self.row("roles", elapsed, row);
    }
}

/// An answer that does not say what it is about is no ground for advice: the advice may be to delete a VM.
fn nameless() -> Row {
    Row::fails(&fault::HOST_AZ_FAILED, "az answers without the id of the resource".to_owned())
}

fn judge_extension(version: &Value) -> Row {
    let cli = text(version, "azure-cli");
    let extension = version.get("extensions").map(|all| text(all, "networkcloud")).unwrap_or_default();
    let is_cli_old = is_enough("az", cli) == Some(false);
    let mut without = Vec::new();
    if !is_cli_old {
        without.push("az upgrade");
    }
    let seen = match (extension, is_enough("networkcloud", extension)) {
        ("", _) => {
            without.push("extension update");
            format!("az version lists no networkcloud extension (azure-cli {cli})")
        }
        (old, Some(false)) => {
            without.push("extension add");
            format!("networkcloud {old} (azure-cli {cli})")
        }
        (good, _) if is_cli_old => {
            without.extend(["extension update", "extension add"]);
            format!("azure-cli {cli} (networkcloud {good})")
        }
        (good, _) => return Row::Holds(format!("networkcloud {good} (4.0.0b1 is the least)")),
    };
    Row::Fails { fault: fault::HOST_AZ_EXTENSION.seen(seen), values: Vec::new(), without }
}

fn judge_providers(answers: &[Answer]) -> Row {
    let (mut registered, mut seen, mut failure) = (Vec::new(), Vec::new(), None);
    let mut is_missing = false;
    for (name, answer) in PROVIDERS.iter().zip(answers) {
        match &answer.reply {
            Ok(provider) => {
                let state = text(provider, "registrationState");
                match state {
                    "Registered" | "Registering" => registered.push(*name),
                    _ => is_missing = true,
                }
                seen.push(format!("{name} is {}", if state.is_empty() { "of no told state" } else { state }));
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        _ if is_missing => {
            let fault = fault::ACCESS_PROVIDER.seen(seen.join(", "));
            Row::Fails { fault, values: Vec::new(), without: registered }
        }
        Some(failure) => Row::failed(failure),
        None => Row::Holds(seen.join(", ")),
    }
}

fn judge_cluster(cluster: &Value) -> Row {
    let version = text(cluster, "clusterVersion");
    // The management bundle has no member of its own in what az shows.
    let bundle = "the management bundle, which az does not show, has to be 2510.1 at least";
    match is_enough("runtime", version) {
        Some(true) => Row::Holds(format!("runtime {version} (4.7.0 is the least); {bundle}")),
        None => Row::Open(format!("the runtime's version is not told (4.7.0 is the least); {bundle}")),
        Some(false) => {
            let available = az::list(cluster, "availableUpgradeVersions").iter();
            let mut versions = available.map(|one| text(one, "targetClusterVersion"));
            let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
            let target = versions.find(|one| is_enough("runtime", one) == Some(true) && is_plain(one));
            let values = target.map(|target| ("{cluster_target}", target.to_owned())).into_iter().collect();
            let fault = fault::IMDS_PLATFORM_OLD.seen(format!("its runtime is {version}"));
            Row::Fails { fault, values, without: Vec::new() }
        }
    }
}
