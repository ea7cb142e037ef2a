//! Stand-ins of apt-get, dpkg and dpkg-query: they "install" the azcmagent stand-in below the VM's root.

use std::fs;
use std::path::{Path, PathBuf};

use crate::agent_package::{install as install_package, load, offered, remove, save, REPOSITORY};
use crate::guest::{perform, Guest};
use crate::https_client::Call;

pub fn apt_get(guest: &Guest) -> u8 {
    let verb = positional(guest).first().cloned().unwrap_or_default();
    let outcome = guest.called(&[&format!("apt-get {verb}"), "apt-get"], None);
    if let Some(code) = perform(&outcome, "") {
        return code;
    }
    match verb.as_str() {
        "update" => update(guest),
        "install" => install(guest),
        "remove" | "purge" => {
            remove(guest);
            0
        }
        "" => 0,
        verb => {
            eprintln!("E: Invalid operation {verb}");
            100
        }
    }
}

/// Arguments that are neither options nor the values of `-o` and `-c`.
fn positional(guest: &Guest) -> Vec<String> {
    let mut words = guest.arguments.iter();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "-o" | "-c" | "-t") {
            words.next();
        } else if !word.starts_with('-') {
            found.push(word.clone());
        }
    }
    found
}

fn option(guest: &Guest, name: &str) -> Option<String> {
    let wanted = format!("{name}=");
    let words = guest.arguments.iter().map(|word| word.strip_prefix("-o").unwrap_or(word));
    words.filter_map(|word| word.strip_prefix(&wanted)).next_back().map(str::to_owned)
}

/// The proxy for HTTPS: apt's own settings first, then the environment.
fn proxy(guest: &Guest) -> Option<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(guest.path("etc/apt/apt.conf.d"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    files.push(guest.path("etc/apt/apt.conf"));
    let text: String = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let mut named = [None, None];
    for line in text.lines() {
        for (index, key) in ["acquire::http::proxy", "acquire::https::proxy"].iter().enumerate() {
            if line.trim().to_ascii_lowercase().starts_with(key) {
                named[index] = line.split('"').nth(1).map(str::to_owned);
            }
        }
    }
    let [http, https] = named;
    let from_environment = || ["https_proxy", "HTTPS_PROXY"].iter().find_map(|name| std::env::var(name).ok());
    https.or(http).or_else(from_environment)
}

/// The lines of the lists that name the repository; the options narrow the files as they do for apt.
fn sources(guest: &Guest) -> Vec<String> {
    let list = option(guest, "Dir::Etc::sourcelist").unwrap_or_else(|| "sources.list".to_owned());
    let parts = option(guest, "Dir::Etc::sourceparts").unwrap_or_else(|| "sources.list.d".to_owned());
    let mut files = vec![guest.path("etc/apt").join(list)];
    let folder = fs::read_dir(guest.path("etc/apt").join(parts));
    files.extend(folder.into_iter().flatten().flatten().map(|entry| entry.path()));
    let mut found = Vec::new();
    for text in files.into_iter().filter_map(|file| fs::read_to_string(file).ok()) {
        let lines =
            text.lines().filter(|line| line.contains(REPOSITORY) && !line.trim_start().starts_with('#'));
        found.extend(lines.map(str::to_owned));
    }
    found
}

fn update(guest: &Guest) -> u8 {
    let mut failed = false;
    let mut packages = load(guest);
    if option(guest, "APT::Get::List-Cleanup").is_none_or(|value| value != "0") {
        packages.available.clear();
    }
    for line in sources(guest) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(at) = words.iter().position(|word| word.contains(REPOSITORY)) else { continue };
        let (url, suite) = (words[at], words.get(at + 1).copied().unwrap_or(""));
        if let Some(missing) = missing_key(guest, &line) {
            println!(
                "Err:1 {url} {suite} InRelease\n  The following signatures couldn't be verified because"
            );
            println!("  the public key is not available: {missing}");
            println!("W: GPG error: {url} {suite} InRelease: the key file {missing} is not there");
            println!("E: The repository '{url} {suite} InRelease' is not signed.");
            return 100;
        }
        let path = url.split_once(REPOSITORY).map_or("", |(_, path)| path);
        let path = format!("{path}/dists/{suite}/InRelease");
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
            Ok(response) if response.status == 200 => {
                println!("Get:1 {url} {suite} InRelease [3,618 B]");
                packages.available.push("azcmagent".to_owned());
            }
            Ok(response) if response.status == 404 => {
                println!("Err:1 {url} {suite} Release\n  404  Not Found [IP: 169.254.0.11 3128]");
                println!("E: The repository '{url} {suite} Release' does not have a Release file.");
                return 100;
            }
            Ok(response) => failed |= not_fetched(url, suite, &format!("{} error", response.status)),
            Err(error) => failed |= not_fetched(url, suite, &error),
        }
    }
    save(guest, &packages);
    println!("Reading package lists...");
    if !failed {
        return 0;
    }
    // Without this setting apt-get update succeeds although nothing could be fetched.
    let strict = option(guest, "APT::Update::Error-Mode").is_some_and(|mode| mode == "any");
    let level = if strict { "E" } else { "W" };
    println!(
        "{level}: Some index files failed to download. They have been ignored, or old ones used instead."
    );
    if strict {
        100
    } else {
        0
    }
}

