//! The verb `webhook`: an inbox of our own, to which the product delivers. Owns the boxes, what they answer and what they received.
//! Must not know who delivers, nor judge a delivery.
mod inbox;
mod mailbox;
mod picture;
mod script;
mod server;
mod signature;
#[cfg(test)]
mod tests;

use self::{inbox::Inbox, picture::About, script::Script};
use crate::{
    diagnostic::Diagnostic,
    event::EvidenceKind,
    executor::{Action, Body, Executor, Output, Started, StepContext, StepError, TargetSpec},
    expr::Template,
    value::Value,
    yaml::Kind,
};
use async_trait::async_trait;
use std::{fmt::Write, sync::Arc, time::Duration};

pub struct Webhook;

impl Executor for Webhook {
    fn verb(&self) -> &'static str {
        "webhook"
    }

    fn manual(&self) -> &'static str {
        include_str!("manual.md")
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        let errors = body.problems.errors();
        let action: Option<Box<dyn Action>> = match body.key_of(&["open", "received"]) {
            _ if !matches!(body.node.kind, Kind::Map(_)) => {
                body.keys(&["open", "received"]);
                None
            }
            Some("open") => {
                body.keys(&["open", "replies", "about"]);
                let (script, about) = (Script::compile(body), About::compile(body));
                body.template("open").map(|name| Box::new(Open { name, script, about }) as _)
            }
            Some(_) => {
                body.keys(&["received", "secret"]);
                let secret = body.template("secret");
                body.template("received").map(|name| Box::new(Received { name, secret }) as _)
            }
            None => {
                body.keys(&["open", "received", "replies", "about", "secret"]);
                let d =
                    Diagnostic::error("missing-key", &body.node.span, "either `open` or `received` is missing here");
                body.problem(d);
                None
            }
        };
        action.filter(|_| body.problems.errors() == errors)
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(inbox::Spec::compile(body)?))
    }
}

/// `open: NAME`.
struct Open {
    name: Template,
    script: Script,
    about: About,
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

    async fn perform(&self, cx: &StepContext<'_>) -> Result<Output, StepError> {
        let started = Started::now();
        let name = cx.render_text(&self.name)?;
        let url = cx.target::<Inbox>()?.open(cx, &name, self.script.render(cx)?, self.about.render(cx)?)?;
        cx.note(EvidenceKind::Note, format!("the box `{name}` is {url}"));
        Ok(Output::new(Value::map([("url".into(), url.into())]), started))
    }

    /// A box is opened once; to look again at it shows the same.
    async fn next(&self, _: &StepContext<'_>, last: &Output, pace: Duration) -> Result<Output, StepError> {
        tokio::time::sleep(pace).await;
        Ok(last.clone())
    }
}

/// `received: NAME`.
struct Received {
    name: Template,
    secret: Option<Template>,
}

/// How many deliveries a look has shown.
struct Shown(usize);

#[async_trait]
impl Action for Received {
    fn fields(&self) -> &'static [&'static str] {
        &["deliveries"]
    }

    fn summary(&self) -> String {
        format!("received {}", self.name.source())
    }

    fn changes(&self) -> bool {
        false
    }

    async fn perform(&self, cx: &StepContext<'_>) -> Result<Output, StepError> {
        let started = Started::now();
        let inbox = cx.target::<Inbox>()?;
        let name = cx.render_text(&self.name)?;
        let mailbox = inbox.find(cx, &name)?;
        let secret = match &self.secret {
            None => None,
            Some(t) => match cx.render(t)? {
                Value::Null => return Err(StepError::Invalid("`secret` is null: no signature can be verified".into())),
                v => Some(v.to_string()),
            },
        };
        let check = match (&secret, inbox.signature()) {
            (None, _) => None,
            (Some(secret), Some(scheme)) => Some((scheme, secret.as_bytes())),
            (Some(_), None) => {
                let m =
                    "the target does not say how deliveries are signed: it needs `signature: { header: …, scheme: … }`";
                return Err(StepError::Invalid(m.into()));
            }
        };
        let (deliveries, others) = mailbox.all();
        let shown = deliveries.len();
        let mut note = format!("{shown} {} in `{name}`", if shown == 1 { "delivery" } else { "deliveries" });
        if others > 0 {
            let _ = write!(note, "; {others} more did not match `about`, were answered 200 and do not count");
        }
        cx.note(EvidenceKind::Note, note);
        let list = deliveries.iter().map(|d| d.value(check.map(|(scheme, key)| d.signed(scheme, key)))).collect();
        Ok(Output::new(Value::map([("deliveries".into(), Value::list(list))]), started).with_cursor(Shown(shown)))
    }

    async fn next(&self, cx: &StepContext<'_>, last: &Output, pace: Duration) -> Result<Output, StepError> {
        let name = cx.render_text(&self.name)?;
        let mailbox: Arc<_> = cx.target::<Inbox>()?.find(cx, &name)?;
        let seen = last.cursor::<Shown>().map_or(0, |s| s.0);
        tokio::select! {
            () = cx.cancel.cancelled() => return Err(StepError::Cancelled),
            () = mailbox.more_than(seen) => {}
            () = tokio::time::sleep(pace) => {}
        }
        self.perform(cx).await
    }
}
