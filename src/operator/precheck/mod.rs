//! The checks of the guide that use `az`, from the operator's workstation, before or after the VM exists.
//!
//! Queries run concurrently, since az takes seconds to start. The answers name further resources, which are queried in
//! the next round. Each file evaluates the answers on one subject.

pub mod az;
mod identity;
mod network;
pub mod resource;
mod roles;
mod rows;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::catalogue;
use crate::context::{value, Context, Facts};
use crate::host::tasks::{join_all, Task};
use crate::host::Host;
use crate::model::check::{CheckResult, CheckState};
use crate::model::condition::Condition;
use crate::model::fault::{Fault, FaultKind};
use crate::model::step::{RenderedStep, Step, Where, Who};
use crate::model::var::{one, Var, Word, Words};
use crate::operator::user_data::create_words;
use crate::settings::Identity;
use az::{AzFailure, AzReply};
use resource::AzureResource;

/// Time limit of all queries; a child process that does not end then is killed 5 s later.
pub const LIMIT: Duration = Duration::from_secs(120);

/// The type of a cloud services network.
pub const CSN: &str = "Microsoft.NetworkCloud/cloudServicesNetworks";

/// The type of a Nexus VM.
pub const VM: &str = "Microsoft.NetworkCloud/virtualMachines";

const CLUSTER: &str = "Microsoft.NetworkCloud/clusters";
const USER_IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

/// Every query with the name of its answer; it runs when every variable in braces is known. The selection of members
/// of a VM leaves out its user-data of up to a megabyte.
const QUERIES: &str = "\
version: version
az: account show {subscription}
resource-group: group show --name {group} {at}
Microsoft.HybridCompute: provider show --namespace Microsoft.HybridCompute {at}
Microsoft.GuestConfiguration: provider show --namespace Microsoft.GuestConfiguration {at}
Microsoft.HybridConnectivity: provider show --namespace Microsoft.HybridConnectivity {at}
identity: identity {identity}
vm: {nexus} virtualmachine show {vm} --query {name:name,id:id,identity:identity,clusterId:clusterId,cloudServicesNetworkAttachment:cloudServicesNetworkAttachment}
csns: {nexus} cloudservicesnetwork {list} --resource-group {group} {at}
csn: {nexus} cloudservicesnetwork show {csn}
platform: {nexus} cluster show {cluster}
roles: role assignment list --assignee {principal} --fill-principal-name false {at} --scope {scope} --include-inherited
other roles: role assignment list --assignee {principal} --fill-principal-name false {at} --all
";

/// The query for the definition of a role.
const ROLE: &str = "{role}: role definition list --name {role} --scope {scope} {at}";

/// The required resource providers (Arc prerequisites), the same as in `access.provider-unregistered`, with the step
/// that registers each.
const PROVIDERS: [(&str, Step); 3] = [
    ("Microsoft.HybridCompute", catalogue::REGISTER_HYBRID_COMPUTE),
    ("Microsoft.GuestConfiguration", catalogue::REGISTER_GUEST_CONFIGURATION),
    ("Microsoft.HybridConnectivity", catalogue::REGISTER_HYBRID_CONNECTIVITY),
];

/// Minimum versions of az, its extension, and the runtime of the cluster (guide, "Feature support versions").
const MINIMUM_VERSIONS: [(&str, [u32; 3]); 3] =
    [("az", [2, 75, 0]), ("networkcloud", [4, 0, 0]), ("runtime", [4, 7, 0])];

/// The checks by name, in the order of the output.
const CHECKS: [(&str, Condition); 10] = [
    ("az", Condition::Host),
    ("extension", Condition::Host),
    ("platform", Condition::Imds),
    ("csn", Condition::Proxy),
    ("egress", Condition::Egress),
    ("vm", Condition::Identity),
    ("identity", Condition::Identity),
    ("resource-group", Condition::Access),
    ("providers", Condition::Access),
    ("roles", Condition::Access),
];

/// The resources named on the command line.
#[derive(Default)]
pub struct PrecheckTarget {
    /// The cloud services network.
    pub csn: Option<AzureResource>,
    /// The VM.
    pub vm: Option<AzureResource>,
}

/// The result of one check.
pub enum Row {
    /// The check passes.
    Holds(String),
    /// The check fails.
    Fails(Fault),
    /// The check was skipped because this prerequisite does not hold.
    Skipped(&'static str),
    /// The check does not apply now, and why.
    NotChecked(String),
}

impl Row {
    fn fails(kind: &'static FaultKind, seen: String) -> Self {
        Self::Fails(kind.with_evidence(seen))
    }

    /// As [`Row::fails`], without steps that do not apply.
    fn fails_without(kind: &'static FaultKind, seen: String, omitted: &[Step]) -> Self {
        Self::Fails(kind.with_evidence(seen).without_steps(omitted))
    }

    fn holds(&self) -> bool {
        matches!(self, Self::Holds(_))
    }

