//! Packets of OpenPGP (RFC 4880): their headers (4.2), and the issuer of a signature (5.2).

use super::KeyError;

/// Tag of a signature.
pub const SIGNATURE: u8 = 2;
/// Tag of a primary key.
pub const PUBLIC_KEY: u8 = 6;
/// Tag of a user id.
pub const USER_ID: u8 = 13;
/// Tag of a subkey.
pub const PUBLIC_SUBKEY: u8 = 14;

/// Tag of a user attribute, such as a picture.
pub const USER_ATTRIBUTE: u8 = 17;

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub tag: u8,
    /// The bytes of the body.
    pub body: &'a [u8],
    /// The whole packet.
    pub bytes: &'a [u8],
}

const SHORT: KeyError = KeyError::Damaged("a packet ends too early");

/// All packets.
///
/// # Errors
/// The bytes are not a sequence of whole packets of known length.
pub fn split(bytes: &[u8]) -> Result<Vec<Packet<'_>>, KeyError> {
    let (mut packets, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let packet = first(rest)?;
        rest = rest.get(packet.bytes.len()..).ok_or(SHORT)?;
        packets.push(packet);
    }
    Ok(packets)
}

fn first(bytes: &[u8]) -> Result<Packet<'_>, KeyError> {
    let (&header, rest) = bytes.split_first().ok_or(SHORT)?;
    if header & 0x80 == 0 {
        return Err(KeyError::Damaged("a packet has no valid header"));
    }
    let is_new = header & 0x40 != 0;
    let tag = if is_new { header & 0x3f } else { (header >> 2) & 0x0f };
    let (length, rest) = if is_new { new_length(rest)? } else { old_length(header, rest)? };
    let (body, after) = rest.split_at_checked(length).ok_or(SHORT)?;
    let bytes = bytes.get(..bytes.len().saturating_sub(after.len())).ok_or(SHORT)?;
    Ok(Packet { tag, body, bytes })
}

fn old_length(header: u8, rest: &[u8]) -> Result<(usize, &[u8]), KeyError> {
    let width = match header & 0x03 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => return Err(KeyError::Damaged("a packet has no length")),
    };
    number(rest, width).ok_or(SHORT)
}

fn new_length(rest: &[u8]) -> Result<(usize, &[u8]), KeyError> {
    let (&first, rest) = rest.split_first().ok_or(SHORT)?;
    match first {
        0..=191 => Ok((usize::from(first), rest)),
        192..=223 => {
            let (second, rest) = number(rest, 1).ok_or(SHORT)?;
            Ok(((usize::from(first) - 192) * 256 + second + 192, rest))
        }
        255 => number(rest, 4).ok_or(SHORT),
        _ => Err(KeyError::Damaged("a packet is in parts")),
    }
}

/// A big-endian number of `width` bytes, and the remaining bytes.
fn number(bytes: &[u8], width: usize) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(width)?;
    Some((digits.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte)), rest))
}

/// The type of a signature and the id of the key that made it, as it claims.
pub fn issuer(signature: &[u8]) -> Option<(u8, &[u8])> {
    let (&version, rest) = signature.split_first()?;
    if version == 3 {
        // The length of what is hashed, type, time of four bytes, key id.
        return Some((*rest.get(1)?, rest.get(6..14)?));
    }
    let kind = *rest.first()?;
    // Version, type, two algorithms, and the two areas of subpackets.
    let (hashed, rest) = area(rest.get(3..)?)?;
    let (unhashed, _) = area(rest)?;
    let id = issuer_in(hashed).or_else(|| issuer_in(unhashed))?;
    (version == 4).then_some((kind, id))
}

fn area(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes, 2)?;
    rest.split_at_checked(length)
}

/// The key id in the subpackets: of its own (16), or the end of a fingerprint of version 4 (33).
fn issuer_in(mut area: &[u8]) -> Option<&[u8]> {
    while !area.is_empty() {
        let (length, rest) = subpacket_length(area)?;
        let (subpacket, after) = rest.split_at_checked(length)?;
        match subpacket {
            [0x10 | 0x90, id @ ..] if id.len() == 8 => return Some(id),
            [0x21 | 0xa1, 4, fingerprint @ ..] if fingerprint.len() == 20 => return fingerprint.get(12..),
            _ => area = after,
        }
    }
    None
}

fn subpacket_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..=191 => Some((usize::from(first), rest)),
        192..=254 => {
            let (second, rest) = number(rest, 1)?;
            Some(((usize::from(first) - 192) * 256 + second + 192, rest))
        }
        255 => number(rest, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let packets = split(&bytes).unwrap();
            assert_eq!((packets[0].tag, packets[0].body.len()), (PUBLIC_KEY, length), "{header:?}");
            assert_eq!(packets[1], Packet { tag: USER_ID, body: &[], bytes: &[0xcd, 0] }, "{header:?}");
        }
    }

    #[test]
    fn damaged_packets_are_refused() {
        for bytes in [&[0x00][..], &[0x9b, 1][..], &[0xc6, 0xe1, 1][..], &[0x98, 9, 4][..], &[0xc6][..]] {
            assert!(matches!(split(bytes), Err(KeyError::Damaged(_))), "{bytes:?}");
        }
    }

    #[test]
    fn the_issuer_is_read_from_signatures_of_both_versions() {
        let third = [3, 5, 0x10, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2];
        assert_eq!(issuer(&third), Some((0x10, &[1, 2, 3, 4, 5, 6, 7, 8][..])));
        let fourth = [4, 0x18, 1, 8, 0, 3, 2, 99, 0, 0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(issuer(&fourth), Some((0x18, &[1, 2, 3, 4, 5, 6, 7, 8][..])));
        for length in 0..fourth.len() {
            assert_eq!(issuer(&fourth[..length]), None, "{length}");
        }
        assert_eq!(issuer(&[4, 0x18, 1, 8, 0, 1, 0, 0, 0]), None, "a subpacket without a type");
    }
}
