//! Plans the installation of the agent's package: the files to write and the commands to run.
//!
//! There are two attempts. The first uses only the required repository, because a cloud services network often allows
//! packages.microsoft.com and no mirror of the distribution, and the dependencies are usually installed. Where one is
//! missing, the second attempt uses all repositories.

use super::distribution::{Family, Repository, Source};
use super::PACKAGE;

/// A file to write, of mode 0644.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path of the file.
    pub path: &'static str,
    /// Content of the file.
    pub content: String,
}

/// The purpose of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Imports the repository's key into rpm.
    Trust,
    /// Reads the repository's index.
    Refresh,
    /// Reads the indexes of all repositories; may fail, because mirrors may be unreachable.
    RefreshAll,
    /// Lists the available versions, for a package manager that does not accept the prefix of a version.
    Choose,
    /// Installs the package.
    Install,
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageCommand {
    /// Purpose of the command.
    pub purpose: Purpose,
    /// Name of the program.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables to add to its environment.
    pub environment: &'static [(&'static str, &'static str)],
}

/// The steps of an installation, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Files to write first.
    pub files: Vec<File>,
    /// Commands of the first attempt and of the second.
    pub attempts: [Vec<PackageCommand>; 2],
}

/// The same repository in an existing file.
///
/// It is used unchanged, because apt rejects a source that is listed twice with different `signed-by`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The file.
    pub path: String,
    /// The repository's id there; empty for apt.
    pub id: String,
}

/// The id of our repository; also part of the file names.
const NAME: &str = "packages-microsoft-prod";

const APT_KEY: &str = "/usr/share/keyrings/packages-microsoft-prod.asc";
const APT_LIST: &str = "/etc/apt/sources.list.d/packages-microsoft-prod.list";
const RPM_KEY: &str = "/etc/pki/rpm-gpg/RPM-GPG-KEY-packages-microsoft-prod";
const YUM_REPO: &str = "/etc/yum.repos.d/packages-microsoft-prod.repo";
const ZYPP_REPO: &str = "/etc/zypp/repos.d/packages-microsoft-prod.repo";

/// apt and zypper wait 60 s for their lock; after that the caller decides.
const APT_LOCK: &str = "DPkg::Lock::Timeout=60";
const APT_ENVIRONMENT: &[(&str, &str)] = &[("DEBIAN_FRONTEND", "noninteractive")];
const ZYPP_ENVIRONMENT: &[(&str, &str)] = &[("ZYPP_LOCK_TIMEOUT", "60")];

/// Plans the installation from a repository.
///
/// `key` is the armored keyring with the repository's verified key; it may be empty where the repository is already `listed`
/// or is the distribution's own.
pub fn from_repository(
    repository: &Repository,
    version: Option<&str>,
    key: &str,
    listed: Option<&Listed>,
) -> Plan {
    let family = repository.family;
    let (files, scope) = match (&repository.source, listed) {
        (Source::Own, _) => (Vec::new(), None),
        (Source::Microsoft { .. }, Some(listed)) => (Vec::new(), Some(listed.clone())),
        (Source::Microsoft { url, suite, .. }, None) => {
            let files = files(repository, url, *suite, key);
            let path = files.last().map_or_else(String::new, |file| file.path.to_owned());
            (files, Some(Listed { path, id: NAME.to_owned() }))
        }
    };
    let packages = packages(family, version);
    let mut first = Vec::new();
    if family == Family::Zypper && !files.is_empty() {
        // zypper prompts before it trusts a key that rpm does not know.
        first.push(command(Purpose::Trust, "rpm", &["--import", RPM_KEY], &[]));
    }
    if let Some(scope) = &scope {
        first.push(refresh(family, scope));
    }
    let mut second = vec![refresh_all(family)];
    if family == Family::Zypper && version.is_some_and(is_prefix) {
        first.push(choose(scope.as_ref()));
        second.push(choose(None));
    }
    first.push(install(family, scope.as_ref(), &packages, version.is_some()));
    second.push(install(family, None, &packages, version.is_some()));
    Plan { files, attempts: [first, second] }
}

