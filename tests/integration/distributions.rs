//! Each distribution that azcmagent supports, by an os-release like its own: which repository, which key and
//! which package manager the real program takes. What the real package managers make of it is tests/distributions.

use std::os::unix::fs::symlink;
use std::thread;

use nix::sys::signal::Signal;

use crate::assertions::assert_enrolled;
use crate::nexus::spec::{Outcome, Playbook, PACKAGE, PACKAGE_SHA256};
use crate::nexus::vm::{self, Vm};

/// A row: an image's os-release, and the expected installation.
struct Row {
    name: &'static str,
    id: &'static str,
    version: &'static str,
    like: &'static str,
    /// The call that installs.
    installer: &'static str,
    /// The index that is read, below packages.microsoft.com; empty where the distribution's own is used.
    index: &'static str,
    key: &'static str,
}

const OLD_KEY: &str = "/keys/microsoft.asc";
const NEW_KEY: &str = "/keys/microsoft-2025.asc";

macro_rules! rows {
    ($($name:literal $id:literal $version:literal $like:literal => $installer:literal $index:literal $key:expr;)*) => {
        &[$(Row {
            name: $name, id: $id, version: $version, like: $like, installer: $installer, index: $index, key: $key,
        }),*]
    };
}

const APT: &[Row] = rows! {
    "Debian GNU/Linux 11 (bullseye)" "debian" "11" "" => "apt-get install" "/debian/11/prod/dists/bullseye/InRelease" OLD_KEY;
    "Debian GNU/Linux 12 (bookworm)" "debian" "12" "" => "apt-get install" "/debian/12/prod/dists/bookworm/InRelease" OLD_KEY;
    "Debian GNU/Linux 13 (trixie)" "debian" "13" "" => "apt-get install" "/debian/13/prod/dists/trixie/InRelease" NEW_KEY;
    "Ubuntu 18.04.6 LTS" "ubuntu" "18.04" "debian" => "apt-get install" "/ubuntu/18.04/prod/dists/bionic/InRelease" OLD_KEY;
    "Ubuntu 20.04.6 LTS" "ubuntu" "20.04" "debian" => "apt-get install" "/ubuntu/20.04/prod/dists/focal/InRelease" OLD_KEY;
    "Ubuntu 22.04.5 LTS" "ubuntu" "22.04" "debian" => "apt-get install" "/ubuntu/22.04/prod/dists/jammy/InRelease" OLD_KEY;
    "Ubuntu 24.04.2 LTS" "ubuntu" "24.04" "debian" => "apt-get install" "/ubuntu/24.04/prod/dists/noble/InRelease" OLD_KEY;
    "Ubuntu 26.04 LTS" "ubuntu" "26.04" "debian" => "apt-get install" "/ubuntu/26.04/prod/dists/resolute/InRelease" NEW_KEY;
};

