//! The variables of the catalogue's steps, and the forms that their values must have.

use crate::formats::shell::quote;

/// An argument of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Any text; it is quoted when it is rendered into a command.
    Text(String),
    /// `name=value`, of which the value is quoted.
    Assignment(&'static str, String),
    /// Shell source from this program, such as `"$VM_NAME"`, which the operator's shell expands.
    Shell(&'static str),
}

impl Word {
    /// The text in prose, without quotes.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Assignment(name, value) => format!("{name}={value}"),
            Self::Shell(text) => text.trim_matches('"').to_owned(),
        }
    }

    /// The text in a command, quoted for a shell.
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

/// The value of a variable: one word or several.
pub type Words = Vec<Word>;

/// A value that is one word.
pub fn one(text: impl Into<String>) -> Words {
    vec![Word::Text(text.into())]
}

/// The form of a value; a value from outside in another form is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 8-4-4-4-12 hexadecimal digits.
    Guid,
    /// An Azure resource name of at most 90 characters: letters, digits, `-_.()`.
    Name,
    /// Host names, each with an optional port.
    Hosts,
    /// A decimal number.
    Number,
    /// Any text without control characters; it comes from this program or from validated settings.
    Text,
}

impl Form {
    fn accepts(self, text: &str) -> bool {
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
    (
        $($(#[$doc:meta])* $id:ident = $name:literal, $form:ident, $placeholder:literal;)*
        @workstation
        $($(#[$own_doc:meta])* $own_id:ident = $own_name:literal, $own_form:ident, $own_placeholder:literal;)*
    ) => {
        /// A variable of a step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Var {
            $($(#[$doc])* $id,)*
            $($(#[$own_doc])* #[cfg(feature = "operator")] $own_id,)*
        }

        impl Var {
            /// Every variable.
            pub const ALL: &'static [Self] =
                &[$(Self::$id,)* $(#[cfg(feature = "operator")] Self::$own_id,)*];

            /// The variable with this name in a template.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$id),)*
                    $(#[cfg(feature = "operator")] $own_name => Some(Self::$own_id),)*
                    _ => None,
                }
            }

            /// The variable in a template, with its braces.
            pub fn template(self) -> &'static str {
                match self {
                    $(Self::$id => concat!("{", $name, "}"),)*
                    $(#[cfg(feature = "operator")] Self::$own_id => concat!("{", $own_name, "}"),)*
                }
            }

            /// The form that its value must have.
            pub fn form(self) -> Form {
                match self {
                    $(Self::$id => Form::$form,)*
                    $(#[cfg(feature = "operator")] Self::$own_id => Form::$own_form,)*
                }
            }

            /// Its replacement if there is no value, for the operator's shell to expand.
            fn placeholder(self) -> &'static str {
                match self {
                    $(Self::$id => $placeholder,)*
                    $(#[cfg(feature = "operator")] Self::$own_id => $own_placeholder,)*
                }
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
    /// The host of the IMDS address.
    ImdsHost = "imds_host", Hosts, "169.254.169.254";
    /// The URL of the token request, with its query.
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
    /// The arc-enroll command to run again.
    Rerun = "rerun", Text, "arc-enroll enroll";

    // Only precheck knows these.
    @workstation
    /// The command that creates the VM.
    Create = "create", Text, "az networkcloud virtualmachine create …";
    /// The precheck command to run again.
    Precheck = "precheck", Text, "arc-enroll precheck";
    /// The az command that failed.
    Az = "az", Text, "az account show";
    /// The options that name the cloud services network.
    CsnAt = "csn_at", Text, "--name \"$CSN_NAME\" --resource-group \"$CSN_RESOURCE_GROUP\"";
    /// The resource id of the VM's own cloud services network.
    CsnOfVm = "csn_of_vm", Text, "\"$CSN_ID\"";
    /// The complete list of the network's additional endpoints, with the missing ones added.
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
    /// The value if it has this variable's form, else the placeholder.
    pub fn take(self, value: Option<Words>) -> Words {
        let is_accepted = |word: &Word| match word {
            Word::Text(text) | Word::Assignment(_, text) => self.form().accepts(text),
            Word::Shell(_) => true,
        };
        value.filter(|words| words.iter().all(is_accepted)).unwrap_or_else(|| match self.placeholder() {
            "" => Vec::new(),
            placeholder => vec![Word::Shell(placeholder)],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_another_form_become_placeholders() {
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
    fn only_the_placeholder_of_an_optional_option_is_empty() {
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
    fn one_malformed_word_rejects_the_value() {
        let hosts = |texts: [&str; 2]| Var::Endpoints.take(Some(texts.map(Word::from).to_vec()));
        assert_eq!(hosts(["a.example", "b.example:8443"]), ["a.example", "b.example:8443"].map(Word::from));
        assert_eq!(hosts(["a.example", "-b"]), Var::Endpoints.take(None));
        assert_eq!(hosts(["a.example", ""]), Var::Endpoints.take(None));
    }

    #[test]
    fn no_form_accepts_control_characters() {
        for var in Var::ALL {
            for text in ["a\nb", "a\rb", "a\u{1b}[2Jb", "a\u{85}b"] {
                assert_eq!(var.take(Some(one(text))), var.take(None), "{var:?} {text:?}");
            }
        }
    }

    #[test]
    fn forms_limit_length_and_characters() {
        let name = |length| one("a".repeat(length));
        assert_eq!(Var::Vm.take(Some(name(90))), name(90));
        assert_eq!(Var::Vm.take(Some(name(91))), Var::Vm.take(None));
        assert_eq!(Var::Holder.take(Some(one("4242"))), one("4242"));
        for text in ["", "-1", "1 2", "PID"] {
            assert_eq!(Var::Holder.take(Some(one(text))), [Word::Shell("PID")]);
        }
    }
}
