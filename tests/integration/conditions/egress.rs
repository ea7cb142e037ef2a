//! The endpoints behind the proxy: refused ones, broken tunnels, certificates.

use crate::assertions::{assert_enrolled, assert_stopped, evidence, met, through, with_windows};
use crate::nexus::spec::{Certificate, HttpAct, Playbook, Reply};
use crate::nexus::vm::Vm;

#[test]
fn egress_that_opens_within_the_window_is_used() {
    let vm = Vm::new()
        .installed()
        .csn(|csn| {
            let denied = Reply::text(403, "denied").header("X-Squid-Error", "ERR_ACCESS_DENIED 0");
            csn.connect = Playbook::new().lasting(std::time::Duration::from_millis(1500), denied.act());
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(!met(&run, "proxy.tunnel-refused").is_empty(), "{}", run.text());
}

#[test]
fn one_refused_endpoint_is_named_with_what_to_add() {
    let name = "gbl.his.arc.azure.com";
    let vm = Vm::new()
        .installed()
        .csn(|csn| csn.refused = vec![name.to_owned()])
        .config(&with_windows(&[("endpoint", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 17, "egress.refused");
    let text = evidence(&run, "egress.refused");
    assert!(text.contains(name) && text.contains("403") && !text.contains("management.azure.com"), "{text}");
    assert!(run.stdout.contains(&format!("Allow these: {name}\n")), "{}", run.text());
    assert!(run.stdout.contains(&format!("{{'domainName':'{name}','port':443}}")), "{}", run.text());
    assert!(vm.calls_of("azcmagent connect").is_empty());
}

#[test]
fn the_package_source_is_an_endpoint_only_while_needed() {
    let refused = || Vm::new().csn(|csn| csn.additional.clear()).config(&with_windows(&[("endpoint", "1s")]));
    let vm = refused().start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 17, "egress.refused");
    assert!(evidence(&run, "egress.refused").contains("packages.microsoft.com"), "{}", run.text());
    assert!(vm.calls_of("apt-get").is_empty());
    let vm = refused().installed().start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
}

#[test]
fn a_tunnel_without_an_answer_is_retried() {
    let vm = Vm::new()
        .installed()
        .csn(|csn| {
            let playbook = Playbook::new().once(HttpAct::EmptyTunnel);
            csn.hosts.insert("pas.windows.net".to_owned(), playbook);
        })
        .start();
    let run = vm.run(&["enroll"]);
    assert_enrolled(&vm, &run);
    assert!(evidence(&run, "egress.unreachable").contains("pas.windows.net"), "{}", run.text());
}

/// A certificate that curl does not accept, and why.
fn assert_untrusted(certificate: Certificate, fault: &str, issuer: &str) {
    let vm = Vm::new()
        .installed()
        .azure(|azure| azure.certificate = certificate)
        .config(&with_windows(&[("endpoint", "1s")]))
        .start();
    let run = vm.run(&["enroll"]);
    assert_stopped(&vm, &run, 17, fault);
    let text = evidence(&run, fault);
    assert!(text.contains(&format!("is issued by CN={issuer}")), "{text}");
    assert!(run.stdout.contains("openssl s_client -proxy 169.254.0.11:3128"), "{}", run.text());
    assert!(vm.observed().tokens.is_empty(), "no token is asked for while TLS is in doubt");
}

#[test]
fn an_intercepting_authority_is_named() {
    assert_untrusted(Certificate::Untrusted, "egress.untrusted", "Contoso TLS Inspection CA");
}

#[test]
fn an_expired_certificate_is_not_trusted() {
    assert_untrusted(Certificate::Expired, "egress.certificate-dates", "Simulated Azure CA");
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    assert_untrusted(Certificate::WrongName, "egress.wrong-name", "Simulated Azure CA");
}

#[test]
fn the_configuration_of_curl_is_not_read() {
    let vm = Vm::new()
        .installed()
        .azure(|azure| azure.certificate = Certificate::Untrusted)
        .config(&with_windows(&[("endpoint", "1s")]))
        .start();
    let home = tempfile::TempDir::new().expect("a folder");
    let add = "mkdir $1/upper $1/work && mount -t overlay -o lowerdir=/root,upperdir=$1/upper,workdir=$1/work overlay /root \
               && printf 'insecure\\ntrace-ascii = %s/trace\\n' $1 > /root/.curlrc && shift && exec \"$@\"";
    let folder = home.path().display().to_string();
    let run = through(&vm, "unshare", &["--mount", "--", "/bin/sh", "-c", add, "sh", &folder]);
    assert_stopped(&vm, &run, 17, "egress.untrusted");
    assert!(home.path().join("upper/.curlrc").exists() && !home.path().join("trace").exists());
    assert!(vm.observed().tokens.is_empty());
}
