//! The parties that the agent talks to, one module each: how it is asked, and what its answer means.

pub mod arm;
pub mod azcmagent;
pub mod imds;
pub mod packages;
