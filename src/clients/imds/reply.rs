//! Interprets replies of the token endpoint: by status first, and tolerant of every known form.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::claims::seconds;
use super::{Claims, Token};
use crate::host::commands::contains_any;
use crate::host::link_local::LinkLocalReply;
use crate::model::secret::{Mask, Secret};

/// Why a reply has no token, classified by remediation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A proxy responded: Via, X-Squid-Error …
    Proxied,
    /// An HTML page: something other than IMDS responded.
    Page,
    /// 400 "Identity not found": not yet available, or not assigned.
    IdentityNotFound,
    /// 400 "Multiple user assigned identities exist".
    SeveralIdentities,
    /// 400 `invalid_resource`.
    InvalidResource,
    /// 400 about the Metadata header, which every request has.
    HeaderMissing,
    /// 400 about the format of the identity's id.
    MalformedId,
    /// 400 about the api-version, or 405: the request is invalid.
    InvalidRequest,
    /// 401 `unknown_source`.
    UnknownSource,
    /// 404, 408: not available yet.
    NotReady,
    /// 410: being updated.
    Updating,
    /// 429.
    Throttled,
    /// 5xx.
    ServerError,
    /// Any other 4xx.
    Refused,
    /// 2xx or 3xx without a token.
    Unreadable,
}

/// Longest excerpt of a reply, in characters.
const EXCERPT: usize = 300;

/// Reads the token of a reply.
///
/// # Errors
/// Why there is no token.
pub fn read_token(reply: &LinkLocalReply, now: SystemTime) -> Result<Token, Refusal> {
    if proxy_headers(reply).is_some() {
        return Err(Refusal::Proxied);
    }
    if is_page(reply) {
        return Err(Refusal::Page);
    }
    if reply.status == 200 {
        return parse_token(&reply.body, now).ok_or(Refusal::Unreadable);
    }
    Err(classify(reply.status, &reply.body))
}

/// The header fields that show a proxy between the VM and IMDS; `None` where there are none.
pub fn proxy_headers(reply: &LinkLocalReply) -> Option<String> {
    let is_of_proxy =
        |name: &str| matches!(name, "via" | "x-squid-error" | "x-cache") || name.starts_with("proxy-");
    let headers = reply.headers.iter().filter(|(name, _)| is_of_proxy(name));
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
    (!headers.is_empty()).then(|| headers.join(", "))
}

/// Whether a reply is an HTML page, which IMDS never returns.
pub fn is_page(reply: &LinkLocalReply) -> bool {
    let page = reply.body.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).to_ascii_lowercase();
    let content_type = reply.header("content-type").unwrap_or_default().to_ascii_lowercase();
    content_type.contains("text/html") || page.starts_with("<!doctype html") || page.starts_with("<html")
}

/// The status, and the error members or the beginning of the body, redacted.
pub fn describe_reply(reply: &LinkLocalReply) -> String {
    let parsed: Option<Value> = serde_json::from_str(strip_bom(&reply.body)).ok();
    let member = |name: &str| parsed.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let text = match (member("error"), member("error_description")) {
        (Some(error), Some(description)) => format!("{error}: {description}"),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => reply.body.clone(),
    };
    let text = Mask::default().apply(&text);
    let printable: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT).collect();
    match printable.trim() {
        "" => format!("HTTP {}, an empty body", reply.status),
        text => format!("HTTP {}, {text}", reply.status),
    }
}

/// Statuses and patterns in the body that identify a refusal; the first match decides.
const BODY_PATTERNS: [(&[u16], &[&str], Refusal); 8] = [
    (
        // All three statuses have been observed with these texts.
        &[400, 403, 404],
        &[
            "identity not found",
            "no managed identity",
            "no azure identity",
            "not been assigned",
            "not assigned to",
        ],
        Refusal::IdentityNotFound,
    ),
    (&[400], &["multiple user assigned", "multiple user-assigned"], Refusal::SeveralIdentities),
    (&[400], &["invalid_resource", "aadsts500011", "aadsts50001"], Refusal::InvalidResource),
    // IMDS accepts requests of the VM itself only (IMDS documentation, "Proxies").
    (&[400], &["forwarded"], Refusal::UnknownSource),
    // The error of a forwarder that cannot reach IMDS, such as a desktop's container host.
    (&[403, 502], &["connecting to 169.254"], Refusal::Proxied),
    (&[400], &["metadata header", "bad_request_102"], Refusal::HeaderMissing),
    (&[400], &["api-version"], Refusal::InvalidRequest),
    (&[400], &ID_NAMES, Refusal::MalformedId),
];

/// The parameter names of an id.
const ID_NAMES: [&str; 8] =
    ["client_id", "clientid", "client id", "object_id", "objectid", "object id", "msi_res_id", "resource id"];

