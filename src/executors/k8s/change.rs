//! Operations that change something: `create`, `apply`, `patch`, `delete`. A refusal by the server is an observation.
use super::{
    body::whole_seconds,
    catalog::ResourceType,
    cluster::Cluster,
    manifest::Manifests,
    output::{RequestKind, output_value, response_output},
    request::{Namespace, note_command, resolve_object, send_recorded, with_query},
    types::{ApplyOptions, DeleteTarget, K8sAction, PatchType, Propagation, Subresource},
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError},
    executors::apiserver::{kubectl, path_segment},
    expr::{Template, Tree},
    value::Value,
};
use http::Method;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The field manager of `apply` if the plan names none.
const DEFAULT_FIELD_MANAGER: &str = "tp-runner";

impl K8sAction {
    pub async fn create(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        manifests: &Manifests,
    ) -> Result<Value, ActionError> {
        let objects = manifests.read(cx).await?;
        self.note_manifest_command(cx, cluster, &["create"], manifests, &objects)?;
        let mut outputs = vec![];
        for manifest in &objects {
            let (resource, namespace) = self.manifest_target(cx, cluster, manifest).await?;
            let path = resource.path(namespace.name(), None);
            let body = Some(("application/json", manifest));
            let response = send_recorded(cx, cluster, &Method::POST, &path, body).await?;
            outputs.push(response_output(response, RequestKind::Create));
            if last_failed(&outputs) {
                break;
            }
        }
        Ok(combined_output(outputs, objects.len()))
    }

    /// Server-side apply.
    pub async fn apply(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        ApplyOptions { manifests, manager, force, subresource }: &ApplyOptions,
    ) -> Result<Value, ActionError> {
        let manager = manager.as_ref().map_or(Ok(DEFAULT_FIELD_MANAGER.to_string()), |t| cx.render_text(t))?;
        let objects = manifests.read(cx).await?;
        let manager_flag = format!("--field-manager={manager}");
        let subresource_flag = subresource.map(|s| format!("--subresource={}", s.keyword()));
        let mut args = vec!["apply", "--server-side", &manager_flag];
        args.extend(force.then_some("--force-conflicts"));
        args.extend(subresource_flag.as_deref());
        self.note_manifest_command(cx, cluster, &args, manifests, &objects)?;
        let mut outputs = vec![];
        for manifest in &objects {
            let (resource, namespace) = self.manifest_target(cx, cluster, manifest).await?;
            let path = resource.path(namespace.name(), Some(&manifest_name(manifest)?));
            let query = [("fieldManager", &*manager), ("force", if *force { "true" } else { "" })];
            let path = with_query(&with_subresource(&path, *subresource), &query);
            // JSON is valid YAML.
            let body = Some(("application/apply-patch+yaml", manifest));
            let response = send_recorded(cx, cluster, &Method::PATCH, &path, body).await?;
            outputs.push(response_output(response, RequestKind::Create));
            if last_failed(&outputs) {
                break;
            }
        }
        Ok(combined_output(outputs, objects.len()))
    }

    pub async fn patch(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        object: &Template,
        (patch_type, patch): (PatchType, &Tree),
        subresource: Option<Subresource>,
    ) -> Result<Value, ActionError> {
        let (resource, name) = resolve_object(cx, cluster, object).await?;
        let patch = cx.render_tree(patch)?.to_json();
        let namespace = self.namespace_of(cx, cluster, &resource)?;
        let (qualified_name, text) = (resource.qualified_name(), patch.to_string());
        let type_flag = format!("--type={}", patch_type.keyword());
        let subresource_flag = subresource.map(|s| format!("--subresource={}", s.keyword()));
        let mut args = vec!["patch", &*qualified_name, &*name, &*type_flag, "-p", &*text];
        args.extend(subresource_flag.as_deref());
        args.extend(namespace.kubectl_flags());
        note_command(cx, cluster, &args);
        let path = with_subresource(&resource.path(namespace.name(), Some(&name)), subresource);
        let body = Some((patch_type.api_name(), &patch));
        let response = send_recorded(cx, cluster, &Method::PATCH, &path, body).await?;
        Ok(response_output(response, RequestKind::Change))
    }

