//! Planted secrets are redacted in every source; ordinary text is unchanged.

use std::process::Stdio;

use super::{archive_of, Unpacked};
use crate::nexus::run::wait_until;
use crate::nexus::spec::{Outcome, Playbook};
use crate::nexus::vm::{self, Vm};

/// A JSON Web Token, an opaque token, and the proxy's password as plain text, in the URL, and in the header.
const JWT: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJwbGFudGVkIn0.cGxhbnRlZC1zaWduYXR1cmU";
const OPAQUE: &str = "opaque-Planted-0815/token";
const PASSWORD: [&str; 3] = ["kanari/vogel-77", "kanari%2Fvogel-77", "bmV4dXM6a2FuYXJpL3ZvZ2VsLTc3"];
const CLIENT_SECRET: &str = "q8~Planted.Client-Secret_9";
const KEY: [&str; 3] = [
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
    "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu",
    "NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s",
];

/// Every secret in the forms in which other programs write it.
fn planted() -> String {
    let key = KEY.join("\n");
    let escaped = KEY.join("\\n");
    format!(
        "{{\"access_token\":\"{OPAQUE}\",\"expires_in\":\"86399\"}}\n\
         msg=\"{{\\\"accessToken\\\":\\\"{JWT}\\\"}}\"\n\
         azcmagent connect --access-token {JWT} --verbose\n\
         azcmagent connect --access-token {OPAQUE} --verbose\n\
         > Authorization: Bearer {JWT}\n> Proxy-Authorization: Basic {}\n\
         https_proxy=http://nexus:{}@169.254.0.11:3128\n\
         a token alone {JWT} and one {OPAQUE} and a password {} alone, and {}\n\
         azcmagent connect --service-principal-secret {CLIENT_SECRET} -v\n{{\"clientSecret\":\"{CLIENT_SECRET}\"}}\n\
         -----BEGIN RSA PRIVATE KEY-----\n{key}\n-----END RSA PRIVATE KEY-----\n\
         {{\"key\":\"-----BEGIN PRIVATE KEY-----\\n{escaped}\\n-----END PRIVATE KEY-----\\n\"}}\n\
         azcmagent connect existing --private-key {} --machine-id x\n",
        PASSWORD[2], PASSWORD[1], PASSWORD[0], PASSWORD[1], KEY[0],
    )
}

fn assert_clean(archive: &Unpacked, more: &[String]) {
    for (name, content) in &archive.files {
        let text = String::from_utf8_lossy(content);
        let fixed = [JWT, OPAQUE, CLIENT_SECRET].into_iter().chain(PASSWORD).chain(KEY);
        for secret in fixed.chain(more.iter().map(String::as_str)) {
            assert!(!text.contains(secret), "{secret} is in {name}:\n{text}");
            // Nor a usable part of it.
            let middle = &secret[secret.len() / 4..secret.len() / 4 * 3];
            assert!(middle.len() < 8 || !text.contains(middle), "{middle} is in {name}:\n{text}");
        }
    }
}

#[test]
fn planted_secrets_are_redacted_everywhere() {
    let text = planted();
    let script = format!("#!/bin/sh\ncat <<'PLANTED'\n{text}PLANTED\n");
    let failing = format!("#!/bin/sh\ncat >&2 <<'PLANTED'\n{text}PLANTED\nexit 7\n");
    let log_line = format!("{{\"level\":\"error\",\"event\":\"x\",\"message\":{:?}}}\n", text);
    let said = |code| Playbook::new().forever(Outcome::exit(code, &text));
    let mut builder = Vm::new()
        .enrolled()
        .csn(|csn| csn.credentials = Some(format!("nexus:{}", PASSWORD[0])))
        .config(&(vm::config() + &format!("proxy:\n  url: http://nexus:{}@169.254.0.11:3128\n", PASSWORD[1])))
        .file_with_mode("usr/bin/journalctl", 0o755, &script)
        .file_with_mode("usr/bin/cloud-init", 0o755, &failing)
        .file_with_mode("usr/bin/ip", 0o755, &script)
        .file_with_mode("usr/bin/rpm", 0o755, &failing)
        .file(vm::LOG, &(text.clone() + &log_line))
        .call("azcmagent version", said(0))
        .call("azcmagent config list", said(0))
        .call("azcmagent check", said(1))
        .call("azcmagent show", said(1))
        .call("systemctl status", said(3))
        .system(|system| {
            for (name, value) in [("ACCESS_TOKEN", OPAQUE), ("ARM_CLIENT_SECRET", CLIENT_SECRET)] {
                system.environment.insert(name.to_owned(), value.to_owned());
            }
            let url = format!("http://nexus:{}@169.254.0.11:3128", PASSWORD[1]);
            system.environment.insert("https_proxy".to_owned(), url);
        });
    for file in [
        "var/log/cloud-init.log",
        "var/lib/arc-enroll/status.json",
        "var/opt/azcmagent/log/azcmagent.log",
        "var/opt/azcmagent/log/himds.log",
        "var/lib/GuestConfig/arc_policy_logs/gc_agent.log",
        "var/lib/GuestConfig/ext_mgr_logs/gc_ext.log",
        "lib/systemd/system.conf.d/azcmagent.conf",
        "etc/environment",
        "etc/profile.d/own.sh",
        "etc/apt/apt.conf.d/10own",
        "etc/resolv.conf",
        "etc/hosts",
    ] {
        builder = builder.file(file, &text);
    }
    let vm = builder.start();
    let url = format!("http://nexus:{}@169.254.0.11:3128", PASSWORD[1]);
    let run = vm.agent(&["bundle"]).env("HTTPS_PROXY", &url).run();
    let archive = archive_of(&vm, &run);
    let issued: Vec<String> = vm.observed().tokens.into_iter().map(|issued| issued.token).collect();
    assert!(!issued.is_empty(), "doctor asked for a token");
    assert_clean(&archive, &issued);
    // The sources were read: the text beside the secrets is there.
    for (name, beside) in [
        ("azcmagent/log/himds.log", "azcmagent connect --access-token *** --verbose\n"),
        ("journal/himdsd.txt", "a token alone *** and one *** and a password *** alone, and ***\n"),
        ("cloud-init/status.txt", "{\"access_token\":\"***\",\"expires_in\":\"86399\"}\n"),
        ("proxy/places.txt", "https_proxy=http://***@169.254.0.11:3128\n"),
        ("proxy/places.txt", "HTTPS_PROXY=http://***@169.254.0.11:3128\n"),
        ("proxy/systemd-environment.txt", "ACCESS_TOKEN=***\n"),
        ("azcmagent/config-list.txt", "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\n"),
        ("errors.txt", "\"level\":\"error\""),
    ] {
        assert!(archive.text(name).contains(beside), "{name}: {}", archive.text(name));
    }
    assert_clean(
        &Unpacked { folder: String::new(), files: [("out".to_owned(), run.text().into_bytes())].into() },
        &issued,
    );
}

