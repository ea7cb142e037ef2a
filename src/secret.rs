//! Values that must not be seen: access tokens and proxy credentials.
//!
//! A [`Secret`] has no `Display` and a redacted `Debug`, so that no format string, log field or
//! panic message can show it by accident. Text from other programs, which may repeat a secret,
//! goes through [`Mask`].

use std::fmt;

/// Text that is only ever handed to the one place that needs it, by [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in; from here on it leaves only through [`Secret::reveal`].
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
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
    known: Vec<Secret>,
}

/// Shortest known secret that is searched for: a shorter one would blot out ordinary words.
const SHORTEST: usize = 4;

/// Shortest run of token characters behind `eyJ` that is taken for a JSON Web Token.
const SHORTEST_TOKEN: usize = 20;

impl Mask {
    /// Adds a secret to be searched for literally.
    pub fn learn(&mut self, secret: &Secret) {
        if secret.reveal().len() >= SHORTEST && !self.known.contains(secret) {
            self.known.push(secret.clone());
        }
    }

    /// The text without the known secrets, without JSON Web Tokens, and without the password part of URLs.
    pub fn apply(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.known {
            if clean.contains(secret.reveal()) {
                clean = clean.replace(secret.reveal(), MASK);
            }
        }
        mask_url_credentials(&mask_tokens(&clean))
    }
}

/// Blots out every run that starts as the base64 of a JSON object does (`eyJ`) and is long enough.
fn mask_tokens(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let (before, from) = rest.split_at(start);
        clean.push_str(before);
        let end = from.find(|c: char| !is_token_character(c)).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        clean.push_str(if run.len() >= SHORTEST_TOKEN { MASK } else { run });
        rest = after;
    }
    clean.push_str(rest);
    clean
}

fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=' | '+' | '/')
}

/// Blots out `user:password` in `scheme://user:password@host`.
fn mask_url_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, from) = rest.split_at(start + 3);
        clean.push_str(before);
        let end = from
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '<' | '>'))
            .unwrap_or(from.len());
        let (authority, after) = from.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                clean.push_str(MASK);
                clean.push('@');
                clean.push_str(host);
            }
            None => clean.push_str(authority),
        }
        rest = after;
    }
    clean.push_str(rest);
    clean
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
    fn known_secrets_tokens_and_url_passwords_go() {
        let mut mask = Mask::default();
        mask.learn(&Secret::new("opaque-token-value"));
        let text = format!("a opaque-token-value b {TOKEN}, http://u:p%40ss@10.0.0.1:3128/x c");
        assert_eq!(mask.apply(&text), "a *** b ***, http://***@10.0.0.1:3128/x c");
    }

    #[test]
    fn ordinary_text_stays() {
        let mask = Mask::default();
        for text in ["see https://aka.ms/arc/azcmerror", "eyJust a word", "mail me@x.org at 12:30", "a=b://c"]
        {
            assert_eq!(mask.apply(text), text);
        }
    }

    #[test]
    fn a_very_short_secret_does_not_blot_out_the_text() {
        let mut mask = Mask::default();
        mask.learn(&Secret::new("ab"));
        assert_eq!(mask.apply("about"), "about");
    }
}
