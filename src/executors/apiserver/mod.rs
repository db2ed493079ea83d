//! The way to a Kubernetes API server, for every verb that has one: what an environment says, from there to a client, requests, and
//! which answers are none. Knows no verb, and of resources only that they have paths.
//!
//! | File | Owns |
//! |---|---|
//! | `access` | what an environment may write; from a kubeconfig or a pod's service account to a client |
//! | `api` | one request and its answer; the difference between a refusal and no answer |
//! | `failure` | the sentence for each way in which a cluster cannot be reached |
//! | `probe` | whether the cluster can be reached, and what is allowed there |
//! | `kubectl` | the line that does the same by hand |
mod access;
mod api;
mod failure;
pub mod kubectl;
pub mod probe;

pub use access::Access;
pub use api::{Answer, Api, encoded, word};
