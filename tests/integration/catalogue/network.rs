//! Faults on the way to the sidecar and to Azure.

use super::faults;

faults! {}