/// Plans the installation of one package file, whose digest has been verified.
///
/// The path must be absolute and have the suffix of the family's packages.
pub fn from_file(family: Family, path: &str) -> Plan {
    let packages = [path.to_owned()];
    let nothing_else = Listed { path: String::new(), id: String::new() };
    let first = match family {
        // apt takes missing dependencies from its existing indexes.
        Family::Apt => install(family, None, &packages, true),
        // zypper rejects a package that is signed by an unknown key, which is usual here, and its option against that
        // would also apply to packages of repositories.
        Family::Zypper => {
            let options = ["--upgrade", "--oldpackage", "--replacepkgs", "--nosignature", path];
            command(Purpose::Install, "rpm", &options, &[])
        }
        _ => install(family, Some(&nothing_else), &packages, true),
    };
    let mut attempts = [vec![first], vec![refresh_all(family), install(family, None, &packages, true)]];
    // The digest replaces the signature, whose key may be unknown. Inferred for yum and tdnf.
    let unsigned = match family {
        Family::Apt => None,
        Family::Zypper => Some("--allow-unsigned-rpm"),
        Family::Tdnf => Some("--nogpgcheck"),
        // Hardened systems also check the signature of local files.
        Family::Dnf | Family::Yum => Some("--setopt=localpkg_gpgcheck=False"),
    };
    let installs =
        |command: &&mut PackageCommand| command.purpose == Purpose::Install && command.program != "rpm";
    for (command, unsigned) in
        attempts.iter_mut().flatten().filter(installs).zip(unsigned.into_iter().cycle())
    {
        let last = command.arguments.len().saturating_sub(1);
        command.arguments.insert(last, unsigned.to_owned());
    }
    Plan { files: Vec::new(), attempts }
}

/// Finds the repository in the existing source lists, except our own file.
///
/// `files` are paths and texts; for apt `/etc/apt/sources.list` and `/etc/apt/sources.list.d/*.{list,sources}`,
/// otherwise `*.repo` in `/etc/yum.repos.d` or `/etc/zypp/repos.d`.
pub fn find_listed(repository: &Repository, files: &[(&str, &str)]) -> Option<Listed> {
    let Source::Microsoft { url, suite, .. } = &repository.source else { return None };
    let others = files.iter().filter(|(path, _)| ![APT_LIST, YUM_REPO, ZYPP_REPO].contains(path));
    others.into_iter().find_map(|(path, text)| {
        let id = match suite {
            Some(suite) if path.ends_with(".sources") => deb822_lists(text, url, suite).then(String::new),
            Some(suite) => one_line_lists(text, url, suite).then(String::new),
            None => repo_id(text, url),
        }?;
        Some(Listed { path: (*path).to_owned(), id })
    })
}

fn same_url(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// sources.list(5), one-line form: `deb [options] uri suite component…`.
fn one_line_lists(text: &str, url: &str, suite: &str) -> bool {
    text.lines().any(|line| {
        let Some(rest) = line.trim().strip_prefix("deb ") else { return false };
        let rest = rest.trim_start();
        let rest =
            if rest.starts_with('[') { rest.split_once(']').map_or("", |(_, rest)| rest) } else { rest };
        let mut words = rest.split_whitespace();
        words.next().is_some_and(|uri| same_url(uri, url)) && words.next() == Some(suite)
    })
}

/// sources.list(5), deb822 form: stanzas of fields.
fn deb822_lists(text: &str, url: &str, suite: &str) -> bool {
    let plain = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    plain.split("\n\n").any(|stanza| {
        let field = |name: &str| {
            stanza.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then_some(value)
            })
        };
        let words = |name| field(name).unwrap_or_default().split_whitespace();
        words("Enabled").all(|enabled| !enabled.eq_ignore_ascii_case("no"))
            && words("Types").any(|kind| kind == "deb")
            && words("URIs").any(|uri| same_url(uri, url))
            && words("Suites").any(|listed| listed == suite)
    })
}

/// The id of the enabled section with this base URL.
fn repo_id(text: &str, url: &str) -> Option<String> {
    let mut found = None;
    for section in text.split("\n[").map(|section| section.trim_start_matches('[')) {
        let (id, body) = section.split_once(']').unwrap_or_default();
        let value = |name: &str| {
            body.lines().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == name).then_some(value.trim())
            })
        };
        if value("baseurl").is_some_and(|listed| same_url(listed, url)) && value("enabled") != Some("0") {
            found.get_or_insert_with(|| id.to_owned());
        }
    }
    found
}

