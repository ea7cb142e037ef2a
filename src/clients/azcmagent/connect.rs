//! `azcmagent connect`: its configuration, and the classification of its failures.

use serde_json::{Map, Value};

use super::tags;
use crate::catalogue;
use crate::host::commands::tail;
use crate::model::fault::{Fault, FaultKind};
use crate::model::secret::Secret;
use crate::settings::{Azure, ResourceId};

/// The prompt by which connect asks a person to sign in; it then waits five minutes.
pub const SIGN_IN: &str = "To sign in, use a web browser";

/// The input of connect.
#[derive(Clone, Debug)]
pub struct ConnectTarget<'a> {
    /// The target in the settings.
    pub azure: &'a Azure,
    /// Tenant id of the subscription.
    pub tenant: &'a str,
    /// Name of the Arc machine.
    pub name: &'a str,
    /// Correlation id.
    pub correlation_id: &'a str,
}

/// The content of the `--config` file: flag names without dashes (common flags page); without the token where it is an
/// argument.
pub fn configuration(target: &ConnectTarget<'_>, token: Option<&Secret>) -> Secret {
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

/// Classifies a failed connect. `code` is its exit code, `transcript` its redacted output.
pub fn classify_failure(code: Option<i32>, transcript: &str) -> Fault {
    // azcmagent's exit codes end at 125; higher ones are those of a shell, or of the installer, which prints its code.
    let number = parse_agent_code(transcript).or(code.filter(|code| (1..=125).contains(code)));
    let output = without_verbose_lines(transcript);
    let by_message = classify_text(&fatal_lines(&output).join("\n")).or_else(|| classify_text(&output));
    let kind = by_message.unwrap_or_else(|| match number {
        Some(42) if has_other_http_status(&output) => &catalogue::CONNECTED_FAILED,
        number => classify_code(number),
    });
    let status = match (number, code) {
        (Some(number), Some(code)) if number != code => format!("AZCM{number:04}, exit code {code}"),
        (Some(number), _) => format!("AZCM{number:04}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "ended by a signal".to_owned(),
    };
    kind.with_evidence(format!("azcmagent connect: {status}: {}", error_lines(&output)))
}

/// Whether Azure refused for another reason than the token: `httpStatusCode:NNN` other than 401.
fn has_other_http_status(transcript: &str) -> bool {
    let status = transcript.rsplit_once("httpStatusCode:");
    status.is_some_and(|(_, rest)| !rest.trim_start().starts_with("401"))
}

/// Whether the output reports a failure although the exit code is 0.
pub fn reports_failure(transcript: &str) -> bool {
    let output = without_verbose_lines(transcript);
    parse_agent_code(&output).is_some() || !fatal_lines(&output).is_empty()
}

/// Exit code "machine already connected"; `azcmagent show` then shows the target.
pub const ALREADY_CONNECTED: i32 = 67;

/// The resource id of the machine that is already connected (release notes of 1.17).
pub fn parse_machine_id(transcript: &str) -> Option<&str> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '\\');
    let mut words = transcript
        .split(is_end)
        .filter_map(|word| word.find("/subscriptions/").and_then(|at| word.get(at..)));
    words
        .find(|word| word.to_ascii_lowercase().contains("/providers/microsoft.hybridcompute/machines/"))
        .map(|word| word.trim_end_matches('.'))
}

/// The last error code in the output, such as `AZCM0042`.
pub fn parse_agent_code(transcript: &str) -> Option<i32> {
    let after =
        |(at, _): (usize, &str)| transcript.get(at + 4..)?.get(..4)?.parse().ok().filter(|code| *code > 0);
    transcript.rmatch_indices("AZCM").find_map(after)
}

/// The output without the lines of verbose mode, which include errors that connect recovers from.
pub fn without_verbose_lines(transcript: &str) -> String {
    let is_verbose = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("DEBUG")
            || line.starts_with("TRACE")
            || line.contains("level=debug")
            || line.contains("level=trace")
    };
    let lines: Vec<&str> = transcript.lines().filter(|line| !is_verbose(line)).collect();
    lines.join("\n")
}

/// The lines of level FATAL.
fn fatal_lines(transcript: &str) -> Vec<&str> {
    let is_fatal = |line: &&str| {
        let line = line.trim_start().to_ascii_uppercase();
        line.starts_with("FATAL") || line.contains("LEVEL=FATAL")
    };
    transcript.lines().filter(is_fatal).collect()
}

