//! arc-enroll: makes a VM on Azure Operator Nexus an Azure Arc-enabled server, from its user-data.

pub mod bundle;
pub mod catalogue;
pub mod cli;
pub mod clients;
pub mod commands;
pub mod conditions;
pub mod context;
pub mod engine;
pub mod host;
pub mod model;
pub mod operator;
pub mod output;
pub mod proxy_files;
#[cfg(test)]
mod readers;
pub mod repairs;
pub mod settings;
pub mod timer;
