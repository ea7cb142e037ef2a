//! `precheck` on the operator's workstation, with a stand-in for az.

mod real_az;
pub mod workstation;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::{json, Value};

use crate::nexus::run::wait_until;
use crate::nexus::spec::{RESOURCE_GROUP, SUBSCRIPTION, SYSTEM_OBJECT, USER_CLIENT, USER_OBJECT};
use workstation::{
    assigned, csn, endpoints, group_id, nexus_id, uami_id, user, vm, world, Workstation, ARC, CSN,
    LIST_ACCESS, MANAGER, OTHER_GROUP, VM,
};

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut world = world();
    change(&mut world);
    world
}

/// The row's evidence, and that it is as this state.
fn row(workstation: &Workstation, arguments: &[&str], check: &str, state: &str) -> String {
    let mut all = arguments.to_vec();
    all.extend(["--output", "json"]);
    let run = workstation.run(&all);
    let rows = run.rows();
    assert_eq!(rows[check]["state"], state, "{}\n{}", rows[check], run.stdout);
    rows[check]["evidence"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_existing_vm_is_checked_completely() {
    let workstation = Workstation::new(&world());
    let run = workstation.run(&["--vm", VM]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    let shown: Vec<&str> = run.stdout.lines().filter_map(|line| line.strip_prefix("  ok    ")).collect();
    let names: Vec<&str> = shown.iter().filter_map(|line| line.split_whitespace().next()).collect();
    let right =
        ["az", "extension", "platform", "csn", "egress", "vm", "resource-group", "providers", "roles"];
    assert_eq!(names, right, "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    let text = run.unfolded();
    for words in [
        "azure-cli 2.91.0, signed in as operator@contoso.com",
        "networkcloud 4.0.0b1",
        "runtime 4.7.2",
        "all 7 that",
        SYSTEM_OBJECT,
        "No problem found; enrollment can start.",
    ] {
        assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(words), "{words}\n{text}");
    }
    let json = workstation.run(&["--vm", VM, "--output", "json"]);
    let value: Value = serde_json::from_str(&json.stdout).expect("it is JSON");
    assert_eq!((&value["worst"], &value["exit_code"]), (&Value::Null, &0.into()));
    let doctors = [
        "condition",
        "number",
        "state",
        "evidence",
        "cause",
        "elapsed_ms",
        "fault",
        "means",
        "causes",
        "exit_code",
        "remedy",
        "check",
    ];
    for row in value["conditions"].as_array().expect("rows") {
        let members: Vec<&String> = row.as_object().expect("an object").keys().collect();
        assert_eq!(members.len(), doctors.len(), "{row}");
        assert!(doctors.iter().all(|name| row.get(*name).is_some()), "{row}");
    }
}

#[test]
fn before_the_vm_exists_network_and_user_assigned_identity_are_checked() {
    let world = changed(|world| world["virtualMachines"] = json!([]));
    let identity: &'static str =
        Box::leak(format!("identity: {{resource_id: {}}}\n", uami_id("uami")).into());
    let workstation = Workstation::new(&world).configured(identity);
    let run = workstation.run(&[]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(row(&workstation, &[], "identity", "holds").contains(USER_OBJECT));
    assert!(row(&workstation, &[], "roles", "holds").contains(MANAGER.0));
    assert!(row(&workstation, &[], "vm", "skipped").contains("no VM is named yet"));
    assert!(row(&workstation, &[], "csn", "holds").contains("csn-1"));
}

#[test]
fn before_the_vm_exists_its_system_identity_is_not_checked() {
    let workstation = Workstation::new(&changed(|world| world["virtualMachines"] = json!([])));
    assert_eq!(workstation.run(&[]).code, 0);
    let said = row(&workstation, &["--resource-name", VM], "roles", "skipped");
    assert!(said.contains("arc-enroll precheck --vm web-1"), "{said}");
    assert!(row(&workstation, &["--resource-name", VM], "vm", "skipped").contains("there is no VM web-1 yet"));
}

#[test]
fn the_vm_of_the_arc_machines_name_is_found() {
    let workstation = Workstation::new(&world());
    assert!(row(&workstation, &["--resource-name", VM], "vm", "holds").contains(SYSTEM_OBJECT));
    assert!(row(&workstation, &["--resource-name", VM], "roles", "holds").contains(LIST_ACCESS.0));
}

#[test]
fn an_identity_is_known_by_each_of_its_ids() {
    let world = changed(|world| world["virtualMachines"] = json!([vm(user("uami"))]));
    for identity in [
        format!("resource_id: {}", uami_id("UAMI")),
        format!("client_id: {USER_CLIENT}"),
        format!("object_id: {USER_OBJECT}"),
    ] {
        let workstation = Workstation::new(&world).configured(&format!("identity: {{{identity}}}\n"));
        let run = workstation.run(&["--vm", VM]);
        assert_eq!(run.code, 0, "{identity}\n{}", run.stdout);
        for check in ["vm", "identity"] {
            assert!(
                row(&workstation, &["--vm", VM], check, "holds").contains(USER_OBJECT),
                "{identity} {check}"
            );
        }
    }
    let both = changed(|world| {
        let mut identity = user("uami");
        (identity["type"], identity["principalId"]) =
            ("SystemAssigned, UserAssigned".into(), SYSTEM_OBJECT.into());
        world["virtualMachines"] = json!([vm(identity)]);
    });
    assert!(row(&Workstation::new(&both), &["--vm", VM], "vm", "holds").contains(SYSTEM_OBJECT));
}

#[test]
fn an_identity_of_another_subscription_is_known_by_the_vm() {
    let world = changed(|world| {
        world["virtualMachines"] = json!([vm(user("uami"))]);
        world["identities"] = json!([]);
    });
    let workstation =
        Workstation::new(&world).configured(&format!("identity: {{client_id: {USER_CLIENT}}}\n"));
    assert!(row(&workstation, &["--vm", VM], "identity", "holds").contains("az does not list it"));
    assert!(row(&workstation, &["--vm", VM], "roles", "holds").contains(MANAGER.0));
}

#[test]
fn a_network_of_another_resource_group_is_found_by_the_vm_and_by_its_id() {
    let id = nexus_id("cloudServicesNetworks", CSN).replace(RESOURCE_GROUP, OTHER_GROUP);
    let world = changed(|world| {
        world["cloudServicesNetworks"] = json!([csn("another"), csn("one-more"), csn(CSN)]);
        world["cloudServicesNetworks"][2]["id"] = id.clone().into();
        world["virtualMachines"][0]["cloudServicesNetworkAttachment"]["attachedNetworkId"] =
            id.clone().into();
    });
    for arguments in [vec!["--vm", VM], vec!["--csn", id.as_str()]] {
        let workstation = Workstation::new(&world);
        assert!(row(&workstation, &arguments, "csn", "holds").contains(CSN));
        let shown = workstation.calls().iter().any(|call| {
            let words = call["argv"].to_string();
            words.contains("cloudservicesnetwork\",\"show") && words.contains(OTHER_GROUP)
        });
        assert!(shown, "{arguments:?}");
    }
    assert!(row(&Workstation::new(&world), &["--csn", "another"], "csn", "holds").contains("another"));
}

#[test]
fn egress_lists_are_matched_by_name_wildcard_and_port() {
    let with = |enabled: Value, additional: Value, defaults: &str| {
        let csn = json!({"enabledEgressEndpoints": enabled, "additionalEgressEndpoints": additional,
            "enableDefaultEgressEndpoints": defaults, "provisioningState": "Succeeded"});
        changed(|world| {
            for (name, value) in csn.as_object().expect("members") {
                world["cloudServicesNetworks"][0][name] = value.clone();
            }
        })
    };
    let packages = endpoints("p", &[".microsoft.com"]);
    for (enabled, additional, defaults, state) in [
        (json!([endpoints("default", &ARC)]), json!([packages]), "True", "holds"),
        (json!([endpoints("own", &ARC)]), json!([packages]), "False", "holds"),
        // Enabled endpoints are not listed: the defaults are assumed as in the guide, the rest is not.
        (json!(null), json!([packages]), "True", "holds"),
        (json!([]), json!([packages]), "false", "fails"),
        (json!(null), json!(null), "True", "fails"),
        (json!([endpoints("default", &["*"])]), json!([]), "True", "holds"),
        (
            json!([{"category": "x", "endpoints": [{"domainName": "*", "port": 80}]}]),
            json!([packages]),
            "True",
            "fails",
        ),
    ] {
        let workstation = Workstation::new(&with(enabled.clone(), additional.clone(), defaults));
        row(&workstation, &["--vm", VM], "egress", state);
    }
    // Whether packages.microsoft.com is needed depends on the configuration.
    let bare = with(json!([endpoints("default", &ARC)]), json!([]), "True");
    for (install, state, words) in [
        ("agent: {install: never}\n", "holds", "all 6 that"),
        ("agent: {install: repository}\n", "fails", "lacks packages.microsoft.com"),
        ("agent: {install: script}\n", "fails", "lacks aka.ms, packages.microsoft.com"),
        (
            "agent: {install: package, package: {url: \"https://mirror.contoso:8443/a.deb\", sha256: \
             0000000000000000000000000000000000000000000000000000000000000000}}\n",
            "fails",
            "lacks mirror.contoso:8443",
        ),
    ] {
        let said = row(&Workstation::new(&bare).configured(install), &["--vm", VM], "egress", state);
        assert!(said.contains(words), "{install} {said}");
    }
    // The sections below `properties`, as ARM itself answers.
    let nested = changed(|world| {
        let csn = world["cloudServicesNetworks"][0].take();
        world["cloudServicesNetworks"][0] = json!({"name": CSN, "id": csn["id"], "properties": csn});
    });
    assert_eq!(Workstation::new(&nested).run(&["--vm", VM]).code, 0);
}

#[test]
fn roles_are_checked_by_actions_and_scope() {
    let group = group_id();
    let subscription = format!("/subscriptions/{SUBSCRIPTION}");
    let owner = ("Owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635");
    let custom = ("", "12345678-1234-4234-8234-123456789abc");
    let with = |assignments: Vec<Value>, actions: &[&str], not: &[&str]| {
        let definition = |name: &str| json!({"name": name, "permissions": [{"actions": actions, "notActions": not, "dataActions": []}]});
        Workstation::new(&changed(|world| {
            world["assignments"] = assignments.into();
            world["definitions"] = json!([definition(owner.1), definition(custom.1)]);
        }))
    };
    let to = |role: (&str, &str), scope: &str| assigned(role, SYSTEM_OBJECT, scope);
    for (workstation, state, words) in [
        (with(vec![to(owner, &subscription)], &["*"], &[]), "holds", "Owner at /subscriptions/".to_owned()),
        (
            with(vec![to(owner, "/providers/Microsoft.Management/managementGroups/m")], &["*"], &[]),
            "holds",
            "Groups/m".into(),
        ),
        (with(vec![to(custom, &group)], &["Microsoft.HybridCompute/*"], &[]), "holds", custom.1.to_owned()),
        (
            with(vec![to(custom, &group)], &["*"], &["*/write"]),
            "fails",
            format!("lacks {}; it has {}", MANAGER.0, custom.1),
        ),
        (
            with(vec![to(custom, &group)], &["*/read"], &[]),
            "fails",
            format!("{} and {}", MANAGER.0, LIST_ACCESS.0),
        ),
        (with(vec![], &[], &[]), "fails", "it has no role".to_owned()),
        (
            with(vec![to(MANAGER, &(group.clone() + "-2")), to(LIST_ACCESS, &group)], &[], &[]),
            "fails",
            format!("lacks {}; it has {} at {group}; {} at {group}-2", MANAGER.0, LIST_ACCESS.0, MANAGER.0),
        ),
        (
            with(vec![to(MANAGER, &group.to_uppercase()), to(LIST_ACCESS, &subscription)], &[], &[]),
            "holds",
            LIST_ACCESS.0.to_owned(),
        ),
        (with(vec![assigned(MANAGER, USER_OBJECT, &group)], &[], &[]), "fails", "it has no role".to_owned()),
    ] {
        let said = row(&workstation, &["--vm", VM], "roles", state);
        assert!(said.contains(&words), "{words}: {said}");
    }
    let conditional =
        changed(|world| world["assignments"][0]["condition"] = "@Resource[x] StringEquals 'y'".into());
    let said = row(&Workstation::new(&conditional), &["--vm", VM], "roles", "holds");
    assert!(said.contains("under a condition"), "{said}");
}

#[test]
fn a_hidden_cluster_is_information() {
    let refused =
        "ERROR: (AuthorizationFailed) The client 'a' does not have authorization to perform action 'b'\n";
    for said in [
        json!({"to": "cluster show", "code": 1, "stderr": refused}),
        json!({"to": "cluster show", "stdout": "{\"clusterVersion\": null}"}),
    ] {
        let workstation = Workstation::new(&changed(|world| world["said"] = json!([said])));
        assert_eq!(workstation.run(&["--vm", VM]).code, 0);
        let said = row(&workstation, &["--vm", VM], "platform", "skipped");
        assert!(said.contains("4.7.0") && said.contains("2510.1"), "{said}");
    }
}

#[test]
fn unreadable_answers_are_inconclusive() {
    let none = ["", "{\"name\": \"csn-1\", ", "<html><body>{Sign in}</body></html>"];
    let questions = [
        "version",
        "account",
        "group",
        "provider",
        "cloudservicesnetwork",
        "virtualmachine",
        "role assignment",
    ];
    for (to, stdout) in questions.iter().zip(none.iter().cycle()) {
        let said = json!({"to": to, "stdout": stdout});
        let run = Workstation::new(&changed(|world| world["said"] = json!([said]))).run(&["--vm", VM]);
        assert_eq!(run.code, 3, "{to} {stdout:?}\n{}", run.stdout);
        assert!(run.stdout.contains("host.az-failed"), "{to} {stdout:?}\n{}", run.stdout);
    }
    // JSON of another form: a missing member is not a reason for a remediation.
    let others = ["{}", "[[]]", "\"text\"", "{\"properties\": 3, \"extensions\": [], \"identity\": \"x\"}"];
    for (to, stdout) in questions.iter().cycle().zip(others.iter().flat_map(|other| [other; 3])) {
        let said = json!({"to": to, "stdout": stdout});
        let run = Workstation::new(&changed(|world| world["said"] = json!([said]))).run(&["--vm", VM]);
        assert!(
            run.code > 1 && !run.stdout.contains("delete"),
            "{to} {stdout:?} {}\n{}",
            run.code,
            run.stdout
        );
    }
}

#[test]
fn warnings_and_large_user_data_in_the_answer_are_accepted() {
    let mut machine = vm(workstation::system());
    machine["userDataContent"] = "QUFB".repeat(260_000).into();
    machine["userData"] = machine["userDataContent"].clone();
    let warned = format!("WARNING: This command is in preview.\n[notice] x\n{machine:#}\nbye\n");
    let said = json!({"to": "virtualmachine show", "stdout": warned});
    let workstation = Workstation::new(&changed(|world| world["said"] = json!([said])));
    let run = workstation.run(&["--vm", VM]);
    assert_eq!(run.code, 0, "{}", run.stdout.get(..2000).unwrap_or(&run.stdout));
    assert!(!run.stdout.contains("QUFBQUFB"));
}

#[test]
fn az_gets_the_operators_environment_and_does_not_prompt() {
    let workstation = Workstation::new(&world());
    let mut command = workstation.command(&["--vm", VM]);
    for (name, value) in
        [("AZURE_CONFIG_DIR", "/cfg"), ("REQUESTS_CA_BUNDLE", "/ca.pem"), ("no_proxy", "intra")]
    {
        command.env(name, value);
    }
    command.env("MY_OWN", "x");
    assert!(command.output().expect("it runs").status.success());
    for call in workstation.calls() {
        let env = &call["env"];
        for (name, value) in [
            ("AZURE_CONFIG_DIR", "/cfg"),
            ("REQUESTS_CA_BUNDLE", "/ca.pem"),
            ("no_proxy", "intra"),
            ("AZURE_EXTENSION_USE_DYNAMIC_INSTALL", "no"),
            ("AZURE_CORE_COLLECT_TELEMETRY", "false"),
        ] {
            assert_eq!(env[name], value, "{name}");
        }
        assert_eq!(env["HOME"], workstation.path("").to_string_lossy().trim_end_matches('/'));
        assert!(env["HTTPS_PROXY"].as_str().is_some_and(|proxy| proxy.ends_with("@proxy.contoso:8080")));
        // Neither the VM's proxy nor options that were not given.
        assert!(env.get("HTTP_PROXY").is_none() && env.get("MY_OWN").is_none(), "{env}");
    }
}

#[test]
fn proxy_password_in_azure_errors_is_redacted() {
    let words = "ERROR: HTTPSConnectionPool: Cannot connect to proxy http://operator:dG9wLXNlY3JldC11c2VyLWRhdGE@proxy\n";
    let workstation = Workstation::new(&changed(|world| {
        world["said"] = json!([{"to": "group show", "code": 1, "stderr": words}])
    }));
    let run = workstation.run(&["--vm", VM]);
    assert!(run.code == 3 && run.stdout.contains("Cannot connect to proxy"), "{}", run.stdout);
}

#[test]
fn faults_rank_above_inconclusive_checks() {
    let refused =
        "ERROR: (AuthorizationFailed) The client 'a' does not have authorization to perform action 'b'\n";
    let world = changed(|world| {
        world["said"] = json!([{"to": "provider show", "code": 1, "stderr": refused}]);
        world["assignments"] = json!([]);
    });
    let run = Workstation::new(&world).run(&["--vm", VM]);
    assert_eq!(run.code, 20, "{}", run.stdout);
    assert!(
        run.stdout.contains("host.az-refused") && run.stdout.contains("NOT READY: access.role-unassigned")
    );
}

#[test]
fn invalid_names_are_refused_before_az_runs() {
    for (option, value) in
        [("--vm", "a b"), ("--csn", "/subscriptions/x"), ("--vm", "$(id)"), ("--csn", "--query")]
    {
        let workstation = Workstation::new(&world());
        let run = workstation.run(&[&format!("{option}={value}")]);
        assert_eq!(run.code, 2, "{option} {value}\n{}", run.stdout);
        assert!(run.stderr.contains(option) && workstation.calls().is_empty(), "{}", run.stderr);
    }
}

#[test]
fn a_signal_ends_az_too() {
    let workstation =
        Workstation::new(&changed(|world| world["said"] = json!([{"to": "group show", "hang": true}])));
    let mut child = workstation.command(&[]).spawn().expect("it starts");
    let asked = |workstation: &Workstation| {
        workstation.calls().iter().any(|call| call["argv"].to_string().contains("group"))
    };
    wait_until("az is asked", || {
        assert!(child.try_wait().expect("a state").is_none(), "it ended by itself");
        asked(&workstation)
    });
    let pid = i32::try_from(child.id()).expect("a process id");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("a signal");
    assert_eq!(child.wait().expect("it ends").code(), Some(75));
    let left =
        std::process::Command::new("pgrep").args(["-f", &workstation.path("az").to_string_lossy()]).output();
    assert!(left.is_ok_and(|found| found.stdout.is_empty()), "az still runs");
}
