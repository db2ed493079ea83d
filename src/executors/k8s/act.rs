//! Performing each verb: the request, what an output looks like, and the evidence. Knows no waiting.
use super::{
    body::{K8sAction, List, PatchKind, Selection, Verb},
    cluster::{Answer, Cluster},
    kinds::{Catalog, Kind},
    kubectl,
    next::{Cursor, Filter},
    selector::Labels,
    watch::{self, Objects},
};
use crate::{
    event::EvidenceKind,
    executor::{Action, Output, Started, StepContext, StepError},
    expr::Template,
    value::Value,
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, stream};
use http::Method;
use serde_json::{Value as Json, json};
use std::{sync::Arc, time::Duration};

/// How many lists of `list: "*"` are under way at once.
const SIDE_BY_SIDE: usize = 16;
/// As much of an answer is kept as evidence.
const SHOWN: usize = 60 << 10;

#[async_trait]
impl Action for K8sAction {
    fn fields(&self) -> &'static [&'static str] {
        &["found", "object", "items", "error"]
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn changes(&self) -> bool {
        matches!(self.verb, Verb::Create(_) | Verb::Patch { .. } | Verb::Delete(_))
    }

    async fn perform(&self, cx: &StepContext<'_>) -> Result<Output, StepError> {
        let started = Started::now();
        let cluster = cx.target::<Cluster>()?;
        match &self.verb {
            Verb::Get(of) => {
                let (kind, name) = named(cx, cluster, of).await?;
                let place = self.place(cx, cluster, &kind, None)?;
                get(cx, cluster, kind, place, name, started).await
            }
            Verb::List(list) => self.list(cx, cluster, list, started).await,
            Verb::Create(manifest) => {
                let manifest = cx.render_tree(manifest)?.to_json();
                self.create(cx, cluster, &manifest, started).await
            }
            Verb::Patch { of, kind: how, patch } => {
                let (kind, name) = named(cx, cluster, of).await?;
                let patch = cx.render_tree(patch)?.to_json();
                let place = self.place(cx, cluster, &kind, None)?;
                let (content, flag) = match how {
                    PatchKind::Merge => ("application/merge-patch+json", "--type=merge"),
                    PatchKind::Json => ("application/json-patch+json", "--type=json"),
                };
                let text = patch.to_string();
                let mut words = vec!["patch", &*place.resource, &*name, flag, "-p", &*text];
                words.extend(place.flags());
                cx.note(EvidenceKind::Reproduce, kubectl::line(&words, &cluster.flags));
                let path = kind.path(&place.namespace, Some(&name));
                let answer = ask(cx, cluster, &Method::PATCH, &path, Some((content, &patch))).await?;
                Ok(Output::new(one(answer, Asked::Change), started))
            }
            Verb::Delete(of) => {
                let (kind, name) = named(cx, cluster, of).await?;
                let place = self.place(cx, cluster, &kind, None)?;
                let mut words = vec!["delete", &*place.resource, &*name, "--wait=false"];
                words.extend(place.flags());
                cx.note(EvidenceKind::Reproduce, kubectl::line(&words, &cluster.flags));
                let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background" });
                let path = kind.path(&place.namespace, Some(&name));
                let answer = ask(cx, cluster, &Method::DELETE, &path, Some(("application/json", &options))).await?;
                Ok(Output::new(one(answer, Asked::Change), started))
            }
            Verb::Events(of) => self.events(cx, cluster, of.as_ref(), started).await,
        }
    }

    async fn next(&self, cx: &StepContext<'_>, last: &Output, pace: Duration) -> Result<Output, StepError> {
        match last.cursor::<Cursor>() {
            Some(cursor) => super::next::after(self, cx, last, cursor, pace).await,
            None => {
                tokio::time::sleep(pace).await;
                self.perform(cx).await
            }
        }
    }
}

/// Where an action looks.
pub struct Place {
    /// Empty where the resource has no namespaces.
    pub namespace: String,
    /// As kubectl takes it.
    pub resource: String,
}

impl Place {
    pub fn flags(&self) -> Vec<&str> {
        if self.namespace.is_empty() { vec![] } else { vec!["-n", &self.namespace] }
    }
}

