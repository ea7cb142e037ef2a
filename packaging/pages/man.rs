//! The man page arc-enroll(8), in the macros of man(7).

use super::one_line;
use super::table::{
    Flag, Subcommand, CONDITIONS, CONDITION_FAILS, EVERYWHERE, EXIT_CODES, FIRST_CONDITION, PRECEDENCE,
    SUBCOMMANDS, SUMMARY, TARGETS,
};

/// What the program is about, for those who meet it on a machine.
const DESCRIPTION: &str = "\
arc-enroll makes a Linux VM on Azure Operator Nexus an Azure Arc-enabled server, without anybody logging \
in. It sets the proxy, gets a token for the managed identity of the VM, installs and configures \
azcmagent, connects the machine, waits for whatever comes up late, and logs what it did as JSON lines. \
When something stands in the way that only a person can move, it says what, and prints the command to \
type.

A VM is enrolled when eleven conditions hold. The program observes a condition; if it does not hold, \
finds out why; repairs what can be repaired, waits where waiting can help; and observes again. On a VM \
that is enrolled it changes nothing.";

const CONFIGURATION: &str = "\
The configuration is YAML. azure.subscription_id, azure.resource_group and azure.location have no \
default; every other key has one. Every key, with its default and what it is for, is in \
/usr/share/arc-enroll/config.yaml. An unknown key is an error that names the nearest right one; \
arc-enroll validate checks a file.";

/// Files and directories; a test looks for each in the program or in the packages.
const FILES: [(&str, &str); 13] = [
    ("/etc/arc-enroll/config.yaml", "the configuration"),
    (
        "/usr/share/arc-enroll/config.yaml",
        "every key with its default; the package never changes the file above",
    ),
    ("/var/lib/arc-enroll/status.json", "the record of the last run, which arc-enroll status shows"),
    (
        "/var/log/cloud-init-output.log",
        "the log, as JSON lines between those of cloud-init; log.file names another one",
    ),
    ("/run/arc-enroll/lock", "held by the one run that is at work"),
    (
        "/usr/lib/systemd/system/arc-enroll.timer",
        "runs arc-enroll enroll again; enroll itself enables it, the package does not",
    ),
    ("/usr/lib/systemd/system/arc-enroll.service", "what the timer starts"),
    (
        "/etc/systemd/system/arc-enroll.service.d/50-arc-enroll.conf",
        "what the configuration says otherwise than the packaged unit; the timer has one too",
    ),
    ("/etc/environment", "the proxy for logins"),
    ("/etc/profile.d/zz-arc-enroll-proxy.sh", "the proxy for login shells"),
    ("/etc/systemd/system.conf.d/50-arc-enroll-proxy.conf", "the proxy for services"),
    (
        "/etc/apt/apt.conf.d/95arc-enroll-proxy",
        "the proxy for apt; elsewhere it stands in dnf.conf, yum.conf, tdnf.conf or /etc/sysconfig/proxy",
    ),
    ("/var/tmp/arc-enroll-bundle-HOSTNAME-TIME.tar.gz", "what arc-enroll bundle has collected"),
];

const REMOVAL: &str = "\
Installing the package starts nothing, so that it can be part of an image. Removing it stops the timer \
and takes away the units and what enroll has set beside them. Purging it, which is a word of dpkg, takes \
away the configuration and the record as well. The enrollment stays: azcmagent with its services, the \
repository that it came from, the proxy settings and the Arc machine in Azure. To end that too, run \
azcmagent disconnect first.";

const IMAGE: &str = "\
In an image that has the package, the user-data of a VM only has to bring the configuration and to start \
the program. arc-enroll user-data --without-binary writes it; by hand it is:";

const CLOUD_CONFIG: &str = "\
#cloud-config
write_files:
- path: /etc/arc-enroll/config.yaml
  permissions: '0600'
  content: |
    azure:
      subscription_id: 00000000-0000-0000-0000-000000000000
      resource_group: my-rg
      location: eastus
runcmd:
- arc-enroll enroll
";