fn files(repository: &Repository, url: &str, suite: Option<&str>, key: &str) -> Vec<File> {
    let key_path = if repository.family == Family::Apt { APT_KEY } else { RPM_KEY };
    let key = File { path: key_path, content: key.to_owned() };
    let list = match repository.family {
        Family::Apt => File {
            path: APT_LIST,
            content: format!(
                "# Written by arc-enroll.\ndeb [arch={} signed-by={APT_KEY}] {url} {} main\n",
                repository.architecture.debian_name(),
                suite.unwrap_or_default(),
            ),
        },
        family => File {
            path: if family == Family::Zypper { ZYPP_REPO } else { YUM_REPO },
            content: format!(
                "# Written by arc-enroll.\n[{NAME}]\nname=Microsoft packages\nbaseurl={url}/\nenabled=1\n\
                 gpgcheck=1\ngpgkey=file://{RPM_KEY}\nsslverify=1\n{}",
                // Without a type, zypper probes for other kinds of repository first.
                if family == Family::Zypper { "type=rpm-md\nautorefresh=1\n" } else { "" },
            ),
        },
    };
    vec![key, list]
}

/// Whether a version is a prefix that matches several versions: it has fewer than three parts.
pub fn is_prefix(version: &str) -> bool {
    version.split(['.', '-']).count() < 3
}

/// The package and its version in the syntax of the package manager.
///
/// Tested with apt, dnf and zypper; inferred for yum and tdnf (the install script passes full versions only).
fn packages(family: Family, version: Option<&str>) -> Vec<String> {
    let Some(version) = version else { return vec![PACKAGE.to_owned()] };
    let (separator, any) = match family {
        Family::Apt => ("=", ".*"),
        // zypper has no version ranges for one package (tested), so the version is selected first, see
        // `newest_version`.
        Family::Zypper => ("=", ""),
        _ => ("-", ".*"),
    };
    let any = if is_prefix(version) { any } else { "" };
    vec![format!("{PACKAGE}{separator}{version}{any}")]
}

/// Lists the versions, with the newest first.
fn choose(scope: Option<&Listed>) -> PackageCommand {
    let mut options = vec!["--non-interactive", "--no-refresh", "search", "--details", "--match-exact"];
    if let Some(scope) = scope {
        options.extend(["--repo", &scope.id]);
    }
    options.push(PACKAGE);
    command(Purpose::Choose, Family::Zypper.program(), &options, ZYPP_ENVIRONMENT)
}

/// The newest version in zypper's list with this prefix.
pub fn newest_version(list: &str, prefix: &str) -> Option<String> {
    let versions = list.lines().filter_map(|line| line.split('|').nth(3)).map(str::trim);
    let rest = |version: &str| version.strip_prefix(prefix).map(|rest| rest.starts_with('.'));
    versions.into_iter().find(|version| rest(version) == Some(true)).map(str::to_owned)
}

fn command(
    purpose: Purpose,
    program: &'static str,
    arguments: &[&str],
    environment: &'static [(&'static str, &'static str)],
) -> PackageCommand {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    PackageCommand { purpose, program, arguments, environment }
}

/// Reads the index of one repository only.
fn refresh(family: Family, scope: &Listed) -> PackageCommand {
    let list = scope.path.strip_prefix("/etc/apt/").unwrap_or(&scope.path);
    let list = format!("Dir::Etc::sourcelist={list}");
    let enable = format!("--enablerepo={}", scope.id);
    match family {
        Family::Apt => command(
            Purpose::Refresh,
            family.program(),
            &[
                "update",
                "-o",
                &list,
                "-o",
                "Dir::Etc::sourceparts=-",
                // Keeps the other indexes, for dependencies.
                "-o",
                "APT::Get::List-Cleanup=0",
                // Without this, an unreachable repository is a warning and the exit code is 0 (tested with apt 2.6).
                "-o",
                "APT::Update::Error-Mode=any",
                "-o",
                APT_LOCK,
            ],
            APT_ENVIRONMENT,
        ),
        Family::Zypper => command(
            Purpose::Refresh,
            family.program(),
            &["--non-interactive", "refresh", &scope.id],
            ZYPP_ENVIRONMENT,
        ),
        _ => {
            let mut refresh = command(Purpose::Refresh, family.program(), &["-y"], &[]);
            refresh.arguments.extend(fail_on_lock(family));
            refresh.arguments.extend(["--disablerepo=*".to_owned(), enable, "makecache".to_owned()]);
            refresh
        }
    }
}

