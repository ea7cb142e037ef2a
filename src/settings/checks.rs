//! Checks of values that stay text or numbers: addresses, versions, digests, durations, paths.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::values::shown;
use crate::formats::url::{bracketed, check_host, split_port, split_target, without_scheme, Url};

/// An address, network or name that is reached without the proxy: bare, as every program reads it.
pub fn no_proxy_entry(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; remove it".to_owned());
    }
    if text.contains('@') {
        return Err("holds credentials; write the bare host".to_owned());
    }
    if let Some(right) = bare_host(text) {
        return Err(format!(
            "{} must stand bare, without scheme, path, port or space; write {right}",
            shown(text)
        ));
    }
    if text.contains(',') || text.contains(char::is_whitespace) {
        return Err(format!("{} must be one entry; write each host as an entry of its own", shown(text)));
    }
    if text == "*" {
        return Err(
            "\"*\" would bypass the proxy for everything; for no proxy at all set proxy.url: null".to_owned()
        );
    }
    if let Some(right) = text.strip_prefix('*') {
        return Err(format!("{} holds a wildcard that not every program reads; write {right}", shown(text)));
    }
    if let Some((address, length)) = text.split_once('/') {
        let most = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => {
                return Err(format!("{} is neither a host nor a network such as 10.0.0.0/8", shown(text)))
            }
        };
        return match length.parse::<u8>() {
            Ok(bits) if bits <= most => Ok(text.to_owned()),
            _ => Err(format!("{} is not a network; its length is at most {most}", shown(text))),
        };
    }
    check_host(text)
        .map(|_| text.to_owned())
        .map_err(|_| format!("{} is neither a name nor an address", shown(text)))
}

/// What is meant by an entry that has too much around the host; none when it is bare or beyond repair.
fn bare_host(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let place = without_scheme(trimmed);
    let is_network = place.split_once('/').is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok());
    let place = if is_network { place } else { split_target(place).0 };
    let host = match place.parse::<Ipv6Addr>() {
        Ok(_) => place,
        Err(_) if is_network => place,
        Err(_) => split_port(place).ok()?.0,
    };
    (host != text && (is_network || check_host(host).is_ok())).then(|| host.to_owned())
}

/// The address of the IMDS sidecar: scheme, host and port, normalised to no slash at the end.
pub fn endpoint(text: &str) -> Result<String, String> {
    const FORM: &str = "write http://ADDRESS or http://ADDRESS:PORT";
    let url = Url::split(text).ok_or_else(|| format!("must start with http://; {FORM}"))?;
    match url.scheme.to_ascii_lowercase().as_str() {
        "http" => {}
        "https" => return Err("IMDS is spoken to by http://, not https://".to_owned()),
        _ => return Err(format!("must start with http://; {FORM}")),
    }
    if url.credentials.is_some() || url.target.contains('@') {
        return Err(format!("must not hold credentials; {FORM}"));
    }
    if !matches!(url.target, "" | "/") {
        return Err(format!("{} has a path or query; {FORM}", shown(text)));
    }
    let (host, port) = split_port(url.authority)?;
    let host = bracketed(&check_host(host)?);
    if host != "localhost" && host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() {
        return Err(format!("{} is not an address; on Nexus it is http://169.254.169.254", shown(text)));
    }
    Ok(port.map_or_else(|| format!("http://{host}"), |port| format!("http://{host}:{port}")))
}

/// What the token is for.
pub fn resource(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; for ARM it is https://management.azure.com/".to_owned());
    }
    match text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        Some(c) => Err(format!("{} holds {c:?}", shown(text))),
        None => Ok(text.to_owned()),
    }
}

/// A version as a package manager spells it. It becomes part of an argument, so nothing else passes.
pub fn version(text: &str) -> Result<String, String> {
    let right = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+~:-".contains(&b));
    match right {
        true => Ok(text.to_owned()),
        false => Err(format!("{} is not a version such as 1.55.03118.1202", shown(text))),
    }
}

/// A fingerprint of an OpenPGP v4 key: 40 hexadecimal digits, spaces allowed; upper case afterwards.
pub fn fingerprint(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let bare = digits.strip_prefix("0x").unwrap_or(&digits);
    match bare.len() == 40 && bare.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(bare.to_ascii_uppercase()),
        false => Err(format!("{} is not a fingerprint; it has 40 hexadecimal digits", shown(text))),
    }
}

