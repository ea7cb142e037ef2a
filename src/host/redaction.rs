//! Redacts secrets in texts from other programs, by the syntax around them.
//!
//! Two passes: [`redact`] replaces secrets that their context identifies (`"access_token": "…"`, a PEM block, a URL
//! with a password) and adds them to the mask; the mask then finds the same values without context in any other
//! text. All other text is unchanged.
//!
//! No library is used because logs truncate secrets, escape them and embed them in any syntax: a parser of one format
//! would miss them, and regular expressions for all of them would make the binary too large.

use std::ops::Range;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use super::SharedMask;
use crate::formats::percent;
use crate::model::secret::{is_token_character, redact_ranges, url_credentials, Secret};
use crate::settings::ProxyUrl;

/// Suffixes of names whose values are secrets; in lower case, without dashes and underscores.
const NAMES: [&str; 19] = [
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "bearertoken",
    "sessiontoken",
    "sastoken",
    "accesskey",
    "accountkey",
    "apikey",
    "privatekey",
    "authorization",
    "passphrase",
    "password",
    "passwd",
    "proxypass",
    "proxyuser",
    "secret",
    "sig",
];

/// Authorization schemes; the secret follows the scheme.
const SCHEMES: [&str; 4] = ["bearer", "basic", "negotiate", "ntlm"];

/// Values of named secrets that are not secrets.
const NO_SECRETS: [&str; 9] = ["null", "none", "true", "false", "yes", "no", "nil", "undefined", "redacted"];

/// Passwords of example URLs: redacted in the URL, but not in other texts.
const EXAMPLES: [&str; 6] = ["pass", "passwd", "password", "secret", "user", "username"];

/// Characters that may follow a value without quotation marks.
const CLOSING: [char; 5] = [',', ';', ')', '}', ']'];

/// Longest name that is examined, in bytes.
const LONGEST_NAME: usize = 64;

/// Shortest value of a named secret that is added to the mask, in bytes.
const SHORTEST_ADDED: usize = 6;

/// Longest private key, including the log prefixes of its lines, in bytes.
const LONGEST_KEY: usize = 64 << 10;

/// Longest line before the end of a private key that is examined, in bytes.
const LONGEST_LINE: usize = 4 << 10;

/// Longest beginning of a marker of a private key, in bytes.
const LONGEST_KIND: usize = 64;

/// Longest value that may be a placeholder or a sentence, in bytes. A longer one is a secret, so that what was read of it
/// is not read again for a name in it.
const LONGEST_JUDGED: usize = 1 << 10;

/// The text without the secrets that their context identifies; these are added to the mask.
pub fn redact(text: &str, mask: &SharedMask) -> String {
    for credentials in url_credentials(text) {
        add_credentials(text.get(credentials).unwrap_or_default(), mask);
    }
    let keys = private_keys(text);
    let text = redact_ranges(text, keys);
    let values = named_values(&text, mask);
    mask.apply(&redact_ranges(&text, values))
}

/// Adds `user:password` of a URL or an option to the mask, in every encoding in which it may occur.
fn add_credentials(credentials: &str, mask: &SharedMask) {
    let Some((user, password)) = credentials.split_once(':') else {
        // Without a password, a short word before the `@` is a user name and a long one a token.
        return if credentials.len() >= 16 {
            mask.learn(&Secret::new(credentials))
        };
    };
    if is_one_of(password, &EXAMPLES) {
        return;
    }
    mask.learn(&Secret::new(password));
    // URLs have them percent-encoded; headers and options do not.
    let encoded = format!("{}:{}", percent::encode(user), percent::encode(password));
    for credentials in [credentials, &encoded] {
        let url = ProxyUrl::new(&format!("http://{credentials}@localhost:1"));
        url.iter().flat_map(ProxyUrl::password_forms).for_each(|form| mask.learn(&form));
    }
}

