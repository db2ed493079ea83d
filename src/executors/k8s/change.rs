//! Verbs that change something: `create`, `apply`, `patch`, `delete`. What the server refuses is an observation.
use super::{
    act::{ask, named, with_query},
    body::{Doomed, K8sAction, PatchKind, Propagation, Subresource, seconds},
    cluster::Cluster,
    kinds::Kind,
    manifest::Manifests,
    output::{Asked, one, output},
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Output, Started},
    executors::apiserver::{kubectl, word},
    expr::{Template, Tree},
    value::Value,
};
use http::Method;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Who is named as the owner of applied fields where the plan does not say.
const MANAGER: &str = "tp-runner";

impl K8sAction {
    pub async fn create(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        manifests: &Manifests,
        started: Started,
    ) -> Result<Output, ActionError> {
        let all = manifests.read(cx).await?;
        self.by_hand(cx, cluster, &["create"], manifests, &all)?;
        let mut made = vec![];
        for manifest in &all {
            let (kind, namespace) = self.of_manifest(cx, cluster, manifest).await?;
            let path = kind.path(&namespace, None);
            let answer = ask(cx, cluster, &Method::POST, &path, Some(("application/json", manifest))).await?;
            made.push(one(answer, Asked::Create));
            if refused(&made) {
                break;
            }
        }
        Ok(Output::new(together(made, all.len()), started))
    }

    /// Server-side.
    pub async fn apply(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        manifests: &Manifests,
        (manager, force, part): (Option<&Template>, bool, Option<Subresource>),
        started: Started,
    ) -> Result<Output, ActionError> {
        let manager = manager.map_or(Ok(MANAGER.to_string()), |t| cx.render_text(t))?;
        let all = manifests.read(cx).await?;
        let (named, flag) = (format!("--field-manager={manager}"), part.map(|s| format!("--subresource={}", s.word())));
        let mut words = vec!["apply", "--server-side", &named];
        words.extend(force.then_some("--force-conflicts"));
        words.extend(flag.as_deref());
        self.by_hand(cx, cluster, &words, manifests, &all)?;
        let mut made = vec![];
        for manifest in &all {
            let (kind, namespace) = self.of_manifest(cx, cluster, manifest).await?;
            let path = part_of(&kind.path(&namespace, Some(&name_of(manifest)?)), part);
            let path = with_query(&path, &[("fieldManager", &manager), ("force", if force { "true" } else { "" })]);
            // JSON is YAML.
            let body = Some(("application/apply-patch+yaml", manifest));
            made.push(one(ask(cx, cluster, &Method::PATCH, &path, body).await?, Asked::Create));
            if refused(&made) {
                break;
            }
        }
        Ok(Output::new(together(made, all.len()), started))
    }

    pub async fn patch(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        of: &Template,
        (how, patch): (PatchKind, &Tree),
        part: Option<Subresource>,
        started: Started,
    ) -> Result<Output, ActionError> {
        let (kind, name) = named(cx, cluster, of).await?;
        let patch = cx.render_tree(patch)?.to_json();
        let place = self.place(cx, cluster, &kind, None)?;
        let (text, flag) = (patch.to_string(), part.map(|s| format!("--subresource={}", s.word())));
        let how_flag = format!("--type={}", how.word());
        let mut words = vec!["patch", &*place.resource, &*name, &*how_flag, "-p", &*text];
        words.extend(flag.as_deref());
        words.extend(place.flags());
        cx.note(EvidenceKind::Reproduce, kubectl::line(&words, &cluster.api.flags));
        let path = part_of(&kind.path(&place.namespace, Some(&name)), part);
        let answer = ask(cx, cluster, &Method::PATCH, &path, Some((how.api(), &patch))).await?;
        Ok(Output::new(one(answer, Asked::Change), started))
    }

