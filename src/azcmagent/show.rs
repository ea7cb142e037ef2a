//! `azcmagent show`: JSON where it prints JSON, the text layout otherwise; both change from version to version.

use serde_json::Value;

/// The members that are used; absent and empty are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Show {
    /// `Connected`, `Disconnected`, `Expired`, or a word of a later version.
    pub status: String,
    /// ARM id of the machine; empty when it was never onboarded.
    pub resource_id: String,
    /// Name of the machine.
    pub resource_name: String,
    /// Its resource group.
    pub resource_group: String,
    /// Its subscription.
    pub subscription_id: String,
    /// Its tenant.
    pub tenant_id: String,
    /// When Azure last heard from it; absent where this version does not say, empty when never.
    pub last_heartbeat: Option<String>,
    /// `agentErrorCode` and `agentErrorDetails`, joined.
    pub error: String,
}

impl Show {
    /// Reads the output; `None` when there is no status in it.
    pub fn read(output: &str) -> Option<Self> {
        read_json(output).or_else(|| read_text(output)).filter(|show| !show.status.is_empty())
    }

    /// Whether the machine was onboarded: `Disconnected` alone is also the word for one that never was.
    pub fn is_onboarded(&self) -> bool {
        !self.resource_id.is_empty() || !self.resource_name.is_empty() && !self.subscription_id.is_empty()
    }

    /// Whether it says that Azure has never heard from it: onboarding broke off in the middle.
    pub fn was_never_heard(&self) -> bool {
        // 0001-01-01 is how a time that was never set is written.
        self.last_heartbeat.as_deref().is_some_and(|time| time.is_empty() || time.starts_with("0001-"))
    }

    /// Whether it is connected, in any letter case.
    pub fn is(&self, status: &str) -> bool {
        self.status.eq_ignore_ascii_case(status)
    }

    /// Where it is, as an ARM id: its own, or put together from the parts.
    pub fn place(&self) -> String {
        if self.resource_id.is_empty() {
            format!(
                "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.HybridCompute/machines/{}",
                self.subscription_id, self.resource_group, self.resource_name
            )
        } else {
            self.resource_id.clone()
        }
    }
}

/// The first JSON object in the output; log lines may stand before and after it.
fn read_json(output: &str) -> Option<Show> {
    let object = output.match_indices('{').find_map(|(at, _)| {
        let text = output.get(at..)?;
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        values.next()?.ok().filter(|value| value.get("status").is_some())
    })?;
    let text = |name: &str| match object.get(name) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    Some(Show {
        status: text("status"),
        resource_id: text("resourceId"),
        resource_name: text("resourceName"),
        resource_group: text("resourceGroup"),
        subscription_id: text("subscriptionId"),
        tenant_id: text("tenantId"),
        last_heartbeat: object.get("lastHeartbeat").map(|_| text("lastHeartbeat")),
        error: joined(&text("agentErrorCode"), &text("agentErrorDetails")),
    })
}

/// `Label                 : value` lines.
fn read_text(output: &str) -> Option<Show> {
    let value = |label: &str| {
        let of_line = |line: &str| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == label).then(|| value.trim().to_owned())
        };
        output.lines().find_map(of_line)
    };
    let text = |label: &str| value(label).unwrap_or_default();
    Some(Show {
        status: value("Agent Status")?,
        resource_id: text("Resource Id"),
        resource_name: text("Resource Name"),
        resource_group: text("Resource Group Name"),
        subscription_id: text("Subscription ID"),
        tenant_id: text("Tenant ID"),
        last_heartbeat: value("Agent Last Heartbeat"),
        error: joined(&text("Agent Error Code"), &text("Agent Error Details")),
    })
}

fn joined(code: &str, details: &str) -> String {
    let parts: Vec<&str> = [code, details].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_among_log_lines() {
        let output = "time=\"x\" level=info msg=\"{not json}\"\n{\"resourceName\":\"vm\",\"resourceGroup\":\"rg\",\
                      \"subscriptionId\":\"s\",\"status\":\"Connected\",\"resourceId\":\"/id\",\"services\":[{}],\
                      \"agentErrorCode\":null}\nbye\n";
        let show = Show::read(output).unwrap();
        assert!(show.is("connected") && show.is_onboarded() && !show.was_never_heard());
        assert_eq!((show.resource_name.as_str(), show.error.as_str()), ("vm", ""));
    }

    #[test]
    fn the_text_layout() {
        let output = "Resource Name                           :\nResource Id                             :\n\
                      Agent Status                            : Disconnected\n\
                      Agent Error Code                        : AZCM0026\n\
                      Agent Error Details                     : no route: at all\n";
        let show = Show::read(output).unwrap();
        assert!(show.is("Disconnected") && !show.is_onboarded());
        assert_eq!(show.error, "AZCM0026: no route: at all");
    }

    #[test]
    fn a_machine_without_any_heartbeat_is_told_from_one_that_does_not_say() {
        let heard = |text: &str| Show::read(text).unwrap().was_never_heard();
        for time in ["\"\"", "null", "\"0001-01-01T00:00:00Z\""] {
            assert!(heard(&format!("{{\"status\":\"Disconnected\",\"lastHeartbeat\":{time}}}")), "{time}");
        }
        assert!(!heard("{\"status\":\"Disconnected\",\"lastHeartbeat\":\"2026-10-09T08:50:00Z\"}"));
        assert!(!heard("Agent Status  : Disconnected\n"));
        assert!(heard("Agent Status  : Disconnected\nAgent Last Heartbeat  :\n"));
    }

    #[test]
    fn what_is_not_readable_is_none() {
        for output in [
            "",
            "{",
            "{\"status\":",
            "{}",
            "{\"status\":null}",
            "You must be root",
            "[1,2]",
            "{\"status\":\" \"}",
        ] {
            assert_eq!(Show::read(output), None, "{output}");
        }
    }
}
