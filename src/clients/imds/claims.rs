//! The claims of a token. A token is opaque by contract; its claims are used for diagnosis only, never for trust.

use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine as _;
use serde::Serialize;
use serde_json::Value;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The claims that help with diagnosis (Entra access token reference); all are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// Audiences: the resources that the token is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<String>,
    /// Tenant id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<String>,
    /// Object id of the principal, to which roles are assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oid: Option<String>,
    /// Client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appid: Option<String>,
    /// Expiry, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// Issue time, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Start of validity, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Resource id of the identity; that of the VM for a system-assigned identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xms_mirid: Option<String>,
    /// Resource id of the VM, for a user-assigned identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xms_az_rid: Option<String>,
}

impl Claims {
    /// The claims of a token; empty where it is not a JSON Web Token.
    pub fn of(token: &str) -> Self {
        let Some(payload) = token.split('.').nth(1) else { return Self::default() };
        let decoded = GeneralPurpose::new(&URL_SAFE, LENIENT)
            .decode(payload)
            .or_else(|_| GeneralPurpose::new(&STANDARD, LENIENT).decode(payload));
        let text = String::from_utf8(decoded.unwrap_or_default()).unwrap_or_default();
        let Ok(Value::Object(claims)) = serde_json::from_str(&text) else {
            return Self::default();
        };
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| claims.get(name).and_then(seconds);
        let aud = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => {
                several.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        Self {
            aud,
            tid: text("tid"),
            oid: text("oid").or_else(|| text("sub")),
            appid: text("appid"),
            exp: number("exp"),
            iat: number("iat"),
            nbf: number("nbf"),
            xms_mirid: text("xms_mirid"),
            xms_az_rid: text("xms_az_rid"),
        }
    }

    /// Whether the token is of a user-assigned identity.
    pub fn is_user_assigned(&self) -> bool {
        self.xms_mirid
            .as_deref()
            .is_some_and(|id| id.to_ascii_lowercase().contains("/userassignedidentities/"))
    }

    /// The VM's name in Azure; never the name of a user-assigned identity.
    pub fn vm_name(&self) -> Option<String> {
        let id = self.xms_az_rid.as_deref().or(self.xms_mirid.as_deref())?;
        let (path, name) = id.rsplit_once('/')?;
        path.to_ascii_lowercase().ends_with("/virtualmachines").then(|| name.to_owned())
    }
}

/// A time in seconds from an integer, a fraction or a text.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => {
            number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    fn token(payload: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn claims_are_parsed() {
        let claims = Claims::of(&token(
            r#"{"aud":"https://management.azure.com/","tid":"t","oid":"o","exp":1760086700,"iat":1.76e9,
                "xms_mirid":"/subscriptions/s/resourcegroups/g/providers/Microsoft.NetworkCloud/virtualMachines/vm1"}"#,
        ));
        assert_eq!(claims.aud, ["https://management.azure.com/"]);
        assert_eq!((claims.tid.as_deref(), claims.oid.as_deref()), (Some("t"), Some("o")));
        assert_eq!((claims.exp, claims.iat), (Some(1_760_086_700), Some(1_760_000_000)));
        assert_eq!(claims.vm_name().as_deref(), Some("vm1"));
    }

    #[test]
    fn the_name_of_a_user_assigned_identity_is_not_the_vm_name() {
        let id =
            "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u";
        let claims = Claims::of(&token(&format!(r#"{{"xms_mirid":"{id}"}}"#)));
        assert_eq!(claims.vm_name(), None);
        assert!(claims.is_user_assigned() && !Claims::default().is_user_assigned());
    }

    #[test]
    fn an_undecodable_token_has_no_claims() {
        let not_utf8 = format!("a.{}.c", BASE64_URL_SAFE_NO_PAD.encode([0xff, 0xfe]));
        for opaque in
            ["", "opaque-token-value-0123456789", "a.b", "a.!!!.c", &token("[1]"), &token("{"), &not_utf8]
        {
            assert_eq!(Claims::of(opaque), Claims::default(), "{opaque}");
        }
    }

    #[test]
    fn claims_of_unexpected_types_are_ignored() {
        let claims =
            Claims::of(&token(r#"{"aud":["a","b",3],"tid":7,"exp":"99","iat":-4,"oid":null,"sub":"s"}"#));
        assert_eq!(claims.aud, ["a", "b"]);
        assert_eq!((claims.tid, claims.exp, claims.iat), (None, Some(99), None));
        assert_eq!(claims.oid.as_deref(), Some("s"));
    }
}
