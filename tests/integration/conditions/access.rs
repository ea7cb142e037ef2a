//! The role, the resource group, and other replies of Azure.

use crate::assertions::{assert_enrolled, assert_stopped, evidence, met, with_windows};
use crate::nexus::spec::{Denial, Playbook, Reply, RESOURCE_GROUP, SUBSCRIPTION, SYSTEM_OBJECT};
use crate::nexus::vm::{config, Builder, Vm};

fn short() -> String {
    with_windows(&[("access", "1s")])
}

/// A VM on which one route of ARM replies like this before it is healthy.
fn route(name: &str, playbook: Playbook<crate::nexus::spec::HttpAct>) -> Builder {
    Vm::new().installed().azure(|azure| drop(azure.routes.insert(name.to_owned(), playbook)))
}

#[test]
fn a_late_role_is_found_with_a_new_token() {
    let vm = Vm::new()
        .installed()
        .azure(|azure| {
            azure.access.denials = 1;
            azure.access.fresh_token = true;
        })
        .config(&short())
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(met(&run, "access.role-missing").len(), 1, "{}", run.text());
    assert_eq!(vm.observed().tokens.len(), 2, "the token from before the role is not used again");
    assert_eq!(vm.calls_of("azcmagent connect").len(), 1);
}

#[test]
fn a_missing_role_is_retryable_and_the_remedy_names_the_principal() {
    let vm = Vm::new().installed().azure(|azure| azure.access.never = true).config(&short()).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "access.role-missing");
    let command = format!(
        "az role assignment create --assignee-object-id {SYSTEM_OBJECT} --assignee-principal-type ServicePrincipal \
         --role \"Azure Connected Machine Resource Manager\" \
         --scope \"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}\""
    );
    assert!(run.unfolded().contains(&command), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn a_listed_role_that_is_not_effective_yet_is_retried() {
    let denied = Reply::json(
        403,
        &serde_json::json!({"error": {"code": "AuthorizationFailed", "message": format!(
            "The client '{SYSTEM_OBJECT}' with object id '{SYSTEM_OBJECT}' does not have authorization to perform \
             action 'Microsoft.HybridCompute/machines/write' over scope '/x' or the scope is invalid.")}}),
    );
    let vm = route("machine.put", Playbook::new().once(denied.act())).config(&short()).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(met(&run, "access.role-propagating").len(), 1, "{}", run.text());
    let connects = vm.calls_of("azcmagent connect");
    assert_eq!(connects.len(), 2);
    assert!(connects[1].argv.iter().any(|word| word == "--verbose"), "the next try tells more");
    assert_eq!(vm.observed().tokens.len(), 2);
}

#[test]
fn an_empty_listing_is_a_missing_role() {
    let vm = Vm::new()
        .installed()
        .azure(|azure| {
            azure.access.never = true;
            azure.access.form = Denial::Empty;
        })
        .config(&short())
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "access.role-missing");
    assert!(evidence(&run, "access.role-missing").contains("none at all"), "{}", run.text());
}

#[test]
fn a_role_that_only_reads_is_a_missing_role_and_is_named() {
    let vm = Vm::new()
        .installed()
        .azure(|azure| azure.access.actions = vec!["*/read".to_owned()])
        .config(&short())
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "access.role-missing");
    let text = evidence(&run, "access.role-missing");
    assert!(
        text.contains("Microsoft.HybridCompute/machines/write") && text.contains("only */read"),
        "{text}"
    );
}

#[test]
fn an_invisible_subscription_is_retried() {
    let vm = Vm::new()
        .installed()
        .azure(|azure| {
            azure.access.never = true;
            azure.access.form = Denial::SubscriptionNotFound;
        })
        .config(&short())
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "access.subscription-missing");
    assert!(run.stdout.contains(&format!("az account show --subscription {SUBSCRIPTION}")), "{}", run.text());
}

