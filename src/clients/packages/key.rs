//! Fingerprints of OpenPGP keys, so that only known repository keys are trusted.
//!
//! RFC 4880: armor (6.2), packet headers (4.2), the fingerprint of a version 4 key (12.2). The file may contain only
//! public keys and each must be known, because the package manager trusts all keys in the file. Signatures are not
//! verified; a matching fingerprint identifies the bytes of the key.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
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

/// Checks that every key in the armored text has a trusted fingerprint.
///
/// # Errors
/// The text is not a key file, or a key is unknown.
pub fn check<T: AsRef<str>>(armored: &str, trusted: &[T]) -> Result<(), KeyError> {
    let found = fingerprints(armored)?;
    let known = |one: &String| trusted.iter().any(|trusted| trusted.as_ref().eq_ignore_ascii_case(one));
    if found.iter().all(known) {
        return Ok(());
    }
    let expected = trusted.iter().map(|trusted| trusted.as_ref().to_owned()).collect();
    Err(KeyError::Unknown { found, expected })
}

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The fingerprints of all primary keys in an armored text, in order, 40 uppercase hexadecimal digits each.
///
/// # Errors
/// The text has no public key, has other armored blocks, or cannot be parsed.
pub fn fingerprints(armored: &str) -> Result<Vec<String>, KeyError> {
    let mut found = Vec::new();
    let mut lines = armored.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if line == BEGIN {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != END).collect();
            found.extend(keys_of(&block(&body)?)?);
        } else if line.starts_with("-----BEGIN") {
            return Err(KeyError::NotAKey("it holds an armored block of another kind"));
        }
    }
    if found.is_empty() {
        return Err(KeyError::NotAKey("there is no armored public key in it"));
    }
    Ok(found)
}

/// The bytes of an armored block: after its headers and the empty line, without the checksum.
fn block(lines: &[&str]) -> Result<Vec<u8>, KeyError> {
    let body = lines.iter().skip_while(|line| !line.is_empty());
    let encoded: String = body.filter(|line| !line.starts_with('=')).copied().collect();
    STANDARD.decode(encoded).map_err(|_| KeyError::Damaged("its base64 cannot be decoded"))
}

/// Packets that belong to public keys: signature, public key, public subkey, trust, user id and attribute, marker, padding.
const ALLOWED: [u8; 8] = [2, 6, 10, 12, 13, 14, 17, 21];
const PUBLIC_KEY: u8 = 6;

fn keys_of(bytes: &[u8]) -> Result<Vec<String>, KeyError> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (tag, body, after) = packet(rest)?;
        if !ALLOWED.contains(&tag) || (found.is_empty() && tag != PUBLIC_KEY) {
            return Err(KeyError::NotAKey("it holds more than public keys"));
        }
        if tag == PUBLIC_KEY {
            found.push(fingerprint(body)?);
        }
        rest = after;
    }
    Ok(found)
}

/// The first packet: its tag, its body and the remaining bytes.
fn packet(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), KeyError> {
    const SHORT: KeyError = KeyError::Damaged("a packet ends too early");
    let (&header, rest) = bytes.split_first().ok_or(SHORT)?;
    if header & 0x80 == 0 {
        return Err(KeyError::Damaged("a packet has no valid header"));
    }
    let (tag, length, rest) = if header & 0x40 == 0 {
        let width = match header & 0x03 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return Err(KeyError::Damaged("a packet has no length")),
        };
        let (length, rest) = number(rest, width).ok_or(SHORT)?;
        ((header >> 2) & 0x0f, length, rest)
    } else {
        let (&first, rest) = rest.split_first().ok_or(SHORT)?;
        let (length, rest) = match first {
            0..=191 => (usize::from(first), rest),
            192..=223 => {
                let (second, rest) = number(rest, 1).ok_or(SHORT)?;
                ((usize::from(first) - 192) * 256 + second + 192, rest)
            }
            255 => number(rest, 4).ok_or(SHORT)?,
            _ => return Err(KeyError::Damaged("a packet is in parts")),
        };
        (header & 0x3f, length, rest)
    };
    let (body, after) = rest.split_at_checked(length).ok_or(SHORT)?;
    Ok((tag, body, after))
}

/// A big-endian number of `width` bytes, and the remaining bytes.
fn number(bytes: &[u8], width: usize) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(width)?;
    Some((digits.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte)), rest))
}

