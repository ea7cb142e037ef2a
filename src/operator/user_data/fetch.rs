//! The script that fetches the binary on the VM, so that user-data is only a few KiB.

use std::path::Path;
use std::time::Duration;

use crate::formats::egress_list;
use crate::formats::shell::quote;
use crate::formats::url::{host_and_port, Url};
use crate::host::https;
use crate::settings::ProxyUrl;

/// Where the script is installed, so that an administrator can run it again.
pub const SCRIPT_PATH: &str = "/usr/local/sbin/arc-enroll-fetch";

/// The script, with markers for the values of a VM.
const TEMPLATE: &str = include_str!("fetch.sh");

/// Maximum length of a URL in bytes; RFC 9110, section 4.1, recommends that servers accept 8,000.
const LONGEST_URL: usize = 8000;

/// The URL of the binary: http or https, in printable ASCII that needs no escaping between quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchUrl {
    text: String,
    host: String,
    port: u16,
}

impl FetchUrl {
    /// Parses `http[s]://HOST[:PORT]/PATH[?QUERY]`.
    ///
    /// # Errors
    /// What is wrong, as text that follows the name of the option. The URL is not repeated, since its query may hold a key.
    pub fn new(text: &str) -> Result<Self, String> {
        let url = Url::split(text).filter(|url| matches!(url.scheme, "https" | "http"));
        let url = url.ok_or("must begin with https:// or http://")?;
        let is_plain = |c: &char| c.is_ascii_graphic() && !"\"'\\`<>^{|}".contains(*c);
        if let Some(c) = text.chars().find(|c| !is_plain(c)) {
            return Err(format!("holds {c:?}, which has to be percent-encoded in a URL"));
        }
        if text.contains('#') {
            return Err("has a #, and what follows it is never sent; leave it out, or write %23".to_owned());
        }
        if text.len() > LONGEST_URL {
            return Err(format!("has {} characters; {LONGEST_URL} is the most", text.len()));
        }
        if url.credentials.is_some() {
            return Err("has a user or password in front of the host, which user-data would show".to_owned());
        }
        if !url.target.starts_with('/') || url.target.len() < 2 {
            return Err("names no file; write it with its path, as in https://HOST/arc-enroll".to_owned());
        }
        let (host, _) = host_and_port(url.authority)?;
        let port = url.port().unwrap_or_default();
        Ok(Self { text: text.to_owned(), host, port })
    }
}

/// The values of the script.
#[derive(Clone, Debug)]
pub struct Fetch<'a> {
    /// The URL of the binary.
    pub url: FetchUrl,
    /// SHA-256 of the binary, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The proxy; `None` for a direct connection.
    pub proxy: Option<&'a ProxyUrl>,
    /// The retry window.
    pub window: Duration,
    /// The log file for runs outside of cloud-init.
    pub log: &'a Path,
}

/// Renders the script. It may hold credentials of the proxy, so it must be readable by root only.
pub fn script(fetch: &Fetch<'_>) -> String {
    let mut request = format!("url = \"{}\"\n", fetch.url.text);
    match fetch.proxy {
        Some(proxy) => {
            request.push_str(&format!("proxy = \"{}\"\nnoproxy = \"\"", proxy.without_credentials()));
            if let Some((user, password)) = proxy.credentials() {
                let credentials = https::curl_quoted(&format!("{user}:{}", password.reveal()));
                request.push_str(&format!("\nproxy-user = {credentials}"));
            }
        }
        // Otherwise curl would use a proxy from the environment.
        None => request.push_str("noproxy = \"*\""),
    }
    let values = [
        ("@SHA256@", fetch.sha256.clone()),
        ("@WINDOW@", fetch.window.as_secs().to_string()),
        ("@LOG@", quote(&fetch.log.display().to_string())),
        // The last one, so that markers in the user's values are not replaced.
        ("@REQUEST@", request),
    ];
    super::script(TEMPLATE, &values)
}