fn refresh_all(family: Family) -> PackageCommand {
    let purpose = Purpose::RefreshAll;
    match family {
        Family::Apt => command(purpose, family.program(), &["update", "-o", APT_LOCK], APT_ENVIRONMENT),
        Family::Zypper => {
            command(purpose, family.program(), &["--non-interactive", "refresh"], ZYPP_ENVIRONMENT)
        }
        _ => {
            let mut refresh = command(purpose, family.program(), &["-y"], &[]);
            refresh.arguments.extend(fail_on_lock(family));
            refresh.arguments.push("makecache".to_owned());
            refresh
        }
    }
}

/// The install command: from one repository, from none (an empty id), or from all (`None`).
///
/// With `exact`, a downgrade is allowed.
fn install(family: Family, scope: Option<&Listed>, packages: &[String], exact: bool) -> PackageCommand {
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |more: &[&str]| arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    let environment = match family {
        Family::Apt => {
            // Recommended packages may be on unreachable mirrors. Changed configuration files are kept without a
            // prompt.
            add(&["install", "-y", "--no-install-recommends", "-o", APT_LOCK]);
            add(&["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]);
            if exact {
                add(&["--allow-downgrades"]);
            }
            APT_ENVIRONMENT
        }
        Family::Zypper => {
            add(&["--non-interactive", "--no-refresh", "install"]);
            if let Some(scope) = scope.filter(|scope| !scope.id.is_empty()) {
                add(&["--repo", &scope.id]);
            }
            add(&["--auto-agree-with-licenses", "--no-recommends"]);
            if exact {
                add(&["--oldpackage"]);
            }
            ZYPP_ENVIRONMENT
        }
        Family::Dnf | Family::Yum | Family::Tdnf => {
            add(&["-y"]);
            arguments.extend(fail_on_lock(family));
            let mut add = |argument: String| arguments.push(argument);
            match scope {
                Some(scope) => {
                    add("--disablerepo=*".to_owned());
                    if !scope.id.is_empty() {
                        add(format!("--enablerepo={}", scope.id));
                    }
                }
                // An unreachable mirror must not stop the installation, as in the install script.
                None if family != Family::Tdnf => add("--setopt=skip_if_unavailable=True".to_owned()),
                None => {}
            }
            add("install".to_owned());
            &[]
        }
    };
    arguments.extend_from_slice(packages);
    PackageCommand { purpose: Purpose::Install, program: family.program(), arguments, environment }
}

/// dnf and yum wait for their lock without limit unless this option is set; tdnf has no such option.
fn fail_on_lock(family: Family) -> Option<String> {
    matches!(family, Family::Dnf | Family::Yum).then(|| "--setopt=exit_on_lock=True".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::packages::distribution::repository_for;
    use crate::clients::packages::os_release::OsRelease;

    fn repository(id: &str, version: &str) -> Repository {
        let release = OsRelease::parse(&format!("ID={id}\nVERSION_ID={version}\n"));
        repository_for(&release, "x86_64").unwrap()
    }

    fn lines(commands: &[PackageCommand]) -> Vec<String> {
        commands
            .iter()
            .map(|command| format!("{} {}", command.program, command.arguments.join(" ")))
            .collect()
    }

    #[test]
    fn apt() {
        let plan = from_repository(&repository("debian", "12"), None, "KEY\n", None);
        assert_eq!(plan.files[0], File { path: APT_KEY, content: "KEY\n".to_owned() });
        assert_eq!(plan.files[1].path, "/etc/apt/sources.list.d/packages-microsoft-prod.list");
        assert!(plan.files[1].content.ends_with("\ndeb [arch=amd64 signed-by=/usr/share/keyrings/packages-microsoft-prod.asc] https://packages.microsoft.com/debian/12/prod bookworm main\n"));
        assert_eq!(
            lines(&plan.attempts[0]),
            [
                "apt-get update -o Dir::Etc::sourcelist=sources.list.d/packages-microsoft-prod.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any -o DPkg::Lock::Timeout=60",
                "apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold azcmagent",
            ]
        );
        assert_eq!(lines(&plan.attempts[1])[0], "apt-get update -o DPkg::Lock::Timeout=60");
        assert_eq!(plan.attempts[1][1], plan.attempts[0][1]);
        assert_eq!(plan.attempts[0][0].environment, [("DEBIAN_FRONTEND", "noninteractive")]);
    }

    #[test]
    fn dnf_yum_and_tdnf() {
        let plan = from_repository(&repository("rocky", "9.4"), Some("1.63"), "KEY", None);
        assert_eq!(plan.files[0].path, "/etc/pki/rpm-gpg/RPM-GPG-KEY-packages-microsoft-prod");
        assert_eq!(
            plan.files[1],
            File {
                path: "/etc/yum.repos.d/packages-microsoft-prod.repo",
                content: "# Written by arc-enroll.\n[packages-microsoft-prod]\nname=Microsoft packages\nbaseurl=https://packages.microsoft.com/rhel/9/prod/\nenabled=1\ngpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-packages-microsoft-prod\nsslverify=1\n".to_owned(),
            }
        );
        assert_eq!(
            lines(&plan.attempts.concat()),
            [
                "dnf -y --setopt=exit_on_lock=True --disablerepo=* --enablerepo=packages-microsoft-prod makecache",
                "dnf -y --setopt=exit_on_lock=True --disablerepo=* --enablerepo=packages-microsoft-prod install azcmagent-1.63.*",
                "dnf -y --setopt=exit_on_lock=True makecache",
                "dnf -y --setopt=exit_on_lock=True --setopt=skip_if_unavailable=True install azcmagent-1.63.*",
            ]
        );
        let plan = from_repository(&repository("amzn", "2"), Some("1.28.02260-755"), "KEY", None);
        assert!(lines(&plan.attempts[0])[1].ends_with(" install azcmagent-1.28.02260-755"));
        let plan = from_repository(&repository("azurelinux", "3.0"), None, "", None);
        assert!(plan.files.is_empty());
        assert_eq!(
            lines(&plan.attempts.concat()),
            ["tdnf -y install azcmagent", "tdnf -y makecache", "tdnf -y install azcmagent"]
        );
    }

    #[test]
    fn zypper() {
        let plan = from_repository(&repository("sles", "15.6"), Some("1.63"), "KEY", None);
        assert_eq!(plan.files[1].path, "/etc/zypp/repos.d/packages-microsoft-prod.repo");
        assert_eq!(
            lines(&plan.attempts.concat()),
            [
                "rpm --import /etc/pki/rpm-gpg/RPM-GPG-KEY-packages-microsoft-prod",
                "zypper --non-interactive refresh packages-microsoft-prod",
                "zypper --non-interactive --no-refresh search --details --match-exact --repo packages-microsoft-prod azcmagent",
                "zypper --non-interactive --no-refresh install --repo packages-microsoft-prod --auto-agree-with-licenses --no-recommends --oldpackage azcmagent=1.63",
                "zypper --non-interactive refresh",
                "zypper --non-interactive --no-refresh search --details --match-exact azcmagent",
                "zypper --non-interactive --no-refresh install --auto-agree-with-licenses --no-recommends --oldpackage azcmagent=1.63",
            ]
        );
        let plan = from_repository(&repository("sles", "15.6"), Some("1.28.02260-755"), "KEY", None);
        assert!(plan.attempts.concat().iter().all(|command| command.purpose != Purpose::Choose));
    }

    /// Recorded from zypper 1.14.42.
    #[test]
    fn the_newest_version_is_selected() {
        let list = "S | Name      | Type    | Version        | Arch   | Repository\n--+-----------+---------+----------------+--------+-------------------\n  | azcmagent | package | 1.58.03228-700 | x86_64 | Microsoft packages\ni | azcmagent | package | 1.57.03160-512 | x86_64 | Microsoft packages\n  | azcmagent | package | 1.57.03100-1 | x86_64 | Microsoft packages\n";
        assert_eq!(newest_version(list, "1.57").as_deref(), Some("1.57.03160-512"));
        assert_eq!(newest_version(list, "1").as_deref(), Some("1.58.03228-700"));
        assert_eq!((newest_version(list, "1.5"), newest_version("", "1.57")), (None, None));
    }

    #[test]
    fn versions_have_the_syntax_of_the_package_manager() {
        for (family, version, expected) in [
            (Family::Apt, "1.28.02260.736", "azcmagent=1.28.02260.736"),
            (Family::Apt, "1.63", "azcmagent=1.63.*"),
            (Family::Dnf, "1.28.02260-755", "azcmagent-1.28.02260-755"),
            (Family::Zypper, "1.28.02260-755", "azcmagent=1.28.02260-755"),
            (Family::Zypper, "1.63", "azcmagent=1.63"),
        ] {
            assert_eq!(packages(family, Some(version)), [expected]);
        }
    }

    #[test]
    fn package_files() {
        let first = |family, path| lines(&from_file(family, path).attempts[0]).join("; ");
        assert_eq!(
            first(Family::Apt, "/a.deb"),
            "apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --allow-downgrades /a.deb"
        );
        assert_eq!(
            first(Family::Dnf, "/a.rpm"),
            "dnf -y --setopt=exit_on_lock=True --disablerepo=* install --setopt=localpkg_gpgcheck=False /a.rpm"
        );
        assert_eq!(first(Family::Tdnf, "/a.rpm"), "tdnf -y --disablerepo=* install --nogpgcheck /a.rpm");
        assert_eq!(
            first(Family::Zypper, "/a.rpm"),
            "rpm --upgrade --oldpackage --replacepkgs --nosignature /a.rpm"
        );
        assert!(lines(&from_file(Family::Zypper, "/a.rpm").attempts[1])[1]
            .ends_with(" --oldpackage --allow-unsigned-rpm /a.rpm"));
        assert_eq!(from_file(Family::Yum, "/a.rpm").attempts[1].len(), 2);
    }

    #[test]
    fn a_listed_repository_is_used_unchanged() {
        let debian = repository("debian", "12");
        let theirs = "# deb https://packages.microsoft.com/debian/12/prod bookworm main\ndeb [arch=amd64,arm64 signed-by=/usr/share/keyrings/microsoft-prod.gpg] https://packages.microsoft.com/debian/12/prod/ bookworm main\n";
        let path = "/etc/apt/sources.list.d/microsoft-prod.list";
        let listed = find_listed(&debian, &[("/etc/apt/sources.list", ""), (path, theirs)]).unwrap();
        let plan = from_repository(&debian, None, "", Some(&listed));
        assert!(plan.files.is_empty());
        assert!(lines(&plan.attempts[0])[0].contains("sourcelist=sources.list.d/microsoft-prod.list "));
        let stanza = "Types: deb\nURIs: https://packages.microsoft.com/debian/12/prod\nSuites: bookworm\nComponents: main\n";
        for (text, found) in [
            (format!("# x\nTypes: deb\nURIs: https://a\nSuites: b\n\n{stanza}"), true),
            (format!("Enabled: no\n{stanza}"), false),
            (stanza.replace("bookworm", "trixie"), false),
        ] {
            assert_eq!(
                find_listed(&debian, &[("/etc/apt/sources.list.d/m.sources", &text)]).is_some(),
                found
            );
        }
        assert_eq!(
            find_listed(&debian, &[(APT_LIST, theirs), (path, "deb https://x bookworm main\n")]),
            None
        );
        let rhel = repository("rhel", "9.4");
        let theirs = "[a]\nbaseurl=https://a\n\n[packages-microsoft-com-prod]\nname=x\nbaseurl = https://packages.microsoft.com/rhel/9/prod\nenabled=1\n";
        let listed = find_listed(&rhel, &[("/etc/yum.repos.d/microsoft-prod.repo", theirs)]).unwrap();
        assert_eq!(listed.id, "packages-microsoft-com-prod");
        let plan = from_repository(&rhel, None, "", Some(&listed));
        assert!(lines(&plan.attempts[0])[1].contains("--enablerepo=packages-microsoft-com-prod install"));
        let disabled = theirs.replace("enabled=1", "enabled=0");
        assert_eq!(find_listed(&rhel, &[("/etc/yum.repos.d/microsoft-prod.repo", &disabled)]), None);
    }
}
