//! Value types that are validated in their constructors.
//!
//! An error says what is wrong and what to write instead. Its text follows a key:
//! `azure.location: "East US" holds a space; Azure writes it eastus`.

use std::fmt;

/// Characters of an invalid value that a message repeats.
const EXCERPT_LENGTH: usize = 80;

/// An invalid value for a message: quoted, escaped and truncated.
pub(super) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_LENGTH) {
        Some((end, _)) => format!("{:?} …", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Implements `as_str` and `Display` for a text newtype.
macro_rules! impl_text_newtype {
    ($($name:ident),+) => {$(
        impl $name {
            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

impl_text_newtype!(Guid, ResourceGroup, Location, ResourceName, ResourceId);

/// A GUID, in lower case so that comparison ignores case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(String);

impl Guid {
    /// Parses `8-4-4-4-12` hexadecimal digits.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn new(text: &str) -> Result<Self, String> {
        if is_guid(text) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let bare = text.trim().trim_start_matches(['{', '(']).trim_end_matches(['}', ')']);
        if is_guid(bare) {
            return Err(format!("{} must be written as {}", excerpt(text), bare.to_ascii_lowercase()));
        }
        Err(format!("{} is not a GUID such as 12345678-9abc-def0-1234-56789abcdef0", excerpt(text)))
    }

    /// Whether a text is this GUID, ignoring case.
    pub fn matches(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }
}

fn is_guid(text: &str) -> bool {
    let mut groups = text.split('-');
    let has_groups = [8, 4, 4, 4, 12].into_iter().all(|length| {
        groups.next().is_some_and(|g| g.len() == length && g.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    has_groups && groups.next().is_none()
}

/// The name of a resource group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceGroup(String);

impl ResourceGroup {
    /// Parses 1 to 90 letters, digits and `-_.()`, not ending in a dot.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; it must name the resource group".to_owned());
        }
        if text.starts_with('/') {
            return Err(format!("{} is an id; write only the name of the resource group", excerpt(text)));
        }
        let illegal = text.chars().find(|c| !c.is_alphanumeric() && !"-_.()".contains(*c));
        if let Some(c) = illegal {
            return Err(format!(
                "{} holds {c:?}; a resource group has letters, digits and -_.() only",
                excerpt(text)
            ));
        }
        let length = text.chars().count();
        if length > 90 {
            return Err(format!("has {length} characters; a resource group has 90 at most"));
        }
        if text.ends_with('.') {
            return Err(format!("{} ends in a dot, which Azure refuses", excerpt(text)));
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether a text names this resource group; Azure ignores case here.
    pub fn matches(&self, text: &str) -> bool {
        self.0.to_lowercase() == text.to_lowercase()
    }
}

/// A region by its programmatic name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(String);

impl Location {
    /// Parses letters and digits.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; it must name a region such as eastus".to_owned());
        }
        if text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let suggestion: String =
            text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        if text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ') && !suggestion.is_empty() {
            return Err(format!("{} holds a space; Azure writes it {suggestion}", excerpt(text)));
        }
        Err(format!("{} is not a region; it has letters and digits only, as in eastus", excerpt(text)))
    }
}

/// The name of an Arc machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceName(String);

impl ResourceName {
    /// Longest name that azcmagent accepts, in characters.
    pub const LONGEST: usize = 54;

    /// Parses 1 to 54 letters, digits, `-` and `_`, the last one a letter or digit.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; leave it out to take the hostname".to_owned());
        }
        if let Some(c) = text.chars().find(|c| !is_name_character(*c)) {
            return Err(format!(
                "{} holds {c:?}; azcmagent takes letters, digits, - and _ only{}",
                excerpt(text),
                suggestion(text)
            ));
        }
        if text.len() > Self::LONGEST {
            return Err(format!(
                "has {} characters; azcmagent takes {} at most{}",
                text.len(),
                Self::LONGEST,
                suggestion(text)
            ));
        }
        if text.ends_with(['-', '_']) {
            return Err(format!("{} must not end in - or _{}", excerpt(text), suggestion(text)));
        }
        Ok(Self(text.to_owned()))
    }

    /// The valid name nearest to a hostname; `None` when the hostname holds no valid character.
    pub fn from_hostname(hostname: &str) -> Option<Self> {
        let short = hostname.split('.').next().unwrap_or_default();
        Self::nearest(short)
    }

    fn nearest(text: &str) -> Option<Self> {
        let legal: String = text.chars().map(|c| if is_name_character(c) { c } else { '-' }).collect();
        let cut: String = legal.trim_start_matches(['-', '_']).chars().take(Self::LONGEST).collect();
        let name = cut.trim_end_matches(['-', '_']);
        (!name.is_empty()).then(|| Self(name.to_owned()))
    }

    /// Whether a text is this name; Azure ignores case here.
    pub fn matches(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn suggestion(text: &str) -> String {
    ResourceName::nearest(text).map(|name| format!(", as in {name}")).unwrap_or_default()
}

/// The absolute id of one resource in ARM. Comparison ignores case, as ARM does.
#[derive(Clone, Debug)]
pub struct ResourceId(String);

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for ResourceId {}

impl ResourceId {
    /// Parses `/subscriptions/GUID/resourceGroups/NAME/providers/NAMESPACE/TYPE/NAME`.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn new(text: &str) -> Result<Self, String> {
        const FORM: &str = "/subscriptions/GUID/resourceGroups/NAME/providers/NAMESPACE/TYPE/NAME";
        let Some(path) = text.strip_prefix('/') else {
            return Err(format!("{} is not an absolute id; write {FORM}", excerpt(text)));
        };
        if let Some(c) = text.chars().find(|c| c.is_whitespace() || c.is_control() || "?#%".contains(*c)) {
            return Err(format!("{} holds {c:?}, which is not allowed in a resource id", excerpt(text)));
        }
        let segments: Vec<&str> = path.split('/').collect();
        let fixed = |at: usize, word: &str| segments.get(at).is_some_and(|s| s.eq_ignore_ascii_case(word));
        let paired = segments.len() >= 8 && segments.len() % 2 == 0;
        let is_complete = paired && segments.iter().all(|s| !s.is_empty());
        if !(is_complete && fixed(0, "subscriptions") && fixed(2, "resourcegroups") && fixed(4, "providers"))
        {
            return Err(format!("{} is not the id of a resource; write {FORM}", excerpt(text)));
        }
        Guid::new(segments.get(1).copied().unwrap_or_default())
            .map_err(|fault| format!("the subscription in the id is wrong: {fault}"))?;
        Ok(Self(text.to_owned()))
    }

    /// The type of the resource, as in `Microsoft.HybridCompute/gateways`.
    pub fn resource_type(&self) -> String {
        let mut segments = self.0.split('/').skip(6);
        let mut kind = segments.next().unwrap_or_default().to_owned();
        for part in segments.step_by(2) {
            kind.push('/');
            kind.push_str(part);
        }
        kind
    }

    /// Parses the id of a resource of exactly this type.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn of_type(text: &str, kind: &str) -> Result<Self, String> {
        let id = Self::new(text)?;
        if id.resource_type().eq_ignore_ascii_case(kind) {
            return Ok(id);
        }
        Err(format!("names a {}, but a {kind} is needed", excerpt(&id.resource_type())))
    }
}

/// The type of a user-assigned managed identity.
const IDENTITY_TYPE: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

/// The managed identity to request tokens for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The system-assigned identity of the VM.
    System,
    /// A user-assigned identity by its ARM id.
    ResourceId(ResourceId),
    /// A user-assigned identity by its client id.
    ClientId(Guid),
    /// A user-assigned identity by its object id.
    ObjectId(Guid),
}

impl Identity {
    /// Parses `system`, an ARM id, or the GUID of a client id.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn from_word(text: &str) -> Result<Self, String> {
        if text == "system" {
            return Ok(Self::System);
        }
        if text.starts_with('/') {
            return Self::from_resource_id(text);
        }
        Guid::new(text).map(Self::ClientId).map_err(|_| {
            format!(
                "{} is none of: system, a resource id (/subscriptions/…), a client id (a GUID)",
                excerpt(text)
            )
        })
    }

    /// Parses the ARM id of a user-assigned identity.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn from_resource_id(text: &str) -> Result<Self, String> {
        ResourceId::of_type(text, IDENTITY_TYPE).map(Self::ResourceId)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system-assigned"),
            Self::ResourceId(id) => write!(f, "user-assigned {id}"),
            Self::ClientId(id) => write!(f, "user-assigned, client id {id}"),
            Self::ObjectId(id) => write!(f, "user-assigned, object id {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "12345678-9abc-def0-1234-56789abcdef0";

    fn id(kind: &str) -> String {
        format!("/subscriptions/{GUID}/resourceGroups/rg/providers/{kind}/n")
    }

    #[test]
    fn guids() {
        let guid = Guid::new(&GUID.to_uppercase()).unwrap();
        assert_eq!(guid.to_string(), GUID);
        assert!(guid.matches(&GUID.to_uppercase()));
        for wrong in
            ["", "abc", "12345678-9abc-def0-1234-56789abcdef", "g2345678-9abc-def0-1234-56789abcdef0"]
        {
            assert!(Guid::new(wrong).unwrap_err().contains("is not a GUID"), "{wrong}");
        }
        assert!(Guid::new(&format!("{{{GUID}}}")).unwrap_err().ends_with(GUID));
    }

    #[test]
    fn resource_groups() {
        for right in ["rg", "my-rg_1.(x)", "Prüfung", &"a".repeat(90)] {
            assert!(ResourceGroup::new(right).is_ok(), "{right}");
        }
        let long = "a".repeat(91);
        for wrong in ["", "a b", "a.", "a/b", "/subscriptions/x", "a$", long.as_str()] {
            assert!(ResourceGroup::new(wrong).is_err(), "{wrong}");
        }
        assert!(ResourceGroup::new("My-RG").unwrap().matches("my-rg"));
    }

    #[test]
    fn locations() {
        assert_eq!(Location::new("EastUS2").unwrap().as_str(), "eastus2");
        assert_eq!(
            Location::new("East US").unwrap_err(),
            r#""East US" holds a space; Azure writes it eastus"#
        );
        assert!(Location::new("east-us").is_err());
        assert!(Location::new("").is_err());
    }

    #[test]
    fn resource_names() {
        for right in ["a", "vm-1_x", &"a".repeat(54)] {
            assert!(ResourceName::new(right).is_ok(), "{right}");
        }
        let long = "a".repeat(55);
        for wrong in ["", "a.b", "a-", "a_", "a b", long.as_str()] {
            assert!(ResourceName::new(wrong).is_err(), "{wrong}");
        }
        assert!(ResourceName::new("vm-").unwrap_err().ends_with("as in vm"));
    }

    #[test]
    fn hostnames_become_names() {
        let cases = [
            ("vm1.example.org", Some("vm1")),
            ("vm1", Some("vm1")),
            ("-_vm é 1_-", Some("vm---1")),
            ("...", None),
            ("", None),
            ("--", None),
        ];
        for (hostname, name) in cases {
            assert_eq!(ResourceName::from_hostname(hostname).as_ref().map(ResourceName::as_str), name);
        }
        let cut = format!("{}-{}", "a".repeat(53), "b".repeat(20));
        assert_eq!(ResourceName::from_hostname(&cut).unwrap().as_str(), "a".repeat(53));
    }

    #[test]
    fn every_name_from_a_hostname_is_a_legal_name() {
        let random = random_hostnames(2_000);
        for hostname in random {
            if let Some(name) = ResourceName::from_hostname(&hostname) {
                assert!(ResourceName::new(name.as_str()).is_ok(), "{hostname:?} gave {name}");
            }
        }
    }

    /// Random hostnames from a fixed seed, valid and invalid ones.
    fn random_hostnames(count: usize) -> Vec<String> {
        let mut random = fastrand::Rng::with_seed(7);
        let alphabet: Vec<char> = "abZ09-_. é$".chars().collect();
        let mut one =
            || (0..random.usize(0..80)).map(|_| alphabet[random.usize(0..alphabet.len())]).collect();
        (0..count).map(|_| one()).collect()
    }

    #[test]
    fn resource_ids() {
        let text = id("Microsoft.HybridCompute/gateways");
        let parsed = ResourceId::new(&text).unwrap();
        assert_eq!(parsed.as_str(), text);
        assert_eq!(parsed, ResourceId::new(&text.to_uppercase()).unwrap());
        assert_eq!(parsed.resource_type(), "Microsoft.HybridCompute/gateways");
        assert_eq!(
            ResourceId::new(&format!("{text}/sub/x")).unwrap().resource_type(),
            "Microsoft.HybridCompute/gateways/sub"
        );
        assert!(ResourceId::new(text.trim_start_matches('/')).unwrap_err().contains("not an absolute id"));
        for wrong in
            ["", "/", "/subscriptions/x", &format!("{text}/"), &text.replace(GUID, "x"), &format!("{text}?a")]
        {
            assert!(ResourceId::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn identities() {
        assert_eq!(Identity::from_word("system"), Ok(Identity::System));
        assert!(matches!(Identity::from_word(GUID), Ok(Identity::ClientId(_))));
        assert!(matches!(Identity::from_word(&id(IDENTITY_TYPE)), Ok(Identity::ResourceId(_))));
        let message = Identity::from_word(&id("Microsoft.HybridCompute/gateways")).unwrap_err();
        assert!(
            message.contains("a Microsoft.ManagedIdentity/userAssignedIdentities is needed"),
            "{message}"
        );
        assert!(Identity::from_word("me").is_err());
    }
}
