//! Interprets ARM's replies; unknown members are ignored, and unknown errors are reported unchanged.

use serde_json::Value;

use crate::catalogue;
use crate::host::https::HttpsReply;
use crate::model::fault::{Fault, FaultKind};
use crate::model::secret::Mask;

/// The action that creates an Arc machine.
pub const WRITE: &str = "Microsoft.HybridCompute/machines/write";

/// The action by which azcmagent first looks for a machine of the same name.
pub const READ: &str = "Microsoft.HybridCompute/machines/read";

/// The action of the second role in the guide.
pub const LIST_ACCESS: &str = "Microsoft.HybridCompute/machines/listAccessDetails/action";

/// The action that registers the subscription for Arc.
pub const REGISTER: &str = "Microsoft.HybridCompute/register/action";

/// The role in the guide that includes an action; `None` where neither does.
pub fn role_for(action: &str) -> Option<&'static str> {
    let action = action.to_ascii_lowercase();
    if action == LIST_ACCESS.to_ascii_lowercase() {
        Some("HybridCompute Machine ListAccessDetails Action")
    } else {
        let is_of_machines = action.starts_with("microsoft.hybridcompute/machines/");
        is_of_machines.then_some("Azure Connected Machine Resource Manager")
    }
}

/// The action in an error message: `… does not have authorization to perform action '…'`.
pub fn refused_action(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("perform action")?;
    let rest = rest.trim_start().strip_prefix(['\'', '"', '`'])?;
    rest.split(['\'', '"', '`']).next().filter(|action| action.contains('/'))
}

/// The permissions of an identity, one entry per assignment.
#[derive(Clone, Debug)]
pub struct Permissions {
    assignments: Vec<Value>,
    is_complete: bool,
}

impl Permissions {
    /// Parses a listing; `None` where it is malformed.
    pub fn parse(body: &str) -> Option<Self> {
        Self::from_listing(serde_json::from_str(body).ok()?)
    }

    /// Converts a parsed listing; `None` where it is malformed.
    pub fn from_listing(mut listing: Value) -> Option<Self> {
        let more = listing.get("nextLink").and_then(Value::as_str).is_some_and(|link| !link.is_empty());
        match listing.get_mut("value")?.take() {
            Value::Array(assignments) => Some(Self { assignments, is_complete: !more }),
            _ => None,
        }
    }

    /// Whether an assignment allows an action: in its `actions` and not in its `notActions`.
    pub fn grants(&self, action: &str) -> bool {
        let grants = |assignment: &Value| {
            matches_any(assignment.get("actions"), action)
                && !matches_any(assignment.get("notActions"), action)
        };
        self.assignments.iter().any(grants)
    }

    /// Whether an action is known to be not allowed; an incomplete listing does not tell.
    pub fn lacks(&self, action: &str) -> bool {
        self.is_complete && !self.grants(action)
    }

    /// Some of the allowed actions, for a message.
    pub fn describe_actions(&self) -> String {
        let actions = self.assignments.iter().filter_map(|one| one.get("actions")?.as_array()).flatten();
        let names: Vec<&str> = actions.filter_map(Value::as_str).take(8).collect();
        if names.is_empty() {
            "none at all".to_owned()
        } else {
            format!("only {}", names.join(", "))
        }
    }
}

/// An Arc machine in ARM (azure-mgmt-hybridcompute, model Machine).
#[derive(Debug, Default)]
pub struct Machine {
    /// `Connected`, `Disconnected`, `Expired`, `Error` …
    pub status: String,
    /// Id of the VM that created it.
    pub vm_id: String,
    /// Time of the last change of status.
    pub changed: String,
    /// Reason of the status, with the error of the agent.
    pub reason: String,
}

