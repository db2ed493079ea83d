//! Shared by all operations: namespaces, object references, and requests with their evidence.
use super::{
    catalog::ResourceType,
    cluster::Cluster,
    output::{mask_secrets, pretty_json},
    types::{K8sAction, Operation},
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError},
    executors::apiserver::{Response, kubectl, path_segment, percent_encoded},
    expr::Template,
    value::Value,
};
use http::Method;
use serde_json::Value as Json;
use std::sync::Arc;

/// The namespace of a request.
pub enum Namespace {
    /// The resource has no namespaces.
    NotNamespaced,
    All,
    Named(String),
}

impl Namespace {
    /// For `ResourceType::path`.
    pub fn name(&self) -> Option<&str> {
        match self {
            Namespace::Named(name) => Some(name),
            Namespace::NotNamespaced | Namespace::All => None,
        }
    }

    pub fn kubectl_flags(&self) -> Vec<&str> {
        match self {
            Namespace::NotNamespaced => vec![],
            Namespace::All => vec!["-A"],
            Namespace::Named(name) => vec!["-n", name],
        }
    }
}

impl K8sAction {
    /// The namespace of the action, or else of the target. `*` is accepted where several objects are read.
    pub fn namespace(&self, cx: &ActionContext<'_>, cluster: &Cluster) -> Result<Namespace, ActionError> {
        let own = self.namespace.as_ref().map(|t| cx.render_text(t)).transpose()?;
        let accepts_all = matches!(self.operation, Operation::List(_) | Operation::Events(None));
        match own.as_deref().unwrap_or(&cluster.api.namespace) {
            "*" if accepts_all => Ok(Namespace::All),
            name => path_segment(name, "a namespace").map(Namespace::Named),
        }
    }

    /// The namespace for a resource type.
    pub fn namespace_of(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        resource: &ResourceType,
    ) -> Result<Namespace, ActionError> {
        if resource.namespaced { self.namespace(cx, cluster) } else { Ok(Namespace::NotNamespaced) }
    }
}

/// Sends a request, and records request and response as evidence.
pub async fn send_recorded(
    cx: &ActionContext<'_>,
    cluster: &Cluster,
    method: &Method,
    path: &str,
    body: Option<(&str, &Json)>,
) -> Result<Response, ActionError> {
    if let Some((_, json)) = body.filter(|(_, j)| j["kind"] == "Secret") {
        mask_secrets(cx, std::iter::once(&Value::from(json.clone())));
    }
    let sent = body.map(|(content_type, json)| format!("\ncontent-type: {content_type}\n\n{}", pretty_json(json)));
    cx.note(EvidenceKind::Request, format!("{method} {path}{}", sent.unwrap_or_default()));
    cx.mark_sent();
    let response = cluster.api.request(method, path, body).await;
    match &response {
        Ok(r) => {
            if r.json["kind"] == "Secret" {
                mask_secrets(cx, std::iter::once(&Value::from(r.json.clone())));
            }
            cx.note(EvidenceKind::Response, format!("{}\n{}", r.status, pretty_json(&r.json)));
        }
        // The path is no longer served: the next attempt discovers again.
        Err(ActionError::Invalid(_)) => cluster.forget_catalog().await,
        Err(_) => {}
    }
    response
}

/// Records the kubectl command that reproduces the action.
pub fn note_command(cx: &ActionContext<'_>, cluster: &Cluster, args: &[&str]) -> String {
    let command = kubectl::command_line(args, &cluster.api.kubectl_flags);
    cx.note(EvidenceKind::Reproduce, &command);
    command
}

/// Renders `plural.group/name`; returns the resource type and the name.
pub async fn resolve_object(
    cx: &ActionContext<'_>,
    cluster: &Cluster,
    object: &Template,
) -> Result<(Arc<ResourceType>, String), ActionError> {
    let text = cx.render_text(object)?;
    let Some((resource, name)) = text.split_once('/') else {
        return Err(ActionError::Invalid(format!("expected an object as `plural.group/name`, found `{text}`")));
    };
    let name = path_segment(name, "the name of an object")?;
    Ok((cluster.resource(resource).await?, name))
}

/// Appends the parameters that are not empty.
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let given = parameters.iter().filter(|(_, v)| !v.is_empty());
    let query: Vec<String> = given.map(|(k, v)| format!("{k}={}", percent_encoded(v))).collect();
    if query.is_empty() { path.to_string() } else { format!("{path}?{}", query.join("&")) }
}
