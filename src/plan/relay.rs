//! Reads relay faults: where a relay is, and what it does to its connections.
use super::reader::{Reader, invalid_duration};
use crate::{
    language::{FAULT_RELAY_KEYS, RELAY_KEYS, RELAY_MODES},
    yaml::{Kind, Node, missing_key, wrong_type},
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

/// Which relay.
#[derive(Clone, Debug, PartialEq)]
pub enum RelayPlace {
    /// Inside the runner, while it runs.
    Runner { listen: String, upstream: String },
    /// The process `tp-runner relay` that has this control socket.
    Process { control: String },
}

/// The relay and the mode of `relay: …` in a fault.
pub(super) fn relay_spec(reader: &mut Reader<'_>, fault: &Node, relay: &Node) -> Option<(RelayPlace, RelayFault)> {
    reader.keys(fault, FAULT_RELAY_KEYS)?;
    reader.keys(relay, RELAY_KEYS)?;
    let place = match reader.named(relay, "control") {
        Some(control) => {
            if let Some((key, _)) =
                relay.entries().iter().find(|(k, _)| ["listen", "upstream"].contains(&&*k.key_text()))
            {
                let message = format!("expected `control` or `{}`, found both", key.key_text());
                let help = "a relay with `control` is a process of its own, which was started with its addresses";
                reader.error("wrong-type", &key.span, message, help);
                return None;
            }
            RelayPlace::Process { control: control.text }
        }
        None => relay_in_runner(reader, relay)?,
    };
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
    Some((place, mode))
}

fn relay_in_runner(reader: &mut Reader<'_>, relay: &Node) -> Option<RelayPlace> {
    let mut required = |key: &str| {
        let found = reader.named(relay, key);
        if found.is_none() {
            let help = "or name the control socket of a running `tp-runner relay`: `relay: { control: relay.sock }`";
            reader.problems.push(missing_key(key, &relay.span).help(help));
        }
        found
    };
    let (listen, upstream) = (required("listen"), required("upstream"));
    let (listen, upstream) = (listen?, upstream?);
    if listen.text.parse::<std::net::SocketAddr>().is_err() {
        let message = format!("expected an address like `127.0.0.1:6432`, found `{}`", listen.text);
        reader.error("wrong-type", &listen.span, message, "write IP address and port");
        return None;
    }
    Some(RelayPlace::Runner { listen: listen.text, upstream: upstream.text })
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
