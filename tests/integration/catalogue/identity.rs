//! Faults of the token.

use super::faults;

faults! {}
