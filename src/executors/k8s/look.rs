//! Verbs that change nothing: `get`, `list`, `events`.
use super::{
    act::{ask, named, with_query},
    body::{K8sAction, List, Selection, Subresource},
    cluster::Cluster,
    kinds::Kind,
    next::{Cursor, Filter},
    output::{Asked, items, note_secrets, one, refusal, shown, single},
    selector::Labels,
    watch::{self, Objects},
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Output, Started},
    executors::apiserver::{Answer, kubectl},
    expr::{Template, Tree},
    value::Value,
};
use futures::{StreamExt, stream};
use http::Method;
use serde_json::Value as Json;
use std::sync::Arc;

/// How many lists of `list: "*"` are under way at once.
const SIDE_BY_SIDE: usize = 16;

impl K8sAction {
    /// A look at one object. It is a list of one: only a list says at which version an object was *not* there, and without that a
    /// watch cannot go on from here without telling old states as new.
    pub async fn get(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        of: &Template,
        subresource: Option<Subresource>,
        started: Started,
    ) -> Result<Output, ActionError> {
        let (kind, name) = named(cx, cluster, of).await?;
        let place = self.place(cx, cluster, &kind, None)?;
        let part = subresource.map(|s| format!("--subresource={}", s.word()));
        let mut words = vec!["get", &*place.resource, &*name];
        words.extend(place.flags());
        words.extend(part.as_deref());
        words.extend(["-o", "yaml"]);
        let by_hand = kubectl::line(&words, &cluster.api.flags);
        cx.note(EvidenceKind::Reproduce, &by_hand);
        let own = kind.path(&place.namespace, Some(&name));
        if let Some(part) = subresource {
            let answer = ask(cx, cluster, &Method::GET, &format!("{own}/{}", part.api()), None).await?;
            return Ok(Output::new(one(answer, Asked::Read), started));
        }
        let collection = kind.path(&place.namespace, None);
        let watch = cluster.watch(&collection, "");
        let _kept = watch.hold_from_here();
        let path = with_query(&collection, &[("fieldSelector", &format!("metadata.name={name}"))]);
        let answer = ask(cx, cluster, &Method::GET, &path, None).await?;
        if answer.refused() {
            // Whoever may not list may still be allowed to get; then looks are taken one by one.
            let answer = ask(cx, cluster, &Method::GET, &own, None).await?;
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

    pub async fn list(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        list: &List,
        started: Started,
    ) -> Result<Output, ActionError> {
        let labels = match &list.labels {
            None => Labels::default(),
            Some(Selection::Text(t)) => Labels::parse(&cx.render_text(t)?).map_err(ActionError::Invalid)?,
            Some(Selection::Pairs(p)) => Labels::from_pairs(pairs(cx, p)?).map_err(ActionError::Invalid)?,
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
            return Err(ActionError::Invalid("`owner` is empty; it is the uid of an object".into()));
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
        let by_hand = kubectl::line(&words, &cluster.api.flags);
        cx.note(EvidenceKind::Reproduce, &by_hand);
        let path = kind.path(&place.namespace, None);
        let watch = cluster.watch(&path, &fields);
        let _kept = watch.hold_from_here();
        let query = with_query(&path, &[("labelSelector", &selector), ("fieldSelector", &fields)]);
        let answer = ask(cx, cluster, &Method::GET, &query, None).await?;
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
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        filter: &Filter,
        fields: &str,
        started: Started,
    ) -> Result<Output, ActionError> {
        let catalog = cluster.catalog().await?;
        // Events are about objects, and metrics are measurements of them: neither is something that was made.
        let left_out = |k: &Kind| k.plural == "events" || k.group == "metrics.k8s.io";
        let listable = |k: &Kind| k.preferred && k.namespaced && k.verbs.iter().any(|v| v == "list") && !left_out(k);
        let kinds: Vec<Arc<Kind>> = catalog.kinds.iter().filter(|k| listable(k)).cloned().collect();
        let selector = filter.labels.to_string();
        let namespace = self.namespace(cx, cluster)?;
        let names = kinds.iter().map(|k| k.resource()).collect::<Vec<_>>().join(",");
        let mut words = vec!["get", &*names];
        words.extend(if namespace == "*" { vec!["-A"] } else { vec!["-n", &*namespace] });
        if !selector.is_empty() {
            words.extend(["-l", &selector]);
        }
        words.extend(["-o", "yaml"]);
        cx.note(EvidenceKind::Reproduce, kubectl::line(&words, &cluster.api.flags));
        cx.note(EvidenceKind::Request, format!("GET {} resources of namespace {namespace}: {names}", kinds.len()));
        cx.mark_sent();
        let within = if namespace == "*" { "" } else { &*namespace };
        let query = [("labelSelector", &*selector), ("fieldSelector", fields)];
        let requests: Vec<(usize, String)> =
            kinds.iter().map(|k| with_query(&k.path(within, None), &query)).enumerate().collect();
        let mut answers: Vec<(usize, Result<Answer, ActionError>)> = stream::iter(requests)
            .map(|(i, path)| async move { (i, cluster.api.ask(&Method::GET, &path, None).await) })
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
                Err(ActionError::Invalid(why)) => {
                    cluster.forget().await;
                    cx.note(EvidenceKind::Note, format!("left out {what}: {why}"));
                    continue;
                }
                other => other?,
            };
            if answer.refused() {
                let why = answer.message();
                if ![403, 404, 405].contains(&answer.code) {
                    return Err(ActionError::Invalid(format!("{what} cannot be listed ({}): {why}", answer.code)));
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

    pub async fn events(
        &self,
        cx: &ActionContext<'_>,
        cluster: &Cluster,
        of: Option<&Template>,
        started: Started,
    ) -> Result<Output, ActionError> {
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
        let about = kind.as_ref().filter(|k| !k.namespaced).map(|_| "default");
        let flags = about.map_or_else(|| place.flags(), |namespace| vec!["-n", namespace]);
        let fields = kind.as_ref().map(|k| format!("involvedObject.kind={},involvedObject.name={name}", k.kind));
        let fields = fields.unwrap_or_default();
        let selected = format!("--field-selector={fields}");
        let mut words = vec!["get", "events"];
        words.extend(flags);
        if !fields.is_empty() {
            words.push(&selected);
        }
        words.extend(["-o", "yaml"]);
        cx.note(EvidenceKind::Reproduce, kubectl::line(&words, &cluster.api.flags));
        let path = events.path(about.unwrap_or(&place.namespace), None);
        let path = with_query(&path, &[("fieldSelector", &fields)]);
        let answer = ask(cx, cluster, &Method::GET, &path, None).await?;
        if answer.refused() {
            return Ok(Output::new(refusal(&answer, Value::Null), started));
        }
        Ok(Output::new(items(watch::objects(answer.json).values()), started))
    }
}

fn versioned(list: Json) -> (Option<u64>, Objects) {
    let version = list["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok());
    (version, watch::objects(list))
}

fn pairs(cx: &ActionContext<'_>, pairs: &[(String, Tree)]) -> Result<Vec<(String, String)>, ActionError> {
    pairs.iter().map(|(k, v)| Ok((k.clone(), cx.render_tree(v)?.to_string()))).collect()
}
