//! The keyring of a repository: made from a served key, once its fingerprint is known.
//!
//! RFC 4880: armor (6.2), packet headers (4.2), the order of packets (11.1), the fingerprint of a version 4 key (12.2).
//! Package managers read a served text differently, so it is never written as it is: the keyring is made of the packets
//! that were checked, which are the primary keys, and the user ids and subkeys with signatures that name the key as
//! issuer. Signatures are not verified here; a matching fingerprint identifies the bytes of the primary key, and the
//! package manager verifies what that key has signed, its subkeys included.

pub mod armor;
pub mod packet;

use packet::{Packet, PUBLIC_KEY, PUBLIC_SUBKEY, SIGNATURE, USER_ATTRIBUTE, USER_ID};
use sha1::{Digest as _, Sha1};

use super::distribution::{KEY_2015, KEY_2025};

/// The fingerprints of the keys that sign Microsoft's repositories.
pub const MICROSOFT: [&str; 2] = [KEY_2015.fingerprint, KEY_2025.fingerprint];

/// Why a key is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file is not a key, such as a proxy's error page.
    #[error("this is not an OpenPGP public key: {0}")]
    NotAKey(&'static str),
    /// The key cannot be parsed.
    #[error("the OpenPGP public key is damaged: {0}")]
    Damaged(&'static str),
    /// The key is not an expected one.
    #[error("the repository's key is {}, expected {}", found.join(" and "), expected.join(" or "))]
    Unknown {
        /// The fingerprints of all keys in the file.
        found: Vec<String>,
        /// The trusted fingerprints.
        expected: Vec<String>,
    },
}

/// The keyring to write for a served key: armored, with only the packets that belong to keys with trusted fingerprints.
///
/// # Errors
/// The text is not exactly one armored public key, or a key in it is unknown.
pub fn keyring(armored: &str, trusted: &[&str]) -> Result<String, KeyError> {
    let bytes = armor::decode(armored)?;
    let packets = packet::split(&bytes)?;
    let mut found = Vec::new();
    for (index, packet) in packets.iter().enumerate() {
        if !ALLOWED.contains(&packet.tag) || (index == 0 && packet.tag != PUBLIC_KEY) {
            return Err(KeyError::NotAKey("it holds more than public keys"));
        }
        if packet.tag == PUBLIC_KEY {
            found.push(fingerprint(packet.body)?);
        }
    }
    if found.is_empty() {
        return Err(KeyError::NotAKey("there is no key in it"));
    }
    let hex: Vec<String> = found.iter().map(|print| to_hex(print)).collect();
    let known = |one: &String| trusted.iter().any(|trusted| trusted.eq_ignore_ascii_case(one));
    if !hex.iter().all(known) {
        let expected = trusted.iter().map(|trusted| (*trusted).to_owned()).collect();
        return Err(KeyError::Unknown { found: hex, expected });
    }
    Ok(armor::encode(&own_packets(&packets, &found)))
}

/// Packets that belong to public keys: signature, public key, public subkey, trust, user id and attribute, marker, padding.
const ALLOWED: [u8; 8] = [SIGNATURE, PUBLIC_KEY, 10, 12, USER_ID, PUBLIC_SUBKEY, USER_ATTRIBUTE, 21];

/// Statements about the key itself: direct signatures and revocations.
const ABOUT_KEY: [u8; 2] = [0x1f, 0x20];
/// Certifications of a user id, and their revocation.
const ABOUT_USER_ID: [u8; 5] = [0x10, 0x11, 0x12, 0x13, 0x30];
/// Bindings of a subkey, and their revocation.
const ABOUT_SUBKEY: [u8; 2] = [0x18, 0x28];

/// The primary keys with these fingerprints in order, each with its own signatures, and the user ids and subkeys that
/// have one. What others signed, and packets of only local use, are left out.
fn own_packets(packets: &[Packet<'_>], fingerprints: &[[u8; 20]]) -> Vec<u8> {
    let (mut ring, mut owners) = (Vec::new(), fingerprints.iter());
    let mut owner: &[u8] = &[];
    let mut accepted: &[u8] = &[];
    // A user id or subkey is kept with its first own signature.
    let mut subject: &[u8] = &[];
    for packet in packets {
        (subject, accepted) = match packet.tag {
            PUBLIC_KEY => {
                owner = owners.next().and_then(|print| print.get(12..)).unwrap_or_default();
                (packet.bytes, &ABOUT_KEY[..])
            }
            USER_ID => (packet.bytes, &ABOUT_USER_ID[..]),
            PUBLIC_SUBKEY => (packet.bytes, &ABOUT_SUBKEY[..]),
            USER_ATTRIBUTE => (packet.bytes, &[][..]),
            _ => (subject, accepted),
        };
        let is_own =
            || packet::issuer(packet.body).is_some_and(|(kind, id)| id == owner && accepted.contains(&kind));
        if packet.tag == PUBLIC_KEY || (packet.tag == SIGNATURE && is_own()) {
            ring.extend_from_slice(std::mem::take(&mut subject));
            if packet.tag == SIGNATURE {
                ring.extend_from_slice(packet.bytes);
            }
        }
    }
    ring
}

fn fingerprint(body: &[u8]) -> Result<[u8; 20], KeyError> {
    if body.first() != Some(&4) {
        return Err(KeyError::Damaged("the key is not of version 4"));
    }
    let length = u16::try_from(body.len()).map_err(|_| KeyError::Damaged("the key is too long"))?;
    let mut hash = Sha1::new();
    hash.update([0x99]);
    hash.update(length.to_be_bytes());
    hash.update(body);
    Ok(hash.finalize().into())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests;
