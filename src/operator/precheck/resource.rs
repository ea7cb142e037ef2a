//! An Azure resource, by the three names that az uses for it.

use crate::settings::{Azure, ResourceId};

/// A resource by its subscription, resource group and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureResource {
    /// Subscription id.
    pub subscription: String,
    /// Resource group.
    pub group: String,
    /// Name.
    pub name: String,
}

impl AzureResource {
    /// Parses the id of a resource of this type; `None` for other text, since the parts become words of a command.
    pub fn of_id(id: &str, kind: &str) -> Option<Self> {
        let id = ResourceId::of_type(id, kind).ok()?.to_string();
        let mut parts = id.split('/').skip(2).step_by(2).map(str::to_owned);
        let (subscription, group) = (parts.next()?, parts.next()?);
        let name = id.rsplit('/').next().filter(|name| is_name(name))?.to_owned();
        Some(Self { subscription, group, name }).filter(|place| is_name(&place.group))
    }

    /// Parses the id of a resource of this type, or a name in the configured resource group.
    pub fn named(text: &str, kind: &str, azure: &Azure) -> Option<Self> {
        if text.starts_with('/') {
            return Self::of_id(text, kind);
        }
        let (subscription, group) = (azure.subscription_id.to_string(), azure.resource_group.to_string());
        is_name(text).then(|| Self { subscription, group, name: text.to_owned() })
    }

    /// The options of az that name it; no part holds shell syntax, so they are not quoted.
    pub fn words(&self) -> String {
        let Self { subscription, group, name } = self;
        format!("--name {name} --resource-group {group} --subscription {subscription}")
    }

    /// Its resource id, for this type.
    pub fn id(&self, kind: &str) -> String {
        let Self { subscription, group, name } = self;
        format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind}/{name}")
    }

    /// Whether both are the same resource; Azure ignores case here.
    pub fn is(&self, other: &Self) -> bool {
        [(&self.subscription, &other.subscription), (&self.group, &other.group), (&self.name, &other.name)]
            .iter()
            .all(|(one, two)| one.eq_ignore_ascii_case(two))
    }
}

/// Whether a text holds only characters of resource and group names, and is not an option.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSN: &str = "Microsoft.NetworkCloud/cloudServicesNetworks";

    #[test]
    fn only_valid_ids_are_accepted() {
        let id = |name: &str| {
            format!("/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/{CSN}/{name}")
        };
        let place = AzureResource::of_id(&id("csn-1"), CSN).unwrap();
        assert_eq!(
            place.words(),
            "--name csn-1 --resource-group rg --subscription 11111111-2222-3333-4444-555555555555"
        );
        assert!(
            AzureResource::of_id(&id("CSN-1").replace("rg", "RG"), CSN).is_some_and(|other| other.is(&place))
        );
        for name in ["--query", "$(id)", "a;b", "a'b", ""] {
            assert_eq!(AzureResource::of_id(&id(name), CSN), None, "{name}");
        }
        assert_eq!(AzureResource::of_id(&id("csn-1"), "Microsoft.NetworkCloud/virtualMachines"), None);
    }
}
