//! Tokens: JWT-shaped, unique, unsigned.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use serde_json::{json, Value};

use crate::nexus::seen::Issued;
use crate::nexus::spec::{vm_resource_id, ExpiresOn, Identity, IdentityKind, TokenShape};
use crate::world::State;

/// Seconds to live; issued five minutes ago, that makes the 86,700 of a managed identity.
const LIFETIME_S: i64 = 86_400;

/// Creates and records a token.
pub fn issue(state: &mut State, identity: &Identity, resource: &str, shape: &TokenShape) -> Issued {
    let number = state.seen.tokens.len() + 1;
    let tenant = shape.tenant.clone().unwrap_or_else(|| state.imds.tenant.clone());
    let expires = epoch() + state.imds.clock_offset_s + shape.lifetime_s.unwrap_or(LIFETIME_S);
    // Back-dated, as real ones are; an expired one was issued a full lifetime ago.
    let issued_at =
        if shape.lifetime_s.is_some_and(|s| s < 0) { expires - LIFETIME_S } else { epoch() - 300 };
    let issuer = format!("https://sts.windows.net/{tenant}/");
    let unique = format!("{}{number:04}{:09}", std::process::id(), nanos());
    let mut claims = json!({
        "aud": shape.audience.as_deref().unwrap_or(resource),
        "iss": issuer, "iat": issued_at, "nbf": shape.not_before_s.map_or(issued_at, |s| epoch() + s), "exp": expires,
        "aio": format!("E2Ng{unique}"),
        "appid": identity.client_id, "appidacr": "2", "idp": issuer, "idtyp": "app",
        "oid": identity.object_id, "rh": "0.AAAA", "sub": identity.object_id, "tid": tenant,
        "uti": unique, "ver": "1.0", "xms_mirid": identity.resource_id, "xms_tcdt": 1_600_000_000,
    });
    if identity.kind == IdentityKind::User {
        claims["xms_az_rid"] = json!(vm_resource_id());
    }
    let token = if shape.opaque { format!("opaque-token-value-{unique}") } else { encode(&claims, &unique) };
    let issued = Issued { number, token, claims };
    state.seen.tokens.push(issued.clone());
    issued
}

/// The body of a successful response; every member is a string unless the shape sets another form.
pub fn reply(issued: &Issued, identity: &Identity, resource: &str, shape: &TokenShape) -> Value {
    let expires = issued.claims["exp"].as_i64().unwrap_or(0);
    let mut body = json!({
        "access_token": issued.token,
        "client_id": identity.client_id,
        "expires_in": (expires - epoch()).max(0).to_string(),
        "ext_expires_in": "86399",
        "not_before": issued.claims["nbf"].to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    match shape.expires_on {
        ExpiresOn::EpochText => body["expires_on"] = json!(expires.to_string()),
        ExpiresOn::EpochNumber => body["expires_on"] = json!(expires),
        ExpiresOn::Iso => body["expires_on"] = json!(date(expires, "T", false)),
        ExpiresOn::UsDate => body["expires_on"] = json!(us_date_24h(expires)),
        ExpiresOn::Absent => body["expires_in"] = json!(""),
    }
    if identity.kind == IdentityKind::User {
        body["msi_res_id"] = json!(identity.resource_id);
    }
    body
}

fn encode(claims: &Value, unique: &str) -> String {
    let header = json!({"typ": "JWT", "alg": "RS256", "x5t": "simulated", "kid": "simulated"});
    let signature = format!("simulated signature {unique}, worth nothing, {}", "x".repeat(200));
    let parts = [header.to_string(), claims.to_string(), signature];
    parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

pub fn epoch() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn nanos() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos()
}

/// Year, month, day, hour, minute, second of a moment in UTC.
pub fn civil(epoch: i64) -> (i64, i64, i64, i64, i64, i64) {
    let days = epoch.div_euclid(86_400);
    let second = epoch.rem_euclid(86_400);
    // Days since 1 March of year 0 in 400-year eras (the usual proleptic Gregorian reckoning).
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, second / 3600, second / 60 % 60, second % 60)
}

/// `2026-11-23T12:40:00`, with `Z` where asked for.
pub fn date(epoch: i64, between: &str, zulu: bool) -> String {
    let (year, month, day, hour, minute, second) = civil(epoch);
    let zone = if zulu { "Z" } else { "" };
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}{zone}")
}

/// `11/23/2026 12:40:00 +00:00`, one of the forms of `expires_on`.
fn us_date_24h(epoch: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(epoch);
    format!("{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02} +00:00")
}

/// `11/23/2026 12:40:00 PM`, as ARM writes times into messages.
pub fn us_date(epoch: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(epoch);
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    format!("{month}/{day}/{year} {hour}:{minute:02}:{second:02} {half}")
}
