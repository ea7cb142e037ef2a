//! The right word nearest to a wrong one.

/// The candidate with the smallest edit distance, when it is near enough to be a misspelling.
///
/// Case, dashes and underscores do not count, so that `subscriptionId` finds `subscription_id`.
pub fn nearest(word: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let word = folded(word);
    let allowed = (word.len() / 3).max(1);
    candidates
        .iter()
        .map(|candidate| (difference(&word, &folded(candidate), allowed), *candidate))
        .filter(|(difference, _)| *difference <= allowed)
        .min_by_key(|(difference, _)| *difference)
        .map(|(_, candidate)| candidate)
}

/// Every candidate is ASCII, so that nothing else needs to be folded.
fn folded(word: &str) -> Vec<char> {
    let letters = word.chars().filter(|c| !matches!(c, '-' | '_'));
    letters.map(|c| c.to_ascii_lowercase()).take(64).collect()
}

/// The edit distance; the beginning of a word, or a word with something behind it, is near too.
fn difference(word: &[char], candidate: &[char], allowed: usize) -> usize {
    let shorter = word.len().min(candidate.len());
    let distance = distance(word, candidate);
    match shorter >= 3 && (word.starts_with(candidate) || candidate.starts_with(word)) {
        true => distance.min(allowed),
        false => distance,
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, &a) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        let mut left = row + 1;
        for (column, &b) in to.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best =
                (at(&above, column) + usize::from(a != b)).min(at(&above, column + 1) + 1).min(left + 1);
            let neighbour = column.checked_sub(1).and_then(|index| to.get(index));
            if previous == Some(b) && neighbour == Some(&a) {
                best = best.min(at(&before, column.saturating_sub(1)) + 1);
            }
            line.push(best);
            left = best;
        }
        before = std::mem::replace(&mut above, line);
        previous = Some(a);
    }
    above.last().copied().unwrap_or(from.len())
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
    fn distances() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        for (a, b, expected) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("", "abc", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(&chars(a), &chars(b)), expected, "{a} {b}");
            assert_eq!(distance(&chars(b), &chars(a)), expected, "{b} {a}");
        }
    }
}
