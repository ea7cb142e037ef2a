//! Whole configurations: what they become, and that every fault of a wrong one is told at once.

use std::time::Duration;

use super::raw::Problems;
use super::*;

const GUID: &str = "12345678-9abc-def0-1234-56789abcdef0";
const ORIGIN: &str = "/etc/arc-enroll/config.yaml";
const AZURE: &str =
    "azure: {subscription_id: 12345678-9abc-def0-1234-56789abcdef0, resource_group: rg, location: eastus}\n";

fn read(text: &str) -> Result<Settings, Problems> {
    load(Some(text), ORIGIN, &Overrides::default())
}

/// The settings of a text that follows the required ones.
fn right(rest: &str) -> Settings {
    read(&format!("{AZURE}{rest}")).unwrap_or_else(|problems| panic!("{rest}\n{problems}"))
}

/// The faults of a text that follows the required ones.
fn wrong(rest: &str) -> Vec<Problem> {
    read(&format!("{AZURE}{rest}")).expect_err(rest).as_slice().to_vec()
}

/// Settings with more keys below `azure`.
fn azure(more: &str) -> Result<Settings, Problems> {
    read(&AZURE.replace('}', &format!(", {more}}}")))
}

fn given(environment: &'static [(&'static str, &'static str)], flags: &[(&str, &str)]) -> Overrides {
    let lookup =
        |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let mut overrides = Overrides::from_environment(&lookup);
    for (flag, value) in flags {
        assert!(overrides.set_flag(flag, (*value).to_owned()), "{flag}");
    }
    overrides
}

#[test]
fn the_defaults() {
    let settings = right("");
    assert_eq!(settings.azure.subscription_id.as_str(), GUID);
    assert_eq!((settings.azure.cloud, settings.azure.tags.len()), (Cloud::Public, 0));
    assert!(settings.azure.tenant_id.is_none() && settings.azure.resource_name.is_none());
    assert_eq!(settings.identity, Identity::System);
    assert_eq!(settings.imds.endpoint, "http://169.254.169.254");
    assert_eq!(settings.imds.resource, "https://management.azure.com/");
    assert_eq!(settings.proxy.url.unwrap().to_string(), "http://169.254.0.11:3128");
    assert_eq!(settings.proxy.no_proxy, ["localhost", "127.0.0.1", "::1", "169.254.169.254"]);
    assert!(settings.proxy.persist && settings.repair.timer && !settings.repair.recreate_expired);
    assert_eq!((settings.agent.install, settings.agent.token), (Install::Repository, TokenHandover::File));
    assert!(settings.agent.version.is_none() && settings.agent.repository_key.is_empty());
    let wait = settings.wait;
    assert_eq!(
        [wait.boot, wait.token, wait.access, wait.endpoint].map(|w| w.as_secs() / 60),
        [15, 10, 10, 5]
    );
    assert_eq!(settings.repair.every, Duration::from_secs(3600));
    assert_eq!(
        (settings.log.file.to_str(), settings.log.level),
        (Some("/var/log/cloud-init-output.log"), Level::Info)
    );
}

#[test]
fn the_example_file_shows_the_defaults() {
    let shown = read(include_str!("../../cloud-init/config.yaml")).unwrap();
    let required =
        "azure: {subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: my-resource-group, location: eastus}\n";
    assert_eq!(format!("{shown:?}"), format!("{:?}", read(required).unwrap()));
}

#[test]
fn null_is_the_default_except_for_the_proxy() {
    let settings = right("imds: ~\nproxy: {url: null, no_proxy: null}\nwait: {boot: }\nidentity: null\nagent: {package: null}\n");
    assert!(settings.proxy.url.is_none());
    assert_eq!(settings.proxy.no_proxy.len(), 4);
    assert!(right("proxy: null\n").proxy.url.is_some());
    assert!(right("proxy: {no_proxy: []}\n").proxy.no_proxy.is_empty());
}

