//! What an environment says of a cluster, and the way from there to a client. Knows no verb of the plan.
use super::cluster::Cluster;
use crate::{
    diagnostic::Diagnostic,
    executor::{Body, RunContext, StepError, Target, TargetSpec},
    expr::{Scope, Template},
    yaml::Kind,
};
use async_trait::async_trait;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// `k8s: { kubeconfig: PATH, context: NAME, namespace: NS }`, `k8s: in-cluster`, or `k8s:` with nothing under it, which is the
/// usual search: `KUBECONFIG`, `~/.kube/config`, the pod's service account.
#[derive(Default)]
pub struct Spec {
    kubeconfig: Option<Template>,
    context: Option<Template>,
    namespace: Option<Template>,
    in_cluster: bool,
}

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
            Kind::Null => return Some(Spec::default()),
            Kind::Str(s) if s == "in-cluster" => return Some(Spec { in_cluster: true, ..Spec::default() }),
            Kind::Map(_) => {}
            _ => {
                let d = Diagnostic::error("wrong-type", &node.span, "a cluster is a map, or the word `in-cluster`")
                    .help("write `k8s: { kubeconfig: PATH, context: NAME, namespace: NS }`; each may be left out");
                body.problem(d);
                return None;
            }
        }
        let mut body = body.part(&node);
        body.keys(&["kubeconfig", "context", "namespace"]).then_some(())?;
        Some(Spec {
            kubeconfig: body.template("kubeconfig"),
            context: body.template("context"),
            namespace: body.template("namespace"),
            in_cluster: false,
        })
    }
}

#[async_trait]
impl TargetSpec for Spec {
    async fn connect(&self, run: &RunContext, scope: &Scope) -> Result<Arc<dyn Target>, StepError> {
        let text = |t: &Option<Template>| t.as_ref().map(|t| t.render_text(scope)).transpose();
        let (context, namespace) = (text(&self.context)?, text(&self.namespace)?);
        let path = text(&self.kubeconfig)?.map(|p| run.dir.join(expanded(&p)));
        let unusable =
            |e: &dyn std::error::Error| StepError::Unreachable(format!("no way to the cluster: {}", chain(e)));
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let mut config = match &path {
            _ if self.in_cluster => Config::incluster().map_err(|e| unusable(&e))?,
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|e| {
                    StepError::Unreachable(format!("cannot read the kubeconfig `{}`: {}", path.display(), chain(&e)))
                })?;
                Config::from_custom_kubeconfig(file, &options).await.map_err(|e| unusable(&e))?
            }
            None if context.is_some() => Config::from_kubeconfig(&options).await.map_err(|e| unusable(&e))?,
            None => Config::infer().await.map_err(|e| {
                let why = chain(&e);
                StepError::Unreachable(format!("no kubeconfig was found, and this is no pod of a cluster: {why}"))
            })?,
        };
        // A retry would hide an answer of the product's; the engine sets deadlines and looks again.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(10));
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let address = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|e| unusable(&e))?;
        let mut flags = vec![];
        if let Some(path) = &path {
            flags.extend(["--kubeconfig".to_string(), path.display().to_string()]);
        }
        if let Some(context) = context {
            flags.extend(["--context".to_string(), context]);
        }
        Ok(Arc::new(Cluster::new(client, namespace, without_token(&address), flags)))
    }

    fn address(&self) -> String {
        let part = |t: &Option<Template>, what: &str| t.as_ref().map(|t| format!("{what} {}", t.source()));
        let parts =
            [part(&self.kubeconfig, "kubeconfig"), part(&self.context, "context"), part(&self.namespace, "namespace")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match (self.in_cluster, parts.is_empty()) {
            (true, _) => "the cluster that the runner is in".into(),
            (_, true) => "the current context of kubectl".into(),
            _ => parts.join(", "),
        }
    }
}

fn expanded(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().map_or_else(|| PathBuf::from(path), |home| home.join(rest)),
        None => PathBuf::from(path),
    }
}

/// A server's address may carry credentials in its path or user part; people are shown scheme, host and port.
fn without_token(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{}", host.rsplit('@').next().unwrap_or_default())
}

/// An error with its causes, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut said: Vec<String> = vec![];
    let mut at = Some(error);
    while let Some(e) = at {
        let text = e.to_string();
        // Many errors repeat their cause in their own sentence: only the innermost is kept then.
        said.retain(|s| !s.contains(&text) || s.len() == text.len());
        if !said.contains(&text) {
            said.push(text);
        }
        at = e.source();
    }
    said.join(": ")
}
