//! An inbox: opens boxes and finds them by case and name.
use super::{boxes::Boxes, mailbox::Mailbox, replies::Reply, signature::Signature};
use crate::{
    executor::{ActionContext, ActionError},
    expr::Expression,
    value::Value,
};
use std::{net::SocketAddr, sync::Arc};
use tokio_util::sync::CancellationToken;

const MAX_PATH_PART_CHARS: usize = 40;

pub(super) struct Inbox {
    pub run_id: String,
    pub bound: SocketAddr,
    pub has_tls: bool,
    /// The URL for the product, without a trailing `/`.
    pub public_url: String,
    pub signature: Option<Signature>,
    /// The id of a delivery, as an expression over its fields.
    pub id: Option<Expression>,
    /// How many bytes of memory the deliveries of a box may take.
    pub limit: usize,
    pub boxes: Arc<Boxes>,
    pub stop: CancellationToken,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Inbox {
    /// Opens a box and returns its URL. If the same action opens it again, as in a repeated case, the new box replaces
    /// the old one.
    pub fn open(
        &self,
        cx: &ActionContext<'_>,
        name: &str,
        replies: Vec<Reply>,
        filter: Option<Value>,
    ) -> Result<String, ActionError> {
        let case = &*cx.address.case();
        // Unguessable, so that cases never share a box.
        let unique = uuid::Uuid::new_v4().simple();
        let path = format!("{}-{}-{}-{unique}", path_part(&self.run_id), path_part(case), path_part(name));
        let (id, is_signed) = (self.id.clone(), self.signature.is_some());
        let mailbox = Mailbox::new(cx.address.clone(), path.clone(), replies, filter, id, is_signed, self.limit);
        if !self.boxes.insert(case, name, mailbox) {
            let message = format!("the box `{name}` is already open: a case may open each box once");
            return Err(ActionError::Invalid(message));
        }
        Ok(format!("{}/{path}", self.public_url))
    }

    pub fn find(&self, cx: &ActionContext<'_>, name: &str) -> Result<Arc<Mailbox>, ActionError> {
        let case = &*cx.address.case();
        self.boxes.find(case, name).ok_or_else(|| {
            let names: Vec<_> = self.boxes.names(case).iter().map(|n| format!("`{n}`")).collect();
            let opened = if names.is_empty() { "no box".into() } else { names.join(", ") };
            ActionError::Invalid(format!("the box `{name}` was never opened; this case has opened {opened}"))
        })
    }
}

/// A name as part of a path: other characters than letters and digits become `-`.
fn path_part(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    text.chars().take(MAX_PATH_PART_CHARS).map(safe).collect()
}
