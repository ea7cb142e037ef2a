//! Parses `azcmagent show`, as JSON or as text; both layouts differ between versions.

use serde_json::Value;

/// The members that are used; an absent member is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Show {
    /// `Connected`, `Disconnected`, `Expired`, or a status of a later version.
    pub status: String,
    /// ARM id of the machine; empty where it was never onboarded.
    pub resource_id: String,
    /// Name of the machine.
    pub resource_name: String,
    /// Its resource group.
    pub resource_group: String,
    /// Its subscription.
    pub subscription_id: String,
    /// Its tenant.
    pub tenant_id: String,
    /// VM id in Azure.
    pub vm_id: String,
    /// Time of the last heartbeat; `None` where this version does not print it, empty where there was none.
    pub last_heartbeat: Option<String>,
    /// `agentErrorCode` and `agentErrorDetails`, joined.
    pub error: String,
}

impl Show {
    /// Parses the output; `None` where it has no status.
    pub fn parse(output: &str) -> Option<Self> {
        parse_json(output).or_else(|| parse_text(output)).filter(|show| !show.status.is_empty())
    }

    /// Whether the machine was onboarded; a machine that never was has the status `Disconnected` too.
    pub fn is_onboarded(&self) -> bool {
        !self.resource_id.is_empty() || !self.resource_name.is_empty() && !self.subscription_id.is_empty()
    }

    /// Whether the output shows that there was no heartbeat: the onboarding is incomplete.
    pub fn lacks_heartbeat(&self) -> bool {
        // An unset time is printed as 0001-01-01.
        self.last_heartbeat.as_deref().is_some_and(|time| time.is_empty() || time.starts_with("0001-"))
    }

    /// The machine's name, else the name in its id.
    pub fn name(&self) -> Option<String> {
        let name = Some(self.resource_name.clone()).filter(|name| !name.is_empty());
        name.or_else(|| self.id_segment("machines"))
    }

    /// The value after a segment of the ARM id.
    pub fn id_segment(&self, segment: &str) -> Option<String> {
        let mut parts = self.resource_id.split('/');
        parts.find(|part| part.eq_ignore_ascii_case(segment)).and_then(|_| parts.next()).map(str::to_owned)
    }

    /// Status and error as azcmagent prints them.
    pub fn status_text(&self) -> String {
        joined(&self.status, &self.error, ", ")
    }

    /// Whether the machine has this status, in any letter case.
    pub fn has_status(&self, status: &str) -> bool {
        self.status.eq_ignore_ascii_case(status)
    }