impl K8sAction {
    /// `own` is the namespace that a manifest names itself.
    fn place(
        &self,
        cx: &StepContext<'_>,
        cluster: &Cluster,
        kind: &Kind,
        own: Option<&str>,
    ) -> Result<Place, StepError> {
        let said = self.namespace.as_ref().map(|t| cx.render_text(t)).transpose()?;
        let namespace = match (own, &said) {
            (Some(own), Some(said)) if own != said => {
                return Err(StepError::Invalid(format!("the manifest says namespace `{own}`, the action `{said}`")));
            }
            (Some(own), _) => own,
            (None, Some(said)) => said,
            (None, None) => &cluster.namespace,
        };
        let namespace = if kind.namespaced { word(namespace, "a namespace")? } else { String::new() };
        Ok(Place { namespace, resource: kind.resource() })
    }

    async fn create(
        &self,
        cx: &StepContext<'_>,
        cluster: &Cluster,
        manifest: &Json,
        started: Started,
    ) -> Result<Output, StepError> {
        let (Some(api), Some(what)) = (manifest["apiVersion"].as_str(), manifest["kind"].as_str()) else {
            return Err(StepError::Invalid("the manifest lacks `apiVersion` or `kind`".into()));
        };
        let kind = cluster.find(|c| c.of_manifest(api, what), |c| c.unknown_manifest(api, what)).await?;
        let place = self.place(cx, cluster, &kind, manifest["metadata"]["namespace"].as_str())?;
        let mut words = vec!["create"];
        words.extend(place.flags());
        cx.note(EvidenceKind::Reproduce, kubectl::with_manifest(&words, &cluster.flags, manifest));
        let path = kind.path(&place.namespace, None);
        let answer = ask(cx, cluster, &Method::POST, &path, Some(("application/json", manifest))).await?;
        Ok(Output::new(one(answer, Asked::Create), started))
    }

    async fn list(
        &self,
        cx: &StepContext<'_>,
        cluster: &Cluster,
        list: &List,
        started: Started,
    ) -> Result<Output, StepError> {
        let labels = match &list.labels {
            None => Labels::default(),
            Some(Selection::Text(t)) => Labels::parse(&cx.render_text(t)?).map_err(StepError::Invalid)?,
            Some(Selection::Pairs(p)) => Labels::from_pairs(pairs(cx, p)?).map_err(StepError::Invalid)?,
        };
        let fields = match &list.fields {
            None => String::new(),
            Some(Selection::Text(t)) => cx.render_text(t)?,
            Some(Selection::Pairs(p)) => {
                let escaped = |v: String| v.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=");
                pairs(cx, p)?.into_iter().map(|(k, v)| format!("{k}={}", escaped(v))).collect::<Vec<_>>().join(",")
            }
        };
        let owner = list.owner.as_ref().map(|t| cx.render_text(t)).transpose()?;
        if owner.as_deref() == Some("") {
            return Err(StepError::Invalid("`owner` is empty; it is the uid of an object".into()));
        }
        let what = cx.render_text(&list.what)?;
        let filter = Filter { name: None, labels, owner };
        if what == "*" {
            return self.list_all(cx, cluster, &filter, &fields, started).await;
        }
        let kind = cluster.find(|c| c.find(&what), |c| c.unknown(&what)).await?;
        let place = self.place(cx, cluster, &kind, None)?;
        let selector = filter.labels.to_string();
        let mut words = vec!["get", &*place.resource];
        words.extend(place.flags());
        if !selector.is_empty() {
            words.extend(["-l", &selector]);
        }
        let selected = format!("--field-selector={fields}");
        if !fields.is_empty() {
            words.push(&selected);
        }
        words.extend(["-o", "yaml"]);
        let by_hand = kubectl::line(&words, &cluster.flags);
        cx.note(EvidenceKind::Reproduce, &by_hand);
        let path = kind.path(&place.namespace, None);
        let watch = cluster.watch(&path, &fields);
        let _kept = watch.hold_from_here();
        let answer = ask(cx, cluster, &Method::GET, &with_query(&path, &selector, &fields), None).await?;
        if answer.refused() {
            return Ok(Output::new(refusal(&answer, Value::Null), started));
        }
        let (version, mut objects) = versioned(answer.json);
        note_secrets(cx, objects.values());
        objects.retain(|k, o| filter.takes(k, o));
        let output = Output::new(items(objects.values()), started);
        Ok(match version {
            Some(v) => output.with_cursor(Cursor::new(&watch, v, filter, objects, kind, by_hand)),
            None => output,
        })
    }

