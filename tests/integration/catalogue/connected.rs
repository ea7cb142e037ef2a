//! Faults of the connection.

use super::faults;

faults! {}
