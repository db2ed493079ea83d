//! Reads plans and environment files into `Plan` and `Environments`: every part keeps its span, every problem is
//! collected. Knows no executor, so the body of a verb stays a YAML tree.
mod actions;
pub mod environment;
pub mod markdown;
pub mod model;
pub mod performed;
mod prove;
pub mod read;
mod reader;
mod relay;
mod schemas;
mod variables;

pub use self::{
    environment::{Environment, Environments, FaultSpec, KnownFailure, RunsSetting, SecretSource, VersionSource},
    model::*,
    reader::{FileLoader, Reader, is_name},
    relay::{RelayFault, RelayPlace},
    variables::unset_variables,
};
