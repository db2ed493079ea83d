//! Access to a Kubernetes API server, shared by the verbs `k8s` and `logs`: access settings, client, requests,
//! and which responses count as errors. Must not import a verb.
//!
//! | File | Owns |
//! |---|---|
//! | `body` | the body of a response, up to a limit |
//! | `list_body` | a list, item by item, up to a limit |
//! | `access` | a target's keys; from a kubeconfig or a pod's service account to a client |
//! | `client` | one request and its response; error response or no response |
//! | `connect_error` | an error message for each way in which a cluster cannot be reached |
//! | `probe` | `doctor`: whether the cluster can be reached, and what is allowed there |
//! | `kubectl` | the kubectl command that reproduces a request |
mod access;
mod body;
mod client;
mod connect_error;
pub mod kubectl;
mod list_body;
pub mod probe;

pub use access::AccessSpec;
pub use body::{BodyError, BodyReader};
pub use client::{ApiClient, Response, path_segment, percent_encoded};
pub use list_body::read_list;
