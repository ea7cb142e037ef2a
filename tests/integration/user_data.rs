//! User-data that contains the program.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Output};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde_yaml::Value;

use crate::assertions::with_windows;
use crate::nexus::spec::{Playbook, PortState, Reply};
use crate::nexus::vm::{self, agent_program, Vm};

/// The static program, if it was built and is named; the debug program exceeds every size limit.
fn static_program(test: &str) -> Option<PathBuf> {
    let program = std::env::var_os("ARC_ENROLL_STATIC").map(PathBuf::from);
    if program.is_none() {
        eprintln!(
            "NOT TRIED: {test}: set ARC_ENROLL_STATIC=dist/arc-enroll (packaging/build-static makes it)"
        );
    }
    program.map(|program| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(program))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("nexus.yaml", &vm::config());
        folder
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_string_lossy().into_owned()
    }

    fn user_data(&self, program: &std::path::Path, more: &[&str]) -> Output {
        let config = self.0.path().join("nexus.yaml");
        let mut command = Command::new(program);
        command.args(["user-data", "--config"]).arg(config).args(more);
        command.env_clear().output().expect("the program runs")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn debug_program_exceeds_the_limit_and_nothing_is_written() {
    let folder = Folder::new();
    let secret = "kanarienvogel";
    let url = format!("proxy:\n  url: http://nexus:{secret}@169.254.0.11:3128\n");
    folder.write("nexus.yaml", &(vm::config() + &url));
    let output = folder.user_data(&agent_program(), &[]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    assert!(stderr.contains("over the ceiling of 1000000") && stderr.contains("build-static"), "{stderr}");
    assert!(!stderr.contains(secret));
}

#[test]
fn configuration_with_faults_makes_no_user_data() {
    let folder = Folder::new();
    folder.write("nexus.yaml", "azure:\n  subscription_id: mine\n");
    let output = folder.user_data(&agent_program(), &["--base64"]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    assert!(stderr.contains("azure.subscription_id") && stderr.contains("azure.location"), "{stderr}");
}

#[test]
fn configuration_has_to_be_a_file() {
    let mut command = Command::new(agent_program());
    command.args(["user-data", "--root", "/nonexistent", "--location", "eastus"]).env_clear();
    let output = command.output().expect("the program runs");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}

#[test]
fn included_file_that_is_not_there_is_named() {
    let folder = Folder::new();
    let output = folder.user_data(&agent_program(), &["--include", "/no/such/file"]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    assert!(stderr.contains("/no/such/file: there is no such file"), "{stderr}");
}

/// The files that a cloud-config writes, by path.
fn written_file(cloud_config: &str, path: &str) -> Vec<u8> {
    let value: Value = serde_yaml::from_str(cloud_config).expect("it is YAML");
    let files = value["write_files"].as_sequence().cloned().unwrap_or_default();
    let file =
        files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("{path} is not written"));
    let content = file["content"].as_str().unwrap_or_default().to_owned();
    match file["encoding"].as_str() {
        Some("gz+b64") => {
            unpacked(&STANDARD.decode(content.split_whitespace().collect::<String>()).expect("base64"))
        }
        _ => content.into_bytes(),
    }
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
    out
}

#[test]
fn static_program_and_configuration_are_unchanged() {
    let Some(program) = static_program("user-data of the static program") else { return };
    let folder = Folder::new();
    let output = folder.user_data(&program, &[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let plain = text(&output.stdout);
    assert!(plain.starts_with("#cloud-config\n"), "{}", &plain[..80]);
    let binary = std::fs::read(&program).expect("the program can be read");
    assert!(written_file(&plain, "/usr/local/bin/arc-enroll") == binary, "the program is another one");
    assert_eq!(text(&written_file(&plain, "/etc/arc-enroll/config.yaml")), vm::config());
    assert!(stderr.contains("az networkcloud virtualmachine create"), "{stderr}");
    assert!(stderr.contains("of at most 1000000"), "{stderr}");
    let encoded = folder.user_data(&program, &["--base64"]);
    let string = text(&encoded.stdout);
    assert!(string.trim_end().len() <= 1_000_000 && !string.trim_end().contains('\n'), "{}", string.len());
    assert!(STANDARD.decode(string.trim_end()).expect("base64") == output.stdout);
    let packed = folder.user_data(&program, &["--gzip"]);
    assert!(unpacked(&packed.stdout) == output.stdout);
}

#[test]
fn included_cloud_config_is_merged_completely() {
    let Some(program) = static_program("user-data with --include") else { return };
    let folder = Folder::new();
    let own = "#cloud-config\nwrite_files:\n- path: /etc/motd\n  permissions: 0644\n  content: hello\nruncmd:\n- [echo, \"12:30:45\"]\n";
    let path = folder.write("mine.yaml", own);
    let output = folder.user_data(&program, &["--include", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let joined = text(&output.stdout);
    assert!(joined.contains(own.trim_end()), "their part is there, character by character");
    assert!(joined.contains("/usr/local/bin/arc-enroll"));
}

#[test]
fn included_file_that_is_no_cloud_config_is_named() {
    let Some(program) = static_program("user-data with an unusable --include") else { return };
    let folder = Folder::new();
    let list = folder.write("mine.yaml", "#cloud-config\n- a\n- list\n");
    let output = folder.user_data(&program, &["--include", &list]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    assert!(stderr.contains("not a cloud-config"), "{stderr}");
}

/// The digest of the stand-in below, as from sha256sum.
fn sha256(path: &str) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum runs");
    text(&output.stdout).split_whitespace().next().expect("a digest").to_owned()
}

#[test]
fn user_data_that_fetches_names_the_endpoint_and_hides_the_key() {
    let folder = Folder::new();
    let url = "https://Mirror.example:8443/arc-enroll?sig=canary";
    let output = folder.user_data(&agent_program(), &["--fetch-url", url, "--base64"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("'domainName':'mirror.example','port':8443"), "{stderr}");
    assert!(
        stderr.contains("az networkcloud virtualmachine create") && !stderr.contains("canary"),
        "{stderr}"
    );
    let plain = text(&STANDARD.decode(&output.stdout).expect("base64"));
    let script = text(&written_file(&plain, "/usr/local/sbin/arc-enroll-fetch"));
    assert!(script.contains(&sha256(&agent_program().to_string_lossy())), "the digest is another one");
    assert!(script.contains("proxy = \"http://169.254.0.11:3128\"\n"), "{script}");
    assert_eq!(text(&written_file(&plain, "/etc/arc-enroll/config.yaml")), vm::config());
    let packed = folder.user_data(&agent_program(), &["--fetch-url", url, "--gzip"]);
    assert!(unpacked(&packed.stdout) == plain.as_bytes() && packed.stdout.len() < 8000);
}

#[test]
fn invalid_options_make_no_user_data() {
    let folder = Folder::new();
    for (options, word) in [
        (&["--fetch-url", "https://h/a b"][..], "--fetch-url holds ' '"),
        (&["--fetch-url", "ftp://h/a"], "https:// or http://"),
        (&["--fetch-url", "https://h/a", "--fetch-sha256", "abc"], "--fetch-sha256 \"abc\" is not a SHA-256"),
        (&["--fetch-sha256", "abc"], "give that too"),
        (&["--fetch-url", "https://h/a", "--without-binary"], "exclude each other"),
    ] {
        let output = folder.user_data(&agent_program(), options);
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{options:?}: {stderr}");
        assert!(stderr.contains(word), "{options:?}: {stderr}");
    }
}

#[test]
fn fetched_through_the_proxy_of_the_network() {
    let program = "#!/bin/sh\n[ \"$1\" = --version ] || echo \"started: $*\"\n";
    let folder = Folder::new();
    let digest = sha256(&folder.write("arc-enroll", program));
    folder.write("nexus.yaml", &with_windows(&[("boot", "4s")]));
    let url = ["--fetch-url", "https://mirror.example/arc-enroll", "--fetch-sha256", &digest];
    let output = folder.user_data(&agent_program(), &url);
    let script = written_file(&text(&output.stdout), "/usr/local/sbin/arc-enroll-fetch");
    let run = |allowed: &str, port_state: PortState| {
        let vm = Vm::new()
            .csn(|csn| (csn.additional, csn.port_state) = (vec![allowed.to_owned()], port_state))
            .azure(|azure| {
                let reply = Reply::text(200, program).act();
                azure.routes.insert("mirror.example".to_owned(), Playbook::new().forever(reply));
            })
            .start();
        // Paths outside the VM's root cannot be written in the simulated VM.
        let place = vm.root.join("fetched").display().to_string();
        let script = text(&script)
            .replace("binary=/usr/local/bin/arc-enroll", &format!("binary={place}"))
            .replace("unit=/etc/systemd/system/", &format!("unit={place}."))
            .replace("/run/systemd/system", "/nowhere");
        let bundle = vm.root.join(".nexus/ca.pem");
        let output = vm.command("sh").args(["-c", &script]).env("CURL_CA_BUNDLE", bundle).output();
        output.expect("the script runs")
    };
    let refused = run("elsewhere.example", PortState::Open);
    let log = text(&refused.stdout);
    assert_eq!(refused.status.code(), Some(17), "{log}");
    assert!(
        log.contains(r#""fault":"fetch.refused""#) && log.contains("refuses mirror.example:443"),
        "{log}"
    );
    for port_state in [PortState::Open, PortState::ClosedFor(800)] {
        let late = !matches!(port_state, PortState::Open);
        let fetched = run("mirror.example", port_state);
        let log = text(&fetched.stdout);
        assert_eq!(fetched.status.code(), Some(0), "{log}{}", text(&fetched.stderr));
        assert!(log.ends_with("started: enroll\n") && log.contains("fetch.finished"), "{log}");
        assert_eq!(log.contains(r#""fault":"fetch.proxy""#), late, "{log}");
    }
}
