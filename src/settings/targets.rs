//! How the target is named in place of the configuration file: options and environment names, as data.

/// An option.
#[derive(Debug, PartialEq)]
pub struct Flag {
    /// Its letter, without the dash.
    pub short: Option<char>,
    /// Its name, without the dashes.
    pub name: &'static str,
    /// What stands for the value in help; empty when it takes none. Shells complete a
    /// FILE, a DIR and `this|that`.
    pub value: &'static str,
    /// What it is for.
    pub about: &'static str,
}

impl Flag {
    /// An option without a letter.
    pub const fn new(name: &'static str, value: &'static str, about: &'static str) -> Self {
        Self { short: None, name, value, about }
    }

    /// The same option with a letter.
    pub const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }
}

/// A way to name the target in place of the configuration file.
#[derive(Debug, PartialEq)]
pub struct TargetOption {
    /// The option, spelt as azcmagent spells it; what has none has an empty name.
    pub flag: Flag,
    /// The environment name that Microsoft's guide uses; empty when there is none.
    pub environment: &'static str,
    /// The key of the configuration that it stands for.
    pub key: &'static str,
}

/// What may name the target on the command line and in the environment.
pub static TARGETS: [TargetOption; 8] = [
    TargetOption {
        flag: Flag::new("subscription-id", "ID", "subscription"),
        environment: "SUBSCRIPTION_ID",
        key: "azure.subscription_id",
    },
    TargetOption {
        flag: Flag::new("resource-group", "NAME", "resource group"),
        environment: "RESOURCE_GROUP",
        key: "azure.resource_group",
    },
    TargetOption {
        flag: Flag::new("tenant-id", "ID", "tenant; default: the token's own"),
        environment: "TENANT_ID",
        key: "azure.tenant_id",
    },
    TargetOption {
        flag: Flag::new("location", "REGION", "region, such as eastus"),
        environment: "LOCATION",
        key: "azure.location",
    },
    TargetOption {
        flag: Flag::new("resource-name", "NAME", "name of the Arc machine; default: the hostname"),
        environment: "",
        key: "azure.resource_name",
    },
    TargetOption {
        flag: Flag::new("cloud", "NAME", "AzureCloud, AzureUSGovernment or AzureChinaCloud"),
        environment: "",
        key: "azure.cloud",
    },
    TargetOption { flag: Flag::new("tags", "LIST", "A=1,B='two words'"), environment: "", key: "azure.tags" },
    TargetOption {
        flag: Flag::new("", "", "resource id of a user-assigned identity"),
        environment: "UAMI_ID",
        key: "identity",
    },
];
