//! What the operator can see of a VM's way to Azure Arc from outside, before the VM exists and after: the checks
//! that the guide makes with `az`.
//!
//! What can be asked is asked at the same time, since az takes seconds to start, and what the answers name next;
//! each file judges one subject by what came back.

pub mod az;
mod identity;
mod network;
pub mod place;
mod roles;
mod rows;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::conditions::sanity::{join_all, Test};
use crate::conditions::Vm;
use crate::host::Host;
use crate::model::condition::Condition;
use crate::model::fault::{Fault, FaultKind};
use crate::model::shell::quote;
use crate::operator::user_data::create_command;
use crate::output::finding::{Finding, State};
use crate::settings::Identity;
use az::{Failure, Reply};
use place::Place;

/// When everything has to have ended; a program that does not heed its end is killed 5 s later.
pub const LIMIT: Duration = Duration::from_secs(120);

/// The type of a cloud services network.
pub const CSN: &str = "Microsoft.NetworkCloud/cloudServicesNetworks";

/// The type of a Nexus VM.
pub const VM: &str = "Microsoft.NetworkCloud/virtualMachines";

const CLUSTER: &str = "Microsoft.NetworkCloud/clusters";
const USER_IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

/// Every question, with the name of its answer; it is asked once all that is in braces is known. What is chosen of
/// a VM leaves out its user-data, a megabyte; the members keep their names.
const QUESTIONS: &str = "\
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

/// What a role allows.
const ROLE: &str = "{role}: role definition list --name {role} --scope {scope} {at}";

/// What a subscription has to be registered for (Arc prerequisites); `access.provider-unregistered` names the same.
const PROVIDERS: [&str; 3] =
    ["Microsoft.HybridCompute", "Microsoft.GuestConfiguration", "Microsoft.HybridConnectivity"];

/// The least versions (guide, "Feature support versions"): az, its extension, the runtime of the cluster.
const LEAST: [(&str, [u32; 3]); 3] =
    [("az", [2, 75, 0]), ("networkcloud", [4, 0, 0]), ("runtime", [4, 7, 0])];

/// The rows by name, in the order in which they are shown.
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

/// What is looked at besides what the settings name.
#[derive(Default)]
pub struct Wanted {
    /// The cloud services network that was named.
    pub csn: Option<Place>,
    /// The VM that was named.
    pub vm: Option<Place>,
}

/// What one check came to.
pub enum Row {
    /// It is as it has to be.
    Holds(String),
    /// It is not.
    Fails {
        /// What stands in the way.
        fault: Fault,
        /// What the catalogue's steps are filled with, before the settings' values.
        values: Vec<(&'static str, String)>,
        /// Words of steps that do not belong here.
        without: Vec<&'static str>,
    },
    /// It was not looked at because of this row.
    Skipped(&'static str),
    /// It was not looked at and need not be now; why.
    Open(String),
}

impl Row {
    fn fails(entry: &'static FaultKind, seen: String) -> Self {
        Self::fails_without(entry, seen, &[])
    }

    /// As [`Row::fails`], and the steps with these words do not belong here.
    fn fails_without(entry: &'static FaultKind, seen: String, without: &[&'static str]) -> Self {
        Self::Fails { fault: entry.with_evidence(seen), values: Vec::new(), without: without.to_vec() }
    }

    fn holds(&self) -> bool {
        matches!(self, Self::Holds(_))
    }

    fn failed(failure: &Failure) -> Self {
        let values = vec![("{az}", failure.command.clone())];
        Self::Fails { fault: failure.fault(), values, without: Vec::new() }
    }
}

/// What was asked by which name, the answer, and how long it took.
struct Answer {
    name: String,
    question: String,
    reply: Reply,
    elapsed: Duration,
}

/// Questions by name.
type Questions = Vec<(String, String)>;

/// Asks all of these at the same time.
async fn ask_all(az: &Host, questions: &Questions, answers: &RefCell<Vec<Answer>>) {
    let mut asking: Vec<Test<'_>> = Vec::new();
    for (name, question) in questions {
        asking.push(Box::pin(async move {
            let started = Instant::now();
            let reply = az::ask(az, question).await;
            let (name, question) = (name.clone(), question.clone());
            answers.borrow_mut().push(Answer { name, question, reply, elapsed: started.elapsed() });
        }));
    }
    join_all(asking).await;
}

/// Looks at everything, in the time of four questions: what the answers name is asked for next.
pub async fn examine(vm: &Vm, az: &Host, wanted: &Wanted) -> Vec<Finding> {
    az.commands.end_by(Instant::now() + LIMIT);
    let azure = &vm.settings.azure;
    let of_arc = azure.resource_name.as_ref().and_then(|name| Place::named(name.as_str(), VM, azure));
    let mut look = Look { vm, wanted, machine: wanted.vm.clone().or(of_arc), answers: Vec::new() };
    loop {
        let questions = look.questions();
        if questions.is_empty() {
            return look.findings();
        }
        let answers = RefCell::new(std::mem::take(&mut look.answers));
        ask_all(az, &questions, &answers).await;
        look.answers = answers.into_inner();
    }
}

/// What is known so far.
struct Look<'a> {
    vm: &'a Vm,
    wanted: &'a Wanted,
    /// The VM that is looked at: the one that was named, or the one of the Arc machine's name.
    machine: Option<Place>,
    answers: Vec<Answer>,
}

