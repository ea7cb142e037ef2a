//! The variables of the catalogue's steps, and the forms in which their values are taken.

use crate::formats::shell::quote;

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Any text; it is quoted where it is written into a command.
    Text(String),
    /// `name=value`, of which the value is quoted.
    Assignment(&'static str, String),
    /// Shell text of this program, such as `"$VM_NAME"`, which the person's shell expands.
    Shell(&'static str),
}

impl Word {
    /// As it stands in a sentence.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Assignment(name, value) => format!("{name}={value}"),
            Self::Shell(text) => text.trim_matches('"').to_owned(),
        }
    }
}

impl Word {
    /// As it stands in a command.
    pub fn in_command(&self) -> String {
        match self {
            Self::Text(text) => quote(text),
            Self::Assignment(name, value) => format!("{name}={}", quote(value)),
            Self::Shell(text) => (*text).to_owned(),
        }
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What a variable stands for: one word, or several.
pub type Words = Vec<Word>;

/// A value of one word.
pub fn one(text: impl Into<String>) -> Words {
    vec![Word::Text(text.into())]
}

/// The form of a value; what came from outside in another form is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 8-4-4-4-12 hexadecimal digits.
    Guid,
    /// A name of Azure's, 90 characters at most: letters, digits, `-_.()`.
    Name,
    /// Host names, each with a port at most.
    Hosts,
    /// A decimal number.
    Number,
    /// Any text without control characters; it is this program's, or checked when the settings were read.
    Text,
}

impl Form {
    fn admits(self, text: &str) -> bool {
        let all = |is: &dyn Fn(char) -> bool| !text.is_empty() && text.chars().all(is);
        match self {
            Self::Guid => is_guid(text),
            Self::Name => text.len() <= 90 && all(&|c| c.is_ascii_alphanumeric() || "-_.()".contains(c)),
            Self::Hosts => {
                text.len() <= 260
                    && !text.starts_with('-')
                    && all(&|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c))
            }
            Self::Number => all(&|c| c.is_ascii_digit()),
            Self::Text => !text.chars().any(char::is_control),
        }
    }
}

/// Whether a text is 8-4-4-4-12 hexadecimal digits.
fn is_guid(text: &str) -> bool {
    let mut lengths = text.split('-').map(str::len);
    [8, 4, 4, 4, 12].iter().all(|length| lengths.next() == Some(*length))
        && lengths.next().is_none()
        && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

macro_rules! vars {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $form:ident, $placeholder:literal;)*) => {
        /// A variable of a step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Var { $($(#[$doc])* $id),* }

        impl Var {
            /// Every variable.
            pub const ALL: &'static [Self] = &[$(Self::$id),*];

            /// The variable that a template calls `{name}`.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$id),)* _ => None }
            }

            /// As a template writes it.
            pub fn template(self) -> &'static str {
                match self { $(Self::$id => concat!("{", $name, "}")),* }
            }

            /// The form in which its value is taken.
            pub fn form(self) -> Form {
                match self { $(Self::$id => Form::$form),* }
            }

            /// What stands in its place where nothing is known, for the person's shell to expand.
            fn placeholder(self) -> &'static str {
                match self { $(Self::$id => $placeholder),* }
            }
        }
    };
}

