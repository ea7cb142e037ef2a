//! Client of the IMDS sidecar.
//!
//! The protocol is Azure's (entra-docs, "How to use managed identities to get an access token"). The bodies of the
//! Nexus sidecar are not documented, so a reply is classified by its status first, and JSON is not required.

mod claims;
mod reply;

pub use claims::Claims;
pub use reply::{describe_reply, is_page, proxy_headers, read_token, Refusal};

use std::time::{Duration, SystemTime};

use crate::formats::percent;
use crate::host::link_local::{self, LinkLocalError, LinkLocalReply};
use crate::host::tasks::Task;
use crate::model::secret::Secret;
use crate::settings::Identity;

/// The api-version that is documented for Operator Nexus.
const API_VERSION: &str = "2018-02-01";

/// The path of the sidecar's health page.
pub const HEALTH: &str = "/healthz";

/// The page that the install script and `azcmagent connect` request to detect an Azure VM (install script, "Azure VM"
/// test).
pub const AZURE_VM: &str = "/metadata/instance/compute?api-version=2019-06-01";

/// An access token with its expiry and claims.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token itself.
    pub secret: Secret,
    /// Expiry, from the reply or the token.
    pub expires: Option<SystemTime>,
    /// Claims, for diagnosis only; empty where the token cannot be decoded.
    pub claims: Claims,
}

impl Token {
    /// Whether it expires within `margin`.
    pub fn expires_within(&self, margin: Duration, now: SystemTime) -> bool {
        self.expires.is_some_and(|at| at < now + margin)
    }
}

/// The URL of a token request; values are percent-encoded.
pub fn token_url(endpoint: &str, resource: &str, identity: &Identity) -> String {
    let mut url = format!(
        "{endpoint}/metadata/identity/oauth2/token?api-version={API_VERSION}&resource={}",
        percent::encode(resource)
    );
    let parameter = match identity {
        Identity::System => None,
        Identity::ResourceId(id) => Some(("msi_res_id", id.to_string())),
        Identity::ClientId(id) => Some(("client_id", id.to_string())),
        Identity::ObjectId(id) => Some(("object_id", id.to_string())),
    };
    if let Some((name, value)) = parameter {
        url.push_str(&format!("&{name}={}", percent::encode(&value)));
    }
    url
}

/// Sends one token request.
///
/// # Errors
/// Transport errors; an HTTP error status is not an error.
pub fn request_token(
    endpoint: &str,
    resource: &str,
    identity: &Identity,
    limit: Duration,
) -> Task<'static, Result<LinkLocalReply, LinkLocalError>> {
    link_local::get(token_url(endpoint, resource, identity), limit)
}

/// Requests the sidecar's health page; a reply of any status shows that the sidecar is reachable.
///
/// # Errors
/// Transport errors.
pub fn health(endpoint: &str, limit: Duration) -> Task<'static, Result<LinkLocalReply, LinkLocalError>> {
    link_local::get(format!("{endpoint}{HEALTH}"), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_url_is_the_documented_one() {
        let url = token_url("http://169.254.169.254", "https://management.azure.com/", &Identity::System);
        assert_eq!(
            url,
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
             &resource=https%3A%2F%2Fmanagement.azure.com%2F"
        );
    }

    #[test]
    fn values_of_the_token_url_are_encoded() {
        let url = token_url("http://169.254.169.254", "/a b/ü&=+%", &Identity::System);
        assert!(url.ends_with("&resource=%2Fa%20b%2F%C3%BC%26%3D%2B%25"), "{url}");
    }
}
