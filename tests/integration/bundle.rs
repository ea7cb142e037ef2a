//! The archive for support: what is in it, what must not be, and where it goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::nexus::run::Run;
use crate::nexus::vm::Vm;

/// The archive as a file: where it is written, and what is left when that fails.
mod archive_file;
/// What is in it.
mod contents;
/// Planted secrets, and ordinary text.
mod secrets;
/// Size limits for a log and for the archive.
mod sizes;
/// Which files are read, and what an ordinary user gets.
mod sources;

/// An unpacked archive.
struct Unpacked {
    /// The folder on top.
    folder: String,
    /// Its files by name.
    files: BTreeMap<String, Vec<u8>>,
}

impl Unpacked {
    /// Unpacks with the system's tar, which rejects malformed archives.
    fn of(archive: &Path) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let mut tar = Command::new("tar");
        let output = tar.arg("-xzf").arg(archive).arg("-C").arg(place.path()).output().expect("tar runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let mut found = BTreeMap::new();
        collect(place.path(), place.path(), &mut found);
        let folder = found.keys().next().and_then(|name| name.split('/').next()).unwrap_or("").to_owned();
        let below = |(name, content): (String, Vec<u8>)| {
            let name = name.strip_prefix(&format!("{folder}/")).expect("one folder is on top").to_owned();
            (name, content)
        };
        let files = found.into_iter().map(below).collect();
        Self { folder, files }
    }

    fn text(&self, name: &str) -> String {
        let content = self.files.get(name).unwrap_or_else(|| panic!("{name} is in {:?}", self.files.keys()));
        String::from_utf8(content.clone()).expect("it is text")
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).expect("it is JSON")
    }

    fn manifest(&self) -> Value {
        self.json("manifest.json")
    }

    /// The manifest's line about an entry.
    fn entry(&self, name: &str) -> Value {
        find(&self.manifest()["entries"], name)
    }

    /// The reason why an entry is missing.
    fn why(&self, name: &str) -> String {
        let missing = find(&self.manifest()["missing"], name);
        missing["why"].as_str().unwrap_or_else(|| panic!("{name} is not missing: {missing}")).to_owned()
    }

    /// Asserts that every entry matches the manifest.
    fn assert_reported(&self) {
        let manifest = self.manifest();
        let told: BTreeMap<String, usize> = manifest["entries"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| {
                let bytes = entry["bytes"].as_u64().and_then(|bytes| usize::try_from(bytes).ok());
                (entry["name"].as_str().expect("a name").to_owned(), bytes.expect("a length"))
            })
            .collect();
        let there: BTreeMap<String, usize> = self
            .files
            .iter()
            .filter(|(name, _)| *name != "manifest.json")
            .map(|(name, content)| (name.clone(), content.len()))
            .collect();
        assert_eq!(told, there);
    }
}

fn find(list: &Value, name: &str) -> Value {
    let found = list.as_array().and_then(|list| list.iter().find(|entry| entry["name"] == name));
    found.cloned().unwrap_or_default()
}

/// The row of a condition in doctor's report.
fn condition(doctor: &Value, name: &str) -> Value {
    let conditions = doctor["conditions"].as_array();
    let found = conditions.and_then(|list| list.iter().find(|one| one["condition"] == name));
    found.cloned().unwrap_or_default()
}

fn collect(top: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(top, &path, found);
        } else {
            let name = path.strip_prefix(top).expect("it is below").to_string_lossy().into_owned();
            found.insert(name, fs::read(&path).expect("a file"));
        }
    }
}

/// The archive that a run left in /var/tmp.
fn archive_of(vm: &Vm, run: &Run) -> Unpacked {
    run.assert_code(0);
    let names: Vec<String> = fs::read_dir(vm.path("var/tmp"))
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 1, "{names:?}\n{}", run.text());
    let inside = format!("var/tmp/{}", names[0]);
    assert_eq!(vm.mode(&inside), 0o600);
    let unpacked = Unpacked::of(&vm.path(&inside));
    assert_eq!(names[0], format!("{}.tar.gz", unpacked.folder));
    unpacked
}

/// A journalctl that prints the requested unit.
const JOURNALCTL: &str = "#!/bin/sh\nfor unit; do :; done\n\
    echo \"2026-11-23T15:00:00+0000 contoso-vm-01 $unit[7]: line of $unit\"\n";
