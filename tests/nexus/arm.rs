//! Azure Resource Manager: the calls of an enrolling VM, with ARM's error responses.

use serde_json::{json, Value};

use crate::http1::{play, Answer, Request};
use crate::nexus::spec::{Denial, USER_CLIENT, USER_OBJECT};
use crate::token::{date, epoch, us_date};
use crate::world::State;

/// The relevant actions of the two roles in the guide.
const ONBOARDING: [&str; 5] = [
    "Microsoft.HybridCompute/machines/read",
    "Microsoft.HybridCompute/machines/write",
    "Microsoft.HybridCompute/machines/listAccessDetails/action",
    "Microsoft.HybridCompute/privateLinkScopes/read",
    "Microsoft.GuestConfiguration/guestConfigurationAssignments/read",
];
const AUDIENCES: [&str; 4] = [
    "https://management.azure.com/",
    "https://management.core.windows.net/",
    "https://management.usgovcloudapi.net/",
    "https://management.chinacloudapi.cn/",
];

/// The resource that a path addresses.
#[derive(Debug, PartialEq)]
enum Resource {
    Subscription,
    Group,
    Permissions,
    Machine(String),
    /// A resource that only an operator's az requests.
    Operator(Listing),
    Provider {
        namespace: String,
        register: bool,
    },
    Other,
}

/// The listings that az reads for `precheck`.
#[derive(Debug, PartialEq)]
enum Listing {
    Identities,
    RoleAssignments,
    RoleDefinitions,
}

impl Resource {
    fn route(&self, method: &str) -> String {
        match self {
            Self::Subscription => "subscription".to_owned(),
            Self::Group => "group".to_owned(),
            Self::Permissions => "permissions".to_owned(),
            Self::Operator(_) => "operator".to_owned(),
            Self::Machine(_) => format!("machine.{}", method.to_ascii_lowercase()),
            Self::Provider { .. } => "provider".to_owned(),
            Self::Other => "other".to_owned(),
        }
    }

    fn action(&self, method: &str) -> String {
        match self {
            Self::Subscription => "Microsoft.Resources/subscriptions/read".to_owned(),
            Self::Group => "Microsoft.Resources/subscriptions/resourceGroups/read".to_owned(),
            Self::Permissions => "Microsoft.Authorization/permissions/read".to_owned(),
            Self::Machine(_) => match method {
                "GET" => "Microsoft.HybridCompute/machines/read".to_owned(),
                "DELETE" => "Microsoft.HybridCompute/machines/delete".to_owned(),
                _ => "Microsoft.HybridCompute/machines/write".to_owned(),
            },
            Self::Operator(Listing::Identities) => {
                "Microsoft.ManagedIdentity/userAssignedIdentities/read".to_owned()
            }
            Self::Operator(_) => "Microsoft.Authorization/roleAssignments/read".to_owned(),
            Self::Provider { namespace, register: true } => format!("{namespace}/register/action"),
            Self::Provider { .. } => "Microsoft.Resources/subscriptions/providers/read".to_owned(),
            Self::Other => "Microsoft.Resources/unknown/read".to_owned(),
        }
    }
}

struct Target {
    subscription: String,
    group: Option<String>,
    resource: Resource,
}

/// Answers one request.
pub fn answer(state: &mut State, request: &Request) -> Answer {
    if request.path() == "/subscriptions" {
        return match authenticate(state, request) {
            Ok(_) => Answer::json(200, &json!({"value": [subscription(state)]})),
            Err(refusal) => *refusal,
        };
    }
    let Some(target) = parse(request.path()) else {
        return Answer::json(404, &error("InvalidResourceType", "The resource type could not be found."));
    };
    match state.route(&target.resource.route(&request.method)) {
        Some(act) => play(Some(act), || healthy(state, request, &target)),
        None => healthy(state, request, &target),
    }
}

fn healthy(state: &mut State, request: &Request, target: &Target) -> Answer {
    if !request
        .query()
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("api-version") && !value.is_empty())
    {
        let text = "The api-version query parameter (?api-version=) is required for all requests.";
        return Answer::json(400, &error("MissingApiVersionParameter", text));
    }
    let claims = match authenticate(state, request) {
        Ok(claims) => claims,
        Err(refusal) => return *refusal,
    };
    if !target.subscription.eq_ignore_ascii_case(&state.azure.subscription) {
        return subscription_not_found(&target.subscription);
    }
    if let Some(refusal) = authorize(state, request, target, &claims) {
        return refusal;
    }
    if let Some(group) = &target.group {
        if !group.eq_ignore_ascii_case(&state.azure.resource_group) {
            let text = format!("Resource group '{group}' could not be found.");
            return Answer::json(404, &error("ResourceGroupNotFound", &text));
        }
    }
    serve(state, request, target)
}

