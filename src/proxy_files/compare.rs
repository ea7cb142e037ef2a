//! How the settings of a file differ from the desired ones.

use super::no_proxy;
use super::variables::NO_PROXY_NAMES;
use crate::model::pairs::Pairs;
use crate::model::secret::Mask;

/// How settings differ from the desired ones; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// The proxy is right, NO_PROXY lacks something.
    NoProxy,
    /// Something is not set.
    Incomplete,
    /// It names another proxy.
    Contradictory,
}

/// Compares what is set with what has to be: how wrong it is, and in words, without credentials. The words are
/// empty where nothing is set at all, and where the values are right and only their form is not.
pub fn compare(found: &Pairs, right: &Pairs, required: &[String]) -> (Mismatch, String) {
    let is_set = |name: &String| found.get(name).is_some_and(|value| !value.trim().is_empty());
    if !right.keys().any(is_set) {
        return (Mismatch::Incomplete, String::new());
    }
    let mut worst = None;
    let mut texts = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    for (name, value) in right.iter() {
        let there = found.get(name).map_or("", |value| value.trim());
        let for_no_proxy = NO_PROXY_NAMES.contains(&name.as_str());
        let wrong = if for_no_proxy { Mismatch::NoProxy } else { Mismatch::Incomplete };
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
            (if names_one { Mismatch::Contradictory } else { wrong }, format!("{name} is {shown}"))
        };
        worst = worst.max(Some(wrong));
        texts.push(text);
    }
    match missing.as_slice() {
        [] => {}
        [one] => texts.push(format!("{one} is not set")),
        several => texts.push(format!("{} are not set", several.join(", "))),
    }
    (worst.unwrap_or(Mismatch::Incomplete), texts.join(", "))
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
    fn files_are_told_apart_by_how_they_differ() {
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
