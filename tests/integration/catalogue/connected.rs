//! Faults of the connection.

use serde_json::json;

use super::agent::observed_vm_with_agent;
use super::{faults, Met};
use crate::assertions::with_windows;
use crate::nexus::spec::{machine, machine_id, GuestPlan, Outcome, Playbook, Reply, VM_NAME};
use crate::nexus::vm::{Builder, Vm};

const DELETE: &str = "az connectedmachine delete --name contoso-vm-01 --resource-group contoso-nexus-rg \
                      --subscription 11111111-1111-4111-8111-111111111111";

/// A VM with azcmagent whose connect always has this outcome, with a window of one second.
fn connecting(outcome: Outcome) -> Builder {
    let vm = Vm::new().installed().config(&with_windows(&[("endpoint", "1s")]));
    vm.call("azcmagent connect", Playbook::new().forever(outcome))
}

/// An enrolled VM whose `azcmagent show` has these members.
fn showing(members: serde_json::Value) -> Builder {
    let vm = Vm::new().enrolled().config(&with_windows(&[("endpoint", "1s")]));
    vm.call("azcmagent show", Playbook::new().forever(Outcome::Patch(members)))
}

/// A machine that has been disconnected for some time.
fn disconnected() -> serde_json::Value {
    json!({"status": "Disconnected", "lastHeartbeat": "2026-10-09T08:50:00Z", "agentErrorCode": "AZCM0026"})
}

/// ARM's reply to a request for the machine.
fn known_to_azure(vm: Builder, reply: Reply) -> Builder {
    vm.azure(|azure| drop(azure.routes.insert("machine.get".into(), Playbook::new().forever(reply.act()))))
}

