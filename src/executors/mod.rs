//! The world, one folder a verb. An executor imports neither the engine nor the reports, nor another executor.
pub mod db;
pub mod k8s;

use crate::executor::Registry;

pub mod exec;
pub mod http;
pub mod logs;
#[cfg(test)]
mod stage;
pub mod webhook;

/// Every verb of the runner.
#[rustfmt::skip] // one line each
pub fn registry() -> Registry {
    Registry::default()
        .with(exec::Exec)
        .with(http::Http)
        .with(logs::Logs)
        .with(webhook::Webhook)
        .with(k8s::K8s)
        .with(db::Db)
}
