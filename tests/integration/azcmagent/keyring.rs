//! The keyring that is made of a served key, held to real apt and rpm: a text that passes makes them trust the expected
//! key, and no other.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use arc_enroll::clients::packages::key::{self, armor, packet};

use super::{assert_not_installed, KEYRING, LIST};
use crate::nexus::spec::{Playbook, Reply};
use crate::nexus::vm::Vm;

/// SHA-256 of an empty file.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Somebody with a key, in a folder of its own for gpg.
struct Signer {
    home: tempfile::TempDir,
    mail: String,
    fingerprint: String,
}

impl Signer {
    fn new(name: &str) -> Self {
        let home = tempfile::TempDir::new().expect("a folder");
        let mail = format!("{name}@example.org");
        let mut signer = Self { home, mail, fingerprint: String::new() };
        signer.gpg(&["--passphrase", "", "--quick-generate-key", &signer.mail, "rsa2048", "sign", "never"]);
        let listed = signer.gpg(&["--with-colons", "--list-keys"]);
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let line = listed.lines().find(|line| line.starts_with("fpr:")).expect("a fingerprint");
        signer.fingerprint = line.split(':').nth(9).expect("a fingerprint").to_owned();
        signer
    }

    fn gpg(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home.path()).args(["--batch", "--quiet", "--yes"]).args(arguments);
        succeeded(&mut command)
    }

    fn key(&self) -> String {
        String::from_utf8(self.gpg(&["--armor", "--export", &self.mail]).stdout).expect("it is text")
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _status =
            Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).status();
    }
}

fn succeeded(command: &mut Command) -> Output {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Whether apt accepts a repository of this signer when its source names the keyring.
fn apt_trusts(keyring: &str, signer: &Signer) -> bool {
    let folder = tempfile::TempDir::new().expect("a folder");
    let site = folder.path().join("site");
    fs::create_dir_all(site.join("dists/stable")).expect("a folder");
    let release = site.join("dists/stable/Release");
    let index = "main/binary-amd64/Packages";
    fs::create_dir_all(site.join("dists/stable/main/binary-amd64")).expect("a folder");
    fs::write(site.join("dists/stable").join(index), "").expect("a file");
    let text = format!("Suite: stable\nDate: Sat, 01 Aug 2026 00:00:00 UTC\nSHA256:\n {NOTHING} 0 {index}\n");
    fs::write(&release, text).expect("a file");
    let (release, signed) = (release.display().to_string(), site.join("dists/stable/InRelease"));
    signer.gpg(&["--output", &signed.display().to_string(), "--clear-sign", &release]);
    let key = folder.path().join("key.asc");
    fs::write(&key, keyring).expect("a file");
    let list = folder.path().join("own.list");
    let source =
        format!("deb [arch=amd64 signed-by={}] file:{} stable main\n", key.display(), site.display());
    fs::write(&list, source).expect("a file");
    for name in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.path().join(name)).expect("a folder");
    }
    let set = |name: &str, path: &Path| format!("{name}={}", path.display());
    let output = Command::new("apt-get")
        .args([
            "update",
            "-o",
            "APT::Sandbox::User=root",
            "-o",
            "APT::Update::Error-Mode=any",
            "-o",
            "Acquire::Languages=none",
        ])
        .args(["-o", &set("Dir::Etc::sourcelist", &list), "-o", "Dir::Etc::sourceparts=/dev/null"])
        .args(["-o", "Dir::Etc::trusted=/dev/null", "-o", "Dir::Etc::trustedparts=/dev/null"])
        .args(["-o", &set("Dir::State::lists", &folder.path().join("lists"))])
        .args(["-o", &set("Dir::Cache", &folder.path().join("cache"))])
        .env("LC_ALL", "C")
        .output()
        .expect("apt-get runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let is_distrusted = said.contains("not signed") || said.contains("NO_PUBKEY");
    assert!(output.status.success() != is_distrusted, "apt-get said something else: {said}");
    output.status.success()
}

