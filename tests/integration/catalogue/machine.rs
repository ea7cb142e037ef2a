//! Faults of the machine itself and of the run.

use super::{faults, Met};
use crate::nexus::vm::Vm;

faults! {
    no_systemd "host.no-systemd" => Met::by_doctor(Vm::new().system(|system| system.state = "offline".into()))
        .exit(3)
        .seen("offline")
        .remedy("https://learn.microsoft.com/azure/azure-arc/servers/prerequisites");

    proxy_settings_missing "proxy-environment.incomplete" => Met::by_doctor(Vm::new().installed())
        .exit(12)
        .seen("/etc/environment (logins and cron, through pam_env)")
        .remedy("eval \"$(arc-enroll env)\"");
}