/// Classifies by Azure's error messages, which are more specific than the codes of azcmagent.
fn classify_text(transcript: &str) -> Option<&'static FaultKind> {
    static TABLE: [(&[&str], &FaultKind); 35] = [
        (&["to sign in, use a web browser"], &catalogue::CONNECTED_TOKEN_NOT_TAKEN),
        (&["requestdisallowedbypolicy"], &catalogue::ACCESS_POLICY),
        (&["disallowed by policy"], &catalogue::ACCESS_POLICY),
        (&["scopelocked"], &catalogue::ACCESS_LOCK),
        (&["quotaexceeded"], &catalogue::ACCESS_QUOTA),
        (&["exceed", "quota"], &catalogue::ACCESS_QUOTA),
        (&["missingsubscriptionregistration"], &catalogue::ACCESS_PROVIDER),
        (&["registered to use namespace"], &catalogue::ACCESS_PROVIDER),
        (&["resourcegroupnotfound"], &catalogue::ACCESS_GROUP),
        (&["resource group", "could not be found"], &catalogue::ACCESS_GROUP),
        // connect creates a missing resource group where it is allowed to.
        (
            &["perform action", "microsoft.resources/subscriptions/resourcegroups/write"],
            &catalogue::ACCESS_GROUP,
        ),
        (&["subscriptionnotfound"], &catalogue::ACCESS_SUBSCRIPTION),
        (&["invalidsubscriptionid"], &catalogue::ACCESS_SUBSCRIPTION),
        (&["readonlydisabledsubscription"], &catalogue::ACCESS_SUBSCRIPTION_DISABLED),
        (
            &["subscription", "disabled and therefore marked as read only"],
            &catalogue::ACCESS_SUBSCRIPTION_DISABLED,
        ),
        (&["invalidauthenticationtokentenant"], &catalogue::IDENTITY_TENANT),
        (&["from the wrong issuer"], &catalogue::IDENTITY_TENANT),
        (&["invalidauthenticationtokenaudience"], &catalogue::IDENTITY_AUDIENCE),
        (&["expiredauthenticationtoken"], &catalogue::IDENTITY_TOKEN_REJECTED),
        (&["invalidauthenticationtoken"], &catalogue::IDENTITY_TOKEN_REJECTED),
        (
            &["does not have authorization to perform action", "listaccessdetails/action"],
            &catalogue::ACCESS_LIST_ROLE,
        ),
        (&["does not have authorization to perform action"], &catalogue::ACCESS_ROLE),
        (&["authorizationfailed"], &catalogue::ACCESS_ROLE),
        (&["private link scope"], &catalogue::CONNECTED_PRIVATE_LINK),
        (&["public network access", "disabled"], &catalogue::CONNECTED_PRIVATE_LINK),
        (&["must be root"], &catalogue::HOST_NOT_ROOT),
        (&["already exists", "azcm0044"], &catalogue::CONNECTED_NAME_TAKEN),
        (&["invalidresourcelocation"], &catalogue::CONNECTED_NAME_TAKEN),
        (&["too many requests"], &catalogue::CONNECTED_FAILED),
        (&["locationnotavailableforresourcetype"], &catalogue::AGENT_CONFIGURATION),
        (&["network is unreachable"], &catalogue::CONNECTED_NETWORK),
        (&["azure virtual machine"], &catalogue::AGENT_AZURE_VM),
        (&["machine is already an azure resource"], &catalogue::AGENT_AZURE_VM),
        (&["azcm0141"], &catalogue::AGENT_AZURE_VM),
        (&["unknown flag"], &catalogue::AGENT_TOO_OLD),
    ];
    let text = transcript.to_ascii_lowercase();
    let contains_all = |patterns: &[&str]| patterns.iter().all(|pattern| text.contains(pattern));
    let kind = TABLE.iter().find(|(patterns, _)| contains_all(patterns)).map(|(_, kind)| *kind);
    // A proxy's refusal is ": Forbidden" after a URL; a 403 of Azure has matched above.
    kind.or_else(|| {
        (text.contains("://") && text.contains(": forbidden")).then_some(&catalogue::CONNECTED_NETWORK)
    })
}

