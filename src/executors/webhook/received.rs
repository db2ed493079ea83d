//! `received: NAME`: returns the deliveries to a box, with their signatures verified.
use super::{
    inbox::Inbox,
    mailbox::Deliveries,
    signature::{Signature, SignatureError},
};
use crate::{
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Body, Output, Started},
    expr::Template,
    language::{Key, Shape},
    value::Value,
};
use async_trait::async_trait;
use std::{fmt::Write, sync::atomic::Ordering, time::Duration};

/// How long an attempt waits for several deliveries, once there are some.
const WAIT_FOR_SEVERAL: Duration = Duration::from_millis(500);
/// An attempt records all deliveries: the more they are, the fewer attempts are made.
const MAX_RECORDED_BYTES_PER_MS: u64 = 10_000;
const MAX_WAIT_FOR_RECORD: Duration = Duration::from_secs(2);

pub(super) const KEYS: &[Key] = &[Key::new("received", Shape::Name), Key::new("secret", Shape::Text)];

pub(super) struct Received {
    name: Template,
    secret: Option<Template>,
}

/// The number of deliveries in the last observation.
struct DeliveryCursor(usize);

impl Received {
    pub fn compile(body: &mut Body<'_>) -> Option<Received> {
        body.only(&[KEYS]);
        let secret = body.template("secret");
        Some(Received { name: body.template("received")?, secret })
    }
}

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

    /// While many deliveries arrive, it waits for several of them.
    fn can_miss_changes(&self) -> bool {
        true
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let inbox = cx.target::<Inbox>()?;
        let name = cx.render_text(&self.name)?;
        let mailbox = inbox.find(cx, &name)?;
        let verifier = self.secret.as_ref().map(|t| verifier(cx, inbox, cx.render(t)?)).transpose()?;
        let Deliveries { kept, ignored, missing } = mailbox.deliveries();
        let count = kept.len();
        cx.note(EvidenceKind::Note, summarize(&name, count, ignored, inbox.boxes.unrouted.lock().clone()));
        let mut list = vec![];
        for (i, delivery) in kept.iter().enumerate() {
            let verified = match &verifier {
                None => Err(SignatureError::NotVerified),
                Some((signature, key)) => delivery.verify(signature, key),
            };
            if let Err(e) = &verified
                && e.was_checked()
            {
                cx.note(EvidenceKind::Note, format!("delivery {} has no valid signature: {e}", i + 1));
            }
            list.push(delivery.value(&verified));
        }
        let reached = inbox.boxes.reached.load(Ordering::SeqCst);
        let list = match missing {
            Some(reason) => Value::partial(Value::list(list), reason),
            None => Value::list(list),
        };
        let value = Value::map([("deliveries".into(), list), ("reached".into(), reached.into())]);
        Ok(Output::new(value, started).with_cursor(DeliveryCursor(count)))
    }

    fn inconclusive(&self, output: &Value) -> Option<String> {
        let empty = output.get("deliveries").and_then(Value::as_list).is_some_and(<[Value]>::is_empty);
        let unreached = output.get("reached").and_then(Value::as_i64) == Some(0);
        (empty && unreached).then(|| {
            "nothing was delivered, and nothing has reached this inbox in this run: it may be unreachable".to_string()
        })
    }

    async fn next(&self, cx: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        let name = cx.render_text(&self.name)?;
        let mailbox = cx.target::<Inbox>()?.find(cx, &name)?;
        let known = last.cursor::<DeliveryCursor>().map_or(0, |c| c.0);
        let record = Duration::from_millis(mailbox.bytes() as u64 / MAX_RECORDED_BYTES_PER_MS);
        let record = record.min(MAX_WAIT_FOR_RECORD);
        tokio::select! {
            () = cx.cancel.cancelled() => return Err(ActionError::Cancelled),
            () = mailbox.wait_for_more_than(known) => {
                // the output has all deliveries: an attempt for each would take quadratic time
                let several = mailbox.wait_for_more_than(known + known / 4);
                let _ = tokio::time::timeout(record.max(WAIT_FOR_SEVERAL), several).await;
            }
            () = tokio::time::sleep(pace.max(record)) => {}
        }
        self.perform(cx).await
    }
}

fn summarize(name: &str, count: usize, ignored: usize, unrouted: (usize, String)) -> String {
    let mut note = format!("{count} {} in `{name}`", if count == 1 { "delivery" } else { "deliveries" });
    if ignored > 0 {
        let _ = write!(note, "; {ignored} more did not match `about`: answered 200 and ignored");
    }
    if let (n @ 1.., reason) = unrouted {
        let _ = write!(note, "; {n} to this inbox reached no box, the last one because {reason}");
    }
    note
}

/// The signature settings of the target, and the key of the secret. The secret is masked from now on.
fn verifier<'a>(
    cx: &ActionContext<'_>,
    inbox: &'a Inbox,
    secret: Value,
) -> Result<(&'a Signature, Vec<u8>), ActionError> {
    if secret == Value::Null {
        return Err(ActionError::Invalid("expected a string in `secret`, found null".into()));
    }
    let Some(signature) = &inbox.signature else {
        let message = "verifying `secret` needs `signature: { header: …, scheme: … }` in the target";
        return Err(ActionError::Invalid(message.into()));
    };
    let secret = secret.to_string();
    cx.secrets.add("webhook-secret", &secret);
    let key = signature.scheme.key(&secret).map_err(|e| ActionError::Invalid(e.into()))?;
    Ok((signature, key))
}