    pub async fn delete(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        what: &Doomed,
        (propagation, grace): (Propagation, Option<&Template>),
        started: Started,
    ) -> Result<Output, ActionError> {
        let mut options =
            json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation.api() });
        let mut flags = vec!["--wait=false".to_string()];
        if propagation != Propagation::Background {
            flags.push(format!("--cascade={}", propagation.word()));
        }
        if let Some(grace) = grace {
            let given = seconds(&cx.render_text(grace)?).map_err(ActionError::Invalid)?;
            options["gracePeriodSeconds"] = given.into();
            flags.push(format!("--grace-period={given}"));
            // kubectl asks for this beside a grace of nothing.
            flags.extend((given == 0).then(|| "--force".to_string()));
        }
        let flags = flags.iter().map(String::as_str);
        let options = Some(("application/json", &options));
        match what {
            Doomed::Object(of) => {
                let (kind, name) = named(cx, cluster, of).await?;
                let place = self.place(cx, cluster, &kind, None)?;
                let mut words = vec!["delete", &*place.resource, &*name];
                words.extend(flags);
                words.extend(place.flags());
                cx.note(EvidenceKind::Reproduce, kubectl::line(&words, &cluster.api.flags));
                let path = kind.path(&place.namespace, Some(&name));
                let answer = ask(cx, cluster, &Method::DELETE, &path, options).await?;
                Ok(Output::new(one(answer, Asked::Change), started))
            }
            Doomed::Manifests(manifests) => {
                let all = manifests.read(cx).await?;
                let words: Vec<&str> = ["delete"].into_iter().chain(flags).collect();
                self.by_hand(cx, cluster, &words, manifests, &all)?;
                let mut gone = vec![];
                // What was made last may stand on what was made first.
                for manifest in all.iter().rev() {
                    let (kind, namespace) = self.of_manifest(cx, cluster, manifest).await?;
                    let path = kind.path(&namespace, Some(&name_of(manifest)?));
                    gone.push(one(ask(cx, cluster, &Method::DELETE, &path, options).await?, Asked::Change));
                }
                Ok(Output::new(all_gone(gone), started))
            }
        }
    }

    async fn of_manifest(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        manifest: &Json,
    ) -> Result<(Arc<Kind>, String), ActionError> {
        let text = |key: &str| manifest[key].as_str().unwrap_or_default().to_string();
        let (api, what) = (text("apiVersion"), text("kind"));
        let kind = cluster.find(|c| c.of_manifest(&api, &what), |c| c.unknown_manifest(&api, &what)).await?;
        let own = manifest["metadata"]["namespace"].as_str();
        let namespace = self.place(cx, cluster, &kind, own)?.namespace;
        Ok((kind, namespace))
    }

    fn by_hand(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        words: &[&str],
        manifests: &Manifests,
        all: &[Json],
    ) -> Result<(), ActionError> {
        let namespace = self.namespace(cx, cluster)?;
        let mut words = words.to_vec();
        // kubectl refuses another namespace than that of the manifest.
        if all.iter().all(|m| m["metadata"]["namespace"].is_null()) {
            words.extend(["-n", &*namespace]);
        }
        let line = match manifests.path(cx)? {
            Some(path) => {
                let path = path.display().to_string();
                words.extend(["-f", &*path]);
                kubectl::line(&words, &cluster.api.flags)
            }
            None => kubectl::with_manifests(&words, &cluster.api.flags, all),
        };
        cx.note(EvidenceKind::Reproduce, line);
        Ok(())
    }
}

fn part_of(path: &str, part: Option<Subresource>) -> String {
    part.map_or_else(|| path.to_string(), |s| format!("{path}/{}", s.api()))
}

fn name_of(manifest: &Json) -> Result<String, ActionError> {
    match manifest["metadata"]["name"].as_str() {
        Some(name) => word(name, "the name of an object"),
        None => Err(ActionError::Invalid(format!("the manifest of a `{}` lacks `metadata.name`", manifest["kind"]))),
    }
}

fn refused(made: &[Value]) -> bool {
    made.last().and_then(|v| v.get("error")).is_some_and(|e| *e != Value::Null)
}

/// One outcome stands for itself. Of several: whether all were done, what was made, and the refusal that ended it.
fn together(mut made: Vec<Value>, wanted: usize) -> Value {
    if wanted == 1 {
        return made.pop().unwrap_or_default();
    }
    let part = |v: &Value, key: &str| v.get(key).cloned().unwrap_or_default();
    let objects = made.iter().map(|v| part(v, "object")).filter(|o| *o != Value::Null).collect();
    let error = made.last().map(|v| part(v, "error")).unwrap_or_default();
    output(error == Value::Null, Value::Null, Value::list(objects), error)
}

/// Of several deletions: whether any was there, and the first refusal that is not that it was gone already.
fn all_gone(gone: Vec<Value>) -> Value {
    let there = gone.iter().any(|v| v.get("found") == Some(&Value::Bool(true)));
    let code = |v: &Value| v.get("error").and_then(|e| e.get("code")).and_then(Value::as_i64);
    let error = gone.iter().find(|v| code(v).is_some_and(|c| c != 404)).and_then(|v| v.get("error")).cloned();
    output(there, Value::Null, Value::Null, error.unwrap_or_default())
}