/// Classifies by azcmagent's error code (onboarding troubleshooting page, including rows of older versions). The codes 1,
/// 6, 11, 72 to 74 and unknown ones have no specific remediation.
fn classify_code(code: Option<i32>) -> &'static FaultKind {
    match code {
        // 42 without a message of Azure is usually an expired or invalid token (Azure Local's troubleshooting).
        Some(12 | 41 | 42) => &catalogue::IDENTITY_TOKEN_REJECTED,
        Some(18) => &catalogue::HOST_NOT_ROOT,
        Some(13..=17 | 19 | 20 | 23 | 27 | 68 | 101 | 102) => &catalogue::AGENT_CONFIGURATION,
        Some(26 | 45 | 75 | 83 | 105) => &catalogue::CONNECTED_NETWORK,
        Some(44) => &catalogue::CONNECTED_NAME_TAKEN,
        Some(2 | 4 | 61 | 64 | 65 | 66 | 70) => &catalogue::AGENT_BROKEN,
        Some(62 | 81 | 82) => &catalogue::CONNECTED_HALF_MADE,
        Some(5) => &catalogue::HOST_DISK_FULL,
        Some(69 | 106) => &catalogue::HOST_READ_ONLY,
        Some(3) => &catalogue::AGENT_TOO_OLD,
        Some(28 | 76..=78 | 103 | 104 | 107 | 108) => &catalogue::CONNECTED_KEYS,
        Some(43 | 63) => &catalogue::CONNECTED_RECREATE,
        Some(130) => &catalogue::HOST_NO_SYSTEMD,
        Some(131..=133) => &catalogue::AGENT_DISTRIBUTION,
        Some(141) => &catalogue::AGENT_AZURE_VM,
        Some(143 | 150) => &catalogue::AGENT_INSTALL,
        Some(145) => &catalogue::AGENT_PACKAGE_LOCK,
        Some(146) => &catalogue::AGENT_SOURCE,
        Some(147) => &catalogue::AGENT_VERSION_UNKNOWN,
        Some(157) => &catalogue::AGENT_NO_CURL,
        _ => &catalogue::CONNECTED_FAILED,
    }
}

/// A line without its timestamp, so that the same failure has the same evidence each time: `time="…" level=fatal` and
/// `FATAL[0032]`.
fn without_time(line: &str) -> &str {
    let line = line.trim_start();
    let after_time = || line.strip_prefix("time=\"")?.split_once("\" ");
    let after_seconds = || {
        let (level, rest) = line.split_once('[')?;
        let (seconds, rest) = rest.split_once(']')?;
        let is_logrus = level.chars().all(|c| c.is_ascii_uppercase()) && seconds.parse::<u64>().is_ok();
        is_logrus.then_some((level, rest.trim_start()))
    };
    after_time().or_else(after_seconds).map_or(line, |(_, rest)| rest)
}