faults! {
    not_enrolled "connected.not-enrolled" => Met::by_doctor(observed_vm_with_agent())
        .exit(75)
        .seen("azcmagent says Disconnected and names no resource")
        .remedy("arc-enroll enroll");

    pending "connected.pending" => Met::by_enroll(
        Vm::new()
            .config(&with_windows(&[("endpoint", "2s")]))
            .guest(|guest| *guest = GuestPlan { connected_after_shows: u32::MAX, ..GuestPlan::default() }),
    )
        .exit(75)
        .seen("azcmagent says Disconnected")
        .remedy("azcmagent show");

    elsewhere "connected.elsewhere" =>
        Met::by_enroll(Vm::new().connected(&machine_id(VM_NAME).replace("contoso-nexus-rg", "another-rg")))
        .exit(21)
        .seen("another-rg")
        .seen("the configured resource group is contoso-nexus-rg")
        .remedy("azcmagent disconnect");

    elsewhere_by_name "connected.elsewhere" => Met::by_enroll(Vm::new().connected(&machine_id("golden")).config(
        &crate::assertions::with_azure(&crate::nexus::vm::config(), "  resource_name: contoso-vm-01\n"),
    ))
        .exit(21)
        .seen("the configured name is contoso-vm-01")
        .remedy("azcmagent disconnect");

    disconnected_for_now "connected.disconnected" => Met::by_enroll(showing(disconnected()))
        .exit(75)
        .seen("azcmagent says Disconnected, AZCM0026; Azure says Connected")
        .remedy("azcmagent check --location eastus");

    expired "connected.expired" => Met::by_enroll(showing(json!({"status": "Expired"})))
        .exit(21)
        .seen("azcmagent says Expired")
        .remedy(DELETE)
        .remedy("azcmagent disconnect --force-local-only")
        .remedy("set repair.recreate_expired to true in /etc/arc-enroll/config.yaml");

    recreate_failed "connected.recreate-failed" => Met::by_enroll(
        showing(json!({"status": "Expired"}))
            .config(&(with_windows(&[("endpoint", "1s")]) + "repair: {recreate_expired: true}\n"))
            .azure(|azure| {
                let own = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
                azure.machines.insert(VM_NAME.into(), machine(VM_NAME, "Expired", own));
                let reply = Reply::named("arm-500").act();
                azure.routes.insert("machine.delete".into(), Playbook::new().forever(reply));
            }),
    )
        .exit(75)
        .seen("deleting contoso-vm-01 in Azure: the response is HTTP 500")
        .remedy(DELETE);

    cloned_by_name "connected.cloned" => Met::by_enroll(
        Vm::new()
            .connected(&machine_id("golden-image"))
            .call("azcmagent show", Playbook::new().forever(Outcome::Patch(json!({"status": "Disconnected"})))),
    )
        .exit(21)
        .seen("it is enrolled as golden-image, this VM is contoso-vm-01")
        .remedy("azcmagent disconnect --force-local-only")
        .remedy("azure.resource_name in /etc/arc-enroll/config.yaml");

    cloned_by_its_error "connected.cloned" => Met::by_enroll(showing(
        json!({"status": "Disconnected", "lastHeartbeat": "2026-10-09T08:50:00Z", "agentErrorDetails": "HTTP 429"}),
    ))
        .exit(21)
        .seen("azcmagent says Disconnected, HTTP 429")
        .remedy("azcmagent disconnect --force-local-only");

    cloned_in_azure "connected.cloned" => Met::by_enroll(known_to_azure(showing(disconnected()), {
        let mut known = machine(VM_NAME, "Disconnected", "1");
        known["properties"]["statusReason"] = "Cloned".into();
        Reply::json(200, &known)
    }))
        .exit(21)
        .seen("Azure says: Cloned")
        .remedy("azcmagent disconnect --force-local-only");

    gone "connected.resource-gone" => Met::by_enroll(known_to_azure(
        showing(disconnected()),
        Reply::json(404, &json!({"error": {"code": "ResourceNotFound", "message": "was not found"}})),
    ))
        .exit(21)
        .seen("Azure has no machine contoso-vm-01")
        .remedy("azcmagent disconnect --force-local-only");

    keys "connected.keys" => Met::by_enroll(connecting(Outcome::fail(103, "Message: open certs/myCert.key: is a directory")))
        .exit(21)
        .seen("AZCM0103")
        .seen("myCert.key")
        .remedy("ls -l /var/opt/azcmagent");

    token_not_taken "connected.token-not-taken" => Met::by_enroll(connecting(Outcome::DeviceCode))
        .exit(21)
        .seen("To sign in, use a web browser")
        .remedy("Set agent.token to argument in /etc/arc-enroll/config.yaml");

    name_taken "connected.name-taken" => Met::by_enroll(Vm::new().installed().azure(|azure| {
        let other = machine(VM_NAME, "Disconnected", "99999999-9999-4999-8999-999999999999");
        azure.machines.insert(VM_NAME.into(), other);
    }))
        .exit(21)
        .seen("Azure has a machine contoso-vm-01 that is Disconnected since 2026-10-09T08:50:00.0000000Z")
        .seen("of the VM with id 99999999-9999-4999-8999-999999999999")
        .seen("AZCM0044")
        .remedy(DELETE)
        .remedy("azure.resource_name in /etc/arc-enroll/config.yaml");

    private_link_missing "connected.private-link" => Met::by_enroll(connecting(Outcome::exit(
        26,
        "No indication of Private Link Scope but found private endpoint agentserviceapi.guestconfiguration.azure.com\n\
         INFO    AZCM0026: Network Error\n",
    )))
        .exit(21)
        .seen("AZCM0026")
        .remedy("azcmagent check --location eastus --enable-pls-check")
        .remedy("Set azure.private_link_scope in /etc/arc-enroll/config.yaml");

    private_link_unused "connected.private-link" => Met::by_enroll(connecting(Outcome::fail(
        26,
        "Message: Private Link Scope is given, but gbl.his.arc.azure.com resolves to a public address",
    )))
        .exit(21)
        .seen("resolves to a public address")
        .remedy("az connectedmachine private-link-scope list --resource-group contoso-nexus-rg");

    network "connected.network" => Met::by_enroll(connecting(Outcome::fail(
        26,
        "Message: Get \"https://gbl.his.arc.azure.com/\": dial tcp: i/o timeout",
    )))
        .exit(75)
        .seen("AZCM0026")
        .seen("i/o timeout")
        .remedy("azcmagent check --location eastus");

    half_made "connected.half-made" => Met::by_enroll(connecting(Outcome::HalfMade { azcm: 81 }))
        .exit(75)
        .seen("AZCM0081")
        .remedy(DELETE);

    connect_failed "connected.connect-failed" =>
        Met::by_enroll(connecting(Outcome::exit(6, "FATAL   the flux capacitor is empty\n")))
        .exit(75)
        .seen("AZCM0006")
        .seen("the flux capacitor is empty")
        .remedy("https://aka.ms/arc/azcmerror");

    connect_timeout "connected.connect-timeout" => Met::by_enroll(
        connecting(Outcome::Hang { stdout: "INFO    Connecting\n".into() }).config(&with_windows(&[("boot", "3s")])),
    )
        .exit(75)
        .seen("INFO    Connecting")
        .remedy("tail -50 /var/opt/azcmagent/log/azcmagent.log");
}
