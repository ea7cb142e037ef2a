//! Client of Azure Resource Manager: requests with the VM's token, through the host's curl.

mod reply;

pub use reply::{
    classify_refusal, refused_action, role_for, Machine, Permissions, LIST_ACCESS, READ, REGISTER, WRITE,
};

use std::time::Duration;

use crate::formats::json::object;
use crate::host::commands::Commands;
use crate::host::https::{self, HttpsError, HttpsReply, HttpsRequest};
use crate::host::tasks::Task;
use crate::model::secret::Secret;
use crate::settings::{Azure, Cloud, ProxyUrl};

/// Upper limit of the time for one request.
pub const LIMIT: Duration = Duration::from_secs(30);

const MACHINES: &str = "api-version=2024-07-10";

/// Host name of ARM in a cloud.
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
    /// The proxy, where there is one.
    pub proxy: Option<&'a ProxyUrl>,
    /// The target.
    pub azure: &'a Azure,
    /// The token.
    pub token: &'a Secret,
    /// Time limit of one request.
    pub limit: Duration,
}

impl Arm<'_> {
    /// The permissions of the identity in the resource group, one entry per assignment.
    ///
    /// # Errors
    /// There was no response.
    pub fn permissions(&self) -> Answer<'_> {
        let path = "providers/Microsoft.Authorization/permissions?api-version=2022-04-01";
        self.send("GET", &self.in_group(path), None)
    }

    /// The registration of the subscription for Arc.
    ///
    /// # Errors
    /// There was no response.
    pub fn provider(&self) -> Answer<'_> {
        self.send("GET", "providers/Microsoft.HybridCompute?api-version=2021-04-01", None)
    }

    /// The Arc machine of this name.
    ///
    /// # Errors
    /// There was no response.
    pub fn machine(&self, name: &str) -> Answer<'_> {
        self.on_machine("GET", name)
    }

    /// GET or DELETE of the Arc machine of this name; ARM may complete a deletion after its response.
    ///
    /// # Errors
    /// There was no response.
    pub fn on_machine(&self, method: &'static str, name: &str) -> Answer<'_> {
        self.send(method, &self.machine_path(name), None)
    }

    /// Replaces the tags of the Arc machine.
    ///
    /// # Errors
    /// There was no response.
    pub fn set_tags(&self, name: &str) -> Answer<'_> {
        let body = object! { "tags": self.azure.tags }.to_string();
        self.send("PATCH", &self.machine_path(name), Some(body))
    }

    fn in_group(&self, path: &str) -> String {
        format!("resourceGroups/{}/{path}", self.azure.resource_group)
    }

    fn machine_path(&self, name: &str) -> String {
        self.in_group(&format!("providers/Microsoft.HybridCompute/machines/{name}?{MACHINES}"))
    }

    /// Sends one request; `path` is relative to the subscription.
    fn send(&self, method: &'static str, path: &str, json: Option<String>) -> Answer<'_> {
        let azure = self.azure;
        let url = format!("https://{}/subscriptions/{}/{path}", host(azure.cloud), azure.subscription_id);
        Box::pin(async move {
            let (bearer, json) = (Some(self.token), json.as_deref());
            let request = HttpsRequest { method, bearer, json, ..HttpsRequest::get(&url, self.limit) };
            https::send(self.commands, self.proxy, request).await
        })
    }
}

/// A request under way.
type Answer<'a> = Task<'a, Result<HttpsReply, Box<HttpsError>>>;
