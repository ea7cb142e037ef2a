//! The URL of the proxy, whose credentials are never shown.

use std::fmt;
use std::net::Ipv6Addr;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use crate::model::percent;
use crate::model::secret::{Secret, MASK};

/// An HTTP proxy. `Display` and `Debug` leave its credentials out.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    host: String,
    port: u16,
    credentials: Option<(String, Secret)>,
}

impl ProxyUrl {
    /// Takes `http://[USER:PASSWORD@]HOST:PORT`, the credentials percent-encoded.
    ///
    /// The port has to be given: without one, curl would use 1080 and azcmagent 80.
    pub fn new(text: &str) -> Result<Self, String> {
        let rest = strip_http(text)?;
        let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        if path.contains('@') {
            return Err("a / ? or # in the user or password must be percent-encoded: %2F %3F %23".to_owned());
        }
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        let hidden = if user.is_some() { format!("{MASK}@") } else { String::new() };
        let Some(port) = port else {
            let shown_host = bracketed(&host);
            return Err(format!(
                "names no port, and programs disagree on the default; write http://{hidden}{shown_host}:3128 if that is it"
            ));
        };
        let credentials = user.map(decode_credentials).transpose()?;
        let proxy = Self { host, port, credentials };
        if !matches!(path, "" | "/") {
            let right = proxy.without_credentials().replacen("://", &format!("://{hidden}"), 1);
            return Err(format!("a proxy has no path or query; write {right}"));
        }
        Ok(proxy)
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// User and password, decoded.
    pub fn credentials(&self) -> Option<(&str, &Secret)> {
        self.credentials.as_ref().map(|(user, password)| (user.as_str(), password))
    }

    /// User and password as the Proxy-Authorization header carries them (RFC 7617).
    pub fn basic_credentials(&self) -> Option<Secret> {
        let (user, password) = self.credentials()?;
        Some(Secret::new(STANDARD.encode(format!("{user}:{}", password.reveal()))))
    }

    /// The password in every form in which another program may show it: as it is, as it stands in the URL,
    /// and together with the user as the header carries it.
    pub fn forms_of_the_password(&self) -> Vec<Secret> {
        let (Some((_, password)), Some(header)) = (self.credentials(), self.basic_credentials()) else {
            return Vec::new();
        };
        vec![password.clone(), Secret::new(percent::encode(password.reveal())), header]
    }

    /// What may be shown and logged.
    pub fn without_credentials(&self) -> String {
        format!("http://{}:{}", bracketed(&self.host), self.port)
    }

    /// The whole URL, encoded, for programs that are told the proxy.
    pub fn with_credentials(&self) -> Secret {
        let place = format!("{}:{}", bracketed(&self.host), self.port);
        match &self.credentials {
            Some((user, password)) => Secret::new(format!(
                "http://{}:{}@{place}",
                percent::encode(user),
                percent::encode(password.reveal())
            )),
            None => Secret::new(format!("http://{place}")),
        }
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_credentials())
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

/// The host, in lower case and without brackets, and the port of `HOST[:PORT]`, or what is wrong.
pub fn host_and_port(place: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = split_port(place)?;
    Ok((check_host(host)?, port))
}

/// What follows `http://`; the text itself is not repeated, it may hold a password.
fn strip_http(text: &str) -> Result<&str, String> {
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Ok(rest),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
            Err("https:// to the proxy itself is not supported; the proxy is spoken to by http://, \
                 what passes through it stays encrypted"
                .to_owned())
        }
        Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
            Err("SOCKS is not supported; write the HTTP proxy as http://HOST:PORT".to_owned())
        }
        _ => Err("must start with http://, as in http://169.254.0.11:3128".to_owned()),
    }
}

/// Splits `HOST:PORT`, `[V6]:PORT` or either without a port.
pub(super) fn split_port(place: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match place.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']').ok_or("the bracket of the address is not closed")?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err("something stands between ] and the port".to_owned()),
            }
        }
        None => match place.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address needs brackets, as in http://[fd00::1]:3128".to_owned())
            }
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    match port {
        None | Some("") => Ok((host, None)),
        Some(digits) => match digits.parse::<u16>() {
            Ok(number) if number > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Ok((host, Some(number)))
            }
            _ => Err("the port must be a number from 1 to 65535".to_owned()),
        },
    }
}

