use std::collections::BTreeMap;

use super::format::RenderInput;
use super::format::UnwritableValue;
use super::*;
use crate::model::secret::Secret;

type FileTree = BTreeMap<String, String>;

fn desired(url: Option<&str>) -> DesiredProxy {
    DesiredProxy {
        url: url.map(Secret::new),
        shown: "http://169.254.0.11:3128".to_owned(),
        has_credentials: url.is_some_and(|url| url.contains('@')),
        no_proxy: ["localhost", "127.0.0.1", "::1", "169.254.169.254"].map(str::to_owned).to_vec(),
    }
}

const PROXY: &str = "http://169.254.0.11:3128";
const NO_PROXY: &str = "localhost,127.0.0.1,::1,169.254.169.254";

fn file(path: &str) -> &'static ProxyFile {
    PROXY_FILES.iter().find(|file| file.path.ends_with(path)).expect("a known file")
}

/// The edit of one file, checked to be the last one.
fn edited(
    path: &str,
    desired: &DesiredProxy,
    existing: Option<&str>,
    others: &[FileText<'_>],
) -> Option<Edit> {
    let file = file(path);
    let edit = file.edit(desired, existing, others).unwrap();
    if let Some(edit) = &edit {
        assert_eq!(file.edit(desired, Some(&edit.content), others), Ok(None), "not stable");
    }
    edit
}

fn content(path: &str, existing: Option<&str>) -> String {
    edited(path, &desired(Some(PROXY)), existing, &[]).expect("an edit").content
}

#[test]
fn an_empty_environment_gets_all_six() {
    let expected = format!(
        "# Set by arc-enroll:\nHTTPS_PROXY={PROXY}\nhttps_proxy={PROXY}\nHTTP_PROXY={PROXY}\nhttp_proxy={PROXY}\nNO_PROXY={NO_PROXY}\nno_proxy={NO_PROXY}\n"
    );
    assert_eq!(content("/etc/environment", None), expected);
    assert_eq!(content("/etc/environment", Some("")), expected);
    let path = "PATH=\"/usr/bin\"\n# mine\n\n";
    assert_eq!(content("/etc/environment", Some(path)), format!("{path}{expected}"));
}

#[test]
fn user_settings_are_kept_as_comments_or_merged() {
    let text = "PATH=/bin\r\nexport https_proxy=http://old:1\nHTTP_PROXY=\"http://169.254.0.11:3128\"\nno_proxy=\"corp, 10.0.0.0/8\"\nNO_PROXY=.corp\nFTP_PROXY=x";
    let merged = "corp,10.0.0.0/8,.corp,localhost,127.0.0.1,::1,169.254.169.254";
    let expected = format!(
        "PATH=/bin\r\n# Replaced by arc-enroll: export https_proxy=http://old:1\nexport https_proxy={PROXY}\nHTTP_PROXY=\"http://169.254.0.11:3128\"\nno_proxy={merged}\nNO_PROXY={merged}\nFTP_PROXY=x\n# Set by arc-enroll:\nHTTPS_PROXY={PROXY}\nhttp_proxy={PROXY}\n"
    );
    assert_eq!(content("/etc/environment", Some(text)), expected);
}

#[test]
fn without_a_proxy_only_no_proxy_is_set() {
    let edit = edited("/etc/environment", &desired(None), Some("http_proxy=http://mine:1\n"), &[]).unwrap();
    assert_eq!(
        edit.content,
        format!("http_proxy=http://mine:1\n# Set by arc-enroll:\nNO_PROXY={NO_PROXY}\nno_proxy={NO_PROXY}\n")
    );
    assert_eq!(edited("/etc/dnf/dnf.conf", &desired(None), Some("[main]\n"), &[]), None);
    assert_eq!(edited("95arc-enroll-proxy", &desired(None), None, &[]), None);
    let emptied =
        edited("95arc-enroll-proxy", &desired(None), Some("Acquire::http::Proxy \"x\";\n"), &[]).unwrap();
    assert!(!emptied.content.contains("Acquire"));
}

#[test]
fn own_old_values_are_not_kept_as_comments() {
    let first = content("/etc/environment", Some("https_proxy=http://users:1\n"));
    let second = edited("/etc/environment", &desired(Some("http://other:8080")), Some(&first), &[]).unwrap();
    assert!(!second.content.contains(PROXY), "{}", second.content);
    assert_eq!(second.content.matches("# Replaced by arc-enroll").count(), 1);
}

#[test]
fn whole_files() {
    assert_eq!(
        content("arc-enroll-proxy.sh", None).lines().skip(2).collect::<Vec<_>>(),
        [
            "export HTTPS_PROXY='http://169.254.0.11:3128'",
            "export https_proxy='http://169.254.0.11:3128'",
            "export HTTP_PROXY='http://169.254.0.11:3128'",
            "export http_proxy='http://169.254.0.11:3128'",
            "export NO_PROXY='localhost,127.0.0.1,::1,169.254.169.254'",
            "export no_proxy='localhost,127.0.0.1,::1,169.254.169.254'",
        ]
    );
    let systemd = edited("50-arc-enroll-proxy.conf", &desired(Some("http://u:p%40@h:1")), None, &[]).unwrap();
    assert!(systemd.content.contains("[Manager]\nDefaultEnvironment=\"HTTPS_PROXY=http://u:p%%40@h:1\"\n"));
    assert!(systemd.private);
}

#[test]
fn apt_leaves_schemes_to_other_files() {
    let users = FileText {
        path: "/etc/apt/apt.conf.d/90cloud-init-aptproxy",
        text: "Acquire::http::Proxy \"http://mine:1\";\n",
    };
    let edit = edited("95arc-enroll-proxy", &desired(Some(PROXY)), None, &[users]).unwrap();
    assert!(
        edit.content.ends_with("Acquire::https::Proxy \"http://169.254.0.11:3128\";\n"),
        "{}",
        edit.content
    );
    assert!(!edit.content.contains("Acquire::http::"));
    // Its own content, given among the others, does not count.
    let own = FileText { path: "/etc/apt/apt.conf.d/95arc-enroll-proxy", text: &edit.content };
    assert_eq!(
        file("95arc-enroll-proxy").edit(&desired(Some(PROXY)), Some(&edit.content), &[own, users]),
        Ok(None)
    );
    let both = FileText {
        path: "/etc/apt/apt.conf",
        text: "Acquire { http { Proxy \"a\"; }; https { Proxy \"b\"; }; };",
    };
    assert_eq!(edited("95arc-enroll-proxy", &desired(Some(PROXY)), None, &[both]), None);
}

#[test]
fn dnf_has_separate_options_for_credentials() {
    assert_eq!(
        content("/etc/dnf/dnf.conf", Some("[main]\ngpgcheck=1\n\n[x]\nproxy=_none_\n")),
        format!("[main]\ngpgcheck=1\n# Set by arc-enroll:\nproxy={PROXY}\n\n[x]\nproxy=_none_\n")
    );
    let with = desired(Some("http://us%40er:p%3Aw@h:1"));
    let edit =
        edited("/etc/yum.conf", &with, Some("[main]\nproxy = http://old:1\nproxy_username=me"), &[]).unwrap();
    assert!(edit.private);
    assert_eq!(
        edit.content,
        "[main]\n# Replaced by arc-enroll: proxy = http://old:1\nproxy=http://h:1\n# Replaced by arc-enroll: proxy_username=me\nproxy_username=us@er\n# Set by arc-enroll:\nproxy_password=p:w\n"
    );
    let same = format!("[main]\nproxy={PROXY}\nproxy_username=me\n");
    assert_eq!(edited("/etc/tdnf/tdnf.conf", &desired(Some(PROXY)), Some(&same), &[]), None);
    let other = "[main]\nproxy=http://old:1\nproxy_username=me\n";
    assert!(!content("/etc/tdnf/tdnf.conf", Some(other)).contains("\nproxy_username"));
}

#[test]
fn suse_is_enabled_and_merged() {
    let text = "## Type: yesno\nPROXY_ENABLED=\"no\"\nHTTP_PROXY=\"\"\nFTP_PROXY=\"\"\nHTTPS_PROXY=\"http://old:1\"\nNO_PROXY=\"localhost, 127.0.0.1, .corp\"\n";
    assert_eq!(
        content("/etc/sysconfig/proxy", Some(text)),
        "## Type: yesno\nPROXY_ENABLED=\"yes\"\nHTTP_PROXY=\"http://169.254.0.11:3128\"\nFTP_PROXY=\"\"\n# Replaced by arc-enroll: HTTPS_PROXY=\"http://old:1\"\nHTTPS_PROXY=\"http://169.254.0.11:3128\"\nNO_PROXY=\"localhost,127.0.0.1,.corp,::1,169.254.169.254\"\n"
    );
}

#[test]
fn an_inexpressible_character_is_an_error() {
    for (path, url) in [
        ("/etc/environment", "http://u:a#b@h:1"),
        ("/etc/environment", "http://u:a'b@h:1"),
        ("95arc-enroll-proxy", "http://u:a\"b@h:1"),
        ("/etc/sysconfig/proxy", "http://u:a\"b@h:1"),
        ("/etc/dnf/dnf.conf", "http://u:a%20b@h:1"),
        ("arc-enroll-proxy.sh", "http://u:a\nb@h:1"),
    ] {
        let error = file(path).edit(&desired(Some(url)), Some("[main]\n"), &[]).unwrap_err();
        assert!(!error.to_string().contains("u:a"), "{error}");
    }
}

#[test]
fn debug_output_holds_no_credentials() {
    let edit = edited("/etc/environment", &desired(Some("http://me:hunter22@h:1")), None, &[]).unwrap();
    assert!(edit.private && edit.content.contains("hunter22"));
    assert!(!format!("{edit:?} {:?}", desired(Some("http://me:hunter22@h:1"))).contains("hunter22"));
}

#[test]
fn exports_are_quoted_for_the_shell() {
    let text = exports(&desired(Some("http://u:it's$(x)@h:1")), &["a b"]);
    assert!(text.starts_with("export HTTPS_PROXY='http://u:it'\\''s$(x)@h:1'\n"), "{text}");
    assert!(text.ends_with(&format!("export no_proxy='a,b,{NO_PROXY}'\n")));
    assert_eq!(variables(&desired(None), &[]).len(), 2);
}

#[test]
fn patterns_of_other_files() {
    assert!(file("arc-enroll-proxy.sh").looks_at("/etc/profile.d/corp.sh"));
    assert!(!file("arc-enroll-proxy.sh").looks_at("/etc/profile.d/zz-arc-enroll-proxy.sh"));
    assert!(!file("arc-enroll-proxy.sh").looks_at("/etc/profile.d/x/corp.sh"));
    assert!(file("95arc-enroll-proxy").looks_at("/etc/apt/apt.conf"));
    assert!(!file("/etc/environment").looks_at("/etc/environment"));
}

#[test]
fn every_other_file_has_a_parser_of_its_own() {
    // A line of each kind of file, and the one assignment in it, which no other format finds.
    let rows = [
        ("/etc/environment", "export a='b;c'\n", ("a", "b;c")),
        ("/etc/sysconfig/proxy", " a = \"b\"\n", ("a", "b")),
        ("/etc/profile.d/corp.sh", ": ;a=b\n", ("a", "b")),
        ("/etc/systemd/system.conf", "DefaultEnvironment=a=b\n", ("a", "b")),
        ("/etc/systemd/system.conf.d/corp.conf", "DefaultEnvironment=a=b\n", ("a", "b")),
        ("/etc/apt/apt.conf", "a { b \"c\"; };\n", ("a::b", "c")),
        ("/etc/apt/apt.conf.d/corp", "a { b \"c\"; };\n", ("a::b", "c")),
    ];
    let mut tried = Vec::new();
    for entry in PROXY_FILES.iter().flat_map(|file| file.others) {
        let path = entry.pattern;
        let (_, text, (name, value)) = rows
            .into_iter()
            .find(|(row, ..)| row.replace("corp", "*") == path)
            .unwrap_or_else(|| panic!("no row for {path}"));
        let expected = [(name.to_owned(), value.to_owned())];
        assert_eq!((entry.format.parse)(text), expected, "{path}");
        for other in PROXY_FILES.iter().filter(|other| !std::ptr::eq(other.format, entry.format)) {
            assert_ne!((other.format.parse)(text), expected, "{path}, parsed as {other:?}");
        }
        tried.push(path);
    }
    assert!(rows.iter().all(|(path, ..)| tried.contains(&path.replace("corp", "*").as_str())));
}

#[test]
fn a_file_has_one_format_in_every_dependent_list() {
    let formats: Vec<(&str, &Format)> = PROXY_FILES
        .iter()
        .map(|file| (file.path, file.format))
        .chain(PROXY_FILES.iter().flat_map(|file| file.others).map(|entry| (entry.pattern, entry.format)))
        .collect();
    for file in &PROXY_FILES {
        for (path, format) in &formats {
            if let Some(entry) = file.others.iter().find(|entry| entry.matches(path)) {
                assert!(std::ptr::eq(entry.format, *format), "{file:?} reads {path} in another way");
            }
        }
    }
}

#[test]
fn an_unknown_file_is_never_parsed() {
    // It would count for every format.
    let text = "[main]\nproxy=http://x:1\nNO_PROXY=z\nDefaultEnvironment=NO_PROXY=z\n";
    let apt = "Acquire::http::Proxy \"http://x:1\"; Acquire::https::Proxy \"http://x:1\";\n";
    for path in ["/etc/other", "/etc/dnf/dnf.conf.d/x", "/etc/environment.d/x.conf", "/etc/systemd/user.conf"]
    {
        for file in &PROXY_FILES {
            assert!(!file.looks_at(path), "{file:?} looks at {path}");
            let others = [text, apt].map(|text| FileText { path, text });
            let edit = |others: &[FileText<'_>]| file.edit(&desired(Some(PROXY)), Some("[main]\n"), others);
            assert_eq!(edit(&others), edit(&[]), "{file:?} takes something from {path}");
        }
    }
}

#[test]
fn other_files_are_parsed_in_their_own_syntax() {
    fn no_proxy(input: &RenderInput<'_>) -> Result<Option<String>, UnwritableValue> {
        Ok(Some(input.no_proxy(&[])))
    }
    static FORMAT: Format = Format { parse: |_| Vec::new(), no_proxy_names: &[], render: no_proxy };
    static FILE: ProxyFile = ProxyFile {
        path: "/etc/all",
        presence: Presence::Always,
        readers: "nobody",
        takes_effect: TakesEffect::AtNextUse,
        format: &FORMAT,
        others: &[
            OtherFiles { pattern: "/etc/environment", format: &environment::FORMAT },
            OtherFiles { pattern: "/etc/sysconfig/proxy", format: &suse::FORMAT },
            OtherFiles { pattern: "/etc/profile.d/*.sh", format: &profile::FORMAT },
            OtherFiles { pattern: "/etc/systemd/system.conf.d/*.conf", format: &systemd::FORMAT },
        ],
    };
    let others = [
        FileText { path: "/etc/environment", text: "NO_PROXY=a,169.254.169.254\nno_proxy=\"b\"\n" },
        FileText {
            path: "/etc/sysconfig/proxy",
            text: "NO_PROXY=\"c, localhost\"\nno_proxy=\"y\"\nHTTP_PROXY=\"x\"\n",
        },
        FileText {
            path: "/etc/profile.d/corp.sh",
            text: "NO_PROXY=d,$MORE; export NO_PROXY\nexport no_proxy='e'\n",
        },
        FileText {
            path: "/etc/systemd/system.conf.d/x.conf",
            text: "[Manager]\nDefaultEnvironment=\"NO_PROXY=f g\" A=b\n",
        },
        FileText { path: "/etc/other", text: "NO_PROXY=z\n" },
    ];
    let edit = FILE.edit(&desired(None), None, &others).unwrap().expect("an edit");
    assert_eq!(edit.content, format!("a,b,c,d,e,f,g,{NO_PROXY}"));
}

#[test]
fn every_file_states_how_it_takes_effect() {
    use TakesEffect::{AtNextLogin, AtNextUse, ManagerReexec};
    let stated: Vec<(&str, TakesEffect)> =
        PROXY_FILES.iter().map(|file| (file.path, file.takes_effect)).collect();
    assert_eq!(
        stated,
        [
            ("/etc/environment", AtNextLogin),
            ("/etc/profile.d/zz-arc-enroll-proxy.sh", AtNextLogin),
            ("/etc/systemd/system.conf.d/50-arc-enroll-proxy.conf", ManagerReexec),
            ("/etc/apt/apt.conf.d/95arc-enroll-proxy", AtNextUse),
            ("/etc/dnf/dnf.conf", AtNextUse),
            ("/etc/yum.conf", AtNextUse),
            ("/etc/tdnf/tdnf.conf", AtNextUse),
            ("/etc/sysconfig/proxy", AtNextLogin),
        ]
    );
    // Only what the manager itself reads needs it to be executed again.
    for file in taking_effect(ManagerReexec) {
        assert!(std::ptr::eq(file.format, &systemd::FORMAT), "{file:?}");
    }
}

#[test]
fn an_edit_names_the_file_of_the_list() {
    for file in &PROXY_FILES {
        let edit = file.edit(&desired(Some(PROXY)), Some("[main]\n"), &[]).unwrap().expect("an edit");
        assert!(std::ptr::eq(edit.file, file), "{file:?}");
        let set = file.values(&edit.content);
        assert!(set.iter().any(|(_, value)| value == PROXY), "{file:?} does not read what it wrote");
    }
}

/// Applies every file to files as a run would do it, either reading all before writing or one by one.
fn run(files: &FileTree, desired: &DesiredProxy, one_by_one: bool) -> (FileTree, usize) {
    let mut after = files.clone();
    let mut edits = 0;
    for file in &PROXY_FILES {
        let seen = if one_by_one { after.clone() } else { files.clone() };
        let others: Vec<FileText<'_>> = seen
            .iter()
            .filter(|(path, _)| file.looks_at(path))
            .map(|(path, text)| FileText { path, text })
            .collect();
        let existing = seen.get(file.path).map(String::as_str);
        if file.presence == Presence::File && existing.is_none() {
            continue;
        }
        if let Some(edit) = file.edit(desired, existing, &others).unwrap() {
            after.insert(edit.file.path.to_owned(), edit.content);
            edits += 1;
        }
    }
    (after, edits)
}

/// A file put together at random from lines that matter and lines that do not.
fn random_text(random: &mut fastrand::Rng, pool: &[&str]) -> String {
    let mut text = String::new();
    for _ in 0..random.usize(0..9) {
        text.push_str(pool[random.usize(0..pool.len())]);
        text.push_str(["\n", "\n", "\n", "\r\n", "\n\n"][random.usize(0..5)]);
    }
    if random.bool() {
        text.truncate(text.trim_end().len());
    }
    text
}

#[test]
fn a_second_run_changes_nothing() {
    let pool = [
        "NO_PROXY=a, b",
        "no_proxy=\"[::1]:80 corp\"",
        "export NO_PROXY='*'",
        "HTTP_PROXY=http://x:1",
        "http_proxy=",
        "https_proxy=\"http://169.254.0.11:3128\"",
        "HTTPS_PROXY=http://169.254.0.11:3128",
        "# comment",
        "PATH=/bin",
        "[main]",
        "[other]",
        "proxy=http://x:1",
        " proxy=http://x:2",
        "proxy_username=me",
        "proxy_password = x",
        "proxy=",
        "PROXY_ENABLED=\"no\"",
        "HTTP_PROXY=\"\"",
        "DefaultEnvironment=\"NO_PROXY=s t\" A=b",
        "[Manager]",
        "what = ever",
        "Acquire::http::Proxy \"x\";",
        "Acquire { https { Proxy \"y\"; }; };",
        "# Set by arc-enroll:",
        "export no_proxy=$X,z",
        "# Replaced by arc-enroll: HTTP_PROXY=http://y:1",
        "# Replaced by arc-enroll: proxy=http://y:1",
        "\"",
        "NO_PROXY=",
        "=",
    ];
    let paths = [
        "/etc/environment",
        "/etc/profile.d/zz-arc-enroll-proxy.sh",
        "/etc/profile.d/corp.sh",
        "/etc/apt/apt.conf",
        "/etc/systemd/system.conf.d/50-arc-enroll-proxy.conf",
        "/etc/systemd/system.conf.d/x.conf",
        "/etc/systemd/system.conf",
        "/etc/apt/apt.conf.d/95arc-enroll-proxy",
        "/etc/dnf/dnf.conf",
        "/etc/yum.conf",
        "/etc/tdnf/tdnf.conf",
        "/etc/sysconfig/proxy",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..2000 {
        let mut files = FileTree::new();
        for path in paths {
            if random.bool() {
                files.insert(path.to_owned(), random_text(&mut random, &pool));
            }
        }
        let url = [None, Some(PROXY), Some("http://u:p%40w@h:8080")][random.usize(0..3)];
        let desired = desired(url);
        let (once, _) = run(&files, &desired, round % 2 == 0);
        let (twice, edits) = run(&once, &desired, round % 3 == 0);
        assert_eq!(edits, 0, "round {round}: {files:#?}\n{once:#?}\n{twice:#?}");
        for (path, text) in &files {
            for line in text.lines().filter(|line| line.starts_with("PATH=") || line.starts_with("what")) {
                let ours = path.contains("arc-enroll");
                assert!(ours || once[path].contains(line), "{path} lost {line}");
            }
        }
    }
}

#[test]
fn both_cases_of_a_variable_are_identical_afterwards() {
    for text in [
        "no_proxy=a\nNO_PROXY=b\n",
        "NO_PROXY=x\nNO_PROXY=y\nno_proxy=z",
        "HTTP_PROXY=a\nhttp_proxy=b\nhttp_proxy=c\n",
    ] {
        let map = effective(&content("/etc/environment", Some(text)));
        for (upper, lower) in
            [("HTTP_PROXY", "http_proxy"), ("HTTPS_PROXY", "https_proxy"), ("NO_PROXY", "no_proxy")]
        {
            assert_eq!(map.get(upper).unwrap(), map.get(lower).unwrap(), "{text:?}");
        }
    }
}