    async fn list_all(
        &self,
        cx: &StepContext<'_>,
        cluster: &Cluster,
        filter: &Filter,
        fields: &str,
        started: Started,
    ) -> Result<Output, StepError> {
        let catalog = cluster.catalog().await?;
        // Events are about objects, and metrics are measurements of them: neither is something that was made.
        let left_out = |k: &Kind| k.plural == "events" || k.group == "metrics.k8s.io";
        let listable = |k: &Kind| k.preferred && k.namespaced && k.verbs.iter().any(|v| v == "list") && !left_out(k);
        let kinds: Vec<Arc<Kind>> = catalog.kinds.iter().filter(|k| listable(k)).cloned().collect();
        let selector = filter.labels.to_string();
        let said = self.namespace.as_ref().map(|t| cx.render_text(t)).transpose()?;
        let namespace = word(said.as_deref().unwrap_or(&cluster.namespace), "a namespace")?;
        let names = kinds.iter().map(|k| k.resource()).collect::<Vec<_>>().join(",");
        let mut words = vec!["get", &*names, "-n", &*namespace];
        if !selector.is_empty() {
            words.extend(["-l", &selector]);
        }
        words.extend(["-o", "yaml"]);
        cx.note(EvidenceKind::Reproduce, kubectl::line(&words, &cluster.flags));
        cx.note(EvidenceKind::Request, format!("GET {} resources of namespace {namespace}: {names}", kinds.len()));
        cx.depart();
        let requests: Vec<(usize, String)> =
            kinds.iter().map(|k| with_query(&k.path(&namespace, None), &selector, fields)).enumerate().collect();
        let mut answers: Vec<(usize, Result<Answer, StepError>)> = stream::iter(requests)
            .map(|(i, path)| async move { (i, cluster.ask(&Method::GET, &path, None).await) })
            .buffer_unordered(SIDE_BY_SIDE)
            .collect()
            .await;
        answers.sort_by_key(|(i, _)| *i);
        let mut found: Vec<Value> = vec![];
        let mut seen: Vec<String> = vec![];
        for (i, answer) in answers {
            let what = kinds[i].resource();
            let answer = match answer {
                // A definition that went while we asked.
                Err(StepError::Invalid(why)) => {
                    cluster.forget().await;
                    cx.note(EvidenceKind::Note, format!("left out {what}: {why}"));
                    continue;
                }
                other => other?,
            };
            if answer.refused() {
                let why = answer.json["message"].as_str().unwrap_or_default();
                if ![403, 404, 405].contains(&answer.code) {
                    return Err(StepError::Invalid(format!("{what} cannot be listed ({}): {why}", answer.code)));
                }
                cx.note(EvidenceKind::Note, format!("left out {what} ({}): {why}", answer.code));
                continue;
            }
            for (key, object) in watch::objects(answer.json) {
                let uid = object.get("metadata").and_then(|m| m.get("uid")).map(Value::to_string).unwrap_or_default();
                // One object can be served by two groups.
                if filter.takes(&key, &object) && (uid.is_empty() || !seen.contains(&uid)) {
                    seen.push(uid);
                    found.push(object);
                }
            }
        }
        note_secrets(cx, found.iter());
        let value = items(found.iter());
        cx.note(EvidenceKind::Response, shown(&value.to_json()));
        Ok(Output::new(value, started))
    }