    pub async fn delete(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        target: &DeleteTarget,
        propagation: Propagation,
        grace: Option<&Template>,
    ) -> Result<Value, ActionError> {
        let mut options =
            json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation.api_name() });
        let mut flags = vec!["--wait=false".to_string()];
        if propagation != Propagation::Background {
            flags.push(format!("--cascade={}", propagation.keyword()));
        }
        if let Some(grace) = grace {
            let seconds = whole_seconds(&cx.render_text(grace)?)?;
            options["gracePeriodSeconds"] = seconds.into();
            flags.push(format!("--grace-period={seconds}"));
            // kubectl requires it with a grace period of 0.
            flags.extend((seconds == 0).then(|| "--force".to_string()));
        }
        let flags = flags.iter().map(String::as_str);
        let options = Some(("application/json", &options));
        match target {
            DeleteTarget::Object(object) => {
                let (resource, name) = resolve_object(cx, cluster, object).await?;
                let namespace = self.namespace_of(cx, cluster, &resource)?;
                let qualified_name = resource.qualified_name();
                let mut args = vec!["delete", &*qualified_name, &*name];
                args.extend(flags);
                args.extend(namespace.kubectl_flags());
                note_command(cx, cluster, &args);
                let path = resource.path(namespace.name(), Some(&name));
                let response = send_recorded(cx, cluster, &Method::DELETE, &path, options).await?;
                Ok(response_output(response, RequestKind::Change))
            }
            DeleteTarget::Manifests(manifests) => {
                let objects = manifests.read(cx).await?;
                let args: Vec<&str> = ["delete"].into_iter().chain(flags).collect();
                self.note_manifest_command(cx, cluster, &args, manifests, &objects)?;
                let mut outputs = vec![];
                // In reverse order: later objects may depend on earlier ones.
                for manifest in objects.iter().rev() {
                    let (resource, namespace) = self.manifest_target(cx, cluster, manifest).await?;
                    let path = resource.path(namespace.name(), Some(&manifest_name(manifest)?));
                    let response = send_recorded(cx, cluster, &Method::DELETE, &path, options).await?;
                    outputs.push(response_output(response, RequestKind::Change));
                }
                Ok(combined_deletions(&outputs))
            }
        }
    }

    /// The resource type and the namespace of a manifest.
    async fn manifest_target(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        manifest: &Json,
    ) -> Result<(Arc<ResourceType>, Namespace), ActionError> {
        let text = |key: &str| manifest[key].as_str().unwrap_or_default();
        let resource = cluster.resource_of_kind(text("apiVersion"), text("kind")).await?;
        let namespace = self.namespace_of(cx, cluster, &resource)?;
        let own = manifest["metadata"]["namespace"].as_str();
        match (own, namespace) {
            (Some(own), Namespace::Named(name)) if own != name => {
                if self.namespace.is_some() {
                    let message =
                        format!("the manifest has namespace `{own}`, but the action has `{name}`; remove one");
                    return Err(ActionError::Invalid(message));
                }
                let own = path_segment(own, "a namespace")?;
                Ok((resource, Namespace::Named(own)))
            }
            (_, namespace) => Ok((resource, namespace)),
        }
    }

    fn note_manifest_command(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        args: &[&str],
        manifests: &Manifests,
        objects: &[Json],
    ) -> Result<(), ActionError> {
        let namespace = self.namespace(cx, cluster)?;
        let mut args = args.to_vec();
        // kubectl refuses a namespace that differs from the manifest's.
        if objects.iter().all(|m| m["metadata"]["namespace"].is_null()) {
            args.extend(namespace.kubectl_flags());
        }
        let flags = &cluster.api.kubectl_flags;
        let command = match manifests.path(cx)? {
            Some(path) => {
                let path = path.display().to_string();
                args.extend(["-f", &*path]);
                kubectl::command_line(&args, flags)
            }
            None => kubectl::with_manifests(&args, flags, objects),
        };
        cx.note(EvidenceKind::Reproduce, command);
        Ok(())
    }
}

fn with_subresource(path: &str, subresource: Option<Subresource>) -> String {
    subresource.map_or_else(|| path.to_string(), |s| format!("{path}/{}", s.api_name()))
}

fn manifest_name(manifest: &Json) -> Result<String, ActionError> {
    match manifest["metadata"]["name"].as_str() {
        Some(name) => path_segment(name, "the name of an object"),
        None => {
            let message = format!("missing `metadata.name` in the manifest of kind {}", manifest["kind"]);
            Err(ActionError::Invalid(message))
        }
    }
}

fn last_failed(outputs: &[Value]) -> bool {
    outputs.last().and_then(|v| v.get("error")).is_some_and(|e| *e != Value::Null)
}

/// The output for several objects: whether all succeeded, the resulting objects, and the first refusal.
fn combined_output(mut outputs: Vec<Value>, expected: usize) -> Value {
    if expected == 1 {
        return outputs.pop().unwrap_or_default();
    }
    let field = |v: &Value, key: &str| v.get(key).cloned().unwrap_or_default();
    let objects = outputs.iter().map(|v| field(v, "object")).filter(|o| *o != Value::Null).collect();
    let error = outputs.last().map(|v| field(v, "error")).unwrap_or_default();
    output_value(error == Value::Null, Value::Null, Value::list(objects), error)
}

/// The output for several deletions: whether any object existed, and the first refusal other than 404.
fn combined_deletions(outputs: &[Value]) -> Value {
    let existed = outputs.iter().any(|v| v.get("found") == Some(&Value::Bool(true)));
    let code = |v: &Value| v.get("error").and_then(|e| e.get("code")).and_then(Value::as_i64);
    let refused = outputs.iter().find(|v| code(v).is_some_and(|c| c != 404));
    let error = refused.and_then(|v| v.get("error")).cloned();
    output_value(existed, Value::Null, Value::Null, error.unwrap_or_default())
}
