//! The verb `webhook`: an inbox of our own, to which the product delivers. Owns the boxes, what they answer and what they received.
//! Must not know who delivers, nor judge a delivery.
mod inbox;
mod mailbox;
mod picture;
mod probe;
mod script;
mod server;
mod signature;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use self::{
    inbox::Inbox,
    picture::About,
    script::Script,
    signature::{Refusal, Signature},
};
use crate::{
    diagnostic::Diagnostic,
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Body, Executor, Output, Started, TargetSpec, shell_word},
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
        include_str!("../../../docs/verbs/webhook.md")
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

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let name = cx.render_text(&self.name)?;
        let url = cx.target::<Inbox>()?.open(cx, &name, self.script.render(cx)?, self.about.render(cx)?)?;
        cx.note(EvidenceKind::Note, format!("the box `{name}` is {url}"));
        cx.note(EvidenceKind::Reproduce, format!("curl --data '{{}}' {}", shell_word(&url)));
        Ok(Output::new(Value::map([("url".into(), url.into())]), started))
    }

    /// A box is opened once; to look again at it shows the same.
    async fn next(&self, _: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
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
        &["deliveries", "reached"]
    }

    fn summary(&self) -> String {
        format!("received {}", self.name.source())
    }

    fn changes(&self) -> bool {
        false
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let inbox = cx.target::<Inbox>()?;
        let name = cx.render_text(&self.name)?;
        let mailbox = inbox.find(cx, &name)?;
        let signed = match &self.secret {
            None => None,
            Some(t) => Some(key(cx, inbox, cx.render(t)?)?),
        };
        let (deliveries, others) = mailbox.all();
        let shown = deliveries.len();
        let mut note = format!("{shown} {} in `{name}`", if shown == 1 { "delivery" } else { "deliveries" });
        if others > 0 {
            let _ = write!(note, "; {others} more did not match `about`, were answered 200 and do not count");
        }
        if let (strays @ 1.., why) = inbox.boxes.strays() {
            let _ = write!(note, "; {strays} came to this inbox and to no box of it, the last because {why}");
        }
        cx.note(EvidenceKind::Note, note);
        let mut list = vec![];
        for (i, delivery) in deliveries.iter().enumerate() {
            let verified = match &signed {
                None => Err(Refusal::NotAsked),
                Some((signature, key)) => delivery.verify(signature, key),
            };
            if let Err(
                why @ (Refusal::MissingHeader(_) | Refusal::Malformed(..) | Refusal::Mismatch | Refusal::Stale(_)),
            ) = &verified
            {
                cx.note(EvidenceKind::Note, format!("delivery {} is not validly signed: {why}", i + 1));
            }
            list.push(delivery.value(&verified));
        }
        let reached = i64::try_from(inbox.boxes.reached()).unwrap_or(i64::MAX);
        let value = Value::map([("deliveries".into(), Value::list(list)), ("reached".into(), Value::Int(reached))]);
        Ok(Output::new(value, started).with_cursor(Shown(shown)))
    }

    fn inconclusive(&self, output: &Value) -> Option<String> {
        let none = output.get("deliveries").and_then(Value::as_list).is_some_and(<[Value]>::is_empty);
        let never = output.get("reached").and_then(Value::as_i64) == Some(0);
        (none && never).then(|| {
            "nothing was delivered, and nobody has reached this inbox in this run: it may be out of reach, so that proves nothing"
                .to_string()
        })
    }

    async fn next(&self, cx: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        let name = cx.render_text(&self.name)?;
        let mailbox: Arc<_> = cx.target::<Inbox>()?.find(cx, &name)?;
        let seen = last.cursor::<Shown>().map_or(0, |s| s.0);
        tokio::select! {
            () = cx.cancel.cancelled() => return Err(ActionError::Cancelled),
            () = mailbox.more_than(seen) => {}
            () = tokio::time::sleep(pace) => {}
        }
        self.perform(cx).await
    }
}

/// How the target's deliveries are signed, and the key that the secret stands for. The secret is one from now on, whoever named it.
fn key<'a>(cx: &ActionContext<'_>, inbox: &'a Inbox, secret: Value) -> Result<(&'a Signature, Vec<u8>), ActionError> {
    let invalid = |why: &str| ActionError::Invalid(why.into());
    if secret == Value::Null {
        return Err(invalid("`secret` is null: no signature can be verified"));
    }
    let Some(signature) = inbox.signature() else {
        let m = "the target does not say how deliveries are signed: it needs `signature: { header: …, scheme: … }`";
        return Err(invalid(m));
    };
    let secret = secret.to_string();
    cx.secrets.add("webhook-secret", &secret);
    let key = signature.key(&secret).map_err(|why| invalid(&why))?;
    Ok((signature, key))
}
