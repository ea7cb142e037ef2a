//! Size limits for a log and for the archive.

use super::archive_of;

use crate::nexus::vm::Vm;

const MIB: usize = 1 << 20;

/// This many bytes of numbered lines; few long ones, since a debug build redacts many words slowly.
fn lines(bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(&format!("line {} of a long log {}\n", text.len(), "0123456789".repeat(15)));
    }
    text
}

#[test]
fn long_log_is_truncated_at_the_start() {
    let long = lines(3 * MIB) + "the last line\n";
    // A secret at the position where the log is truncated: any part of it has to be redacted.
    let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n".repeat(1500);
    let cut =
        format!("{}-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\n{}", lines(MIB), lines(MIB));
    let vm = Vm::new()
        .enrolled()
        .file("var/log/cloud-init.log", &long)
        .file("var/opt/azcmagent/log/himds.log", &cut)
        .file_with_mode("usr/bin/journalctl", 0o755, "#!/bin/sh\nseq 400000\necho the newest\n")
        .start();
    let run = vm.run(&["bundle"]);
    let archive = archive_of(&vm, &run);
    archive.assert_reported();
    let kept = archive.text("cloud-init/cloud-init.log");
    assert!(kept.len() <= MIB && kept.len() > MIB - 200, "{}", kept.len());
    assert!(long.ends_with(&kept) && kept.starts_with("line "), "{}", &kept[..80]);
    assert_eq!(archive.entry("cloud-init/cloud-init.log")["truncated"], true);
    assert_eq!(archive.entry("vm/os-release")["truncated"], false);
    let kept = archive.text("azcmagent/log/himds.log");
    assert!(!kept.contains("MIIEvQ") && !kept.contains("BAQC7VJ"), "{}", &kept[..200]);
    let kept = archive.text("journal/gcad.txt");
    assert!(kept.len() <= MIB && kept.ends_with("\n400000\nthe newest\n"), "{}", kept.len());
    assert_eq!(archive.entry("journal/gcad.txt")["truncated"], true);
    assert!(run.stdout.contains("truncated at the beginning"), "{}", run.stdout);
}

#[test]
fn total_size_is_limited() {
    // Thirty of these exceed the total of 16 MiB.
    let log = lines(MIB * 5 / 8);
    let mut builder = Vm::new().enrolled();
    for index in 0..35 {
        builder = builder.file(&format!("var/opt/azcmagent/log/{index:02}.log"), &log);
    }
    let vm = builder.start();
    let archive = archive_of(&vm, &vm.run(&["bundle"]));
    let whole: usize =
        archive.files.iter().filter(|(name, _)| *name != "manifest.json").map(|(_, text)| text.len()).sum();
    assert!(whole <= 16 * MIB && whole > 15 * MIB, "{whole}");
    let missing = archive.manifest()["missing"].to_string();
    assert!(
        missing.contains("only the 30 newest") && missing.contains("has reached its size limit"),
        "{missing}"
    );
    // What is asked for first is there.
    assert!(archive.files.contains_key("doctor.json") && archive.files.contains_key("identity.json"));
}
