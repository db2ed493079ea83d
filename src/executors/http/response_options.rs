//! How a response is read: body limit, redirects, and the messages of a stream.
use super::response;
use crate::{
    diagnostic::Diagnostic,
    executor::Body,
    expr::{Expression, Tree},
    yaml::{Kind, Node},
};
use std::{num::NonZeroUsize, time::Duration};

const DEFAULT_BODY_LIMIT_BYTES: usize = 32 << 20;
/// With `follow: true`.
const DEFAULT_MAX_REDIRECTS: usize = 10;
const DEFAULT_STREAM_DURATION: Duration = Duration::from_secs(5);

pub(super) struct ResponseOptions {
    /// `0`: a redirect is a response like any other.
    pub max_redirects: usize,
    /// In decompressed bytes. The rest is not read.
    pub body_limit: usize,
    pub stream: Option<StreamOptions>,
}

/// When to stop reading a stream: at the first condition that is met.
pub(super) struct StreamOptions {
    /// Messages to send first. `None` for server-sent events, which have none.
    pub send: Option<Vec<Tree>>,
    /// Evaluated for each message, which is `it`.
    pub until: Option<Expression>,
    pub count: Option<usize>,
    pub within: Duration,
}

impl Default for ResponseOptions {
    fn default() -> Self {
        ResponseOptions { max_redirects: 0, body_limit: DEFAULT_BODY_LIMIT_BYTES, stream: None }
    }
}

impl ResponseOptions {
    pub const KEYS: [&'static str; 4] = ["follow", "limit", "events", "messages"];

    pub fn compile(body: &mut Body<'_>) -> ResponseOptions {
        let defaults = ResponseOptions::default();
        ResponseOptions {
            max_redirects: compile_follow(body).unwrap_or(defaults.max_redirects),
            body_limit: compile_limit(body).unwrap_or(defaults.body_limit),
            stream: compile_stream(body),
        }
    }

    pub fn follows_redirects(&self) -> bool {
        self.max_redirects > 0
    }

    /// The fields of the output.
    pub fn fields(&self) -> &'static [&'static str] {
        match (self.follows_redirects(), &self.stream) {
            (false, None) => response::FIELDS,
            (true, None) => response::REDIRECT_FIELDS,
            (false, Some(_)) => response::STREAM_FIELDS,
            (true, Some(_)) => response::REDIRECT_STREAM_FIELDS,
        }
    }

    /// Whether messages are sent after the request.
    pub fn sends_messages(&self) -> bool {
        self.stream.as_ref().and_then(|s| s.send.as_ref()).is_some_and(|send| !send.is_empty())
    }

    pub fn is_websocket(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| s.send.is_some())
    }
}

fn compile_follow(body: &mut Body<'_>) -> Option<usize> {
    let node = body.get("follow").cloned()?;
    match node.kind {
        Kind::Bool(true) => Some(DEFAULT_MAX_REDIRECTS),
        Kind::Bool(false) => Some(0),
        Kind::Int(n) if (1..=100).contains(&n) => usize::try_from(n).ok(),
        _ => {
            let d = Diagnostic::error("wrong-type", &node.span, "`follow` must be `true`, `false` or a number");
            body.problem(d.help("the maximum number of redirects, 1 to 100; `true` means 10"));
            None
        }
    }
}

fn compile_limit(body: &mut Body<'_>) -> Option<usize> {
    let node = body.get("limit").cloned()?;
    let text = node.to_value().to_string();
    let size = parse_size(&text);
    if size.is_none() {
        let message = format!("expected a size like `500`, `64 KiB` or `10 MiB`, found `{text}`");
        body.problem(Diagnostic::error("invalid-size", &node.span, message));
    }
    size
}

fn compile_stream(body: &mut Body<'_>) -> Option<StreamOptions> {
    let (events, messages) = (body.get("events").cloned(), body.get("messages").cloned());
    if let (Some(_), Some(node)) = (&events, &messages) {
        let message = "expected one of `events` (server-sent events) and `messages` (WebSocket), found both";
        body.problem(Diagnostic::error("events-and-messages", &node.span, message));
    }
    match (events, messages) {
        (Some(node), _) => StreamOptions::compile(&mut body.part(&node), false),
        (None, Some(node)) => StreamOptions::compile(&mut body.part(&node), true),
        (None, None) => None,
    }
}

impl StreamOptions {
    fn compile(body: &mut Body<'_>, websocket: bool) -> Option<StreamOptions> {
        let keys = ["send", "until", "count", "within"];
        let keys = if websocket { &keys[..] } else { &keys[1..] };
        if !body.keys(keys) && !matches!(body.node.kind, Kind::Map(_)) {
            return None;
        }
        let send = websocket.then(|| match body.get("send").cloned() {
            None => vec![],
            Some(Node { kind: Kind::Seq(items), .. }) => items.iter().map(|n| body.tree_of(n)).collect(),
            Some(single) => vec![body.tree_of(&single)],
        });
        let until = body.expression("until", &["it"]);
        let count = body.literal("count", "a whole number of at least 1").map(NonZeroUsize::get);
        let within = body.duration("within", "`500ms`, `30s` or `1m30s`").unwrap_or(DEFAULT_STREAM_DURATION);
        Some(StreamOptions { send, until, count, within })
    }
}

/// Parses `500`, `64 KiB` or `10MB` into bytes.
fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor).filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn parses_sizes_and_refuses_other_texts() {
        for (text, bytes) in [("500", 500), ("64 KiB", 65536), ("2MB", 2_000_000), (" 1 GiB ", 1 << 30)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "0", "MiB", "1.5 MiB", "-1", "1 parsec", "99999999999999999999", "99999999999 GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