const RED_HAT: &[Row] = rows! {
    "Red Hat Enterprise Linux Server 7.9 (Maipo)" "rhel" "7.9" "fedora" => "yum install" "/rhel/7/prod/repodata/repomd.xml" OLD_KEY;
    "Red Hat Enterprise Linux 8.10 (Ootpa)" "rhel" "8.10" "fedora" => "dnf install" "/rhel/8/prod/repodata/repomd.xml" OLD_KEY;
    "Red Hat Enterprise Linux 9.4 (Plow)" "rhel" "9.4" "fedora" => "dnf install" "/rhel/9/prod/repodata/repomd.xml" OLD_KEY;
    "Red Hat Enterprise Linux 10.0 (Coughlan)" "rhel" "10.0" "centos fedora" => "dnf install" "/rhel/10/prod/repodata/repomd.xml" NEW_KEY;
    "AlmaLinux 8.10 (Cerulean Leopard)" "almalinux" "8.10" "rhel centos fedora" => "dnf install" "/rhel/8/prod/repodata/repomd.xml" OLD_KEY;
    "AlmaLinux 9.5 (Teal Serval)" "almalinux" "9.5" "rhel centos fedora" => "dnf install" "/rhel/9/prod/repodata/repomd.xml" OLD_KEY;
    "AlmaLinux 10.0 (Purple Lion)" "almalinux" "10.0" "rhel centos fedora" => "dnf install" "/rhel/10/prod/repodata/repomd.xml" NEW_KEY;
    "Rocky Linux 8.10 (Green Obsidian)" "rocky" "8.10" "rhel centos fedora" => "dnf install" "/rhel/8/prod/repodata/repomd.xml" OLD_KEY;
    "Rocky Linux 9.5 (Blue Onyx)" "rocky" "9.5" "rhel centos fedora" => "dnf install" "/rhel/9/prod/repodata/repomd.xml" OLD_KEY;
    "Rocky Linux 10.0 (Red Quartz)" "rocky" "10.0" "rhel centos fedora" => "dnf install" "/rhel/10/prod/repodata/repomd.xml" NEW_KEY;
    "Oracle Linux Server 7.9" "ol" "7.9" "fedora" => "yum install" "/rhel/7/prod/repodata/repomd.xml" OLD_KEY;
    "Oracle Linux Server 8.10" "ol" "8.10" "fedora" => "dnf install" "/rhel/8/prod/repodata/repomd.xml" OLD_KEY;
    "Oracle Linux Server 9.5" "ol" "9.5" "fedora" => "dnf install" "/rhel/9/prod/repodata/repomd.xml" OLD_KEY;
    "Oracle Linux Server 10.0" "ol" "10.0" "fedora" => "dnf install" "/rhel/10/prod/repodata/repomd.xml" NEW_KEY;
    "CentOS Linux 7 (Core)" "centos" "7" "rhel fedora" => "yum install" "/rhel/7/prod/repodata/repomd.xml" OLD_KEY;
    "CentOS Linux 8" "centos" "8" "rhel fedora" => "dnf install" "/rhel/8/prod/repodata/repomd.xml" OLD_KEY;
    "Amazon Linux 2" "amzn" "2" "centos rhel fedora" => "yum install" "/amazonlinux/2/prod/repodata/repomd.xml" OLD_KEY;
    "Amazon Linux 2023.6.20250107" "amzn" "2023" "fedora" => "dnf install" "/amazonlinux/2023/prod/repodata/repomd.xml" OLD_KEY;
};

const SUSE_AND_AZURE: &[Row] = rows! {
    "SUSE Linux Enterprise Server 12 SP5" "sles" "12.5" "suse" => "zypper install" "/sles/12/prod/repodata/repomd.xml" OLD_KEY;
    "SUSE Linux Enterprise Server 15 SP6" "sles" "15.6" "suse" => "zypper install" "/sles/15/prod/repodata/repomd.xml" OLD_KEY;
    "SUSE Linux Enterprise Server 16.0" "sles" "16.0" "suse" => "zypper install" "/sles/16/prod/repodata/repomd.xml" NEW_KEY;
    "SUSE Linux Enterprise Server for SAP Applications 12 SP5" "sles_sap" "12.5" "suse" => "zypper install" "/sles/12/prod/repodata/repomd.xml" OLD_KEY;
    "SUSE Linux Enterprise Server for SAP Applications 15 SP6" "sles_sap" "15.6" "suse" => "zypper install" "/sles/15/prod/repodata/repomd.xml" OLD_KEY;
    "SUSE Linux Enterprise Server for SAP applications 16.0" "sles_sap" "16.0" "suse" => "zypper install" "/sles/16/prod/repodata/repomd.xml" NEW_KEY;
    "Microsoft Azure Linux 3.0" "azurelinux" "3.0" "" => "tdnf install" "" "";
};

fn os_release(name: &str, id: &str, version: &str, like: &str) -> String {
    let first = name.split(' ').next().unwrap_or_default();
    let version = if version.is_empty() { String::new() } else { format!("VERSION_ID=\"{version}\"\n") };
    let like = if like.is_empty() { String::new() } else { format!("ID_LIKE=\"{like}\"\n") };
    format!("NAME=\"{first}\"\n{version}ID=\"{id}\"\n{like}PRETTY_NAME=\"{name}\"\nHOME_URL=\"https://example.org/\"\n")
}

/// The distribution's own repository, as Azure Linux lists it.
const OWN: &str = "[azurelinux-official-ms-oss]\nbaseurl=https://packages.microsoft.com/azurelinux/3.0/prod/ms-oss/x86_64\n";

