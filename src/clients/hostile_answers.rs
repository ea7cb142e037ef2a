//! Tests of all parsers of external output: malformed or truncated input does not panic and is never taken for success.

use std::time::SystemTime;

use crate::clients::arm::{self, classify_refusal, Permissions};
use crate::clients::azcmagent::{connect, show::Show};
use crate::clients::imds;
use crate::clients::packages::outcome;
use crate::host::{https, link_local};
use crate::model::fault::Fault;

/// The text truncated at every position, and with every character replaced by syntax characters.
fn malformed(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (at, _) in text.char_indices() {
        all.push(text[..at].to_owned());
        all.push(text[at..].to_owned());
        for other in ["\0", "\"", "{", "}", "[", ":", "\n", "é", ""] {
            let after = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
            all.push(format!("{}{other}{}", &text[..at], &text[after..]));
        }
    }
    all
}

const SHOWN: &str =
    r#"{"status":"Connected","resourceId":"/subscriptions/s/x","lastHeartbeat":null,"services":[{}]}"#;
const SHOWN_TEXT: &str = "Resource Name   : vm\nAgent Status    : Connected\nSubscription ID : s\n";
const CONNECT: &str = "INFO    Connecting\n 30% [==>   ]\nINFO    Exit Code:  AZCM0042: Failed to Create Resource\n\
                       FATAL   RequestCorrelationId:x Message: no Code: AuthorizationFailed httpStatusCode:403\n";
const TOKEN: &str =
    r#"{"access_token":"opaque-token","expires_on":"1760086700","resource":"r","token_type":"Bearer"}"#;
const PERMISSIONS: &str = r#"{"value":[{"actions":["*/read"],"notActions":["a"]}],"nextLink":null}"#;
const MACHINE: &str = r#"{"properties":{"status":"Connected","vmId":"v","errorDetails":[{"code":"429"}]}}"#;
const REFUSAL: &str = r#"{"error":{"code":"AuthorizationFailed","message":"no"}}"#;

#[test]
fn malformed_output_of_azcmagent_is_not_a_success() {
    for text in malformed(SHOWN).iter().chain(&malformed(SHOWN_TEXT)) {
        if let Some(show) = Show::parse(text) {
            assert!(!show.status.is_empty(), "{text}");
            let is_connected = text.contains("Connected");
            assert!(!show.has_status("Connected") || is_connected, "{text}");
        }
    }
    for text in malformed(CONNECT) {
        for code in [None, Some(0), Some(1), Some(42), Some(67), Some(255)] {
            let fault = connect::classify_failure(code, &text);
            assert!(fault.evidence.starts_with("azcmagent connect"), "{}", fault.evidence);
        }
        let has_failure = text.contains("AZCM") || text.contains("FATAL");
        assert!(has_failure || !connect::reports_failure(&text), "{text}");
        let _some_part = (connect::parse_machine_id(&text), arm::refused_action(&text));
    }
}

#[test]
fn a_malformed_token_reply_is_an_error() {
    for body in malformed(TOKEN) {
        for status in [200, 204, 302, 400, 404, 500, 999] {
            let reply = link_local::LinkLocalReply { status, headers: Vec::new(), body: body.clone() };
            match imds::read_token(&reply, SystemTime::now()) {
                Ok(token) => assert!(status == 200 && token.secret.reveal().len() > 1, "{status} {body}"),
                Err(_) => {
                    assert!(imds::describe_reply(&reply).starts_with(&format!("HTTP {status}")), "{body}")
                }
            }
        }
    }
}

#[test]
fn a_malformed_arm_reply_grants_nothing() {
    for body in malformed(PERMISSIONS) {
        assert!(Permissions::parse(&body).is_none_or(|found| !found.grants(arm::WRITE)), "{body}");
    }
    for body in malformed(MACHINE) {
        let machine = arm::Machine::parse(&body);
        assert!(machine.vm_id.is_empty() || body.contains(&machine.vm_id), "{body}");
        assert!(machine.status != "Connected" || body.contains("Connected"), "{body}");
    }
    for body in malformed(REFUSAL) {
        for status in [200, 401, 403, 404, 500] {
            let reply = https::HttpsReply { status, body: body.clone() };
            let codes: Option<Fault> = classify_refusal(&reply);
            assert!(status != 200 || codes.is_none(), "{body}");
        }
    }
}

#[test]
fn malformed_package_manager_output_is_classified_as_a_failure() {
    let output = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (x)\nE: Unable to fetch\n";
    for text in malformed(output) {
        let _some_kind = outcome::classify(&text);
    }
    assert!(outcome::find("Reading package lists... Done\n").is_none());
}
