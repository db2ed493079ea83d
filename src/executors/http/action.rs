//! The action of `http`: a request, its identity, and how the response is read.
use super::{
    authentication::{Exchange, SignedRequest},
    identity::AppliedCredentials,
    request::Request,
    response_options::ResponseOptions,
    send::send_and_read,
    stream,
    target::HttpTarget,
};
use crate::{
    diagnostic::Diagnostic,
    executor::{Action, ActionContext, ActionError, Body, Output, Started},
    expr::Template,
    language::{Key, Shape},
    value::Value,
};
use async_trait::async_trait;
use reqwest::{Method, header::HeaderValue};
use std::time::Duration;

pub(super) const KEYS: &[Key] = &[Key::new("identity", Shape::Name)];

pub(super) struct HttpAction {
    request: Request,
    identity: Option<Template>,
    options: ResponseOptions,
}

impl HttpAction {
    pub fn compile(body: &mut Body<'_>) -> Option<HttpAction> {
        let request = Request::compile(body, &[KEYS, &ResponseOptions::KEYS]);
        let identity = body.template("identity");
        let options = ResponseOptions::compile(body);
        let request = request?;
        if options.is_websocket() && request.method != Method::GET {
            let span = body.get("request")?.span.clone();
            let message = format!("`messages` opens a WebSocket, which needs `GET`, found `{}`", request.method);
            body.problem(Diagnostic::error("websocket-method", &span, message));
        }
        Some(HttpAction { request, identity, options })
    }

    /// Renders and signs the request. Headers of the plan override those of the identity.
    async fn render<'t>(
        &self,
        cx: &ActionContext<'_>,
        target: &'t HttpTarget,
    ) -> Result<SignedRequest<'t>, ActionError> {
        let identity = self.identity.as_ref().map(|t| cx.render_text(t)).transpose()?;
        let mut request = self.request.render(cx, &target.endpoint).await?;
        self.options.check_host(cx, &target.endpoint, &request.url)?;
        let identity = target.identity_for(identity.as_deref(), &request.url)?;
        let mut credentials = match identity {
            Some(identity) => identity.sign(cx, &target.endpoint, &mut request).await?,
            None => AppliedCredentials::default(),
        };
        if let Some(trace) = &cx.run.trace {
            let traceparent = HeaderValue::try_from(trace.traceparent()).ok();
            traceparent.and_then(|traceparent| request.headers.insert("traceparent", traceparent));
        }
        self.request.headers.apply_to(&mut request.headers, cx.scope)?;
        credentials.drop_overridden(&request.headers);
        for (name, value) in &request.headers {
            cx.secrets.add_field(name.as_str(), value.to_str().unwrap_or_default());
        }
        Ok(SignedRequest { request, identity, credentials })
    }
}

#[async_trait]
impl Action for HttpAction {
    fn fields(&self) -> &'static [&'static str] {
        self.options.fields()
    }

    fn summary(&self) -> String {
        self.request.summary()
    }

    fn changes(&self) -> bool {
        !matches!(self.request.method, Method::GET | Method::HEAD | Method::OPTIONS) || self.options.sends_messages()
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let target = cx.target::<HttpTarget>()?;
        let signed = self.render(cx, target).await?;
        send_and_read(Exchange::new(cx, &target.endpoint, &self.options, started), signed).await
    }

    /// Continues an open stream. Otherwise, sends the request again.
    async fn next(&self, cx: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        if let Some(options) = &self.options.stream
            && let Some(output) = stream::next(cx, options, last, pace).await
        {
            return Ok(output);
        }
        tokio::time::sleep(pace).await;
        self.perform(cx).await
    }

    fn implied(&self) -> Option<(&'static str, Value)> {
        Some(("answered", Value::Bool(true)))
    }

    fn without_object(&self, output: &Value) -> Option<Value> {
        let mut map = output.as_map()?.clone();
        if map.get("answered") != Some(&Value::Bool(true)) || map.get("status") == Some(&Value::Int(404)) {
            return None;
        }
        map.insert("status".into(), Value::Int(404));
        map.insert("body".into(), Value::Null);
        map.insert("text".into(), Value::text(""));
        Some(Value::from(map))
    }
}