/// The contents of PEM blocks of private keys, also truncated ones and those on one line with `\n`.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some((marker, is_begin)) = next_marker(text, from) {
        from = marker.end;
        let inside = if is_begin {
            match next_marker(text, from) {
                Some((end, false)) if end.start - from <= LONGEST_KEY => {
                    let inside = from..end.start;
                    from = end.end;
                    inside
                }
                _ => from..from + length_of_key(text.get(from..).unwrap_or_default()),
            }
        } else {
            let least = found.last().map_or(0, |last| last.end);
            start_of_key(text, marker.start).max(least)..marker.start
        };
        if !inside.is_empty() {
            found.push(inside);
        }
    }
    found
}

/// The next `-----BEGIN … PRIVATE KEY-----` or `-----END …`, and whether it is the beginning.
fn next_marker(text: &str, mut from: usize) -> Option<(Range<usize>, bool)> {
    loop {
        let name = from + text.get(from..)?.find("PRIVATE KEY")?;
        from = name + "PRIVATE KEY".len();
        // `-----BEGIN OPENSSH ` and the like; without the limit, a repeated marker would be read again and again.
        let near = last_bytes(text.get(..name)?, LONGEST_KIND);
        let dashes = near.trim_end_matches(|c: char| c.is_ascii_uppercase() || c == ' ');
        let (before, kind) = text.get(..name)?.split_at_checked(name - near.len() + dashes.len())?;
        let after = text.get(from..)?.strip_prefix(" BLOCK").unwrap_or(text.get(from..)?);
        if !before.ends_with("-----") || !after.starts_with("-----") {
            continue;
        }
        let marker = before.len() - 5..text.len() - after.len() + 5;
        match (kind.starts_with("BEGIN "), kind.starts_with("END ")) {
            (true, _) => return Some((marker, true)),
            (_, true) => return Some((marker, false)),
            _ => {}
        }
    }
}

/// The length of the run of matching characters at the start of a text, in bytes.
fn run_length(text: &str, is_inside: &dyn Fn(char) -> bool) -> usize {
    text.find(|c| !is_inside(c)).unwrap_or(text.len())
}

/// Whether a character ends a word that has no quotation marks.
fn is_end_of_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'')
}

fn is_key_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\\')
}

/// Whether a line belongs to a key: base64, or a log prefix and base64.
fn is_line_of_key(line: &str) -> bool {
    let word = line.split_whitespace().next_back().unwrap_or_default();
    let is_alone = word.len() == line.trim().len();
    !word.is_empty() && word.chars().all(is_key_character) && (is_alone || word.len() >= 16)
}

/// The length of a key without an end marker, in bytes.
fn length_of_key(text: &str) -> usize {
    let mut length = run_length(text, &is_key_character);
    let rest = text.get(length..).unwrap_or_default();
    if let Some(rest) = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n")) {
        let lines = rest.split_inclusive('\n').take_while(|line| is_line_of_key(line)).map(str::len);
        let lines: usize = lines.sum();
        if lines > 0 {
            length = text.len() - rest.len() + lines;
            // The last line feed is not part of the key.
            length = text.get(..length).map_or(length, |key| key.trim_end().len());
        }
    }
    length.min(LONGEST_KEY)
}

/// The start of a key without a begin marker that ends at `end`.
fn start_of_key(text: &str, end: usize) -> usize {
    let before = text.get(..end).unwrap_or_default();
    let mut start = before.trim_end_matches(is_key_character).len();
    let near = last_bytes(before, LONGEST_LINE);
    let line = end - near.len() + near.rfind('\n').map_or(0, |at| at + 1);
    if start <= line || before.get(line..).is_some_and(|prefix| prefix.ends_with([' ', ':'])) {
        let lines = before.get(..line).unwrap_or_default();
        let of_key =
            lines.split_inclusive('\n').rev().take(LONGEST_KEY / 64).take_while(|line| is_line_of_key(line));
        start = start.min(line - of_key.map(str::len).sum::<usize>());
    }
    start
}

