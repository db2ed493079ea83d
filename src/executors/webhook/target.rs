//! The target of `webhook`: an inbox that listens as long as the run lasts.
use super::{
    boxes::Boxes,
    inbox::Inbox,
    mailbox::READABLE_FIELDS,
    probe::probe,
    server::serve,
    signature::{self, Signature},
    tls::{self, TlsFiles},
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, Permission, ProbeResult, RunInfo, Target, TargetSpec, limits},
    expr::{Expression, Scope, Template},
    language::{Key, Shape},
    source::Source,
    yaml::{self, Node, wrong_type},
};
use async_trait::async_trait;
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const LISTEN: &[Key] = &[Key::new("listen", Shape::Text).required().means("address to listen on")];
const SETTINGS: &[Key] = &[
    Key::new("public_url", Shape::Text),
    Key::new("tls", Shape::Keys(&[tls::KEYS])),
    Key::new("signature", Shape::Either(&[signature::SCHEME, Shape::Keys(&[signature::KEYS])])),
    Key::new("id", Shape::Expression),
    Key::new("limit", Shape::Size),
];
const INBOX: Shape = Shape::Either(&[Shape::Text, Shape::Keys(&[LISTEN, SETTINGS])]);
pub(super) const KEYS: &[&[Key]] = &[&[Key::new("webhook", INBOX).required()], SETTINGS];

pub(super) struct InboxSpec {
    listen: Template,
    public_url: Option<Template>,
    tls: Option<TlsFiles>,
    signature: Option<Signature>,
    id: Option<Expression>,
    limit: usize,
}

impl InboxSpec {
    /// Compiles `webhook: ADDRESS` with settings beside it, or `webhook: { listen: ADDRESS, … }`.
    pub fn compile(body: &mut Body<'_>) -> Option<InboxSpec> {
        body.settings("webhook", "listen", |body, listen_key| {
            body.only(&[&[Key::new(listen_key, Shape::Text)], SETTINGS]);
            let public_url = body.checked_template("public_url", |text, span| {
                (!is_url(text)).then(|| Diagnostic::error("invalid-url", span, invalid_public_url(text)))
            });
            let tls = TlsFiles::compile(body);
            let signature = Signature::compile(body);
            let id = match body.get("id").cloned() {
                Some(node) => compile_id(&node, body),
                None => signature.as_ref().and_then(|s| s.scheme.id()).and_then(builtin_expression),
            };
            let limit = body.limit(limits::BOX_BYTES);
            body.required(listen_key);
            let listen = body.checked_template(listen_key, |text, span| {
                let message = format!("expected an address to listen on, found `{text}`");
                let d = Diagnostic::error("invalid-address", span, message);
                (!is_address(text)).then(|| d.help("for example `0.0.0.0:9000`; port 0 selects a free one"))
            })?;
            Some(InboxSpec { listen, public_url, tls, signature, id, limit })
        })
    }
}

fn invalid_public_url(text: &str) -> String {
    format!("expected an `http://` or `https://` URL in `public_url`, found `{text}`")
}

/// Compiles the expression for the id of a delivery.
fn compile_id(node: &Node, body: &mut Body<'_>) -> Option<Expression> {
    let Some(text) = node.as_str() else {
        let d = wrong_type(node, "an expression");
        body.problem(d.help("for example `body.id`, or `'headers[\"x-event-id\"]'`"));
        return None;
    };
    let expression =
        Expression::compile(node, 0..text.len()).map_err(|all| all.into_iter().for_each(|d| body.problem(d))).ok()?;
    for reference in expression.references() {
        if !READABLE_FIELDS.contains(&reference.root.as_str()) {
            let d = Diagnostic::error(
                "undefined-name",
                &reference.span,
                format!("deliveries have no field `{}`", reference.root),
            );
            body.problem(d.suggest(&reference.root, READABLE_FIELDS));
        }
    }
    Some(expression)
}

/// Compiles an expression that a signature scheme defines.
fn builtin_expression(text: &str) -> Option<Expression> {
    let node = yaml::parse(&Arc::new(Source::new("id", format!("'{text}'")))).ok()?;
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
impl TargetSpec for InboxSpec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        let listen = self.listen.render_text(scope)?;
        let failed = |e: std::io::Error| ActionError::Unreachable(format!("the inbox cannot listen on {listen}: {e}"));
        let listener = TcpListener::bind(&listen).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let tls = self.tls.as_ref().map(|files| files.acceptor(run, scope)).transpose()?;
        let has_tls = tls.is_some();
        let scheme = if has_tls { "https" } else { "http" };
        let public_url = match &self.public_url {
            Some(t) => t.render_text(scope)?,
            // `0.0.0.0` means all interfaces, and cannot be delivered to
            None if bound.ip().is_unspecified() => format!("{scheme}://127.0.0.1:{}", bound.port()),
            None => format!("{scheme}://{bound}"),
        };
        if !is_url(&public_url) {
            return Err(ActionError::Invalid(invalid_public_url(&public_url)));
        }
        let (boxes, stop) = (Arc::new(Boxes::new()), CancellationToken::new());
        serve(listener, tls, boxes.clone(), stop.clone()).map_err(failed)?;
        Ok(Arc::new(Inbox {
            run_id: run.id.clone(),
            bound,
            has_tls,
            public_url: public_url.trim_end_matches('/').to_string(),
            signature: self.signature.clone(),
            id: self.id.clone(),
            limit: self.limit,
            boxes,
            stop,
        }))
    }

    fn address(&self, scope: &Scope) -> String {
        self.public_url.as_ref().unwrap_or(&self.listen).render_known(scope)
    }
}

#[async_trait]
impl Target for Inbox {
    fn address(&self) -> Option<String> {
        Some(self.public_url.clone())
    }

    async fn close(&self) {
        self.stop.cancel();
    }

    async fn probe(&self, _: &[Permission], _: &Scope) -> Vec<ProbeResult> {
        probe(self).await
    }
}
