//! Operations that change something: `create`, `apply`, `patch`, `delete`. A refusal by the server is an observation.
use super::{
    body::whole_seconds,
    catalog::ResourceType,
    manifest::{Manifests, RenderedManifests},
    output::{RequestKind, output_value, response_output},
    request::{Call, Namespace, subresource_flag, with_query, with_subresource},
    types::{DeleteTarget, Keyword, PROPAGATIONS},
};
use crate::{
    event::EvidenceKind,
    executor::ActionError,
    executors::apiserver::{kubectl, path_segment},
    expr::{Template, Tree},
    value::Value,
};
use http::Method;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The field manager of `apply` if the plan names none.
const DEFAULT_FIELD_MANAGER: &str = "tp-runner";

impl Call<'_> {
    pub async fn create(&self, manifests: &Manifests) -> Result<Value, ActionError> {
        let manifests = manifests.render(self.cx).await?;
        self.note_manifest_command(&["create"], &manifests)?;
        let path = |resource: &ResourceType, namespace: &Namespace, _: &Json| Ok(resource.path(namespace.name(), None));
        self.send_each(&manifests.objects, &Method::POST, "application/json", path).await
    }

    /// Server-side apply.
    pub async fn apply(
        &self,
        manifests: &Manifests,
        manager: Option<&Template>,
        force: bool,
        subresource: Option<&str>,
    ) -> Result<Value, ActionError> {
        let manager = manager.map_or(Ok(DEFAULT_FIELD_MANAGER.to_string()), |t| self.cx.render_text(t))?;
        let manifests = manifests.render(self.cx).await?;
        let manager_flag = format!("--field-manager={manager}");
        let subresource_flag = subresource_flag(subresource);
        let mut args = vec!["apply", "--server-side", &manager_flag];
        args.extend(force.then_some("--force-conflicts"));
        args.extend(subresource_flag.as_deref());
        self.note_manifest_command(&args, &manifests)?;
        let query = [("fieldManager", &*manager), ("force", if force { "true" } else { "" })];
        let path = |resource: &ResourceType, namespace: &Namespace, manifest: &Json| {
            let path = resource.path(namespace.name(), Some(&manifest_name(manifest)?));
            Ok(with_query(&with_subresource(&path, subresource), &query))
        };
        // JSON is valid YAML.
        self.send_each(&manifests.objects, &Method::PATCH, "application/apply-patch+yaml", path).await
    }

    pub async fn patch(
        &self,
        object: &Template,
        patch_type: &Keyword,
        patch: &Tree,
        subresource: Option<&str>,
    ) -> Result<Value, ActionError> {
        let (resource, name) = self.resolve_object(&self.cx.render_text(object)?).await?;
        let patch = self.cx.render_tree(patch)?.to_json();
        let namespace = self.namespace_of(&resource)?;
        let (qualified_name, text) = (resource.qualified_name(), patch.to_string());
        let type_flag = format!("--type={}", patch_type.name);
        let subresource_flag = subresource_flag(subresource);
        let mut args = vec!["patch", &*qualified_name, &*name, &*type_flag, "-p", &*text];
        args.extend(subresource_flag.as_deref());
        args.extend(namespace.kubectl_flags());
        self.note_command(&args);
        let path = with_subresource(&resource.path(namespace.name(), Some(&name)), subresource);
        let response = self.send(&Method::PATCH, &path, Some((patch_type.api_name, &patch))).await?;
        Ok(response_output(response, RequestKind::Change))
    }

    pub async fn delete(
        &self,
        target: &DeleteTarget,
        propagation: &Keyword,
        grace: Option<&Template>,
    ) -> Result<Value, ActionError> {
        let mut options =
            json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation.api_name });
        let mut flags = vec!["--wait=false".to_string()];
        if propagation.name != PROPAGATIONS[0].name {
            flags.push(format!("--cascade={}", propagation.name));
        }
        if let Some(grace) = grace {
            let seconds = whole_seconds(&self.cx.render_text(grace)?).map_err(ActionError::Invalid)?;
            options["gracePeriodSeconds"] = seconds.into();
            flags.push(format!("--grace-period={seconds}"));
            // kubectl requires it with a grace period of 0.
            flags.extend((seconds == 0).then(|| "--force".to_string()));
        }
        let flags = flags.iter().map(String::as_str);
        let options = Some(("application/json", &options));
        let manifests = match target {
            DeleteTarget::Manifests(manifests) => manifests.render(self.cx).await?,
            DeleteTarget::Object(object) => match self.cx.render(object)? {
                manifests @ (Value::Map(_) | Value::List(_)) => RenderedManifests::inline(&manifests)?,
                object => {
                    let (resource, name) = self.resolve_object(&object.to_string()).await?;
                    let namespace = self.namespace_of(&resource)?;
                    let qualified_name = resource.qualified_name();
                    let mut args = vec!["delete", &*qualified_name, &*name];
                    args.extend(flags);
                    args.extend(namespace.kubectl_flags());
                    self.note_command(&args);
                    let path = resource.path(namespace.name(), Some(&name));
                    let response = self.send(&Method::DELETE, &path, options).await?;
                    return Ok(response_output(response, RequestKind::Change));
                }
            },
        };
        let args: Vec<&str> = ["delete"].into_iter().chain(flags).collect();
        self.note_manifest_command(&args, &manifests)?;
        let mut outputs = vec![];
        // In reverse order: later objects may depend on earlier ones.
        for manifest in manifests.objects.iter().rev() {
            let (resource, namespace) = self.manifest_target(manifest).await?;
            let path = resource.path(namespace.name(), Some(&manifest_name(manifest)?));
            let response = self.send(&Method::DELETE, &path, options).await?;
            outputs.push(response_output(response, RequestKind::Change));
        }
        Ok(combined_deletions(&outputs))
    }

    /// Sends a request for each manifest, up to the first refusal.
    async fn send_each(
        &self,
        manifests: &[Json],
        method: &Method,
        content_type: &str,
        path: impl Fn(&ResourceType, &Namespace, &Json) -> Result<String, ActionError>,
    ) -> Result<Value, ActionError> {
        let mut outputs: Vec<Value> = vec![];
        for manifest in manifests {
            let (resource, namespace) = self.manifest_target(manifest).await?;
            let path = path(&resource, &namespace, manifest)?;
            let response = self.send(method, &path, Some((content_type, manifest))).await?;
            let refused = response.is_error();
            outputs.push(response_output(response, RequestKind::Create));
            if refused {
                break;
            }
        }
        Ok(combined_output(outputs, manifests.len()))
    }

    /// The resource type and the namespace of a manifest.
    async fn manifest_target(&self, manifest: &Json) -> Result<(Arc<ResourceType>, Namespace), ActionError> {
        let text = |key: &str| manifest[key].as_str().unwrap_or_default();
        let resource = self.cluster.resource_of_kind(text("apiVersion"), text("kind")).await?;
        let namespace = match (manifest["metadata"]["namespace"].as_str(), self.namespace_of(&resource)?) {
            (Some(own), Namespace::Named(name)) if own != name => {
                if self.action.namespace.is_some() {
                    let message =
                        format!("the manifest has namespace `{own}`, but the action has `{name}`; remove one");
                    return Err(ActionError::Invalid(message));
                }
                Namespace::Named(path_segment(own, "a namespace")?)
            }
            (_, namespace) => namespace,
        };
        Ok((resource, namespace))
    }

    fn note_manifest_command(&self, args: &[&str], manifests: &RenderedManifests) -> Result<(), ActionError> {
        let namespace = self.namespace()?;
        let mut args = args.to_vec();
        // kubectl refuses a namespace that differs from the manifest's.
        if manifests.objects.iter().all(|m| m["metadata"]["namespace"].is_null()) {
            args.extend(namespace.kubectl_flags());
        }
        match &manifests.path {
            Some(path) => {
                let path = path.display().to_string();
                args.extend(["-f", &*path]);
                self.note_command(&args);
            }
            None => {
                let flags = &self.cluster.api.kubectl_flags;
                let command = kubectl::with_manifests(&args, flags, &manifests.objects);
                self.cx.note(EvidenceKind::Reproduce, command);
            }
        }
        Ok(())
    }
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

