//! Operations on the operator's workstation: checking the Azure side, and writing user-data.

pub mod payload;
pub mod precheck;
pub mod user_data;
