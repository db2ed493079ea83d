//! The verb `k8s`: reads and changes objects of a Kubernetes cluster through its API, and waits for changes by watch.
//!
//! | File | Owns |
//! |---|---|
//! | `types` | an action as data |
//! | `body` | parses and checks the YAML body of an action |
//! | `manifest` | manifests, in the plan or in a file |
//! | `target` | the target's entry in an environment; implements `Target` |
//! | `cluster` | the open target: client, catalog, shared watches |
//! | `catalog` | the resource types of the cluster, and their names in plans |
//! | `action` | implements `Action`: dispatches to an operation |
//! | `request` | an action under way: namespaces, object references, requests with their evidence |
//! | `read`, `change` | the operations |
//! | `output` | output values |
//! | `objects`, `selector` | objects by name, and which of them an action reads |
//! | `cursor` | the next observation, without losing a state in between |
//! | `watch` | a shared watch with its history |
//! | `needs`, `probe` | the permissions an action needs, and whether they are granted |
//!
//! Must not import another verb, the engine or reports.
mod action;
mod body;
mod catalog;
mod change;
mod cluster;
mod cursor;
mod manifest;
mod objects;
mod output;
mod permissions;
mod probe;
mod read;
mod request;
mod selector;
mod target;
mod types;
mod watch;

use crate::{
    executor::{Action, Body, Executor, TargetSpec},
    language::Key,
    value::ValueKind,
};

pub struct K8s;

impl Executor for K8s {
    fn verb(&self) -> &'static str {
        "k8s"
    }

    fn fields(&self) -> &'static [&'static str] {
        output::FIELDS
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/k8s.md")
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[body::KEYS]
    }

    fn target_keys(&self) -> &'static [&'static [Key]] {
        &[target::KEYS]
    }

    fn kind_of(&self, field: &str) -> Option<ValueKind> {
        Some(match field {
            "found" => ValueKind::Bool,
            _ => return None,
        })
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(body::compile(body)?))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(target::ClusterSpec::compile(body)?))
    }
}
