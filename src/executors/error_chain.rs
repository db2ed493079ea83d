//! Messages of errors together with their causes.
use std::{error::Error, io, iter};

/// The error and its causes, outermost first. Includes the error inside an `io::Error`, which its `source` skips.
pub fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::successors(Some(error), |e: &&'e (dyn Error + 'static)| {
        let e: &'e (dyn Error + 'static) = *e;
        match e.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => e.source(),
        }
    })
}

/// The messages of the error and its causes, outermost first, joined by `: `. Omits a message that repeats a cause.
pub fn error_chain(error: &dyn Error) -> String {
    let mut messages: Vec<String> = vec![];
    let mut next = Some(error);
    while let Some(e) = next {
        let message = e.to_string();
        messages.retain(|m| !m.contains(&message) || m.len() == message.len());
        if !messages.contains(&message) {
            messages.push(message);
        }
        next = e.source();
    }
    messages.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn repeated_messages_are_omitted() {
        let refused = Layer("connection refused", None);
        let connect = Layer("connect: connection refused", Some(Box::new(refused)));
        let outer = Layer("request failed", Some(Box::new(connect)));
        assert_eq!(error_chain(&outer), "request failed: connection refused");
    }

    #[test]
    fn causes_include_the_error_inside_an_io_error() {
        let error = io::Error::other(Layer("outer", Some(Box::new(Layer("inner", None)))));
        let messages: Vec<String> = causes(&error).map(ToString::to_string).collect();
        assert_eq!(messages, ["outer", "outer", "inner"]);
    }
}