/// The differences from the row; empty if there are none.
fn play(row: &Row) -> Vec<String> {
    let mut vm = Vm::new().file("etc/os-release", &os_release(row.name, row.id, row.version, row.like));
    if row.index.is_empty() {
        vm = vm.file("etc/yum.repos.d/azurelinux-official-ms-oss.repo", OWN);
    }
    let vm = vm.start();
    let run = vm.run(&["enroll"]);
    let mut wrong = Vec::new();
    let mut note = |what: &str, found: &dyn std::fmt::Debug| {
        wrong.push(format!("{} ({} {}): {what}: {found:?}", row.name, row.id, row.version));
    };
    if run.code != Some(0) {
        note("the exit code", &(run.code, run.last()["fault"].clone()));
    }
    let installers: Vec<String> = vm
        .calls()
        .into_iter()
        .map(|call| call.call)
        .filter(|call| call.ends_with(" install") && !call.starts_with("azcmagent"))
        .collect();
    if installers != [row.installer] {
        note("the package manager", &installers);
    }
    let observed = vm.observed();
    let asked: Vec<&str> =
        observed.azure_at("packages.microsoft.com").iter().map(|seen| seen.target.as_str()).collect();
    let indexes: Vec<&&str> =
        asked.iter().filter(|path| path.ends_with("InRelease") || path.ends_with("repomd.xml")).collect();
    let expected = if row.index.is_empty() {
        "/azurelinux/3.0/prod/ms-oss/x86_64/repodata/repomd.xml"
    } else {
        row.index
    };
    if indexes.is_empty() || indexes.iter().any(|path| **path != expected) {
        note("the repository", &indexes);
    }
    let keys: Vec<&&str> = asked.iter().filter(|path| path.starts_with("/keys/")).collect();
    if !keys.iter().map(|key| **key).eq((!row.key.is_empty()).then_some(row.key)) {
        note("the key", &keys);
    }
    wrong
}

