//! Suggestions for misspelt words.

/// Characters of a word that are compared; the time grows with the square of the length.
const LONGEST: usize = 64;

/// The candidate with the smallest edit distance, if it is at most a third of the word's length.
///
/// Case, dashes and underscores are ignored, so that `subscriptionId` finds `subscription_id`.
pub fn nearest(word: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let word = fold(word);
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .iter()
        .map(|candidate| (distance(&word, &fold(candidate), allowed), *candidate))
        .filter(|(difference, _)| *difference <= allowed)
        .min_by_key(|(difference, _)| *difference)
        .map(|(_, candidate)| candidate)
}

/// The word in lower case, without dashes and underscores. Candidates are ASCII, so only ASCII case is folded.
fn fold(word: &str) -> String {
    let letters = word.chars().filter(|c| !matches!(c, '-' | '_'));
    letters.map(|c| c.to_ascii_lowercase()).take(LONGEST).collect()
}

/// The optimal string alignment distance; at most `allowed` when one word is a prefix of the other.
fn distance(word: &str, candidate: &str, allowed: usize) -> usize {
    let edits = strsim::osa_distance(word, candidate);
    let shorter = word.len().min(candidate.len());
    match shorter >= 3 && (word.starts_with(candidate) || candidate.starts_with(word)) {
        true => edits.min(allowed),
        false => edits,
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
            assert_eq!(distance(a, b, 9), expected, "{a} {b}");
            assert_eq!(distance(b, a, 9), expected, "{b} {a}");
        }
        assert_eq!(distance("tenant", "tenantid", 1), 1);
    }

    #[test]
    fn a_very_long_word_is_truncated_before_comparison() {
        assert_eq!(nearest(&"x".repeat(1 << 20), &["xx"]), None);
    }
}
