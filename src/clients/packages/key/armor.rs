//! The ASCII armor of OpenPGP (RFC 4880, section 6.2), read strictly and written.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use super::KeyError;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Characters in a line of base64.
const WIDTH: usize = 64;

/// The bytes of a text that is exactly one armored public key. Lines may end with CRLF, and empty lines may follow.
///
/// Readers differ in what they skip outside a block and in how they read a damaged one, so that each could find another
/// key in the same text; such a text is refused.
///
/// # Errors
/// There is more or less than one block, it has an unknown form, or its checksum is wrong.
pub fn decode(text: &str) -> Result<Vec<u8>, KeyError> {
    let mut lines =
        text.trim_end_matches(['\r', '\n']).split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    if lines.next() != Some(BEGIN) {
        return Err(KeyError::NotAKey("it does not begin with an armored public key"));
    }
    // Armor headers end at the empty line.
    for header in lines.by_ref().take_while(|line| !line.is_empty()) {
        if !is_header(header) {
            return Err(KeyError::Damaged("its armor has a header that is none"));
        }
    }
    let (mut encoded, mut checksum) = (String::new(), None);
    for line in lines.by_ref() {
        match (line.strip_prefix('='), checksum) {
            _ if line == END => break,
            (Some(digits), None) => checksum = Some(digits),
            (None, None) => encoded.push_str(line),
            (_, Some(_)) => return Err(KeyError::Damaged("its checksum is not the last line of the block")),
        }
    }
    if lines.next().is_some() || !text.trim_end_matches(['\r', '\n']).ends_with(END) {
        return Err(KeyError::NotAKey("it holds more than one armored public key"));
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Damaged("its base64 cannot be decoded"))?;
    match checksum {
        Some(digits) if digits != encode_checksum(&bytes) => Err(KeyError::Damaged("its checksum is wrong")),
        _ => Ok(bytes),
    }
}

/// `Name: value` in printable ASCII.
fn is_header(line: &str) -> bool {
    let is_plain = line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    is_plain
        && line
            .split_once(": ")
            .is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Bytes as an armored public key.
pub fn encode(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut text = format!("{BEGIN}\n\n");
    let mut rest = encoded.as_str();
    while let Some((line, after)) = rest.split_at_checked(WIDTH) {
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str(&format!("={}\n{END}\n", encode_checksum(bytes)));
    text
}

fn encode_checksum(bytes: &[u8]) -> String {
    let [_, digits @ ..] = crc24(bytes).to_be_bytes();
    STANDARD.encode(digits)
}

/// RFC 4880, section 6.1.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc = 0x00B7_04CE_u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _bit in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4CFB;
            }
        }
    }
    crc & 0x00FF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../testdata/first.asc");

    #[test]
    fn a_key_is_written_as_gpg_writes_it() {
        assert_eq!(encode(&decode(KEY).unwrap()), KEY);
        let headers = KEY.replace("BLOCK-----\n\n", "BLOCK-----\nVersion: BSN Pgp v1.1.0.0\n\n");
        assert_eq!(decode(&headers.replace('\n', "\r\n")).unwrap(), decode(KEY).unwrap());
        assert_eq!(decode(&format!("{KEY}\n\r\n")).unwrap(), decode(KEY).unwrap());
    }

    #[test]
    fn every_byte_outside_one_block_is_refused() {
        let others = [
            format!(" {KEY}"),
            format!("text\n{KEY}"),
            format!("\n{KEY}"),
            format!("{KEY}text\n"),
            format!("{KEY} \n"),
            format!("{KEY}{KEY}"),
            format!("\u{feff}{KEY}"),
            KEY.replace(END, ""),
            KEY.replace(END, &format!(" {END}")),
            KEY.replace(END, &format!("{END} ")),
            KEY.replace(END, &format!("{END}\n{END}")),
            KEY.replace("BLOCK-----\n\n", "BLOCK-----\n \n"),
            KEY.replace("BLOCK-----\n\n", "BLOCK-----\nno header\n\n"),
            KEY.replace("BLOCK-----\n\n", "BLOCK-----\nA: \u{1b}[2J\n\n"),
            KEY.replace("BLOCK-----\n\n", "BLOCK-----\n\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"),
            KEY.replace("\n=", "\n=AAAA\n="),
            KEY.replace("\n=", "\n=AAAA\nAAAA"),
        ];
        for text in others {
            assert!(decode(&text).is_err(), "{text:?}");
        }
        let (body, checksum) = KEY.split_once("\n=").unwrap();
        let checksum: String = checksum.chars().rev().collect();
        assert!(decode(&format!("{body}\n={}\n{END}\n", &checksum[checksum.len() - 4..])).is_err());
    }
}
