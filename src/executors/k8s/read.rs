//! Operations that change nothing: `get`, `list`, `events`.
use super::{
    catalog::ResourceType,
    cursor::{Cursor, Subject},
    objects::{ObjectList, metadata},
    output::{RequestKind, error_output, items_output, mask_secrets, response_output, with_missing_objects},
    request::{Call, Namespace, subresource_flag, with_query, with_subresource},
    selector::{ObjectFilter, labels_from_pairs, parse_labels},
    types::{ListQuery, SelectorSource},
    watch::Watch,
};
use crate::{
    event::EvidenceKind,
    executor::{ActionError, Output, limits::size},
    executors::apiserver::{Response, percent_encoded},
    expr::{Template, Tree},
    value::Value,
};
use futures::{StreamExt, stream};
use std::{sync::Arc, time::Instant};

/// For `list: "*"`, which sends one request per resource type. Each response may be as long as the limit.
const MAX_PARALLEL_LISTS: usize = 4;

impl Call<'_> {
    /// Reads one object, by a list with a field selector: only a list has the version at which an object was
    /// *absent*, and a watch that starts without it would repeat old states.
    pub async fn get(&self, object: &Template, subresource: Option<&str>) -> Result<Output, ActionError> {
        let (resource, name) = self.resolve_object(&self.cx.render_text(object)?).await?;
        let namespace = self.namespace_of(&resource)?;
        let qualified_name = resource.qualified_name();
        let flag = subresource_flag(subresource);
        let mut args = vec!["get", &*qualified_name, &*name];
        args.extend(namespace.kubectl_flags());
        args.extend(flag.as_deref());
        args.extend(["-o", "yaml"]);
        let command = self.note_command(&args);
        let object_path = with_subresource(&resource.path(namespace.name(), Some(&name)), subresource);
        if subresource.is_none() {
            let collection = resource.path(namespace.name(), None);
            let watch = self.cluster.watch(&collection, "");
            let _hold = watch.hold_latest();
            let path = with_query(&collection, &[("fieldSelector", &format!("metadata.name={name}"))]);
            if let Ok(list) = self.get_list(&path).await? {
                let filter = ObjectFilter { name: Some(name), ..ObjectFilter::default() };
                let subject = Subject { filter, resource, command };
                return self.observation(list, &watch, subject, &namespace).await;
            }
            // `get` may be allowed without `list`. The engine polls then.
        }
        let response = self.get_json(&object_path).await?;
        let value = self.check_absence(response_output(response, RequestKind::Read), &namespace).await?;
        Ok(Output::new(value, self.started))
    }

    pub async fn list(&self, query: &ListQuery) -> Result<Output, ActionError> {
        let (filter, fields) = self.render_selectors(query)?;
        let name = self.cx.render_text(&query.resource)?;
        if name == "*" {
            return Ok(Output::new(self.list_all(&filter, &fields).await?, self.started));
        }
        let resource = self.cluster.resource(&name).await?;
        let namespace = self.namespace_of(&resource)?;
        let labels = filter.labels.to_string();
        let command = self.note_get(&resource.qualified_name(), &namespace, &labels, &fields);
        let path = resource.path(namespace.name(), None);
        let watch = self.cluster.watch(&path, &fields);
        let _hold = watch.hold_latest();
        let path = with_query(&path, &[("labelSelector", &labels), ("fieldSelector", &fields)]);
        match self.get_list(&path).await? {
            Ok(list) => self.observation(list, &watch, Subject { filter, resource, command }, &namespace).await,
            Err(refusal) => Ok(Output::new(error_output(&refusal, None), self.started)),
        }
    }

    /// The output for a list, from which a watch can continue.
    async fn observation(
        &self,
        list: ObjectList,
        watch: &Arc<Watch>,
        subject: Subject,
        namespace: &Namespace,
    ) -> Result<Output, ActionError> {
        let ObjectList { version, mut objects, missing, .. } = list;
        mask_secrets(self.cx, objects.values());
        objects.retain(|k, o| subject.filter.matches(k, o));
        let value = with_missing_objects(subject.value(&objects), missing.as_deref());
        let output = Output::new(self.check_absence(value, namespace).await?, self.started);
        Ok(match version.filter(|_| missing.is_none()) {
            Some(version) => output.with_cursor(Cursor {
                hold: watch.hold(version),
                subject: Arc::new(subject),
                observed: Arc::new(objects),
                confirmed: Instant::now(),
            }),
            None => output,
        })
    }

    /// Lists every resource type of the namespace that supports it.
    async fn list_all(&self, filter: &ObjectFilter, fields: &str) -> Result<Value, ActionError> {
        let catalog = self.cluster.catalog().await?;
        // Events and metrics describe other objects.
        let is_derived = |t: &ResourceType| t.plural == "events" || t.group == "metrics.k8s.io";
        let is_listable =
            |t: &ResourceType| t.preferred && t.namespaced && t.verbs.iter().any(|v| v == "list") && !is_derived(t);
        let types: Vec<Arc<ResourceType>> = catalog.types.iter().filter(|t| is_listable(t)).cloned().collect();
        let labels = filter.labels.to_string();
        let namespace = self.namespace()?;
        let names = types.iter().map(|t| t.qualified_name()).collect::<Vec<_>>().join(",");
        let scope = namespace.name().map_or("all namespaces".to_string(), |n| format!("namespace {n}"));
        self.note_get(&names, &namespace, &labels, fields);
        self.cx.note(EvidenceKind::Request, format!("GET {} resources of {scope}: {names}", types.len()));
        self.cx.mark_sent();
        let query = [("labelSelector", &*labels), ("fieldSelector", fields)];
        let paths: Vec<String> = types.iter().map(|t| with_query(&t.path(namespace.name(), None), &query)).collect();
        let requests: Vec<_> = paths.iter().map(|path| self.cluster.api.list(path)).collect();
        let mut responses = stream::iter(requests).buffered(MAX_PARALLEL_LISTS);
        let mut bytes = 0;
        let mut found: Vec<Value> = vec![];
        let mut uids: Vec<String> = vec![];
        let groups = catalog.unavailable.iter().filter(|g| !g.starts_with("metrics.k8s.io"));
        let mut missing: Vec<String> = groups.map(|g| format!("{g} is not available")).collect();
        for (resource, path) in types.iter().zip(&paths) {
            if bytes > self.cluster.api.limit {
                let why = self.longer_than_limit("the lists before are");
                missing.push(format!("{} and what follows was not listed: {why}", resource.qualified_name()));
                break;
            }
            let Some(response) = responses.next().await else { break };
            let list = self.listed_or_skipped(resource, path, response).await?;
            bytes += list.bytes;
            missing.extend(list.missing);
            for (key, object) in list.objects {
                let uid = metadata(&object, "uid").map(Value::to_string).unwrap_or_default();
                // Two groups can serve the same object.
                if filter.matches(&key, &object) && (uid.is_empty() || !uids.contains(&uid)) {
                    uids.push(uid);
                    found.push(object);
                }
            }
        }
        mask_secrets(self.cx, found.iter());
        let value = items_output(found.iter());
        let missing = (!missing.is_empty()).then(|| missing.join("; "));
        self.check_absence(with_missing_objects(value, missing.as_deref()), &namespace).await
    }

    pub async fn events(&self, object: Option<&Template>) -> Result<Value, ActionError> {
        let events = self.cluster.resource("events.v1").await?;
        let subject = match object {
            Some(object) => Some(self.resolve_object(&self.cx.render_text(object)?).await?),
            None => None,
        };
        let namespace = match &subject {
            // Events of cluster-scoped objects are in `default`. The action's namespace is checked all the same.
            Some((resource, _)) if !resource.namespaced => {
                self.namespace()?;
                Namespace::Named("default".into())
            }
            _ => self.namespace_of(&events)?,
        };
        let of_subject = |(r, name): &(Arc<ResourceType>, String)| {
            format!("involvedObject.kind={},involvedObject.name={name}", r.kind)
        };
        let fields = subject.as_ref().map(of_subject).unwrap_or_default();
        self.note_get("events", &namespace, "", &fields);
        let path = with_query(&events.path(namespace.name(), None), &[("fieldSelector", &fields)]);
        let value = match self.get_list(&path).await? {
            Ok(ObjectList { objects, missing, .. }) => {
                with_missing_objects(items_output(objects.values()), missing.as_deref())
            }
            Err(refusal) => error_output(&refusal, None),
        };
        self.check_absence(value, &namespace).await
    }

    /// Renders the selectors of a list: the filter, and the field selector.
    fn render_selectors(&self, query: &ListQuery) -> Result<(ObjectFilter, String), ActionError> {
        let labels = match &query.labels {
            None => Ok(Default::default()),
            Some(SelectorSource::Text(t)) => parse_labels(&self.cx.render_text(t)?),
            Some(SelectorSource::Pairs(p)) => labels_from_pairs(self.render_pairs(p)?),
        };
        let labels = labels.map_err(ActionError::Invalid)?;
        let fields = match &query.fields {
            None => String::new(),
            Some(SelectorSource::Text(t)) => self.cx.render_text(t)?,
            Some(SelectorSource::Pairs(p)) => {
                let escape = |v: String| v.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=");
                let pairs = self.render_pairs(p)?.into_iter().map(|(k, v)| format!("{k}={}", escape(v)));
                pairs.collect::<Vec<_>>().join(",")
            }
        };
        let owner = query.owner.as_ref().map(|t| self.cx.render_text(t)).transpose()?;
        if owner.as_deref() == Some("") {
            let message = "expected the uid of an object under `owner`, found an empty text";
            return Err(ActionError::Invalid(message.into()));
        }
        Ok((ObjectFilter { name: None, labels, owner }, fields))
    }

    fn render_pairs(&self, pairs: &[(String, Tree)]) -> Result<Vec<(String, String)>, ActionError> {
        pairs.iter().map(|(k, v)| Ok((k.clone(), self.cx.render_tree(v)?.to_string()))).collect()
    }

    /// Records `kubectl get` for a list; returns the command.
    fn note_get(&self, resources: &str, namespace: &Namespace, labels: &str, fields: &str) -> String {
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
        self.note_command(&args)
    }

    /// The list at a path, with all of its pages; a refusal is the inner error.
    async fn get_list(&self, path: &str) -> Result<Result<ObjectList, Response>, ActionError> {
        let response = self.get_list_json(path).await?;
        if response.is_error() { Ok(Err(response)) } else { self.all_pages(path, response).await.map(Ok) }
    }

    /// The whole list of which `first` is the first page. A server that limits its pages names the next one. If that is
    /// refused (it expires after some minutes), objects are missing.
    async fn all_pages(&self, path: &str, first: Response) -> Result<ObjectList, ActionError> {
        let address = &self.cluster.api.address;
        let parse = |response: Response| {
            let (bytes, is_cut) = (response.bytes, response.is_cut);
            let list = ObjectList::of(&response.json, response.items);
            let unexpected =
                |e| ActionError::Unreachable(format!("unexpected response of the cluster at {address}: {e}"));
            list.map_err(unexpected).map(|list| ObjectList { bytes, is_cut, ..list })
        };
        let mut list = parse(first)?;
        while list.is_cut || list.next_page.is_some() {
            if list.is_cut || list.bytes > self.cluster.api.limit {
                let why =
                    format!("the list ends after {} objects: {}", list.objects.len(), self.longer_than_limit("it is"));
                self.cx.note(EvidenceKind::Note, &why);
                (list.missing, list.next_page) = (Some(why), None);
                break;
            }
            let Some(token) = list.next_page.take() else { break };
            let separator = if path.contains('?') { '&' } else { '?' };
            let next = self.get_list_json(&format!("{path}{separator}continue={}", percent_encoded(&token))).await?;
            if next.is_error() {
                let (count, status, message) = (list.objects.len(), next.status, next.message());
                list.missing = Some(format!("the list ends after {count} objects ({status}): {message}"));
                break;
            }
            let page = parse(next)?;
            list.objects.extend(page.objects);
            list.bytes += page.bytes;
            (list.next_page, list.is_cut) = (page.next_page, page.is_cut);
        }
        Ok(list)
    }

    fn longer_than_limit(&self, what: &str) -> String {
        let limit = size(self.cluster.api.limit);
        format!("{what} longer than {limit}; raise `limit` in the target, or select fewer objects")
    }

    /// The objects for one list of `list: "*"`. A resource that may not be listed is missing; one that is no longer served
    /// has no objects.
    async fn listed_or_skipped(
        &self,
        resource: &ResourceType,
        path: &str,
        response: Result<Response, ActionError>,
    ) -> Result<ObjectList, ActionError> {
        let name = resource.qualified_name();
        let response = match response {
            // The definition was deleted meanwhile.
            Err(ActionError::Invalid(why)) => {
                self.cluster.forget_catalog().await;
                self.cx.note(EvidenceKind::Note, format!("left out {name}: {why}"));
                return Ok(ObjectList::default());
            }
            other => other?,
        };
        if !response.is_error() {
            let mut list = self.all_pages(path, response).await?;
            list.missing = list.missing.map(|why| format!("{name}: {why}"));
            return Ok(list);
        }
        let (status, message) = (response.status, response.message());
        if ![403, 404, 405].contains(&status) {
            return Err(ActionError::Invalid(format!("cannot list {name} ({status}): {message}")));
        }
        self.cx.note(EvidenceKind::Note, format!("left out {name} ({status}): {message}"));
        let missing = (status == 403).then(|| format!("{name} may not be listed (403)"));
        Ok(ObjectList { missing, ..ObjectList::default() })
    }
}
