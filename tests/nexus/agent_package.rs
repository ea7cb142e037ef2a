//! The package of the azcmagent stand-in, as every package manager installs it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::guest::Guest;
use crate::nexus::spec::{Unit, AGENT_VERSION, SERVICES};
use crate::systemctl;

pub const REPOSITORY: &str = "packages.microsoft.com";
/// The one older version that the repository has.
const OLDER_VERSION: &str = "1.57.03160.512";

/// The package manager's state: versions by package; `available` comes from the last index refresh.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Packages {
    pub installed: BTreeMap<String, String>,
    pub available: Vec<String>,
}

fn file(guest: &Guest) -> PathBuf {
    guest.home.join("packages.json")
}

pub fn load(guest: &Guest) -> Packages {
    guest.read_json(&file(guest))
}

pub fn save(guest: &Guest, packages: &Packages) {
    guest.write_json(&file(guest), packages);
}

/// What the repository has, the newest first.
pub fn versions(guest: &Guest) -> Vec<String> {
    let newest = if guest.plan.version.is_empty() { AGENT_VERSION } else { &guest.plan.version };
    vec![newest.to_owned(), OLDER_VERSION.to_owned()]
}

/// The version that the repository has for a wanted one (`1.57`, `1.57.*`, in full); the newest when none is.
pub fn offered(guest: &Guest, wanted: Option<&str>) -> Option<String> {
    let versions = versions(guest);
    let beginning = wanted.unwrap_or(&versions[0]).trim_end_matches('*').to_owned();
    versions.into_iter().find(|known| known.starts_with(&beginning))
}

/// Unpacks the stand-in like the agent's package, with the same output.
pub fn install(guest: &Guest, version: &str) {
    println!("Preinstall...install\nCreating himds group ...\nCreating himds account ...");
    println!("Unpacking azcmagent ({version}) ...\nSetting up azcmagent ({version}) ...");
    if let Err(error) = place(&guest.root) {
        eprintln!("dpkg: error processing package azcmagent: {error}");
    }
    let mut system = systemctl::load(guest);
    for name in SERVICES {
        system.units.insert(name.to_owned(), Unit::running());
    }
    systemctl::save(guest, &system);
    let mut packages = load(guest);
    packages.installed.insert("azcmagent".to_owned(), version.to_owned());
    save(guest, &packages);
    let config = guest.path("var/opt/azcmagent/agentconfig.json");
    if !config.exists() {
        println!("Creating new /var/opt/azcmagent/agentconfig.json");
        guest.write_json(&config, &json!({}));
    }
    println!("Postinstall...configure");
}

/// Installs the stand-in at the path of the agent's program.
fn place(root: &Path) -> io::Result<()> {
    let program = std::env::current_exe()?;
    for folder in ["opt/azcmagent/bin", "usr/bin"] {
        let folder = root.join(folder);
        fs::create_dir_all(&folder)?;
        let link = folder.join("azcmagent");
        drop(fs::remove_file(&link));
        symlink(&program, link)?;
    }
    // Client libraries detect an Arc-enabled server by this file.
    fs::write(root.join("opt/azcmagent/bin/himds"), "")
}

pub fn remove(guest: &Guest) {
    let mut packages = load(guest);
    packages.installed.remove("azcmagent");
    save(guest, &packages);
    drop(fs::remove_file(guest.path("usr/bin/azcmagent")));
    drop(fs::remove_dir_all(guest.path("opt/azcmagent")));
}