    async fn events(
        &self,
        cx: &StepContext<'_>,
        cluster: &Cluster,
        of: Option<&Template>,
        started: Started,
    ) -> Result<Output, StepError> {
        let events = cluster.find(|c| c.find("events.v1"), |_| "the cluster serves no events".into()).await?;
        let (kind, name) = match of {
            Some(of) => {
                let (kind, name) = named(cx, cluster, of).await?;
                (Some(kind), name)
            }
            None => (None, String::new()),
        };
        let place = self.place(cx, cluster, &events, None)?;
        // Events about an object without namespace stand in `default`.
        let namespace = if kind.as_ref().is_some_and(|k| !k.namespaced) { "default".into() } else { place.namespace };
        let fields = kind.as_ref().map(|k| format!("involvedObject.kind={},involvedObject.name={name}", k.kind));
        let fields = fields.unwrap_or_default();
        let selected = format!("--field-selector={fields}");
        let mut words = vec!["get", "events", "-n", &*namespace];
        if !fields.is_empty() {
            words.push(&selected);
        }
        words.extend(["-o", "yaml"]);
        cx.note(EvidenceKind::Reproduce, kubectl::line(&words, &cluster.flags));
        let path = with_query(&events.path(&namespace, None), "", &fields);
        let answer = ask(cx, cluster, &Method::GET, &path, None).await?;
        if answer.refused() {
            return Ok(Output::new(refusal(&answer, Value::Null), started));
        }
        Ok(Output::new(items(watch::objects(answer.json).values()), started))
    }
}

/// A look at one object. It is a list of one: only a list says at which version an object was *not* there, and without that a watch
/// cannot go on from here without telling old states as new.
async fn get(
    cx: &StepContext<'_>,
    cluster: &Cluster,
    kind: Arc<Kind>,
    place: Place,
    name: String,
    started: Started,
) -> Result<Output, StepError> {
    let mut words = vec!["get", &*place.resource, &*name];
    words.extend(place.flags());
    words.extend(["-o", "yaml"]);
    let by_hand = kubectl::line(&words, &cluster.flags);
    cx.note(EvidenceKind::Reproduce, &by_hand);
    let collection = kind.path(&place.namespace, None);
    let watch = cluster.watch(&collection, "");
    let _kept = watch.hold_from_here();
    let path = with_query(&collection, "", &format!("metadata.name={name}"));
    let answer = ask(cx, cluster, &Method::GET, &path, None).await?;
    if answer.refused() {
        // Whoever may not list may still be allowed to get; then looks are taken one by one.
        let answer = ask(cx, cluster, &Method::GET, &kind.path(&place.namespace, Some(&name)), None).await?;
        return Ok(Output::new(one(answer, Asked::Read), started));
    }
    let filter = Filter { name: Some(name), ..Filter::default() };
    let (version, mut objects) = versioned(answer.json);
    note_secrets(cx, objects.values());
    objects.retain(|k, o| filter.takes(k, o));
    let output = Output::new(single(&kind, &filter, &objects), started);
    Ok(match version {
        Some(v) => output.with_cursor(Cursor::new(&watch, v, filter, objects, kind, by_hand)),
        None => output,
    })
}

fn versioned(list: Json) -> (Option<u64>, Objects) {
    let version = list["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok());
    (version, watch::objects(list))
}

/// Sends, and keeps both sides as evidence.
async fn ask(
    cx: &StepContext<'_>,
    cluster: &Cluster,
    method: &Method,
    path: &str,
    body: Option<(&str, &Json)>,
) -> Result<Answer, StepError> {
    let sent = body.map(|(kind, json)| format!("\ncontent-type: {kind}\n\n{}", shown(json))).unwrap_or_default();
    cx.note(EvidenceKind::Request, format!("{method} {path}{sent}"));
    cx.depart();
    let answer = cluster.ask(method, path, body).await;
    match &answer {
        Ok(a) => {
            if a.json["kind"] == "Secret" {
                note_secrets(cx, std::iter::once(&Value::from(a.json.clone())));
            }
            cx.note(EvidenceKind::Response, format!("{}\n{}", a.code, shown(&a.json)));
        }
        // The path is not served any more: the next look asks what is.
        Err(StepError::Invalid(_)) => cluster.forget().await,
        Err(_) => {}
    }
    answer
}

/// `plural.group/name`, rendered and looked up.
async fn named(cx: &StepContext<'_>, cluster: &Cluster, t: &Template) -> Result<(Arc<Kind>, String), StepError> {
    let text = cx.render_text(t)?;
    let Some((what, name)) = text.split_once('/') else {
        return Err(StepError::Invalid(format!("`{text}` names no object; write `plural.group/name`")));
    };
    let name = word(name, "the name of an object")?;
    let kind = cluster.find(|c: &Catalog| c.find(what), |c| c.unknown(what)).await?;
    Ok((kind, name))
}

/// A part of a path. Anything else than what Kubernetes allows in names would ask for something else than it says.
fn word(text: &str, what: &str) -> Result<String, StepError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:@~".contains(c);
    if text.is_empty() || text == "." || text == ".." || !text.chars().all(plain) {
        return Err(StepError::Invalid(format!("`{text}` cannot be {what}")));
    }
    Ok(text.to_string())
}

