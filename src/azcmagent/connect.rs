//! `azcmagent connect`: what it is given, and what its outcome means.

use serde_json::{Map, Value};

use super::tags;
use crate::fault::{self, Entry, Fault};
use crate::host::commands::tail;
use crate::secret::Secret;
use crate::settings::{Azure, ResourceId};

/// The words by which connect asks a person to sign in; it then waits five minutes for a person.
pub const SIGN_IN: &str = "To sign in, use a web browser";

/// What connect needs beyond the settings.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The settings' target.
    pub azure: &'a Azure,
    /// Tenant of the subscription.
    pub tenant: &'a str,
    /// Name of the machine.
    pub name: &'a str,
    /// Correlation id.
    pub correlation_id: &'a str,
}

/// The content of the `--config` file: flag names without dashes (common flags page), the token among them
/// unless it goes by argument.
pub fn configuration(target: &Target<'_>, token: Option<&Secret>) -> Secret {
    let azure = target.azure;
    let mut members = Map::new();
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            members.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    };
    if let Some(token) = token {
        put("access-token", token.reveal());
    }
    put("subscription-id", azure.subscription_id.as_str());
    put("resource-group", azure.resource_group.as_str());
    put("tenant-id", target.tenant);
    put("location", azure.location.as_str());
    put("resource-name", target.name);
    put("cloud", azure.cloud.name());
    put("correlation-id", target.correlation_id);
    put("tags", &tags::encode(&azure.tags));
    put("private-link-scope", azure.private_link_scope.as_ref().map(ResourceId::as_str).unwrap_or_default());
    put("gateway-id", azure.gateway_id.as_ref().map(ResourceId::as_str).unwrap_or_default());
    Secret::new(Value::Object(members).to_string())
}

/// What a failed connect means. `code` is its exit code, `transcript` everything that it said, masked.
pub fn read_failure(code: Option<i32>, transcript: &str) -> Fault {
    let number = agent_code(transcript).or(code);
    let entry = by_text(transcript).unwrap_or_else(|| by_code(number));
    let status = match (number, code) {
        (Some(number), Some(code)) if number != code => format!("AZCM{number:04}, exit code {code}"),
        (Some(number), _) => format!("AZCM{number:04}"),
        (None, _) => "ended by a signal".to_owned(),
    };
    entry.seen(format!("azcmagent connect: {status}: {}", last_words(transcript)))
}

/// The code that it names itself, the last one: `AZCM0042`.
fn agent_code(transcript: &str) -> Option<i32> {
    let after = |(at, _): (usize, &str)| transcript.get(at + 4..)?.get(..4)?.parse().ok();
    transcript.rmatch_indices("AZCM").find_map(after)
}

/// Azure's own words decide first: one code of azcmagent stands for many causes.
fn by_text(transcript: &str) -> Option<&'static Entry> {
    let text = transcript.to_ascii_lowercase();
    let table: [(&[&str], &'static Entry); 23] = [
        (&["to sign in, use a web browser"], &fault::CONNECTED_TOKEN_NOT_TAKEN),
        (&["requestdisallowedbypolicy"], &fault::ACCESS_POLICY),
        (&["disallowed by policy"], &fault::ACCESS_POLICY),
        (&["scopelocked"], &fault::ACCESS_LOCK),
        (&["missingsubscriptionregistration"], &fault::ACCESS_PROVIDER),
        (&["registered to use namespace"], &fault::ACCESS_PROVIDER),
        (&["resourcegroupnotfound"], &fault::ACCESS_GROUP),
        (&["resource group", "could not be found"], &fault::ACCESS_GROUP),
        (&["subscriptionnotfound"], &fault::ACCESS_SUBSCRIPTION),
        (&["invalidauthenticationtokentenant"], &fault::IDENTITY_TENANT),
        (&["from the wrong issuer"], &fault::IDENTITY_TENANT),
        (&["invalidauthenticationtokenaudience"], &fault::IDENTITY_AUDIENCE),
        (&["expiredauthenticationtoken"], &fault::IDENTITY_TOKEN_REJECTED),
        (&["invalidauthenticationtoken"], &fault::IDENTITY_TOKEN_REJECTED),
        (&["does not have authorization to perform action"], &fault::ACCESS_ROLE),
        (&["authorizationfailed"], &fault::ACCESS_ROLE),
        (&["private link scope"], &fault::CONNECTED_PRIVATE_LINK),
        (&["must be root"], &fault::HOST_NOT_ROOT),
        (&["already exists", "azcm0044"], &fault::CONNECTED_NAME_TAKEN),
        (&["network is unreachable"], &fault::CONNECTED_NETWORK),
        (&["azure virtual machine"], &fault::AGENT_AZURE_VM),
        (&["machine is already an azure resource"], &fault::AGENT_AZURE_VM),
        (&["azcm0141"], &fault::AGENT_AZURE_VM),
    ];
    let all = |words: &[&str]| words.iter().all(|word| text.contains(word));
    let named = table.iter().find(|(words, _)| all(words)).map(|(_, entry)| *entry);
    // A proxy's refusal is a bare ": Forbidden" behind a URL; Azure's own 403 is named above.
    named.or_else(|| {
        (text.contains("://") && text.contains(": forbidden")).then_some(&fault::CONNECTED_NETWORK)
    })
}

