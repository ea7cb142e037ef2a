//! Values from flags and the environment that override the configuration file.

use super::targets::{TargetOption, TARGETS};

/// A value from a flag or from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its source: `--location`, or `LOCATION (environment)`.
    pub place: String,
    /// The raw text.
    pub value: String,
}

/// Values that override the file, by key. The last value of a key wins, so that a flag overrides the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(&'static str, Given)>);

impl Overrides {
    /// Reads the environment. An empty value counts as unset.
    pub fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut given = Vec::new();
        for TargetOption { environment: name, key, .. } in
            TARGETS.iter().filter(|it| !it.environment.is_empty())
        {
            if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
                given.push((*key, Given { place: format!("{name} (environment)"), value }));
            }
        }
        Self(given)
    }

    /// Sets the value of a flag, named without dashes; returns false if the flag does not name the target.
    pub fn set_flag(&mut self, flag: &str, value: String) -> bool {
        let Some(target) = TARGETS.iter().find(|target| target.flag.name == flag) else { return false };
        self.0.push((target.key, Given { place: format!("--{flag}"), value }));
        true
    }

    /// The value that overrides a key.
    pub fn get(&self, key: &str) -> Option<&Given> {
        self.0.iter().rfind(|(known, _)| *known == key).map(|(_, given)| given)
    }

    /// The flag and the environment variable of a key, for messages: `--location` and `LOCATION`.
    pub fn alternatives(key: &str) -> Vec<String> {
        let mut alternatives = Vec::new();
        for target in TARGETS.iter().filter(|target| target.key == key) {
            if !target.flag.name.is_empty() {
                alternatives.push(format!("--{}", target.flag.name));
            }
            if !target.environment.is_empty() {
                alternatives.push(target.environment.to_owned());
            }
        }
        alternatives
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
        assert_eq!(Overrides::alternatives("azure.location"), ["--location", "LOCATION"]);
    }
}
