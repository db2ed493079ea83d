//! The target: an address that lives as long as the run, and the boxes behind it. Each box has a path that nobody can guess, so
//! boxes of different cases never meet.
use super::{
    mailbox::{Mailbox, READABLE},
    probe,
    script::Reply,
    server,
    signature::Signature,
    tls,
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body, Need, ProbeResult, RunInfo, Target, TargetSpec},
    expr::{Expression, Scope, Template},
    source::Source,
    value::Value,
    yaml::{self, Kind, Node},
};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(super) struct Spec {
    listen: Template,
    public: Option<Template>,
    tls: Option<tls::Files>,
    signature: Option<Signature>,
    id: Option<Expression>,
}

impl Spec {
    /// `webhook: ADDRESS` with its settings beside it, or `webhook: { listen: ADDRESS, … }` with its settings within.
    pub fn compile(body: &mut Body<'_>) -> Option<Spec> {
        let errors = body.problems.errors();
        let inner = body.get("webhook").filter(|n| matches!(n.kind, Kind::Map(_))).cloned();
        let spec = match inner {
            Some(node) => {
                body.keys(&["webhook"]);
                Spec::settings(&mut body.part(&node), "listen")
            }
            None => Spec::settings(body, "webhook"),
        }?;
        (body.problems.errors() == errors).then_some(spec)
    }

    fn settings(body: &mut Body<'_>, key: &'static str) -> Option<Spec> {
        body.keys(&[key, "public_url", "tls", "signature", "id"]);
        let public = body.template("public_url");
        let tls = tls::Files::compile(body);
        let signature = Signature::compile(body);
        let id = match body.get("id").cloned() {
            Some(node) => id(&node, body),
            None => signature.as_ref().and_then(Signature::id).and_then(known),
        };
        for (key, right) in [(key, is_address as fn(&str) -> bool), ("public_url", is_url)] {
            let Some(node) = body.get(key).cloned() else { continue };
            if let Some(text) = node.as_str().filter(|t| !t.contains("${") && !right(t)) {
                let (code, what) = if key == "public_url" {
                    ("invalid-url", "`http://` URL")
                } else {
                    ("invalid-address", "address to listen on")
                };
                let d = Diagnostic::error(code, &node.span, format!("`{text}` is no {what}"));
                body.problem(if code == "invalid-url" {
                    d
                } else {
                    d.help("for example `0.0.0.0:9000`; port 0 takes a free one")
                });
            }
        }
        if body.get(key).is_none() {
            body.missing(key);
        }
        Some(Spec { listen: body.template(key)?, public, tls, signature, id })
    }
}

/// An expression over a delivery that tells which one it is.
fn id(node: &Node, body: &mut Body<'_>) -> Option<Expression> {
    let Some(text) = node.as_str() else {
        let d =
            Diagnostic::error("wrong-type", &node.span, format!("an expression is needed here, not {}", node.what()));
        body.problem(d.help("for example `body.id`, or `'headers[\"x-event-id\"]'`"));
        return None;
    };
    let expression =
        Expression::compile(node, 0..text.len()).map_err(|all| all.into_iter().for_each(|d| body.problem(d))).ok()?;
    for read in expression.references() {
        if !READABLE.contains(&read.root.as_str()) {
            let d = Diagnostic::error("undefined-name", &read.span, format!("a delivery has no `{}`", read.root));
            body.problem(d.suggest(&read.root, READABLE));
        }
    }
    Some(expression)
}

/// One of ours.
fn known(text: &str) -> Option<Expression> {
    let node = yaml::parse(&Arc::new(Source { name: "id".into(), text: format!("'{text}'") })).ok()?;
    Expression::compile(&node, 0..text.len()).ok()
}

fn is_address(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok()
        || text.rsplit_once(':').is_some_and(|(host, port)| {
            port.parse::<u16>().is_ok() && !host.is_empty() && !host.contains([':', '/']) && host != "http"
        })
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|s| text.strip_prefix(s).is_some_and(|rest| !rest.is_empty()))
}

#[async_trait]
impl TargetSpec for Spec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        let listen = self.listen.render_text(scope)?;
        let why = |e: std::io::Error| ActionError::Unreachable(format!("the inbox cannot listen on {listen}: {e}"));
        let listener = TcpListener::bind(&listen).await.map_err(why)?;
        let bound = listener.local_addr().map_err(why)?;
        let tls = self.tls.as_ref().map(|files| files.acceptor(run, scope)).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let public = match &self.public {
            Some(t) => t.render_text(scope)?,
            // an address that means "all of mine" is none to which anybody could deliver
            None if bound.ip().is_unspecified() => format!("{scheme}://127.0.0.1:{}", bound.port()),
            None => format!("{scheme}://{bound}"),
        };
        if !is_url(&public) {
            return Err(ActionError::Invalid(format!("`public_url` gave `{public}`, which is no `http://` URL")));
        }
        let (boxes, stop) = (Arc::new(Boxes::new()), CancellationToken::new());
        let (speaks_tls, public) = (tls.is_some(), public.trim_end_matches('/').to_string());
        server::serve(listener, tls, boxes.clone(), stop.clone()).map_err(why)?;
        Ok(Arc::new(Inbox {
            run: run.id.clone(),
            bound,
            tls: speaks_tls,
            public,
            signature: self.signature.clone(),
            id: self.id.clone(),
            boxes,
            stop,
        }))
    }

    fn address(&self) -> String {
        self.public.as_ref().unwrap_or(&self.listen).source()
    }
}

