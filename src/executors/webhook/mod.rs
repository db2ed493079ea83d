//! The verb `webhook`: an HTTP server of the runner that receives the deliveries of a product. `open` creates a box
//! with a URL, `received` returns what was delivered to it.
mod arrivals;
mod boxes;
mod connection;
mod filter;
mod inbox;
mod mailbox;
mod open;
mod probe;
mod received;
mod replies;
mod server;
mod signature;
mod target;
#[cfg(test)]
mod tests;
mod tls;

use self::{open::Open, received::Received, target::InboxSpec};
use crate::{
    diagnostic::Diagnostic,
    executor::{Action, Body, Executor, TargetSpec},
    language::Key,
    value::ValueKind,
    yaml::Kind,
};

pub struct Webhook;

impl Executor for Webhook {
    fn verb(&self) -> &'static str {
        "webhook"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["url", "deliveries", "reached"]
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/webhook.md")
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[open::KEYS, received::KEYS]
    }

    fn target_keys(&self) -> &'static [&'static [Key]] {
        target::KEYS
    }

    fn kind_of(&self, field: &str) -> Option<ValueKind> {
        Some(match field {
            "url" => ValueKind::Text,
            "deliveries" => ValueKind::List,
            "reached" => ValueKind::Number,
            _ => return None,
        })
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        match body.key_of(&["open", "received"]) {
            _ if !matches!(body.node.kind, Kind::Map(_)) => {
                body.only(&[open::KEYS, received::KEYS]);
                None
            }
            Some("open") => Open::compile(body).map(|open| Box::new(open) as _),
            Some(_) => Received::compile(body).map(|received| Box::new(received) as _),
            None => {
                body.only(&[open::KEYS, received::KEYS]);
                body.problem(Diagnostic::error("missing-key", &body.node.span, "expected `open` or `received`"));
                None
            }
        }
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(InboxSpec::compile(body)?))
    }
}
