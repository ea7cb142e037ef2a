//! What every reader of somebody else's words is held to: whatever comes, it does not panic, and what is cut off
//! or garbled is never taken for success.

use std::time::SystemTime;

use crate::clients::arm::{self, read_refusal, Permissions};
use crate::clients::azcmagent::{connect, show::Show};
use crate::clients::imds;
use crate::clients::packages::outcome;
use crate::host::{https, link_local};
use crate::model::fault::Fault;

/// The text cut off at every place, and with every byte replaced by those that forms are made of.
fn spoilt(text: &str) -> Vec<String> {
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
fn azcmagents_output_is_never_taken_for_more_than_it_is() {
    for text in spoilt(SHOWN).iter().chain(&spoilt(SHOWN_TEXT)) {
        if let Some(show) = Show::read(text) {
            assert!(!show.status.is_empty(), "{text}");
            let is_whole = text.contains("Connected");
            assert!(!show.is("Connected") || is_whole, "{text}");
        }
    }
    for text in spoilt(CONNECT) {
        for code in [None, Some(0), Some(1), Some(42), Some(67), Some(255)] {
            let fault = connect::read_failure(code, &text);
            assert!(fault.evidence.starts_with("azcmagent connect"), "{}", fault.evidence);
        }
        let ends_itself = text.contains("AZCM") || text.contains("FATAL");
        assert!(ends_itself || !connect::says_failure(&text), "{text}");
        let _some_part = (connect::named_machine(&text), arm::refused_action(&text));
    }
}

#[test]
fn what_the_sidecar_says_is_a_token_or_its_own_words() {
    for body in spoilt(TOKEN) {
        for status in [200, 204, 302, 400, 404, 500, 999] {
            let reply = link_local::LinkLocalReply { status, headers: Vec::new(), body: body.clone() };
            match imds::read_token(&reply, SystemTime::now()) {
                Ok(token) => assert!(status == 200 && token.secret.reveal().len() > 1, "{status} {body}"),
                Err(_) => assert!(imds::words(&reply).starts_with(&format!("HTTP {status}")), "{body}"),
            }
        }
    }
}

#[test]
fn what_arm_says_grants_nothing_by_accident() {
    for body in spoilt(PERMISSIONS) {
        assert!(Permissions::read(&body).is_none_or(|found| !found.grants(arm::WRITE)), "{body}");
    }
    for body in spoilt(MACHINE) {
        let machine = arm::Machine::read(&body);
        assert!(machine.vm_id.is_empty() || body.contains(&machine.vm_id), "{body}");
        assert!(machine.status != "Connected" || body.contains("Connected"), "{body}");
    }
    for body in spoilt(REFUSAL) {
        for status in [200, 401, 403, 404, 500] {
            let reply = https::HttpsReply { status, body: body.clone() };
            let codes: Option<Fault> = read_refusal(&reply);
            assert!(status != 200 || codes.is_none(), "{body}");
        }
    }
}

#[test]
fn what_a_package_manager_says_is_always_a_failure_here() {
    let said = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (x)\nE: Unable to fetch\n";
    for text in spoilt(said) {
        let _some_kind = outcome::classify(&text);
    }
    assert!(outcome::find("Reading package lists... Done\n").is_none());
}
