//! The verbs, one folder each. An executor must not import the engine, reports or another executor; `apiserver` is the
//! cluster access that `k8s` and `logs` share.
mod apiserver;
pub mod child_environment;
mod clock;
pub mod db;
mod error_chain;
pub mod exec;
pub mod http;
pub mod k8s;
pub mod logs;
pub mod net;
pub mod process_group;
mod processing;
mod received_secrets;
#[cfg(test)]
mod tests;
pub mod webhook;

use crate::executor::Registry;

/// Every verb of the runner.
#[rustfmt::skip] // one line each
pub fn registry() -> Registry {
    Registry::default()
        .with(http::Http)
        .with(k8s::K8s)
        .with(db::Db)
        .with(webhook::Webhook)
        .with(logs::Logs)
        .with(exec::Exec)
}