/// Whether rpm accepts a package of this signer when only this keyring is imported.
fn rpm_trusts(keyring: &str, signer: &Signer) -> bool {
    let folder = tempfile::TempDir::new().expect("a folder");
    let (key, spec) = (folder.path().join("key.asc"), folder.path().join("small.spec"));
    fs::write(&key, keyring).expect("a file");
    let text = "Name: small\nVersion: 1\nRelease: 1\nSummary: Nothing\nLicense: none\nBuildArch: noarch\n\
                %description\nNothing.\n%files\n";
    fs::write(&spec, text).expect("a file");
    let top = format!("_topdir {}", folder.path().display());
    succeeded(Command::new("rpmbuild").args(["-bb", "--define", &top]).arg(&spec));
    let package = folder.path().join("RPMS/noarch/small-1-1.noarch.rpm");
    let home = format!("_gpg_path {}", signer.home.path().display());
    let name = format!("_gpg_name {}", signer.mail);
    succeeded(
        Command::new("rpmsign")
            .args(["--define", "__gpg /usr/bin/gpg", "--define", &home, "--define", &name, "--addsign"])
            .arg(&package),
    );
    let database = folder.path().join("db");
    // rpm does not import a key at all when a binding of it is not what it claims.
    let import = Command::new("rpmkeys").arg("--dbpath").arg(&database).arg("--import").arg(&key).output();
    if !import.expect("rpmkeys runs").status.success() {
        return false;
    }
    let mut check = Command::new("rpmkeys");
    check.arg("--dbpath").arg(&database).args(["--checksig", "--verbose"]).arg(&package).env("LC_ALL", "C");
    let output = check.output().expect("rpmkeys runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("key ID"), "it is not signed: {said}");
    output.status.success()
}

/// The other's primary key as a subkey, with a binding that names `issuer`.
fn forged_subkey(other: &str, id: &[u8]) -> Vec<u8> {
    let bytes = armor::decode(other).expect("a key");
    let packets = packet::split(&bytes).expect("packets");
    let own = packet::issuer(packets[2].body).expect("its own signature").1.to_vec();
    let mut subkey = packets[0].bytes.to_vec();
    // Tag 14 in place of 6, in a header of the old format.
    assert_eq!(subkey[0], 0x99);
    subkey[0] = 0xb9;
    let mut binding = packets[2].bytes.to_vec();
    let kind = binding.len() - packets[2].body.len() + 1;
    binding[kind] = 0x18;
    for start in 0..binding.len() - 8 {
        if binding[start..start + 8] == own[..] {
            binding[start..start + 8].copy_from_slice(id);
        }
    }
    [subkey, binding].concat()
}

const FORGED: &str = "the other key as a subkey with a forged binding";

/// Texts that some reader could take for the good key, and another for the bad one.
fn crafted(good: &str, bad: &str) -> Vec<(&'static str, String)> {
    let begin = good.lines().next().expect("a first line");
    let end = good.lines().last().expect("a last line");
    let body = |text: &str| text.replace(&format!("{begin}\n"), "").replace(&format!("{end}\n"), "");
    let id = packet::issuer(packet::split(&armor::decode(good).expect("a key")).expect("packets")[2].body)
        .expect("its own signature")
        .1
        .to_vec();
    let more = |bytes: Vec<u8>| armor::encode(&[armor::decode(good).expect("a key"), bytes].concat());
    vec![
        ("unchanged", good.to_owned()),
        ("CRLF and a header", good.replacen("\n\n", "\nVersion: 1\n\n", 1).replace('\n', "\r\n")),
        ("an end that is indented", format!("{begin}\n{} {end}\n{}{end}\n", body(good), body(bad))),
        ("a beginning that is indented", format!(" {begin}\n{}{end}\n{bad}", body(good))),
        ("an end with a blank", format!("{begin}\n{}{end} \n{}{end}\n", body(good), body(bad))),
        ("the other key in front", format!("{bad}{good}")),
        ("the other key behind", format!("{good}{bad}")),
        ("the other key between dashes", format!("- {bad}\n{good}")),
        (
            "the other key in a header",
            good.replacen("\n\n", &format!("\nComment: {}\n\n", bad.replace('\n', " ")), 1),
        ),
        ("the other key's bytes behind", more(armor::decode(bad).expect("a key"))),
        (
            "the other key as a subkey with its own binding",
            more({
                let own = packet::issuer(
                    packet::split(&armor::decode(bad).expect("a key")).expect("packets")[2].body,
                )
                .expect("its own signature")
                .1
                .to_vec();
                forged_subkey(bad, &own)
            }),
        ),
        (FORGED, more(forged_subkey(bad, &id))),
    ]
}

#[test]
fn apt_and_rpm_trust_only_the_expected_key() {
    let programs = ["gpg", "apt-get", "rpmbuild", "rpmsign", "rpmkeys"];
    if let Some(missing) = programs.into_iter().find(|program| !has(program)) {
        eprintln!("NOT TRIED: apt_and_rpm_trust_only_the_expected_key: it needs {missing}");
        return;
    }
    let (good, bad) = (Signer::new("good"), Signer::new("bad"));
    let mut accepted = Vec::new();
    for (what, text) in crafted(&good.key(), &bad.key()) {
        let Ok(keyring) = key::keyring(&text, &[good.fingerprint.as_str()]) else { continue };
        accepted.push(what);
        assert!(apt_trusts(&keyring, &good), "{what}: apt does not trust the good key");
        assert!(what == FORGED || rpm_trusts(&keyring, &good), "{what}: rpm does not trust the good key");
        assert!(!apt_trusts(&keyring, &bad) && !rpm_trusts(&keyring, &bad), "{what}: the bad key is trusted");
    }
    let expected = [
        "unchanged",
        "CRLF and a header",
        "the other key in a header",
        "the other key as a subkey with its own binding",
        FORGED,
    ];
    assert_eq!(accepted, expected);
}

#[test]
fn a_crafted_key_is_a_fault_and_nothing_is_written() {
    let key = include_str!("../../nexus/replies/repository-key.asc");
    let end = key.lines().last().expect("a last line");
    let crafted = format!("{} {end}\n\nAAAA\n{end}\n", key.replace(&format!("{end}\n"), ""));
    let vm = Vm::new()
        .azure(move |azure| {
            azure.routes.insert("packages".into(), Playbook::new().forever(Reply::text(200, &crafted).act()));
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_not_installed(&vm, &run, "agent.repository-key", 19);
    assert!(!vm.path(KEYRING).exists() && !vm.path(LIST).exists());
}
