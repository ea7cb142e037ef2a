//! The languages and encodings that the program reads and writes, as pure functions.

pub mod egress_list;
pub mod gzip;
pub mod json;
pub mod percent;
pub mod shell;
pub mod url;
