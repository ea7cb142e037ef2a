//! Name resolution through the host's `getent`, which uses the same sources as other programs on the VM
//! (/etc/hosts, systemd-resolved, LDAP). A resolver in this static binary would not.

use std::net::IpAddr;
use std::time::Duration;

use super::commands::{tail, CommandError, Commands, Program};

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// The name does not exist, or no resolver is available.
    #[error("{host} does not resolve here ({detail})")]
    Unknown {
        /// The name.
        host: String,
        /// Output of `getent`.
        detail: String,
    },
    /// `getent` could not be run.
    #[error(transparent)]
    Command(#[from] Box<CommandError>),
}

/// Resolves a host name or address to its first address.
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
        let output = tail(&finished.transcript);
        let detail = if output.is_empty() { format!("getent: {}", finished.status()) } else { output };
        NameError::Unknown { host: host.to_owned(), detail }
    })
}