/// The output for several objects: whether all succeeded, the resulting objects, and the first refusal.
fn combined_output(mut outputs: Vec<Value>, expected: usize) -> Value {
    if expected == 1 {
        return outputs.pop().unwrap_or_default();
    }
    let field = |v: &Value, key: &str| v.get(key).cloned().unwrap_or_default();
    let objects = outputs.iter().map(|v| field(v, "object")).filter(|o| matches!(o, Value::Map(_))).collect();
    let error = outputs.last().map(|v| field(v, "error")).unwrap_or_default();
    output_value(error == Value::Null, Value::Null, Value::list(objects), error)
}

/// The output for several deletions: whether any object existed, which is unknown after a 403, and the first refusal
/// other than 404.
fn combined_deletions(outputs: &[Value]) -> Value {
    let mut found = outputs.iter().filter_map(|v| v.get("found"));
    let existed = found.clone().any(|f| *f == Value::Bool(true));
    let unknown = found.find(|f| f.incomplete().is_some()).filter(|_| !existed);
    let found = unknown.cloned().unwrap_or(Value::Bool(existed));
    let code = |v: &Value| v.get("error").and_then(|e| e.get("code")).and_then(Value::as_i64);
    let refused = outputs.iter().find(|v| code(v).is_some_and(|c| c != 404));
    let error = refused.and_then(|v| v.get("error")).cloned();
    output_value(found, Value::Null, Value::Null, error.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions_of_manifests_tell_whether_any_object_existed() {
        let output = |found: Value, code: i64| {
            let error = if code == 200 { Value::Null } else { Value::from(json!({ "code": code })) };
            output_value(found, Value::Null, Value::Null, error)
        };
        let (deleted, missing) = (output(Value::Bool(true), 200), output(Value::Bool(false), 404));
        let unknown = Value::unset("refused");
        let forbidden = output(unknown.clone(), 403);
        for (outputs, found, code) in [
            (vec![deleted.clone(), missing.clone()], Value::Bool(true), None),
            (vec![missing.clone(), missing.clone()], Value::Bool(false), None),
            (vec![forbidden.clone(), missing], unknown, Some(403)),
            (vec![forbidden, deleted], Value::Bool(true), Some(403)),
        ] {
            let combined = combined_deletions(&outputs);
            assert_eq!(combined.get("found"), Some(&found), "{combined}");
            let refused = combined.get("error").and_then(|e| e.get("code")).and_then(Value::as_i64);
            assert_eq!(refused, code, "{combined}");
        }
    }
}
