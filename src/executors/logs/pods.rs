//! Lines that containers have written, as the cluster keeps them: `GET …/pods/NAME/log`. Knows no line but for the time that the
//! cluster puts before each.
use super::place::{LARGEST, Taken};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, ProbeResult, RunInfo},
    executors::apiserver::{
        Access, Answer, Api, encoded, kubectl,
        probe::{Resource, allowed, way},
        word,
    },
    expr::{Scope, Template},
    value::Value,
    yaml::Kind,
};
use futures::future::join_all;
use http::Method;
use jiff::Timestamp;

pub struct Spec {
    access: Access,
    which: Template,
    container: Option<Template>,
    previous: bool,
}

impl Spec {
    /// Reads `{ k8s: app=web, container: NAME, previous: true, kubeconfig: …, context: …, namespace: … }`.
    pub fn compile(body: &mut Body<'_>) -> Option<Spec> {
        let own = ["k8s", "container", "previous"];
        let known: Vec<&str> = own.into_iter().chain(Access::KEYS).collect();
        body.keys(&known).then_some(())?;
        let which = body.template("k8s");
        if let (Some(text), Some(node)) = (which.as_ref().and_then(Template::as_literal), body.get("k8s").cloned())
            && let Err(why) = Which::of(text)
        {
            body.problem(Diagnostic::error("wrong-type", &node.span, why).help("write `app=web`, or `pods/web-0`"));
        }
        let previous = match body.get("previous").cloned() {
            None => false,
            Some(node) => match node.kind {
                Kind::Bool(b) => b,
                _ => {
                    let message = "`previous` must be `true` or `false`";
                    body.problem(Diagnostic::error("wrong-type", &node.span, message));
                    false
                }
            },
        };
        Some(Spec { access: Access::read(body), container: body.template("container"), which: which?, previous })
    }

    pub async fn open(&self, run: &RunInfo, scope: &Scope) -> Result<Pods, ActionError> {
        let which = Which::of(&self.which.render_text(scope)?).map_err(ActionError::Invalid)?;
        let container = self.container.as_ref().map(|t| word(&t.render_text(scope)?, "a container")).transpose()?;
        Ok(Pods { api: self.access.open(run, scope).await?, which, container, previous: self.previous })
    }

    pub fn address(&self) -> String {
        format!("pods {} of {}", self.which.source(), self.access.address())
    }
}

enum Which {
    Pod(String),
    Labels(String),
}

impl Which {
    fn of(text: &str) -> Result<Which, String> {
        match text.split_once('/') {
            Some(("pod" | "pods" | "po", name)) => {
                word(name, "the name of a pod").map(Which::Pod).map_err(|e| e.to_string())
            }
            // The first part of a label can hold a slash too: `app.kubernetes.io/name=web`.
            _ if text.contains(['=', '(', '!']) => Ok(Which::Labels(text.to_string())),
            _ => Err(format!("`{text}` names no pods")),
        }
    }
}

pub struct Pods {
    api: Api,
    which: Which,
    /// All of a pod's, but those that only prepare it, where none is named.
    container: Option<String>,
    previous: bool,
}

/// A pod and one of its containers.
type Source = (String, String);

impl Pods {
    /// The lines of all containers in the order of their times. A container that has none (yet) is a note, unless all have none.
    ///
    /// # Errors
    /// `Unreachable` where no pod is there, and where the cluster gives no line of any.
    pub async fn read(&self, since: Option<Timestamp>, tail: Option<usize>) -> Result<Taken, ActionError> {
        let sources = self.sources().await?;
        let answers = join_all(sources.iter().map(|s| self.log(s, since, tail))).await;
        let (mut found, mut notes, mut read) = (vec![], vec![], 0);
        for ((pod, container), answer) in sources.iter().zip(answers) {
            let bytes = match answer? {
                Ok(bytes) => bytes,
                Err(refusal) => {
                    notes.push(format!("no log of {pod}/{container} ({}): {}", refusal.code, refusal.message()));
                    continue;
                }
            };
            read += 1;
            if bytes.len() as u64 >= LARGEST {
                notes
                    .push(format!("the log of {pod}/{container} is longer than 64 MiB: only that much of it was read"));
            }
            for line in String::from_utf8_lossy(&bytes).lines() {
                let (at, text) = timed(line);
                // The cluster selects by the second.
                if at.is_none_or(|at| since.is_none_or(|since| at >= since)) {
                    found.push((at, pod, container, text.to_string()));
                }
            }
        }
        if read == 0 {
            return Err(ActionError::Unreachable(notes.join("; ")));
        }
        found.sort_by_key(|(at, ..)| *at);
        let from = tail.map_or(0, |n| found.len().saturating_sub(n));
        let line = |(at, pod, container, text): (Option<Timestamp>, &String, &String, String)| {
            Value::map([
                ("at".to_string(), at.map_or(Value::Null, Value::Time)),
                ("text".to_string(), Value::from(text)),
                ("pod".to_string(), Value::text(pod)),
                ("container".to_string(), Value::text(container)),
            ])
        };
        Ok(Taken { lines: found.into_iter().skip(from).map(line).collect(), notes, state: None })
    }

