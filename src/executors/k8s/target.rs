//! Parses the target's entry in an environment, connects it, and implements `Target` for the open cluster.
use super::{cluster::Cluster, probe};
use crate::{
    executor::{ActionError, Body, Permission, ProbeResult, RunInfo, Target, TargetSpec, limits},
    executors::apiserver::AccessSpec,
    expr::Scope,
    language::{Key, Shape},
    yaml::{Kind, wrong_type},
};
use async_trait::async_trait;
use http::Method;
use std::sync::Arc;

pub const KEYS: &[Key] =
    &[Key::new("k8s", Shape::Either(&[Shape::Keys(&[&AccessSpec::KEYS]), Shape::Word(&["in-cluster"]), Shape::Null]))
        .required()
        .means("the cluster; without settings what kubectl would use")];

/// `k8s: { kubeconfig: PATH, context: NAME, namespace: NS }`, `k8s: in-cluster`, or `k8s:` alone for kubectl's search
/// order.
pub struct ClusterSpec(AccessSpec);

impl ClusterSpec {
    /// Reads the map of a target.
    pub fn compile(body: &mut Body<'_>) -> Option<ClusterSpec> {
        body.only(&[KEYS]).then_some(())?;
        let Some(node) = body.get("k8s") else {
            body.missing("k8s");
            return None;
        };
        match &node.kind {
            Kind::Null => return Some(ClusterSpec(AccessSpec::default())),
            Kind::Str(s) if s == "in-cluster" => return Some(ClusterSpec(AccessSpec::in_cluster())),
            Kind::Map(_) => {}
            _ => {
                let d = wrong_type(node, "a map or `in-cluster`")
                    .help("write `k8s: { kubeconfig: PATH, context: NAME, namespace: NS }`; all keys are optional");
                body.problem(d);
                return None;
            }
        }
        let mut body = body.part(node);
        body.only(&[&AccessSpec::KEYS]).then(|| ClusterSpec(AccessSpec::compile(&mut body, limits::CLUSTER_BYTES)))
    }
}

#[async_trait]
impl TargetSpec for ClusterSpec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        Ok(Arc::new(Cluster::new(self.0.connect(run, scope).await?)))
    }

    fn address(&self, scope: &Scope) -> String {
        self.0.address(scope)
    }
}

#[async_trait]
impl Target for Cluster {
    async fn close(&self) {
        self.stop_watches();
    }

    fn address(&self) -> Option<String> {
        Some(format!("{}, namespace {}", self.api.address.trim_end_matches('/'), self.api.namespace))
    }

    async fn version(&self) -> Option<String> {
        let response = self.api.request(&Method::GET, "/version", None).await.ok()?;
        response.json["gitVersion"].as_str().map(|v| format!("Kubernetes {v}"))
    }

    async fn probe(&self, permissions: &[Permission], _: &Scope) -> Vec<ProbeResult> {
        probe::probe_cluster(self, permissions).await
    }
}
