//! Operations that change nothing: `get`, `list`, `events`.
use super::{
    catalog::ResourceType,
    cluster::Cluster,
    cursor::Cursor,
    objects::{metadata, objects_of, versioned_objects},
    output::{RequestKind, error_output, items_output, mask_secrets, object_output, pretty_json, response_output},
    request::{Namespace, note_command, resolve_object, send_recorded, with_query},
    selector::{ObjectFilter, labels_from_pairs, parse_labels},
    types::{K8sAction, ListQuery, SelectorSource, Subresource},
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Output, Started},
    executors::apiserver::Response,
    expr::{Template, Tree},
    value::Value,
};
use futures::{StreamExt, stream};
use http::Method;
use std::sync::Arc;

/// For `list: "*"`, which sends one request per resource type.
const MAX_PARALLEL_LISTS: usize = 16;

impl K8sAction {
    /// Reads one object, by a list with a field selector: only a list has the version at which an object was
    /// *absent*, and a watch that starts without it would repeat old states.
    pub async fn get(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        object: &Template,
        subresource: Option<Subresource>,
        started: Started,
    ) -> Result<Output, ActionError> {
        let (resource, name) = resolve_object(cx, cluster, object).await?;
        let namespace = self.namespace_of(cx, cluster, &resource)?;
        let qualified_name = resource.qualified_name();
        let flag = subresource.map(|s| format!("--subresource={}", s.keyword()));
        let mut args = vec!["get", &*qualified_name, &*name];
        args.extend(namespace.kubectl_flags());
        args.extend(flag.as_deref());
        args.extend(["-o", "yaml"]);
        let command = note_command(cx, cluster, &args);
        let object_path = resource.path(namespace.name(), Some(&name));
        if let Some(part) = subresource {
            let path = format!("{object_path}/{}", part.api_name());
            let response = send_recorded(cx, cluster, &Method::GET, &path, None).await?;
            return Ok(Output::new(response_output(response, RequestKind::Read), started));
        }
        let collection = resource.path(namespace.name(), None);
        let watch = cluster.watch(&collection, "");
        let _hold = watch.hold_latest();
        let path = with_query(&collection, &[("fieldSelector", &format!("metadata.name={name}"))]);
        let response = send_recorded(cx, cluster, &Method::GET, &path, None).await?;
        if response.is_error() {
            // `get` may be allowed without `list`. The engine polls then.
            let response = send_recorded(cx, cluster, &Method::GET, &object_path, None).await?;
            return Ok(Output::new(response_output(response, RequestKind::Read), started));
        }
        let filter = ObjectFilter { name: Some(name.clone()), ..ObjectFilter::default() };
        let (version, mut objects) = versioned_objects(response.json);
        mask_secrets(cx, objects.values());
        objects.retain(|k, o| filter.matches(k, o));
        let output = Output::new(object_output(&resource, &name, &objects), started);
        Ok(match version {
            Some(v) => output.with_cursor(Cursor::new(&watch, v, filter, objects, resource, command)),
            None => output,
        })
    }

    pub async fn list(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        query: &ListQuery,
        started: Started,
    ) -> Result<Output, ActionError> {
        let (filter, fields) = render_selectors(cx, query)?;
        let name = cx.render_text(&query.resource)?;
        if name == "*" {
            return Ok(Output::new(self.list_all(cx, cluster, &filter, &fields).await?, started));
        }
        let resource = cluster.resource(&name).await?;
        let namespace = self.namespace_of(cx, cluster, &resource)?;
        let labels = filter.labels.to_string();
        let command = note_get(cx, cluster, &resource.qualified_name(), &namespace, &labels, &fields);
        let path = resource.path(namespace.name(), None);
        let watch = cluster.watch(&path, &fields);
        let _hold = watch.hold_latest();
        let path = with_query(&path, &[("labelSelector", &labels), ("fieldSelector", &fields)]);
        let response = send_recorded(cx, cluster, &Method::GET, &path, None).await?;
        if response.is_error() {
            return Ok(Output::new(error_output(&response, Value::Null), started));
        }
        let (version, mut objects) = versioned_objects(response.json);
        mask_secrets(cx, objects.values());
        objects.retain(|k, o| filter.matches(k, o));
        let output = Output::new(items_output(objects.values()), started);
        Ok(match version {
            Some(v) => output.with_cursor(Cursor::new(&watch, v, filter, objects, resource, command)),
            None => output,
        })
    }

