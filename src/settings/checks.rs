//! Parsers of plain values: addresses, versions, digests, durations, paths. Their error texts follow a key or option.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::values::excerpt;
use crate::formats::url::{bracketed, check_host, split_port, split_target, without_scheme, Url};

/// Parses an entry of `proxy.no_proxy`: an address, network or name without scheme and port, the form that every
/// client understands.
///
/// # Errors
/// What is wrong and what to write instead.
pub fn parse_no_proxy_entry(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; remove it".to_owned());
    }
    if text.contains('@') {
        return Err("holds credentials; write the bare host".to_owned());
    }
    if let Some(suggestion) = suggest_bare_host(text) {
        return Err(format!(
            "{} must have no scheme, path, port or space; write {suggestion}",
            excerpt(text)
        ));
    }
    if text.contains(',') || text.contains(char::is_whitespace) {
        return Err(format!("{} must be one entry; write each host as a separate entry", excerpt(text)));
    }
    if text == "*" {
        return Err(
            "\"*\" would bypass the proxy for everything; for no proxy at all set proxy.url: null".to_owned()
        );
    }
    if let Some(domain) = text.strip_prefix('*') {
        return Err(format!(
            "{} holds a wildcard that not every program reads; write {domain}",
            excerpt(text)
        ));
    }
    if let Some((address, length)) = text.split_once('/') {
        let max_length = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => {
                return Err(format!("{} is neither a host nor a network such as 10.0.0.0/8", excerpt(text)))
            }
        };
        return match length.parse::<u8>() {
            Ok(bits) if bits <= max_length => Ok(text.to_owned()),
            _ => {
                Err(format!("{} is not a network; its prefix length is at most {max_length}", excerpt(text)))
            }
        };
    }
    check_host(text)
        .map(|_| text.to_owned())
        .map_err(|_| format!("{} is neither a name nor an address", excerpt(text)))
}

/// The host without scheme, path, port and blanks; `None` when the entry is already bare or holds no valid host.
fn suggest_bare_host(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let address = without_scheme(trimmed);
    let is_network = address.split_once('/').is_some_and(|(base, _)| base.parse::<IpAddr>().is_ok());
    let address = if is_network { address } else { split_target(address).0 };
    let host = match address.parse::<Ipv6Addr>() {
        Ok(_) => address,
        Err(_) if is_network => address,
        Err(_) => split_port(address).ok()?.0,
    };
    (host != text && (is_network || check_host(host).is_ok())).then(|| host.to_owned())
}

/// Parses the address of the IMDS sidecar: scheme, host and port, without a trailing slash in the result.
///
/// # Errors
/// What is wrong and what to write instead; credentials are not repeated.
pub fn parse_endpoint(text: &str) -> Result<String, String> {
    const FORM: &str = "write http://ADDRESS or http://ADDRESS:PORT";
    let url = Url::split(text).ok_or_else(|| format!("must start with http://; {FORM}"))?;
    match url.scheme.to_ascii_lowercase().as_str() {
        "http" => {}
        "https" => return Err("IMDS uses http://, not https://".to_owned()),
        _ => return Err(format!("must start with http://; {FORM}")),
    }
    if url.credentials.is_some() || url.target.contains('@') {
        return Err(format!("must not hold credentials; {FORM}"));
    }
    if !matches!(url.target, "" | "/") {
        return Err(format!("{} has a path or query; {FORM}", excerpt(text)));
    }
    let (host, port) = split_port(url.authority)?;
    let host = bracketed(&check_host(host)?);
    if host != "localhost" && host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() {
        return Err(format!("{} is not an address; on Nexus it is http://169.254.169.254", excerpt(text)));
    }
    Ok(port.map_or_else(|| format!("http://{host}"), |port| format!("http://{host}:{port}")))
}

/// Parses the resource to request tokens for.
///
/// # Errors
/// When it is empty or holds blanks or control characters.
pub fn parse_resource(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; for ARM it is https://management.azure.com/".to_owned());
    }
    match text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        Some(c) => Err(format!("{} holds {c:?}", excerpt(text))),
        None => Ok(text.to_owned()),
    }
}

/// Parses a version in the notation of a package manager. It becomes part of a command-line argument, so only the
/// characters of versions are accepted.
///
/// # Errors
/// When it is not a version.
pub fn parse_version(text: &str) -> Result<String, String> {
    let is_version = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+~:-".contains(&b));
    match is_version {
        true => Ok(text.to_owned()),
        false => Err(format!("{} is not a version such as 1.55.03118.1202", excerpt(text))),
    }
}

/// Parses the fingerprint of an OpenPGP v4 key: 40 hexadecimal digits, spaces allowed. The result is in upper case.
///
/// # Errors
/// When it is not a fingerprint.
pub fn parse_fingerprint(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let bare = digits.strip_prefix("0x").unwrap_or(&digits);
    match bare.len() == 40 && bare.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(bare.to_ascii_uppercase()),
        false => Err(format!("{} is not a fingerprint; it has 40 hexadecimal digits", excerpt(text))),
    }
}

/// Parses a SHA-256 digest: 64 hexadecimal digits. The result is in lower case.
///
/// # Errors
/// When it is not a digest.
pub fn parse_sha256(text: &str) -> Result<String, String> {
    match text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("{} is not a SHA-256 digest; it has 64 hexadecimal digits", excerpt(text))),
    }
}

