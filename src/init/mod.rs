//! Writes the first plan, environment and CI job for a service. Everything here is pure: observations and documents in,
//! texts out.
//!
//! [`openapi`] reads what a document describes, [`plan`] writes a case for each operation, [`service`] writes plans for
//! systems without a document from what was observed of them, [`environment`] writes `tp-runner.yaml`, and [`ci`] a
//! job.
pub mod ci;
pub mod environment;
pub mod openapi;
pub mod plan;
pub mod service;
pub mod words;
pub mod yaml;