#[test]
fn everything_can_be_set() {
    let scope = format!(
        "/subscriptions/{GUID}/resourcegroups/rg/providers/Microsoft.HybridCompute/privateLinkScopes/s"
    );
    let settings = azure(&format!(
        "tenant_id: {GUID}, resource_name: vm-1, cloud: AzureUSGovernment, private_link_scope: {scope}, correlation_id: {GUID}"
    ))
    .unwrap();
    assert_eq!(settings.azure.resource_name.unwrap().as_str(), "vm-1");
    assert_eq!(settings.azure.cloud, Cloud::UsGovernment);
    assert_eq!(settings.azure.private_link_scope.unwrap().as_str(), scope);
    let digest = "ab".repeat(32);
    let settings = right(&format!(
        "agent:\n  install: package\n  package: {{file: /a/b.deb, sha256: {digest}}}\n  version: 1.50\n  token: argument\n  \
         allow_azure_vm: true\n  repository_key: BC52 8686 B50D 79E3 39D3  721C EB3E 94AD BE12 29CF\n\
         wait: {{boot: 2h, token: 90, access: 1m 30s}}\nrepair: {{timer: false, every: 30m, recreate_expired: true}}\n\
         log: {{file: /x.log, level: debug}}\n"
    ));
    let package = Package { source: PackageSource::File("/a/b.deb".into()), sha256: digest };
    assert_eq!(settings.agent.install, Install::Package(package));
    assert_eq!(settings.agent.version.as_deref(), Some("1.50"), "a number is taken as it is written");
    assert_eq!(settings.agent.repository_key, ["BC528686B50D79E339D3721CEB3E94ADBE1229CF"]);
    assert_eq!((settings.wait.token.as_secs(), settings.wait.access.as_secs()), (90, 90));
    assert_eq!(settings.log.level, Level::Debug);
}

#[test]
fn identities() {
    let id = format!("/subscriptions/{GUID}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i");
    assert!(matches!(right(&format!("identity: {{resource_id: {id}}}\n")).identity, Identity::ResourceId(_)));
    assert!(matches!(
        right(&format!("identity: {{client_id: {GUID}, object_id: ~}}\n")).identity,
        Identity::ClientId(_)
    ));
    assert!(matches!(right(&format!("identity:\n  object_id: {GUID}\n")).identity, Identity::ObjectId(_)));
    assert_eq!(right("identity: system\n").identity, Identity::System);
    for (text, word) in [
        ("identity: {}\n".to_owned(), "names no identity"),
        ("identity: {resource_id: ~}\n".to_owned(), "names no identity"),
        (format!("identity: {{client_id: {GUID}, object_id: {GUID}}}\n"), "exclude each other"),
        ("identity: user\n".to_owned(), "names no identity"),
        (format!("identity: {id}\n"), "{resource_id:"),
        ("identity: [system]\n".to_owned(), "not an identity"),
        ("identity: {resource_id: subscriptions/x}\n".to_owned(), "not an absolute id"),
        ("identity: {clientid: x}\n".to_owned(), "did you mean identity.client_id?"),
    ] {
        let problems = wrong(&text);
        assert!(problems.iter().any(|p| p.message.contains(word)), "{text}: {problems:?}");
    }
}

#[test]
fn tags_arrive_as_written() {
    let settings = azure(
        r#"tags: {a: 1, b: 1.10, c: true, d: "x, y='z'", "e f": "Ä €", g: 007, h: "", "cost:center": 2024-01-01, i: 0x1F}"#,
    )
    .unwrap();
    let tags: Vec<(&str, &str)> = settings.azure.tags.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let expected = [
        ("a", "1"),
        ("b", "1.10"),
        ("c", "true"),
        ("cost:center", "2024-01-01"),
        ("d", "x, y='z'"),
        ("e f", "Ä €"),
        ("g", "007"),
        ("h", ""),
        ("i", "0x1F"),
    ];
    assert_eq!(tags, expected);
    for (tags, word) in [
        ("tags: {a: ~}", "is nothing"),
        ("tags: {a: [1]}", "is a list"),
        ("tags: {a<b: 1}", "holds '<'"),
        ("tags: {a: 1, A: 2}", "are the same name"),
        ("tags: {microsoft.x: 1}", "which Azure reserves"),
        ("tags: {2024: 1}", "put it in quotes"),
        ("tags: [a]", "write a mapping"),
        ("tags: a=1", "write a mapping"),
    ] {
        let problems = azure(tags).expect_err(tags);
        assert!(problems.to_string().contains(word), "{tags}: {problems}");
    }
}

