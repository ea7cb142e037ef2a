//! Splits URLs into their parts (RFC 3986, section 3), without copying.
//!
//! The crate that reqwest uses normalizes what it reads, and the settings keep a value as it is written.

use std::net::Ipv6Addr;

/// The parts of an absolute URL, as written.
///
/// It has no `Debug`, because it may contain a password.
#[derive(Clone, Copy)]
pub struct Url<'a> {
    /// The text before `://`.
    pub scheme: &'a str,
    /// `USER[:PASSWORD]`, encoded.
    pub credentials: Option<&'a str>,
    /// `HOST[:PORT]`, an IPv6 address in brackets.
    pub authority: &'a str,
    /// Path, query and fragment: empty, or beginning with `/`, `?` or `#`.
    pub target: &'a str,
}

impl<'a> Url<'a> {
    /// Splits a URL; `None` where it has no `://`. The parts are not validated.
    pub fn split(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, target) = split_target(rest);
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, authority),
        };
        Some(Self { scheme, credentials, authority, target })
    }

    /// The host without the brackets of an IPv6 address; the complete authority where it is malformed.
    pub fn host(&self) -> &'a str {
        split_port(self.authority).map_or(self.authority, |(host, _)| host)
    }

    /// The port, else the default port of http and https.
    pub fn port(&self) -> Option<u16> {
        let written = split_port(self.authority).ok().and_then(|(_, port)| port);
        match self.scheme {
            "http" => written.or(Some(80)),
            "https" => written.or(Some(443)),
            _ => written,
        }
    }

    /// The path without query and fragment.
    pub fn path(&self) -> &'a str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }
}

/// The text after `://`, or the complete text where it has no scheme.
pub fn without_scheme(text: &str) -> &str {
    text.split_once("://").map_or(text, |(_, rest)| rest)
}

/// Splits the text after `://` into the authority and the target.
pub fn split_target(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// Splits `HOST[:PORT]` or `[IPV6][:PORT]`; the host is not validated.
///
/// # Errors
/// The brackets or the port are malformed.
pub fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']').ok_or("the bracket of the address is not closed")?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err("something stands between ] and the port"),
            }
        }
        None => match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address needs brackets, as in http://[fd00::1]:3128")
            }
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    port.filter(|digits| !digits.is_empty())
        .map_or(Ok((host, None)), |digits| Ok((host, Some(read_port(digits)?))))
}

fn read_port(digits: &str) -> Result<u16, &'static str> {
    let number =
        digits.parse().ok().filter(|number| *number > 0 && digits.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or("the port must be a number from 1 to 65535")
}

/// Validates a host name or address of a URL; returns it in lower case.
///
/// # Errors
/// The host is empty or has invalid characters.
pub fn check_host(host: &str) -> Result<String, &'static str> {
    if host.is_empty() {
        return Err("names no host");
    }
    let name = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if name || host.parse::<Ipv6Addr>().is_ok() {
        return Ok(host.to_ascii_lowercase());
    }
    Err("the host is neither a name nor an address")
}

/// Splits and validates `HOST[:PORT]`; the host is returned in lower case without brackets.
///
/// # Errors
/// The host or the port is malformed.
pub fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = split_port(authority)?;
    Ok((check_host(host)?, port))
}

/// A host for a URL: an IPv6 address in brackets.
pub fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (&str, Option<&str>, &str, &str) {
        let url = Url::split(text).unwrap();
        (url.scheme, url.credentials, url.authority, url.target)
    }

    #[test]
    fn urls_are_split_into_parts() {
        for (text, expected) in [
            ("http://h", ("http", None, "h", "")),
            ("https://h:8443/a/b?c=/d#e", ("https", None, "h:8443", "/a/b?c=/d#e")),
            ("http://u:p@h:1", ("http", Some("u:p"), "h:1", "")),
            ("http://u:p@ss@h:1/x@y", ("http", Some("u:p@ss"), "h:1", "/x@y")),
            ("http://[fe80::1]:80?q", ("http", None, "[fe80::1]:80", "?q")),
            ("x://#f", ("x", None, "", "#f")),
            ("http://@/", ("http", Some(""), "", "/")),
            ("://", ("", None, "", "")),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
        for text in ["", "h:80/x", "http:/h", "mailto:a@b"] {
            assert!(Url::split(text).is_none(), "{text}");
        }
    }

    #[test]
    fn host_port_and_path_are_returned() {
        for (text, expected) in [
            ("https://h.example:8443/x.deb", ("h.example", Some(8443), "/x.deb")),
            ("http://h/a/b.rpm?k=/v#f", ("h", Some(80), "/a/b.rpm")),
            ("https://[fd00::1]/", ("fd00::1", Some(443), "/")),
            ("http://[fd00::1]:81", ("fd00::1", Some(81), "")),
            ("socks5://h", ("h", None, "")),
            ("http://h:", ("h", Some(80), "")),
            ("http://h:x/", ("h:x", Some(80), "/")),
            ("http://fd00::1/", ("fd00::1", Some(80), "/")),
            ("http://[fd00::1", ("[fd00::1", Some(80), "")),
        ] {
            let url = Url::split(text).unwrap();
            assert_eq!((url.host(), url.port(), url.path()), expected, "{text}");
        }
        assert_eq!(without_scheme("https://h/x"), "h/x");
        assert_eq!(without_scheme("h/x"), "h/x");
    }

    #[test]
    fn malformed_authorities_are_rejected() {
        for (text, wrong) in [
            ("", "names no host"),
            (":80", "names no host"),
            ("h:0", "the port must"),
            ("h:+80", "the port must"),
            ("h:65536", "the port must"),
            ("h:80x", "the port must"),
            ("fd00::1", "needs brackets"),
            ("[fd00::1", "not closed"),
            ("[fd00::1]80", "between ]"),
            ("h h", "neither a name"),
            ("hé", "neither a name"),
        ] {
            let error = host_and_port(text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
        assert_eq!(host_and_port("H.Example:81"), Ok(("h.example".to_owned(), Some(81))));
        assert_eq!(host_and_port("[FD00::1]"), Ok(("fd00::1".to_owned(), None)));
        assert_eq!((bracketed("fd00::1").as_str(), bracketed("h").as_str()), ("[fd00::1]", "h"));
    }
}