impl Look<'_> {
    fn answer(&self, name: &str) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.name == name)
    }

    fn reply(&self, name: &str) -> Option<&Reply> {
        self.answer(name).map(|answer| &answer.reply)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.reply(name).and_then(|reply| reply.as_ref().ok())
    }

    fn group_id(&self) -> String {
        let azure = &self.vm.settings.azure;
        format!("/subscriptions/{}/resourceGroups/{}", azure.subscription_id, azure.resource_group)
    }

    /// What can be asked now and was not yet.
    fn questions(&self) -> Questions {
        let azure = &self.vm.settings.azure;
        let subscription = format!("--subscription {}", azure.subscription_id);
        let is_signed_in = self.az().holds();
        let words = |place: Option<Place>| place.map(|place| place.words());
        let identity = match &self.vm.settings.identity {
            Identity::System => None,
            Identity::ResourceId(id) => {
                words(Place::of_id(id.as_str(), USER_IDENTITY)).map(|words| "show ".to_owned() + &words)
            }
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
        let mut lines: Vec<String> = QUESTIONS.lines().map(str::to_owned).collect();
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
    fn findings(&self) -> Vec<Finding> {
        if let Some(principal) = self.principal() {
            self.vm.learnt.claims.borrow_mut().oid = Some(principal);
        }
        let mut findings = Vec::new();
        for (check, condition) in CHECKS {
            // A system-assigned identity is the VM's affair alone.
            if check == "identity" && self.vm.settings.identity == Identity::System {
                continue;
            }
            let (state, steps) = match self.row(check) {
                Row::Holds(evidence) => (State::Holds(evidence), None),
                Row::Skipped(cause) => (State::Skipped(cause), None),
                Row::Open(why) => (State::Open(why), None),
                Row::Fails { fault, values, without } => {
                    let steps = self.steps(&fault, &values, &without);
                    (State::Fails(fault), Some(steps))
                }
            };
            let asked = if check == "providers" { PROVIDERS[0] } else { check };
            let elapsed = self.answer(asked).map_or(Duration::ZERO, |answer| answer.elapsed);
            findings.push(Finding { check: Some(check), condition, state, steps, elapsed });
        }
        findings
    }

    /// The catalogue's steps with what was learnt, and with the command that this run was.
    fn steps(&self, fault: &Fault, values: &[(&'static str, String)], without: &[&str]) -> Vec<String> {
        let place = |place: Option<&Place>, name: &str| {
            let azure = &self.vm.settings.azure;
            let (group, id) = (quote(azure.resource_group.as_str()), &azure.subscription_id);
            let unnamed = || format!("--name \"${name}\" --resource-group {group} --subscription {id}");
            place.map_or_else(unnamed, Place::pasted)
        };
        let user = match &self.vm.settings.identity {
            Identity::ResourceId(id) => Place::of_id(id.as_str(), USER_IDENTITY),
            _ => None,
        };
        let config = match self.vm.config.as_str() {
            crate::settings::DEFAULT_PATH => String::new(),
            path => format!(" --config {}", quote(path)),
        };
        let common = [
            ("arc-enroll enroll", "arc-enroll precheck".to_owned()),
            ("arc-enroll precheck", format!("arc-enroll precheck{config}")),
            ("{csn_at}", place(self.csn_place().as_ref(), "CSN_NAME")),
            ("{csn_of_vm}", self.csn_of_vm().map_or(String::new(), |csn| format!("\"{}\"", csn.id(CSN)))),
            ("{vm_at}", place(self.machine.as_ref(), "VM_NAME")),
            ("{identity_at}", place(user.as_ref(), "IDENTITY_NAME")),
            ("{cluster_at}", place(self.cluster().as_ref(), "CLUSTER_NAME")),
            ("{create}", self.create()),
        ];
        let steps =
            fault.kind.remediation.iter().filter(|step| !without.iter().any(|words| step.contains(words)));
        let mut filled = Vec::new();
        for step in steps {
            let all = values.iter().chain(&common);
            let step = all.fold(step.to_owned(), |step, (name, value)| step.replace(name, value));
            filled.push(self.vm.fill(&step));
        }
        filled
    }

    /// The command that creates the VM, as far as its words are known.
    fn create(&self) -> String {
        let settings = &self.vm.settings;
        let mut command =
            create_command(&settings.azure, &settings.identity, "user-data.b64").replace(" \\\n   ", "");
        if let Some(csn) = self.csn_place() {
            command = command.replace("$CLOUD_SERVICES_NETWORK_ID", &csn.id(CSN));
        }
        if let Some(vm) = &self.machine {
            command = command.replace("\"$VM_NAME\"", &quote(&vm.name));
        }
        if let Identity::ResourceId(id) = &settings.identity {
            // In double quotes a line may be parted.
            command = command.replace(&quote(id.as_str()), &format!("\"{}\"", id.as_str()));
        }
        command.trim_end().to_owned()
    }
}

/// Whether a version is at least the named one, by its first three numbers; nothing where it has none.
fn is_enough(what: &str, version: &str) -> Option<bool> {
    let least = LEAST.iter().find(|(name, _)| *name == what).map(|(_, least)| *least)?;
    let mut numbers = [0; 3];
    for (at, (part, place)) in version.trim_start_matches('v').split('.').zip(&mut numbers).enumerate() {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        match part.get(..end).and_then(|digits| digits.parse().ok()) {
            Some(number) => *place = number,
            // "4.0.0b1" has a number in each part, "latest" in none.
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
            assert_eq!(is_enough(what, version), right, "{what} {version}");
        }
    }
}
