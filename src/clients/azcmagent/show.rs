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
    /// The id under which Azure knows this VM.
    pub vm_id: String,
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

    /// The machine's name, from its id where it is not named.
    pub fn name(&self) -> Option<String> {
        let named = Some(self.resource_name.clone()).filter(|name| !name.is_empty());
        named.or_else(|| self.in_id("machines"))
    }

    /// What stands behind a segment of the ARM id.
    pub fn in_id(&self, segment: &str) -> Option<String> {
        let mut parts = self.resource_id.split('/');
        parts.find(|part| part.eq_ignore_ascii_case(segment)).and_then(|_| parts.next()).map(str::to_owned)
    }

    /// Status and error in azcmagent's own words.
    pub fn words(&self) -> String {
        joined(&self.status, &self.error, ", ")
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

/// The first JSON object in the output that tells of a machine; log lines may stand before and after it.
fn read_json(output: &str) -> Option<Show> {
    let mut rest = output;
    while let Some(at) = rest.find(['{', '[']) {
        rest = rest.get(at..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let found = values.next().and_then(Result::ok);
        if let Some(show) = found.as_ref().and_then(|value| of_value(value, true)) {
            return Some(show);
        }
        // What is inside of a value is not looked at a second time, as if it stood alone.
        rest = rest.get(if found.is_some() { values.byte_offset() } else { 1 }..)?;
    }
    None
}

/// The machine in a value: the value itself, or what a later version has put around it.
fn of_value(value: &Value, is_outermost: bool) -> Option<Show> {
    let object = match value {
        Value::Object(object) => object,
        Value::Array(list) => return list.iter().find_map(|value| of_value(value, false)),
        _ => return None,
    };
    let member = |names: &[&str]| {
        object.iter().find(|(key, _)| names.iter().any(|name| key.eq_ignore_ascii_case(name)))
    };
    let text = |names: &[&str]| match member(names) {
        Some((_, Value::String(text))) => text.trim().to_owned(),
        Some((_, Value::Number(number))) => number.to_string(),
        _ => String::new(),
    };
    let status = text(&["status", "agentStatus"]);
    // Its services have a status too, and so has a command that failed; neither has an id.
    let is_machine = member(&["resourceId", "resourceName", "vmId", "agentVersion"]).is_some();
    let is_other =
        || member(&["error", "serviceName", "displayName"]).is_some_and(|(_, value)| !value.is_null());
    if !status.is_empty() && (is_machine || is_outermost && !is_other()) {
        return Some(Show {
            status,
            resource_id: text(&["resourceId", "id"]),
            resource_name: text(&["resourceName", "name"]),
            resource_group: text(&["resourceGroup", "resourceGroupName"]),
            subscription_id: text(&["subscriptionId"]),
            tenant_id: text(&["tenantId"]),
            vm_id: text(&["vmId"]),
            last_heartbeat: member(&["lastHeartbeat"]).map(|_| text(&["lastHeartbeat"])),
            error: joined(&text(&["agentErrorCode"]), &text(&["agentErrorDetails"]), ": "),
        });
    }
    object.iter().filter(|(key, _)| *key != "services").find_map(|(_, value)| of_value(value, false))
}

/// `Label                 : value` lines, whatever stands between them and however the label is spaced.
fn read_text(output: &str) -> Option<Show> {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let lines: Vec<(String, &str)> = output
        .lines()
        .filter_map(|line| {
            let line = line.trim().trim_start_matches("INFO ");
            let (label, value) = line.split_once(':').or_else(|| line.split_once("  "))?;
            Some((plain(label), value.trim()))
        })
        .collect();
    let value =
        |label: &str| lines.iter().find(|(name, _)| name == label).map(|(_, value)| (*value).to_owned());
    let text = |label: &str| value(label).unwrap_or_default();
    Some(Show {
        status: value("agentstatus")?,
        resource_id: text("resourceid"),
        resource_name: text("resourcename"),
        resource_group: value("resourcegroupname").unwrap_or_else(|| text("resourcegroup")),
        subscription_id: text("subscriptionid"),
        tenant_id: text("tenantid"),
        vm_id: text("vmid"),
        last_heartbeat: value("agentlastheartbeat"),
        error: joined(&text("agenterrorcode"), &text("agenterrordetails"), ": "),
    })
}

fn joined(first: &str, second: &str, between: &str) -> String {
    let parts: Vec<&str> = [first, second].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(between)
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

    #[test]
    fn other_layouts_of_other_versions() {
        for output in [
            "AGENT STATUS: Connected\nResource ID: /subscriptions/s/resourceGroups/g/providers/x/machines/m\n",
            "INFO    Agent Status   : Connected\nINFO    Resource Id : /subscriptions/s/machines/m\r\n",
            "  agent_status    Connected\n  resource_id    /machines/m\n",
            "{\"agentStatus\":\"Connected\",\"ResourceId\":\"/machines/m\"}",
            "{\"result\":{\"services\":[{\"status\":\"active\"}],\"Status\":\"connected\",\"resourceId\":\"/machines/m\"}}",
            "[{\"status\":\"Connected\",\"resourceId\":\"/machines/m\",\"vmId\":null}]",
        ] {
            let show = Show::read(output).unwrap_or_else(|| panic!("{output}"));
            assert!(show.is("Connected") && show.is_onboarded(), "{output}");
            assert_eq!(show.name().as_deref(), Some("m"), "{output}");
        }
    }

    #[test]
    fn a_status_of_something_else_is_not_the_machines() {
        for output in [
            "{\"status\":\"failed\",\"error\":{\"code\":\"AZCM0065\",\"message\":\"no agent metadata\"}}",
            "{\"services\":[{\"serviceName\":\"himds\",\"status\":\"active\"}]}",
            "{\"status\":{\"value\":\"Connected\"},\"resourceId\":\"/x\"}",
            "{\"status\":\"Connected\",\"services\":[{\"serviceName\":\"himds\",\"status\":\"active\"}",
            "Dependent Service Status\n  Agent Service (himdsd)  : active\n",
            "time=\"x\" level=error msg=\"{\\\"status\\\":\\\"Connected\\\"}\"",
        ] {
            assert_eq!(Show::read(output), None, "{output}");
        }
        let unnamed =
            Show::read("{\"status\":\"Connected\",\"resourceId\":\"\",\"resourceName\":null}").unwrap();
        assert!(!unnamed.is_onboarded(), "Connected to nothing is not connected");
    }

    #[test]
    fn no_part_of_an_output_makes_it_panic() {
        let whole = "INFO    é [1] {\"a\":[{\"status\":\"Connected\",\"resourceId\":\"/subscriptions/s/machines/\"}]}\n\
                     Agent Status \u{a0}: \u{2713} Connected\nResource Id :::\n\u{feff}{\"status\":1}";
        for at in (0..=whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let (before, after) = whole.split_at(at);
            for part in [before, after] {
                assert!(Show::read(part).is_none_or(|show| !show.status.is_empty()), "{part}");
            }
        }
        let deep = "[".repeat(100_000) + "{\"status\":";
        assert_eq!(Show::read(&deep), None);
    }
}
