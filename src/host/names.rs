//! From names to addresses, by the host's own `getent`: it asks whatever every other program on the VM asks
//! (/etc/hosts, systemd-resolved, LDAP), which a resolver inside this static binary would not.

use std::net::IpAddr;
use std::time::Duration;

use super::commands::{tail, CommandError, Commands, Program};

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// The name is not known, or nobody could be asked.
    #[error("{host} does not resolve here ({detail})")]
    Unknown {
        /// The name.
        host: String,
        /// What `getent` said.
        detail: String,
    },
    /// It could not be looked up.
    #[error(transparent)]
    Command(#[from] Box<CommandError>),
}

/// The first address of a host, which may be an address already.
///
/// # Errors
/// [`NameError`].
pub async fn resolve(commands: &Commands, host: &str, limit: Duration) -> Result<IpAddr, NameError> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Ok(address);
    }
    let finished = commands.run(Program::new("getent", &["ahosts", host], limit)).await?;
    let first = finished.stdout.split_whitespace().next().and_then(|word| word.parse().ok());
    first.ok_or_else(|| {
        let said = tail(&finished.transcript);
        let detail = if said.is_empty() { format!("getent: {}", finished.status()) } else { said };
        NameError::Unknown { host: host.to_owned(), detail }
    })
}
