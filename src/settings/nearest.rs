//! The right word nearest to a wrong one.

/// Characters of a word that are compared: the time grows with the square of its length.
const LONGEST: usize = 64;

/// The candidate with the smallest edit distance, when it is near enough to be a misspelling.
///
/// Case, dashes and underscores do not count, so that `subscriptionId` finds `subscription_id`.
pub fn nearest(word: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let word = folded(word);
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .iter()
        .map(|candidate| (difference(&word, &folded(candidate), allowed), *candidate))
        .filter(|(difference, _)| *difference <= allowed)
        .min_by_key(|(difference, _)| *difference)
        .map(|(_, candidate)| candidate)
}

/// Every candidate is ASCII, so that nothing else needs to be folded.
fn folded(word: &str) -> String {
    let letters = word.chars().filter(|c| !matches!(c, '-' | '_'));
    letters.map(|c| c.to_ascii_lowercase()).take(LONGEST).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other; the beginning of a
/// word, or a word with something behind it, is near too.
fn difference(word: &str, candidate: &str, allowed: usize) -> usize {
    let distance = strsim::osa_distance(word, candidate);
    let shorter = word.len().min(candidate.len());
    match shorter >= 3 && (word.starts_with(candidate) || candidate.starts_with(word)) {
        true => distance.min(allowed),
        false => distance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_find_their_word() {
        let words = ["location", "resource_group", "tenant_id", "subscription_id", "url", "enroll", "env"];
        let cases = [
            ("locatoin", Some("location")),
            ("loction", Some("location")),
            ("subscriptionId", Some("subscription_id")),
            ("subscription-id", Some("subscription_id")),
            ("resourcegroup", Some("resource_group")),
            ("tenant", Some("tenant_id")),
            ("sub", Some("subscription_id")),
            ("locations_of", Some("location")),
            ("ulr", Some("url")),
            ("enrol", Some("enroll")),
            ("colour", None),
            ("", None),
        ];
        for (wrong, right) in cases {
            assert_eq!(nearest(wrong, &words), right, "{wrong}");
        }
    }

    #[test]
    fn differences() {
        for (a, b, expected) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("", "abc", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!(difference(a, b, 9), expected, "{a} {b}");
            assert_eq!(difference(b, a, 9), expected, "{b} {a}");
        }
        assert_eq!(difference("tenant", "tenantid", 1), 1);
    }

    #[test]
    fn a_very_long_word_is_compared_by_its_beginning() {
        assert_eq!(nearest(&"x".repeat(1 << 20), &["xx"]), None);
    }
}