/// The values of named secrets; those that look like a secret are added to the mask.
fn named_values(text: &str, mask: &SharedMask) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut found = Vec::new();
    let (mut at, mut line_end) = (0, 0);
    loop {
        let start = at + run_length(text.get(at..).unwrap_or_default(), &|c| !is_part(c));
        if start >= text.len() {
            return found;
        }
        let rest = text.get(start..).unwrap_or_default();
        let word = rest.get(..run_length(rest, &is_part)).unwrap_or_default();
        at = start + word.len();
        if start >= line_end {
            line_end = start + rest.find('\n').unwrap_or(rest.len());
        }
        let value = if word.eq_ignore_ascii_case("bearer") {
            bearer_token(text, at)
        } else {
            named_value(text.get(..line_end).unwrap_or_default(), start, word)
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let secret = text.get(value.clone()).unwrap_or_default();
            let is_user = is_named(word, "proxyuser");
            add_secret(secret, word, is_user, mask);
            at = value.end;
            found.push(value);
        }
    }
}

fn add_secret(secret: &str, word: &str, is_user: bool, mask: &SharedMask) {
    if is_user {
        return add_credentials(secret, mask);
    }
    if is_named(word, "authorization") {
        let decoded = STANDARD.decode(secret).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(credentials) = decoded.filter(|text| text.contains(':')) {
            add_credentials(&credentials, mask);
        }
    }
    // A value of lowercase letters only is a common word. A JSON Web Token is recognized by its form.
    let is_word = secret.bytes().all(|byte| byte.is_ascii_lowercase());
    if secret.len() >= SHORTEST_ADDED && !is_word && !secret.starts_with("eyJ") {
        mask.learn(&Secret::new(secret));
    }
}

/// Whether a word is in a list, in any letter case.
fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn is_named(word: &str, name: &str) -> bool {
    let mut letters = word.bytes().rev().filter(u8::is_ascii_alphanumeric);
    name.bytes().rev().all(|byte| letters.next().is_some_and(|letter| letter.to_ascii_lowercase() == byte))
}

/// The token of `Bearer TOKEN` outside a header, where it looks like a token.
fn bearer_token(text: &str, end: usize) -> Option<Range<usize>> {
    let rest = text.get(end..)?;
    let token = rest.trim_start_matches([' ', '\t']);
    if token.len() == rest.len() {
        return None;
    }
    let length = run_length(token, &is_token_character);
    let run = token.get(..length)?;
    let is_token = length >= 20 && run.bytes().any(|byte| byte.is_ascii_digit());
    is_token.then(|| text.len() - token.len()..text.len() - token.len() + length)
}

/// The value of a name in a text that ends with its line: `"name": "value"`, `name=value`, `name: value`,
/// `--name value`, `'--name', 'value'`, and the same in nested JSON.
fn named_value(text: &str, start: usize, word: &str) -> Option<Range<usize>> {
    let before = text.get(..start)?;
    let is_short_option = word == "-p" && last_bytes(before, 400).contains("azcmagent");
    if word.len() > LONGEST_NAME || !(is_short_option || NAMES.iter().any(|name| is_named(word, name))) {
        return None;
    }
    // In a URL it is the signature of a shared access token; elsewhere the name is too common.
    let is_signature = word == "sig";
    if is_named(word, "sig") && !(is_signature && before.ends_with(['?', '&'])) {
        return None;
    }
    let name_end = start + word.len();
    let end = at_most(text, name_end, LONGEST_KEY);
    let closing = quotation_mark(text.get(name_end..end)?).len();
    let mut at = skip_blanks(text, name_end + closing, end);
    let is_option = word.starts_with('-');
    let separator = text.get(at..end)?.chars().next()?;
    match separator {
        ':' | '=' => at = skip_blanks(text, at + 1, end),
        // A logged list of arguments.
        ',' if closing > 0 && is_option => at = skip_blanks(text, at + 1, end),
        '-' => return None,
        _ if closing == 0 && is_option && at > name_end => {}
        _ => return None,
    }
    let opening = quotation_mark(text.get(at..end)?);
    at += opening.len();
    let rest = text.get(at..end)?;
    if is_named(word, "authorization") {
        return authorization_value(rest).map(|value| at + value.start..at + value.end);
    }
    let length_in = |rest: &str| match opening {
        "" => run_length(rest, &|c| !(is_end_of_word(c) || is_signature && c == '&')),
        _ => unescaped(rest, opening).unwrap_or(rest.len()),
    };
    let judged = at_most(rest, 0, LONGEST_JUDGED);
    let length = length_in(rest.get(..judged)?);
    if length == judged && judged < rest.len() {
        return Some(at..at + length_in(rest));
    }
    let value = rest.get(..length)?;
    // `name: some words` is a sentence; the value of a setting is one word at the end of a line or list item.
    let is_bare = separator == ':' && (closing, opening) == (0, "") && !text.get(..at)?.ends_with(':');
    let is_setting = value.ends_with([',', ';', '}'])
        || rest.get(value.len()..).is_some_and(|rest| rest.trim_start().is_empty() || rest.starts_with(" #"));
    let is_secret = (!is_bare || is_setting) && !is_placeholder(value, opening.is_empty());
    // The closing bracket of a list is not part of the value.
    let value = if opening.is_empty() { value.trim_end_matches(CLOSING) } else { value };
    is_secret.then(|| at..at + value.len())
}

