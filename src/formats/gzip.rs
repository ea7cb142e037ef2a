//! gzip (RFC 1952).

/// Compressed, without a time, so that the same input gives the same bytes; `level` as in zlib, and 10.
///
/// Only the 18 bytes around the deflate stream are gzip's own. A library for them would bring a table of
/// 16 KiB that does not compress.
pub fn gzip(bytes: &[u8], level: u8) -> Vec<u8> {
    // Deflate, no flags, no time, slowest compression, unknown system.
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    packed.extend(miniz_oxide::deflate::compress_to_vec(bytes, level));
    packed.extend(crc32(bytes).to_le_bytes());
    // The format keeps the length modulo 2^32.
    packed.extend((bytes.len() as u32).to_le_bytes());
    packed
}

/// The check sum of gzip, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}
