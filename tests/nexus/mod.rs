//! The simulated Nexus VM as tests and the demo use it: describe one ([`vm::Vm`]), start it, run programs in
//! it, look at what happened. The servers and stand-in programs themselves are in the `nexus` example.

pub mod control;
pub mod run;
pub mod seen;
pub mod spec;
pub mod vm;
