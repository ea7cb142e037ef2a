//! The real az, signed in through the simulated sidecar, against the simulated ARM, to verify the stand-in.
//! `NEXUS_AZ` names the program; without it the test is skipped, since az is a download of 700 MB. The networkcloud
//! extension is not on a package registry, so its commands are tested only with the stand-in.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::nexus::spec::{RESOURCE_GROUP, SUBSCRIPTION, USER_OBJECT};
use crate::nexus::vm::{agent_program, config, Vm, CONFIG};

/// The program in the VM's network, with the environment of an operator.
fn operator_command(vm: &Vm, program: &std::path::Path, az: &std::path::Path) -> Command {
    let mut command = vm.inside(program);
    let path = format!("{}:/usr/bin:/bin", az.parent().expect("a folder").display());
    let proxy = "http://169.254.0.11:3128";
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", vm.folder())
        .env("AZURE_CONFIG_DIR", vm.folder().join("azure"));
    command
        .env("HTTPS_PROXY", proxy)
        .env("NO_PROXY", "169.254.169.254")
        .env("AZURE_CORE_COLLECT_TELEMETRY", "false");
    command.env("REQUESTS_CA_BUNDLE", vm.root.join(".nexus/ca.pem"));
    command
}

fn rows(command: &mut Command) -> (Option<i32>, Value) {
    let output = command.output().expect("precheck runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {output:?}"));
    let rows = value["conditions"].as_array().expect("rows").iter();
    (
        output.status.code(),
        rows.map(|row| (row["check"].as_str().expect("a name").to_owned(), row.clone())).collect(),
    )
}

#[test]
fn the_real_az_is_understood() {
    let Some(az) = std::env::var_os("NEXUS_AZ").map(PathBuf::from) else {
        eprintln!("SKIPPED the_real_az_is_understood: NEXUS_AZ does not name an az");
        return;
    };
    let identity = format!("identity: {{object_id: {USER_OBJECT}}}\n");
    let vm = Vm::new()
        .config(&(config() + &identity))
        .csn(|csn| csn.additional.push("graph.microsoft.com".to_owned()))
        .azure(|azure| azure.access.actions = vec!["*".to_owned()])
        .start();
    let precheck = |more: &[&str]| {
        let mut command = operator_command(&vm, &agent_program(), &az);
        command.args(["precheck", "--output", "json", "--config"]).arg(vm.path(CONFIG)).args(more);
        let (code, rows) = rows(&mut command);
        eprintln!("{code:?} {rows:#}");
        (code, rows)
    };
    let (code, found) = precheck(&[]);
    assert_eq!((code, &found["az"]["fault"]), (Some(3), &"host.az-not-signed-in".into()), "{found}");

    let login = operator_command(&vm, &az, &az)
        .args(["login", "--identity", "--output", "none"])
        .output()
        .expect("az runs");
    assert!(login.status.success(), "{}", String::from_utf8_lossy(&login.stderr));
    let (_, found) = precheck(&["--subscription-id", "99999999-9999-4999-8999-999999999999"]);
    assert_eq!(found["az"]["fault"], "host.az-wrong-account", "{found}");

    let (code, found) = precheck(&[]);
    let state = |check: &str| found[check]["state"].as_str().unwrap_or_default().to_owned();
    assert_eq!(code, Some(3), "{found}");
    for check in ["az", "resource-group", "providers", "identity"] {
        assert_eq!(state(check), "holds", "{found}");
    }
    // The real message for a missing extension.
    assert_eq!(found["extension"]["fault"], "host.az-extension", "{found}");
    assert_eq!(found["csn"]["cause"], "extension", "{found}");
    // The first role is assigned, the second is not.
    assert_eq!(found["roles"]["fault"], "access.role-unassigned", "{found}");
    let seen = found["roles"]["evidence"].as_str().unwrap_or_default();
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}");
    assert!(seen.ends_with(&format!("it has Azure Connected Machine Resource Manager at {group}")), "{seen}");

    let (_, found) = precheck(&["--resource-group", "gone-rg"]);
    assert_eq!(found["resource-group"]["fault"], "access.resource-group-missing", "{found}");
    vm.set_azure({
        let mut plan = crate::nexus::spec::AzurePlan::default();
        plan.access.actions = vec!["Microsoft.HybridCompute/*".to_owned()];
        plan
    });
    let (_, found) = precheck(&[]);
    for check in ["resource-group", "providers", "identity"] {
        assert_eq!(found[check]["fault"], "host.az-refused", "{found}");
    }
}
