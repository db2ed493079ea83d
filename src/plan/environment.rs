//! The environment file: what a plan's targets and faults are here. Reads text only; whoever connects does so later.
use super::{
    model::{Named, Step},
    read::Reader,
};
use crate::{
    expr::Tree,
    source::Source,
    yaml::{Kind, Node, parse},
};
use std::sync::Arc;

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
    pub sandbox: bool,
    /// In the order of the file: the first of a verb is that verb's default.
    pub targets: Vec<(Named, Node)>,
    /// Names that are secrets: masked from the moment on in which they are read.
    pub secrets: Vec<(Named, Tree)>,
    /// The plan's variables as they are here.
    pub vars: Vec<(Named, Tree)>,
    pub setup: Vec<Step>,
    pub faults: Vec<(Named, FaultSpec)>,
    pub jobs: Option<usize>,
    /// Name and version of what runs here, as the environment says.
    pub versions: Vec<(String, String)>,
}

#[derive(Clone)]
pub enum FaultSpec {
    /// The runner's own relay between the platform and `upstream`.
    Relay { listen: String, upstream: String },
    /// Actions; `refused` says how often the cut link was tried.
    Actions { cut: Vec<Step>, heal: Vec<Step>, refused: Option<crate::expr::Expression> },
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
            all.extend(environment(reader, name.text, node));
        }
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
        &["about", "sandbox", "targets", "secrets", "vars", "setup", "faults", "jobs", "versions"],
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
    let versions = node.get("versions").map(|n| reader.entries(n)).unwrap_or_default();
    Some(Environment {
        name,
        about: node.get("about").map(|n| reader.text(n)),
        sandbox: matches!(node.get("sandbox").map(|n| &n.kind), Some(Kind::Bool(true))),
        targets,
        secrets: node.get("secrets").map(|n| reader.named_trees(n)).unwrap_or_default(),
        vars: node.get("vars").map(|n| reader.named_trees(n)).unwrap_or_default(),
        setup: node.get("setup").map(|n| reader.steps(n)).unwrap_or_default(),
        faults,
        jobs,
        versions: versions.into_iter().map(|(k, v)| (k.text, v.key_text())).collect(),
    })
}

fn fault_spec(reader: &mut Reader<'_>, node: &Node) -> Option<FaultSpec> {
    if let Some(relay) = node.get("relay") {
        reader.keys(node, &["relay"], &[])?;
        reader.keys(relay, &["listen", "upstream"], &["listen", "upstream"])?;
        let listen = reader.text(relay.get("listen")?);
        let upstream = reader.text(relay.get("upstream")?);
        if listen.parse::<std::net::SocketAddr>().is_err() {
            reader.error("wrong-type", &relay.get("listen")?.span, "`listen` is an address like `127.0.0.1:6432`");
            return None;
        }
        return Some(FaultSpec::Relay { listen, upstream });
    }
    reader.keys(node, &["do", "heal", "refused", "relay"], &["do", "heal"])?;
    let cut = node.get("do").map(|n| reader.steps(n)).unwrap_or_default();
    let heal = node.get("heal").map(|n| reader.steps(n)).unwrap_or_default();
    let refused = node.get("refused").and_then(|n| reader.expression(n));
    Some(FaultSpec::Actions { cut, heal, refused })
}
