//! The proxy settings to apply, and the environment variables that hold them.

use super::no_proxy::merge_no_proxy;
use crate::model::secret::Secret;
use crate::settings::{Proxy, ProxyUrl};

/// The names of the variables that hold the proxy's URL.
pub const PROXY_NAMES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
/// The names of the variables that hold the exceptions.
pub const NO_PROXY_NAMES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy settings that every file has to hold.
#[derive(Clone, Debug)]
pub struct DesiredProxy {
    /// The proxy's URL, with credentials when it needs them; none when there is no proxy.
    pub url: Option<Secret>,
    /// The URL as it may be shown.
    pub shown: String,
    /// Whether the URL holds a user name or password.
    pub has_credentials: bool,
    /// What must be reached directly.
    pub no_proxy: Vec<String>,
}

impl From<&Proxy> for DesiredProxy {
    fn from(proxy: &Proxy) -> Self {
        let url = proxy.url.as_ref();
        Self {
            url: url.map(ProxyUrl::with_credentials),
            shown: url.map_or_else(|| "no proxy".to_owned(), ProxyUrl::without_credentials),
            has_credentials: url.is_some_and(|url| url.credentials().is_some()),
            no_proxy: proxy.no_proxy.clone(),
        }
    }
}

impl DesiredProxy {
    /// The URL's text, for the formats that write it.
    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_ref().map(Secret::reveal)
    }
}

/// The variables for this process and its children: six, or without a proxy only the two NO_PROXY.
///
/// `existing` are the current values of NO_PROXY; their entries are kept.
pub fn variables(desired: &DesiredProxy, existing: &[&str]) -> Vec<(&'static str, Secret)> {
    let no_proxy = merge_no_proxy(existing, &desired.no_proxy);
    let proxies = desired.url.iter().flat_map(|url| PROXY_NAMES.map(|name| (name, url.clone())));
    proxies.chain(NO_PROXY_NAMES.map(|name| (name, Secret::new(no_proxy.clone())))).collect()
}
