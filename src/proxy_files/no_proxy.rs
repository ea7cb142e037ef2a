//! The value of NO_PROXY: existing entries merged with the required ones.

use std::net::{IpAddr, SocketAddr};

/// Joins values of NO_PROXY with required entries: existing ones first, each once, parted by commas.
///
/// Addresses lose their port: `169.254.169.254:80` is not understood by curl, Python and reqwest, the bare
/// address by all. Nothing else is changed or dropped. Required entries are added even where `*` stands,
/// because not every client takes `*` for an address.
pub fn merge_no_proxy(existing: &[&str], required: &[String]) -> String {
    let mut merged: Vec<String> = Vec::new();
    let entries = existing.iter().copied().chain(required.iter().map(String::as_str));
    for entry in entries.flat_map(entries_of) {
        let entry = bare(entry);
        if !merged.iter().any(|known| known.eq_ignore_ascii_case(&entry)) {
            merged.push(entry);
        }
    }
    merged.join(",")
}

/// The entries of one value, whichever way they are parted, without quotes that were left over.
fn entries_of(value: &str) -> impl Iterator<Item = &str> {
    let entries = value.split([',', ' ', '\t', '\r', '\n']);
    entries.map(|entry| entry.trim_matches(['"', '\''])).filter(|entry| !entry.is_empty())
}

/// An address without port and brackets; anything else as it is.
fn bare(entry: &str) -> String {
    if let Ok(address) = entry.parse::<SocketAddr>() {
        return address.ip().to_string();
    }
    let unbracketed = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match unbracketed.and_then(|inner| inner.parse::<IpAddr>().ok()) {
        Some(address) => address.to_string(),
        None => entry.to_owned(),
    }
}

/// The entries of other files' values of NO_PROXY, without the required ones.
///
/// The required ones are left out so that they come last, however often the files have been joined:
/// otherwise the second run would find another order than the first.
pub(super) fn elsewhere(values: impl Iterator<Item = String>, required: &[String]) -> Vec<String> {
    let required: Vec<String> = required.iter().map(|entry| bare(entry)).collect();
    let mut found: Vec<String> = Vec::new();
    for value in values {
        for entry in entries_of(&value).filter(|entry| is_plain(entry)) {
            let entry = bare(entry);
            if !required.iter().chain(&found).any(|known| known.eq_ignore_ascii_case(&entry)) {
                found.push(entry);
            }
        }
    }
    found
}

/// Whether an entry is a name, an address, a network or a pattern, and not a piece of shell.
fn is_plain(entry: &str) -> bool {
    entry.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '*' | '/' | '[' | ']'))
}

/// The required entries that a value does not hold, parted by commas.
pub(super) fn lacking(value: &str, required: &[String]) -> String {
    let there: Vec<String> = entries_of(value).map(bare).collect();
    let lacks = |entry: &&String| !there.iter().any(|known| known.eq_ignore_ascii_case(&bare(entry)));
    let lacking: Vec<&str> = required.iter().filter(lacks).map(String::as_str).collect();
    lacking.join(",")
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
