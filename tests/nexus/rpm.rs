//! Stand-ins of dnf, yum, tdnf, zypper and rpm: one repository, one package.

use std::fs;
use std::path::Path;

use crate::agent_package::{install, load, offered, remove, save, versions, REPOSITORY};
use crate::guest::{perform, Guest};
use crate::https_client::Call;

const REFRESHED: &str = "Metadata cache created.";

fn program(guest: &Guest) -> &str {
    guest.name.as_str()
}

/// `dnf`, and yum and tdnf, which take the same arguments.
pub fn dnf(guest: &Guest) -> u8 {
    let words = words(guest);
    let verb = words.first().copied().unwrap_or("");
    let name = format!("{} {verb}", program(guest));
    if let Some(code) = perform(&guest.called(&[&name, program(guest)], None), "") {
        return code;
    }
    match verb {
        "makecache" | "check-update" => refresh(guest, dnf_error),
        "install" | "downgrade" | "reinstall" => {
            if words.iter().skip(1).any(|word| !word.contains('/')) && load(guest).available.is_empty() {
                let code = refresh(guest, dnf_error);
                if code != 0 {
                    return code;
                }
            }
            install_all(guest, &words, "-", |word| {
                println!("No match for argument: {word}");
                eprintln!("Error: Unable to find a match: {word}");
                1
            })
        }
        _ => 0,
    }
}

pub fn zypper(guest: &Guest) -> u8 {
    let words = words(guest);
    let verb = words.first().copied().unwrap_or("");
    if let Some(code) = perform(&guest.called(&[&format!("zypper {verb}"), "zypper"], None), "") {
        return code;
    }
    match verb {
        "refresh" | "ref" => refresh(guest, zypper_error),
        "search" | "se" => {
            println!("S | Name      | Type    | Version | Arch | Repository\n--+-----------+---------+");
            for version in load(guest).available.first().map_or(Vec::new(), |_| versions(guest)) {
                println!("  | azcmagent | package | {version} | x86_64 | Microsoft packages");
            }
            0
        }
        "install" | "in" => install_all(guest, &words, "=", |word| {
            println!("Package '{word}' not found.");
            104
        }),
        _ => 0,
    }
}

/// `rpm --import FILE` and `rpm -q PACKAGE`.
pub fn rpm(guest: &Guest) -> u8 {
    let verb = guest.arguments.first().map_or("", String::as_str);
    if let Some(code) = perform(&guest.called(&[&format!("rpm {verb}"), "rpm"], None), "") {
        return code;
    }
    let last = guest.arguments.last().map_or("", String::as_str);
    match verb {
        // A package file: what is in it is not looked at.
        "--upgrade" => match offered(guest, None) {
            Some(found) => {
                install(guest, &found);
                0
            }
            None => 1,
        },
        "--erase" => {
            remove(guest);
            0
        }
        "--import" if !guest.path(last).exists() && !Path::new(last).exists() => {
            eprintln!("error: {last}: import read failed(2).");
            1
        }
        verb if verb.starts_with("-q") => match load(guest).installed.get(last) {
            Some(version) => {
                println!("{last}-{}-{}.x86_64", version.rsplit_once('.').map_or("", |(v, _)| v), 700);
                0
            }
            None => {
                println!("package {last} is not installed");
                1
            }
        },
        _ => 0,
    }
}

/// The arguments that are neither an option nor the value of one.
fn words(guest: &Guest) -> Vec<&str> {
    let mut words = Vec::new();
    let mut arguments = guest.arguments.iter().map(String::as_str);
    while let Some(word) = arguments.next() {
        match word {
            "--repo" => drop(arguments.next()),
            word if word.starts_with('-') => {}
            word => words.push(word),
        }
    }
    words
}

fn install_all(guest: &Guest, words: &[&str], between: &str, missing: impl Fn(&str) -> u8) -> u8 {
    for word in words.iter().skip(1) {
        let is_file = word.contains('/');
        let wanted = word.strip_prefix("azcmagent").map(|rest| rest.trim_start_matches([' ', '<', '>', '=']));
        let version =
            wanted.map(|rest| rest.strip_prefix(between).unwrap_or(rest)).filter(|rest| !rest.is_empty());
        let known = is_file || (wanted.is_some() && !load(guest).available.is_empty());
        match offered(guest, if is_file { None } else { version }) {
            Some(found) if known => install(guest, &found),
            _ => return missing(word),
        }
    }
    0
}

/// Reads the index of every repository that is enabled.
fn refresh(guest: &Guest, error: fn(&str, &str, &str) -> u8) -> u8 {
    let folder = if program(guest) == "zypper" { "etc/zypp/repos.d" } else { "etc/yum.repos.d" };
    let mut packages = load(guest);
    packages.available.clear();
    for entry in fs::read_dir(guest.path(folder)).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let value =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").to_owned();
        let url = value("baseurl=");
        let Some((_, path)) = url.split_once(REPOSITORY) else { continue };
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix('['))
            .unwrap_or("")
            .trim_end_matches(']')
            .to_owned();
        let path = format!("{}/repodata/repomd.xml", path.trim_end_matches('/'));
        let proxy = proxy(guest);
        let call = Call {
            proxy: proxy.as_deref(),
            host: REPOSITORY,
            method: "GET",
            path: &path,
            token: None,
            body: None,
        };
        match call.send() {
            Ok(response) if response.status == 200 => packages.available.push("azcmagent".to_owned()),
            Ok(response) => return error(&id, &url, &format!("Status code: {}", response.status)),
            Err(text) => return error(&id, &url, &format!("Curl error (56): {text}")),
        }
    }
    save(guest, &packages);
    println!("{REFRESHED}");
    0
}

fn dnf_error(id: &str, url: &str, why: &str) -> u8 {
    println!(
        "Errors during downloading metadata for repository '{id}':\n  - {why} for {url}repodata/repomd.xml"
    );
    eprintln!(
        "Error: Failed to download metadata for repo '{id}': Cannot download repomd.xml: Cannot download \
         repodata/repomd.xml: All mirrors were tried"
    );
    1
}

fn zypper_error(id: &str, url: &str, why: &str) -> u8 {
    println!("Retrieving repository '{id}' metadata [error]\nRepository '{id}' is invalid.");
    println!("[{id}|{url}] Valid metadata not found at specified URL\nHistory:\n - {why}");
    println!("Skipping repository '{id}' because of the above error.\nSome of the repositories have not been refreshed.");
    4
}

/// dnf's own setting, or the environment.
fn proxy(guest: &Guest) -> Option<String> {
    let settings = ["etc/dnf/dnf.conf", "etc/yum.conf", "etc/tdnf/tdnf.conf"];
    let own = settings.iter().filter_map(|file| fs::read_to_string(guest.path(file)).ok()).find_map(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("proxy="))?;
        Some(line.trim().to_owned())
    });
    own.or_else(|| ["https_proxy", "HTTPS_PROXY"].iter().find_map(|name| std::env::var(name).ok()))
}