#[test]
fn flag_then_environment_then_file() {
    let environment: &[(&str, &str)] =
        &[("LOCATION", "westus"), ("RESOURCE_GROUP", "from-env"), ("TENANT_ID", "")];
    let overrides = given(environment, &[("location", "northeurope"), ("tags", "A=1,B='two words'")]);
    let settings =
        load(Some(&format!("{}\n", AZURE.replace('}', ", tags: {c: 3}}"))), ORIGIN, &overrides).unwrap();
    assert_eq!(settings.azure.location.as_str(), "northeurope");
    assert_eq!(settings.azure.resource_group.as_str(), "from-env");
    assert!(settings.azure.tenant_id.is_none());
    assert_eq!(settings.azure.tags.get("B").map(String::as_str), Some("two words"));
    assert!(!settings.azure.tags.contains_key("c"));
}

#[test]
fn no_file_is_needed_when_the_environment_says_everything() {
    let id = "/subscriptions/12345678-9abc-def0-1234-56789abcdef0/resourceGroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i";
    let environment: &'static [(&str, &str)] = Box::leak(Box::new([
        ("SUBSCRIPTION_ID", GUID),
        ("RESOURCE_GROUP", "rg"),
        ("LOCATION", "eastus"),
        ("UAMI_ID", id),
    ]));
    let overrides = given(environment, &[]);
    let settings = load(None, ORIGIN, &overrides).unwrap();
    assert!(matches!(settings.identity, Identity::ResourceId(_)));
    assert!(load(Some("# nothing\n"), ORIGIN, &overrides).is_ok());
    let file = format!("{AZURE}identity: {{client_id: {GUID}}}\n");
    assert!(matches!(load(Some(&file), ORIGIN, &overrides).unwrap().identity, Identity::ResourceId(_)));
    let missing = load(None, ORIGIN, &given(&[("LOCATION", "eastus")], &[])).unwrap_err();
    let keys: Vec<&str> = missing.as_slice().iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["azure.subscription_id", "azure.resource_group"]);
    assert!(missing.to_string().contains("--subscription-id or SUBSCRIPTION_ID"), "{missing}");
}

#[test]
fn faults_of_flags_and_environment_name_their_source() {
    let overrides =
        given(&[("LOCATION", "East US"), ("UAMI_ID", GUID)], &[("tags", "A"), ("cloud", "azurecloud")]);
    let problems = load(Some(AZURE), ORIGIN, &overrides).unwrap_err();
    assert_eq!(
        problems.to_string().lines().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>(),
        ["LOCATION (environment)", "--cloud", "--tags", "UAMI_ID (environment)"]
    );
    assert!(problems.to_string().contains("did you mean AzureCloud?"));
    assert!(problems.as_slice().iter().all(|p| p.line.is_none()));
}

#[test]
fn a_problem_reads_well() {
    let text = "azure:\n  subscription_id: 12345678-9abc-def0-1234-56789abcdef0\n  resource_group: rg\n  # here\n  location: East US\n";
    let problems = read(text).unwrap_err();
    let expected =
        r#"/etc/arc-enroll/config.yaml:5: azure.location: "East US" holds a space; Azure writes it eastus"#;
    assert_eq!(problems.to_string(), expected);
    let [problem] = problems.as_slice() else { panic!() };
    assert_eq!(problem.place, "/etc/arc-enroll/config.yaml:5: azure.location");
    assert_eq!((problem.key.as_str(), problem.line), ("azure.location", Some(5)));
}

#[test]
fn what_is_no_configuration_is_one_clear_problem() {
    let cases = [
        ("", Some(1), "holds no settings"),
        ("# only words\n", Some(1), "holds no settings"),
        ("---\n", Some(1), "holds no settings"),
        ("- a\n", Some(1), "a list where a mapping is needed"),
        ("azure\n", Some(1), "text where a mapping is needed"),
        ("azure:\n\tlocation: x\n", Some(2), "line 2 is indented with a tab"),
        ("azure: {a: 1\n", Some(2), "is not YAML"),
        ("a: 'x\n", Some(2), "is not YAML"),
        ("azure: {}\nimds: {}\nazure: {}\n", Some(3), "\"azure\" is here a second time"),
        ("azure:\n  location: a\n  location: b\n", Some(3), "\"location\" is here a second time"),
        ("wait: {boot: 1m,\n  token: 1m, boot: 2m}\n", Some(2), "\"boot\" is here a second time"),
        ("a: *b\n", Some(1), "is not YAML"),
        ("a: 1\n---\nb: 2\n", None, "more than one document"),
        ("a: &x [1, *x]\n", Some(1), "repeats itself"),
    ];
    for (text, line, word) in cases {
        let problems = read(text).expect_err(text);
        let [problem] = problems.as_slice() else { panic!("{text:?}: {problems}") };
        assert!(problem.message.contains(word), "{text:?}: {problem}");
        assert_eq!(problem.line, line, "{text:?}: {problem}");
    }
}

