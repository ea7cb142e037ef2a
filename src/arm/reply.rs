//! What ARM's replies mean; unknown members are ignored, unknown errors passed on in ARM's own words.

use serde_json::Value;

use crate::fault::{self, Entry, Fault};
use crate::host::https::Reply;
use crate::secret::Mask;

/// The action without which no Arc machine can be made.
const WRITE: &str = "Microsoft.HybridCompute/machines/write";

/// Whether an identity may make Arc machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Granted,
    /// It may not, or not yet: the actions that it has instead.
    Missing(String),
    /// The reply does not say.
    Unknown,
}

/// Reads a listing of permissions: the union over the assignments of actions without their exceptions.
pub fn may_write_machines(body: &str) -> Permission {
    let Ok(listing) = serde_json::from_str::<Value>(body) else { return Permission::Unknown };
    let Some(assignments) = listing.get("value").and_then(Value::as_array) else {
        return Permission::Unknown;
    };
    let grants = |assignment: &Value| {
        matches_any(assignment.get("actions"), WRITE) && !matches_any(assignment.get("notActions"), WRITE)
    };
    if assignments.iter().any(grants) {
        return Permission::Granted;
    }
    if listing.get("nextLink").and_then(Value::as_str).is_some_and(|link| !link.is_empty()) {
        return Permission::Unknown;
    }
    let actions = assignments.iter().filter_map(|assignment| assignment.get("actions")?.as_array()).flatten();
    let names: Vec<&str> = actions.filter_map(Value::as_str).take(8).collect();
    Permission::Missing(names.join(", "))
}

/// Whether a list of action patterns covers an action; `*` stands for anything, letter case does not count.
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

/// The fault that a refusal of ARM stands for; `None` when the reply is none or not telling.
pub fn read_refusal(reply: &Reply) -> Option<Fault> {
    if (200..300).contains(&reply.status) {
        return None;
    }
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let member = |name: &str| {
        let error = body.get("error").unwrap_or(&body);
        error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (code, message) = (member("code"), member("message"));
    let entry: &'static Entry = match (reply.status, code.as_str()) {
        (_, "InvalidAuthenticationTokenTenant") => &fault::IDENTITY_TENANT,
        (_, "InvalidAuthenticationTokenAudience") => &fault::IDENTITY_AUDIENCE,
        (401, _) | (_, "InvalidAuthenticationToken" | "ExpiredAuthenticationToken") => {
            &fault::IDENTITY_TOKEN_REJECTED
        }
        (_, "RequestDisallowedByPolicy") => &fault::ACCESS_POLICY,
        (_, "ScopeLocked") => &fault::ACCESS_LOCK,
        (_, "MissingSubscriptionRegistration") => &fault::ACCESS_PROVIDER,
        (_, "ResourceGroupNotFound") => &fault::ACCESS_GROUP,
        (_, "SubscriptionNotFound") => &fault::ACCESS_SUBSCRIPTION,
        (_, "AuthorizationFailed" | "LinkedAuthorizationFailed") => &fault::ACCESS_ROLE,
        _ => return None,
    };
    Some(entry.seen(excerpt(&format!("HTTP {} {code}: {message}", reply.status))))
}

/// ARM's words, short and without secrets.
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
    fn wildcards_and_exceptions() {
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
            let permission = may_write_machines(&listing(actions, not_actions));
            assert_eq!(permission == Permission::Granted, granted, "{actions} without {not_actions}");
        }
    }

    #[test]
    fn an_exception_of_one_assignment_does_not_touch_another() {
        let body = r#"{"value":[{"actions":["*"],"notActions":["*/write"]},
                                {"actions":["Microsoft.HybridCompute/machines/*"]}]}"#;
        assert_eq!(may_write_machines(body), Permission::Granted);
    }

    #[test]
    fn an_empty_listing_is_missing_and_nonsense_is_unknown() {
        assert_eq!(may_write_machines(r#"{"value":[]}"#), Permission::Missing(String::new()));
        for body in ["", "[]", "<html>", r#"{"value":"x"}"#, r#"{"value":[],"nextLink":"https://x"}"#] {
            assert_eq!(may_write_machines(body), Permission::Unknown, "{body}");
        }
    }

    #[test]
    fn refusals_are_named() {
        let fault = |status, code: &str| {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"words"}}}}"#);
            read_refusal(&Reply { status, body }).map(|fault| fault.code())
        };
        assert_eq!(fault(403, "AuthorizationFailed"), Some("access.role-missing"));
        assert_eq!(fault(401, "ExpiredAuthenticationToken"), Some("identity.token-rejected"));
        assert_eq!(fault(401, "InvalidAuthenticationTokenTenant"), Some("identity.wrong-tenant"));
        assert_eq!(fault(404, "ResourceGroupNotFound"), Some("access.resource-group-missing"));
        assert_eq!(fault(409, "MissingSubscriptionRegistration"), Some("access.provider-unregistered"));
        assert_eq!(fault(500, "InternalServerError"), None);
        assert_eq!(fault(200, "AuthorizationFailed"), None);
        let empty = Reply { status: 401, body: String::new() };
        assert_eq!(read_refusal(&empty).unwrap().code(), "identity.token-rejected");
    }
}
