//! The man page arc-enroll(8): one page, in which clap_mangen renders the program and every subcommand.

use std::io::{Error, Write};

use arc_enroll::cli::table::{
    Subcommand, CONDITION_FAILS, EXIT_CODES, ON_WORKSTATION, PRECEDENCE, SUBCOMMANDS, TARGETS,
};
use arc_enroll::model::condition::Condition;
use clap_mangen::roff::{bold, italic, roman, Inline, Roff};
use clap_mangen::Man;

use super::command::{one_line, program, subcommand, NAME};

/// The description of the program.
const DESCRIPTION: &str = "\
arc-enroll makes a Linux VM on Azure Operator Nexus an Azure Arc-enabled server, without an interactive \
login. It sets the proxy, gets a token for the managed identity of the VM, installs and configures \
azcmagent, connects the machine, waits for services that start late, and logs its actions as JSON lines. \
When manual steps are needed, it names the cause and prints the commands.

A VM is enrolled when all conditions hold; they are listed below, with their exit codes. The program \
observes a condition. If it does not hold, the program finds the cause, repairs it if it can, waits if \
waiting can help, and observes again. On an enrolled VM it changes nothing.";

const CONFIGURATION: &str = "\
The configuration is YAML. azure.subscription_id, azure.resource_group and azure.location have no \
default; every other key has one. Every key, with its default and what it is for, is in \
/usr/share/arc-enroll/config.yaml. An unknown key is an error that names the nearest right one; \
arc-enroll validate checks a file.";

/// Files and directories; a test checks that the program or a package contains each.
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
    ("/run/arc-enroll/lock", "held by the run in progress"),
    (
        "/usr/lib/systemd/system/arc-enroll.timer",
        "runs arc-enroll enroll again; enroll itself enables it, the package does not",
    ),
    ("/usr/lib/systemd/system/arc-enroll.service", "what the timer starts"),
    (
        "/etc/systemd/system/arc-enroll.service.d/50-arc-enroll.conf",
        "the settings that differ from the packaged unit; the timer has one too",
    ),
    ("/etc/environment", "the proxy for logins"),
    ("/etc/profile.d/zz-arc-enroll-proxy.sh", "the proxy for login shells"),
    ("/etc/systemd/system.conf.d/50-arc-enroll-proxy.conf", "the proxy for services"),
    (
        "/etc/apt/apt.conf.d/95arc-enroll-proxy",
        "the proxy for apt; elsewhere it is in dnf.conf, yum.conf, tdnf.conf or /etc/sysconfig/proxy",
    ),
    ("/var/tmp/arc-enroll-bundle-HOSTNAME-TIME.tar.gz", "an archive of arc-enroll bundle"),
];

const REMOVAL: &str = "\
Installing the package starts nothing, so that it can be part of an image. Removing it stops the timer \
and deletes the units and their drop-ins. Purging it (with dpkg) also deletes the configuration and the \
record. The enrollment remains: azcmagent with its services and repository, the proxy settings, and the \
Arc machine in Azure. To end the enrollment, run azcmagent disconnect first.";

const IMAGE: &str = "\
With the package in the image, the user-data of a VM only contains the configuration and starts the \
program. arc-enroll user-data --without-binary, on the workstation, writes it; a manual version is:";

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

/// Where the commands are that the VM's build lacks.
const WORKSTATION: &str = "they are run on the operator's workstation, with the build for it.";

/// The page, with its date in the form 2026-11-23.
pub fn page(date: &str) -> Result<Vec<u8>, Error> {
    let man = Man::new(program().long_about(DESCRIPTION))
        .title(escaped(&NAME.to_uppercase()))
        .section("8")
        .date(date)
        .source(escaped(&format!("{NAME} {}", env!("CARGO_PKG_VERSION"))))
        .manual("System Administration");
    let mut page = Page(Roff::new().render());
    page.generated("", |text| man.render_title(text))?;
    // Names of files and keys are to be copied, not split by hyphens.
    page.add(Roff::new().control("nh", []).control("ad", ["l"]));
    page.generated("", |text| man.render_name_section(text))?;
    page.generated("", |text| man.render_synopsis_section(text))?;
    page.generated("", |text| man.render_description_section(text))?;
    page.heading("COMMANDS");
    SUBCOMMANDS.iter().try_for_each(|of| command(&mut page, of))?;
    if !cfg!(feature = "operator") {
        let names = ON_WORKSTATION.join(" and ");
        page.paragraph(&format!("{names} are not in this build, which is for VMs; {WORKSTATION}"));
    }
    page.heading("OPTIONS");
    page.add(Roff::new().text([roman("Every command takes these.")]));
    page.generated(".SH OPTIONS\n", |text| man.render_options_section(text))?;
    page.paragraph(PRECEDENCE);
    page.section("CONFIGURATION", CONFIGURATION);
    exit_status(&mut page);
    environment(&mut page);
    files(&mut page);
    page.section("REMOVAL", REMOVAL);
    examples(&mut page);
    see_also(&mut page);
    Ok(page.0.into_bytes())
}

