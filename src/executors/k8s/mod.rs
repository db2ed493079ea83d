//! The verb `k8s`: objects of a Kubernetes cluster, looked at and changed through its API, and waited for by watch.
//!
//! | File | Owns |
//! |---|---|
//! | `body` | what a plan may write under the verb |
//! | `manifest` | manifests, in the plan or in a file |
//! | `target` | what an environment may write |
//! | `cluster` | the open target: what is served, and the watches |
//! | `kinds` | which resources the cluster serves, and how plans may call them |
//! | `act` | an action as the engine sees it; where verbs look, and one request with its evidence |
//! | `look`, `change` | performing each verb |
//! | `output` | what an output looks like |
//! | `next` | the next look after a look, losing nothing |
//! | `watch` | one watch for all who wait on a resource, with its history |
//! | `needs`, `probe` | what an action will do, and whether it may |
//! | `selector` | label selectors |
//!
//! Knows no other verb, and neither the engine nor reports.
mod act;
mod body;
mod change;
mod cluster;
mod kinds;
mod look;
mod manifest;
mod needs;
mod next;
mod output;
mod probe;
mod selector;
mod target;
mod watch;

use crate::executor::{Action, Body, Executor, TargetSpec};

pub struct K8s;

impl Executor for K8s {
    fn verb(&self) -> &'static str {
        "k8s"
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/k8s.md")
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(body::compile(body)?))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(target::Spec::compile(body)?))
    }
}