pub(super) struct Inbox {
    run: String,
    pub bound: SocketAddr,
    pub tls: bool,
    /// How the product reaches it, without a `/` at the end.
    pub public: String,
    signature: Option<Signature>,
    id: Option<Expression>,
    pub boxes: Arc<Boxes>,
    stop: CancellationToken,
}

#[async_trait]
impl Target for Inbox {
    async fn close(&self) {
        self.stop.cancel();
    }

    async fn probe(&self, _: &[Need], _: &Scope) -> Vec<ProbeResult> {
        probe::probe(self).await
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Inbox {
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// The URL of a new box. The same action may open it again, as when its case is run again: then it is a new box.
    pub fn open(
        &self,
        cx: &ActionContext<'_>,
        name: &str,
        script: Vec<Reply>,
        about: Option<Value>,
    ) -> Result<String, ActionError> {
        let case = cx.address.case();
        let path = format!("{}-{}-{}-{}", plain(&self.run), plain(case), plain(name), uuid::Uuid::new_v4().simple());
        let mailbox = Arc::new(Mailbox::new(cx.address.clone(), path.clone(), script, about, self.id.clone()));
        let mut known = self.boxes.known.lock().unwrap_or_else(|e| e.into_inner());
        let key = (case.to_string(), name.to_string());
        if known.by_name.get(&key).is_some_and(|m| m.by != *cx.address) {
            return Err(ActionError::Invalid(format!("the box `{name}` is open already; a case opens each box once")));
        }
        known.by_path.insert(mailbox.path.clone(), mailbox.clone());
        known.by_name.insert(key, mailbox);
        Ok(format!("{}/{path}", self.public))
    }

    pub fn find(&self, cx: &ActionContext<'_>, name: &str) -> Result<Arc<Mailbox>, ActionError> {
        let case = cx.address.case();
        let known = self.boxes.known.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(mailbox) = known.by_name.get(&(case.to_string(), name.to_string())) {
            return Ok(mailbox.clone());
        }
        let mut open: Vec<_> = known.by_name.keys().filter(|(c, _)| c == case).map(|(_, n)| format!("`{n}`")).collect();
        open.sort();
        let open = if open.is_empty() { "no box".into() } else { open.join(", ") };
        Err(ActionError::Invalid(format!("the box `{name}` was never opened; this case has opened {open}")))
    }
}

pub(super) struct Boxes {
    known: Mutex<Known>,
    strays: Mutex<(usize, String)>,
    reached: AtomicU64,
    /// A path that only this inbox answers, and with what.
    own: (String, String),
}

#[derive(Default)]
struct Known {
    by_path: HashMap<String, Arc<Mailbox>>,
    by_name: HashMap<(String, String), Arc<Mailbox>>,
}

impl Boxes {
    fn new() -> Boxes {
        let unique = || uuid::Uuid::new_v4().simple().to_string();
        Boxes {
            known: Mutex::default(),
            strays: Mutex::default(),
            reached: AtomicU64::new(0),
            own: (unique(), unique()),
        }
    }

    /// The box that a path leads to, and what stands behind it. Whatever leads to this inbox may have a path of its own before it.
    pub fn at<'p>(&self, path: &'p str) -> Option<(Arc<Mailbox>, &'p str)> {
        let known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        let mut rest = path;
        while let Some(start) = rest.find(|c| c != '/') {
            let segments = &rest[start..];
            let (segment, behind) = segments.split_at(segments.find('/').unwrap_or(segments.len()));
            if let Some(mailbox) = known.by_path.get(segment) {
                return Some((mailbox.clone(), behind));
            }
            rest = behind;
        }
        None
    }

    /// A path that only this inbox answers, and with what.
    pub fn own(&self) -> (&str, &str) {
        (&self.own.0, &self.own.1)
    }

    /// What is answered to whoever asks for that path.
    pub fn knock(&self, path: &str) -> Option<String> {
        path.split('/').any(|segment| segment == self.own.0).then(|| self.own.1.clone())
    }

    /// Somebody came to a box, whoever it was for.
    pub fn reach(&self) {
        self.reached.fetch_add(1, Ordering::SeqCst);
    }

    /// How many came to a box so far.
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::SeqCst)
    }

    /// Somebody came and got to no box.
    pub fn stray(&self, why: String) {
        let mut strays = self.strays.lock().unwrap_or_else(|e| e.into_inner());
        *strays = (strays.0 + 1, why);
    }

    /// How many came and got to no box, and why the last one did not.
    pub fn strays(&self) -> (usize, String) {
        self.strays.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// Fit for a path: what is no letter or digit becomes `-`.
fn plain(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}
