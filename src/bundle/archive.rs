//! Builds a .tar.gz in memory: ustar format (POSIX pax(1), "ustar Interchange Format"), regular files only.

use crate::formats::gzip::gzip;

/// Block size of a tar file, in bytes.
const BLOCK: usize = 512;

/// Compression level: fast enough for the largest bundle.
const LEVEL: u8 = 6;

/// An archive that is being built. All files have mode 0600 and are in one folder, whose name has at most 154 bytes.
pub struct Archive<'a> {
    tar: Vec<u8>,
    folder: &'a str,
    /// Modification time of all files, in seconds since 1970.
    time: u64,
}

impl<'a> Archive<'a> {
    /// An empty archive.
    pub fn new(folder: &'a str, time: u64) -> Self {
        Self { tar: Vec::new(), folder, time }
    }

    /// Adds a file. Its name below the folder is truncated after 99 bytes; the names of callers are shorter.
    pub fn add(&mut self, name: &str, content: &[u8]) {
        // name[100] mode[8] uid[8] gid[8] size[12] mtime[12] chksum[8] typeflag linkname[100] "ustar" NUL "00"
        // uname[32] gname[32] devmajor[8] devminor[8] prefix[155] and 12 bytes of padding.
        let before = format!(
            "{name:\0<100.99}0000600\x000000000\x000000000\0{:011o}\0{:011o}\0",
            content.len(),
            self.time
        );
        let after = format!(
            "0{:\0<100}ustar\x0000{:\0<32}{:\0<32}0000000\x000000000\0{:\0<155.154}",
            "", "root", "root", self.folder
        );
        // The checksum is that of the header with blanks in the checksum field.
        let sum =
            before.bytes().chain(after.bytes()).fold(8 * u32::from(b' '), |sum, byte| sum + u32::from(byte));
        self.tar.extend_from_slice(format!("{before}{sum:06o}\0 {after}").as_bytes());
        self.fill(0);
        self.tar.extend_from_slice(content);
        self.fill(0);
    }

    /// Pads with zeros to the end of the block, and adds `blocks` empty blocks.
    fn fill(&mut self, blocks: usize) {
        self.tar.resize(self.tar.len().next_multiple_of(BLOCK) + blocks * BLOCK, 0);
    }

    /// The archive, compressed.
    pub fn tar_gz(mut self) -> Vec<u8> {
        // Two empty blocks end an archive.
        self.fill(2);
        gzip(&self.tar, LEVEL)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "compares with the host's tar")]
    fn tar_lists_the_archive() {
        let long = format!("log/{}", "n".repeat(95));
        let content = vec![b'x'; 1000];
        let files: [(&str, &[u8]); 4] =
            [("manifest.json", b"{}"), (&long, &content), ("empty", b""), ("exact", &content[..512])];
        let folder = "f".repeat(140);
        let mut archive = Archive::new(&folder, 1_795_446_000);
        for (name, content) in files {
            archive.add(name, content);
        }
        let archive = archive.tar_gz();
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
        let names: Vec<String> = files.iter().map(|(name, _)| format!("{folder}/{name}")).collect();
        let expected: Vec<[&str; 6]> = names
            .iter()
            .zip(["2", "1000", "0", "512"])
            .map(|(name, size)| ["-rw-------", "0/0", size, "2026-11-23", "15:00", name.as_str()])
            .collect();
        assert_eq!(lines, expected);
    }
}
