//! Azure Resource Manager, asked with the VM's own token by the host's curl: only what the identity may ask.

mod reply;

pub use reply::{
    read_refusal, refused_action, role_of, Machine, Permissions, LIST_ACCESS, READ, REGISTER, WRITE,
};

use std::time::Duration;

use crate::formats::json::object;
use crate::host::commands::Commands;
use crate::host::https::{self, HttpsError, HttpsReply, HttpsRequest};
use crate::model::secret::Secret;
use crate::settings::{Azure, Cloud, ProxyUrl};

/// Time for one call, where the run has that much left.
pub const LIMIT: Duration = Duration::from_secs(30);

const MACHINES: &str = "api-version=2024-07-10";

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
    /// Time for one call.
    pub limit: Duration,
}

impl Arm<'_> {
    /// What the identity may do in the resource group: one entry an assignment.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn permissions(&self) -> Result<HttpsReply, Box<HttpsError>> {
        let path = "providers/Microsoft.Authorization/permissions?api-version=2022-04-01";
        self.send("GET", &self.in_group(path), None).await
    }

    /// Whether the subscription is registered for Arc.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn provider(&self) -> Result<HttpsReply, Box<HttpsError>> {
        self.send("GET", "providers/Microsoft.HybridCompute?api-version=2021-04-01", None).await
    }

    /// The Arc machine of that name.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn machine(&self, name: &str) -> Result<HttpsReply, Box<HttpsError>> {
        self.on_machine("GET", name).await
    }

    /// GET or DELETE of the Arc machine of that name; ARM may go on with a deletion after its answer.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn on_machine(&self, method: &str, name: &str) -> Result<HttpsReply, Box<HttpsError>> {
        self.send(method, &self.machine_path(name), None).await
    }

    /// Replaces the tags of the Arc machine.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn set_tags(&self, name: &str) -> Result<HttpsReply, Box<HttpsError>> {
        let body = object! { "tags": self.azure.tags }.to_string();
        self.send("PATCH", &self.machine_path(name), Some(&body)).await
    }

    fn in_group(&self, path: &str) -> String {
        format!("resourceGroups/{}/{path}", self.azure.resource_group)
    }

    fn machine_path(&self, name: &str) -> String {
        self.in_group(&format!("providers/Microsoft.HybridCompute/machines/{name}?{MACHINES}"))
    }

    /// One call; the path is below the subscription.
    async fn send(
        &self,
        method: &str,
        path: &str,
        json: Option<&str>,
    ) -> Result<HttpsReply, Box<HttpsError>> {
        let azure = self.azure;
        let url = format!("https://{}/subscriptions/{}/{path}", host(azure.cloud), azure.subscription_id);
        let request =
            HttpsRequest { method, bearer: Some(self.token), json, ..HttpsRequest::get(&url, self.limit) };
        https::send(self.commands, self.proxy, request).await
    }
}
