//! The environment file: what a plan's targets and faults are here. Reads text only; whoever connects does so later.
use super::{
    model::{ActionDefinition, ActionSpec, Spanned},
    read::Reader,
};
use crate::{
    expr::{Template, Tree},
    source::Source,
    yaml::{Kind, Node, parse},
};
use jiff::civil::Date;
use std::{sync::Arc, time::Duration};

#[derive(Default)]
pub struct Environments {
    pub default: Option<String>,
    pub all: Vec<Environment>,
}

#[derive(Clone, Default)]
pub struct Environment {
    pub name: String,
    /// One sentence for reports.
    pub about: Option<String>,
    /// Printed first and last in every report.
    pub notice: Option<String>,
    /// In the order of the file: the first of a verb is that verb's default.
    pub targets: Vec<(Spanned, Node)>,
    /// Names that are secrets: masked from the moment on in which they are read.
    pub secrets: Vec<(Spanned, SecretSource)>,
    /// The plan's variables as they are here.
    pub vars: Vec<(Spanned, Tree)>,
    pub setup: Vec<ActionSpec>,
    /// Performed after the last case, whatever came of it.
    pub teardown: Vec<ActionSpec>,
    /// Performed when a case goes red; what they see is kept as evidence.
    pub on_failure: Vec<ActionSpec>,
    /// In place of actions of the plan that have the same name, inputs and outputs.
    pub actions: Vec<ActionDefinition>,
    pub known_failures: Vec<KnownFailure>,
    /// Refuses what could not be taken back.
    pub protected: bool,
    pub faults: Vec<(Spanned, FaultSpec)>,
    pub jobs: Option<usize>,
    /// Name and version of what runs here, as the environment says.
    pub versions: Vec<(String, String)>,
}

/// Where the value of a secret comes from.
#[derive(Clone)]
pub enum SecretSource {
    Text(Tree),
    /// A file, without the line break at its end.
    File(Template),
    /// What a program prints, without the line break at its end.
    Command(Vec<Template>),
}

/// A sentence of the plan that is accepted as red for a while.
#[derive(Clone)]
pub struct KnownFailure {
    pub case: Spanned,
    pub sentence: Spanned,
    /// Where it is tracked.
    pub issue: String,
    /// The last day on which it is accepted.
    pub until: Date,
}

#[derive(Clone)]
pub enum FaultSpec {
    /// The runner's own relay between the platform and `upstream`.
    Relay { listen: String, upstream: String, how: RelayFault },
    /// Actions; `refused` says how often the cut link was tried.
    Actions { cut: Vec<ActionSpec>, heal: Vec<ActionSpec>, refused: Option<crate::expr::Expression> },
}

/// What a relay does to its link while the fault is in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RelayFault {
    /// Connections are broken off, and new ones refused.
    Cut,
    /// Each piece of what is sent comes so much later.
    Delay(Duration),
    /// A connection is reset as soon as something is sent over it.
    Reset,
    /// What is sent goes nowhere, and nothing answers.
    Swallow,
    /// So many bytes pass in a second, in each direction.
    Throttle(u64),
}

impl Environments {
    pub fn get(&self, name: &str) -> Option<&Environment> {
        self.all.iter().find(|e| e.name == name)
    }
}

/// Reads an environment file. `None` where it is no YAML map.
pub fn read(reader: &mut Reader<'_>, source: &Arc<Source>) -> Option<Environments> {
    let root = match parse(source) {
        Ok(root) => root,
        Err(d) => {
            reader.problems.push(*d);
            return None;
        }
    };
    reader.keys(&root, &["default", "environments"], &["environments"])?;
    let mut all = vec![];
    if let Some(environments) = root.get("environments") {
        for (name, node) in reader.entries(environments) {
            let Some(node) = extended(reader, environments, node, &mut vec![name.text.clone()]) else { continue };
            all.extend(environment(reader, name.text, &node));
        }
        // what is wrong with an environment is wrong with those that extend it, and is said once
        reader.problems.sort();
    }
    let default = root.get("default").map(|n| (reader.text(n), n.span.clone()));
    if let Some((name, span)) = &default
        && !all.iter().any(|e: &Environment| e.name == *name)
    {
        reader.error("unknown-environment", span, format!("there is no environment `{name}` in this file"));
    }
    Some(Environments { default: default.map(|d| d.0), all })
}