/// The end of at most about `most` bytes from `start`, at a character boundary.
fn at_most(text: &str, start: usize, most: usize) -> usize {
    (start + most..text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len())
}

/// At least the last `most` bytes of a text, from a character boundary.
fn last_bytes(text: &str, most: usize) -> &str {
    let from = (0..=text.len().saturating_sub(most)).rev().find(|at| text.is_char_boundary(*at));
    text.get(from.unwrap_or(0)..).unwrap_or_default()
}

fn skip_blanks(text: &str, at: usize, end: usize) -> usize {
    let rest = text.get(at..end).unwrap_or_default();
    end - rest.trim_start_matches([' ', '\t']).len()
}

/// The quotation mark at the start of a text, with the backslashes before it.
fn quotation_mark(text: &str) -> &str {
    let slashes = text.len() - text.trim_start_matches('\\').len();
    match text.get(slashes..).and_then(|rest| rest.chars().next()) {
        Some('"' | '\'') if slashes < 8 => text.get(..=slashes).unwrap_or_default(),
        _ => "",
    }
}

/// The offset of the closing quotation mark: the next one with as many backslashes.
fn unescaped(text: &str, mark: &str) -> Option<usize> {
    text.match_indices(mark)
        .map(|(at, _)| at)
        .find(|at| text.get(..*at).is_some_and(|before| !before.ends_with('\\')))
}

/// The credentials in an Authorization header: the word after a known scheme, else a word that looks like a token.
fn authorization_value(rest: &str) -> Option<Range<usize>> {
    let is_inside = |c: char| !is_end_of_word(c) && c != '\\';
    let scheme = rest.get(..run_length(rest, &is_inside))?;
    let start = match is_one_of(scheme, &SCHEMES) {
        true => skip_blanks(rest, scheme.len(), rest.len()),
        false if scheme.len() >= 16 && scheme.bytes().any(|byte| byte.is_ascii_digit()) => 0,
        false => return None,
    };
    let value = rest.get(start..)?;
    let value = value.get(..run_length(value, &is_inside))?;
    (!is_placeholder(value, true)).then(|| start..start + value.len())
}

/// Whether a value is a placeholder: `$TOKEN`, `<token>`, `***`, `null`.
fn is_placeholder(value: &str, is_bare: bool) -> bool {
    let bare = value.trim_end_matches(CLOSING);
    let is_name =
        |name: &str| name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
    bare.bytes().all(|byte| byte == b'*')
        || value.starts_with('<') && value.ends_with('>')
        || value.strip_prefix('$').is_some_and(|name| name.starts_with(['{', '(']) || is_name(name))
        || is_bare && value.starts_with(['{', '[', '('])
        || is_one_of(bare, &NO_SECRETS)
}

#[cfg(test)]
mod tests;
