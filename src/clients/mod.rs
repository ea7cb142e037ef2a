//! Clients of external services and programs: each module builds the requests and interprets the responses.

pub mod arm;
pub mod azcmagent;
#[cfg(test)]
mod hostile_answers;
pub mod imds;
pub mod packages;