fn serve(state: &mut State, request: &Request, target: &Target) -> Answer {
    match &target.resource {
        Resource::Subscription => Answer::json(200, &subscription(state)),
        Resource::Operator(listing) => Answer::json(200, &json!({"value": operator(state, listing)})),
        Resource::Group => {
            let (name, subscription) = (&state.azure.resource_group, &state.azure.subscription);
            let id = format!("/subscriptions/{subscription}/resourceGroups/{name}");
            let body = json!({"id": id, "name": name, "location": state.azure.location,
                "properties": {"provisioningState": "Succeeded"}});
            Answer::json(200, &body)
        }
        Resource::Permissions => {
            let actions = granted(state);
            let entry =
                json!({"actions": actions, "notActions": [], "dataActions": [], "notDataActions": []});
            Answer::json(200, &json!({"value": [entry]}))
        }
        Resource::Provider { namespace, register } => {
            if *register {
                state.azure.providers_registered = true;
            }
            let registration = if state.azure.providers_registered { "Registered" } else { "NotRegistered" };
            Answer::json(200, &json!({"namespace": namespace, "registrationState": registration}))
        }
        Resource::Machine(name) => machine(state, request, name),
        Resource::Other => {
            Answer::json(404, &error("InvalidResourceType", "The resource type could not be found."))
        }
    }
}

fn subscription(state: &State) -> Value {
    let subscription = &state.azure.subscription;
    json!({"id": format!("/subscriptions/{subscription}"), "subscriptionId": subscription,
        "tenantId": state.azure.tenant, "displayName": "Contoso", "state": "Enabled"})
}

/// A user-assigned identity with the guide's first role on the resource group.
fn operator(state: &State, listing: &Listing) -> Value {
    const MANAGER: &str = "f5819b54-e033-4d82-ac66-4fec3cbf3f4c";
    let subscription = format!("/subscriptions/{}", state.azure.subscription);
    let group = format!("{subscription}/resourceGroups/{}", state.azure.resource_group);
    let role = format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/{MANAGER}");
    match listing {
        Listing::Identities => json!([{
            "id": format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/contoso-arc-uami"),
            "name": "contoso-arc-uami", "location": state.azure.location,
            "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
            "properties": {"principalId": USER_OBJECT, "clientId": USER_CLIENT, "tenantId": state.azure.tenant},
        }]),
        Listing::RoleAssignments => json!([{
            "id": format!("{group}/providers/Microsoft.Authorization/roleAssignments/{USER_OBJECT}"),
            "name": USER_OBJECT, "type": "Microsoft.Authorization/roleAssignments",
            "properties": {"principalId": USER_OBJECT, "principalType": "ServicePrincipal", "scope": group,
                "roleDefinitionId": role},
        }]),
        Listing::RoleDefinitions => json!([{
            "id": role, "name": MANAGER, "type": "Microsoft.Authorization/roleDefinitions",
            "properties": {"roleName": "Azure Connected Machine Resource Manager", "type": "BuiltInRole",
                "permissions": [], "assignableScopes": ["/"]},
        }]),
    }
}

