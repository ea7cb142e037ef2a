//! gzip (RFC 1952).

/// Compresses without a timestamp, so that the same input gives the same bytes; `level` is 0 to 10.
///
/// The header and trailer have 18 bytes. A library for them would add a table of 16 KiB that does not compress.
pub fn gzip(bytes: &[u8], level: u8) -> Vec<u8> {
    // Deflate, no flags, no time, slowest compression, unknown system.
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    packed.extend(miniz_oxide::deflate::compress_to_vec(bytes, level));
    packed.extend(crc32(bytes).to_le_bytes());
    // The format keeps the length modulo 2^32.
    packed.extend((bytes.len() as u32).to_le_bytes());
    packed
}

/// The CRC-32 of gzip, computed bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}