    fn failed(failure: &AzFailure) -> Self {
        Self::Fails(failure.fault().with_arg(Var::Az, split_command(&failure.command)))
    }
}

/// A command, split into words.
fn split_command(command: &str) -> Words {
    command.split(' ').map(Word::from).collect()
}

/// A query with its name, answer and duration.
struct Answer {
    name: String,
    question: String,
    reply: AzReply,
    elapsed: Duration,
}

/// Questions by name.
type Questions = Vec<(String, String)>;

/// Runs all queries concurrently.
async fn ask_all(az: &Host, questions: Questions) -> Vec<Answer> {
    let ask = |(name, question): (String, String)| async move {
        let started = Instant::now();
        let reply = az::ask(az, &question).await;
        Answer { name, question, reply, elapsed: started.elapsed() }
    };
    join_all(questions.into_iter().map(|question| Box::pin(ask(question)) as Task<'_, _>).collect()).await
}

/// Runs every check, in up to four rounds of queries: the answers of one round name the resources of the next.
pub async fn examine(context: &Context, az: &Host, wanted: &PrecheckTarget) -> Vec<CheckResult> {
    az.commands.set_deadline(Instant::now() + LIMIT);
    let azure = &context.settings.azure;
    let of_arc = azure.resource_name.as_ref().and_then(|name| AzureResource::named(name.as_str(), VM, azure));
    let machine = wanted.vm.clone().or(of_arc);
    let mut precheck = Precheck { context, wanted, machine, answers: Vec::new() };
    loop {
        let questions = precheck.questions();
        if questions.is_empty() {
            return precheck.results();
        }
        precheck.answers.extend(ask_all(az, questions).await);
    }
}

/// The answers so far.
struct Precheck<'a> {
    context: &'a Context,
    wanted: &'a PrecheckTarget,
    /// The VM to check: the one named on the command line, or the one with the name of the Arc machine.
    machine: Option<AzureResource>,
    answers: Vec<Answer>,
}

impl Precheck<'_> {
    fn answer(&self, name: &str) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.name == name)
    }

    fn reply(&self, name: &str) -> Option<&AzReply> {
        self.answer(name).map(|answer| &answer.reply)
    }

    fn answer_value(&self, name: &str) -> Option<&Value> {
        self.reply(name).and_then(|reply| reply.as_ref().ok())
    }

    fn group_id(&self) -> String {
        self.context.settings.azure.scope()
    }

    /// The queries whose variables are known and that have not run.
    fn questions(&self) -> Questions {
        let azure = &self.context.settings.azure;
        let subscription = format!("--subscription {}", azure.subscription_id);
        let is_signed_in = self.az().holds();
        let words = |place: Option<AzureResource>| place.map(|place| place.words());
        let identity = match &self.context.settings.identity {
            Identity::System => None,
            Identity::ResourceId(id) => words(AzureResource::of_id(id.as_str(), USER_IDENTITY))
                .map(|words| "show ".to_owned() + &words),
            Identity::ClientId(_) | Identity::ObjectId(_) => Some("list ".to_owned() + &subscription),
        };
        let known = [
            ("{group}", is_signed_in.then(|| azure.resource_group.to_string())),
            ("{at}", is_signed_in.then(|| subscription.clone())),
            ("{subscription}", Some(subscription)),
            ("{nexus}", (is_signed_in && self.extension().holds()).then(|| "networkcloud".to_owned())),
            ("{list}", self.wanted.csn.is_none().then(|| "list".to_owned())),
            ("{vm}", words(self.machine.clone())),
            ("{csn}", words(self.csn_place())),
            ("{cluster}", words(self.cluster())),
            ("{identity}", identity.filter(|_| is_signed_in)),
            ("{principal}", self.principal()),
            ("{scope}", Some(self.group_id())),
        ];
        let mut lines: Vec<String> = QUERIES.lines().map(str::to_owned).collect();
        lines.extend(self.unknown_roles().iter().map(|id| ROLE.replace("{role}", id)));
        let mut all: Questions = Vec::new();
        for line in lines {
            let mut question = Some(line);
            for (name, value) in &known {
                question = question.filter(|text| value.is_some() || !text.contains(name));
                question = question.map(|text| text.replace(name, value.as_deref().unwrap_or_default()));
            }
            let parts = question.as_deref().and_then(|text| text.split_once(": "));
            if let Some((name, question)) = parts.filter(|(name, _)| self.answer(name).is_none()) {
                all.push((name.to_owned(), question.to_owned()));
            }
        }
        all
    }

    /// The rows in their order.
    fn results(&self) -> Vec<CheckResult> {
        let mut results = Vec::new();
        for (check, condition) in CHECKS {
            // A system-assigned identity is checked with the VM.
            if check == "identity" && self.context.settings.identity == Identity::System {
                continue;
            }
            let mut steps = Vec::new();
            let state = match self.row(check) {
                Row::Holds(evidence) => CheckState::Holds(evidence),
                Row::Skipped(cause) => CheckState::Skipped(cause),
                Row::NotChecked(why) => CheckState::NotChecked(why),
                Row::Fails(fault) => {
                    steps = self.steps(&fault);
                    CheckState::Fails(fault)
                }
            };
            let asked = if check == "providers" { PROVIDERS[0].0 } else { check };
            let elapsed = self.answer(asked).map_or(Duration::ZERO, |answer| answer.elapsed);
            results.push(CheckResult { check: Some(check), condition, state, steps, elapsed });
        }
        results
    }

    /// The remediation of a fault, rendered with the values of this run.
    fn steps(&self, fault: &Fault) -> Vec<RenderedStep> {
        let facts = Facts::default();
        let mut steps =
            fault.remediation(&|var| self.value(var).or_else(|| value(self.context, &facts, var)));
        // The last step of faults shared with `enroll` is to rerun on the VM; here the command is rerun on the workstation.
        let rerun = catalogue::RERUN.render(&|var| self.value(var));
        for step in steps.iter_mut().filter(|step| **step == rerun) {
            (step.place, step.who) = (Where::Workstation, Who::SignedIn);
        }
        steps
    }

    fn value(&self, var: Var) -> Option<Words> {
        let user = || match &self.context.settings.identity {
            Identity::ResourceId(id) => AzureResource::of_id(id.as_str(), USER_IDENTITY),
            _ => None,
        };
        match var {
            Var::PrincipalId => self.principal().map(one),
            Var::Precheck | Var::Rerun => Some(self.rerun()),
            Var::CsnAt => Some(self.options(self.csn_place().as_ref(), "\"$CSN_NAME\"")),
            Var::CsnOfVm => self.csn_of_vm().map(|csn| one(csn.id(CSN))),
            Var::VmAt => Some(self.options(self.machine.as_ref(), "\"$VM_NAME\"")),
            Var::IdentityAt => Some(self.options(user().as_ref(), "\"$IDENTITY_NAME\"")),
            Var::ClusterAt => Some(self.options(self.cluster().as_ref(), "\"$CLUSTER_NAME\"")),
            Var::Create => Some(self.create()),
            _ => None,
        }
    }

    /// The options that name a resource; without a resource, those of the configured group and a placeholder for the name.
    fn options(&self, place: Option<&AzureResource>, unnamed: &'static str) -> Words {
        let azure = &self.context.settings.azure;
        let (name, group, subscription) = match place {
            Some(place) => (place.name.as_str().into(), place.group.clone(), place.subscription.clone()),
            None => {
                (Word::Shell(unnamed), azure.resource_group.to_string(), azure.subscription_id.to_string())
            }
        };
        let (group, subscription) = (Word::Text(group), Word::Text(subscription));
        vec!["--name".into(), name, "--resource-group".into(), group, "--subscription".into(), subscription]
    }

    fn rerun(&self) -> Words {
        let mut words: Words = vec!["arc-enroll".into(), "precheck".into()];
        if self.context.config != crate::settings::DEFAULT_PATH {
            words.extend(["--config".into(), Word::Text(self.context.config.clone())]);
        }
        words
    }

    /// The command that creates the VM, with placeholders for unknown values.
    fn create(&self) -> Words {
        let settings = &self.context.settings;
        let csn = self.csn_place().map(|csn| csn.id(CSN));
        let name = self.machine.as_ref().map(|vm| vm.name.as_str());
        create_words(&settings.azure, &settings.identity, "user-data.b64", name, csn.as_deref())
    }
}

