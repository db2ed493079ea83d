//! The world, one folder a verb. An executor imports neither the engine nor the reports, nor another executor.
pub mod db;
pub mod k8s;

use crate::executor::Registry;

/// Every verb of the runner.
pub fn registry() -> Registry {
    Registry::default().with(k8s::K8s).with(db::Db)
}
