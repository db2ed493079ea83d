//! The reference platform.
pub mod cluster;