/// The claims of a token that ARM accepts.
fn authenticate(state: &State, request: &Request) -> Result<Value, Box<Answer>> {
    let tenant = &state.azure.tenant;
    let refuse = |status, code: &str, text: &str| {
        let challenge = format!(
            "Bearer authorization_uri=\"https://login.windows.net/{tenant}\", error=\"invalid_token\", \
             error_description=\"{text}\""
        );
        Err(Box::new(Answer::json(status, &error(code, text)).with("WWW-Authenticate", &challenge)))
    };
    let Some(authorization) = request.header("authorization") else {
        let text = "Authentication failed. The 'Authorization' header is missing.";
        return refuse(401, "AuthenticationFailed", text);
    };
    let Some(issued) = state.issued(authorization) else {
        return refuse(401, "InvalidAuthenticationToken", "The access token is invalid.");
    };
    let claims = &issued.claims;
    let now = epoch() + state.azure.clock_offset_s;
    let expires = claims["exp"].as_i64().unwrap_or(0);
    if expires < now {
        let text = format!(
            "The access token expiry UTC time '{}' is earlier than current UTC time '{}'.",
            us_date(expires),
            us_date(now)
        );
        return refuse(401, "ExpiredAuthenticationToken", &text);
    }
    let audience = claims["aud"].as_str().unwrap_or("");
    if !AUDIENCES.contains(&audience) {
        let text =
            "The access token has been obtained for wrong audience or resource. It should exactly match \
                    (including forward slash) with one of the allowed audiences \
                    'https://management.core.windows.net/','https://management.azure.com/'.";
        return Err(Box::new(Answer::json(403, &error("InvalidAuthenticationTokenAudience", text))));
    }
    if claims["tid"].as_str() != Some(tenant) {
        return refuse(401, "InvalidAuthenticationTokenTenant", &wrong_tenant(claims, tenant));
    }
    let mut claims = claims.clone();
    claims["number"] = json!(issued.number);
    Ok(claims)
}

fn wrong_tenant(claims: &Value, tenant: &str) -> String {
    format!(
        "The access token is from the wrong issuer '{}'. It must match the tenant \
         'https://sts.windows.net/{tenant}/' associated with this subscription. Please use the authority (URL) \
         'https://login.windows.net/{tenant}' to get the token. Note, if the subscription is transferred to \
         another tenant there is no impact to the services, but information about new tenant could take time \
         to propagate (up to an hour).",
        claims["iss"].as_str().unwrap_or("")
    )
}

/// Refuses a token whose identity has no role yet.
fn authorize(state: &mut State, request: &Request, target: &Target, claims: &Value) -> Option<Answer> {
    let access = state.azure.access.clone();
    let number = claims["number"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let counted =
        state.denied < access.denials || access.never || state.azure_for_ms() < access.denied_for_ms;
    // It is requested concurrently with the permissions, so the order must not matter.
    let is_aside = matches!(target.resource, Resource::Provider { register: false, .. });
    if counted {
        state.denied += u32::from(!is_aside);
        state.stale_tokens.push(number);
    } else {
        let stale = access.fresh_token && state.stale_tokens.contains(&number);
        let action = target.resource.action(&request.method);
        let list = matches!(target.resource, Resource::Permissions);
        let allowed = list || granted(state).iter().any(|pattern| covers(pattern, &action));
        // Listing one's own permissions works with any role.
        if !stale && allowed {
            return None;
        }
    }
    if access.form == Denial::Empty && target.resource == Resource::Permissions {
        return Some(Answer::json(200, &json!({"value": []})));
    }
    if access.form == Denial::SubscriptionNotFound {
        return Some(subscription_not_found(&target.subscription));
    }
    let oid = claims["oid"].as_str().unwrap_or("");
    let action = target.resource.action(&request.method);
    let scope = scope(request.path(), &target.resource);
    let text = format!(
        "The client '{oid}' with object id '{oid}' does not have authorization to perform action '{action}' \
         over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your \
         credentials."
    );
    Some(Answer::json(403, &error("AuthorizationFailed", &text)))
}

fn scope(path: &str, resource: &Resource) -> String {
    match resource {
        Resource::Permissions => path.split("/providers/").next().unwrap_or(path).to_owned(),
        _ => path.to_owned(),
    }
}

fn granted(state: &State) -> Vec<String> {
    match state.azure.access.actions.as_slice() {
        [] => ONBOARDING.map(str::to_owned).to_vec(),
        actions => actions.to_vec(),
    }
}

/// Whether a role's action, which may hold stars, covers a wanted one.
fn covers(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    match pattern.split_once('*') {
        None => pattern == action,
        Some((before, after)) => {
            action.len() >= before.len() + after.len()
                && action.starts_with(before)
                && action.ends_with(after)
        }
    }
}

fn machine(state: &mut State, request: &Request, name: &str) -> Answer {
    let known = state.seen.machines.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
    let missing = || {
        let text = format!(
            "The Resource 'Microsoft.HybridCompute/machines/{name}' under resource group '{}' was not found. \
             For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            state.azure.resource_group
        );
        Answer::json(404, &error("ResourceNotFound", &text))
    };
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    match (request.method.as_str(), known) {
        ("GET", Some(key)) => Answer::json(200, &state.seen.machines[&key]),
        ("GET" | "PATCH", None) => missing(),
        ("PATCH", Some(key)) => {
            let machine = state.seen.machines.entry(key).or_default();
            if let Some(tags) = body.get("tags") {
                machine["tags"] = tags.clone();
            }
            Answer::json(200, machine)
        }
        ("PUT", _) if !state.azure.providers_registered => {
            let text = "The subscription is not registered to use namespace 'Microsoft.HybridCompute'. See \
                        https://aka.ms/rps-not-found for how to register subscriptions.";
            Answer::json(409, &error("MissingSubscriptionRegistration", text))
        }
        ("PUT", known) => put(state, name, known.as_deref(), body),
        ("DELETE", Some(key)) => {
            state.seen.machines.remove(&key);
            Answer::json(200, &json!({}))
        }
        ("DELETE", None) => Answer::new(204, "application/json", ""),
        _ => Answer::json(405, &error("MethodNotAllowed", "The method is not allowed.")),
    }
}

/// Creates or replaces a machine from the request.
fn put(state: &mut State, name: &str, known: Option<&str>, mut body: Value) -> Answer {
    let Some(location) = body["location"].as_str().map(str::to_owned) else {
        return Answer::json(400, &error("LocationRequired", "The location property is required."));
    };
    let plan = &state.azure;
    body["id"] = json!(format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.HybridCompute/machines/{name}",
        plan.subscription, plan.resource_group
    ));
    body["name"] = json!(name);
    body["type"] = json!("Microsoft.HybridCompute/machines");
    body["location"] = json!(location);
    body["identity"] = json!({"type": "SystemAssigned", "tenantId": plan.tenant,
        "principalId": "77777777-7777-4777-8777-777777777777"});
    if !body["properties"].is_object() {
        body["properties"] = json!({});
    }
    body["properties"]["provisioningState"] = json!("Succeeded");
    body["properties"]["lastStatusChange"] = json!(date(epoch(), "T", true));
    if body["properties"]["status"].is_null() {
        body["properties"]["status"] = json!("Connected");
    }
    let key = known.unwrap_or(name).to_owned();
    state.seen.machines.insert(key, body.clone());
    Answer::json(if known.is_some() { 200 } else { 201 }, &body)
}

