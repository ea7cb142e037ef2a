//! Standard output and standard error, the two that people and pipes read.

use std::io::Write;

/// Writes to standard output in one piece. A reader that went away is no reason to fail.
pub fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _gone = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes bytes to standard output; here a lost byte matters, since they are the result.
///
/// # Errors
/// What the operating system says, a closed pipe included.
pub fn print_bytes(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes to standard error in one piece.
pub fn write_stderr(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _gone = stderr.write_all(text.as_bytes());
}
