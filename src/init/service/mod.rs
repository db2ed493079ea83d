//! Plans for systems without an OpenAPI document, from what was observed of them.
mod database;
mod http;
mod kubernetes;
mod pattern;

pub use self::{
    database::{DatabaseKind, DatabaseObservation, Table, database},
    http::{HttpObservation, PROBES, UNKNOWN_PATH, http},
    kubernetes::{KubernetesObject, KubernetesObservation, kubernetes},
    pattern::pattern,
};