impl Machine {
    /// Parses a machine; missing members are empty.
    pub fn parse(body: &str) -> Self {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |name: &str| match body.get("properties").and_then(|properties| properties.get(name)) {
            Some(Value::String(text)) => excerpt(text),
            Some(Value::Null) | None => String::new(),
            Some(other) => excerpt(&other.to_string()),
        };
        let reason = [text("statusReason"), text("errorDetails")].join(" ");
        let reason = reason.trim().trim_matches(['[', ']']).to_owned();
        Self { status: text("status"), vm_id: text("vmId"), changed: text("lastStatusChange"), reason }
    }
}

/// Whether a list of action patterns matches an action; `*` matches any text, and letter case is ignored.
fn matches_any(patterns: Option<&Value>, action: &str) -> bool {
    let patterns = patterns.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    patterns
        .iter()
        .filter_map(Value::as_str)
        .any(|pattern| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| matches(after, rest))
        }),
    }
}

/// Classifies an error reply of ARM; `None` where the reply is a success or an unknown error.
pub fn classify_refusal(reply: &HttpsReply) -> Option<Fault> {
    if (200..300).contains(&reply.status) {
        return None;
    }
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let member = |name: &str| {
        let error = body.get("error").unwrap_or(&body);
        error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (code, message) = (member("code"), member("message"));
    let kind: &'static FaultKind = match (reply.status, code.as_str()) {
        (_, "InvalidAuthenticationTokenTenant") => &catalogue::IDENTITY_TENANT,
        (_, "InvalidAuthenticationTokenAudience") => &catalogue::IDENTITY_AUDIENCE,
        (401, _) | (_, "InvalidAuthenticationToken" | "ExpiredAuthenticationToken") => {
            &catalogue::IDENTITY_TOKEN_REJECTED
        }
        (_, "RequestDisallowedByPolicy") => &catalogue::ACCESS_POLICY,
        (_, "ScopeLocked") => &catalogue::ACCESS_LOCK,
        (_, "MissingSubscriptionRegistration") => &catalogue::ACCESS_PROVIDER,
        (_, "ResourceGroupNotFound") => &catalogue::ACCESS_GROUP,
        (_, "SubscriptionNotFound" | "InvalidSubscriptionId") => &catalogue::ACCESS_SUBSCRIPTION,
        (_, "ReadOnlyDisabledSubscription" | "SubscriptionDisabled") => {
            &catalogue::ACCESS_SUBSCRIPTION_DISABLED
        }
        (_, code) if code.ends_with("QuotaExceeded") => &catalogue::ACCESS_QUOTA,
        (_, "AuthorizationFailed" | "LinkedAuthorizationFailed") => match refused_action(&message) {
            Some(action) if action.eq_ignore_ascii_case(LIST_ACCESS) => &catalogue::ACCESS_LIST_ROLE,
            _ => &catalogue::ACCESS_ROLE,
        },
        _ => return None,
    };
    Some(kind.with_evidence(excerpt(&format!("HTTP {} {code}: {message}", reply.status))))
}