fn with_query(path: &str, labels: &str, fields: &str) -> String {
    let parts = [("labelSelector", labels), ("fieldSelector", fields)];
    let query: Vec<String> =
        parts.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k}={}", watch::encoded(v))).collect();
    if query.is_empty() { path.to_string() } else { format!("{path}?{}", query.join("&")) }
}

fn pairs(cx: &StepContext<'_>, pairs: &[(String, crate::expr::Tree)]) -> Result<Vec<(String, String)>, StepError> {
    pairs.iter().map(|(k, v)| Ok((k.clone(), cx.render_tree(v)?.to_string()))).collect()
}

fn output(found: impl Into<Value>, object: Value, items: Value, error: Value) -> Value {
    Value::map([
        ("found".to_string(), found.into()),
        ("object".to_string(), object),
        ("items".to_string(), items),
        ("error".to_string(), error),
    ])
}

/// What a list saw.
pub fn items<'a>(objects: impl Iterator<Item = &'a Value>) -> Value {
    let all: Vec<Value> = objects.cloned().collect();
    output(!all.is_empty(), Value::Null, Value::list(all), Value::Null)
}

/// What a look at one object saw. Where it is not there, `error` is what the server says to a GET of it.
pub fn single(kind: &Kind, filter: &Filter, objects: &Objects) -> Value {
    if let Some(object) = objects.values().next() {
        return output(true, object.clone(), Value::Null, Value::Null);
    }
    let name = filter.name.clone().unwrap_or_default();
    let details = if kind.group.is_empty() {
        json!({ "name": name, "kind": kind.plural })
    } else {
        json!({ "name": name, "group": kind.group, "kind": kind.plural })
    };
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{} \"{name}\" not found", kind.resource()), "reason": "NotFound", "details": details, "code": 404 });
    output(false, Value::Null, Value::Null, Value::from(status))
}

/// What was asked about one object.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Read,
    Create,
    Change,
}

/// The answer to a request about one object. Whoever may not look does not know: `found` is then neither yes nor no, so that
/// `found: false` is not proved by a 403.
fn one(answer: Answer, asked: Asked) -> Value {
    if answer.refused() {
        let known = match asked {
            Asked::Read => answer.code == 404,
            Asked::Create => true,
            Asked::Change => answer.code != 403,
        };
        return refusal(&answer, if known { Value::Bool(false) } else { Value::Null });
    }
    // A deletion is answered with a Status, or with the object while finalizers hold it.
    let object = if answer.json["kind"] == "Status" { Value::Null } else { Value::from(answer.json) };
    output(true, object, Value::Null, Value::Null)
}

fn refusal(answer: &Answer, found: Value) -> Value {
    output(found, Value::Null, Value::Null, Value::from(answer.json.clone()))
}

/// What a Secret holds is masked from here on.
pub fn note_secrets<'a>(cx: &StepContext<'_>, objects: impl Iterator<Item = &'a Value>) {
    for object in objects.filter(|o| o.get("kind").and_then(Value::as_str) == Some("Secret")) {
        for (name, value) in object.get("data").and_then(Value::as_map).into_iter().flatten() {
            let bytes = value.as_str().and_then(|v| STANDARD.decode(v).ok());
            if let Some(text) = bytes.and_then(|b| String::from_utf8(b).ok()) {
                cx.secrets.add(name, &text);
            }
        }
    }
}

/// JSON for people, no longer than what is kept.
pub fn shown(json: &Json) -> String {
    struct Most(Vec<u8>);
    impl std::io::Write for Most {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.len() > SHOWN {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut out = Most(vec![]);
    let cut = serde_json::to_writer_pretty(&mut out, json).is_err();
    let text = String::from_utf8_lossy(&out.0).into_owned();
    if cut { format!("{text}\n… (cut)") } else { text }
}
