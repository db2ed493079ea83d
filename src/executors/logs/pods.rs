//! Reads container logs from the cluster: `GET …/pods/NAME/log`. Splits the cluster's time from each line.
use super::{
    text::{self, Encoding},
    types::{Cursor, LogLines, Restarts, cut, empty},
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, ProbeResult, RunInfo, limits},
    executors::apiserver::{
        AccessSpec, ApiClient, kubectl, path_segment, percent_encoded,
        probe::{ResourceAttributes, check_connection, check_permission},
    },
    expr::{Scope, Template},
    language::{Key, Shape},
    value::Value,
};
use futures::future::join_all;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// What a line takes in memory beside its text.
const LINE_BYTES: usize = 600;

/// Beside those of the cluster.
pub const KEYS: &[Key] = &[
    Key::new("k8s", Shape::Text),
    Key::new("container", Shape::Name).means("one container of the pods"),
    Key::new("previous", Shape::Bool).means("reads the container before its last restart"),
];

pub struct PodsSpec {
    access: AccessSpec,
    selector: Template,
    container: Option<Template>,
    previous: bool,
}

impl PodsSpec {
    /// Reads `{ k8s: app=web, container: NAME, previous: true, kubeconfig: …, context: …, namespace: … }`.
    pub fn compile(body: &mut Body<'_>) -> Option<PodsSpec> {
        body.only(&[KEYS, &AccessSpec::KEYS]).then_some(())?;
        let selector = body.checked_template("k8s", |text, span| {
            PodSelector::parse(text).err().map(|e| Diagnostic::error("wrong-type", span, e.to_string()))
        });
        let previous = body.literal("previous", "`true` or `false`").unwrap_or(false);
        let (access, container) = (AccessSpec::compile(body, limits::LOG_BYTES), body.template("container"));
        Some(PodsSpec { access, selector: selector?, container, previous })
    }

    pub async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Pods, ActionError> {
        let selector = PodSelector::parse(&self.selector.render_text(scope)?)?;
        let container = self.container.as_ref().map(|t| path_segment(&t.render_text(scope)?, "a container"));
        let container = container.transpose()?;
        Ok(Pods { api: self.access.connect(run, scope).await?, selector, container, previous: self.previous })
    }

    pub fn address(&self, scope: &Scope) -> String {
        format!("pods {} of {}", self.selector.render_known(scope), self.access.address(scope))
    }
}

enum PodSelector {
    Name(String),
    Labels(String),
}

impl PodSelector {
    /// # Errors
    /// `Invalid`.
    fn parse(text: &str) -> Result<PodSelector, ActionError> {
        match text.split_once('/') {
            Some(("pod" | "pods" | "po", name)) => path_segment(name, "the name of a pod").map(PodSelector::Name),
            // The name of a label can contain a slash too: `app.kubernetes.io/name=web`.
            _ if text.contains(['=', '(', '!']) => Ok(PodSelector::Labels(text.to_string())),
            _ => Err(ActionError::Invalid(format!("expected pods as `app=web` or `pods/web-0`, found `{text}`"))),
        }
    }
}

pub struct Pods {
    api: ApiClient,
    selector: PodSelector,
    /// `None` for all containers of a pod except init containers.
    container: Option<String>,
    previous: bool,
}

/// A container in a pod. The state is unknown without permission to list pods.
struct Container {
    pod: String,
    name: String,
    restarts: Option<i64>,
    /// When it ended before its last restart.
    ended_before: Option<Timestamp>,
    is_running: bool,
}

impl Container {
    fn of(pod: &Json, name: &str) -> Container {
        let statuses = pod["status"]["containerStatuses"].as_array();
        let status = statuses.into_iter().flatten().find(|s| s["name"] == name).unwrap_or(&Json::Null);
        let ended = status["lastState"]["terminated"]["finishedAt"].as_str();
        Container {
            pod: pod["metadata"]["name"].as_str().unwrap_or_default().into(),
            name: name.into(),
            restarts: status["restartCount"].as_i64(),
            ended_before: ended.and_then(|t| t.parse().ok()),
            is_running: status["state"]["terminated"].is_null(),
        }
    }
}

