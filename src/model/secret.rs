//! Secrets (access tokens, proxy credentials) and their redaction.
//!
//! A [`Secret`] has no `Display` and a redacted `Debug`, so that no format string, log field or panic message can leak
//! it, and it is wiped from memory when it is dropped. Output of other programs, which may repeat a secret, goes through
//! [`Mask`].
//!
//! The mask is written here because a library would bring a regular-expression engine, which is too large for
//! user-data, and would not know the secrets that a run obtains.

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

/// Text that is accessible only through [`Secret::reveal`].
///
/// Dropping it overwrites its bytes. Copies that the caller made before (a borrowed text, a buffer that grew) are not
/// overwritten, so build a secret from an owned `String` where possible.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The plain text. Every call is a place to audit.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The replacement of a secret in redacted text.
pub const MASK: &str = "***";

/// Redacts known secrets, and text that looks like a secret.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Sorted by their first bytes, then by descending length.
    known: Vec<Secret>,
    /// Whether a known secret begins with a pair of bytes, indexed by the pair, so that most text is skipped quickly.
    beginnings: Vec<bool>,
}

/// The shortest known secret that is searched for: a shorter one would redact ordinary words.
const SHORTEST: usize = 4;

/// The largest number of known secrets. Those of a run are a dozen; only a hostile log has more, and a search for
/// thousands with the same beginning would take too long.
const MOST_KNOWN: usize = 1024;

/// Shorter secrets than this are redacted only as separate words, so that the secret `test` does not redact `latest`.
const SHORTEST_WITHIN_WORDS: usize = 8;

/// The shortest run of token characters that begins with `eyJ` and is treated as a JSON Web Token.
const SHORTEST_TOKEN: usize = 20;

impl Mask {
    /// Adds a secret that is redacted literally, as long as there are not too many.
    pub fn learn(&mut self, secret: &Secret) {
        if self.known.len() >= MOST_KNOWN {
            return;
        }
        let text = secret.reveal().as_bytes();
        let Some(start) = text.get(..SHORTEST) else { return };
        // The longest goes first: redacting a prefix of it would leave the rest readable.
        let place = self.known.binary_search_by(|known| {
            let known = known.reveal().as_bytes();
            let by_start = known.get(..SHORTEST).cmp(&Some(start));
            by_start.then(text.len().cmp(&known.len())).then_with(|| known.cmp(text))
        });
        if let Err(place) = place {
            self.known.insert(place, secret.clone());
            self.beginnings.resize(1 << 16, false);
            if let Some(slot) = self.beginnings.get_mut(pair(start)) {
                *slot = true;
            }
        }
    }

    /// The ranges of known secrets, in one pass over the text regardless of their number.
    fn places(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(start) = text.as_bytes().get(at..at + SHORTEST) {
            let is_beginning = self.beginnings.get(pair(start)).is_some_and(|known| *known);
            match if is_beginning { self.longest_at(text, at, start) } else { None } {
                Some(length) => {
                    found.push(at..at + length);
                    at += length;
                }
                None => at += 1,
            }
        }
        found
    }

    fn longest_at(&self, text: &str, at: usize, start: &[u8]) -> Option<usize> {
        let rest = text.as_bytes().get(at..)?;
        let begins_before = |known: &Secret| known.reveal().as_bytes().get(..SHORTEST) < Some(start);
        let from = self.known.partition_point(begins_before);
        let alike = self.known.iter().skip(from).map(Secret::reveal);
        let alike = alike.take_while(|known| known.as_bytes().starts_with(start));
        let mut lengths = alike.filter(|known| rest.starts_with(known.as_bytes())).map(str::len);
        lengths.find(|length| *length >= SHORTEST_WITHIN_WORDS || is_separate_word(text, &(at..at + length)))
    }

    /// The text with known secrets, JSON Web Tokens and the credentials of URLs redacted.
    pub fn apply(&self, text: &str) -> String {
        let clean = redact_ranges(text, self.places(text));
        let tokens = tokens(&clean);
        let clean = redact_ranges(&clean, tokens);
        let credentials = url_credentials(&clean);
        redact_ranges(&clean, credentials)
    }
}

/// The first two bytes as a number.
fn pair(start: &[u8]) -> usize {
    start.iter().take(2).fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The text with these ranges redacted, which have to be in ascending order.
pub fn redact_ranges(text: &str, parts: Vec<Range<usize>>) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    for part in parts {
        clean.push_str(text.get(from..part.start).unwrap_or_default());
        clean.push_str(MASK);
        from = part.end;
    }
    clean.push_str(text.get(from..).unwrap_or_default());
    clean
}

fn is_separate_word(text: &str, place: &Range<usize>) -> bool {
    let (before, after) = (text.get(..place.start), text.get(place.end..));
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !is_part(before.and_then(|text| text.chars().next_back()))
        && !is_part(after.and_then(|text| text.chars().next()))
}

/// Every long enough run that starts with `eyJ`, the base64 of the beginning of a JSON object.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut from, mut run) = (0, CharacterRun::default());
    while let Some(start) = text.get(from..).and_then(|rest| rest.find("eyJ")).map(|at| from + at) {
        run.move_to(text, start, '.', &|c| !is_token_character(c));
        let before = text.get(..start).unwrap_or_default();
        let is_token =
            run.end - start >= SHORTEST_TOKEN && (run.last_mark(start).is_some() || !is_within_word(before));
        if is_token {
            found.push(start..run.end);
        }
        from = if is_token { run.end } else { start + 3 };
    }
    found
}

