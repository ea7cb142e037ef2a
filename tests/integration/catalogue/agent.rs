//! Faults of azcmagent.

use super::faults;

faults! {}
