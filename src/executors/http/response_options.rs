//! How a response is read: body limit, redirects, and the messages of a stream.
use super::{endpoint::Endpoint, response};
use crate::{
    access::AccessRules,
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body, limits},
    expr::{Expression, Tree},
    language::{Key, Shape},
    yaml::{Kind, Node},
};
use reqwest::Url;
use std::{num::NonZeroUsize, time::Duration};

/// With `follow: true`.
const DEFAULT_MAX_REDIRECTS: usize = 10;
const DEFAULT_STREAM_DURATION: Duration = Duration::from_secs(5);

pub(super) struct ResponseOptions {
    /// `0`: a redirect is a response like any other.
    pub max_redirects: usize,
    /// In decompressed bytes. The rest is not read.
    pub body_limit: usize,
    pub stream: Option<StreamOptions>,
    /// The hosts that requests may be sent to.
    pub access: AccessRules,
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
        ResponseOptions {
            max_redirects: 0,
            body_limit: limits::BODY_BYTES,
            stream: None,
            access: AccessRules::unlimited(),
        }
    }
}

impl ResponseOptions {
    pub const KEYS: [Key; 4] = [
        Key::new("follow", Shape::Either(&[Shape::Bool, Shape::Number])),
        Key::new("limit", Shape::Size),
        Key::new("events", Shape::Keys(&[STREAM_KEYS])),
        Key::new("messages", Shape::Keys(&[SEND_KEYS, STREAM_KEYS])),
    ];

    pub fn compile(body: &mut Body<'_>) -> ResponseOptions {
        let defaults = ResponseOptions::default();
        ResponseOptions {
            max_redirects: compile_follow(body).unwrap_or(defaults.max_redirects),
            body_limit: body.limit(defaults.body_limit),
            stream: compile_stream(body),
            access: body.access.clone(),
        }
    }

    /// Refuses a host that the plan may not send requests to.
    pub fn check_host(&self, cx: &ActionContext<'_>, endpoint: &Endpoint, url: &Url) -> Result<(), ActionError> {
        match url.origin() == endpoint.url.origin() {
            true => Ok(()),
            false => Ok(self.access.host(url, (cx.targets)())?),
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

const SEND_KEYS: &[Key] =
    &[Key::new("send", Shape::Any).means("messages to send first: a string, a value that is sent as JSON, or a list")];
const STREAM_KEYS: &[Key] =
    &[Key::new("until", Shape::Expression), Key::new("count", Shape::Number), Key::new("within", Shape::Duration)];

impl StreamOptions {
    fn compile(body: &mut Body<'_>, websocket: bool) -> Option<StreamOptions> {
        let keys = if websocket { &[SEND_KEYS, STREAM_KEYS][..] } else { &[STREAM_KEYS] };
        if !body.only(keys) && !matches!(body.node.kind, Kind::Map(_)) {
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
