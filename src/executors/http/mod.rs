//! The verb `http`: a request and its answer, or the stream that begins with it. Owns the body, the target and how they are put
//! together. Must not know who judges
//! the answer: a `500` is an output like any other.
mod answer;
mod connection;
mod content;
mod curl;
mod departure;
mod exchange;
mod headers;
mod identity;
mod messages;
mod probe;
mod reach;
mod reading;
mod request;
mod send;
mod target;
#[cfg(test)]
mod tests;
mod tls;

use self::{request::Ask, target::HttpTarget};
use crate::{
    executor::{Action, ActionContext, ActionError, Body, Executor, Output, Started, TargetSpec},
    value::Value,
};
use async_trait::async_trait;
use reqwest::Method;
use std::time::Duration;

pub struct Http;

impl Executor for Http {
    fn verb(&self) -> &'static str {
        "http"
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/http.md")
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(Call(Ask::compile(body)?)))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(target::Spec::compile(body)?))
    }
}

struct Call(Ask);

#[async_trait]
impl Action for Call {
    fn fields(&self) -> &'static [&'static str] {
        self.0.reading.fields()
    }

    fn summary(&self) -> String {
        self.0.request.summary()
    }

    fn changes(&self) -> bool {
        !matches!(*self.0.request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
            || self.0.reading.says_something()
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let target = cx.target::<HttpTarget>()?;
        let prepared = self.0.render(cx, target).await?;
        send::send(cx, target, prepared, &self.0.reading, started).await
    }

    /// A stream goes on where the last look left it; one that is over is asked for again, as everything else is.
    async fn next(&self, cx: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        if let Some(watch) = &self.0.reading.stream
            && let Some(output) = messages::next(cx, watch, last, pace).await
        {
            return Ok(output);
        }
        tokio::time::sleep(pace).await;
        self.perform(cx).await
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

    fn no_response(&self) -> Option<Value> {
        Some(answer::silence(self.0.reading.fields()))
    }
}
