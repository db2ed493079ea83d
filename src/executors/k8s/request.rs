//! Shared by all operations: namespaces, object references, and requests with their evidence.
use super::{
    catalog::ResourceType,
    cluster::Cluster,
    output::{mask_secrets, pretty_json},
    types::{K8sAction, Operation},
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Started},
    executors::apiserver::{Response, kubectl, path_segment, percent_encoded},
    value::Value,
};
use http::Method;
use serde_json::Value as Json;
use std::sync::Arc;

/// An action under way.
pub struct Call<'a> {
    pub action: &'a K8sAction,
    pub cx: &'a ActionContext<'a>,
    pub cluster: &'a Cluster,
    pub started: Started,
}

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

impl Call<'_> {
    /// The namespace of the action, or else of the target. `*` is accepted where several objects are read.
    pub fn namespace(&self) -> Result<Namespace, ActionError> {
        let own = self.action.namespace.as_ref().map(|t| self.cx.render_text(t)).transpose()?;
        let accepts_all = matches!(self.action.operation, Operation::List(_) | Operation::Events(None));
        match own.as_deref().unwrap_or(&self.cluster.api.namespace) {
            "*" if accepts_all => Ok(Namespace::All),
            name => path_segment(name, "a namespace").map(Namespace::Named),
        }
    }

    /// The namespace for a resource type.
    pub fn namespace_of(&self, resource: &ResourceType) -> Result<Namespace, ActionError> {
        if resource.namespaced { self.namespace() } else { Ok(Namespace::NotNamespaced) }
    }

    /// Refuses to conclude from an empty result in a namespace that does not exist: its name may be misspelled.
    pub async fn check_absence(&self, output: Value, namespace: &Namespace) -> Result<Value, ActionError> {
        if let Namespace::Named(name) = namespace
            && output.get("found") == Some(&Value::Bool(false))
            && !self.cluster.has_namespace(name).await?
        {
            let message = format!("the namespace `{name}` does not exist: that nothing was found in it proves nothing");
            return Err(ActionError::Invalid(message));
        }
        Ok(output)
    }

    /// Sends a request, and records request and response as evidence.
    pub async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&str, &Json)>,
    ) -> Result<Response, ActionError> {
        let sent = body.map(|(content_type, json)| {
            self.mask(json);
            format!("\ncontent-type: {content_type}\n\n{}", pretty_json(json))
        });
        self.cx.note(EvidenceKind::Request, format!("{method} {path}{}", sent.unwrap_or_default()));
        self.cx.mark_sent();
        let response = self.cluster.api.request(method, path, body).await;
        self.record(response).await
    }

    /// Like [`Call::send`], for a list that may be longer than the limit.
    pub async fn get_list_json(&self, path: &str) -> Result<Response, ActionError> {
        self.cx.note(EvidenceKind::Request, format!("GET {path}"));
        self.cx.mark_sent();
        let response = self.cluster.api.list(path).await;
        self.record(response).await
    }

    fn mask(&self, json: &Json) {
        if json["kind"] == "Secret" {
            mask_secrets(self.cx, std::iter::once(&Value::from(json.clone())));
        }
    }

    /// Records a response as evidence.
    async fn record(&self, response: Result<Response, ActionError>) -> Result<Response, ActionError> {
        match &response {
            Ok(r) => {
                self.mask(&r.json);
                // what succeeded is the output
                if !(200..300).contains(&r.status) {
                    self.cx.note(EvidenceKind::Response, format!("{}\n{}", r.status, pretty_json(&r.json)));
                }
            }
            // The path is no longer served: the next attempt discovers again.
            Err(ActionError::Invalid(_)) => self.cluster.forget_catalog().await,
            Err(_) => {}
        }
        response
    }

    pub async fn get_json(&self, path: &str) -> Result<Response, ActionError> {
        self.send(&Method::GET, path, None).await
    }

    /// Records the kubectl command that reproduces the action.
    pub fn note_command(&self, args: &[&str]) -> String {
        let command = kubectl::command_line(args, &self.cluster.api.kubectl_flags);
        self.cx.note(EvidenceKind::Reproduce, &command);
        command
    }

    /// The resource type and the name in `plural.group/name`.
    pub async fn resolve_object(&self, text: &str) -> Result<(Arc<ResourceType>, String), ActionError> {
        let Some((resource, name)) = text.split_once('/') else {
            return Err(ActionError::Invalid(format!("expected an object as `plural.group/name`, found `{text}`")));
        };
        let name = path_segment(name, "the name of an object")?;
        Ok((self.cluster.resource(resource).await?, name))
    }
}

/// Appends the parameters that are not empty.
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let given = parameters.iter().filter(|(_, v)| !v.is_empty());
    let query: Vec<String> = given.map(|(k, v)| format!("{k}={}", percent_encoded(v))).collect();
    if query.is_empty() { path.to_string() } else { format!("{path}?{}", query.join("&")) }
}

/// Appends the subresource to a resource or a path.
pub fn with_subresource(path: &str, subresource: Option<&str>) -> String {
    subresource.map_or_else(|| path.to_string(), |s| format!("{path}/{s}"))
}

pub fn subresource_flag(subresource: Option<&str>) -> Option<String> {
    subresource.map(|s| format!("--subresource={s}"))
}
