//! The repairs.

mod all;
pub mod install_agent;
