//! The compression of user-data: xz for the program, gzip for the whole.

use std::io::{self, Write as _};

use lzma_rust2::{CheckType, FilterType, LzmaOptions, XzOptions, XzWriter};

/// The program as xz, by the filter for x86 code, like that of `packaging/build-static`: the same input gives the same
/// bytes.
///
/// # Errors
/// Those of the compressor; none is known for a program that fits in memory.
pub(super) fn xz(program: &[u8]) -> io::Result<Vec<u8>> {
    // Extreme: the longest matches, and a search as deep as `xz -9e`. Of the literals' contexts, 4 bits are best for
    // x86 code, whose instructions are not aligned.
    let lzma_options = LzmaOptions {
        dict_size: dictionary(program.len()),
        lc: 4,
        pb: 0,
        nice_len: LzmaOptions::NICE_LEN_MAX,
        depth_limit: 512,
        ..LzmaOptions::with_preset(9)
    };
    let mut options = XzOptions { lzma_options, ..XzOptions::with_preset(9) };
    // busybox may lack CRC64.
    options.set_check_sum_type(CheckType::Crc32);
    options.prepend_pre_filter(FilterType::BcjX86, 0);
    let mut writer = XzWriter::new(Vec::new(), options)?;
    writer.write_all(program)?;
    writer.finish()
}

/// The smallest dictionary that holds the program: the VM needs as much memory to unpack it.
fn dictionary(size: usize) -> u32 {
    let most = LzmaOptions::with_preset(9).dict_size;
    u32::try_from(size.next_power_of_two()).unwrap_or(most).clamp(1 << 16, most)
}

/// gzip without a time, as small as deflate can be.
///
/// # Errors
/// Those of the compressor; none is known for what fits in memory.
pub(super) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut packed)?;
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Calls, which the filter changes, among other bytes.
    fn code() -> Vec<u8> {
        let call = |at: u32| {
            [&[0xe8][..], &0x1234_u32.wrapping_sub(at * 9).to_le_bytes(), &at.to_be_bytes()].concat()
        };
        (0..20_000).flat_map(call).collect()
    }

    #[test]
    fn xz_is_undone_and_repeats() {
        for program in [code(), b"\x7fELF".to_vec(), Vec::new()] {
            let packed = xz(&program).unwrap();
            assert_eq!(packed, xz(&program).unwrap());
            let mut plain = Vec::new();
            lzma_rust2::XzReader::new(packed.as_slice(), false).read_to_end(&mut plain).unwrap();
            assert!(plain == program);
        }
    }

    #[test]
    fn the_filter_for_code_is_applied() {
        let packed = xz(&code()).unwrap();
        // The header of the first block: its size, two filters, the one for x86 (4) without properties, LZMA2 (0x21).
        assert_eq!(packed[13..17], [1, 4, 0, 0x21]);
        assert_eq!(packed[7], 1, "the check is CRC32");
    }

    #[test]
    fn the_dictionary_holds_the_program_and_no_more() {
        assert_eq!([0, 1 << 20, (1 << 20) + 1].map(dictionary), [1 << 16, 1 << 20, 1 << 21]);
        assert_eq!(dictionary(usize::MAX / 4), 1 << 26);
    }

    #[test]
    fn gzip_is_undone_and_repeats() {
        for bytes in [code(), Vec::new()] {
            let packed = gzip(&bytes).unwrap();
            assert_eq!(packed, gzip(&bytes).unwrap());
            assert_eq!(packed[4..8], [0; 4], "the time of compression would differ from run to run");
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut plain).unwrap();
            assert_eq!(plain, bytes);
        }
    }
}