/// A text of ARM, truncated and redacted.
fn excerpt(text: &str) -> String {
    Mask::default().apply(text).chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(actions: &str, not_actions: &str) -> String {
        format!(r#"{{"value":[{{"actions":[{actions}],"notActions":[{not_actions}],"dataActions":[]}}]}}"#)
    }

    #[test]
    fn wildcards_and_not_actions_are_applied() {
        for (actions, not_actions, granted) in [
            (r#""Microsoft.HybridCompute/machines/write""#, "", true),
            (r#""microsoft.hybridcompute/MACHINES/write""#, "", true),
            (r#""*""#, "", true),
            (r#""Microsoft.HybridCompute/*""#, "", true),
            (r#""Microsoft.HybridCompute/*/write""#, "", true),
            (r#""*/read""#, "", false),
            (r#""Microsoft.HybridCompute/machines/read""#, "", false),
            (r#""*""#, r#""Microsoft.HybridCompute/machines/*""#, false),
        ] {
            let permissions = Permissions::parse(&listing(actions, not_actions)).unwrap();
            assert_eq!(permissions.grants(WRITE), granted, "{actions} without {not_actions}");
            assert_eq!(permissions.lacks(WRITE), !granted);
        }
    }

    #[test]
    fn not_actions_of_one_assignment_do_not_affect_another() {
        let body = r#"{"value":[{"actions":["*"],"notActions":["*/write"]},
                                {"actions":["Microsoft.HybridCompute/machines/*"]}]}"#;
        assert!(Permissions::parse(body).unwrap().grants(WRITE));
    }

    #[test]
    fn an_empty_listing_lacks_every_action_and_a_malformed_one_is_none() {
        let empty = Permissions::parse(r#"{"value":[]}"#).unwrap();
        assert!(empty.lacks(WRITE) && empty.describe_actions() == "none at all");
        for body in ["", "[]", "<html>", "{}", r#"{"value":"x"}"#, r#"{"value":null}"#] {
            assert!(Permissions::parse(body).is_none(), "{body}");
        }
        let first_page =
            Permissions::parse(r#"{"value":[7,{"actions":null}],"nextLink":"https://x"}"#).unwrap();
        assert!(!first_page.grants(WRITE) && !first_page.lacks(WRITE));
    }

    #[test]
    fn the_refused_action_is_parsed() {
        let text = "The client 'x' does not have authorization to perform action \
                    'Microsoft.HybridCompute/machines/read' over scope '/x'";
        assert_eq!(refused_action(text), Some(READ));
        for text in ["", "perform action", "perform action 'x", "perform action ' ' over", "perform action é"]
        {
            assert_eq!(refused_action(text), None, "{text}");
        }
        assert_ne!(role_for(LIST_ACCESS), role_for(WRITE));
        assert_eq!((role_for(READ), role_for("Microsoft.Compute/x")), (role_for(WRITE), None));
    }

    #[test]
    fn machines_are_parsed() {
        let body = r#"{"properties":{"status":"Expired","vmId":"v","lastStatusChange":"t",
                       "errorDetails":[{"code":"429","message":"Too Many Requests"}]}}"#;
        let machine = Machine::parse(body);
        assert_eq!(
            (machine.status.as_str(), machine.vm_id.as_str(), machine.changed.as_str()),
            ("Expired", "v", "t")
        );
        assert!(machine.reason.contains("Too Many Requests"), "{}", machine.reason);
        for body in ["", "null", "[]", "{\"properties\":7}", "{\"properties\":{\"status\":{\"a\":[]}}}"] {
            assert!(Machine::parse(body).vm_id.is_empty(), "{body}");
        }
    }

    #[test]
    fn refusals_are_classified() {
        let fault = |status, code: &str| {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"words"}}}}"#);
            classify_refusal(&HttpsReply { status, body }).map(|fault| fault.code())
        };
        assert_eq!(fault(403, "AuthorizationFailed"), Some("access.role-missing"));
        assert_eq!(fault(401, "ExpiredAuthenticationToken"), Some("identity.token-rejected"));
        assert_eq!(fault(401, "InvalidAuthenticationTokenTenant"), Some("identity.wrong-tenant"));
        assert_eq!(fault(404, "ResourceGroupNotFound"), Some("access.resource-group-missing"));
        assert_eq!(fault(409, "MissingSubscriptionRegistration"), Some("access.provider-unregistered"));
        assert_eq!(fault(409, "ReadOnlyDisabledSubscription"), Some("access.subscription-disabled"));
        assert_eq!(fault(403, "ResourceQuotaExceeded"), Some("access.quota"));
        assert_eq!(fault(500, "InternalServerError"), None);
        assert_eq!(fault(200, "AuthorizationFailed"), None);
        let empty = HttpsReply { status: 401, body: String::new() };
        assert_eq!(classify_refusal(&empty).unwrap().code(), "identity.token-rejected");
    }
}
