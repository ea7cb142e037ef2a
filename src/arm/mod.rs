//! Azure Resource Manager, asked with the VM's own token by the host's curl: only what the identity may ask.

mod reply;

pub use reply::{may_write_machines, read_refusal, Permission};

use std::time::Duration;

use crate::host::commands::Commands;
use crate::host::https::{self, HttpsError, Reply, Request};
use crate::secret::Secret;
use crate::settings::{Azure, Cloud, ProxyUrl};

/// Time for one call.
const LIMIT: Duration = Duration::from_secs(30);

/// Host of ARM in a cloud.
pub fn host(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "management.azure.com",
        Cloud::UsGovernment => "management.usgovcloudapi.net",
        Cloud::China => "management.chinacloudapi.cn",
    }
}

/// ARM for one subscription and resource group.
pub struct Arm<'a> {
    /// Runs curl.
    pub commands: &'a Commands,
    /// The proxy to go through.
    pub proxy: Option<&'a ProxyUrl>,
    /// The target.
    pub azure: &'a Azure,
    /// The token.
    pub token: &'a Secret,
}

impl Arm<'_> {
    /// What the identity may do in the resource group: one entry an assignment.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn permissions(&self) -> Result<Reply, HttpsError> {
        let path = "providers/Microsoft.Authorization/permissions?api-version=2022-04-01";
        self.send("GET", path, None).await
    }

    /// The Arc machine of that name.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn machine(&self, name: &str) -> Result<Reply, HttpsError> {
        let path = format!("providers/Microsoft.HybridCompute/machines/{name}?api-version=2024-07-10");
        self.send("GET", &path, None).await
    }

    /// Replaces the tags of the Arc machine.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn set_tags(&self, name: &str) -> Result<Reply, HttpsError> {
        let path = format!("providers/Microsoft.HybridCompute/machines/{name}?api-version=2024-07-10");
        let body = serde_json::json!({ "tags": self.azure.tags }).to_string();
        self.send("PATCH", &path, Some(&body)).await
    }

    async fn send(&self, method: &str, path: &str, json: Option<&str>) -> Result<Reply, HttpsError> {
        let url = format!(
            "https://{}/subscriptions/{}/resourceGroups/{}/{path}",
            host(self.azure.cloud),
            self.azure.subscription_id,
            self.azure.resource_group,
        );
        let request = Request { method, bearer: Some(self.token), json, ..Request::get(&url, LIMIT) };
        https::send(self.commands, self.proxy, request).await
    }
}
