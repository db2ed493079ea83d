//! An action as the engine sees it, and what all verbs share: where they look, and one request with its evidence. Knows no waiting.
use super::{
    body::{K8sAction, Verb},
    cluster::Cluster,
    kinds::Kind,
    needs,
    next::{self, Cursor},
    output::{FIELDS, note_secrets, shown},
};
use crate::{
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Need, Output, Started},
    executors::apiserver::{Answer, encoded, word},
    expr::{Scope, Template},
    value::Value,
};
use async_trait::async_trait;
use http::Method;
use serde_json::Value as Json;
use std::{sync::Arc, time::Duration};

#[async_trait]
impl Action for K8sAction {
    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn changes(&self) -> bool {
        !matches!(self.verb, Verb::Get { .. } | Verb::List(_) | Verb::Events(_))
    }

    fn needs(&self, known: &Scope) -> Vec<Need> {
        needs::of(self, known)
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let (started, cluster) = (Started::now(), cx.target::<Cluster>()?);
        match &self.verb {
            Verb::Get { of, subresource } => self.get(cx, cluster, of, *subresource, started).await,
            Verb::List(list) => self.list(cx, cluster, list, started).await,
            Verb::Events(of) => self.events(cx, cluster, of.as_ref(), started).await,
            Verb::Create(manifests) => self.create(cx, cluster, manifests, started).await,
            Verb::Apply { manifests, manager, force, subresource } => {
                let how = (manager.as_ref(), *force, *subresource);
                self.apply(cx, cluster, manifests, how, started).await
            }
            Verb::Patch { of, kind, patch, subresource } => {
                self.patch(cx, cluster, of, (*kind, patch), *subresource, started).await
            }
            Verb::Delete { what, propagation, grace } => {
                self.delete(cx, cluster, what, (*propagation, grace.as_ref()), started).await
            }
        }
    }

    async fn next(&self, cx: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        match last.cursor::<Cursor>() {
            Some(cursor) => next::after(self, cx, last, cursor, pace).await,
            None => {
                tokio::time::sleep(pace).await;
                self.perform(cx).await
            }
        }
    }
}

/// Where an action looks.
pub struct Place {
    /// Empty where the resource has no namespaces, and for all of them.
    pub namespace: String,
    /// As kubectl takes it.
    pub resource: String,
    everywhere: bool,
}

impl Place {
    pub fn flags(&self) -> Vec<&str> {
        match (self.everywhere, self.namespace.as_str()) {
            (true, _) => vec!["-A"],
            (false, "") => vec![],
            (false, namespace) => vec!["-n", namespace],
        }
    }
}

impl K8sAction {
    /// The namespace that the action says, or that of the target. `*` for all is taken where many are looked at.
    pub fn namespace(&self, cx: &ActionContext<'_>, cluster: &Cluster) -> Result<String, ActionError> {
        let said = self.namespace.as_ref().map(|t| cx.render_text(t)).transpose()?;
        let many = matches!(self.verb, Verb::List(_) | Verb::Events(None));
        match said.as_deref().unwrap_or(&cluster.api.namespace) {
            "*" if many => Ok("*".into()),
            one => word(one, "a namespace"),
        }
    }

    /// `own` is the namespace that a manifest names itself.
    pub fn place(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        kind: &Kind,
        own: Option<&str>,
    ) -> Result<Place, ActionError> {
        let resource = kind.resource();
        if !kind.namespaced {
            return Ok(Place { namespace: String::new(), resource, everywhere: false });
        }
        let said = self.namespace(cx, cluster)?;
        let namespace = match own {
            Some(own) if self.namespace.is_some() && own != said => {
                return Err(ActionError::Invalid(format!("the manifest says namespace `{own}`, the action `{said}`")));
            }
            Some(own) => word(own, "a namespace")?,
            None => said,
        };
        let everywhere = namespace == "*";
        Ok(Place { namespace: if everywhere { String::new() } else { namespace }, resource, everywhere })
    }
}

/// Sends, and keeps both sides as evidence.
pub async fn ask(
    cx: &ActionContext<'_>,
    cluster: &Cluster,
    method: &Method,
    path: &str,
    body: Option<(&str, &Json)>,
) -> Result<Answer, ActionError> {
    if let Some((_, json)) = body.filter(|(_, j)| j["kind"] == "Secret") {
        note_secrets(cx, std::iter::once(&Value::from(json.clone())));
    }
    let sent = body.map(|(kind, json)| format!("\ncontent-type: {kind}\n\n{}", shown(json))).unwrap_or_default();
    cx.note(EvidenceKind::Request, format!("{method} {path}{sent}"));
    cx.mark_sent();
    let answer = cluster.api.ask(method, path, body).await;
    match &answer {
        Ok(a) => {
            if a.json["kind"] == "Secret" {
                note_secrets(cx, std::iter::once(&Value::from(a.json.clone())));
            }
            cx.note(EvidenceKind::Response, format!("{}\n{}", a.code, shown(&a.json)));
        }
        // The path is not served any more: the next look asks what is.
        Err(ActionError::Invalid(_)) => cluster.forget().await,
        Err(_) => {}
    }
    answer
}

/// `plural.group/name`, rendered and looked up.
pub async fn named(
    cx: &ActionContext<'_>,
    cluster: &Cluster,
    t: &Template,
) -> Result<(Arc<Kind>, String), ActionError> {
    let text = cx.render_text(t)?;
    let Some((what, name)) = text.split_once('/') else {
        return Err(ActionError::Invalid(format!("`{text}` names no object; write `plural.group/name`")));
    };
    let name = word(name, "the name of an object")?;
    let kind = cluster.find(|c| c.find(what), |c| c.unknown(what)).await?;
    Ok((kind, name))
}

/// Those of the parameters that are not empty.
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let filled = parameters.iter().filter(|(_, v)| !v.is_empty());
    let query: Vec<String> = filled.map(|(k, v)| format!("{k}={}", encoded(v))).collect();
    if query.is_empty() { path.to_string() } else { format!("{path}?{}", query.join("&")) }
}