/// The whole page, with its date as 2026-11-23.
pub fn page(date: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text =
        format!(".TH ARC\\-ENROLL 8 {date} \"arc\\-enroll {version}\" \"System Administration\"\n");
    // Names of files and keys are to be copied, not parted by hyphens.
    text.push_str(".nh\n.ad l\n.SH NAME\n");
    let summary = SUMMARY.trim_end_matches('.');
    let (first, rest) = summary.split_at(1);
    text.push_str(&filled(&format!("arc-enroll - {}{rest}", first.to_lowercase())));
    text.push_str("\n.SH SYNOPSIS\n.B arc\\-enroll\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR\n");
    section(&mut text, "DESCRIPTION", DESCRIPTION);
    text.push_str(".SH COMMANDS\n");
    SUBCOMMANDS.iter().for_each(|command| subcommand(&mut text, command));
    text.push_str(".SH OPTIONS\nEvery command takes these.\n");
    EVERYWHERE.iter().for_each(|flag| item(&mut text, &usage(flag), flag.about));
    text.push_str(".SS Target\nThe machine in Azure, in place of what the configuration says.\n");
    for target in TARGETS.iter().filter(|target| !target.flag.name.is_empty()) {
        let about = format!("{}; stands for {}", one_line(target.flag.about), target.key);
        item(&mut text, &usage(&target.flag), &about);
    }
    paragraph(&mut text, PRECEDENCE);
    section(&mut text, "CONFIGURATION", CONFIGURATION);
    exit_status(&mut text);
    environment(&mut text);
    text.push_str(".SH FILES\n");
    for (path, about) in FILES {
        item(&mut text, &format!("\\fI{}\\fR", roff(path)), about);
    }
    section(&mut text, "REMOVAL", REMOVAL);
    text.push_str(".SH EXAMPLES\n");
    for command in &SUBCOMMANDS {
        item(&mut text, &format!("\\fB{}\\fR", roff(command.example)), command.summary);
    }
    paragraph(&mut text, IMAGE);
    text.push_str(&format!(".PP\n.RS 4\n.nf\n{}.fi\n.RE\n", roff(CLOUD_CONFIG)));
    text.push_str(".SH SEE ALSO\n.BR cloud\\-init (1),\n.BR systemctl (1),\n.BR systemd.timer (5)\n");
    text
}

fn subcommand(text: &mut String, command: &Subcommand) {
    text.push_str(&format!(".SS arc\\-enroll {}", roff(command.name)));
    if !command.argument.is_empty() {
        text.push_str(&format!(" [\\fI{}\\fP]", command.argument));
    }
    text.push('\n');
    for (number, part) in command.about.trim_end().split("\n\n").enumerate() {
        if number > 0 {
            text.push_str(".PP\n");
        }
        text.push_str(&format!("{}\n", filled(part)));
    }
    if !command.argument.is_empty() {
        item(text, &format!("\\fI{}\\fR", command.argument), command.about_argument);
    }
    command.flags.iter().for_each(|flag| item(text, &usage(flag), flag.about));
}

fn exit_status(text: &mut String) {
    text.push_str(".SH EXIT STATUS\n");
    for (code, meaning) in EXIT_CODES {
        if code > FIRST_CONDITION {
            for (name, code) in CONDITIONS.iter().zip(FIRST_CONDITION..) {
                item(text, &format!("\\fB{code}\\fR"), &format!("{name}: {CONDITION_FAILS}"));
            }
        }
        item(text, &format!("\\fB{code}\\fR"), meaning);
    }
}

fn environment(text: &mut String) {
    text.push_str(".SH ENVIRONMENT\n");
    for target in TARGETS.iter().filter(|target| !target.environment.is_empty()) {
        let same = match target.flag.name {
            "" => one_line(target.flag.about),
            name => format!("the same as --{name}"),
        };
        item(text, &format!("\\fB{}\\fR", target.environment), &same);
    }
    let trust = "\\fBSSL_CERT_FILE\\fR, \\fBSSL_CERT_DIR\\fR, \\fBCURL_CA_BUNDLE\\fR";
    item(text, trust, "the trust store of this machine, handed on to curl and azcmagent");
    paragraph(
        text,
        "Proxy variables are read too: entries of NO_PROXY are kept, and a proxy that contradicts the \
         configuration is told.",
    );
}

/// `-h, --help`, or `--config FILE`, in the fonts of man-pages(7).
fn usage(flag: &Flag) -> String {
    let letter = flag.short.map(|letter| format!("\\fB\\-{letter}\\fR, ")).unwrap_or_default();
    let value = if flag.value.is_empty() { String::new() } else { format!(" \\fI{}\\fR", flag.value) };
    format!("{letter}\\fB\\-\\-{}\\fR{value}", roff(flag.name))
}

fn item(text: &mut String, tag: &str, about: &str) {
    text.push_str(&format!(".TP\n{tag}\n{}\n", filled(about)));
}

fn section(text: &mut String, heading: &str, paragraphs: &str) {
    text.push_str(&format!(".SH {heading}\n"));
    for (number, part) in paragraphs.split("\n\n").enumerate() {
        if number > 0 {
            text.push_str(".PP\n");
        }
        text.push_str(&format!("{}\n", filled(part)));
    }
}

fn paragraph(text: &mut String, words: &str) {
    text.push_str(&format!(".PP\n{}\n", filled(words)));
}

/// Prose, filled anew: source lines of a page stay below 80 columns.
fn filled(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace().map(roff) {
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if line.len() + word.len() < 78 => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    // A line must not look like a macro.
    let safe = lines.iter().map(|line| match line.starts_with(['.', '\'']) {
        true => format!("\\&{line}"),
        false => line.clone(),
    });
    safe.collect::<Vec<String>>().join("\n")
}

/// Text as it is typed: a backslash, and dashes and tildes that can be copied.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('~', "\\(ti").replace('^', "\\(ha")
}
