//! Tests the verbs `k8s` and `logs` over sockets. The same tests run against the embedded Kubernetes API and a real one
//! (`TP_TEST_KUBECONFIG`).
#![cfg(feature = "sandbox")]
mod access;
mod bodies;
mod changes;
mod job;
mod logs;
mod operations;
mod pages;
mod permissions;
mod test_cluster;
mod watching;
