//! The verb `k8s`: objects of a Kubernetes cluster, looked at and changed through its API, and waited for by watch.
//!
//! | File | Owns |
//! |---|---|
//! | `body` | what a plan may write under the verb |
//! | `target` | what an environment may write; from a kubeconfig to a client |
//! | `cluster` | the open target: requests, answers, and which of them are no answer at all |
//! | `kinds` | which resources the cluster serves, and how plans may call them |
//! | `act` | performing each verb, and what an output looks like |
//! | `next` | the next look after a look, losing nothing |
//! | `watch` | one watch for all who wait on a resource, with its history |
//! | `selector` | label selectors |
//! | `kubectl` | the line that does the same by hand |
//!
//! Knows no other verb, and neither the engine nor reports.
mod act;
mod body;
mod cluster;
mod kinds;
mod kubectl;
mod next;
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
        include_str!("manual.md")
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(body::compile(body)?))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(target::Spec::compile(body)?))
    }
}
