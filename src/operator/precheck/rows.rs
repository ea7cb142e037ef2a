//! Evaluates the answers: the rows, and the resources for the next queries.

use serde_json::Value;

use super::az::{display_command, list, member, text, AzFailureKind};
use super::resource::AzureResource;
use super::{identity, is_supported, network, roles, Precheck, Row, CLUSTER, CSN, PROVIDERS};
use crate::catalogue;
use crate::model::step::Step;
use crate::model::var::{one, Var};
use crate::settings::{Guid, Identity};

impl Precheck<'_> {
    /// The row of this name.
    pub(super) fn row(&self, check: &str) -> Row {
        match check {
            "az" => self.az(),
            _ if !self.az().holds() => Row::Skipped("az"),
            "extension" => self.extension(),
            "resource-group" => self.resource_group(),
            "providers" => self.providers(),
            "identity" => self.user_identity(),
            "roles" => self.roles(),
            _ if !self.extension().holds() => Row::Skipped("extension"),
            "platform" => self.platform(),
            "vm" => self.machine().0,
            "csn" => self.csn(),
            _ => self.egress(),
        }
    }

    pub(super) fn az(&self) -> Row {
        let (version, account) = match (self.reply("version"), self.reply("az")) {
            (Some(Ok(version)), Some(Ok(account))) => (text(version, "azure-cli"), account),
            (Some(Err(failure)), _) | (_, Some(Err(failure))) => return Row::failed(failure),
            _ => return Row::NotChecked(String::new()),
        };
        let azure = &self.context.settings.azure;
        if version.is_empty() || !azure.subscription_id.matches(text(account, "id")) {
            return self.unexpected_answer(if version.is_empty() { "version" } else { "az" });
        }
        let (tenant, cloud) = (text(account, "tenantId"), text(account, "environmentName"));
        if let Some(wanted) = azure.tenant_id.as_ref().filter(|wanted| !wanted.matches(tenant)) {
            let seen = format!("the subscription is of tenant {tenant}, the configuration says {wanted}");
            return Row::fails(&catalogue::HOST_AZ_ACCOUNT, seen);
        }
        if !cloud.is_empty() && cloud != azure.cloud.name() {
            let seen = format!("az is signed in to {cloud}, the configuration says {}", azure.cloud.name());
            return Row::fails(&catalogue::HOST_AZ_ACCOUNT, seen);
        }
        let user = account.get("user").map(|user| text(user, "name")).unwrap_or_default();
        Row::Holds(format!(
            "azure-cli {version}, signed in as {user}, subscription {}",
            text(account, "name")
        ))
    }

    pub(super) fn extension(&self) -> Row {
        let Some(version) = self.answer_value("version") else { return Row::Skipped("az") };
        let cli = text(version, "azure-cli");
        let extension = version.get("extensions").map(|all| text(all, "networkcloud")).unwrap_or_default();
        let is_cli_old = is_supported("az", cli) == Some(false);
        let is_old = is_supported("networkcloud", extension) == Some(false);
        let without: &[Step] = match (extension, is_old, is_cli_old) {
            ("", _, true) => &[catalogue::EXTENSION_UPDATE],
            ("", _, false) => &[catalogue::EXTENSION_UPDATE, catalogue::AZ_UPGRADE],
            (_, true, true) => &[catalogue::EXTENSION_ADD],
            (_, true, false) => &[catalogue::EXTENSION_ADD, catalogue::AZ_UPGRADE],
            (_, false, true) => &[catalogue::EXTENSION_ADD, catalogue::EXTENSION_UPDATE],
            (good, false, false) => return Row::Holds(format!("networkcloud {good} (4.0.0b1 is the least)")),
        };
        let shown = if extension.is_empty() { "that az version does not list" } else { extension };
        let seen = format!("azure-cli {cli}, networkcloud {shown}");
        Row::fails_without(&catalogue::HOST_AZ_EXTENSION, seen, without)
    }

    fn resource_group(&self) -> Row {
        let state = self.answer_value("az").map(|account| text(account, "state")).unwrap_or_default();
        if !matches!(state, "" | "Enabled" | "Warned" | "PastDue") {
            return Row::fails(&catalogue::ACCESS_SUBSCRIPTION_DISABLED, format!("its state is {state}"));
        }
        match self.reply("resource-group") {
            Some(Ok(group)) if text(group, "id").is_empty() => self.unexpected_answer("resource-group"),
            Some(Ok(group)) => {
                Row::Holds(format!("{} is there, in {}", text(group, "name"), text(group, "location")))
            }
            Some(Err(failure)) if failure.kind == AzFailureKind::Missing => {
                Row::fails(&catalogue::ACCESS_GROUP, failure.message.clone())
            }
            Some(Err(failure)) => Row::failed(failure),
            None => Row::Skipped("az"),
        }
    }

    fn providers(&self) -> Row {
        let (mut registered, mut seen, mut failed) = (Vec::new(), String::new(), None);
        let mut is_missing = false;
        for (name, step) in PROVIDERS {
            let state = match self.reply(name) {
                Some(Ok(provider)) => text(provider, "registrationState"),
                Some(Err(failure)) => {
                    failed = failed.or(Some(failure));
                    continue;
                }
                None => continue,
            };
            if matches!(state, "Registered" | "Registering") {
                registered.push(step);
            } else {
                is_missing = true;
            }
            let parted = if seen.is_empty() { "" } else { ", " };
            seen.push_str(&format!(
                "{parted}{name} is {}",
                if state.is_empty() { "in an unknown state" } else { state }
            ));
        }
        match failed {
            _ if is_missing => Row::fails_without(&catalogue::ACCESS_PROVIDER, seen, &registered),
            Some(failure) => Row::failed(failure),
            None => Row::Holds(seen),
        }
    }

    /// The row of the VM's identity, and its principal id if it is the configured one.
    fn machine(&self) -> (Row, Option<String>) {
        let row = match self.reply("vm") {
            Some(Ok(found)) if text(found, "id").is_empty() => self.unexpected_answer("vm"),
            Some(Ok(found)) => return identity::check_vm(found, &self.context.settings.identity),
            Some(Err(failure)) if failure.kind == AzFailureKind::Missing && self.wanted.vm.is_some() => {
                Row::fails(&catalogue::IDENTITY_VM_MISSING, failure.message.clone())
            }
            Some(Err(failure)) if failure.kind == AzFailureKind::Missing => {
                let name = self.machine.as_ref().map_or("", |place| &place.name);
                Row::NotChecked(format!("there is no VM {name} yet"))
            }
            Some(Err(failure)) => Row::failed(failure),
            None => {
                let why = "no VM is named yet (--vm NAME, or azure.resource_name in the configuration)";
                Row::NotChecked(why.to_owned())
            }
        };
        (row, None)
    }

    /// The configured user-assigned identity in the listing of Azure.
    fn listed_identity(&self) -> Option<&Value> {
        let reply = self.answer_value("identity")?;
        let found = match &self.context.settings.identity {
            Identity::ResourceId(_) => Some(reply),
            wanted => identity::find_in_listing(reply, wanted),
        };
        found.filter(|found| !text(found, "id").is_empty())
    }

    fn user_identity(&self) -> Row {
        let wanted = &self.context.settings.identity;
        if let Some(found) = self.listed_identity() {
            return Row::Holds(format!(
                "{} is there, principal {}",
                text(found, "id"),
                text(found, "principalId")
            ));
        }
        // The VM names the identity, even if this sign-in may not list it.
        if self.principal().is_some() {
            return Row::Holds(format!("{wanted} is on the VM; az does not list it"));
        }
        let is_by_name = matches!(wanted, Identity::ResourceId(_));
        let seen = match self.reply("identity") {
            Some(Err(failure)) if failure.kind == AzFailureKind::Missing => failure.message.clone(),
            Some(Err(failure)) => return Row::failed(failure),
            Some(Ok(reply)) if is_by_name || !reply.is_array() => return self.unexpected_answer("identity"),
            _ => format!("{wanted} is not among the identities of the subscription"),
        };
        let without: &[Step] = if is_by_name { &[] } else { &[catalogue::MAKE_IDENTITY] };
        Row::fails_without(&catalogue::IDENTITY_USER_MISSING, seen, without)
    }

    /// The principal whose roles are checked. It becomes part of a command, so only a GUID is accepted.
    pub(super) fn principal(&self) -> Option<String> {
        let listed = self.listed_identity().map(|found| text(found, "principalId").to_owned());
        let principal = listed.or_else(|| self.machine().1)?;
        Guid::new(&principal).ok().map(|id| id.to_string())
    }

    pub(super) fn csn_of_vm(&self) -> Option<AzureResource> {
        let attachment = member(self.answer_value("vm")?, "cloudServicesNetworkAttachment")?;
        AzureResource::of_id(text(attachment, "attachedNetworkId"), CSN)
    }

    /// The named network, else the network of the VM, else the only one in the resource group.
    pub(super) fn csn_place(&self) -> Option<AzureResource> {
        if let Some(named) = self.wanted.csn.clone().or_else(|| self.csn_of_vm()) {
            return Some(named);
        }
        match self.answer_value("csns")?.as_array()?.as_slice() {
            [only] => AzureResource::of_id(text(only, "id"), CSN),
            _ => None,
        }
    }

    fn csn(&self) -> Row {
        let csn = match self.reply("csn") {
            Some(Ok(csn)) if text(csn, "id").is_empty() => return self.unexpected_answer("csn"),
            Some(Ok(csn)) => csn,
            Some(Err(failure)) if failure.kind == AzFailureKind::Missing => {
                return Row::fails(&catalogue::PROXY_CSN_UNKNOWN, failure.message.clone())
            }
            Some(Err(failure)) => return Row::failed(failure),
            None => return self.ambiguous_csn(),
        };
        match (self.csn_of_vm(), &self.wanted.csn) {
            (Some(of_vm), Some(named)) if !of_vm.is(named) => {
                let seen = format!("the VM is attached to {}, named was {}", of_vm.id(CSN), named.id(CSN));
                Row::fails(&catalogue::PROXY_CSN_OTHER, seen)
            }
            _ => network::check_state(csn),
        }
    }

    /// The row when the resource group does not hold exactly one network.
    fn ambiguous_csn(&self) -> Row {
        let listed = match self.reply("csns") {
            Some(Ok(Value::Array(listed))) => listed,
            Some(Err(failure)) => return Row::failed(failure),
            _ => return self.unexpected_answer("csns"),
        };
        let mut seen = format!("{} has ", self.context.settings.azure.resource_group);
        let names: Vec<&str> = listed.iter().map(|csn| text(csn, "name")).collect();
        seen.push_str(&if names.is_empty() { "none".to_owned() } else { names.join(", ") });
        let without: &[Step] = if names.is_empty() { &[] } else { &[catalogue::MAKE_CSN] };
        Row::fails_without(&catalogue::PROXY_CSN_UNKNOWN, seen, without)
    }

    fn egress(&self) -> Row {
        match self.answer_value("csn") {
            Some(csn) if !text(csn, "id").is_empty() => network::check_egress(csn, &self.context.settings),
            _ => Row::Skipped("csn"),
        }
    }

    pub(super) fn cluster(&self) -> Option<AzureResource> {
        let of = |name: &str| AzureResource::of_id(text(self.answer_value(name)?, "clusterId"), CLUSTER);
        of("vm").or_else(|| of("csn"))
    }

    fn platform(&self) -> Row {
        // The management bundle has no member of its own in what az shows.
        const MINIMUM: &str =
            "at least runtime 4.7.0 and management bundle 2510.1 are required; az does not show the bundle";
        let cluster = match self.reply("platform") {
            Some(Ok(cluster)) => cluster,
            // The cluster often belongs to another team, so a sign-in that may not read it is not a fault.
            Some(Err(failure)) => {
                return Row::NotChecked(format!(
                    "not readable, ask its operator: {MINIMUM} ({})",
                    failure.message
                ))
            }
            None => return Row::NotChecked(format!("neither VM nor network names its cluster: {MINIMUM}")),
        };
        let version = text(cluster, "clusterVersion");
        match is_supported("runtime", version) {
            Some(true) => Row::Holds(format!("runtime {version}; {MINIMUM}")),
            None => Row::NotChecked(format!("its runtime version is unknown: {MINIMUM}")),
            Some(false) => {
                let mut versions = list(cluster, "availableUpgradeVersions")
                    .iter()
                    .map(|one| text(one, "targetClusterVersion"));
                let is_plain =
                    |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
                let target = versions.find(|one| is_supported("runtime", one) == Some(true) && is_plain(one));
                let fault = catalogue::IMDS_PLATFORM_OLD.with_evidence(format!("its runtime is {version}"));
                Row::Fails(match target {
                    Some(target) => fault.with_arg(Var::ClusterTarget, one(target)),
                    None => fault,
                })
            }
        }
    }

    /// The known role assignments, with the permissions of their roles.
    fn assignments(&self) -> Vec<roles::RoleAssignment> {
        let Some(here) = self.answer_value("roles") else { return Vec::new() };
        let mut found = roles::read(&[here, self.answer_value("other roles").unwrap_or(&Value::Null)]);
        roles::add_definitions(&mut found, &|id| self.answer_value(id));
        found
    }

    pub(super) fn unknown_roles(&self) -> Vec<String> {
        roles::unknown_role_ids(&self.assignments(), &self.group_id())
    }

    fn roles(&self) -> Row {
        match self.reply("roles") {
            Some(Ok(Value::Array(_))) => roles::evaluate(&self.assignments(), &self.group_id()),
            Some(Ok(_)) => self.unexpected_answer("roles"),
            Some(Err(failure)) => Row::failed(failure),
            None => self.explain_missing_principal(),
        }
    }

    /// The row of the roles when there is no principal.
    fn explain_missing_principal(&self) -> Row {
        let of = if self.context.settings.identity == Identity::System { "vm" } else { "identity" };
        match self.row(of) {
            Row::Holds(_) => self.unexpected_answer(of),
            Row::Skipped(cause) => Row::Skipped(cause),
            Row::NotChecked(_) => {
                let name = self.machine.as_ref().map_or("NAME", |place| &place.name);
                Row::NotChecked(format!(
                    "the system-assigned identity comes with the VM; once it is there, run: arc-enroll precheck --vm {name}"
                ))
            }
            Row::Fails(_) => Row::Skipped(of),
        }
    }

    /// The row for an answer without the expected members. It must not lead to other advice, which may be to delete a VM.
    fn unexpected_answer(&self, name: &str) -> Row {
        let command = self.answer(name).map_or(String::new(), |answer| display_command(&answer.question));
        let seen = format!("{command} does not answer with what it was asked for");
        let fault = catalogue::HOST_AZ_FAILED.with_evidence(seen);
        Row::Fails(fault.with_arg(Var::Az, super::split_command(&command)))
    }
}
