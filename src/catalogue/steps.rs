//! Steps that several faults share.

use crate::model::step::{as_root, ask, on_vm, workstation, Step, Who};

/// Run the same command again, on the VM.
pub const RERUN: Step = as_root("Then run:", "{rerun}");

/// Create the archive for a support request.
pub const REPORT: Step = as_root(
    "If it stays so, report it to Microsoft support, with the archive that this makes:",
    "arc-enroll bundle",
);

/// Edit the configuration.
pub const CORRECT_CONFIG: Step = as_root("Correct {config}", "");

/// Edit the identity in the configuration.
pub const CORRECT_IDENTITY: Step = as_root("Correct identity in {config}", "");

/// Edit the resource that tokens are requested for.
pub const CORRECT_IMDS_RESOURCE: Step =
    as_root("Correct imds.resource in {config}; the default is https://management.azure.com/", "");

/// Edit the proxy in the configuration.
pub const SEE_PROXY_URL: Step =
    as_root("The CSN proxy is always http://169.254.0.11:3128; see proxy.url in {config}", "");

/// Use another distribution.
pub const SUPPORTED_DISTRIBUTION: Step = ask(
    Who::ImageOwner,
    "Use a distribution that azcmagent supports: https://learn.microsoft.com/azure/azure-arc/servers/prerequisites",
);

/// Ship azcmagent with the image.
pub const AGENT_IN_IMAGE: Step =
    ask(Who::ImageOwner, "Or put azcmagent into the image and set agent.install to never in {config}");

/// Show the proxy settings in the system's files; only root may read files with a password.
pub const SHOW_PROXY_SETTINGS: Step =
    as_root("See what is set:", "grep -ri _proxy /etc/environment /etc/profile.d /etc/systemd/system.conf.d");

/// Set the proxy in the present shell.
pub const SET_PROXY_IN_SHELL: Step = as_root("Set it by hand for this shell:", "eval \"$(arc-enroll env)\"");

/// Show the clock.
pub const CHECK_CLOCK: Step = on_vm("Check the clock:", "date -u");

/// Show the network interfaces.
pub const SHOW_INTERFACES: Step = on_vm("See the interfaces:", "ip addr");

/// Ask the IMDS sidecar whether it is healthy.
pub const CHECK_SIDECAR: Step =
    on_vm("Check:", "curl -v --noproxy '*' --max-time 3 -H Metadata:true {imds}/healthz");

/// Show what answers in place of the sidecar.
pub const SHOW_SIDECAR_ANSWER: Step =
    on_vm("See what answers:", "curl -v --noproxy '*' -H Metadata:true {imds}/healthz");

/// Request a token without this program.
pub const REQUEST_TOKEN: Step = on_vm(
    "Compare; the answer may hold a token, which is a secret:",
    "curl -v --noproxy '*' -H Metadata:true {token_url}",
);

/// Show the token's tenant and times.
pub const SHOW_TOKEN: Step = as_root("See the token's tenant and times:", "arc-enroll token --output json");

/// Restart the VM, and its sidecar with it.
pub const RESTART_VM: Step = workstation(
    Who::VmContributor,
    "If it stays so, the sidecar beside this VM is down; restart the VM:",
    "az networkcloud virtualmachine restart --name {vm} --resource-group \"$VM_RESOURCE_GROUP\"",
);

/// Show the VM's identities.
pub const SHOW_VM_IDENTITY: Step = workstation(
    Who::Reader,
    "See what the VM has:",
    "az networkcloud virtualmachine show --name {vm} --resource-group \"$VM_RESOURCE_GROUP\" --query identity",
);

/// Show the three ids of an identity.
pub const SHOW_IDENTITY_IDS: Step = workstation(
    Who::Reader,
    "See the ids of an identity:",
    "az identity show --ids ID --query \"{resource_id:id, client_id:clientId, object_id:principalId}\"",
);

/// Show the subscription's tenant.
pub const SHOW_TENANT: Step = workstation(
    Who::SignedIn,
    "See the subscription's tenant:",
    "az account show --subscription {subscription_id} --query tenantId",
);