/// A host name or address that can stand in a URL.
pub(super) fn check_host(host: &str) -> Result<String, String> {
    if host.is_empty() {
        return Err("names no host".to_owned());
    }
    let name = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if name || host.parse::<Ipv6Addr>().is_ok() {
        return Ok(host.to_ascii_lowercase());
    }
    Err("the host is neither a name nor an address".to_owned())
}

/// A host as a URL spells it.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn decode_credentials(text: &str) -> Result<(String, Secret), String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let wrong = || "the user or password is not percent-encoded; a literal % is written %25".to_owned();
    let user = percent::decode(user).ok_or_else(wrong)?;
    let password = percent::decode(password).ok_or_else(wrong)?;
    if user.is_empty() {
        return Err("names a password but no user".to_owned());
    }
    if user.chars().chain(password.chars()).any(char::is_control) {
        return Err("the user or password holds a control character".to_owned());
    }
    if user.contains(':') {
        return Err("the user holds a colon, which proxies cannot tell from the password's".to_owned());
    }
    Ok((user, Secret::new(password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies() {
        let proxy = ProxyUrl::new("HTTP://169.254.0.11:3128/").unwrap();
        assert_eq!((proxy.host(), proxy.port(), proxy.credentials()), ("169.254.0.11", 3128, None));
        assert_eq!(proxy.with_credentials().reveal(), "http://169.254.0.11:3128");
        let six = ProxyUrl::new("http://[FD00::1]:3128").unwrap();
        assert_eq!((six.host(), six.to_string().as_str()), ("fd00::1", "http://[fd00::1]:3128"));
    }

    #[test]
    fn proxy_credentials_are_decoded_and_hidden() {
        let proxy = ProxyUrl::new("http://u%40x:p@ss%3A%2Fw%C3%B6rd@proxy:80").unwrap();
        let (user, password) = proxy.credentials().unwrap();
        assert_eq!((user, password.reveal()), ("u@x", "p@ss:/wörd"));
        assert_eq!(format!("{proxy} {proxy:?}"), "http://proxy:80 ProxyUrl(http://proxy:80)");
        assert_eq!(proxy.with_credentials().reveal(), "http://u%40x:p%40ss%3A%2Fw%C3%B6rd@proxy:80");
        assert_eq!(ProxyUrl::new(proxy.with_credentials().reveal()).unwrap(), proxy);
    }

    #[test]
    fn wrong_proxies_never_show_their_password() {
        let wrong = [
            "u:hunter2@proxy:80",
            "https://u:hunter2@proxy:80",
            "socks5://u:hunter2@proxy:80",
            "http://u:hunter2@proxy",
            "http://u:hunter2@proxy:80/path",
            "http://u:hunter2@proxy:80?x=1",
            "http://u:hun/ter2@proxy:80",
            "http://u:hunter2%zz@proxy:80",
            "http://u:hunter2%@proxy:80",
            "http://:hunter2@proxy:80",
            "http://u:hunter2@:80",
            "http://u:hunter2@proxy:0",
            "http://u:hunter2@proxy:99999",
            "http://u:hunter2@proxy:+80",
            "http://u:hunter2@pro xy:80",
            "http://u:hunter2@[fd00::1:80",
            "http://u:hunter2@fd00::1:80",
            "http://u%3Av:hunter2@proxy:80",
            "http://u:hunter2%0a@proxy:80",
        ];
        for url in wrong {
            let message = ProxyUrl::new(url).unwrap_err();
            assert!(!message.contains("hunter2") && !message.contains("ter2"), "{url}: {message}");
        }
        assert_eq!(
            ProxyUrl::new("http://u:hunter2@proxy:80/x").unwrap_err(),
            "a proxy has no path or query; write http://***@proxy:80"
        );
    }
}
