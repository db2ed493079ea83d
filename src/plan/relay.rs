//! Reads relay faults: the addresses of a relay, and what it does to its connections.
use super::reader::{Reader, invalid_duration};
use crate::{
    language::{FAULT_RELAY_KEYS, RELAY_KEYS, RELAY_MODES},
    yaml::{Kind, Node, wrong_type},
};
use std::time::Duration;

/// What a relay does to its connections while the fault is active.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RelayFault {
    /// Closes connections and refuses new ones.
    Cut,
    /// Delivers data later.
    Delay(Duration),
    /// Resets a connection as soon as data is sent.
    Reset,
    /// Drops all data.
    Swallow,
    /// Limits bytes per second, in each direction.
    Throttle(u64),
}

/// `listen`, `upstream` and the mode of `relay: …` in a fault.
pub(super) fn relay_spec(reader: &mut Reader<'_>, fault: &Node, relay: &Node) -> Option<(String, String, RelayFault)> {
    reader.keys(fault, FAULT_RELAY_KEYS)?;
    reader.keys(relay, RELAY_KEYS)?;
    let listen = reader.named(relay, "listen")?;
    let upstream = reader.text_at(relay, "upstream")?;
    if listen.text.parse::<std::net::SocketAddr>().is_err() {
        let message = format!("expected an address like `127.0.0.1:6432`, found `{}`", listen.text);
        reader.error("wrong-type", &listen.span, message, "write IP address and port");
        return None;
    }
    let modes: Vec<&(Node, Node)> =
        relay.entries().iter().filter(|(k, _)| RELAY_MODES.contains(&k.key_text().as_str())).collect();
    let mode = match modes[..] {
        [] => RelayFault::Cut,
        [(key, value)] => relay_fault(reader, &key.key_text(), value)?,
        [(first, _), (second, _), ..] => {
            let message = format!("expected one mode, found `{}` and `{}`", first.key_text(), second.key_text());
            reader.error("wrong-type", &second.span, message, "write two faults");
            return None;
        }
    };
    Some((listen.text, upstream, mode))
}

fn relay_fault(reader: &mut Reader<'_>, mode: &str, node: &Node) -> Option<RelayFault> {
    match (mode, &node.kind) {
        ("reset", Kind::Bool(true)) => return Some(RelayFault::Reset),
        ("swallow", Kind::Bool(true)) => return Some(RelayFault::Swallow),
        ("throttle", Kind::Int(bytes)) if *bytes > 0 => return Some(RelayFault::Throttle(bytes.unsigned_abs())),
        ("delay", Kind::Str(text)) => match humantime::parse_duration(text) {
            Ok(delay) => return Some(RelayFault::Delay(delay)),
            Err(_) => reader.problems.push(invalid_duration(text, &node.span)),
        },
        ("throttle", _) => {
            reader
                .problems
                .push(wrong_type(node, "a positive number of bytes per second").help("write `throttle: 2000`"));
        }
        ("delay", _) => reader.problems.push(wrong_type(node, "a duration").help("write `delay: 2s`")),
        _ => {
            let help = format!("write `{mode}: true`, or remove it");
            reader.problems.push(wrong_type(node, "`true`").help(help));
        }
    }
    None
}
