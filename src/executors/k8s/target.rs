//! What an environment says of a cluster. Knows no verb of the plan.
use super::cluster::Cluster;
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, RunInfo, Target, TargetSpec},
    executors::apiserver::Access,
    expr::Scope,
    yaml::Kind,
};
use async_trait::async_trait;
use std::sync::Arc;

/// `k8s: { kubeconfig: PATH, context: NAME, namespace: NS }`, `k8s: in-cluster`, or `k8s:` with nothing under it, which is the
/// usual search.
pub struct Spec(Access);

impl Spec {
    /// Reads the whole map of a target.
    pub fn compile(body: &mut Body<'_>) -> Option<Spec> {
        if !body.keys(&["k8s"]) {
            return None;
        }
        let Some(node) = body.get("k8s").cloned() else {
            body.missing("k8s");
            return None;
        };
        match &node.kind {
            Kind::Null => return Some(Spec(Access::default())),
            Kind::Str(s) if s == "in-cluster" => return Some(Spec(Access::in_cluster())),
            Kind::Map(_) => {}
            _ => {
                let d = Diagnostic::error("wrong-type", &node.span, "a cluster is a map, or the word `in-cluster`")
                    .help("write `k8s: { kubeconfig: PATH, context: NAME, namespace: NS }`; each may be left out");
                body.problem(d);
                return None;
            }
        }
        let mut body = body.part(&node);
        body.keys(&Access::KEYS).then(|| Spec(Access::read(&mut body)))
    }
}

#[async_trait]
impl TargetSpec for Spec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        Ok(Arc::new(Cluster::new(self.0.open(run, scope).await?)))
    }

    fn address(&self) -> String {
        self.0.address()
    }
}