    /// The ARM id, built from its parts where it is not printed.
    pub fn arm_id(&self) -> String {
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

/// The number of brackets at which JSON is looked for: log lines may have some before it, and each attempt may read the
/// whole output.
const MOST_ATTEMPTS: usize = 256;

/// The first JSON object in the output that describes a machine; log lines may surround it.
fn parse_json(output: &str) -> Option<Show> {
    let mut rest = output;
    for _attempt in 0..MOST_ATTEMPTS {
        rest = rest.get(rest.find(['{', '['])?..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let found = values.next().and_then(Result::ok);
        if let Some(show) = found.as_ref().and_then(|value| find_machine(value, true)) {
            return Some(show);
        }
        // The contents of a complete value are skipped.
        rest = rest.get(if found.is_some() { values.byte_offset() } else { 1 }..)?;
    }
    None
}

/// The machine in a value: the value itself, or a nested one.
fn find_machine(value: &Value, is_outermost: bool) -> Option<Show> {
    let object = match value {
        Value::Object(object) => object,
        Value::Array(list) => return list.iter().find_map(|value| find_machine(value, false)),
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
    // Services and failed commands have a status too, but no id.
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
    object.iter().filter(|(key, _)| *key != "services").find_map(|(_, value)| find_machine(value, false))
}

/// Parses `Label : value` lines; other lines, and the spacing and letter case of labels, are ignored.
fn parse_text(output: &str) -> Option<Show> {
    let normalize = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let lines: Vec<(String, &str)> = output
        .lines()
        .filter_map(|line| {
            let line = line.trim().trim_start_matches("INFO ");
            let (label, value) = line.split_once(':').or_else(|| line.split_once("  "))?;
            Some((normalize(label), value.trim()))
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
    fn json_between_log_lines_is_parsed() {
        let output = "time=\"x\" level=info msg=\"{not json}\"\n{\"resourceName\":\"vm\",\"resourceGroup\":\"rg\",\
                      \"subscriptionId\":\"s\",\"status\":\"Connected\",\"resourceId\":\"/id\",\"services\":[{}],\
                      \"agentErrorCode\":null}\nbye\n";
        let show = Show::parse(output).unwrap();
        assert!(show.has_status("connected") && show.is_onboarded() && !show.lacks_heartbeat());
        assert_eq!((show.resource_name.as_str(), show.error.as_str()), ("vm", ""));
    }

    #[test]
    fn the_text_layout_is_parsed() {
        let output = "Resource Name                           :\nResource Id                             :\n\
                      Agent Status                            : Disconnected\n\
                      Agent Error Code                        : AZCM0026\n\
                      Agent Error Details                     : no route: at all\n";
        let show = Show::parse(output).unwrap();
        assert!(show.has_status("Disconnected") && !show.is_onboarded());
        assert_eq!(show.error, "AZCM0026: no route: at all");
    }

    #[test]
    fn a_missing_heartbeat_is_distinguished_from_a_missing_member() {
        let lacks_heartbeat = |text: &str| Show::parse(text).unwrap().lacks_heartbeat();
        for time in ["\"\"", "null", "\"0001-01-01T00:00:00Z\""] {
            assert!(
                lacks_heartbeat(&format!("{{\"status\":\"Disconnected\",\"lastHeartbeat\":{time}}}")),
                "{time}"
            );
        }
        assert!(!lacks_heartbeat("{\"status\":\"Disconnected\",\"lastHeartbeat\":\"2026-10-09T08:50:00Z\"}"));
        assert!(!lacks_heartbeat("Agent Status  : Disconnected\n"));
        assert!(lacks_heartbeat("Agent Status  : Disconnected\nAgent Last Heartbeat  :\n"));
    }

    #[test]
    fn unparsable_output_is_none() {
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
            assert_eq!(Show::parse(output), None, "{output}");
        }
    }

    #[test]
    fn layouts_of_other_versions_are_parsed() {
        for output in [
            "AGENT STATUS: Connected\nResource ID: /subscriptions/s/resourceGroups/g/providers/x/machines/m\n",
            "INFO    Agent Status   : Connected\nINFO    Resource Id : /subscriptions/s/machines/m\r\n",
            "  agent_status    Connected\n  resource_id    /machines/m\n",
            "{\"agentStatus\":\"Connected\",\"ResourceId\":\"/machines/m\"}",
            "{\"result\":{\"services\":[{\"status\":\"active\"}],\"Status\":\"connected\",\"resourceId\":\"/machines/m\"}}",
            "[{\"status\":\"Connected\",\"resourceId\":\"/machines/m\",\"vmId\":null}]",
        ] {
            let show = Show::parse(output).unwrap_or_else(|| panic!("{output}"));
            assert!(show.has_status("Connected") && show.is_onboarded(), "{output}");
            assert_eq!(show.name().as_deref(), Some("m"), "{output}");
        }
    }

    #[test]
    fn a_status_without_a_machine_is_ignored() {
        for output in [
            "{\"status\":\"failed\",\"error\":{\"code\":\"AZCM0065\",\"message\":\"no agent metadata\"}}",
            "{\"services\":[{\"serviceName\":\"himds\",\"status\":\"active\"}]}",
            "{\"status\":{\"value\":\"Connected\"},\"resourceId\":\"/x\"}",
            "{\"status\":\"Connected\",\"services\":[{\"serviceName\":\"himds\",\"status\":\"active\"}",
            "Dependent Service Status\n  Agent Service (himdsd)  : active\n",
            "time=\"x\" level=error msg=\"{\\\"status\\\":\\\"Connected\\\"}\"",
        ] {
            assert_eq!(Show::parse(output), None, "{output}");
        }
        let unnamed =
            Show::parse("{\"status\":\"Connected\",\"resourceId\":\"\",\"resourceName\":null}").unwrap();
        assert!(!unnamed.is_onboarded(), "a machine without an id is not onboarded");
    }

    #[test]
    fn truncated_output_does_not_panic() {
        let whole = "INFO    é [1] {\"a\":[{\"status\":\"Connected\",\"resourceId\":\"/subscriptions/s/machines/\"}]}\n\
                     Agent Status \u{a0}: \u{2713} Connected\nResource Id :::\n\u{feff}{\"status\":1}";
        for at in (0..=whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let (before, after) = whole.split_at(at);
            for part in [before, after] {
                assert!(Show::parse(part).is_none_or(|show| !show.status.is_empty()), "{part}");
            }
        }
        let deep = "[".repeat(100_000) + "{\"status\":";
        assert_eq!(Show::parse(&deep), None);
    }
}