impl Pods {
    /// Reads the lines of all containers, sorted by time. `last` are the restarts as first seen.
    ///
    /// # Errors
    /// `Unreachable` if there are no pods, or no container has a log.
    pub async fn read(
        &self,
        since: Option<Timestamp>,
        tail: Option<usize>,
        last: Option<&Restarts>,
    ) -> Result<LogLines, ActionError> {
        let containers = self.containers().await?;
        let limit = self.api.limit / containers.len();
        let paths: Vec<String> = containers.iter().map(|c| self.log_path(c, since, tail, limit)).collect();
        let responses = join_all(paths.iter().map(|path| self.api.get_bytes(path))).await;
        let (restarts, mut missing) = self.lost(&containers, since, last);
        let (mut found, mut failures, mut texts) = (vec![], vec![], vec![]);
        for (container, response) in containers.iter().zip(responses) {
            match response? {
                Ok(bytes) => texts.push((container, bytes)),
                Err(e) => {
                    failures.push(format!(
                        "no log of {}/{} ({}): {}",
                        container.pod,
                        container.name,
                        e.status,
                        e.message()
                    ));
                }
            }
        }
        if texts.is_empty() {
            return Err(ActionError::Unreachable(failures.join("; ")));
        }
        missing.extend(failures);
        for (container, bytes) in texts {
            let Container { pod, name, .. } = container;
            let is_cut = bytes.len() >= limit;
            let (text, problem) = Encoding::Utf8.decode(&bytes);
            let mut lines: Vec<&str> = text::lines(&text).collect();
            if Encoding::Utf8.is_unfinished(&bytes) && (is_cut || (container.is_running && !self.previous)) {
                lines.pop();
                missing.push(format!("the last line of {pod}/{name} has no line ending: it may not be complete yet"));
            }
            let problems = is_cut.then(|| cut(limit)).into_iter().chain(problem);
            let problems = problems.chain(text::zero_bytes(lines.iter().copied()));
            missing.extend(problems.map(|problem| format!("{pod}/{name}: {problem}")));
            for line in lines {
                let (at, text) = split_time(line);
                // The cluster's `sinceTime` has no fractions of a second.
                if at.is_none_or(|at| since.is_none_or(|since| at >= since)) {
                    found.push((at, container, text.to_string()));
                }
            }
        }
        found.sort_by_key(|(at, ..)| *at);
        let mut room = limits::line_bytes(self.api.limit);
        let fits = |(.., text): &&(Option<Timestamp>, &Container, String)| {
            let left = room.checked_sub(LINE_BYTES + text.len());
            room = left.unwrap_or(room);
            left.is_some()
        };
        let count = found.iter().rev().take(tail.unwrap_or(usize::MAX)).take_while(fits).count();
        if count < found.len().min(tail.unwrap_or(usize::MAX)) {
            missing.push(cut(self.api.limit));
        }
        let from = found.len() - count;
        let line = |(at, container, text): (Option<Timestamp>, &Container, String)| {
            Value::map([
                ("at".to_string(), at.map_or(Value::Null, Value::Time)),
                ("text".to_string(), Value::from(text)),
                ("pod".to_string(), Value::text(&container.pod)),
                ("container".to_string(), Value::text(&container.name)),
            ])
        };
        let lines: Vec<Value> = found.into_iter().skip(from).map(line).collect();
        missing.extend(lines.is_empty().then(|| empty(since)));
        Ok(LogLines { lines, missing, cursor: Cursor::Pods(restarts) })
    }

    /// The restarts of each container, and which logs were lost: the cluster gives only that of the running container.
    fn lost(&self, all: &[Container], since: Option<Timestamp>, last: Option<&Restarts>) -> (Restarts, Vec<String>) {
        let key = |c: &Container| (c.pod.clone(), c.name.clone());
        let now: Restarts = all.iter().filter_map(|c| Some((key(c), c.restarts?))).collect();
        if self.previous {
            return (now, vec![]);
        }
        let ended = |c: &&Container| since.is_some_and(|since| c.ended_before.is_some_and(|t| t >= since));
        let restarted = all.iter().filter(ended).map(key);
        let changed = last.into_iter().flatten().filter(|(key, restarts)| now.get(*key) != Some(*restarts));
        let lost: BTreeSet<_> = restarted.chain(changed.map(|(key, _)| key.clone())).collect();
        let reason =
            |(pod, name)| format!("{pod}/{name} was restarted or deleted: the lines before are not in its log");
        // What was seen first stays, so that a loss is reported at each further attempt.
        let seen = now.into_iter().chain(last.into_iter().flatten().map(|(key, n)| (key.clone(), *n))).collect();
        (seen, lost.into_iter().map(reason).collect())
    }