/// azcmagent's error table (onboarding troubleshooting page), by what can be done about it.
fn by_code(code: Option<i32>) -> &'static Entry {
    match code {
        Some(12 | 41 | 42) => &fault::IDENTITY_TOKEN_REJECTED,
        Some(18) => &fault::HOST_NOT_ROOT,
        Some(16 | 19 | 20 | 23 | 27 | 68 | 101 | 102) => &fault::AGENT_CONFIGURATION,
        Some(26 | 75 | 105) => &fault::CONNECTED_NETWORK,
        Some(44) => &fault::CONNECTED_NAME_TAKEN,
        Some(2 | 4 | 61 | 64 | 65 | 66 | 70) => &fault::AGENT_BROKEN,
        Some(62 | 81 | 82) => &fault::CONNECTED_HALF_MADE,
        Some(5) => &fault::HOST_DISK_FULL,
        Some(69 | 106) => &fault::HOST_READ_ONLY,
        Some(141) => &fault::AGENT_AZURE_VM,
        _ => &fault::CONNECTED_FAILED,
    }
}

/// The lines that say why, or the last ones: progress bars say nothing.
fn last_words(transcript: &str) -> String {
    let telling = |line: &&str| {
        let upper = line.to_ascii_uppercase();
        ["FATAL", "ERROR", "LEVEL=FATAL", "LEVEL=ERROR", "AZCM", "AUTHORIZ", "HTTPSTATUSCODE", "FORBIDDEN"]
            .iter()
            .any(|word| upper.contains(word))
    };
    let lines: Vec<&str> = transcript.lines().filter(telling).collect();
    if lines.is_empty() {
        tail(transcript)
    } else {
        tail(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(code: i32, transcript: &str) -> &'static str {
        read_failure(Some(code), transcript).code()
    }

    #[test]
    fn azures_words_decide_before_the_number() {
        let role = "FATAL   Message: The client 'x' with object id 'x' does not have authorization to perform action \
                    'Microsoft.HybridCompute/machines/write' Code: AuthorizationFailed httpStatusCode:403";
        assert_eq!(code_of(42, role), "access.role-missing");
        assert_eq!(
            code_of(42, "Code: MissingSubscriptionRegistration httpStatusCode:409"),
            "access.provider-unregistered"
        );
        assert_eq!(code_of(42, "Code: RequestDisallowedByPolicy"), "access.policy");
        assert_eq!(code_of(43, "Code: ScopeLocked httpStatusCode:409"), "access.locked");
        assert_eq!(code_of(42, "Resource group 'x' could not be found."), "access.resource-group-missing");
        assert_eq!(code_of(42, "Code: InvalidAuthenticationTokenTenant"), "identity.wrong-tenant");
        assert_eq!(code_of(42, "Code: ExpiredAuthenticationToken"), "identity.token-rejected");
    }

    #[test]
    fn numbers_decide_without_words() {
        for (code, expected) in [
            (1, "connected.connect-failed"),
            (2, "agent.not-answering"),
            (12, "identity.token-rejected"),
            (18, "host.not-root"),
            (20, "agent.configuration-refused"),
            (26, "connected.network"),
            (41, "identity.token-rejected"),
            (42, "identity.token-rejected"),
            (44, "connected.name-taken"),
            (61, "agent.not-answering"),
            (62, "connected.half-made"),
            (81, "connected.half-made"),
            (999, "connected.connect-failed"),
        ] {
            assert_eq!(code_of(code, "something new"), expected, "{code}");
        }
        assert_eq!(read_failure(None, "").code(), "connected.connect-failed");
    }

    #[test]
    fn the_code_in_the_text_wins_over_the_exit_code() {
        assert_eq!(
            code_of(1, "INFO    Exit Code:  AZCM0044: Resource Already Exists"),
            "connected.name-taken"
        );
        let fault = read_failure(Some(1), "INFO    AZCM0026: Network Error");
        assert_eq!(fault.code(), "connected.network");
        assert!(fault.evidence.contains("AZCM0026, exit code 1"), "{}", fault.evidence);
    }

    #[test]
    fn a_proxys_forbidden_is_not_a_missing_role() {
        let refusal = "Get \"https://gbl.his.arc.azure.com/discovery\": Forbidden";
        assert_eq!(code_of(26, refusal), "connected.network");
        assert_eq!(code_of(1, refusal), "connected.network");
    }

    #[test]
    fn private_link_is_told_from_a_plain_network_error() {
        let text = "No indication of Private Link Scope but found private endpoint x\nINFO    AZCM0026: Network Error";
        assert_eq!(code_of(26, text), "connected.private-link");
    }
}
