//! The verb `http`: one request, one answer. Owns the body, the target and how they are put together. Must not know who judges
//! the answer: a `500` is an output like any other.
mod curl;
mod departure;
mod headers;
mod request;
mod send;
mod target;
#[cfg(test)]
mod tests;

use self::{request::Request, target::HttpTarget};
use crate::{
    executor::{Action, Body, Executor, Output, Started, StepContext, StepError, TargetSpec},
    value::Value,
};
use async_trait::async_trait;
use reqwest::Method;

pub struct Http;

impl Executor for Http {
    fn verb(&self) -> &'static str {
        "http"
    }

    fn manual(&self) -> &'static str {
        include_str!("manual.md")
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(Call(Request::compile(body)?)))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(target::Spec::compile(body)?))
    }
}

struct Call(Request);

#[async_trait]
impl Action for Call {
    fn fields(&self) -> &'static [&'static str] {
        &["answered", "status", "headers", "body", "text", "timing"]
    }

    fn summary(&self) -> String {
        self.0.summary()
    }

    fn changes(&self) -> bool {
        !matches!(*self.0.method(), Method::GET | Method::HEAD | Method::OPTIONS)
    }

    async fn perform(&self, cx: &StepContext<'_>) -> Result<Output, StepError> {
        let started = Started::now();
        let target = cx.target::<HttpTarget>()?;
        let prepared = self.0.render(cx, target).await?;
        send::send(cx, target, prepared, started).await
    }

    fn silence(&self) -> Option<Value> {
        Some(send::silence())
    }
}
