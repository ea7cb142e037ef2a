//! What the operator can see of a VM's way to Azure Arc from outside, before the VM exists and after: the checks
//! that the guide makes with `az`.
//!
//! Four rounds of questions, those of a round at the same time, since az takes seconds to start; each file judges
//! one subject by what came back.

pub mod az;
mod identity;
mod network;
pub mod place;
mod roles;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::condition::Condition;
use crate::conditions::sanity::{join_all, Test};
use crate::conditions::Vm;
use crate::fault::{self, Entry, Fault};
use crate::finding::{Finding, State};
use crate::host::Host;
use crate::settings::{Guid, Identity};
use crate::user_data::{create_command, quoted};
use az::{text, Failure, Kind, Reply};
use place::Place;

/// When everything has to have ended; a program that does not heed its end is killed 5 s later.
pub const LIMIT: Duration = Duration::from_secs(120);

/// The type of a cloud services network.
pub const CSN: &str = "Microsoft.NetworkCloud/cloudServicesNetworks";

/// The type of a Nexus VM.
pub const VM: &str = "Microsoft.NetworkCloud/virtualMachines";

const CLUSTER: &str = "Microsoft.NetworkCloud/clusters";
const USER_IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

/// Keeps the user-data, a megabyte, out of the answer; the names stay those of the resource.
const OF_VM: &str =
    "--query {name:name,id:id,identity:identity,clusterId:clusterId,provisioningState:provisioningState,\
                     cloudServicesNetworkAttachment:cloudServicesNetworkAttachment}";

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
    fn fails(entry: &'static Entry, seen: String) -> Self {
        Self::Fails { fault: entry.seen(seen), values: Vec::new(), without: Vec::new() }
    }

    fn failed(failure: &Failure) -> Self {
        let values = vec![("{az}", failure.command.clone())];
        Self::Fails { fault: failure.fault(), values, without: Vec::new() }
    }
}

/// An answer and how long it took.
struct Answer {
    reply: Reply,
    elapsed: Duration,
}

/// Asks all of these at the same time; a question that there is none of has no answer.
async fn ask_all(az: &Host, questions: Vec<Option<String>>) -> Vec<Option<Answer>> {
    let places: Vec<std::cell::OnceCell<Answer>> =
        questions.iter().map(|_| std::cell::OnceCell::new()).collect();
    let mut asking: Vec<Test<'_>> = Vec::new();
    for (question, place) in questions.iter().zip(&places) {
        let Some(question) = question else { continue };
        asking.push(Box::pin(async move {
            let started = Instant::now();
            let reply = az::ask(az, question).await;
            let _first = place.set(Answer { reply, elapsed: started.elapsed() });
        }));
    }
    join_all(asking).await;
    places.into_iter().map(std::cell::OnceCell::into_inner).collect()
}

/// Looks at everything, in the time of four questions.
pub async fn examine(vm: &Vm, az: &Host, wanted: &Wanted) -> Vec<Finding> {
    az.commands.end_by(Instant::now() + LIMIT);
    let mut look = Look::new(vm, wanted);
    let questions = look.first_questions();
    look.hear_first(ask_all(az, questions).await);
    if look.is_signed_in {
        let questions = look.second_questions();
        look.hear_second(ask_all(az, questions).await);
        let questions = look.third_questions();
        look.hear_third(ask_all(az, questions).await);
        let questions = look.fourth_questions();
        look.hear_fourth(ask_all(az, questions).await);
    }
    look.into_findings()
}

/// What is known so far, and the rows that follow from it.
struct Look<'a> {
    vm: &'a Vm,
    wanted: &'a Wanted,
    subscription: String,
    group_id: String,
    /// The VM that is looked at: the one that was named, or the one of the Arc machine's name.
    vm_place: Option<Place>,
    is_signed_in: bool,
    has_extension: bool,
    subscription_state: String,
    csn_place: Option<Place>,
    csn_of_vm: Option<Place>,
    cluster: Option<Place>,
    is_cluster_asked: bool,
    principal: Option<String>,
    assignments: Vec<roles::Assignment>,
    unknown_roles: Vec<String>,
    rows: Vec<(&'static str, Row, Duration)>,
}

mod rounds;