/// A SHA-256 digest: 64 hexadecimal digits; lower case afterwards.
pub fn sha256(text: &str) -> Result<String, String> {
    match text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("{} is not a SHA-256 digest; it has 64 hexadecimal digits", shown(text))),
    }
}

/// An absolute path of a file.
pub fn file(text: &str) -> Result<PathBuf, String> {
    if !text.starts_with('/') {
        return Err(format!("{} is not an absolute path", shown(text)));
    }
    if text.ends_with('/') || text.contains(char::is_control) || text.split('/').any(|part| part == "..") {
        return Err(format!("{} is not the plain path of a file", shown(text)));
    }
    Ok(PathBuf::from(text))
}

/// A web address of a package; it is not repeated in the message, it may hold an access key.
pub fn web_address(text: &str) -> Result<String, String> {
    match Url::split(text) {
        Some(url)
            if matches!(url.scheme, "https" | "http")
                && !url.authority.is_empty()
                && !text.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("must be an address that starts with https:// (or http://) and holds no space".to_owned()),
    }
}

/// Units of time in nanoseconds, with the words for them; months and years are mean ones, as systemd.time(7) has it.
const UNITS: [(u64, &[&str]); 10] = [
    (1, &["ns", "nsec", "nanos"]),
    (1_000, &["us", "µs", "usec"]),
    (1_000_000, &["ms", "msec", "millis"]),
    (SECOND, &["s", "sec", "secs", "second", "seconds"]),
    (60 * SECOND, &["m", "min", "mins", "minute", "minutes"]),
    (3_600 * SECOND, &["h", "hr", "hrs", "hour", "hours"]),
    (86_400 * SECOND, &["d", "day", "days"]),
    (7 * 86_400 * SECOND, &["w", "wk", "wks", "week", "weeks"]),
    (2_630_016 * SECOND, &["M", "month", "months"]),
    (31_557_600 * SECOND, &["y", "yr", "yrs", "year", "years"]),
];

const SECOND: u64 = 1_000_000_000;

/// Numbers with units, added up: `15m`, `1h 30m`, `1min 5.123s`. One that is too long is as long as there is.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let after = after.trim_start();
        let ends = |c: char| c.is_ascii_digit() || c.is_whitespace();
        let (word, after) = after.split_at(after.find(ends).unwrap_or(after.len()));
        let (unit, _) = UNITS.iter().find(|(_, words)| words.contains(&word))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        // All digits: what cannot be read is too large.
        total = total.saturating_add(whole.parse().unwrap_or(u64::MAX).saturating_mul(*unit));
        let mut place = *unit;
        for digit in fraction.chars().filter_map(|c| c.to_digit(10)) {
            place /= 10;
            total = total.saturating_add(place * u64::from(digit));
        }
        rest = after.trim_start();
    }
    Some(Duration::from_nanos(total))
}