/// The end of the lines with errors, or of the output where there are none.
fn error_lines(transcript: &str) -> String {
    let is_error = |line: &&str| {
        let upper = line.to_ascii_uppercase();
        // Where an error is printed as JSON, `message` is on its own line.
        ["FATAL", "ERROR", "AZCM", "AUTHORIZ", "HTTPSTATUSCODE", "FORBIDDEN", "MESSAGE", "PRIVATE LINK"]
            .iter()
            .any(|word| upper.contains(word))
    };
    let lines: Vec<&str> = transcript.lines().filter(is_error).map(without_time).collect();
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
        classify_failure(Some(code), transcript).code()
    }

    #[test]
    fn messages_of_azure_take_precedence_over_the_code() {
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
    fn the_code_decides_without_a_known_message() {
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
        assert_eq!(classify_failure(None, "").code(), "connected.connect-failed");
    }

    #[test]
    fn the_code_in_the_output_takes_precedence_over_the_exit_code() {
        assert_eq!(
            code_of(1, "INFO    Exit Code:  AZCM0044: Resource Already Exists"),
            "connected.name-taken"
        );
        let fault = classify_failure(Some(1), "INFO    AZCM0026: Network Error");
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
    fn private_link_is_distinguished_from_a_network_error() {
        let text = "No indication of Private Link Scope but found private endpoint x\nINFO    AZCM0026: Network Error";
        assert_eq!(code_of(26, text), "connected.private-link");
        assert!(classify_failure(Some(26), text).evidence.contains("found private endpoint x"));
    }

    /// The table of the onboarding troubleshooting page, including rows of older versions.
    #[test]
    fn every_code_of_the_table_has_a_specific_fault() {
        let table: [(&[i32], &str); 20] = [
            (&[2, 4, 61, 64, 65, 66, 70], "agent.not-answering"),
            (&[3], "agent.too-old"),
            (&[5], "host.disk-full"),
            (&[12, 41, 42], "identity.token-rejected"),
            (&[13, 14, 15, 16, 17, 19, 20, 23, 27, 68, 101, 102], "agent.configuration-refused"),
            (&[18], "host.not-root"),
            (&[26, 45, 75, 83, 105], "connected.network"),
            (&[28, 76, 77, 78, 103, 104, 107, 108], "connected.keys"),
            (&[43, 63], "connected.recreate-failed"),
            (&[44], "connected.name-taken"),
            (&[62, 81, 82], "connected.half-made"),
            (&[69, 106], "host.not-writable"),
            (&[130], "host.no-systemd"),
            (&[131, 132, 133], "agent.distribution-unsupported"),
            (&[141], "agent.azure-vm"),
            (&[143, 150], "agent.install-failed"),
            (&[145], "agent.package-lock"),
            (&[146], "agent.source-unreachable"),
            (&[147], "agent.version-unavailable"),
            (&[157], "agent.no-curl"),
        ];
        let known: Vec<i32> = table.iter().flat_map(|(codes, _)| codes.iter().copied()).collect();
        for (codes, expected) in table {
            for code in codes {
                assert_eq!(code_of(1, &format!("INFO    AZCM{code:04}: words")), expected, "{code}");
            }
        }
        for code in (0..1000).filter(|code| !known.contains(code)) {
            let fault =
                classify_failure(Some(1), &format!("FATAL   its own words\nINFO    AZCM{code:04}: title"));
            assert_eq!(fault.code(), "connected.connect-failed", "{code}");
            assert!(fault.evidence.contains("its own words"), "{}", fault.evidence);
        }
        for status in [126, 127, 137, 141, 255] {
            assert_eq!(code_of(status, "sh: gone"), "connected.connect-failed", "{status} is a shell's");
        }
    }

    #[test]
    fn verbose_lines_are_ignored() {
        let refused =
            "does not have authorization to perform action 'Microsoft.HybridCompute/register/action'";
        for detail in [
            format!("DEBUG   Registering: The client 'x' {refused} Code: AuthorizationFailed"),
            format!("time=\"x\" level=debug msg=\"{refused}\""),
        ] {
            let text =
                format!("{detail}\nINFO    AZCM0026: Network Error\nFATAL   Message: dial tcp: i/o timeout");
            assert_eq!(code_of(26, &text), "connected.network", "{text}");
            assert_eq!(crate::clients::arm::refused_action(&without_verbose_lines(&text)), None);
        }
        let before = format!("INFO    {refused}\nFATAL   Message: x Code: ScopeLocked httpStatusCode:409");
        assert_eq!(code_of(42, &before), "access.locked", "the FATAL line takes precedence");
    }

    #[test]
    fn a_42_without_message_is_a_bad_token_unless_another_http_status_is_reported() {
        assert_eq!(code_of(42, "FATAL   Message: x"), "identity.token-rejected");
        assert_eq!(code_of(42, "FATAL   Message: x httpStatusCode:401"), "identity.token-rejected");
        assert_eq!(
            code_of(42, "FATAL   Message: x Code: Conflict httpStatusCode:409"),
            "connected.connect-failed"
        );
    }

    #[test]
    fn failures_are_detected_in_the_output() {
        for text in [
            "FATAL   x",
            "FATAL[0003] x",
            "time=\"x\" level=fatal msg=\"x\"",
            "INFO    Exit Code:  AZCM0044: x",
            "INFO    AZCM0026: Network Error",
        ] {
            assert!(reports_failure(text), "{text}");
        }
        for text in
            ["", "INFO    Connected machine to Azure", "INFO    Exit Code:  AZCM0000: No Error", "INFO fatal"]
        {
            assert!(!reports_failure(text), "{text}");
        }
    }

    #[test]
    fn the_machine_id_is_found_in_the_output() {
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridCompute/machines/m";
        for text in [
            format!("Resource ID: {id}."),
            format!("msg=\"connected\" Resource ID={id}"),
            format!("{{\"resourceId\":\"{id}\"}}"),
            format!("see https://management.azure.com{id}, then go on"),
        ] {
            assert_eq!(parse_machine_id(&text), Some(id), "{text}");
        }
        assert_eq!(parse_machine_id("/subscriptions/s/resourceGroups/g and é"), None);
    }

    #[test]
    fn evidence_does_not_contain_timestamps() {
        let seen = |text: &str| classify_failure(Some(26), text).evidence.clone();
        assert_eq!(
            seen("time=\"2026-11-23T10:00:00Z\" level=fatal msg=\"x\""),
            seen("time=\"2026-11-23T10:00:01Z\" level=fatal msg=\"x\"")
        );
        assert_eq!(seen("FATAL[0002] x"), seen("FATAL[0003] x"));
        for text in ["[", "FATAL[", "FATAL[é] x", "time=\"", "time=\" \u{0}"] {
            assert!(!seen(text).is_empty());
        }
    }
}