fn fingerprint(body: &[u8]) -> Result<String, KeyError> {
    if body.first() != Some(&4) {
        return Err(KeyError::Damaged("the key is not of version 4"));
    }
    let length = u16::try_from(body.len()).map_err(|_| KeyError::Damaged("the key is too long"))?;
    let mut hash = Sha1::new();
    hash.update([0x99]);
    hash.update(length.to_be_bytes());
    hash.update(body);
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generated for these tests with gpg; the private key was deleted.
    const FIRST: &str = include_str!("testdata/first.asc");
    const SECOND: &str = include_str!("testdata/second.asc");
    const BOTH: &str = include_str!("testdata/both.asc");
    const FIRST_PRINT: &str = "4D142F751F5252F4F86426B70969F89728A159AF";
    const SECOND_PRINT: &str = "35721E93F095BD5CD300E5D7A95B967C1AFD9D6F";

    #[test]
    fn fingerprints_are_those_that_gpg_shows() {
        assert_eq!(fingerprints(FIRST).unwrap(), [FIRST_PRINT]);
        assert_eq!(fingerprints(SECOND).unwrap(), [SECOND_PRINT]);
        assert_eq!(fingerprints(BOTH).unwrap(), [FIRST_PRINT, SECOND_PRINT]);
        assert_eq!(fingerprints(&format!("text\n{FIRST}\n{SECOND}")).unwrap(), [FIRST_PRINT, SECOND_PRINT]);
        let headers = FIRST.replace(BEGIN, &format!("{BEGIN}\r\nVersion: BSN Pgp v1.1.0.0\r"));
        assert_eq!(fingerprints(&headers).unwrap(), [FIRST_PRINT]);
    }

    #[test]
    fn every_key_in_the_file_must_be_known() {
        assert_eq!(check(FIRST, &[FIRST_PRINT]), Ok(()));
        assert_eq!(check(FIRST, &[SECOND_PRINT, &FIRST_PRINT.to_ascii_lowercase()]), Ok(()));
        assert_eq!(check(BOTH, &[FIRST_PRINT, SECOND_PRINT]), Ok(()));
        assert!(
            matches!(check(BOTH, &[FIRST_PRINT]), Err(KeyError::Unknown { found, .. }) if found.len() == 2)
        );
        let error = check(FIRST, &MICROSOFT).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("the repository's key is {FIRST_PRINT}, expected {} or {}", MICROSOFT[0], MICROSOFT[1])
        );
    }

    #[test]
    fn other_files_and_damaged_keys_are_rejected() {
        let private = FIRST.replace("PUBLIC", "PRIVATE");
        for text in ["", "<html>blocked</html>", private.as_str(), &format!("{BEGIN}\n\n{END}\n")] {
            assert!(matches!(fingerprints(text), Err(KeyError::NotAKey(_))), "{text:?}");
        }
        let cut: String = FIRST.lines().take(6).map(|line| format!("{line}\n")).collect();
        assert!(matches!(fingerprints(&cut), Err(KeyError::Damaged(_))));
        for bytes in [&[0x00][..], &[0x9b, 1][..], &[0xc6, 0xe1, 1][..], &[0x98, 9, 4][..], &[0xc6, 1, 6][..]]
        {
            assert!(matches!(keys_of(bytes), Err(KeyError::Damaged(_))), "{bytes:?}");
        }
        assert!(matches!(keys_of(&[0xc5, 1, 4]), Err(KeyError::NotAKey(_))), "a secret key");
    }

    #[test]
    fn every_form_of_packet_length_is_parsed() {
        let body = [4u8; 300];
        let forms: [(&[u8], usize); 6] = [
            (&[0x98, 10], 10),
            (&[0x99, 1, 44], 300),
            (&[0x9a, 0, 0, 1, 44], 300),
            (&[0xc6, 10], 10),
            (&[0xc6, 192, 108], 300),
            (&[0xc6, 255, 0, 0, 1, 44], 300),
        ];
        for (header, length) in forms {
            let bytes = [header, &body[..length], &[0xcd, 0]].concat();
            let (tag, found, after) = packet(&bytes).unwrap();
            assert_eq!((tag, found.len(), after), (6, length, &[0xcd, 0][..]), "{header:?}");
        }
    }
}