/// Patterns of a 400 about the format of an id; no text of it is documented.
const ID_FAULTS: [&str; 6] = ["malformed", "invalid", "format", "not a valid", "not valid", "guid"];

fn classify(status: u16, body: &str) -> Refusal {
    let text = body.to_ascii_lowercase();
    for (statuses, patterns, refusal) in BODY_PATTERNS {
        // `invalid_request` occurs in nearly every reply and is not about an id.
        let fits =
            refusal != Refusal::MalformedId || contains_any(&text.replace("invalid_request", ""), &ID_FAULTS);
        if fits && statuses.contains(&status) && contains_any(&text, patterns) {
            return refusal;
        }
    }
    match status {
        401 => Refusal::UnknownSource,
        404 | 408 => Refusal::NotReady,
        407 => Refusal::Proxied,
        405 => Refusal::InvalidRequest,
        410 => Refusal::Updating,
        429 => Refusal::Throttled,
        500..=599 => Refusal::ServerError,
        400..=499 => Refusal::Refused,
        _ => Refusal::Unreadable,
    }
}

fn strip_bom(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim()
}

/// Parses the body: only `access_token` is required; the expiry is taken from the first form that parses.
fn parse_token(body: &str, now: SystemTime) -> Option<Token> {
    let Value::Object(members) = serde_json::from_str(strip_bom(body)).ok()? else { return None };
    let text = members.get("access_token")?.as_str()?.trim();
    // A value with control characters or spaces cannot be sent in a header, so it is not a token.
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return None;
    }
    let claims = Claims::of(text);
    let from_claims = || claims.exp.and_then(epoch);
    let in_seconds =
        || members.get("expires_in").and_then(seconds).map(|left| now + Duration::from_secs(left));
    let expires = members.get("expires_on").and_then(parse_expiry).or_else(from_claims).or_else(in_seconds);
    Some(Token { secret: Secret::new(text), expires, claims })
}

