//! The desired proxy settings, and the environment variables that hold them.

use super::no_proxy::merge_no_proxy;
use crate::model::pairs::Pairs;
use crate::model::secret::Secret;
use crate::settings::{Proxy, ProxyUrl};

/// The names of the variables that hold the proxy's URL.
pub const PROXY_NAMES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
/// The names of the variables that hold the NO_PROXY list.
pub const NO_PROXY_NAMES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The desired proxy settings.
#[derive(Clone, Debug)]
pub struct DesiredProxy {
    /// The URL of the proxy, including credentials; `None` without a proxy.
    pub url: Option<Secret>,
    /// The URL without credentials, for messages.
    pub shown: String,
    /// Whether the URL holds a user name or password.
    pub has_credentials: bool,
    /// Hosts, addresses and networks to reach without the proxy.
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
    /// The desired environment without any other NO_PROXY entries, for comparison; the URL's credentials are in it.
    pub fn environment(&self) -> Pairs {
        let right = variables(self, &[]).into_iter();
        right.map(|(name, value)| (name.to_owned(), value.reveal().to_owned())).collect()
    }

    /// The text of the URL, for the formats that write it.
    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_ref().map(Secret::reveal)
    }
}

/// The environment variables for the desired settings: six, or without a proxy the two of NO_PROXY.
///
/// `existing` holds the current values of NO_PROXY, whose entries are kept.
pub fn variables(desired: &DesiredProxy, existing: &[&str]) -> Vec<(&'static str, Secret)> {
    let no_proxy = merge_no_proxy(existing, &desired.no_proxy);
    let proxies = desired.url.iter().flat_map(|url| PROXY_NAMES.map(|name| (name, url.clone())));
    proxies.chain(NO_PROXY_NAMES.map(|name| (name, Secret::new(no_proxy.clone())))).collect()
}