fn environment(reader: &mut Reader<'_>, name: String, node: &Node) -> Option<Environment> {
    reader.keys(
        node,
        &[
            "about",
            "notice",
            "extends",
            "targets",
            "secrets",
            "vars",
            "actions",
            "setup",
            "teardown",
            "on_failure",
            "known_failures",
            "protected",
            "faults",
            "jobs",
            "versions",
        ],
        &["targets"],
    )?;
    let mut targets = vec![];
    for (name, target) in node.get("targets").map(|n| reader.entries(n)).unwrap_or_default() {
        targets.push((name, target.clone()));
    }
    let mut faults = vec![];
    for (name, fault) in node.get("faults").map(|n| reader.entries(n)).unwrap_or_default() {
        faults.extend(fault_spec(reader, fault).map(|f| (name, f)));
    }
    let jobs = node.get("jobs").and_then(|n| match n.kind {
        Kind::Int(i) if i > 0 => Some(i as usize),
        _ => {
            reader.error("wrong-type", &n.span, "`jobs` is a number from 1 on");
            None
        }
    });
    let mut secrets = vec![];
    for (name, secret) in node.get("secrets").map(|n| reader.entries(n)).unwrap_or_default() {
        secrets.extend(secret_source(reader, secret).map(|s| (name, s)));
    }
    let mut known_failures = vec![];
    for known in node.get("known_failures").map(|n| reader.list(n)).unwrap_or_default() {
        known_failures.extend(known_failure(reader, known));
    }
    let mut actions = vec![];
    if let Some(node) = node.get("actions") {
        reader.definitions(node, &mut actions);
    }
    let versions = node.get("versions").map(|n| reader.entries(n)).unwrap_or_default();
    Some(Environment {
        name,
        about: node.get("about").map(|n| reader.text(n)),
        notice: node.get("notice").map(|n| reader.text(n)),
        targets,
        secrets,
        vars: node.get("vars").map(|n| reader.named_trees(n)).unwrap_or_default(),
        setup: node.get("setup").map(|n| reader.steps(n)).unwrap_or_default(),
        teardown: node.get("teardown").map(|n| reader.steps(n)).unwrap_or_default(),
        on_failure: node.get("on_failure").map(|n| reader.steps(n)).unwrap_or_default(),
        actions,
        known_failures,
        protected: flag(reader, node, "protected"),
        faults,
        jobs,
        versions: versions.into_iter().map(|(k, v)| (k.text, v.key_text())).collect(),
    })
}

/// An environment with what it takes over from the one that it `extends`: maps are merged name by name, all else is its own.
/// `None` where that cannot be found; it has been said.
fn extended(reader: &mut Reader<'_>, all: &Node, node: &Node, chain: &mut Vec<String>) -> Option<Node> {
    let Some(base) = node.get("extends") else { return Some(node.clone()) };
    let name = reader.text(base);
    if chain.contains(&name) {
        let circle = format!("`{}` → `{name}`", chain.join("` → `"));
        reader.error("extends-cycle", &base.span, format!("an environment cannot extend itself: {circle}"));
        return None;
    }
    let Some(found) = all.get(&name) else {
        reader.error("unknown-environment", &base.span, format!("there is no environment `{name}` in this file"));
        return None;
    };
    chain.push(name);
    let base = extended(reader, all, found, chain)?;
    Some(merged(&base, node, 0))
}

/// `own` laid over `base`. Only the maps of an environment are merged, not what stands in their entries.
fn merged(base: &Node, own: &Node, depth: usize) -> Node {
    let (Kind::Map(below), Kind::Map(above)) = (&base.kind, &own.kind) else { return own.clone() };
    if depth > 1 {
        return own.clone();
    }
    let mut entries: Vec<(Node, Node)> = vec![];
    for (k, v) in below {
        match above.iter().find(|(o, _)| o.key_text() == k.key_text()) {
            Some((key, value)) => entries.push((key.clone(), merged(v, value, depth + 1))),
            None => entries.push((k.clone(), v.clone())),
        }
    }
    // double ones stay double: that is said later
    let new = |k: &Node| !below.iter().any(|(b, _)| b.key_text() == k.key_text());
    entries.extend(above.iter().filter(|(k, _)| new(k)).cloned());
    Node { kind: Kind::Map(entries), span: own.span.clone() }
}

fn flag(reader: &mut Reader<'_>, node: &Node, key: &str) -> bool {
    match node.get(key).map(|n| (&n.kind, &n.span)) {
        None => false,
        Some((Kind::Bool(b), _)) => *b,
        Some((_, span)) => {
            reader.error("wrong-type", span, format!("`{key}` is true or false"));
            false
        }
    }
}