    /// Lists every resource type of the namespace that supports it.
    async fn list_all(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        filter: &ObjectFilter,
        fields: &str,
    ) -> Result<Value, ActionError> {
        let catalog = cluster.catalog().await?;
        // Events and metrics describe other objects.
        let is_derived = |t: &ResourceType| t.plural == "events" || t.group == "metrics.k8s.io";
        let is_listable =
            |t: &ResourceType| t.preferred && t.namespaced && t.verbs.iter().any(|v| v == "list") && !is_derived(t);
        let types: Vec<Arc<ResourceType>> = catalog.types.iter().filter(|t| is_listable(t)).cloned().collect();
        let labels = filter.labels.to_string();
        let namespace = self.namespace(cx, cluster)?;
        let names = types.iter().map(|t| t.qualified_name()).collect::<Vec<_>>().join(",");
        let scope = namespace.name().map_or("all namespaces".to_string(), |n| format!("namespace {n}"));
        let request = format!("GET {} resources of {scope}: {names}", types.len());
        note_get(cx, cluster, &names, &namespace, &labels, "");
        cx.note(EvidenceKind::Request, request);
        cx.mark_sent();
        let query = [("labelSelector", &*labels), ("fieldSelector", fields)];
        let paths: Vec<String> = types.iter().map(|t| with_query(&t.path(namespace.name(), None), &query)).collect();
        let requests: Vec<_> = paths.iter().map(|path| cluster.api.request(&Method::GET, path, None)).collect();
        let responses: Vec<_> = stream::iter(requests).buffered(MAX_PARALLEL_LISTS).collect().await;
        let mut found: Vec<Value> = vec![];
        let mut uids: Vec<String> = vec![];
        for (resource, response) in types.iter().zip(responses) {
            let Some(response) = listed_or_skipped(cx, cluster, resource, response).await? else { continue };
            for (key, object) in objects_of(response.json) {
                let uid = metadata(&object, "uid").map(Value::to_string).unwrap_or_default();
                // Two groups can serve the same object.
                if filter.matches(&key, &object) && (uid.is_empty() || !uids.contains(&uid)) {
                    uids.push(uid);
                    found.push(object);
                }
            }
        }
        mask_secrets(cx, found.iter());
        let value = items_output(found.iter());
        cx.note(EvidenceKind::Response, pretty_json(&value.to_json()));
        Ok(value)
    }

    pub async fn events(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        object: Option<&Template>,
    ) -> Result<Value, ActionError> {
        let events = cluster.resource("events.v1").await?;
        let subject = match object {
            Some(object) => Some(resolve_object(cx, cluster, object).await?),
            None => None,
        };
        let namespace = match &subject {
            // Events of cluster-scoped objects are in `default`. The action's namespace is checked all the same.
            Some((resource, _)) if !resource.namespaced => {
                self.namespace(cx, cluster)?;
                Namespace::Named("default".into())
            }
            _ => self.namespace_of(cx, cluster, &events)?,
        };
        let of_subject = |(r, name): &(Arc<ResourceType>, String)| {
            format!("involvedObject.kind={},involvedObject.name={name}", r.kind)
        };
        let fields = subject.as_ref().map(of_subject).unwrap_or_default();
        note_get(cx, cluster, "events", &namespace, "", &fields);
        let path = with_query(&events.path(namespace.name(), None), &[("fieldSelector", &fields)]);
        let response = send_recorded(cx, cluster, &Method::GET, &path, None).await?;
        if response.is_error() {
            return Ok(error_output(&response, Value::Null));
        }
        Ok(items_output(objects_of(response.json).values()))
    }
}

/// Renders the selectors of a list: the filter, and the field selector.
fn render_selectors(cx: &ActionContext<'_>, query: &ListQuery) -> Result<(ObjectFilter, String), ActionError> {
    let labels = match &query.labels {
        None => Default::default(),
        Some(SelectorSource::Text(t)) => parse_labels(&cx.render_text(t)?)?,
        Some(SelectorSource::Pairs(p)) => labels_from_pairs(render_pairs(cx, p)?)?,
    };
    let fields = match &query.fields {
        None => String::new(),
        Some(SelectorSource::Text(t)) => cx.render_text(t)?,
        Some(SelectorSource::Pairs(p)) => {
            let escape = |v: String| v.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=");
            let pairs = render_pairs(cx, p)?.into_iter().map(|(k, v)| format!("{k}={}", escape(v)));
            pairs.collect::<Vec<_>>().join(",")
        }
    };
    let owner = query.owner.as_ref().map(|t| cx.render_text(t)).transpose()?;
    if owner.as_deref() == Some("") {
        return Err(ActionError::Invalid("expected the uid of an object under `owner`, found an empty text".into()));
    }
    Ok((ObjectFilter { name: None, labels, owner }, fields))
}

fn render_pairs(cx: &ActionContext<'_>, pairs: &[(String, Tree)]) -> Result<Vec<(String, String)>, ActionError> {
    pairs.iter().map(|(k, v)| Ok((k.clone(), cx.render_tree(v)?.to_string()))).collect()
}

/// Records `kubectl get` for a list; returns the command.
fn note_get(
    cx: &ActionContext<'_>,
    cluster: &Cluster,
    resources: &str,
    namespace: &Namespace,
    labels: &str,
    fields: &str,
) -> String {
    let mut args = vec!["get", resources];
    args.extend(namespace.kubectl_flags());
    if !labels.is_empty() {
        args.extend(["-l", labels]);
    }
    let field_selector = format!("--field-selector={fields}");
    if !fields.is_empty() {
        args.push(&field_selector);
    }
    args.extend(["-o", "yaml"]);
    note_command(cx, cluster, &args)
}

/// The response to one list of `list: "*"`; `None`, with a note, if this resource cannot be listed (no permission, no
/// longer served).
async fn listed_or_skipped(
    cx: &ActionContext<'_>,
    cluster: &Cluster,
    resource: &ResourceType,
    response: Result<Response, ActionError>,
) -> Result<Option<Response>, ActionError> {
    let name = resource.qualified_name();
    let response = match response {
        // The definition was deleted meanwhile.
        Err(ActionError::Invalid(why)) => {
            cluster.forget_catalog().await;
            cx.note(EvidenceKind::Note, format!("left out {name}: {why}"));
            return Ok(None);
        }
        other => other?,
    };
    if !response.is_error() {
        return Ok(Some(response));
    }
    let (status, message) = (response.status, response.message());
    if [403, 404, 405].contains(&status) {
        cx.note(EvidenceKind::Note, format!("left out {name} ({status}): {message}"));
        return Ok(None);
    }
    Err(ActionError::Invalid(format!("cannot list {name} ({status}): {message}")))
}