#[test]
fn marks_line_ends_and_styles_do_not_matter() {
    let text = format!("azure:\n  subscription_id: {GUID}\n  resource_group: rg\n  location: eastus\n");
    assert!(read(&format!("\u{feff}{text}wait: {{boot: 1m}}\n")).is_ok());
    assert!(read(&text.replace('\n', "\r\n")).is_ok());
    assert!(read(&format!("---\n{text}...\n")).is_ok());
    let problems = read(&text.replace('\n', "\r\n").replace("eastus", "East US")).unwrap_err();
    assert_eq!(problems.as_slice()[0].line, Some(4));
}

#[test]
fn unknown_keys_name_the_right_one() {
    for (text, key, word) in [
        ("tenant_id: x\n", "tenant_id", "did you mean azure.tenant_id?"),
        ("prxy: {}\n", "prxy", "did you mean proxy?"),
        ("proxy: {urll: x}\n", "proxy.urll", "did you mean proxy.url?"),
        ("proxy: {location: x}\n", "proxy.location", "did you mean azure.location?"),
        ("endpoint: x\n", "endpoint", "did you mean imds.endpoint or wait.endpoint?"),
        ("agent: {sha256: x}\n", "agent.sha256", "did you mean agent.package.sha256?"),
        ("agent: {repositoryKey: x}\n", "agent.repositoryKey", "did you mean agent.repository_key?"),
        ("flavour: x\n", "flavour", "known here are azure, identity"),
        ("agent: {package: {path: /x}}\n", "agent.package.path", "known here are file, url, sha256"),
        ("'http://u:hunter2@h': x\n", "http://u:hunter2@h", "unknown key"),
    ] {
        let problems = wrong(text);
        let hit = problems.iter().find(|p| p.key == key).unwrap_or_else(|| panic!("{text}: {problems:?}"));
        assert!(hit.message.contains(word) && hit.line == Some(2), "{text}: {hit}");
        assert!(!hit.to_string().contains("hunter2"));
    }
}

