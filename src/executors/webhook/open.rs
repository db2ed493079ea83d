//! `open: NAME`: creates a box and returns its URL.
use super::{
    filter::{self, DeliveryFilter},
    inbox::Inbox,
    replies::{self, Replies},
};
use crate::{
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Body, Output, Started},
    expr::Template,
    language::{Key, Shape},
    shell::shell_word,
    value::Value,
};
use async_trait::async_trait;
use std::time::Duration;

pub(super) const KEYS: &[Key] = &[
    Key::new("open", Shape::Name),
    Key::new(
        "replies",
        Shape::Either(&[Shape::List(&Shape::Either(&[Shape::Any, Shape::Keys(&[replies::KEYS])])), Shape::Placeholder]),
    ),
    Key::new("about", Shape::Keys(&[filter::KEYS])),
];

pub(super) struct Open {
    name: Template,
    replies: Replies,
    filter: DeliveryFilter,
}

impl Open {
    pub fn compile(body: &mut Body<'_>) -> Option<Open> {
        body.only(&[KEYS]);
        let (replies, filter) = (Replies::compile(body), DeliveryFilter::compile(body));
        Some(Open { name: body.template("open")?, replies, filter })
    }
}

#[async_trait]
impl Action for Open {
    fn fields(&self) -> &'static [&'static str] {
        &["url"]
    }

    fn summary(&self) -> String {
        format!("open {}", self.name.source())
    }

    fn changes(&self) -> bool {
        true
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let name = cx.render_text(&self.name)?;
        let url = cx.target::<Inbox>()?.open(cx, &name, self.replies.render(cx)?, self.filter.render(cx)?)?;
        cx.note(EvidenceKind::Note, format!("the box `{name}` has the URL {url}"));
        cx.note(EvidenceKind::Reproduce, format!("curl --data '{{}}' {}", shell_word(&url)));
        Ok(Output::new(Value::map([("url".into(), url.into())]), started))
    }

    /// A box is opened once, so the next observation is the same.
    async fn next(&self, _: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        tokio::time::sleep(pace).await;
        Ok(last.clone())
    }
}
