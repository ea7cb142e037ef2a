//! The program that user-data carries, and the script that unpacks it on the VM.

use std::borrow::Cow;
use std::path::Path;

use crate::formats::shell::quote;
use crate::host::files::digest_of;
use crate::operator::payload::Payload;

use super::{pack, UserDataError};

/// Where the script is installed, so that an administrator can run it again.
pub const SCRIPT_PATH: &str = "/usr/local/sbin/arc-enroll-unpack";

/// Where the packed program is until it is unpacked. Not where the program goes, since directories in PATH hold programs.
pub const PACKED_PATH: &str = "/usr/local/lib/arc-enroll.xz";

/// The script, with markers for the values of a program.
const TEMPLATE: &str = include_str!("unpack.sh");

/// The VM's program, packed as xz: cloud-init knows gzip only, which takes a quarter more.
#[derive(Clone, Debug)]
pub struct Packed {
    xz: Cow<'static, [u8]>,
    sha256: String,
    size: usize,
}

impl Packed {
    /// Packs a program that was given as a file.
    ///
    /// # Errors
    /// When it is not for x86-64 Linux, which is what Nexus has.
    pub fn new(program: &[u8]) -> Result<Self, UserDataError> {
        if !is_x86_64_program(program) {
            return Err(UserDataError::NotAProgram);
        }
        let xz = pack::xz(program).map_err(UserDataError::Pack)?.into();
        Ok(Self { xz, sha256: digest_of(program), size: program.len() })
    }

    /// The packed program.
    pub(super) fn xz(&self) -> &[u8] {
        &self.xz
    }

    /// SHA-256 of the program, 64 lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

impl From<Payload> for Packed {
    fn from(payload: Payload) -> Self {
        Self { xz: payload.xz.into(), sha256: payload.sha256.to_owned(), size: payload.size }
    }
}

/// Whether this is an executable ELF file for x86-64, by its header (System V ABI, chapter 4): 64 bits, little-endian,
/// an executable or position-independent, machine 62.
fn is_x86_64_program(bytes: &[u8]) -> bool {
    let is_64_bit = bytes.starts_with(b"\x7fELF\x02\x01");
    is_64_bit && matches!(bytes.get(16..20), Some([2 | 3, 0, 62, 0]))
}

/// Renders the script for a program; `log` is the log file for runs outside of cloud-init.
pub(super) fn script(packed: &Packed, log: &Path) -> String {
    super::script(
        TEMPLATE,
        &[
            ("@SHA256@", packed.sha256.clone()),
            ("@SIZE@", packed.size.to_string()),
            ("@LOG@", quote(&log.display().to_string())),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::PROGRAM;
    use super::*;

    #[test]
    fn every_marker_is_replaced() {
        let packed = Packed::new(PROGRAM).unwrap();
        let script = script(&packed, "/var/log/cloud init.log".as_ref());
        let sha256 = format!("sha256={}", digest_of(PROGRAM));
        for line in [sha256.as_str(), "size=64", "log=\"/var/log/cloud init.log\"", "finish() {"] {
            assert!(script.lines().any(|other| other == line), "{line} in {script}");
        }
        assert!(!script.contains('@') && script.is_ascii());
    }

    #[test]
    fn the_script_uses_the_paths_of_the_program() {
        for (name, path) in
            [("binary", super::super::BINARY_PATH), ("script", SCRIPT_PATH), ("packed", PACKED_PATH)]
        {
            assert!(TEMPLATE.contains(&format!("\n{name}={path}\n")), "{name}");
        }
    }

    #[test]
    fn only_programs_for_x86_64_are_packed() {
        assert!(Packed::new(PROGRAM).is_ok());
        let changed = |at: usize, byte: u8| {
            let mut bytes = PROGRAM.to_vec();
            bytes[at] = byte;
            bytes
        };
        let foreign = [
            ("arm64", changed(18, 183)),
            ("32 bits", changed(4, 1)),
            ("an object file", changed(16, 1)),
            ("a script", b"#!/bin/sh\nexit 0\n".to_vec()),
            ("cut short", PROGRAM[..19].to_vec()),
            ("empty", Vec::new()),
        ];
        for (name, bytes) in foreign {
            assert!(matches!(Packed::new(&bytes), Err(UserDataError::NotAProgram)), "{name}");
        }
    }

    #[test]
    fn a_payload_is_taken_as_it_is() {
        let packed = Packed::from(Payload { xz: b"xz", sha256: "0123", size: 7 });
        assert_eq!((packed.xz(), packed.sha256(), packed.size), (&b"xz"[..], "0123", 7));
    }
}
