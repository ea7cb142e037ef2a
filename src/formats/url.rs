//! URLs taken apart (RFC 3986, section 3), in one pass and without a copy.
//!
//! A crate for URLs brings tables for names beyond ASCII, which no setting here may hold.

use std::net::Ipv6Addr;

/// An absolute URL; every part as it is written, so that together they are the URL again.
///
/// It has no `Debug`, since it may hold a password.
#[derive(Clone, Copy)]
pub struct Url<'a> {
    /// What stands in front of `://`.
    pub scheme: &'a str,
    /// `USER[:PASSWORD]`, encoded.
    pub credentials: Option<&'a str>,
    /// `HOST[:PORT]`, an IPv6 address in brackets.
    pub authority: &'a str,
    /// Path, query and fragment; empty, or it begins with `/`, `?` or `#`.
    pub target: &'a str,
}

impl<'a> Url<'a> {
    /// Takes a URL apart; none where there is no `://`. What the parts hold is not checked.
    pub fn split(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, target) = split_target(rest);
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, authority),
        };
        Some(Self { scheme, credentials, authority, target })
    }

    /// The host without the brackets of an IPv6 address; all of the authority where that is malformed.
    pub fn host(&self) -> &'a str {
        split_port(self.authority).map_or(self.authority, |(host, _)| host)
    }

    /// The port that is written, or else the usual one of http and https.
    pub fn port(&self) -> Option<u16> {
        let written = split_port(self.authority).ok().and_then(|(_, port)| port);
        match self.scheme {
            "http" => written.or(Some(80)),
            "https" => written.or(Some(443)),
            _ => written,
        }
    }

    /// The path alone.
    pub fn path(&self) -> &'a str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }
}

/// What follows `://`, or all of a text that has no scheme.
pub fn without_scheme(text: &str) -> &str {
    text.split_once("://").map_or(text, |(_, rest)| rest)
}

/// The authority, and what follows it from the first `/`, `?` or `#` on.
pub fn split_target(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// Splits `HOST:PORT`, `[V6]:PORT` or either without a port; the host is not checked.
///
/// # Errors
/// What is wrong with the brackets or the port.
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

/// A host name or address that can stand in a URL; in lower case afterwards.
///
/// # Errors
/// What is wrong with it.
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

/// The host, in lower case and without brackets, and the port of `HOST[:PORT]`.
///
/// # Errors
/// What is wrong with them.
pub fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = split_port(authority)?;
    Ok((check_host(host)?, port))
}

/// A host as a URL spells it.
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
    fn a_url_is_its_parts() {
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
    fn host_port_and_path() {
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
    fn authorities_that_are_none() {
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