    async fn containers(&self) -> Result<Vec<Container>, ActionError> {
        let namespace = &self.api.namespace;
        let base = format!("/api/v1/namespaces/{namespace}/pods");
        let path = match (&self.selector, &self.container) {
            // Works without permission to list pods.
            (PodSelector::Name(pod), Some(name)) => {
                return Ok(vec![Container::of(&json!({ "metadata": { "name": pod } }), name)]);
            }
            (PodSelector::Name(pod), None) => {
                format!("{base}?fieldSelector={}", percent_encoded(&format!("metadata.name={pod}")))
            }
            (PodSelector::Labels(labels), _) => format!("{base}?labelSelector={}", percent_encoded(labels)),
        };
        let response = self.api.request(&Method::GET, &path, None).await?;
        if response.is_error() {
            let why = response.message();
            return Err(ActionError::Unreachable(format!("cannot list the pods of namespace `{namespace}`: {why}")));
        }
        let mut containers = vec![];
        for pod in response.json["items"].as_array().into_iter().flatten() {
            match &self.container {
                Some(name) => containers.push(Container::of(pod, name)),
                None => {
                    let all = pod["spec"]["containers"].as_array().into_iter().flatten();
                    containers.extend(all.filter_map(|c| c["name"].as_str()).map(|name| Container::of(pod, name)));
                }
            }
        }
        if containers.is_empty() {
            let pods = match &self.selector {
                PodSelector::Name(pod) => format!("pod `{pod}` not found"),
                PodSelector::Labels(labels) => format!("no pods with `{labels}` found"),
            };
            return Err(ActionError::Unreachable(format!("{pods} in namespace `{namespace}`")));
        }
        Ok(containers)
    }

    fn log_path(&self, container: &Container, since: Option<Timestamp>, tail: Option<usize>, limit: usize) -> String {
        let Container { pod, name, .. } = container;
        let mut path = format!(
            "/api/v1/namespaces/{}/pods/{pod}/log?container={name}&timestamps=true&limitBytes={limit}",
            self.api.namespace
        );
        if self.previous {
            path.push_str("&previous=true");
        }
        if let Some(since) = since.and_then(|t| Timestamp::from_second(t.as_second()).ok()) {
            path.push_str(&format!("&sinceTime={}", percent_encoded(&since.to_string())));
        }
        if let Some(tail) = tail {
            path.push_str(&format!("&tailLines={tail}"));
        }
        path
    }

    pub fn kubectl_command(&self, since: Option<Timestamp>, tail: Option<usize>) -> String {
        let mut args = vec!["logs".to_string()];
        match &self.selector {
            PodSelector::Name(pod) => args.push(pod.clone()),
            // With a selector, kubectl's default is the last ten lines.
            PodSelector::Labels(labels) => {
                args.extend(["-l".into(), labels.clone(), "--prefix".into()]);
                args.extend(tail.is_none().then(|| "--tail=-1".to_string()));
            }
        }
        args.push(self.container.as_ref().map_or("--all-containers".into(), |c| format!("--container={c}")));
        args.push("--timestamps".into());
        args.extend(self.previous.then(|| "--previous".to_string()));
        args.extend(since.map(|s| format!("--since-time={s}")));
        args.extend(tail.map(|n| format!("--tail={n}")));
        args.extend(["-n".into(), self.api.namespace.clone()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        kubectl::command_line(&args, &self.api.kubectl_flags)
    }

    pub async fn probe(&self) -> Vec<ProbeResult> {
        let mut results = match check_connection(&self.api).await {
            Ok(results) => results,
            Err(results) => return results,
        };
        let lists_pods = !matches!((&self.selector, &self.container), (PodSelector::Name(_), Some(_)));
        let namespace = &self.api.namespace;
        for (verb, subresource) in [("list", ""), ("get", "log")] {
            if verb == "list" && !lists_pods {
                continue;
            }
            let resource = if subresource.is_empty() { "pods" } else { "pods/log" };
            let attributes = ResourceAttributes {
                group: String::new(),
                plural: "pods".into(),
                subresource: subresource.into(),
                namespace: namespace.clone(),
            };
            let tried = format!("{verb} {resource} in namespace `{namespace}`");
            results.push(check_permission(&self.api, tried, &attributes, &[(verb, true)].into(), "").await);
        }
        results
    }
}

/// Splits the cluster's time from a line.
fn split_time(line: &str) -> (Option<Timestamp>, &str) {
    match line.split_once(' ') {
        Some((at, text)) => at.parse().map_or((None, line), |at| (Some(at), text)),
        // An empty line.
        None => line.parse().map_or((None, line), |at| (Some(at), "")),
    }
}
