//! Data formats and encodings, as pure functions.

pub mod egress_list;
pub mod gzip;
pub mod http_date;
pub mod json;
pub mod percent;
pub mod shell;
pub mod url;