#[test]
fn wrong_values() {
    for (text, key, word) in [
        ("proxy: {url: https://h:1}\n", "proxy.url", "https:// to the proxy"),
        ("proxy: {url: socks5://h:1}\n", "proxy.url", "SOCKS"),
        ("proxy: {url: http://h}\n", "proxy.url", "no port"),
        ("proxy: {url: http://h:1/p}\n", "proxy.url", "write http://h:1"),
        ("proxy: {url: [a]}\n", "proxy.url", "is a list"),
        ("proxy: {no_proxy: 'a,b'}\n", "proxy.no_proxy", "write a list"),
        ("proxy: {no_proxy: [a, 'b c', 'd:80']}\n", "proxy.no_proxy[2]", "write d"),
        ("proxy: {no_proxy: [{a: b}]}\n", "proxy.no_proxy[0]", "in quotes"),
        ("proxy: {persist: 'yes'}\n", "proxy.persist", "write true"),
        ("proxy: {persist: off}\n", "proxy.persist", "write false"),
        ("proxy: {persist: 1}\n", "proxy.persist", "is a number"),
        ("proxy: x\n", "proxy", "a mapping is needed, with url"),
        ("imds: {endpoint: 'http://a/b'}\n", "imds.endpoint", "path"),
        ("imds: {endpoint: 'http://metadata.local'}\n", "imds.endpoint", "is not an address"),
        ("imds: {resource: ''}\n", "imds.resource", "is empty"),
        ("agent: {install: packge}\n", "agent.install", "did you mean package?"),
        ("agent: {install: package}\n", "agent.package", "is missing"),
        ("agent: {package: {file: /a}}\n", "agent.package", "only used with"),
        ("agent: {install: package, package: {file: /a}}\n", "agent.package.sha256", "is missing"),
        ("agent: {install: package, package: {sha256: a}}\n", "agent.package.sha256", "64 hexadecimal"),
        ("agent: {install: package, package: {sha256: a}}\n", "agent.package", "neither file nor url"),
        (
            "agent: {install: package, package: {file: /a, url: 'http://b/c'}}\n",
            "agent.package",
            "exclude each other",
        ),
        ("agent: {install: package, package: {file: a}}\n", "agent.package.file", "absolute"),
        ("agent: {install: package, package: /a.deb}\n", "agent.package", "must be {file"),
        ("agent: {repository_key: [ab]}\n", "agent.repository_key[0]", "40 hexadecimal"),
        ("agent: {version: latest}\n", "agent.version", "not a version"),
        ("agent: {token: argv}\n", "agent.token", "none of file, argument"),
        ("wait: {boot: -5m}\n", "wait.boot", "negative"),
        ("wait: {boot: -5}\n", "wait.boot", "negative"),
        ("wait: {boot: 0}\n", "wait.boot", "longer than zero"),
        ("wait: {boot: 2d}\n", "wait.boot", "too long"),
        ("wait: {boot: 1.5}\n", "wait.boot", "not a duration"),
        ("repair: {every: 60d}\n", "repair.every", "too long"),
        ("repair: {every: 9s}\n", "repair.every", "at least 10s"),
        ("log: {level: warning}\n", "log.level", "did you mean warn?"),
        ("log: {file: x.log}\n", "log.file", "absolute"),
        ("wait: {boot: !x 5m}\n", "wait.boot", "YAML tag"),
    ] {
        let problems = wrong(text);
        let hit = problems.iter().find(|p| p.key == key && p.message.contains(word));
        assert!(hit.is_some_and(|p| p.line == Some(2)), "{text}: {problems:?}");
    }
}

/// One-line faults of different sections; each is a key below its section, and nothing else.
const SEEDS: [(&str, &str, &str); 16] = [
    ("azure", "subscription_id", "nope"),
    ("azure", "location", "East US"),
    ("azure", "resource_group", "ends.in.dot."),
    ("azure", "resource_name", "vm-"),
    ("azure", "tenat_id", "x"),
    ("azure", "gateway_id", "relative/id"),
    ("azure", "cloud", "Cirrus"),
    ("imds", "endpoint", "https://x"),
    ("proxy", "url", "http://u:hunter2@h:1/path"),
    ("proxy", "persist", "maybe"),
    ("agent", "install", "magic"),
    ("agent", "allow_azure_vm", "[]"),
    ("wait", "token", "-1s"),
    ("wait", "acess", "1m"),
    ("repair", "every", "0"),
    ("log", "level", "loud"),
];

#[test]
fn every_seeded_fault_is_told_with_its_line() {
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..300 {
        let picked: Vec<_> = SEEDS.iter().filter(|_| random.bool()).collect();
        let mut lines: Vec<String> = Vec::new();
        let mut expected = Vec::new();
        for section in ["wait", "azure", "log", "proxy", "imds", "repair", "agent"] {
            lines.push(format!("{section}:"));
            lines.push("  # a comment: not a key".to_owned());
            let has = |key: &str| picked.iter().any(|seed| seed.0 == section && seed.1 == key);
            for (key, value) in [("subscription_id", GUID), ("resource_group", "rg"), ("location", "eastus")]
            {
                if section == "azure" && !has(key) {
                    lines.push(format!("  {key}: {value}"));
                }
            }
            for (_, key, value) in picked.iter().filter(|seed| seed.0 == section) {
                lines.push(format!("  {key}: {value}"));
                expected.push((lines.len(), format!("{section}.{key}")));
            }
        }
        let text = lines.join(if random.bool() { "\n" } else { "\r\n" });
        match read(&text) {
            Ok(_) => assert!(expected.is_empty(), "{text}"),
            Err(problems) => {
                let found: Vec<_> =
                    problems.as_slice().iter().map(|p| (p.line.unwrap_or_default(), p.key.clone())).collect();
                assert_eq!(found, expected, "{text}\n{problems}");
                assert!(!problems.to_string().contains("hunter2"));
            }
        }
    }
}