fn not_fetched(url: &str, suite: &str, why: &str) -> bool {
    println!("Err:1 {url} {suite} InRelease\n  {why} [IP: 169.254.0.11 3128]");
    println!("W: Failed to fetch {url}/dists/{suite}/InRelease  {why} [IP: 169.254.0.11 3128]");
    true
}

/// The key named by `signed-by`, if it is missing.
fn missing_key(guest: &Guest, line: &str) -> Option<String> {
    let (_, rest) = line.split_once("signed-by=")?;
    let path = rest.split([' ', ']', ',']).next().unwrap_or("");
    // The list names it as the VM sees it, or, with a root of one's own, in full.
    let there = guest.path(path).exists()
        || (path.starts_with(&*guest.root.to_string_lossy()) && Path::new(path).exists());
    (!there).then(|| path.to_owned())
}

fn install(guest: &Guest) -> u8 {
    let packages = load(guest);
    for word in positional(guest).iter().skip(1) {
        if word.contains('/') {
            if !Path::new(word).is_file() {
                eprintln!("E: Unsupported file {word} given on commandline");
                return 100;
            }
            install_package(guest, &offered(guest, None).unwrap_or_default());
            continue;
        }
        let (name, version) = word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v)));
        if name != "azcmagent" || !packages.available.iter().any(|known| known == name) {
            println!("Reading package lists...\nBuilding dependency tree...");
            eprintln!("E: Unable to locate package {name}");
            return 100;
        }
        let Some(found) = offered(guest, version) else {
            eprintln!("E: Version '{}' for '{name}' was not found", version.unwrap_or(""));
            return 100;
        };
        install_package(guest, &found);
    }
    0
}

pub fn dpkg(guest: &Guest) -> u8 {
    let verb = guest.arguments.first().cloned().unwrap_or_default();
    let outcome = guest.called(&[&format!("dpkg {verb}"), "dpkg"], None);
    if let Some(code) = perform(&outcome, "") {
        return code;
    }
    match verb.as_str() {
        "--print-architecture" => println!("amd64"),
        "-i" | "--install" => install_package(guest, &offered(guest, None).unwrap_or_default()),
        "-s" | "--status" | "-l" => return dpkg_status(guest),
        "--configure" => {}
        verb => {
            eprintln!("dpkg: error: unknown option {verb}");
            return 2;
        }
    }
    0
}

fn dpkg_status(guest: &Guest) -> u8 {
    let name = guest.arguments.last().cloned().unwrap_or_default();
    match load(guest).installed.get(&name) {
        Some(version) => {
            println!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}"
            );
            0
        }
        None => {
            eprintln!("dpkg-query: package '{name}' is not installed and no information is available");
            1
        }
    }
}

/// `dpkg-query -W -f FORMAT PACKAGE`.
pub fn dpkg_query(guest: &Guest) -> u8 {
    let outcome = guest.called(&["dpkg-query"], None);
    if let Some(code) = perform(&outcome, "") {
        return code;
    }
    let mut format = "${binary:Package}\t${Version}\n".to_owned();
    let mut words = guest.arguments.iter();
    let mut name = String::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-f" => format = words.next().cloned().unwrap_or_default(),
            "-W" | "--show" => {}
            word => match word.strip_prefix("-f").or_else(|| word.strip_prefix("--showformat=")) {
                Some(value) => format = value.trim_start_matches('=').to_owned(),
                None => name = word.to_owned(),
            },
        }
    }
    let packages = load(guest);
    let Some(version) = packages.installed.get(&name) else {
        eprintln!("dpkg-query: no packages found matching {name}");
        return 1;
    };
    let values = [
        ("${binary:Package}", name.as_str()),
        ("${Package}", name.as_str()),
        ("${Version}", version),
        ("${Architecture}", "amd64"),
        ("${Status}", "install ok installed"),
        ("${db:Status-Status}", "installed"),
        ("${db:Status-Abbrev}", "ii "),
        ("\\n", "\n"),
        ("\\t", "\t"),
    ];
    print!("{}", values.iter().fold(format, |text, (from, to)| text.replace(from, to)));
    0
}
