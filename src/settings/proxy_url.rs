//! The URL of the proxy. Its credentials are never shown.

use std::fmt;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use crate::formats::percent;
use crate::formats::url::{bracketed, host_and_port, Url};
use crate::model::secret::{Secret, MASK};

/// The error for a URL with another scheme or without one.
const NOT_HTTP: &str = "must start with http://, as in http://169.254.0.11:3128";

/// An HTTP proxy. `Display` and `Debug` omit its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    host: String,
    port: u16,
    credentials: Option<(String, Secret)>,
}

impl ProxyUrl {
    /// Parses `http://[USER:PASSWORD@]HOST:PORT` with percent-encoded credentials.
    ///
    /// The port is required: without it, curl uses 1080 and azcmagent 80.
    ///
    /// # Errors
    /// What is wrong and what to write instead; credentials are not repeated.
    pub fn new(text: &str) -> Result<Self, String> {
        let url = split_http(text)?;
        if url.target.contains('@') {
            return Err("a / ? or # in the user or password must be percent-encoded: %2F %3F %23".to_owned());
        }
        let (host, port) = host_and_port(url.authority)?;
        let hidden = if url.credentials.is_some() { format!("{MASK}@") } else { String::new() };
        let Some(port) = port else {
            let host = bracketed(&host);
            return Err(format!(
                "names no port, and programs disagree on the default; write http://{hidden}{host}:3128 if 3128 is the port"
            ));
        };
        let credentials = url.credentials.map(decode_credentials).transpose()?;
        let proxy = Self { host, port, credentials };
        if !matches!(url.target, "" | "/") {
            let suggestion = proxy.without_credentials().replacen("://", &format!("://{hidden}"), 1);
            return Err(format!("a proxy has no path or query; write {suggestion}"));
        }
        Ok(proxy)
    }

    /// The host; an IPv6 address has no brackets.
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

    /// User and password, encoded for the Proxy-Authorization header (RFC 7617).
    pub fn basic_credentials(&self) -> Option<Secret> {
        let (user, password) = self.credentials()?;
        Some(Secret::new(STANDARD.encode(format!("{user}:{}", password.reveal()))))
    }

    /// The password in every form that another program may print: plain, percent-encoded, and encoded with the user for
    /// the header. For redaction.
    pub fn password_forms(&self) -> Vec<Secret> {
        let (Some((_, password)), Some(header)) = (self.credentials(), self.basic_credentials()) else {
            return Vec::new();
        };
        vec![password.clone(), Secret::new(percent::encode(password.reveal())), header]
    }

    /// The URL without credentials, for messages and logs.
    pub fn without_credentials(&self) -> String {
        format!("http://{}:{}", bracketed(&self.host), self.port)
    }

    /// The URL with percent-encoded credentials, for programs that use the proxy.
    pub fn with_credentials(&self) -> Secret {
        let authority = format!("{}:{}", bracketed(&self.host), self.port);
        match &self.credentials {
            Some((user, password)) => Secret::new(format!(
                "http://{}:{}@{authority}",
                percent::encode(user),
                percent::encode(password.reveal())
            )),
            None => Secret::new(format!("http://{authority}")),
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

/// Splits an `http://` URL. Error texts do not repeat it, since it may hold a password.
fn split_http(text: &str) -> Result<Url<'_>, &'static str> {
    let url = Url::split(text).ok_or(NOT_HTTP)?;
    match url.scheme.to_ascii_lowercase().as_str() {
        "http" => Ok(url),
        "https" => Err("https:// to the proxy itself is not supported; write http://. \
                        HTTPS traffic through the proxy stays encrypted"),
        scheme if scheme.starts_with("socks") => {
            Err("SOCKS is not supported; write the HTTP proxy as http://HOST:PORT")
        }
        _ => Err(NOT_HTTP),
    }
}

fn decode_credentials(text: &str) -> Result<(String, Secret), String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let error = || "the user or password is not percent-encoded; a literal % is written %25".to_owned();
    let user = percent::decode(user).ok_or_else(error)?;
    let password = percent::decode(password).ok_or_else(error)?;
    if user.is_empty() {
        return Err("names a password but no user".to_owned());
    }
    if user.chars().chain(password.chars()).any(char::is_control) {
        return Err("the user or password holds a control character".to_owned());
    }
    if user.contains(':') {
        return Err("the user holds a colon, which proxies take as the start of the password".to_owned());
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
    fn errors_never_show_the_password() {
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