/// A duration above zero: `15m`, `1h 30m`, or plain seconds.
pub fn duration(text: &str, most: Duration) -> Result<Duration, String> {
    const FORM: &str = "write 90s, 15m, 1h 30m or plain seconds";
    let text = text.trim();
    if text.starts_with('-') {
        return Err(format!("{} is negative; {FORM}", shown(text)));
    }
    let too_long =
        || format!("{} is too long; at most {} is allowed", shown(text), humantime::format_duration(most));
    let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parsed = if digits_only {
        text.parse().map(Duration::from_secs).map_err(|_| too_long())?
    } else {
        parse_duration(text).ok_or_else(|| format!("{} is not a duration; {FORM}", shown(text)))?
    };
    match parsed {
        Duration::ZERO => Err(format!("{} is no time at all; {FORM}", shown(text))),
        long if long > most => Err(too_long()),
        right => Ok(right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_entries() {
        for right in [
            "localhost",
            "127.0.0.1",
            "::1",
            "169.254.169.254",
            ".example.org",
            "10.0.0.0/8",
            "fd00::/8",
            "a_b",
        ] {
            assert_eq!(no_proxy_entry(right).as_deref(), Ok(right));
        }
        let repaired = [
            ("localhost:80", "localhost"),
            ("http://a.b/c", "a.b"),
            (" localhost", "localhost"),
            ("[::1]", "::1"),
            ("[::1]:80", "::1"),
            ("http://10.0.0.0/8", "10.0.0.0/8"),
            ("*.example.org", ".example.org"),
        ];
        for (wrong, right) in repaired {
            let message = no_proxy_entry(wrong).unwrap_err();
            assert!(message.ends_with(&format!("write {right}")), "{wrong}: {message}");
        }
        for wrong in ["", "*", "a b", "a,b", "10.0.0.0/33", "a/b c", "a$"] {
            assert!(no_proxy_entry(wrong).is_err(), "{wrong}");
        }
        assert!(!no_proxy_entry("http://u:hunter2@h").unwrap_err().contains("hunter2"));
    }

    #[test]
    fn endpoints() {
        for (text, right) in [
            ("http://169.254.169.254", "http://169.254.169.254"),
            ("http://169.254.169.254/", "http://169.254.169.254"),
            ("HTTP://LocalHost:8080", "http://localhost:8080"),
            ("http://[fe80::1]:80/", "http://[fe80::1]:80"),
        ] {
            assert_eq!(endpoint(text).as_deref(), Ok(right));
        }
        for wrong in [
            "",
            "169.254.169.254",
            "https://a",
            "http://a/b",
            "http://a?b",
            "http://u:hunter2@a",
            "http://",
            "http://a:0",
            "http://imds.example",
        ] {
            assert!(!endpoint(wrong).unwrap_err().contains("hunter2"), "{wrong}");
        }
    }

    #[test]
    fn durations() {
        let day = Duration::from_secs(86_400);
        for (text, seconds) in
            [("15m", 900), ("1h 30m", 5_400), ("1h30m", 5_400), ("90", 90), ("24h", 86_400), (" 5s ", 5)]
        {
            assert_eq!(duration(text, day), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for (text, word) in [
            ("-5m", "negative"),
            ("-5", "negative"),
            ("0", "no time"),
            ("0s", "no time"),
            ("25h", "too long"),
            ("99999999999999999999", "too long"),
            ("99999999999999999999h", "too long"),
            ("soon", "not a duration"),
            ("", "not a duration"),
            ("5 parsecs", "not a duration"),
            ("1e3", "not a duration"),
        ] {
            let message = duration(text, day).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn spans_are_read_as_systemd_writes_them() {
        for (text, millis) in [
            ("1h 4min 5.123s", 3_845_123),
            ("2d3hours", 183_600_000),
            ("1 M", 2_630_016_000),
            ("1y 1w", 32_162_400_000),
            ("1.5 ms 500us", 2),
            ("0.5d", 43_200_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(humantime::parse_duration(text).ok(), parse_duration(text), "{text}");
        }
        for wrong in ["infinity", "5", "1.s", ".5s", "1.2.3s", "s", "5 s s", "5,1s", "1h -5m", "h1"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn digests_versions_and_paths() {
        let print = "BC52 8686 B50D 79E3 39D3  721C EB3E 94AD BE12 29CF";
        assert_eq!(fingerprint(print).as_deref(), Ok("BC528686B50D79E339D3721CEB3E94ADBE1229CF"));
        assert!(fingerprint("EB3E94ADBE1229CF").is_err());
        assert_eq!(sha256(&"A".repeat(64)), Ok("a".repeat(64)));
        assert!(sha256("abc").is_err());
        for right in ["1.55", "1.55.03118.1202-1~deb12"] {
            assert!(version(right).is_ok(), "{right}");
        }
        for wrong in ["", "latest", "1 2", "1;x", "-1"] {
            assert!(version(wrong).is_err(), "{wrong}");
        }
        assert!(file("/var/log/x.log").is_ok());
        for wrong in ["", "x", "./x", "/", "/a/", "/a/../b", "/a\nb"] {
            assert!(file(wrong).is_err(), "{wrong}");
        }
        assert!(web_address("https://a/b?sig=x").is_ok());
        for wrong in ["", "ftp://a", "https://", "https:///x", "https://a b"] {
            assert!(web_address(wrong).is_err(), "{wrong}");
        }
        assert!(
            resource("https://management.azure.com/").is_ok()
                && resource("").is_err()
                && resource("a b").is_err()
        );
    }
}
