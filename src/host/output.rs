//! Standard output and standard error.

use std::io::Write;

/// Writes to standard output in one piece; a closed pipe is ignored.
pub fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _gone = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes bytes to standard output, for results that must be complete.
///
/// # Errors
/// The write failed; this includes a closed pipe.
pub fn print_bytes(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes to standard error in one piece; a closed pipe is ignored.
pub fn write_stderr(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _gone = stderr.write_all(text.as_bytes());
}
