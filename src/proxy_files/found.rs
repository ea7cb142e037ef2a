//! What is wrong with a place, from what stands in it and what has to.

use super::{apt, dnf, environment, no_proxy, suse, systemd, NO_PROXY_NAMES};
use crate::model::pairs::Pairs;
use crate::model::secret::Mask;

/// How a place is wrong; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// The proxy is right, NO_PROXY lacks something.
    NoProxy,
    /// Something is not set.
    Incomplete,
    /// It names another proxy.
    Contradictory,
}

/// Variables, or options, by name; values may hold credentials.
pub type Values = Pairs;

/// What a file sets, read as its readers read it.
pub fn values(path: &str, text: &str) -> Values {
    assignments(path, text).into_iter().collect()
}

/// Every name and value of a file, in its order; none of a file that is not known.
pub(super) fn assignments(path: &str, text: &str) -> Vec<(String, String)> {
    match path {
        "/etc/environment" => environment::assignments(text),
        "/etc/sysconfig/proxy" => suse::assignments(text),
        path if path.starts_with("/etc/systemd/") => systemd::assignments(text),
        path if path.starts_with("/etc/apt/") => apt::options(text),
        path if path.ends_with(".sh") => shell_assignments(text),
        _ => dnf::text_proxy(text).map(|proxy| ("proxy".to_owned(), proxy)).into_iter().collect(),
    }
}

/// Plain assignments of a shell script; what the shell would have to expand is no plain entry of NO_PROXY.
fn shell_assignments(text: &str) -> Vec<(String, String)> {
    let statements = text.lines().flat_map(|line| line.split(';'));
    statements.flat_map(environment::assignments).collect()
}

/// Compares what is set with what has to be: how wrong it is, and in words, without credentials. The words are
/// empty where nothing is set at all, and where the values are right and only their form is not.
pub fn compare(found: &Values, right: &Values, required: &[String]) -> (Wrong, String) {
    let is_set = |name: &String| found.get(name).is_some_and(|value| !value.trim().is_empty());
    if !right.keys().any(is_set) {
        return (Wrong::Incomplete, String::new());
    }
    let mut worst = None;
    let mut texts = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    for (name, value) in right.iter() {
        let there = found.get(name).map_or("", |value| value.trim());
        let for_no_proxy = NO_PROXY_NAMES.contains(&name.as_str());
        let wrong = if for_no_proxy { Wrong::NoProxy } else { Wrong::Incomplete };
        let (wrong, text) = if there.is_empty() {
            missing.push(name);
            worst = worst.max(Some(wrong));
            continue;
        } else if for_no_proxy {
            let lacking = no_proxy::lacking(there, required);
            if lacking.is_empty() {
                continue;
            }
            (wrong, format!("{name} lacks {lacking}"))
        } else if same_proxy(there, value) {
            continue;
        } else {
            // `PROXY_ENABLED` is a switch and no address.
            let names_one = name.to_ascii_lowercase().ends_with("proxy");
            let shown = Mask::default().apply(there);
            (if names_one { Wrong::Contradictory } else { wrong }, format!("{name} is {shown}"))
        };
        worst = worst.max(Some(wrong));
        texts.push(text);
    }
    match missing.as_slice() {
        [] => {}
        [one] => texts.push(format!("{one} is not set")),
        several => texts.push(format!("{} are not set", several.join(", "))),
    }
    (worst.unwrap_or(Wrong::Incomplete), texts.join(", "))
}

/// Whether two texts name the same proxy, with the same credentials.
fn same_proxy(one: &str, other: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim_end_matches('/');
        text.strip_prefix("http://").unwrap_or(text).to_owned()
    };
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "http://169.254.0.11:3128";

    fn environment(text: &str) -> (Wrong, String) {
        let right = format!(
            "HTTPS_PROXY={PROXY}\nhttps_proxy={PROXY}\nNO_PROXY=localhost,169.254.169.254\nno_proxy=localhost,169.254.169.254\n"
        );
        let required = ["localhost".to_owned(), "169.254.169.254".to_owned()];
        compare(&values("/etc/environment", text), &values("/etc/environment", &right), &required)
    }

    #[test]
    fn places_are_told_apart_by_what_is_wrong_with_them() {
        let no_proxy = "NO_PROXY=localhost,169.254.169.254\nno_proxy=localhost,169.254.169.254\n";
        let proxies = format!("HTTPS_PROXY={PROXY}\nhttps_proxy={PROXY}/\n");
        let rows = [
            (String::new(), Wrong::Incomplete, ""),
            ("LANG=C\nHTTPS_PROXY=\n".to_owned(), Wrong::Incomplete, ""),
            (format!("HTTPS_PROXY={PROXY}\n{no_proxy}"), Wrong::Incomplete, "https_proxy is not set"),
            (
                format!("HTTPS_PROXY={PROXY}\nhttps_proxy=http://u:secret@other:8080\n{no_proxy}"),
                Wrong::Contradictory,
                "https_proxy is http://***@other:8080",
            ),
            (
                format!("{proxies}NO_PROXY=localhost\nno_proxy=169.254.169.254:80, LOCALHOST\n"),
                Wrong::NoProxy,
                "NO_PROXY lacks 169.254.169.254",
            ),
            (proxies.clone(), Wrong::NoProxy, "NO_PROXY, no_proxy are not set"),
            (format!("{proxies}{no_proxy}"), Wrong::Incomplete, ""),
            (
                format!("https_proxy=http://other:1\nNO_PROXY=a\n{no_proxy}"),
                Wrong::Contradictory,
                "https_proxy is http://other:1, HTTPS_PROXY is not set",
            ),
        ];
        for (text, wrong, words) in rows {
            assert_eq!(environment(&text), (wrong, words.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_switch_is_no_address() {
        let right = values("/etc/sysconfig/proxy", "PROXY_ENABLED=\"yes\"\nHTTP_PROXY=\"http://a:1\"\n");
        let found = values("/etc/sysconfig/proxy", "PROXY_ENABLED=\"no\"\nHTTP_PROXY=\"http://a:1\"\n");
        assert_eq!(compare(&found, &right, &[]), (Wrong::Incomplete, "PROXY_ENABLED is no".to_owned()));
    }
}
