//! A .tar.gz in memory: the ustar form of POSIX (pax(1), "ustar Interchange Format"), regular files only.

use crate::user_data::gzip;

/// The unit of a tar file, in bytes.
const BLOCK: usize = 512;

/// Compression that is quick enough for the whole of a bundle.
const LEVEL: u8 = 6;

/// One file of the archive.
pub struct File<'a> {
    /// Its name below the folder; 99 bytes at most, which is what the caller's names are.
    pub name: &'a str,
    /// What is in it.
    pub content: &'a [u8],
}

/// An archive of these files, readable by their owner, in one folder (154 bytes at most); `time` in seconds since
/// 1970 is that of every file.
pub fn tar_gz(folder: &str, time: u64, files: &[File<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for file in files {
        tar.extend(header(folder, time, file));
        tar.extend(file.content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks end an archive.
    tar.resize(tar.len() + 2 * BLOCK, 0);
    gzip(&tar, LEVEL)
}

fn header(folder: &str, time: u64, file: &File<'_>) -> Vec<u8> {
    // name[100] mode[8] uid[8] gid[8] size[12] mtime[12] chksum[8] typeflag linkname[100] "ustar" NUL "00"
    // uname[32] gname[32] devmajor[8] devminor[8] prefix[155] and 12 bytes of padding.
    let before = format!(
        "{:\0<100.99}0000600\x000000000\x000000000\0{:011o}\0{:011o}\0",
        file.name,
        file.content.len(),
        time
    );
    let after = format!(
        "0{:\0<100}ustar\x0000{:\0<32}{:\0<32}0000000\x000000000\0{:\0<155.154}",
        "", "root", "root", folder
    );
    // The sum is that of the header with blanks in its place.
    let sum: u32 = before.bytes().chain(after.bytes()).map(u32::from).sum::<u32>() + 8 * u32::from(b' ');
    let mut header = format!("{before}{sum:06o}\0 {after}").into_bytes();
    header.resize(BLOCK, 0);
    header
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the host's tar is what it is held to")]
    fn tar_reads_it() {
        let long = format!("log/{}", "n".repeat(95));
        let content = vec![b'x'; 1000];
        let files = [
            File { name: "manifest.json", content: b"{}" },
            File { name: &long, content: &content },
            File { name: "empty", content: b"" },
            File { name: "exact", content: &content[..512] },
        ];
        let folder = "f".repeat(140);
        let archive = tar_gz(&folder, 1_795_446_000, &files);
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(archive.as_slice()).read_to_end(&mut plain).unwrap();
        assert_eq!(plain.len() % BLOCK, 0);
        let mut tar = Command::new("tar")
            .args(["-tvf", "-", "--numeric-owner", "--utc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(&plain).unwrap();
        let output = tar.wait_with_output().unwrap();
        assert!(output.status.success());
        let listing = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Vec<&str>> = listing.lines().map(|line| line.split_whitespace().collect()).collect();
        let names: Vec<String> = files.iter().map(|file| format!("{folder}/{}", file.name)).collect();
        let expected: Vec<[&str; 6]> = names
            .iter()
            .zip(["2", "1000", "0", "512"])
            .map(|(name, size)| ["-rw-------", "0/0", size, "2026-11-23", "15:00", name.as_str()])
            .collect();
        assert_eq!(lines, expected);
    }
}