    async fn log(
        &self,
        of: &Source,
        since: Option<Timestamp>,
        tail: Option<usize>,
    ) -> Result<Result<Vec<u8>, Answer>, ActionError> {
        self.api.text(&self.path(of, since, tail)).await
    }

    async fn sources(&self) -> Result<Vec<Source>, ActionError> {
        let base = format!("/api/v1/namespaces/{}/pods", self.api.namespace);
        let path = match &self.which {
            Which::Pod(name) => format!("{base}?fieldSelector={}", encoded(&format!("metadata.name={name}"))),
            Which::Labels(labels) => format!("{base}?labelSelector={}", encoded(labels)),
        };
        // Who names a pod and a container need not be allowed to list.
        if let (Which::Pod(pod), Some(container)) = (&self.which, &self.container) {
            return Ok(vec![(pod.clone(), container.clone())]);
        }
        let answer = self.api.ask(&Method::GET, &path, None).await?;
        let namespace = &self.api.namespace;
        if answer.refused() {
            let why = answer.message();
            return Err(ActionError::Unreachable(format!(
                "the pods of namespace `{namespace}` cannot be listed: {why}"
            )));
        }
        let mut sources = vec![];
        for pod in answer.json["items"].as_array().into_iter().flatten() {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_string();
            match &self.container {
                Some(container) => sources.push((name, container.clone())),
                None => {
                    let all = pod["spec"]["containers"].as_array().into_iter().flatten();
                    sources.extend(all.filter_map(|c| Some((name.clone(), c["name"].as_str()?.to_string()))));
                }
            }
        }
        if sources.is_empty() {
            let which = match &self.which {
                Which::Pod(name) => format!("there is no pod `{name}`"),
                Which::Labels(labels) => format!("there are no pods with `{labels}`"),
            };
            return Err(ActionError::Unreachable(format!("{which} in namespace `{namespace}`")));
        }
        Ok(sources)
    }

    fn path(&self, (pod, container): &Source, since: Option<Timestamp>, tail: Option<usize>) -> String {
        let mut path = format!(
            "/api/v1/namespaces/{}/pods/{pod}/log?container={container}&timestamps=true&limitBytes={LARGEST}",
            self.api.namespace
        );
        if self.previous {
            path.push_str("&previous=true");
        }
        if let Some(since) = since.and_then(whole_second) {
            path.push_str(&format!("&sinceTime={}", encoded(&since.to_string())));
        }
        if let Some(tail) = tail {
            path.push_str(&format!("&tailLines={tail}"));
        }
        path
    }

    pub fn line(&self, since: Option<Timestamp>, tail: Option<usize>) -> String {
        let mut words = vec!["logs".to_string()];
        match &self.which {
            Which::Pod(name) => words.push(name.clone()),
            // With a selector kubectl shows ten lines where nobody says how many.
            Which::Labels(labels) => {
                words.extend(["-l".into(), labels.clone(), "--prefix".into()]);
                words.extend(tail.is_none().then(|| "--tail=-1".to_string()));
            }
        }
        words.push(self.container.as_ref().map_or("--all-containers".into(), |c| format!("--container={c}")));
        words.push("--timestamps".into());
        words.extend(self.previous.then(|| "--previous".to_string()));
        words.extend(since.map(|s| format!("--since-time={s}")));
        words.extend(tail.map(|n| format!("--tail={n}")));
        words.extend(["-n".into(), self.api.namespace.clone()]);
        kubectl::line(&words.iter().map(String::as_str).collect::<Vec<_>>(), &self.api.flags)
    }

    pub async fn probe(&self) -> Vec<ProbeResult> {
        let mut out = match way(&self.api).await {
            Ok(found) => found,
            Err(found) => return found,
        };
        let lists = !matches!((&self.which, &self.container), (Which::Pod(_), Some(_)));
        for (part, verb) in [("", "list"), ("log", "get")] {
            let of = Resource {
                group: String::new(),
                plural: "pods".into(),
                part: part.into(),
                namespace: self.api.namespace.clone(),
            };
            let what = if part.is_empty() { "pods" } else { "pods/log" };
            let tried = format!("{verb} {what} in namespace `{}`", self.api.namespace);
            if verb == "get" || lists {
                out.push(allowed(&self.api, tried, &of, &[(verb, true)].into(), "").await);
            }
        }
        out
    }
}

/// The API takes no fractions.
fn whole_second(at: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(at.as_second()).ok()
}

/// The time that the cluster has put before a line, and the line.
fn timed(line: &str) -> (Option<Timestamp>, &str) {
    match line.split_once(' ') {
        Some((at, text)) => at.parse().map_or((None, line), |at| (Some(at), text)),
        // An empty line.
        None => line.parse().map_or((None, line), |at| (Some(at), "")),
    }
}
