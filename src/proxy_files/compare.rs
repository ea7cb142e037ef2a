//! Compares the settings of a file with the desired ones.

use super::no_proxy;
use super::variables::NO_PROXY_NAMES;
use crate::model::pairs::Pairs;
use crate::model::secret::Mask;

/// How settings differ from the desired ones, by increasing severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// The proxy is correct, NO_PROXY lacks entries.
    NoProxy,
    /// A setting is missing.
    Incomplete,
    /// Another proxy is set.
    Contradictory,
}

/// Compares the existing settings with the desired ones. Returns the most severe mismatch and a description without
/// credentials, which is empty when nothing is set, or when only the form of the values differs.
pub fn compare(found: &Pairs, desired: &Pairs, required: &[String]) -> (Mismatch, String) {
    let is_set = |name: &String| found.get(name).is_some_and(|value| !value.trim().is_empty());
    if !desired.keys().any(is_set) {
        return (Mismatch::Incomplete, String::new());
    }
    let mut worst = None;
    let mut texts = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    for (name, value) in desired.iter() {
        let present = found.get(name).map_or("", |value| value.trim());
        let for_no_proxy = NO_PROXY_NAMES.contains(&name.as_str());
        let mismatch = if for_no_proxy { Mismatch::NoProxy } else { Mismatch::Incomplete };
        let (mismatch, text) = if present.is_empty() {
            missing.push(name);
            worst = worst.max(Some(mismatch));
            continue;
        } else if for_no_proxy {
            let lacking = no_proxy::missing_entries(present, required);
            if lacking.is_empty() {
                continue;
            }
            (mismatch, format!("{name} lacks {lacking}"))
        } else if same_proxy(present, value) {
            continue;
        } else {
            // `PROXY_ENABLED` is a switch, not an address.
            let is_address = name.to_ascii_lowercase().ends_with("proxy");
            let redacted = Mask::default().apply(present);
            (if is_address { Mismatch::Contradictory } else { mismatch }, format!("{name} is {redacted}"))
        };
        worst = worst.max(Some(mismatch));
        texts.push(text);
    }
    match missing.as_slice() {
        [] => {}
        [one] => texts.push(format!("{one} is not set")),
        several => texts.push(format!("{} are not set", several.join(", "))),
    }
    (worst.unwrap_or(Mismatch::Incomplete), texts.join(", "))
}

/// Whether two texts denote the same proxy with the same credentials.
fn same_proxy(one: &str, other: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim_end_matches('/');
        text.strip_prefix("http://").unwrap_or(text).to_owned()
    };
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::super::{environment, suse};
    use super::*;

    const PROXY: &str = "http://169.254.0.11:3128";

    fn environment(text: &str) -> (Mismatch, String) {
        let right = format!(
            "HTTPS_PROXY={PROXY}\nhttps_proxy={PROXY}\nNO_PROXY=localhost,169.254.169.254\nno_proxy=localhost,169.254.169.254\n"
        );
        let required = ["localhost".to_owned(), "169.254.169.254".to_owned()];
        compare(&environment::effective(text), &environment::effective(&right), &required)
    }

    #[test]
    fn mismatches_are_classified_and_described() {
        let no_proxy = "NO_PROXY=localhost,169.254.169.254\nno_proxy=localhost,169.254.169.254\n";
        let proxies = format!("HTTPS_PROXY={PROXY}\nhttps_proxy={PROXY}/\n");
        let rows = [
            (String::new(), Mismatch::Incomplete, ""),
            ("LANG=C\nHTTPS_PROXY=\n".to_owned(), Mismatch::Incomplete, ""),
            (format!("HTTPS_PROXY={PROXY}\n{no_proxy}"), Mismatch::Incomplete, "https_proxy is not set"),
            (
                format!("HTTPS_PROXY={PROXY}\nhttps_proxy=http://u:secret@other:8080\n{no_proxy}"),
                Mismatch::Contradictory,
                "https_proxy is http://***@other:8080",
            ),
            (
                format!("{proxies}NO_PROXY=localhost\nno_proxy=169.254.169.254:80, LOCALHOST\n"),
                Mismatch::NoProxy,
                "NO_PROXY lacks 169.254.169.254",
            ),
            (proxies.clone(), Mismatch::NoProxy, "NO_PROXY, no_proxy are not set"),
            (format!("{proxies}{no_proxy}"), Mismatch::Incomplete, ""),
            (
                format!("https_proxy=http://other:1\nNO_PROXY=a\n{no_proxy}"),
                Mismatch::Contradictory,
                "https_proxy is http://other:1, HTTPS_PROXY is not set",
            ),
        ];
        for (text, wrong, words) in rows {
            assert_eq!(environment(&text), (wrong, words.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_switch_is_no_address() {
        let values = |text: &str| (suse::FORMAT.parse)(text).into_iter().collect::<Pairs>();
        let right = values("PROXY_ENABLED=\"yes\"\nHTTP_PROXY=\"http://a:1\"\n");
        let found = values("PROXY_ENABLED=\"no\"\nHTTP_PROXY=\"http://a:1\"\n");
        assert_eq!(compare(&found, &right, &[]), (Mismatch::Incomplete, "PROXY_ENABLED is no".to_owned()));
    }
}