/// Open a tunnel through the CSN proxy.
pub const CHECK_PROXY: Step =
    on_vm("Check:", "curl -v --proxy {proxy} --max-time 10 -I https://management.azure.com/");

/// Ask an endpoint through the CSN proxy.
pub const CHECK_ENDPOINT: Step =
    on_vm("Check:", "curl -v --proxy {proxy} --max-time 20 -I https://{endpoint}/");

/// Show the egress list of the cloud services network.
pub const SHOW_CSN_EGRESS: Step = workstation(
    Who::Reader,
    "See what is enabled:",
    "az networkcloud cloudservicesnetwork show --name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\" --query \"{defaults:enableDefaultEgressEndpoints, additional:additionalEgressEndpoints, enabled:enabledEgressEndpoints}\"",
);

/// The endpoints that the cloud services network has to allow.
pub const ALLOW_ENDPOINTS: Step = ask(Who::NetworkOwner, "Allow these: {endpoints}");

/// Assign the role that enrolls.
pub const ASSIGN_RESOURCE_MANAGER: Step = workstation(
    Who::UserAccessAdministrator,
    "Assign the role that may create the Arc machine:",
    "az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"Azure Connected Machine Resource Manager\" --scope {scope}",
);

/// Assign the role that lists access details.
pub const ASSIGN_LIST_ACCESS: Step = workstation(
    Who::UserAccessAdministrator,
    "Assign the role that may list its access details:",
    "az role assignment create --assignee-object-id {principal_id} --assignee-principal-type ServicePrincipal --role \"HybridCompute Machine ListAccessDetails Action\" --scope {scope}",
);

/// Show the identity's roles.
pub const SHOW_ROLES: Step = workstation(
    Who::Reader,
    "See what roles it has:",
    "az role assignment list --assignee {principal_id} --all",
);

/// Register the provider of Arc machines.
pub const REGISTER_HYBRID_COMPUTE: Step = workstation(
    Who::SubscriptionContributor,
    "Register the provider of Arc machines:",
    "az provider register --namespace Microsoft.HybridCompute --subscription {subscription_id} --wait",
);

/// Register the provider of guest configuration.
pub const REGISTER_GUEST_CONFIGURATION: Step = workstation(
    Who::SubscriptionContributor,
    "Register the provider of guest configuration:",
    "az provider register --namespace Microsoft.GuestConfiguration --subscription {subscription_id} --wait",
);

/// Register the provider of connections to Arc machines.
pub const REGISTER_HYBRID_CONNECTIVITY: Step = workstation(
    Who::SubscriptionContributor,
    "Register the provider of connections to them:",
    "az provider register --namespace Microsoft.HybridConnectivity --subscription {subscription_id} --wait",
);

/// Show the log of azcmagent's service.
pub const SHOW_HIMDS_LOG: Step = as_root("See its log:", "journalctl -u himdsd -n 50");

/// Set azcmagent's own proxy.
pub const SET_AGENT_PROXY: Step = as_root("Set it by hand:", "azcmagent config set proxy.url {proxy}");

/// Show azcmagent's state.
pub const SHOW_AGENT: Step = as_root("See what azcmagent says:", "azcmagent show");

/// Let azcmagent check its endpoints.
pub const CHECK_CONNECTIVITY: Step =
    as_root("See which endpoints it reaches:", "azcmagent check --location {location}");

/// Remove azcmagent's state on the VM, without a change in Azure.
pub const CLEAR_LOCAL_STATE: Step =
    as_root("Remove azcmagent's state on this VM:", "azcmagent disconnect --force-local-only");

/// Show the Arc machine.
pub const SHOW_ARC_MACHINE: Step = workstation(
    Who::Reader,
    "See the Arc machine:",
    "az connectedmachine show --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}",
);

/// Delete the Arc machine.
pub const DELETE_ARC_MACHINE: Step = workstation(
    Who::ArcAdministrator,
    "Delete the Arc machine:",
    "az connectedmachine delete --name {resource_name} --resource-group {resource_group} --subscription {subscription_id}",
);