impl<'a> Look<'a> {
    fn new(vm: &'a Vm, wanted: &'a Wanted) -> Self {
        let azure = &vm.settings.azure;
        let subscription = format!("--subscription {}", azure.subscription_id);
        let group_id =
            format!("/subscriptions/{}/resourceGroups/{}", azure.subscription_id, azure.resource_group);
        let of_arc = azure.resource_name.as_ref().and_then(|name| Place::named(name.as_str(), VM, azure));
        Self {
            vm,
            wanted,
            subscription,
            group_id,
            vm_place: wanted.vm.clone().or(of_arc),
            is_signed_in: false,
            has_extension: false,
            subscription_state: String::new(),
            csn_place: wanted.csn.clone(),
            csn_of_vm: None,
            cluster: None,
            is_cluster_asked: false,
            principal: None,
            assignments: Vec::new(),
            unknown_roles: Vec::new(),
            rows: Vec::new(),
        }
    }

    fn row(&mut self, check: &'static str, elapsed: Duration, row: Row) {
        self.rows.push((check, row, elapsed));
    }

    /// The row of this name, where there is one already.
    fn known(&self, check: &str) -> Option<&Row> {
        self.rows.iter().find(|(name, ..)| *name == check).map(|(_, row, _)| row)
    }

    /// The rows in their order; those that nothing was learnt of fail with what they need.
    fn into_findings(mut self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (check, condition) in CHECKS {
            let at = self.rows.iter().position(|(name, ..)| *name == check);
            let (row, elapsed) = match at {
                Some(at) => {
                    let (_, row, elapsed) = self.rows.swap_remove(at);
                    (row, elapsed)
                }
                // A system-assigned identity is the VM's affair alone.
                None if check == "identity" && self.is_signed_in => continue,
                None => (Row::Skipped("az"), Duration::ZERO),
            };
            let (state, steps) = match row {
                Row::Holds(evidence) => (State::Holds(evidence), None),
                Row::Skipped(cause) => (State::Skipped(cause), None),
                Row::Open(why) => (State::Open(why), None),
                Row::Fails { fault, values, without } => {
                    let steps = self.steps(&fault, &values, &without);
                    (State::Fails(fault), Some(steps))
                }
            };
            findings.push(Finding { check: Some(check), condition, state, steps, elapsed });
        }
        findings
    }

    /// The catalogue's steps with what was learnt, and with the command that this run was.
    fn steps(&self, fault: &Fault, values: &[(&'static str, String)], without: &[&str]) -> Vec<String> {
        let place = |place: Option<&Place>, name: &str| {
            let azure = &self.vm.settings.azure;
            let (group, id) = (quoted(azure.resource_group.as_str()), &azure.subscription_id);
            let unnamed = || format!("--name \"${name}\" --resource-group {group} --subscription {id}");
            place.map_or_else(unnamed, Place::pasted)
        };
        let cluster = place(self.cluster.as_ref(), "CLUSTER_NAME");
        let user = match &self.vm.settings.identity {
            Identity::ResourceId(id) => Place::of_id(id.as_str(), USER_IDENTITY),
            _ => None,
        };
        let config = match self.vm.config.as_str() {
            crate::settings::DEFAULT_PATH => String::new(),
            path => format!(" --config {}", quoted(path)),
        };
        let common = [
            ("arc-enroll enroll", "arc-enroll precheck".to_owned()),
            ("arc-enroll precheck", format!("arc-enroll precheck{config}")),
            ("{csn_at}", place(self.csn_place.as_ref(), "CSN_NAME")),
            (
                "{csn_of_vm}",
                self.csn_of_vm.as_ref().map_or(String::new(), |csn| format!("\"{}\"", csn.id(CSN))),
            ),
            ("{vm_at}", place(self.vm_place.as_ref(), "VM_NAME")),
            ("{identity_at}", place(user.as_ref(), "IDENTITY_NAME")),
            ("{cluster_name_at}", cluster.replacen("--name ", "", 1)),
            ("{cluster_at}", cluster),
            ("{create}", self.create()),
        ];
        let steps =
            fault.entry.person.iter().filter(|step| !without.iter().any(|words| step.contains(words)));
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
        if let Some(csn) = &self.csn_place {
            command = command.replace("$CLOUD_SERVICES_NETWORK_ID", &csn.id(CSN));
        }
        if let Some(vm) = &self.vm_place {
            command = command.replace("\"$VM_NAME\"", &quoted(&vm.name));
        }
        if let Identity::ResourceId(id) = &settings.identity {
            // In double quotes a line may be parted.
            command = command.replace(&quoted(id.as_str()), &format!("\"{}\"", id.as_str()));
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
