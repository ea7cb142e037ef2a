//! The value of NO_PROXY: existing entries merged with the required ones.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Merges values of NO_PROXY with required entries: existing entries first, without duplicates, separated by commas.
///
/// Ports of addresses are removed, since curl, Python and reqwest do not understand `169.254.169.254:80`. Other
/// entries are kept unchanged. Required entries are added even next to `*`, because not every client applies `*` to
/// addresses.
pub fn merge_no_proxy(existing: &[&str], required: &[String]) -> String {
    let (mut merged, mut known) = (Vec::new(), BTreeSet::new());
    let entries = existing.iter().copied().chain(required.iter().map(String::as_str));
    for entry in entries.flat_map(split_entries) {
        let entry = without_port(entry);
        if known.insert(entry.to_ascii_lowercase()) {
            merged.push(entry);
        }
    }
    merged.join(",")
}

/// The entries of one value, separated by commas or blanks, without remaining quotes.
fn split_entries(value: &str) -> impl Iterator<Item = &str> {
    let entries = value.split([',', ' ', '\t', '\r', '\n']);
    entries.map(|entry| entry.trim_matches(['"', '\''])).filter(|entry| !entry.is_empty())
}

/// An address without port and brackets; other text unchanged.
fn without_port(entry: &str) -> String {
    if let Ok(address) = entry.parse::<SocketAddr>() {
        return address.ip().to_string();
    }
    let unbracketed = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match unbracketed.and_then(|inner| inner.parse::<IpAddr>().ok()) {
        Some(address) => address.to_string(),
        None => entry.to_owned(),
    }
}

/// The entries in the NO_PROXY values of other files, without the required ones.
///
/// The required entries are left out so that they always come last. Otherwise a second run would render another order
/// than the first.
pub(super) fn additional_entries(values: impl Iterator<Item = String>, required: &[String]) -> Vec<String> {
    let mut known = lower_case(required.iter().map(String::as_str));
    let mut found: Vec<String> = Vec::new();
    for value in values {
        for entry in split_entries(&value).filter(|entry| is_plain(entry)) {
            let entry = without_port(entry);
            if known.insert(entry.to_ascii_lowercase()) {
                found.push(entry);
            }
        }
    }
    found
}

/// Entries without ports, in lower case for comparing.
fn lower_case<'a>(entries: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    entries.map(|entry| without_port(entry).to_ascii_lowercase()).collect()
}

/// Whether an entry is a name, an address, a network or a pattern, and not shell syntax.
fn is_plain(entry: &str) -> bool {
    entry.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '*' | '/' | '[' | ']'))
}

/// The required entries that a value does not hold, separated by commas.
pub(super) fn missing_entries(value: &str, required: &[String]) -> String {
    let present = lower_case(split_entries(value));
    let is_missing = |entry: &&String| !present.contains(&without_port(entry).to_ascii_lowercase());
    let missing: Vec<&str> = required.iter().filter(is_missing).map(String::as_str).collect();
    missing.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(existing: &[&str], required: &[&str]) -> String {
        let required: Vec<String> = required.iter().map(|entry| (*entry).to_owned()).collect();
        merge_no_proxy(existing, &required)
    }

    const NEEDED: [&str; 4] = ["localhost", "127.0.0.1", "::1", "169.254.169.254"];

    #[test]
    fn existing_entries_come_first_and_stay() {
        let rows = [
            (vec![], "localhost,127.0.0.1,::1,169.254.169.254"),
            (vec![""], "localhost,127.0.0.1,::1,169.254.169.254"),
            (vec!["*"], "*,localhost,127.0.0.1,::1,169.254.169.254"),
            (
                vec!["10.0.0.0/8, .corp  host:8443"],
                "10.0.0.0/8,.corp,host:8443,localhost,127.0.0.1,::1,169.254.169.254",
            ),
            (vec!["169.254.169.254:80"], "169.254.169.254,localhost,127.0.0.1,::1"),
            (vec!["[::1]:80,[fe80::1]"], "::1,fe80::1,localhost,127.0.0.1,169.254.169.254"),
            (vec!["a,b", "B\tc"], "a,b,c,localhost,127.0.0.1,::1,169.254.169.254"),
            (vec!["\"a,b\"\r"], "a,b,localhost,127.0.0.1,::1,169.254.169.254"),
            (vec!["LOCALHOST,127.0.0.1\r"], "LOCALHOST,127.0.0.1,::1,169.254.169.254"),
        ];
        for (existing, expected) in rows {
            assert_eq!(merged(&existing, &NEEDED), expected, "{existing:?}");
        }
    }

    #[test]
    fn merging_again_changes_nothing() {
        for existing in ["", "*", "x:1 ,y", "[::1]:8,::1,127.0.0.1:80", "Ä,ä"] {
            let once = merged(&[existing], &NEEDED);
            assert_eq!(merged(&[&once], &NEEDED), once);
        }
    }
}
