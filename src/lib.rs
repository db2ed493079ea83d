//! `tp-runner` performs written test plans and reports them in the plan's own shape.
//!
//! The floors and who may import whom: `docs/architecture.md`, held by `tests/floors.rs`.
pub mod relay;
#[cfg(feature = "sandbox")]
pub mod sandbox;
