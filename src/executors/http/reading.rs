//! What is read of an answer: how much, whether a redirect is gone after, and the messages of a stream. Reads nothing itself.
use super::answer;
use crate::{
    diagnostic::Diagnostic,
    executor::Body,
    expr::{Expression, Tree},
    yaml::{Kind, Node},
};
use std::time::Duration;

/// Of a body, unless `limit` says otherwise.
const LIMIT: usize = 32 << 20;
const HOPS: usize = 10;
const WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Reading {
    /// How many redirects are gone after.
    pub hops: usize,
    pub follow: bool,
    /// In bytes, decompressed. What comes after is not read.
    pub limit: usize,
    pub stream: Option<Watch>,
}

/// When enough has been seen of a stream. Whatever comes first.
pub(super) struct Watch {
    /// Texts or values to send at the beginning. `None`: server-sent events, where nobody can.
    pub send: Option<Vec<Tree>>,
    /// Asked of each message, as `it`.
    pub until: Option<Expression>,
    pub count: Option<usize>,
    pub within: Duration,
}

impl Reading {
    pub const KEYS: [&'static str; 4] = ["follow", "limit", "events", "messages"];

    pub fn compile(body: &mut Body<'_>) -> Reading {
        let follow = body.get("follow").cloned().map_or(Some(0), |node| match node.kind {
            Kind::Bool(true) => Some(HOPS),
            Kind::Bool(false) => Some(0),
            Kind::Int(n) if (1..=100).contains(&n) => usize::try_from(n).ok(),
            _ => {
                let d = Diagnostic::error("wrong-type", &node.span, "`follow` must be `true`, `false` or a number");
                body.problem(d.help("at most so many redirects, up to 100; `true` means 10"));
                None
            }
        });
        let limit = body.get("limit").cloned().map_or(Some(LIMIT), |node| {
            let size = size(&node.to_value().to_string());
            if size.is_none() {
                let d = Diagnostic::error("invalid-size", &node.span, "this is no size");
                body.problem(d.help("write it like `500`, `64 KiB` or `10 MiB`"));
            }
            size
        });
        let (events, messages) = (body.get("events").cloned(), body.get("messages").cloned());
        if let (Some(_), Some(node)) = (&events, &messages) {
            let message =
                "an answer is read in one way: `events` are server-sent events, `messages` those of a WebSocket";
            body.problem(Diagnostic::error("events-and-messages", &node.span, message));
        }
        let stream = match (events, messages) {
            (Some(node), _) => Watch::compile(&mut body.part(&node), false),
            (None, Some(node)) => Watch::compile(&mut body.part(&node), true),
            (None, None) => None,
        };
        let hops = follow.unwrap_or_default();
        Reading { hops, follow: hops > 0, limit: limit.unwrap_or(LIMIT), stream }
    }

    pub fn plain() -> Reading {
        Reading { hops: 0, follow: false, limit: LIMIT, stream: None }
    }

    /// What the output has.
    pub fn fields(&self) -> &'static [&'static str] {
        match (self.follow, &self.stream) {
            (false, None) => answer::FIELDS,
            (true, None) => answer::FOLLOWED,
            (false, Some(_)) => answer::STREAM,
            (true, Some(_)) => answer::STREAM_FOLLOWED,
        }
    }

    pub fn limit_text(&self) -> String {
        match self.limit {
            n if n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
            n if n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
            n => format!("{n} bytes"),
        }
    }

    /// Whether it sends more than the request.
    pub fn says_something(&self) -> bool {
        self.stream.as_ref().and_then(|w| w.send.as_ref()).is_some_and(|send| !send.is_empty())
    }

    pub fn is_socket(&self) -> bool {
        self.stream.as_ref().is_some_and(|w| w.send.is_some())
    }
}

impl Watch {
    fn compile(body: &mut Body<'_>, socket: bool) -> Option<Watch> {
        let known: &[&str] = if socket { &["send", "until", "count", "within"] } else { &["until", "count", "within"] };
        if !body.keys(known) && !matches!(body.node.kind, Kind::Map(_)) {
            return None;
        }
        let send = socket.then(|| match body.get("send").cloned() {
            None => vec![],
            Some(Node { kind: Kind::Seq(items), .. }) => items.iter().map(|n| body.tree_of(n)).collect(),
            Some(one) => vec![body.tree_of(&one)],
        });
        let until = body.expression("until", &["it"]);
        let count = body.get("count").cloned().and_then(|node| match node.kind {
            Kind::Int(n) if n > 0 => usize::try_from(n).ok(),
            _ => {
                body.problem(Diagnostic::error("wrong-type", &node.span, "`count` is a number from 1 on"));
                None
            }
        });
        let within = body.get("within").cloned().and_then(|node| {
            let text = node.to_value().to_string();
            let within = humantime::parse_duration(&text).ok();
            if within.is_none() {
                let d = Diagnostic::error("invalid-duration", &node.span, format!("`{text}` is no duration"));
                body.problem(d.help("write it like `500ms`, `30s` or `1m30s`"));
            }
            within
        });
        Some(Watch { send, until, count, within: within.unwrap_or(WITHIN) })
    }
}

/// `500`, `64 KiB`, `10MB`: bytes.
fn size(text: &str) -> Option<usize> {
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
    use super::size;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("500", 500), ("64 KiB", 65536), ("2MB", 2_000_000), (" 1 GiB ", 1 << 30)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "0", "MiB", "1.5 MiB", "-1", "1 parsec", "99999999999999999999", "99999999999 GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
