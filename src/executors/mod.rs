//! The world, one folder a verb. An executor imports neither the engine nor the reports, nor another executor.
use crate::executor::Registry;

pub mod http;
#[cfg(test)]
mod stage;

/// Every verb of the runner.
pub fn registry() -> Registry {
    Registry::default()
        .with(http::Http)
    //
}
