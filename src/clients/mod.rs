//! The parties that the agent talks to, one module each: how it is asked, and what its answer means.

pub mod arm;
pub mod azcmagent;
#[cfg(test)]
mod hostile_answers;
pub mod imds;
pub mod packages;