vars! {
    /// The subscription's id.
    SubscriptionId = "subscription_id", Guid, "\"$SUBSCRIPTION_ID\"";
    /// The resource group of the Arc machine.
    ResourceGroup = "resource_group", Text, "\"$RESOURCE_GROUP\"";
    /// The region.
    Location = "location", Name, "\"$LOCATION\"";
    /// The resource group's resource id.
    Scope = "scope", Text, "\"$SCOPE\"";
    /// The Arc machine's name.
    ResourceName = "resource_name", Name, "\"$ARC_NAME\"";
    /// The Nexus VM's name.
    Vm = "vm", Name, "\"$VM_NAME\"";
    /// The object id of the VM's identity.
    PrincipalId = "principal_id", Guid, "\"$PRINCIPAL_ID\"";
    /// The address of IMDS, a URL without a path.
    Imds = "imds", Text, "http://169.254.169.254";
    /// Its host.
    ImdsHost = "imds_host", Hosts, "169.254.169.254";
    /// The token request, a whole URL.
    TokenUrl = "token_url", Text, "\"$TOKEN_URL\"";
    /// The proxy's host.
    ProxyHost = "proxy_host", Hosts, "\"$PROXY\"";
    /// The proxy's URL, without credentials.
    Proxy = "proxy", Text, "\"$PROXY\"";
    /// The proxy's host and port.
    ProxyAddress = "proxy_address", Hosts, "\"$PROXY\"";
    /// The first endpoint that the fault is about.
    Endpoint = "endpoint", Hosts, "management.azure.com";
    /// Every endpoint that the fault is about.
    Endpoints = "endpoints", Hosts, "\"$ENDPOINTS\"";
    /// These endpoints as `--additional-egress-endpoints` takes them.
    EgressJson = "egress_json", Text, "\"$ENDPOINTS\"";
    /// The log file.
    Log = "log", Text, "/var/log/cloud-init-output.log";
    /// The configuration file.
    Config = "config", Text, "/etc/arc-enroll/config.yaml";
    /// The process id of the run that holds the lock.
    Holder = "holder", Number, "PID";
    /// The path that the fault is about.
    Path = "path", Text, "/";
    /// The package manager's program.
    Packages = "packages", Name, "apt-get";
    /// The cloud's name.
    Cloud = "cloud", Name, "AzureCloud";
    /// `--tenant ID`, or nothing.
    TenantOption = "tenant_option", Text, "";
    /// The command that creates the VM.
    Create = "create", Text, "az networkcloud virtualmachine create …";
    /// The arc-enroll command to run again.
    Rerun = "rerun", Text, "arc-enroll enroll";
    /// The precheck command to run again.
    Precheck = "precheck", Text, "arc-enroll precheck";
    /// The az command that did not do.
    Az = "az", Text, "az account show";
    /// The options that name the cloud services network.
    CsnAt = "csn_at", Text, "--name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\"";
    /// The resource id of the VM's own cloud services network.
    CsnOfVm = "csn_of_vm", Text, "\"$CSN_ID\"";
    /// The network's whole list of additional endpoints, with what is missing in it.
    CsnEgressJson = "csn_egress_json", Text, "\"$ENDPOINTS\"";
    /// The options that name the VM.
    VmAt = "vm_at", Text, "--name \"$VM_NAME\" --resource-group \"$VM_RESOURCE_GROUP\"";
    /// The options that name the managed identity.
    IdentityAt = "identity_at", Text, "--name \"$IDENTITY_NAME\" --resource-group \"$IDENTITY_RESOURCE_GROUP\"";
    /// The options that name the Nexus cluster.
    ClusterAt = "cluster_at", Text, "--name \"$CLUSTER_NAME\" --resource-group \"$CLUSTER_RESOURCE_GROUP\"";
    /// The version that the cluster can be upgraded to.
    ClusterTarget = "cluster_target", Name, "\"$CLUSTER_VERSION\"";
}

impl Var {
    /// The value where it is of this variable's form, else the placeholder.
    pub fn take(self, value: Option<Words>) -> Words {
        let is_admitted = |word: &Word| match word {
            Word::Text(text) | Word::Assignment(_, text) => self.form().admits(text),
            Word::Shell(_) => true,
        };
        value.filter(|words| words.iter().all(is_admitted)).unwrap_or_else(|| match self.placeholder() {
            "" => Vec::new(),
            placeholder => vec![Word::Shell(placeholder)],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_outside_are_taken_in_their_own_form_only() {
        let id = "33333333-3333-4333-8333-333333333333";
        assert_eq!(Var::PrincipalId.take(Some(one(id))), one(id));
        for hostile in ["$(id)", "33333333-3333-4333-8333-33333333333g", "", "x; reboot"] {
            assert_eq!(Var::PrincipalId.take(Some(one(hostile))), [Word::Shell("\"$PRINCIPAL_ID\"")]);
        }
        assert_eq!(Var::Endpoint.take(Some(one("a.b`id`"))), [Word::Shell("management.azure.com")]);
        assert_eq!(Var::Vm.take(Some(one("vm\nreboot"))), [Word::Shell("\"$VM_NAME\"")]);
        assert_eq!(Var::Vm.take(Some(one("vm-7"))), one("vm-7"));
        assert_eq!(Var::TenantOption.take(None), []);
    }

    #[test]
    fn a_placeholder_is_never_empty_but_for_an_option_that_is_not_needed() {
        for var in Var::ALL {
            let words = var.take(None);
            assert_eq!(words.is_empty(), *var == Var::TenantOption, "{var:?}");
            assert!(
                words.iter().all(|word| matches!(word, Word::Shell(text) if !text.is_empty())),
                "{var:?}"
            );
        }
    }

    #[test]
    fn a_value_is_taken_as_a_whole_or_not_at_all() {
        let hosts = |texts: [&str; 2]| Var::Endpoints.take(Some(texts.map(Word::from).to_vec()));
        assert_eq!(hosts(["a.example", "b.example:8443"]), ["a.example", "b.example:8443"].map(Word::from));
        assert_eq!(hosts(["a.example", "-b"]), Var::Endpoints.take(None));
        assert_eq!(hosts(["a.example", ""]), Var::Endpoints.take(None));
    }

    #[test]
    fn no_form_admits_a_line_of_its_own() {
        for var in Var::ALL {
            for text in ["a\nb", "a\rb", "a\u{1b}[2Jb", "a\u{85}b"] {
                assert_eq!(var.take(Some(one(text))), var.take(None), "{var:?} {text:?}");
            }
        }
    }

    #[test]
    fn forms_have_bounds() {
        let name = |length| one("a".repeat(length));
        assert_eq!(Var::Vm.take(Some(name(90))), name(90));
        assert_eq!(Var::Vm.take(Some(name(91))), Var::Vm.take(None));
        assert_eq!(Var::Holder.take(Some(one("4242"))), one("4242"));
        for text in ["", "-1", "1 2", "PID"] {
            assert_eq!(Var::Holder.take(Some(one(text))), [Word::Shell("PID")]);
        }
    }
}