/// Parses the absolute path of a file.
///
/// # Errors
/// When the path is relative, names a directory, or holds `..` or control characters.
pub fn parse_file_path(text: &str) -> Result<PathBuf, String> {
    if !text.starts_with('/') {
        return Err(format!("{} is not an absolute path", excerpt(text)));
    }
    if text.ends_with('/') || text.contains(char::is_control) || text.split('/').any(|part| part == "..") {
        return Err(format!("{} is not the plain path of a file", excerpt(text)));
    }
    Ok(PathBuf::from(text))
}

/// Parses the URL of a package.
///
/// # Errors
/// When it is not an http or https URL. The text is not repeated, since it may hold an access key.
pub fn parse_package_url(text: &str) -> Result<String, String> {
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

/// Units of time in nanoseconds with their names; months and years have the mean lengths of systemd.time(7).
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

/// Parses a sum of numbers with units: `15m`, `1h 30m`, `1min 5.123s`. A value above the range of `u64` nanoseconds
/// becomes the largest one. `None` when the text is not a duration.
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
        // The text is all digits, so a parse error means that the number is too large.
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

/// Parses a duration above zero and at most `max`: `15m`, `1h 30m`, or plain seconds.
///
/// # Errors
/// What is wrong and what to write instead.
pub fn parse_limited_duration(text: &str, max: Duration) -> Result<Duration, String> {
    const FORM: &str = "write 90s, 15m, 1h 30m or plain seconds";
    let text = text.trim();
    if text.starts_with('-') {
        return Err(format!("{} is negative; {FORM}", excerpt(text)));
    }
    let too_long =
        || format!("{} is too long; at most {} is allowed", excerpt(text), humantime::format_duration(max));
    let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parsed = if digits_only {
        text.parse().map(Duration::from_secs).map_err(|_| too_long())?
    } else {
        parse_duration(text).ok_or_else(|| format!("{} is not a duration; {FORM}", excerpt(text)))?
    };
    match parsed {
        Duration::ZERO => Err(format!("{} must be longer than zero; {FORM}", excerpt(text))),
        duration if duration > max => Err(too_long()),
        duration => Ok(duration),
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
            assert_eq!(parse_no_proxy_entry(right).as_deref(), Ok(right));
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
            let message = parse_no_proxy_entry(wrong).unwrap_err();
            assert!(message.ends_with(&format!("write {right}")), "{wrong}: {message}");
        }
        for wrong in ["", "*", "a b", "a,b", "10.0.0.0/33", "a/b c", "a$"] {
            assert!(parse_no_proxy_entry(wrong).is_err(), "{wrong}");
        }
        assert!(!parse_no_proxy_entry("http://u:hunter2@h").unwrap_err().contains("hunter2"));
    }

    #[test]
    fn endpoints() {
        for (text, right) in [
            ("http://169.254.169.254", "http://169.254.169.254"),
            ("http://169.254.169.254/", "http://169.254.169.254"),
            ("HTTP://LocalHost:8080", "http://localhost:8080"),
            ("http://[fe80::1]:80/", "http://[fe80::1]:80"),
        ] {
            assert_eq!(parse_endpoint(text).as_deref(), Ok(right));
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
            assert!(!parse_endpoint(wrong).unwrap_err().contains("hunter2"), "{wrong}");
        }
    }

    #[test]
    fn durations() {
        let day = Duration::from_secs(86_400);
        for (text, seconds) in
            [("15m", 900), ("1h 30m", 5_400), ("1h30m", 5_400), ("90", 90), ("24h", 86_400), (" 5s ", 5)]
        {
            assert_eq!(parse_limited_duration(text, day), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for (text, word) in [
            ("-5m", "negative"),
            ("-5", "negative"),
            ("0", "longer than zero"),
            ("0s", "longer than zero"),
            ("25h", "too long"),
            ("99999999999999999999", "too long"),
            ("99999999999999999999h", "too long"),
            ("soon", "not a duration"),
            ("", "not a duration"),
            ("5 parsecs", "not a duration"),
            ("1e3", "not a duration"),
        ] {
            let message = parse_limited_duration(text, day).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn durations_parse_as_systemd_prints_them() {
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
        assert_eq!(parse_fingerprint(print).as_deref(), Ok("BC528686B50D79E339D3721CEB3E94ADBE1229CF"));
        assert!(parse_fingerprint("EB3E94ADBE1229CF").is_err());
        assert_eq!(parse_sha256(&"A".repeat(64)), Ok("a".repeat(64)));
        assert!(parse_sha256("abc").is_err());
        for right in ["1.55", "1.55.03118.1202-1~deb12"] {
            assert!(parse_version(right).is_ok(), "{right}");
        }
        for wrong in ["", "latest", "1 2", "1;x", "-1"] {
            assert!(parse_version(wrong).is_err(), "{wrong}");
        }
        assert!(parse_file_path("/var/log/x.log").is_ok());
        for wrong in ["", "x", "./x", "/", "/a/", "/a/../b", "/a\nb"] {
            assert!(parse_file_path(wrong).is_err(), "{wrong}");
        }
        assert!(parse_package_url("https://a/b?sig=x").is_ok());
        for wrong in ["", "ftp://a", "https://", "https:///x", "https://a b"] {
            assert!(parse_package_url(wrong).is_err(), "{wrong}");
        }
        assert!(
            parse_resource("https://management.azure.com/").is_ok()
                && parse_resource("").is_err()
                && parse_resource("a b").is_err()
        );
    }
}