/// Two at a time, since a run mostly waits for programs.
fn play_all(rows: &[Row]) {
    let (one, other) = rows.split_at(rows.len() / 2);
    let wrong: Vec<String> = thread::scope(|scope| {
        let halves = [one, other].map(|rows| scope.spawn(|| rows.iter().flat_map(play).collect::<Vec<_>>()));
        halves.into_iter().flat_map(|half| half.join().expect("a half of the rows")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn debian_and_ubuntu_have_their_repository() {
    play_all(APT);
}

#[test]
fn red_hat_family_has_its_repository() {
    play_all(RED_HAT);
}

#[test]
fn suse_and_azure_linux_have_their_repository() {
    play_all(SUSE_AND_AZURE);
}

/// The versions of each distribution, as the evidence lists them.
const SUPPORTED: &str =
    "it is for debian 11, 12, 13, ubuntu 18.04, 20.04, 22.04, 24.04, 26.04, rhel 7, 8, 9, 10, \
                         almalinux 8, 9, 10, rocky 8, 9, 10, ol 7, 8, 9, 10, centos 7, 8, amzn 2, 2023, \
                         sles 12, 15, 16, sles_sap 12, 15, 16, azurelinux 3";

/// A distribution similar to a supported one is not supported: the agent is not tested there.
#[test]
fn unsupported_distribution_lists_the_supported_ones() {
    let rows = [
        ("openSUSE Leap 15.6", "opensuse-leap", "15.6", "suse opensuse", SUPPORTED),
        ("openSUSE Tumbleweed", "opensuse-tumbleweed", "20250110", "opensuse suse", SUPPORTED),
        ("SUSE Linux Micro 6.0", "sl-micro", "6.0", "suse", SUPPORTED),
        ("Arch Linux", "arch", "", "", SUPPORTED),
        ("Alpine Linux v3.21", "alpine", "3.21.2", "", SUPPORTED),
        ("Fedora Linux 41 (Server Edition)", "fedora", "41", "", SUPPORTED),
        ("Linux Mint 22", "linuxmint", "22", "ubuntu debian", SUPPORTED),
        ("Raspbian GNU/Linux 12 (bookworm)", "raspbian", "12", "debian", SUPPORTED),
        ("CBL-Mariner/Linux", "mariner", "2.0", "", SUPPORTED),
        ("Debian GNU/Linux 10 (buster)", "debian", "10", "", "of this distribution it is for 11, 12, 13"),
        ("Debian GNU/Linux forky/sid", "debian", "", "", "of this distribution it is for 11, 12, 13"),
        ("Ubuntu 22.10", "ubuntu", "22.10", "debian", "it is for 18.04, 20.04, 22.04, 24.04, 26.04"),
        ("Ubuntu 16.04.7 LTS", "ubuntu", "16.04", "debian", "it is for 18.04, 20.04, 22.04, 24.04, 26.04"),
        ("CentOS Stream 9", "centos", "9", "rhel fedora", "of this distribution it is for 7, 8"),
        (
            "Red Hat Enterprise Linux Server 6.10",
            "rhel",
            "6.10",
            "",
            "of this distribution it is for 7, 8, 9, 10",
        ),
        (
            "Amazon Linux AMI 2018.03",
            "amzn",
            "2018.03",
            "rhel fedora",
            "of this distribution it is for 2, 2023",
        ),
        (
            "SUSE Linux Enterprise Server 11 SP4",
            "sles",
            "11.4",
            "",
            "of this distribution it is for 12, 15, 16",
        ),
    ];
    for (name, id, version, like, evidence) in rows {
        let vm = Vm::new().file("etc/os-release", &os_release(name, id, version, like)).start();
        let run = vm.run(&["enroll"]);
        assert_eq!(run.code, Some(19), "{name}: {}", run.text());
        assert_eq!(run.last()["fault"], "agent.distribution-unsupported", "{name}");
        let said = run.last().to_string();
        assert!(said.contains(name) && said.contains(evidence), "{name}: {said}");
        assert!(!vm.path("usr/bin/azcmagent").exists(), "{name}");
        let observed = vm.observed();
        let asked = observed.azure_at("packages.microsoft.com");
        assert!(!asked.iter().any(|seen| seen.target.contains("/keys/")), "{name}: a key was fetched");
    }
}

/// A configured package is installed by the distribution's package manager.
#[test]
fn configured_package_is_installed_on_any_distribution() {
    for (name, id, like, file, call) in [
        ("openSUSE Leap 15.6", "opensuse-leap", "suse opensuse", "/srv/azcmagent.rpm", "rpm --upgrade"),
        ("Fedora Linux 41", "fedora", "", "/srv/azcmagent.rpm", "dnf install"),
    ] {
        let lines =
            format!("agent:\n  install: package\n  package: {{file: {file}, sha256: {PACKAGE_SHA256}}}\n");
        let config = vm::config().replacen("agent:\n", &lines, 1);
        let vm = Vm::new()
            .config(&config)
            .file("etc/os-release", &os_release(name, id, "41", like))
            .file(file.trim_start_matches('/'), PACKAGE)
            .start();
        let run = vm.run(&["enroll"]);
        assert_eq!(run.code, Some(0), "{name}: {}", run.text());
        assert_eq!(vm.calls_of(call).len(), 1, "{name}");
    }
}

/// os-release(5): /usr/lib/os-release is used if /etc has none, and missing lines have defaults.
#[test]
fn os_release_falls_back_to_usr_lib() {
    let vm = Vm::new().start();
    vm.write("usr/lib/os-release", &os_release("Rocky Linux 9.5 (Blue Onyx)", "rocky", "9.5", "rhel"));
    std::fs::remove_file(vm.path("etc/os-release")).expect("there was one");
    symlink(vm::nexus_program(), vm.path("usr/bin/dnf")).expect("a dnf");
    assert_eq!(vm.run(&["enroll"]).code, Some(0));
    assert_eq!(vm.calls_of("dnf install").len(), 1);
    let vm = Vm::new().file("etc/os-release", "BUILD_ID=rolling\n").start();
    let run = vm.run(&["enroll"]);
    assert_eq!(run.last()["fault"], "agent.distribution-unsupported");
    assert!(run.last().to_string().contains("(ID=linux)"), "{}", run.text());
}

/// Killed during the installation, with the services present and their scripts not run: the next run
/// installs again, since rpm treats the package as installed.
#[test]
fn interrupted_installation_is_finished() {
    for (id, version, install, finish) in
        [("rocky", "9.4", "dnf install", "rpm --erase"), ("sles", "15.6", "zypper install", "rpm --erase")]
    {
        let hang = Playbook::new().once(Outcome::Hang { stdout: String::new() });
        let vm = Vm::new().os(id, version, "").call(install, hang).start();
        let mut going = vm.agent(&["enroll"]).spawn();
        going.wait_until("the package manager installs", |vm| !vm.calls_of(install).is_empty());
        going.signal(Signal::SIGKILL);
        going.finish();
        assert!(vm.path("var/lib/arc-enroll/install-begun").exists(), "{id}");
        // The program is unpacked, but its services were not started.
        symlink(vm::nexus_program(), vm.path("usr/bin/azcmagent")).expect("a program");
        let run = vm.run(&["enroll"]);
        assert_enrolled(&vm, &run);
        let met = run.events("condition.fails");
        assert!(
            met.iter().any(|line| line["fault"] == "agent.package-manager-interrupted"),
            "{}",
            run.text()
        );
        assert_eq!(vm.calls_of(finish).len(), 1, "{id}: {}", run.text());
        assert_eq!(vm.calls_of(install).len(), 2, "{id}");
        assert!(!vm.path("var/lib/arc-enroll/install-begun").exists(), "{id}");
    }
}