/// A run of characters, and the last mark in it. It is looked for once, however many places in it are examined, so that
/// a hostile text costs no more than its length.
#[derive(Default)]
struct CharacterRun {
    end: usize,
    last_mark: Option<usize>,
}

impl CharacterRun {
    /// The run that contains `start`; characters for which `is_end` holds are not part of it.
    fn move_to(&mut self, text: &str, start: usize, mark: char, is_end: &dyn Fn(char) -> bool) {
        if start < self.end {
            return;
        }
        let rest = text.get(start..).unwrap_or_default();
        let run = rest.get(..rest.find(is_end).unwrap_or(rest.len())).unwrap_or_default();
        *self = Self { end: start + run.len(), last_mark: run.rfind(mark).map(|at| start + at) };
    }

    /// The last mark at this place or later.
    fn last_mark(&self, start: usize) -> Option<usize> {
        self.last_mark.filter(|at| *at >= start)
    }
}

/// Whether the text ends within a word, as in the base64 of a certificate; an escape such as `\n` or `%20` is not part
/// of a word.
fn is_within_word(before: &str) -> bool {
    let mut last = before.bytes().rev();
    let (c, b, a) = (last.next(), last.next(), last.next());
    let in_word = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-'))
    };
    in_word(c) && b != Some(b'\\') && a != Some(b'%')
}

/// Whether a character occurs in tokens or base64.
pub fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=' | '+' | '/')
}

/// The ranges of `user:password` in `scheme://user:password@host`.
pub fn url_credentials(text: &str) -> Vec<Range<usize>> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
    let mut found = Vec::new();
    let (mut start, mut run) = (0, CharacterRun::default());
    while let Some(at) = text.get(start..).and_then(|rest| rest.find("://")) {
        start += at + 3;
        run.move_to(text, start, '@', &is_end);
        let rest = text.get(start..run.end).unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // A port that is not a number is part of a password that should have been percent-encoded.
        let is_cut_short = authority.rsplit_once(':').is_some_and(|(_, port)| {
            !authority.starts_with('[') && port.bytes().any(|byte| !byte.is_ascii_digit())
        });
        let end = match authority.rfind('@') {
            None if is_cut_short => run.last_mark(start),
            at => at.map(|at| start + at),
        };
        if let Some(end) = end {
            found.push(start..end);
            start = end;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl";

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter22")), "Secret(***)");
    }

    #[test]
    fn a_secret_is_wiped_when_dropped() {
        fn wiped<T: zeroize::ZeroizeOnDrop + zeroize::Zeroize>(mut value: T) -> T {
            value.zeroize();
            value
        }
        assert_eq!(*wiped(Secret::new("hunter22").0), "");
    }

    #[test]
    fn known_secrets_tokens_and_url_passwords_are_redacted() {
        let mut mask = Mask::default();
        mask.learn(&Secret::new("opaque-token-value"));
        let text = format!("a opaque-token-value b {TOKEN}, http://u:p%40ss@10.0.0.1:3128/x c");
        assert_eq!(mask.apply(&text), "a *** b ***, http://***@10.0.0.1:3128/x c");
    }

    #[test]
    fn ordinary_text_is_unchanged() {
        let mask = Mask::default();
        for text in [
            "see https://aka.ms/arc/azcmerror",
            "eyJust a word",
            "mail me@x.org at 12:30",
            "a=b://c",
            "https://x.org?mail=me@x.org https://x.org:443/@y http://[fd00::1]:80/a@b",
            "MIIDdzCCAl+gAwIBAgIEeyJhbGciOiJSUzI1NiJ9AAAwDQYJKoZIhvcNAQELBQAwbzEQ",
            "http://a:80,http://b:80 mail@x.org",
        ] {
            assert_eq!(mask.apply(text), text);
        }
    }

    #[test]
    fn tokens_after_an_escape_and_unencoded_passwords_are_redacted() {
        let mask = Mask::default();
        let cut = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9";
        for (text, clean) in [
            (format!("a\\n{cut}"), "a\\n***"),
            (format!("Bearer%20{cut}"), "Bearer%20***"),
            (format!("x{TOKEN}"), "x***"),
            ("http://u:p/a?s#s@h:1/x".to_owned(), "http://***@h:1/x"),
            ("http://u:p@ss@h:1/x".to_owned(), "http://***@h:1/x"),
            ("http://***@h:1".to_owned(), "http://***@h:1"),
        ] {
            assert_eq!(mask.apply(&text), clean);
        }
    }

    #[test]
    fn a_secret_that_contains_another_is_redacted_completely() {
        let mut mask = Mask::default();
        for secret in ["canary-1", "xx canary-1 yy", "bird"] {
            mask.learn(&Secret::new(secret));
        }
        assert_eq!(mask.apply("xx canary-1 yy, canary-12, bird. birds"), "***, ***2, ***. birds");
    }

    #[test]
    fn every_place_of_a_long_run_is_examined() {
        let mask = Mask::default();
        let text = format!("x{} http://a:b://c:d://u:p@h", "eyJ".repeat(5));
        assert_eq!(mask.apply(&text), format!("x{} http://a:b://c:d://***@h", "eyJ".repeat(5)));
        let dotted = format!("x{}.y", "eyJ".repeat(9));
        assert_eq!(mask.apply(&dotted), "x***");
        assert_eq!(mask.apply("s://u:p@h/s://v:q@i s://w:r@j"), "s://***@h/s://***@i s://***@j");
    }

    #[test]
    fn a_very_short_secret_does_not_redact_the_text() {
        let mut mask = Mask::default();
        mask.learn(&Secret::new("ab"));
        assert_eq!(mask.apply("about"), "about");
    }
}
