//! The options and environment variables that override the target of the configuration file, as data.

/// An option.
#[derive(Debug, PartialEq)]
pub struct Flag {
    /// Its letter, without the dash.
    pub short: Option<char>,
    /// Its name, without the dashes.
    pub name: &'static str,
    /// The placeholder of its value in help; empty when it takes none. Shells complete FILE, DIR and `this|that`.
    pub value: &'static str,
    /// Its description in help.
    pub about: &'static str,
}

impl Flag {
    /// An option without a short form.
    pub const fn new(name: &'static str, value: &'static str, about: &'static str) -> Self {
        Self { short: None, name, value, about }
    }

    /// Adds a short form.
    pub const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }
}

/// An option or environment variable that overrides a key of the target.
#[derive(Debug, PartialEq)]
pub struct TargetOption {
    /// The option, named as in azcmagent; its name is empty when there is none.
    pub flag: Flag,
    /// The environment variable of Microsoft's guide; empty when there is none.
    pub environment: &'static str,
    /// The key of the configuration that it overrides.
    pub key: &'static str,
}

/// Every option and environment variable that overrides a key of the target.
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
