//! What flags and the environment say in place of the configuration file.

/// The flags that name the target, as azcmagent spells them, and the key each stands for.
pub const FLAGS: [(&str, &str); 7] = [
    ("subscription-id", "azure.subscription_id"),
    ("resource-group", "azure.resource_group"),
    ("tenant-id", "azure.tenant_id"),
    ("location", "azure.location"),
    ("resource-name", "azure.resource_name"),
    ("cloud", "azure.cloud"),
    ("tags", "azure.tags"),
];

/// The environment names that Microsoft's guide uses, and the key each stands for.
pub const ENVIRONMENT: [(&str, &str); 5] = [
    ("SUBSCRIPTION_ID", "azure.subscription_id"),
    ("RESOURCE_GROUP", "azure.resource_group"),
    ("TENANT_ID", "azure.tenant_id"),
    ("LOCATION", "azure.location"),
    ("UAMI_ID", "identity"),
];

/// A value from a flag or from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where it is from: `--location`, or `LOCATION (environment)`.
    pub place: String,
    /// The raw text.
    pub value: String,
}

/// Values that take precedence over the file, by key; the last of several, so that a flag wins over the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(&'static str, Given)>);

impl Overrides {
    /// What the environment says. An empty value counts as unset.
    pub fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let given = ENVIRONMENT.iter().filter_map(|(name, key)| {
            let value = environment(name).filter(|value| !value.is_empty())?;
            Some((*key, Given { place: format!("{name} (environment)"), value }))
        });
        Self(given.collect())
    }

    /// Takes a flag, named without its dashes; says whether it is one that names the target.
    pub fn set_flag(&mut self, flag: &str, value: String) -> bool {
        let Some((name, key)) = FLAGS.iter().find(|(name, _)| *name == flag) else { return false };
        self.0.push((key, Given { place: format!("--{name}"), value }));
        true
    }

    /// What is said about a key.
    pub fn get(&self, key: &str) -> Option<&Given> {
        self.0.iter().rfind(|(of, _)| *of == key).map(|(_, given)| given)
    }

    /// The other ways to give a key, for messages: `--location` and `LOCATION`.
    pub fn ways(key: &str) -> Vec<String> {
        let flags = FLAGS.iter().filter(|(_, of)| *of == key).map(|(name, _)| format!("--{name}"));
        let names = ENVIRONMENT.iter().filter(|(_, of)| *of == key).map(|(name, _)| (*name).to_owned());
        flags.chain(names).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_environment_and_empty_is_unset() {
        let lookup = |name: &str| match name {
            "LOCATION" => Some("westus".to_owned()),
            "TENANT_ID" => Some(String::new()),
            _ => None,
        };
        let mut overrides = Overrides::from_environment(&lookup);
        assert_eq!(overrides.get("azure.tenant_id"), None);
        assert_eq!(overrides.get("azure.location").unwrap().place, "LOCATION (environment)");
        assert!(overrides.set_flag("location", "eastus".to_owned()));
        assert_eq!(overrides.get("azure.location").unwrap().value, "eastus");
        assert!(!overrides.set_flag("locations", String::new()));
        assert_eq!(Overrides::ways("azure.location"), ["--location", "LOCATION"]);
    }
}