#[test]
fn password_of_one_file_is_redacted_in_all_files() {
    let vm = Vm::new()
        .file("etc/environment", "https_proxy=http://nexus:Kanarienvogel@169.254.0.11:3128\n")
        .file("var/log/cloud-init.log", "the proxy said: bad password Kanarienvogel for nexus\n")
        .start();
    let archive = archive_of(&vm, &vm.run(&["bundle"]));
    assert_eq!(archive.text("cloud-init/cloud-init.log"), "the proxy said: bad password *** for nexus\n");
}

#[test]
fn environment_of_himds_is_there_without_its_password() {
    let vm = Vm::new().enrolled();
    let vm = vm.call("systemctl show himdsd.service", Playbook::new()).start();
    let mut himds = vm.inside("/usr/bin/sleep".as_ref());
    himds.arg("60").env_clear().env("HTTPS_PROXY", "http://nexus:Kanarienvogel@169.254.0.11:3128");
    let mut himds = himds.env("LANG", "C").stdout(Stdio::null()).spawn().expect("sleep runs");
    let mut plan = crate::nexus::spec::GuestPlan::default();
    let shown = Playbook::new().forever(Outcome::exit(0, &format!("MainPID={}\n", himds.id())));
    plan.calls.insert("systemctl show himdsd.service".to_owned(), shown);
    vm.set_guest(&plan);
    let program = format!("/proc/{}/exe", himds.id());
    wait_until("sleep runs", || std::fs::read_link(&program).is_ok_and(|path| path.ends_with("sleep")));
    let run = vm.run(&["bundle"]);
    himds.kill().expect("it runs");
    himds.wait().expect("it ended");
    let archive = archive_of(&vm, &run);
    let text = archive.text("proxy/himds-environment.txt");
    assert_eq!(text, "HTTPS_PROXY=http://***@169.254.0.11:3128\nLANG=C\n");
}

#[test]
fn ordinary_text_is_unchanged() {
    let text = "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQ==\n\
        -----END CERTIFICATE-----\nsubscription 11111111-1111-4111-8111-111111111111, mail support@contoso.com\n\
        ERROR: Failed to retrieve access token\nWWW-Authenticate: Bearer authorization_uri=\"https://x.org/\"\n\
        passwd: password expiry information changed.\nACCESS_TOKEN=$(arc-enroll token)\n\
        http_proxy=http://169.254.0.11:3128 a\ttab, a carriage return\r\nünïcödé aGVsbG8gd29ybGQ= VGhpcyBpcw==\n\
        GET https://management.azure.com/subscriptions/x?api-version=2022-12-27&mail=a@b.c\nno line feed at the end";
    let files = [
        ("var/log/cloud-init.log", "cloud-init/cloud-init.log"),
        ("var/opt/azcmagent/log/himds.log", "azcmagent/log/himds.log"),
        ("var/lib/GuestConfig/ext_mgr_logs/gc ext.log", "guest-configuration/ext_mgr_logs/gc_ext.log"),
        ("etc/hosts", "vm/hosts"),
    ];
    let mut builder = Vm::new().enrolled();
    for (path, _) in files {
        builder = builder.file(path, text);
    }
    let script = format!("#!/bin/sh\ncat <<'ORDINARY'\n{}\nORDINARY\n", text.replace('\r', ""));
    let vm = builder.file_with_mode("usr/bin/journalctl", 0o755, &script).start();
    let archive = archive_of(&vm, &vm.run(&["bundle"]));
    for (_, name) in files {
        assert_eq!(archive.text(name), text, "{name}");
    }
    assert_eq!(archive.text("journal/extd.txt"), text.replace('\r', "") + "\n");
}
