//! The world, one folder a verb. An executor imports neither the engine nor the reports, nor another executor.
use crate::executor::Registry;

pub mod db;
pub mod exec;
pub mod http;
pub mod k8s;
pub mod logs;
#[cfg(test)]
mod stage;
pub mod webhook;

/// Every verb of the runner.
#[rustfmt::skip] // one line each
pub fn registry() -> Registry {
    Registry::default()
        .with(db::Db)
        .with(exec::Exec)
        .with(http::Http)
        .with(k8s::K8s)
        .with(logs::Logs)
        .with(webhook::Webhook)
}
