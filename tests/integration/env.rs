//! `env`: the proxy variables in shell syntax.

use std::collections::BTreeMap;
use std::path::Path;

use crate::nexus::vm::{agent_program, Vm, CONFIG};

#[test]
fn environment_is_valid_shell_syntax() {
    let vm = Vm::new().start();
    let script =
        format!("eval \"$('{}' env --root '{}')\" && env", agent_program().display(), vm.root.display());
    let mut shell = vm.inside(Path::new("/bin/sh"));
    shell
        .args(["-c", &script])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("NO_PROXY", "intra.example, 10.0.0.0/8");
    let output = shell.output().expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let variables: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
        assert_eq!(variables[name], "http://169.254.0.11:3128", "{name}");
    }
    assert_eq!(variables["NO_PROXY"], variables["no_proxy"]);
    let excepted: Vec<&str> = variables["NO_PROXY"].split(',').collect();
    for name in ["localhost", "127.0.0.1", "169.254.169.254", "intra.example", "10.0.0.0/8"] {
        assert!(excepted.contains(&name), "{name} in {excepted:?}");
    }
}

#[test]
fn a_named_configuration_is_not_replaced_by_defaults_where_the_default_one_is_unreadable() {
    let vm = Vm::new().file("etc/own.yaml", "proxy: {url: no-url}\n").start();
    std::fs::set_permissions(vm.path(CONFIG), std::os::unix::fs::PermissionsExt::from_mode(0o000))
        .expect("a mode can be set");
    let mut command = vm.command("unshare");
    command.args(["--user", "--map-user=1000", "--"]).arg(agent_program()).args(["env", "--root"]);
    let output = command.arg(&vm.root).args(["--config", "/etc/own.yaml"]).output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(output.stdout.is_empty() && errors.contains("own.yaml:1: proxy.url: "), "{errors}");
}