fn secret_source(reader: &mut Reader<'_>, node: &Node) -> Option<SecretSource> {
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(SecretSource::Text(Tree::compile(node, &mut reader.problems)));
    }
    reader.keys(node, &["file", "command"], &[])?;
    match node.entries() {
        [(k, n)] if k.as_str() == Some("file") => Some(SecretSource::File(Template::compile(n, &mut reader.problems))),
        [(k, n)] if k.as_str() == Some("command") => {
            let words = reader.list(n);
            if words.is_empty() {
                reader.error("wrong-type", &n.span, "`command` is a list: a program and its arguments");
                return None;
            }
            Some(SecretSource::Command(words.into_iter().map(|w| Template::compile(w, &mut reader.problems)).collect()))
        }
        _ => {
            reader.error("wrong-type", &node.span, "a secret is a text, or has either `file` or `command`");
            None
        }
    }
}

fn known_failure(reader: &mut Reader<'_>, node: &Node) -> Option<KnownFailure> {
    let keys = ["case", "sentence", "issue", "until"];
    reader.keys(node, &keys, &keys)?;
    let (case, sentence) = (reader.named(node, "case")?, reader.named(node, "sentence")?);
    let (issue, until) = (reader.text(node.get("issue")?), reader.named(node, "until")?);
    match until.text.parse::<Date>() {
        Ok(until) => Some(KnownFailure { case, sentence, issue, until }),
        Err(_) => {
            reader.error("invalid-date", &until.span, format!("`{}` is no date like `2027-01-31`", until.text));
            None
        }
    }
}

fn fault_spec(reader: &mut Reader<'_>, node: &Node) -> Option<FaultSpec> {
    if let Some(relay) = node.get("relay") {
        reader.keys(node, &["relay"], &[])?;
        let how = ["delay", "reset", "swallow", "throttle"];
        reader.keys(
            relay,
            &["listen", "upstream", "delay", "reset", "swallow", "throttle"],
            &["listen", "upstream"],
        )?;
        let listen = reader.text(relay.get("listen")?);
        let upstream = reader.text(relay.get("upstream")?);
        if listen.parse::<std::net::SocketAddr>().is_err() {
            reader.error("wrong-type", &relay.get("listen")?.span, "`listen` is an address like `127.0.0.1:6432`");
            return None;
        }
        let given: Vec<&(Node, Node)> =
            relay.entries().iter().filter(|(k, _)| how.contains(&k.key_text().as_str())).collect();
        if let [_, (second, _), ..] = given[..] {
            reader.error("wrong-type", &second.span, "a fault does one thing to its link; write two faults");
            return None;
        }
        let how = match given.first() {
            None => RelayFault::Cut,
            Some((k, v)) => relay_fault(reader, &k.key_text(), v)?,
        };
        return Some(FaultSpec::Relay { listen, upstream, how });
    }
    reader.keys(node, &["do", "heal", "refused", "relay"], &["do", "heal"])?;
    let cut = node.get("do").map(|n| reader.steps(n)).unwrap_or_default();
    let heal = node.get("heal").map(|n| reader.steps(n)).unwrap_or_default();
    let refused = node.get("refused").and_then(|n| reader.expression(n));
    Some(FaultSpec::Actions { cut, heal, refused })
}

fn relay_fault(reader: &mut Reader<'_>, key: &str, node: &Node) -> Option<RelayFault> {
    match (key, &node.kind) {
        ("reset", Kind::Bool(true)) => Some(RelayFault::Reset),
        ("swallow", Kind::Bool(true)) => Some(RelayFault::Swallow),
        ("throttle", Kind::Int(bytes)) if *bytes > 0 => Some(RelayFault::Throttle(bytes.unsigned_abs())),
        ("delay", Kind::Str(text)) => match humantime::parse_duration(text) {
            Ok(delay) => Some(RelayFault::Delay(delay)),
            Err(_) => {
                reader.error("invalid-duration", &node.span, format!("`{text}` is no duration"));
                None
            }
        },
        _ => {
            let wanted = match key {
                "throttle" => "`throttle` is a number of bytes a second",
                "delay" => "`delay` is a duration like `2s`",
                _ => "it is there as `true`, or not at all",
            };
            reader.error("wrong-type", &node.span, wanted);
            None
        }
    }
}