fn subscription_not_found(subscription: &str) -> Answer {
    let text = format!("The subscription '{subscription}' could not be found.");
    Answer::json(404, &error("SubscriptionNotFound", &text))
}

fn error(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

/// Parses `/subscriptions/S[/resourceGroups/G[/providers/N/T/NAME]]`, ignoring case like ARM.
fn parse(path: &str) -> Option<Target> {
    let parts: Vec<String> = path.trim_matches('/').split('/').map(crate::http1::decode).collect();
    let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    let (group, resource) = match words.as_slice() {
        ["subscriptions", _] => (None, Resource::Subscription),
        ["subscriptions", _, "providers", _] => {
            (None, Resource::Provider { namespace: parts[3].clone(), register: false })
        }
        ["subscriptions", _, "providers", _, "register"] => {
            (None, Resource::Provider { namespace: parts[3].clone(), register: true })
        }
        ["subscriptions", _, "providers", "microsoft.managedidentity", "userassignedidentities"] => {
            (None, Resource::Operator(Listing::Identities))
        }
        ["subscriptions", .., "providers", "microsoft.authorization", "roleassignments"] => {
            (None, Resource::Operator(Listing::RoleAssignments))
        }
        ["subscriptions", .., "providers", "microsoft.authorization", "roledefinitions"] => {
            (None, Resource::Operator(Listing::RoleDefinitions))
        }
        ["subscriptions", _, "resourcegroups", _] => (Some(parts[3].clone()), Resource::Group),
        ["subscriptions", _, "resourcegroups", _, "providers", "microsoft.authorization", "permissions"] => {
            (Some(parts[3].clone()), Resource::Permissions)
        }
        ["subscriptions", _, "resourcegroups", _, "providers", "microsoft.hybridcompute", "machines", _] => {
            (Some(parts[3].clone()), Resource::Machine(parts[7].clone()))
        }
        ["subscriptions", ..] if words.len() > 2 => (None, Resource::Other),
        _ => return None,
    };
    Some(Target { subscription: parts[1].clone(), group, resource })
}