#[test]
fn a_missing_resource_group_ends_the_run_at_once() {
    let vm = Vm::new().installed().config(&config().replace(RESOURCE_GROUP, "misspelt-rg")).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 20, "access.resource-group-missing");
    let asked = vm.observed().azure.iter().filter(|seen| seen.headers.contains_key("authorization")).count();
    assert_eq!(asked, 2, "the permissions, and at the same time the provider");
    assert!(run.stdout.contains("az group create --name misspelt-rg"), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn an_unregistered_provider_ends_the_run_with_the_commands() {
    let vm = Vm::new().installed().azure(|azure| azure.providers_registered = false).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 20, "access.provider-unregistered");
    assert!(
        run.stdout.contains("az provider register --namespace Microsoft.HybridCompute"),
        "{}",
        run.text()
    );
    assert_verbose_once(&vm, &run);
    // The refusal to register, which only verbose mode shows, is not reported as the cause.
    assert!(run.log.contains("DEBUG   Registering"), "{}", run.text());
}

/// Asserts that connect failed with a fault that ends the run and was repeated once verbosely.
fn assert_verbose_once(vm: &Vm, run: &crate::nexus::run::Run) {
    let connects = vm.calls_of("azcmagent connect");
    let verbose: Vec<bool> =
        connects.iter().map(|call| call.argv.iter().any(|word| word == "--verbose")).collect();
    assert_eq!(verbose, [false, true], "{}", run.text());
    assert_eq!(run.events("connect.verbose").len(), 1, "{}", run.text());
}

#[test]
fn an_unregistered_provider_without_the_right_to_register_stops_before_connect() {
    let vm = Vm::new()
        .installed()
        .azure(|azure| {
            azure.providers_registered = false;
            let actions = ["*/read", "Microsoft.HybridCompute/machines/*"];
            azure.access.actions = actions.map(str::to_owned).to_vec();
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 20, "access.provider-unregistered");
    assert!(evidence(&run, "access.provider-unregistered").contains("NotRegistered"), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn an_unregistered_provider_is_left_to_azcmagent_where_the_identity_may_register_it() {
    let vm = Vm::new()
        .installed()
        .azure(|azure| {
            azure.providers_registered = false;
            azure.access.actions = vec!["*".to_owned()];
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(access(&run).contains("Microsoft.HybridCompute is NotRegistered"), "{}", run.text());
}

/// The evidence of the condition `access`.
fn access(run: &crate::nexus::run::Run) -> String {
    let holds = run.events("condition.holds");
    let line = holds.iter().find(|line| line["condition"] == "access").expect("access holds");
    line["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_missing_second_role_is_reported_and_does_not_prevent_enrolling() {
    let vm = Vm::new()
        .installed()
        .azure(|azure| {
            azure.access.actions =
                vec!["Microsoft.HybridCompute/machines/write".to_owned(), "*/read".to_owned()]
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    let said = access(&run);
    assert!(said.contains("lacks Microsoft.HybridCompute/machines/listAccessDetails/action"), "{said}");
    assert!(said.contains("HybridCompute Machine ListAccessDetails Action"), "{said}");
}

#[test]
fn a_role_without_read_is_a_missing_role() {
    let vm = Vm::new()
        .installed()
        .azure(|azure| azure.access.actions = vec!["Microsoft.HybridCompute/machines/write".to_owned()])
        .config(&short())
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 75, "access.role-missing");
    assert!(evidence(&run, "access.role-missing").contains("lacks Microsoft.HybridCompute/machines/read"));
}

#[test]
fn a_policy_that_forbids_the_machine_ends_the_run() {
    let vm = route("machine.put", Playbook::new().forever(Reply::named("arm-403-policy").act())).start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 20, "access.policy");
    assert_verbose_once(&vm, &run);
    assert!(run.stdout.contains("az policy assignment list"), "{}", run.text());
}

#[test]
fn a_rejected_token_is_replaced_at_once() {
    let vm = route("permissions", Playbook::new().once(Reply::named("arm-401-expired").act())).start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert_eq!(met(&run, "identity.token-rejected").len(), 1, "{}", run.text());
    assert!(run.events("wait.started").is_empty(), "{}", run.text());
    assert_eq!(vm.observed().tokens.len(), 2);
}

#[test]
fn an_error_of_arm_itself_leaves_the_decision_to_azcmagent() {
    for name in ["arm-500", "arm-429"] {
        let vm = route("permissions", Playbook::new().forever(Reply::named(name).act())).start();
        let run = vm.run(&["enroll"]);
        assert_enrolled(&vm, &run);
        let holds = run.events("condition.holds");
        let access = holds.iter().find(|line| line["condition"] == "access").expect("access holds");
        assert!(access["message"].as_str().is_some_and(|text| text.contains("unknown: ")), "{access}");
    }
}
