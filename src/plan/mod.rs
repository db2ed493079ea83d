//! From text to a `Plan` and an `Environments`: what a person wrote, with every place kept and every problem gathered. Pure; knows
//! no verb, so what stands under one stays a tree.
pub mod environment;
pub mod markdown;
pub mod model;
pub mod prove;
pub mod read;

pub use environment::{Environment, Environments, FaultSpec, KnownFailure, RelayFault, SecretSource};
pub use model::*;
pub use prove::{Breaks, Prove};