fn epoch(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Parses `expires_on` in the known forms (azure-cli issue 20219): seconds as text or number, an ISO time with or without
/// a zone, and `MM/DD/YYYY hh:mm:ss +00:00`.
fn parse_expiry(value: &Value) -> Option<SystemTime> {
    if let Some(number) = seconds(value) {
        return epoch(number);
    }
    let text = value.as_str()?.trim();
    if let Ok(time) = humantime::parse_rfc3339_weak(text.trim_end_matches("+00:00")) {
        return Some(time);
    }
    let (date, rest) = text.split_once(' ')?;
    let mut parts = date.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    let mut words = rest.split(' ');
    let clock = words.next()?;
    let half = words.next();
    let (hour, minutes) = clock.split_once(':')?;
    let hour: u32 = hour.parse().ok()?;
    // Without AM or PM the hours are those of a day.
    let hour = match half {
        Some(half) if half.eq_ignore_ascii_case("pm") => hour % 12 + 12,
        Some(half) if half.eq_ignore_ascii_case("am") => hour % 12,
        _ => hour,
    };
    humantime::parse_rfc3339_weak(&format!("{year:0>4}-{month:0>2}-{day:0>2} {hour:02}:{minutes}")).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> LinkLocalReply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        LinkLocalReply { status, headers, body: body.to_owned() }
    }

    fn refusal(status: u16, body: &str) -> Refusal {
        read_token(&reply(status, &[], body), SystemTime::now()).unwrap_err()
    }

    #[test]
    fn refusals_are_classified_by_status_and_body() {
        let error = |text: &str| format!(r#"{{"error":"invalid_request","error_description":"{text}"}}"#);
        let table = [
            (400, error("Identity not found"), Refusal::IdentityNotFound),
            (404, error("Identity not found"), Refusal::IdentityNotFound),
            (403, "no azure identity found for request clientID x".to_owned(), Refusal::IdentityNotFound),
            (
                400,
                error("The requested identity has not been assigned to this resource"),
                Refusal::IdentityNotFound,
            ),
            (
                400,
                error("Multiple user-assigned identities: name one by client_id"),
                Refusal::SeveralIdentities,
            ),
            (
                400,
                error("Multiple user assigned identities exist, please specify"),
                Refusal::SeveralIdentities,
            ),
            (400, r#"{"error":"invalid_resource"}"#.to_owned(), Refusal::InvalidResource),
            (400, error("AADSTS500011: principal not found"), Refusal::InvalidResource),
            (400, error("Required metadata header not specified"), Refusal::HeaderMissing),
            (400, error("Forwarded requests are not allowed"), Refusal::UnknownSource),
            (403, "connecting to 169.254.169.254:80: unreachable network".to_owned(), Refusal::Proxied),
            (400, r#"{"error":"bad_request_102"}"#.to_owned(), Refusal::HeaderMissing),
            (400, error("client_id is not a valid GUID"), Refusal::MalformedId),
            (400, error("Invalid msi_res_id"), Refusal::MalformedId),
            (400, error("Required audience parameter not specified"), Refusal::Refused),
            (
                400,
                r#"{"error":"Bad request. api-version is invalid","newest-versions":[]}"#.to_owned(),
                Refusal::InvalidRequest,
            ),
            (400, String::new(), Refusal::Refused),
            (401, error("Unknown Source"), Refusal::UnknownSource),
            (403, "no".to_owned(), Refusal::Refused),
            (404, String::new(), Refusal::NotReady),
            (405, String::new(), Refusal::InvalidRequest),
            (408, String::new(), Refusal::NotReady),
            (410, String::new(), Refusal::Updating),
            (429, String::new(), Refusal::Throttled),
            (500, "pod list is empty".to_owned(), Refusal::ServerError),
            (503, String::new(), Refusal::ServerError),
            (200, String::new(), Refusal::Unreadable),
            (200, r#"{"access_token":"eyJ0"#.to_owned(), Refusal::Unreadable),
            (200, r#"{"access_token":""}"#.to_owned(), Refusal::Unreadable),
            (200, r#"{"access_token":"a\nb"}"#.to_owned(), Refusal::Unreadable),
            (302, String::new(), Refusal::Unreadable),
        ];
        for (status, body, expected) in table {
            assert_eq!(refusal(status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_proxy_is_recognized_with_any_status() {
        let squid = reply(503, &[("x-squid-error", "ERR_CANNOT_FORWARD 111")], "<html>");
        assert_eq!(read_token(&squid, SystemTime::now()).unwrap_err(), Refusal::Proxied);
        let page = reply(200, &[], "\n <!DOCTYPE HTML><html>");
        assert_eq!(read_token(&page, SystemTime::now()).unwrap_err(), Refusal::Page);
        let page = reply(503, &[("content-type", "Text/HTML; charset=utf-8")], "Sign in");
        assert_eq!(read_token(&page, SystemTime::now()).unwrap_err(), Refusal::Page);
        let via = reply(200, &[("via", "1.1 proxy")], r#"{"access_token":"abc"}"#);
        assert_eq!(read_token(&via, SystemTime::now()).unwrap_err(), Refusal::Proxied);
    }

    #[test]
    fn the_expiry_is_parsed_in_every_known_form() {
        let at = epoch(1_760_086_700);
        for shape in [
            r#""1760086700""#,
            "1760086700",
            "1760086700.0",
            r#""2025-10-10T08:58:20Z""#,
            r#""2025-10-10 08:58:20""#,
            r#""10/10/2025 08:58:20 +00:00""#,
            r#""10/10/2025 8:58:20 AM +00:00""#,
        ] {
            let body = format!(r#"{{"access_token":"opaque","expires_on":{shape},"unknown":[1]}}"#);
            let token = read_token(&reply(200, &[], &body), SystemTime::now()).unwrap();
            assert_eq!(token.expires, at, "{shape}");
        }
    }

    #[test]
    fn twelve_o_clock_is_read_with_its_half_of_the_day() {
        for (shape, clock) in
            [("12:05:00 AM", "00:05:00"), ("12:05:00 PM", "12:05:00"), ("1:05:00 PM", "13:05:00")]
        {
            let at = humantime::parse_rfc3339(&format!("2025-10-10T{clock}Z")).ok();
            assert_eq!(parse_expiry(&json!(format!("10/10/2025 {shape} +00:00"))), at, "{shape}");
        }
    }

    #[test]
    fn expires_in_is_used_where_expires_on_is_unreadable() {
        let now = SystemTime::now();
        let body = "\u{feff}{\"access_token\":\"opaque\",\"expires_on\":\"soon\",\"expires_in\":\"60\"}";
        let token = read_token(&reply(200, &[], body), now).unwrap();
        assert_eq!(token.expires, Some(now + Duration::from_secs(60)));
        let token = read_token(&reply(200, &[], r#"{"access_token":"opaque"}"#), now).unwrap();
        assert_eq!(token.expires, None);
    }

    #[test]
    fn replies_are_described_without_tokens() {
        let json = reply(400, &[], r#"{"error":"invalid_request","error_description":"Identity not found"}"#);
        assert_eq!(describe_reply(&json), "HTTP 400, invalid_request: Identity not found");
        let token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.e30.c2ln";
        assert_eq!(
            describe_reply(&reply(500, &[], &format!("bad\u{1b}[0m {token}"))),
            "HTTP 500, bad [0m ***"
        );
        assert_eq!(describe_reply(&reply(503, &[], "")), "HTTP 503, an empty body");
    }
}
