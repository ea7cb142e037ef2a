//! The configuration as the documents and the examples show it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{agent, nexus_yaml, printed, readme, repository, table, text, written, yaml, CLOUD_INIT};

#[test]
fn waits_are_those_of_the_configuration() {
    let config = yaml(&text("cloud-init/config.yaml"));
    let known: BTreeMap<String, String> = config["wait"]
        .as_mapping()
        .expect("a section")
        .iter()
        .map(|(key, value)| {
            (format!("wait.{}", key.as_str().unwrap_or("")), value.as_str().unwrap_or("").to_owned())
        })
        .collect();
    let shown: BTreeMap<String, String> = table(&text(CLOUD_INIT), "key")
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    assert_eq!(shown, known);
}

#[test]
fn addresses_are_those_of_the_configuration() {
    let (readme, config) = (readme(), yaml(&text("cloud-init/config.yaml")));
    for (section, key) in [("imds", "endpoint"), ("proxy", "url")] {
        let url = config[section][key].as_str().expect("a URL");
        let address = url.trim_start_matches("http://");
        assert!(readme.contains(address), "the README does not name {address}");
    }
}

#[test]
fn the_readme_s_configuration_is_valid_and_the_smallest() {
    let config = nexus_yaml();
    let (_folder, path) = written(&config);
    assert_eq!(printed(&["validate", &path]), "the configuration is valid\n");
    assert!(readme().contains("Three keys are required"));
    let keys: Vec<&str> = config.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(keys.len(), 3);
    for key in keys {
        let (_folder, path) = written(&config.replace(&format!("{key}\n"), ""));
        assert_eq!(agent(&["validate", &path]).status.code(), Some(2), "without {key}");
    }
}

#[test]
fn example_configurations_are_valid() {
    for path in ["cloud-init/config.yaml", "packaging/example-config.yaml"] {
        let full = repository().join(path).to_string_lossy().into_owned();
        assert_eq!(printed(&["validate", &full]), "the configuration is valid\n", "{path}");
    }
}

/// A key that the program does not know makes it tell the ones that it knows.
#[test]
fn the_example_configuration_has_every_key_and_no_other() {
    let text = text("cloud-init/config.yaml");
    let config = yaml(&text);
    let sections = config.as_mapping().expect("sections");
    let names: BTreeSet<String> = sections.keys().filter_map(|key| key.as_str()).map(str::to_owned).collect();
    let mut asking = "zzqqxx: 1\n".to_owned();
    for name in &names {
        let more = if name == "agent" { ", package: {zzqqxx: 1}" } else { "" };
        asking.push_str(&format!("{name}: {{zzqqxx: 1{more}}}\n"));
    }
    let known = known_keys(&asking);
    assert_eq!(known[""], names);
    for (place, keys) in known.iter().filter(|(place, _)| !place.is_empty()) {
        let shown: BTreeSet<String> = match place.as_str() {
            // Alternatives of which the file can show one; the others stand in comments.
            "identity" | "agent.package" => {
                keys.iter().filter(|key| text.contains(&format!("{key}: "))).cloned().collect()
            }
            section => {
                let mapping = config[section].as_mapping().unwrap_or_else(|| panic!("{section} is empty"));
                mapping.keys().filter_map(|key| key.as_str()).map(str::to_owned).collect()
            }
        };
        assert_eq!(shown, *keys, "{place}");
    }
}

/// The keys of each place, as the program tells them.
fn known_keys(asking: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (_folder, path) = written(asking);
    let output = agent(&["validate", &path, "--output", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("it answers in JSON");
    let problems = told["problems"].as_array().expect("problems");
    let about = problems.iter().filter_map(|problem| {
        let key = problem["key"].as_str()?.strip_suffix("zzqqxx")?;
        let keys = problem["message"].as_str()?.strip_prefix("unknown key; known here are ")?;
        Some((key.trim_end_matches('.').to_owned(), keys.split(", ").map(str::to_owned).collect()))
    });
    let found: BTreeMap<String, BTreeSet<String>> = about.collect();
    assert_eq!(found.len(), asking.matches("zzqqxx").count(), "{told}");
    found
}
