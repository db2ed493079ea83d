//! The verb `k8s`, black box, over sockets. What both can do is tried on the embedded Kubernetes API and on a real one
//! (`TP_TEST_KUBECONFIG`), by the same tests.
#![cfg(feature = "sandbox")]
mod access;
mod bodies;
mod changes;
#[path = "../executor_stage/mod.rs"]
mod executor_stage;
mod job;
mod logs;
mod looks;
mod permissions;
mod waits;
mod world;