/// Whether a version is at least the minimum version, by its first three numbers; `None` when it is not a version.
fn is_supported(what: &str, version: &str) -> Option<bool> {
    let least = MINIMUM_VERSIONS.iter().find(|(name, _)| *name == what).map(|(_, least)| *least)?;
    let mut numbers = [0; 3];
    for (at, (part, place)) in version.trim_start_matches('v').split('.').zip(&mut numbers).enumerate() {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        match part.get(..end).and_then(|digits| digits.parse().ok()) {
            Some(number) => *place = number,
            // "4.0.0b1" starts with a number in each part, "latest" does not.
            None if at == 0 => return None,
            None => {}
        }
    }
    Some(numbers >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (what, version, right) in [
            ("az", "2.75.0", Some(true)),
            ("az", "2.9.1", Some(false)),
            ("az", "2.100.0", Some(true)),
            ("networkcloud", "4.0.0b1", Some(true)),
            ("networkcloud", "3.0.0", Some(false)),
            ("runtime", "4.7.0", Some(true)),
            ("runtime", "4.6.9-rc", Some(false)),
            ("runtime", "4.10", Some(true)),
            ("runtime", "latest", None),
            ("runtime", "", None),
        ] {
            assert_eq!(is_supported(what, version), right, "{what} {version}");
        }
    }
}
