//! The help texts.

use super::Topic;

/// The help text, of a subcommand or of the whole; at most 80 columns wide.
pub fn help(topic: Option<Topic>) -> String {
    let Some(topic) = topic else { return MAIN.to_owned() };
    let own = match topic {
        Topic::Enroll => ENROLL,
        Topic::Doctor => DOCTOR,
        Topic::Status => STATUS,
        Topic::Token => TOKEN,
        Topic::Env => ENV,
        Topic::Explain => EXPLAIN,
        Topic::Bundle => BUNDLE,
        Topic::Validate => VALIDATE,
        Topic::UserData => USER_DATA,
    };
    format!("{own}\nOptions everywhere: arc-enroll --help\n")
}

const MAIN: &str = "\
Enroll this VM on Azure Operator Nexus as an Azure Arc-enabled server.

Usage: arc-enroll [OPTIONS] COMMAND

Commands:
  enroll        make every condition hold (first boot, timer, manual recovery)
  doctor        observe every condition, change nothing
  status        what the last run did, what holds now, when the next try comes
  token         print an access token for the managed identity
  env           print the proxy exports, for: eval \"$(arc-enroll env)\"
  explain CODE  what a fault means and what to do; without CODE, the list
  bundle        collect what support asks for, secrets taken out
  validate      check a configuration file offline
  user-data     write the user-data that embeds this program

Options everywhere:
  --config FILE         settings (default /etc/arc-enroll/config.yaml)
  --output text|json    form of the output
  -v, --verbose         log more; -vv logs everything
  --root DIR            take every file path below DIR
  -h, --help            this help, or that of a command
  -V, --version         the version

Target, in place of the file (environment name in brackets):
  --subscription-id ID  subscription [SUBSCRIPTION_ID]
  --resource-group NAME resource group [RESOURCE_GROUP]
  --tenant-id ID        tenant; default: the token's own [TENANT_ID]
  --location REGION     region, such as eastus [LOCATION]
  --resource-name NAME  name of the Arc machine; default: the hostname
  --cloud NAME          AzureCloud, AzureUSGovernment or AzureChinaCloud
  --tags LIST           A=1,B='two words'
  [UAMI_ID]             resource id of a user-assigned identity

A flag wins over the environment, the environment over the file.

Exit codes:
  0   all conditions hold
  1   internal error
  2   wrong command line or configuration
  3   this host is unsuitable
  11  host               12  proxy-environment  13  imds
  14  clock              15  proxy              16  dns
  17  egress             18  identity           19  agent
  20  access             21  connected
      11 to 21: the condition fails, and only a person can help
  75  not yet: waiting longer can help
";

const ENROLL: &str = "\
Usage: arc-enroll enroll [OPTIONS]

Makes every condition hold, in order, inside the time of wait.boot. Run again,
it goes on where it stands; on an enrolled VM it changes nothing.

It also installs arc-enroll.timer, which runs it again every repair.every, with
the same --config and target; repair.timer: false removes the timer.

  --if-idle  end at once when another run is at work (exit code 75); the timer
             runs it so

Example:
  sudo arc-enroll enroll --resource-group my-rg --location eastus
";

const DOCTOR: &str = "\
Usage: arc-enroll doctor [OPTIONS]

Observes every condition and changes nothing. The exit code is that of the
worst condition.

Example:
  sudo arc-enroll doctor --output json
";

const STATUS: &str = "\
Usage: arc-enroll status [OPTIONS]

Shows what the last run did, what it left to a person, what holds now on this
VM (nothing is asked over the network) and when the timer tries next. The exit
code is that of the last run, 75 when there was none.

Example:
  arc-enroll status
";

const TOKEN: &str = "\
Usage: arc-enroll token [OPTIONS]

Prints an access token for the managed identity; a sidecar that is coming up is
waited for, at most 90 s. Whoever reads the token can act as this VM: keep it
out of files and logs.

  --resource URL  what the token is for (default: imds.resource)
  --identity ID   system, a resource id, or a client id (default: identity)

Example:
  TOKEN=$(arc-enroll token --resource https://storage.azure.com/)
";

const ENV: &str = "\
Usage: arc-enroll env [OPTIONS]

Prints the proxy variables as shell exports.

Example:
  eval \"$(arc-enroll env)\"
";

const EXPLAIN: &str = "\
Usage: arc-enroll explain [CODE] [OPTIONS]

Says what a fault means, its causes, what is done about it automatically and
what a person can do. Without CODE, lists all faults.

Example:
  arc-enroll explain
";

const BUNDLE: &str = "\
Usage: arc-enroll bundle [FILE] [OPTIONS]

Collects logs, journals, network tests, proxy settings and versions into one
.tar.gz for a support request, secrets taken out, in half a minute at most.
manifest.json in it says what could not be had. It changes nothing else, works
without root as far as that sees, and with a configuration that is broken.

  FILE  where to write it; - is standard output (default:
        /var/tmp/arc-enroll-bundle-HOSTNAME-TIME.tar.gz)

Example:
  sudo arc-enroll bundle
";

const VALIDATE: &str = "\
Usage: arc-enroll validate [FILE] [OPTIONS]

Checks a configuration file offline and tells all its faults, each with key
and line. The file may also be given by --config.

Example:
  arc-enroll validate nexus.yaml
";

const USER_DATA: &str = "\
Usage: arc-enroll user-data [OPTIONS]

Writes cloud-config that installs this very program with the configuration and
starts it. The configuration is checked first; size and the command to use go
to stderr.

  --base64        write the string for --user-data-content
  --gzip          compress the whole
  --include FILE  join your own cloud-config in

Example:
  arc-enroll user-data --config nexus.yaml --base64 > user-data.b64
";
