//! The simulated Nexus VM as tests and the demo use it: describe one ([`vm::Vm`]), start it, run programs in
//! it, inspect the results. The servers and stand-in programs are in the `nexus` example.

pub mod control;
pub mod run;
pub mod seen;
pub mod spec;
pub mod vm;
