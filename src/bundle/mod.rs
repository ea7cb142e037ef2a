//! x
mod archive;
mod redact;
