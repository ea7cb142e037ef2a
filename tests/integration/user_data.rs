//! User-data that contains the program.

use std::io::Read;
use std::process::{Command, Output};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde_yaml::Value;

use crate::assertions::with_windows;
use crate::nexus::spec::{Playbook, PortState, Reply};
use crate::nexus::vm::{self, agent_program, Vm};

/// A program for the VM: the header of one, and calls, which the filter for x86 code changes.
fn small_program() -> Vec<u8> {
    let mut header = vec![0_u8; 64];
    header[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (header[16], header[18]) = (2, 62);
    let calls = (0..1000_u32).flat_map(|number| [[0xe8, 0x90, 0x90, 0x90], number.to_le_bytes()].concat());
    header.into_iter().chain(calls).collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("nexus.yaml", vm::config());
        folder
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.to_string_lossy().into_owned()
    }

    /// Runs `user-data` with the small program.
    fn of_small_program(&self, more: &[&str]) -> Output {
        let program = self.write("small", small_program());
        self.user_data(&[&["--agent", &program], more].concat())
    }

    fn user_data(&self, more: &[&str]) -> Output {
        let config = self.0.path().join("nexus.yaml");
        let mut command = Command::new(agent_program());
        command.args(["user-data", "--config"]).arg(config).args(more);
        command.env_clear().output().expect("the program runs")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes that no compressor makes smaller, after the header of a program.
fn large_program() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let noise = (0..130_000).flat_map(|_| next());
    small_program().into_iter().chain(noise).collect()
}

#[test]
fn large_program_exceeds_the_limit_and_nothing_is_written() {
    let folder = Folder::new();
    let secret = "kanarienvogel";
    let url = format!("proxy:\n  url: http://nexus:{secret}@169.254.0.11:3128\n");
    folder.write("nexus.yaml", vm::config() + &url);
    let program = folder.write("large", large_program());
    let output = folder.user_data(&["--agent", &program]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    for word in ["over the ceiling of 1000000", "build-static", "--agent", "--gzip", "--fetch-url"] {
        assert!(stderr.contains(word), "{stderr}");
    }
    assert!(!stderr.contains(secret));
}

#[test]
fn development_build_carries_no_program() {
    let folder = Folder::new();
    let fetched = ["--fetch-url", "https://h/a"];
    for options in [&[][..], &["--gzip"], &fetched] {
        let output = folder.user_data(options);
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(stderr.contains("development build") && stderr.contains("--agent FILE"), "{stderr}");
    }
    for options in
        [&["--without-binary"][..], &["--fetch-url", "https://h/a", "--fetch-sha256", &"0".repeat(64)]]
    {
        assert_eq!(folder.user_data(options).status.code(), Some(0), "{options:?} need none");
    }
}

#[test]
fn what_is_no_program_for_the_vm_is_named() {
    let folder = Folder::new();
    let mut foreign = small_program();
    foreign[18] = 183;
    for (name, content) in [("script", &b"#!/bin/sh\nexit 0\n"[..]), ("arm64", &foreign), ("empty", b"")] {
        let path = folder.write(name, content);
        let output = folder.user_data(&["--agent", &path]);
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(
            stderr.contains(&format!("--agent {path}: it is not a program for x86-64 Linux")),
            "{stderr}"
        );
    }
    let stderr = text(&folder.user_data(&["--agent", "/no/such/file"]).stderr);
    assert!(stderr.contains("--agent /no/such/file: there is no such file"), "{stderr}");
}

#[test]
fn configuration_with_faults_makes_no_user_data() {
    let folder = Folder::new();
    folder.write("nexus.yaml", "azure:\n  subscription_id: mine\n");
    let output = folder.user_data(&["--base64"]);
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
    let output = folder.user_data(&["--include", "/no/such/file"]);
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
        Some("b64") => STANDARD.decode(content).expect("base64"),
        _ => content.into_bytes(),
    }
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
    out
}

#[test]
fn program_and_configuration_are_unchanged() {
    let folder = Folder::new();
    let output = folder.of_small_program(&[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let plain = text(&output.stdout);
    assert!(plain.starts_with("#cloud-config\n"), "{}", &plain[..80]);
    let packed = folder.write("packed", written_file(&plain, "/usr/local/lib/arc-enroll.xz"));
    let unpacking = Command::new("xz").args(["-dc", &packed]).output().expect("xz runs");
    assert!(unpacking.stdout == small_program(), "the program is another one: {unpacking:?}");
    let script = text(&written_file(&plain, "/usr/local/sbin/arc-enroll-unpack"));
    assert!(script.contains(&sha256(&folder.write("small", small_program()))), "the digest is another one");
    assert_eq!(text(&written_file(&plain, "/etc/arc-enroll/config.yaml")), vm::config());
    assert!(stderr.contains("az networkcloud virtualmachine create"), "{stderr}");
    assert!(stderr.contains("of at most 1000000") && !stderr.contains("binary data"), "{stderr}");
    assert!(folder.of_small_program(&[]).stdout == output.stdout, "the same input gives other user-data");
    let encoded = folder.of_small_program(&["--base64"]);
    assert!(STANDARD.decode(&encoded.stdout).expect("one line of base64") == output.stdout);
    let packed = folder.of_small_program(&["--gzip"]);
    assert!(unpacked(&packed.stdout) == output.stdout);
    assert!(text(&packed.stderr).contains("binary data"), "{}", text(&packed.stderr));
}

#[test]
fn included_cloud_config_is_merged_completely() {
    let folder = Folder::new();
    let own = "#cloud-config\nwrite_files:\n- path: /etc/motd\n  permissions: 0644\n  content: hello\nruncmd:\n- [echo, \"12:30:45\"]\n";
    let path = folder.write("mine.yaml", own);
    let output = folder.of_small_program(&["--include", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let joined = text(&output.stdout);
    assert!(joined.contains(own.trim_end()), "their part is there, character by character");
    assert!(joined.contains("\nexec sh /usr/local/sbin/arc-enroll-unpack\n"));
}

#[test]
fn included_file_that_is_no_cloud_config_is_named() {
    let folder = Folder::new();
    let list = folder.write("mine.yaml", "#cloud-config\n- a\n- list\n");
    let output = folder.of_small_program(&["--include", &list]);
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
    let program = folder.write("small", small_program());
    let output = folder.of_small_program(&["--fetch-url", url, "--base64"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("'domainName':'mirror.example','port':8443"), "{stderr}");
    let file = format!("put at the URL: the VM's program, SHA-256 {}\n", sha256(&program));
    assert!(stderr.contains(&file), "{stderr}");
    assert!(
        stderr.contains("az networkcloud virtualmachine create") && !stderr.contains("canary"),
        "{stderr}"
    );
    let plain = text(&STANDARD.decode(&output.stdout).expect("base64"));
    let script = text(&written_file(&plain, "/usr/local/sbin/arc-enroll-fetch"));
    assert!(script.contains(&sha256(&program)), "the digest is another one");
    assert!(script.contains("proxy = \"http://169.254.0.11:3128\"\n"), "{script}");
    assert_eq!(text(&written_file(&plain, "/etc/arc-enroll/config.yaml")), vm::config());
    let packed = folder.of_small_program(&["--fetch-url", url, "--gzip"]);
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
        (&["--agent", "f", "--without-binary"], "--agent and --without-binary exclude each other"),
    ] {
        let output = folder.user_data(options);
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
    folder.write("nexus.yaml", with_windows(&[("boot", "4s")]));
    let url = ["--fetch-url", "https://mirror.example/arc-enroll", "--fetch-sha256", &digest];
    let output = folder.user_data(&url);
    let script = written_file(&text(&output.stdout), "/usr/local/sbin/arc-enroll-fetch");
    let run = |allowed: &str, port_state: PortState| {
        let refuses = allowed != "mirror.example";
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
            // What opens late is waited for longer than a loaded machine takes to start.
            .replace("window=4\n", if refuses { "window=4\n" } else { "window=60\n" })
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
    for port_state in [PortState::Open, PortState::ClosedFor(5000)] {
        let late = !matches!(port_state, PortState::Open);
        let fetched = run("mirror.example", port_state);
        let log = text(&fetched.stdout);
        assert_eq!(fetched.status.code(), Some(0), "{log}{}", text(&fetched.stderr));
        assert!(log.ends_with("started: enroll\n") && log.contains("fetch.finished"), "{log}");
        assert_eq!(log.contains(r#""fault":"fetch.proxy""#), late, "{log}");
    }
}