/// The endpoint that the VM has to reach, and the command that allows it.
pub fn endpoint_to_add(fetch: &Fetch<'_>) -> String {
    let FetchUrl { host, port, .. } = &fetch.url;
    if fetch.proxy.is_none() {
        return format!(
            "the VM fetches arc-enroll from {host}:{port} without a proxy: allow this connection\n"
        );
    }
    let list = egress_list::category("arc-enroll", &[egress_list::endpoint(host, Some((*port).into()))]);
    format!(
        "the VM fetches arc-enroll from {host}:{port}; add it to the endpoints of its cloud services network \
         (this replaces the list: keep what it already has):\n\
         az networkcloud cloudservicesnetwork update --name \"$CSN_NAME\" \\\n    \
         --resource-group \"$CSN_RESOURCE_GROUP\" \\\n    \
         --additional-egress-endpoints \"[{list}]\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn filled(url: &str, proxy: Option<&ProxyUrl>, log: &str) -> String {
        script(&Fetch {
            url: FetchUrl::new(url).unwrap(),
            sha256: DIGEST.to_owned(),
            proxy,
            window: Duration::from_secs(900),
            log: log.as_ref(),
        })
    }

    #[test]
    fn valid_urls_are_parsed() {
        for (url, host, port) in [
            ("https://example.com/arc-enroll", "example.com", 443),
            ("http://mirror:8080/a/b%20c?sv=1&sig=a%2Bb=&x=$(y);*[1]~!", "mirror", 8080),
            ("https://[fd00::1]:8443/x", "fd00::1", 8443),
            ("http://10.0.0.1/x", "10.0.0.1", 80),
        ] {
            let read = FetchUrl::new(url).unwrap();
            assert_eq!((read.host.as_str(), read.port), (host, port), "{url}");
        }
    }

    #[test]
    fn invalid_urls_are_rejected_without_repeating_them() {
        let long = format!("https://h/{}", "x".repeat(8000));
        for (url, word) in [
            ("", "must begin with"),
            ("example.com/canary", "must begin with"),
            ("file:///canary", "must begin with"),
            ("HTTPS://h/canary", "must begin with"),
            ("https://h/a canary", "' '"),
            ("https://h/canary'", "'\\''"),
            ("https://h/canary\"", "'\"'"),
            ("https://h/canary\\", "'\\\\'"),
            ("https://h/canary`id`", "'`'"),
            ("https://h/canary\n", "'\\n'"),
            ("https://h/canäry", "'ä'"),
            ("https://h/x#canary", "#"),
            ("https://u:canary@h/x", "user or password"),
            ("https://h", "names no file"),
            ("https://h/", "names no file"),
            ("https://h?canary", "names no file"),
            ("https:///canary", "names no host"),
            ("https://h:0/canary", "port"),
            ("https://h$/canary", "neither a name nor an address"),
            (&long, "8010 characters"),
        ] {
            let problem = FetchUrl::new(url).expect_err(url);
            assert!(problem.contains(word), "{url}: {problem}");
            assert!(!problem.contains("canary"), "{problem}");
        }
    }

    #[test]
    fn every_marker_is_replaced() {
        let proxy = ProxyUrl::new("http://169.254.0.11:3128").unwrap();
        let script = filled("https://example.com/arc-enroll", Some(&proxy), "/var/log/cloud init.log");
        for line in [
            &format!("sha256={DIGEST}"),
            "window=900",
            "log=\"/var/log/cloud init.log\"",
            "url = \"https://example.com/arc-enroll\"",
            "proxy = \"http://169.254.0.11:3128\"",
            "noproxy = \"\"",
        ] {
            assert!(script.lines().any(|other| other == line), "{line} in {script}");
        }
        assert!(
            !script.contains("@SHA256@")
                && !script.contains("@RUN@")
                && !script.contains("@REQUEST@")
                && script.is_ascii()
        );
        assert!(!script.contains("\nproxy-user"));
    }

    #[test]
    fn credentials_are_in_the_request_only() {
        let proxy = ProxyUrl::new("http://u:p%22%5C%24x@p:1").unwrap();
        let script = filled("https://h/x", Some(&proxy), "/l");
        assert!(script.contains("\nproxy-user = \"u:p\\\"\\\\$x\"\n"), "{script}");
        assert_eq!(script.matches("$x").count(), 1);
    }

    #[test]
    fn without_a_proxy_none_is_taken_from_the_environment() {
        let script = filled("https://h/x?a=@REQUEST@@LOG@", None, "/l");
        assert!(script.contains("noproxy = \"*\"\n") && !script.contains("\nproxy = \"http"));
        assert!(script.contains("url = \"https://h/x?a=@REQUEST@@LOG@\"\n"));
    }

    #[test]
    fn the_script_uses_the_paths_of_the_program() {
        for (name, path) in [("binary", super::super::BINARY_PATH), ("script", SCRIPT_PATH)] {
            assert!(TEMPLATE.contains(&format!("\n{name}={path}\n")), "{name}");
        }
    }
}
