//! Values that must not be seen: access tokens and proxy credentials.
//!
//! A [`Secret`] has no `Display` and a redacted `Debug`, so that no format string, log field or
//! panic message can show it by accident, and it is wiped from memory when it is dropped. Text from
//! other programs, which may repeat a secret, goes through [`Mask`].
//!
//! The mask is our own: a general one would bring a regular-expression engine, too large to travel, and would
//! not know the secrets that a run learns as it goes.

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

/// Text that is only ever handed to the one place that needs it, by [`Secret::reveal`].
///
/// Dropping it overwrites its bytes. Copies that the caller made on the way (a borrowed text, a buffer that grew)
/// are not reached by that, so a secret is built from an owned `String` where there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text in; from here on it leaves only through [`Secret::reveal`].
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Every caller is a place to audit.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// What stands in place of a secret in masked text.
pub const MASK: &str = "***";

/// Removes known secrets, and whatever looks like one, from other programs' words.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// By their first bytes, and of those that begin alike the longest first.
    known: Vec<Secret>,
    /// Which pairs of bytes a known secret begins with, so that most of a text is passed over quickly.
    beginnings: Vec<bool>,
}

/// Shortest known secret that is searched for: a shorter one would redact ordinary words.
const SHORTEST: usize = 4;

/// Shorter ones than this are searched for as words of their own, lest `test` go from `latest`.
const SHORTEST_WITHIN_WORDS: usize = 8;

/// Shortest run of token characters behind `eyJ` that is taken for a JSON Web Token.
const SHORTEST_TOKEN: usize = 20;

impl Mask {
    /// Adds a secret to be searched for literally.
    pub fn learn(&mut self, secret: &Secret) {
        let text = secret.reveal().as_bytes();
        let Some(start) = text.get(..SHORTEST) else { return };
        // The longest goes first: one that another begins with would leave the rest of that to be read.
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

    /// Where known secrets stand: one pass over the text, however many there are.
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
        let mut whole = alike.filter(|known| rest.starts_with(known.as_bytes())).map(str::len);
        whole.find(|length| *length >= SHORTEST_WITHIN_WORDS || stands_alone(text, &(at..at + length)))
    }

    /// The text without the known secrets, without JSON Web Tokens, and without the password part of URLs.
    pub fn apply(&self, text: &str) -> String {
        let clean = masked(text, self.places(text));
        let tokens = tokens(&clean);
        let clean = masked(&clean, tokens);
        let credentials = url_credentials(&clean);
        masked(&clean, credentials)
    }
}

/// The first two bytes as one number.
fn pair(start: &[u8]) -> usize {
    start.iter().take(2).fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The text with these parts, which stand in order, redacted.
pub fn masked(text: &str, parts: Vec<Range<usize>>) -> String {
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

fn stands_alone(text: &str, place: &Range<usize>) -> bool {
    let (before, after) = (text.get(..place.start), text.get(place.end..));
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !is_part(before.and_then(|text| text.chars().next_back()))
        && !is_part(after.and_then(|text| text.chars().next()))
}

/// Every run that starts as the base64 of a JSON object does (`eyJ`) and is long enough.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|rest| rest.find("eyJ")).map(|at| from + at) {
        let rest = text.get(start..).unwrap_or_default();
        let end = start + rest.find(|c: char| !is_token_character(c)).unwrap_or(rest.len());
        let run = text.get(start..end).unwrap_or_default();
        let before = text.get(..start).unwrap_or_default();
        let is_token = run.len() >= SHORTEST_TOKEN && (run.contains('.') || !is_within_word(before));
        if is_token {
            found.push(start..end);
        }
        from = if is_token { end } else { start + 3 };
    }
    found
}

/// Whether a word goes on behind this text, as it may in the base64 of a certificate; an escape such as `\n` or
/// `%20` is no part of one.
fn is_within_word(before: &str) -> bool {
    let mut last = before.bytes().rev();
    let (c, b, a) = (last.next(), last.next(), last.next());
    let in_word = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-'))
    };
    in_word(c) && b != Some(b'\\') && a != Some(b'%')
}

/// Whether a character may stand in a token, or in base64.
pub fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=' | '+' | '/')
}

/// Where `user:password` stands in `scheme://user:password@host`.
pub fn url_credentials(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(at) = text.get(start..).and_then(|rest| rest.find("://")) {
        start += at + 3;
        let rest = text.get(start..).unwrap_or_default();
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
        let run = rest.get(..rest.find(is_end).unwrap_or(rest.len())).unwrap_or_default();
        let authority = run.split(['/', '?', '#']).next().unwrap_or_default();
        // A password that should have been percent-encoded: what looks like the port is none.
        let is_cut_short = authority.rsplit_once(':').is_some_and(|(_, port)| {
            !authority.starts_with('[') && port.bytes().any(|byte| !byte.is_ascii_digit())
        });
        let length = match authority.rfind('@') {
            None if is_cut_short => run.rfind('@'),
            length => length,
        };
        if let Some(length) = length {
            found.push(start..start + length);
            start += length;
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
    fn the_text_is_of_a_type_that_is_wiped_when_dropped() {
        fn wiped<T: zeroize::ZeroizeOnDrop + zeroize::Zeroize>(mut value: T) -> T {
            value.zeroize();
            value
        }
        assert_eq!(*wiped(Secret::new("hunter22").0), "");
    }

    #[test]
    fn known_secrets_tokens_and_url_passwords_go() {
        let mut mask = Mask::default();
        mask.learn(&Secret::new("opaque-token-value"));
        let text = format!("a opaque-token-value b {TOKEN}, http://u:p%40ss@10.0.0.1:3128/x c");
        assert_eq!(mask.apply(&text), "a *** b ***, http://***@10.0.0.1:3128/x c");
    }

    #[test]
    fn ordinary_text_stays() {
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
    fn tokens_behind_an_escape_and_passwords_that_are_not_encoded_go() {
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
    fn one_secret_within_another_leaves_nothing_of_it() {
        let mut mask = Mask::default();
        for secret in ["canary-1", "xx canary-1 yy", "bird"] {
            mask.learn(&Secret::new(secret));
        }
        assert_eq!(mask.apply("xx canary-1 yy, canary-12, bird. birds"), "***, ***2, ***. birds");
    }

    #[test]
    fn a_very_short_secret_does_not_redact_the_text() {
        let mut mask = Mask::default();
        mask.learn(&Secret::new("ab"));
        assert_eq!(mask.apply("about"), "about");
    }
}
