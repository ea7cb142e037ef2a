//! The VM's build of this program, which the workstation's build carries ready-made, so that `user-data` needs no
//! compressor and writes the same bytes everywhere.

/// The VM's build.
#[derive(Clone, Copy)]
pub struct Payload {
    /// The program in the xz format, with the filter for x86 code.
    pub xz: &'static [u8],
    /// SHA-256 of the unpacked program, 64 hexadecimal digits in lower case.
    pub sha256: &'static str,
    /// Size of the unpacked program in bytes.
    pub size: usize,
}

/// The VM's build; `None` in a development build, which carries none.
#[cfg(feature = "payload")]
pub fn embedded() -> Option<Payload> {
    // The file is an expression; packaging/build-static writes it before it builds with this feature.
    Some(include!("../../target/static/payload/payload.rs"))
}

/// The VM's build; `None` in a development build, which carries none.
#[cfg(not(feature = "payload"))]
pub fn embedded() -> Option<Payload> {
    None
}
