//! The VM's build of this program, which the workstation's build carries.

/// The VM's build, packed.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// The program as xz.
    pub xz: &'static [u8],
    /// SHA-256 of the program, 64 lower-case hexadecimal digits.
    pub sha256: &'static str,
    /// Bytes of the program.
    pub size: usize,
}

/// The VM's build; `None` in a development build, which carries none.
pub fn embedded() -> Option<Payload> {
    None
}