/// A subsection: the description, argument and options of a subcommand.
fn command(page: &mut Page, of: &Subcommand) -> Result<(), Error> {
    let (name, full_name) = (escaped(of.name), escaped(NAME));
    let argument = match of.argument {
        "" => String::new(),
        argument => format!("[\\fI{argument}\\fR]"),
    };
    let words = [full_name.as_str(), &name, &argument];
    page.add(Roff::new().control("SS", words.into_iter().filter(|word| !word.is_empty())));
    let man = Man::new(subcommand(of));
    page.generated(".SH DESCRIPTION\n", |text| man.render_description_section(text))?;
    if of.flags.is_empty() && of.argument.is_empty() {
        return Ok(());
    }
    page.generated(".SH OPTIONS\n", |text| man.render_options_section(text))
}

fn exit_status(page: &mut Page) {
    page.heading("EXIT STATUS");
    let [before @ .., last] = &EXIT_CODES;
    for (code, meaning) in before {
        page.item([bold(code.to_string())], meaning);
    }
    for condition in Condition::ALL {
        let code = condition.entry().exit_code.to_string();
        page.item([bold(code)], &format!("{}: {CONDITION_FAILS}", condition.name()));
    }
    page.item([bold(last.0.to_string())], last.1);
}

fn environment(page: &mut Page) {
    page.heading("ENVIRONMENT");
    for target in TARGETS.iter().filter(|target| !target.environment.is_empty()) {
        let same = match target.flag.name {
            "" => one_line(target.flag.about),
            name => format!("the same as --{name}"),
        };
        page.item([bold(target.environment)], &same);
    }
    let trust =
        [bold("SSL_CERT_FILE"), roman(", "), bold("SSL_CERT_DIR"), roman(", "), bold("CURL_CA_BUNDLE")];
    page.item(trust, "the trust store of this machine, handed on to curl and azcmagent");
    page.paragraph(
        "Proxy variables are read too: entries of NO_PROXY are kept, and a proxy that contradicts the \
         configuration is reported.",
    );
}

fn files(page: &mut Page) {
    page.heading("FILES");
    for (path, about) in FILES {
        page.item([italic(path)], about);
    }
}

fn examples(page: &mut Page) {
    page.heading("EXAMPLES");
    for command in SUBCOMMANDS {
        page.item([bold(command.example)], command.summary);
    }
    page.paragraph(IMAGE);
    page.add(Roff::new().control("PP", []).control("RS", ["4"]).control("nf", []));
    page.add(Roff::new().text([roman(CLOUD_CONFIG.trim_end())]));
    page.add(Roff::new().control("fi", []).control("RE", []));
}

fn see_also(page: &mut Page) {
    page.heading("SEE ALSO");
    page.add(Roff::new().text([
        bold("cloud-init"),
        roman("(1), "),
        bold("systemctl"),
        roman("(1), "),
        bold("systemd.timer"),
        roman("(5)"),
    ]));
}

/// Escapes dashes, so that they can be copied, in headings and titles, which roff does not escape.
fn escaped(text: &str) -> String {
    text.replace('-', "\\-")
}

/// The text of the page so far. Every part is rendered with a preamble, of which the page needs only one.
struct Page(String);

impl Page {
    /// Adds a part rendered by clap_mangen, without this heading.
    fn generated(
        &mut self,
        heading: &str,
        render: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut bytes = Vec::new();
        render(&mut bytes)?;
        let text = String::from_utf8(bytes).map_err(Error::other)?;
        let part = text
            .strip_prefix(&Roff::new().render())
            .and_then(|part| part.strip_prefix(heading))
            .ok_or_else(|| Error::other(format!("a part of the man page does not begin with {heading:?}")))?;
        self.0.push_str(part);
        Ok(())
    }

    fn add(&mut self, part: &Roff) {
        let text = part.render();
        self.0.push_str(text.strip_prefix(&Roff::new().render()).unwrap_or(&text));
    }

    fn heading(&mut self, heading: &str) {
        self.add(Roff::new().control("SH", [heading]));
    }

    fn section(&mut self, heading: &str, text: &str) {
        self.heading(heading);
        self.add(Roff::new().text([roman(text)]));
    }

    fn paragraph(&mut self, text: &str) {
        self.add(Roff::new().control("PP", []).text([roman(text)]));
    }

    fn item(&mut self, tag: impl Into<Vec<Inline>>, about: &str) {
        self.add(Roff::new().control("TP", []).text(tag).text([roman(about)]));
    }
}
