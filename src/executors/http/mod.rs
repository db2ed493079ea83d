//! The verb `http`: sends a request, and returns the response or the messages of a stream. Any status is an output,
//! also a 500.
mod action;
mod address;
mod authentication;
mod connect_error;
mod connection;
mod curl;
mod decode;
mod endpoint;
mod exchange;
mod handshake;
mod headers;
mod identity;
mod prepared_request;
mod probe;
mod request;
mod request_body;
mod request_target;
mod response;
mod response_options;
mod send;
mod sent;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod tls;

pub use self::headers::mask_header;
use self::{action::HttpAction, response_options::ResponseOptions, target::HttpTargetSpec};
use crate::{
    executor::{Action, Body, Executor, TargetSpec},
    language::Key,
    value::ValueKind,
};

pub struct Http;

impl Executor for Http {
    fn verb(&self) -> &'static str {
        "http"
    }

    fn fields(&self) -> &'static [&'static str] {
        response::REDIRECT_STREAM_FIELDS
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/http.md")
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[&request::KEYS, &request_body::KEYS, action::KEYS, &ResponseOptions::KEYS]
    }

    fn target_keys(&self) -> &'static [&'static [Key]] {
        target::KEYS
    }

    fn kind_of(&self, field: &str) -> Option<ValueKind> {
        Some(match field {
            "answered" | "cut" => ValueKind::Bool,
            "status" => ValueKind::Number,
            "headers" | "cookies" | "timing" => ValueKind::Map,
            "text" | "url" => ValueKind::Text,
            "redirects" | "messages" => ValueKind::List,
            _ => return None,
        })
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(HttpAction::compile(body)?))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(HttpTargetSpec::compile(body)?))
    }
}
