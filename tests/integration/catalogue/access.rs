//! Faults of rights.

use super::faults;

faults! {}
