//! Reads the environment file, which defines targets, secrets and faults. Connects to nothing.
use super::{
    model::{ActionDefinition, ActionSpec, Spanned},
    reader::Reader,
    relay::{RelayFault, RelayPlace, relay_spec},
    variables::{Typing, resolve},
};
use crate::{
    access::{AccessRules, Allowed},
    diagnostic::{Diagnostic, Diagnostics},
    expr::{Expression, Scope, Template, Tree, regex},
    language::{
        ALLOW_KEYS, ENVIRONMENT_FILE_KEYS, ENVIRONMENT_KEYS, FAULT_ACTION_KEYS, KNOWN_FAILURE_KEYS, MASKED_FIELDS_KEYS,
        RUNS_KEYS, SECRET_KEYS,
    },
    secrets::FieldRule,
    source::{Source, Span},
    value::Value,
    yaml::{Kind, Node, wrong_type},
};
use ::regex::Regex;
use jiff::civil::Date;
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use url::Url;

#[derive(Default)]
pub struct Environments {
    pub default: Option<String>,
    pub all: Vec<Environment>,
    pub runs: RunsSetting,
}

/// Where runs are recorded, and how long finished ones are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunsSetting {
    /// Relative to the environment file.
    pub folder: Option<String>,
    pub keep: Option<usize>,
    pub max_age: Option<Duration>,
}

#[derive(Clone, Default)]
pub struct Environment {
    pub name: String,
    /// One sentence for reports.
    pub about: Option<String>,
    /// Printed first and last in every report.
    pub notice: Option<String>,
    /// In file order. The first target of a verb is its default.
    pub targets: Vec<(Spanned, Node)>,
    /// The targets as written, with the placeholders of variables of the process.
    pub written_targets: Vec<(Spanned, Node)>,
    /// Variables of the process, as `env`; `None` if they are not known.
    pub variables: Option<Scope>,
    /// The problems of settings that read variables of the process: most are not set.
    pub unset: Diagnostics,
    /// Names whose values are masked as soon as they are read.
    pub secrets: Vec<(Spanned, SecretSource)>,
    /// Values for the plan's variables.
    pub vars: Vec<(Spanned, Tree)>,
    pub setup: Vec<ActionSpec>,
    /// Performed after the last case, whatever its verdict.
    pub teardown: Vec<ActionSpec>,
    /// Performed after a failed case, to collect evidence.
    pub on_failure: Vec<ActionSpec>,
    /// Replacements for actions of the plan with the same name, inputs and outputs.
    pub actions: Vec<ActionDefinition>,
    pub known_failures: Vec<KnownFailure>,
    /// Refuses actions that cannot be undone.
    pub protected: bool,
    /// What plans may use beside their folder and the targets.
    pub allow: Allowed,
    /// Which fields are masked by their names.
    pub masked_fields: FieldRule,
    pub faults: Vec<(Spanned, FaultSpec)>,
    pub jobs: Option<usize>,
    /// How long all the undo of a case may take.
    pub undo_timeout: Option<Duration>,
    /// Names and versions of what runs here, for the report.
    pub versions: Vec<(Spanned, VersionSource)>,
}

/// Where the value of a secret comes from. A final line break is removed.
#[derive(Clone)]
pub enum SecretSource {
    Text(Tree),
    File(Template),
    /// A program with its arguments.
    Command(Vec<Template>),
}

/// Where a version comes from.
#[derive(Clone)]
pub enum VersionSource {
    Text(String),
    /// Actions that save it as `version`.
    Actions(Vec<ActionSpec>),
}

/// Sentences of a case that may fail for a while.
#[derive(Clone)]
pub struct KnownFailure {
    pub case: Spanned,
    pub sentences: Vec<Spanned>,
    /// Found in the observed value; without it, any failure is accepted.
    pub observed: Option<Regex>,
    /// Link to the issue.
    pub issue: String,
    /// Last day on which the failure is accepted.
    pub until: Date,
}

#[derive(Clone)]
pub enum FaultSpec {
    /// A relay between the platform and a dependency.
    Relay { relay: RelayPlace, how: RelayFault },
    /// Actions. `refused` computes the number of affected connections; `probe` passes while the connection works.
    Actions { cut: Vec<ActionSpec>, heal: Vec<ActionSpec>, refused: Option<Expression>, probe: Vec<ActionSpec> },
}

impl Environment {
    /// What plans may use here: also the hosts in the environment's values for variables of the plan. `root` is the project folder, if it is known, and `targets` are the addresses of the targets.
    pub fn rules(&self, root: Option<PathBuf>, targets: Vec<String>) -> AccessRules {
        let mut allowed = self.allow.clone();
        let scope = self.variables.clone().unwrap_or_default();
        let values = self.vars.iter().filter_map(|(_, tree)| tree.render(&scope).ok());
        values.for_each(|value| hosts_of(&value, &mut allowed.hosts));
        AccessRules::of_plans(allowed, self.protected.then(|| self.name.clone()), root, targets)
    }
}

/// Adds the hosts, with their ports, of all whole URLs in a value.
fn hosts_of(value: &Value, hosts: &mut Vec<String>) {
    match value {
        Value::Text(text) => {
            let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https" | "ws" | "wss"));
            let host = url.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
            hosts.extend(host);
        }
        Value::List(items) => items.iter().for_each(|item| hosts_of(item, hosts)),
        Value::Map(map) => map.iter().for_each(|(_, content)| hosts_of(content, hosts)),
        _ => {}
    }
}

impl Environments {
    pub fn get(&self, name: &str) -> Option<&Environment> {
        self.all.iter().find(|e| e.name == name)
    }
}

/// Reads an environment file. `None` if it is not a YAML map.
pub fn read(reader: &mut Reader<'_>, source: &Arc<Source>) -> Option<Environments> {
    let root = reader.parse(source)?;
    reader.keys(&root, ENVIRONMENT_FILE_KEYS)?;
    let mut all = vec![];
    if let Some(environments) = root.get("environments") {
        for (name, node) in reader.entries(environments) {
            let Some(node) = extended(reader, environments, node, &mut vec![name.text.clone()]) else { continue };
            all.extend(environment(reader, name.text, &node));
        }
        // a problem of an environment also occurs in those that extend it: report it once
        reader.problems.sort();
    }
    let default = reader.named(&root, "default");
    if let Some(default) = &default
        && !all.iter().any(|e: &Environment| e.name == default.text)
    {
        let names: Vec<_> = all.iter().map(|e| e.name.as_str()).collect();
        unknown_environment(reader, &default.text, &default.span, &names);
    }
    let runs = root.get("runs").map(|node| runs_setting(reader, node)).unwrap_or_default();
    Some(Environments { default: default.map(|d| d.text), all, runs })
}

fn runs_setting(reader: &mut Reader<'_>, node: &Node) -> RunsSetting {
    if reader.keys(node, RUNS_KEYS).is_none() {
        return RunsSetting::default();
    }
    RunsSetting {
        folder: reader.text_at(node, "folder"),
        keep: node.get("keep").and_then(|n| positive(reader, n, "keep: 20")),
        max_age: node.get("max_age").and_then(|n| duration(reader, n, "max_age: 30d")),
    }
}

fn duration(reader: &mut Reader<'_>, node: &Node, example: &str) -> Option<Duration> {
    let read = node.as_str().and_then(|text| humantime::parse_duration(text).ok());
    if read.is_none() {
        reader.problems.push(wrong_type(node, "a duration").help(format!("write `{example}`")));
    }
    read
}

/// A number from 1.
fn positive(reader: &mut Reader<'_>, node: &Node, example: &str) -> Option<usize> {
    match node.kind {
        Kind::Int(i) if i > 0 => Some(i as usize),
        _ => {
            reader.problems.push(wrong_type(node, "a positive number").help(format!("write `{example}`")));
            None
        }
    }
}

fn unknown_environment(reader: &mut Reader<'_>, name: &str, span: &Span, known: &[&str]) {
    let d = Diagnostic::error("unknown-environment", span, format!("unknown environment `{name}`"));
    reader.problems.push(d.suggest(name, known.iter().copied()));
}

fn environment(reader: &mut Reader<'_>, name: String, written: &Node) -> Option<Environment> {
    reader.keys(written, ENVIRONMENT_KEYS)?;
    let (mut unset, before) = (Diagnostics::default(), reader.problems.0.len());
    let resolved = with_variables(reader, written, &mut unset);
    let environment = environment_of(reader, name, written, &resolved);
    // a setting without its value is reported once
    let mut own = reader.problems.0.split_off(before);
    own.retain(|d| !unset.0.iter().any(|u| d.span.contains(&u.span)));
    reader.problems.0.extend(own);
    let variables = reader.variables.clone();
    environment.map(|environment| Environment { unset, variables, ..environment })
}

/// An environment with the values of variables of the process, except in actions, secrets and variables.
fn with_variables(reader: &Reader<'_>, node: &Node, unset: &mut Diagnostics) -> Node {
    let (Some(variables), Kind::Map(entries)) = (&reader.variables, &node.kind) else { return node.clone() };
    let entry = |(key, value): &(Node, Node)| {
        let value = match &*key.key_text() {
            "targets" => resolve(value, variables, Typing::Text, unset),
            "about" | "notice" | "jobs" | "undo_timeout" | "protected" | "allow" | "known_failures" => {
                resolve(value, variables, Typing::Plain, unset)
            }
            // the others have actions
            "versions" => resolve_entries(value, variables, unset, |version| !matches!(version.kind, Kind::Seq(_))),
            "faults" => resolve_entries(value, variables, unset, |fault| fault.get("relay").is_some()),
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    node.with_kind(Kind::Map(entries.iter().map(entry).collect()))
}

/// Resolves the entries of a map that are `literal`.
fn resolve_entries(map: &Node, variables: &Scope, unset: &mut Diagnostics, literal: fn(&Node) -> bool) -> Node {
    let Kind::Map(entries) = &map.kind else { return map.clone() };
    let entry = |(name, value): &(Node, Node)| {
        let resolved = match literal(value) {
            true => resolve(value, variables, Typing::Plain, unset),
            false => value.clone(),
        };
        (name.clone(), resolved)
    };
    map.with_kind(Kind::Map(entries.iter().map(entry).collect()))
}

fn environment_of(reader: &mut Reader<'_>, name: String, written: &Node, node: &Node) -> Option<Environment> {
    let jobs = node.get("jobs").and_then(|n| positive(reader, n, "jobs: 8"));
    let mut known_failures = vec![];
    for known in node.get("known_failures").map(|n| reader.list(n)).unwrap_or_default() {
        known_failures.extend(known_failure(reader, known));
    }
    let mut actions = vec![];
    if let Some(node) = node.get("actions") {
        reader.definitions(node, &mut actions);
    }
    let versions = reader.read_entries(node.get("versions"), |reader, value| match value.kind {
        Kind::Seq(_) => Some(VersionSource::Actions(reader.actions(value))),
        _ => Some(VersionSource::Text(reader.text(value))),
    });
    Some(Environment {
        name,
        about: reader.text_at(node, "about"),
        notice: reader.text_at(node, "notice"),
        targets: reader.read_entries(node.get("targets"), |_, target| Some(target.clone())),
        written_targets: reader.read_entries(written.get("targets"), |_, target| Some(target.clone())),
        secrets: reader.read_entries(node.get("secrets"), secret_source),
        vars: reader.named_trees(node.get("vars")),
        setup: reader.actions_at(node, "setup"),
        teardown: reader.actions_at(node, "teardown"),
        on_failure: reader.actions_at(node, "on_failure"),
        actions,
        known_failures,
        protected: reader.flag(node, "protected"),
        allow: node.get("allow").map(|n| allowed(reader, n)).unwrap_or_default(),
        masked_fields: node.get("masked_fields").map(|n| masked_fields(reader, n)).unwrap_or_default(),
        faults: reader.read_entries(node.get("faults"), fault_spec),
        jobs,
        undo_timeout: node.get("undo_timeout").and_then(|n| duration(reader, n, "undo_timeout: 5m")),
        versions,
        ..Environment::default()
    })
}

/// `false` switches masking by names off.
fn masked_fields(reader: &mut Reader<'_>, node: &Node) -> FieldRule {
    if let Kind::Bool(on) = node.kind {
        return FieldRule { off: !on, ..FieldRule::default() };
    }
    if reader.keys(node, MASKED_FIELDS_KEYS).is_none() {
        return FieldRule::default();
    }
    let (more, except) = (one_or_many_texts(reader, node, "add"), one_or_many_texts(reader, node, "except"));
    FieldRule { off: false, more, except }
}

fn one_or_many_texts(reader: &mut Reader<'_>, node: &Node, key: &str) -> Vec<String> {
    let nodes = node.get(key).map(|n| reader.one_or_many(n)).unwrap_or_default();
    nodes.into_iter().map(|n| reader.text(n)).collect()
}

fn allowed(reader: &mut Reader<'_>, node: &Node) -> Allowed {
    if reader.keys(node, ALLOW_KEYS).is_none() {
        return Allowed::default();
    }
    let (paths, hosts) = (one_or_many_texts(reader, node, "paths"), one_or_many_texts(reader, node, "hosts"));
    let paths = paths.into_iter().map(PathBuf::from).collect();
    Allowed { paths, hosts, exec: reader.flag(node, "exec"), ..Allowed::default() }
}

/// Length of a chain of `extends`.
const MAX_EXTENDS: usize = 32;

/// An environment with what it inherits by `extends`: maps are merged name by name, other values replaced. `None` if
/// the base is unknown or cyclic, which is reported.
fn extended(reader: &mut Reader<'_>, all: &Node, node: &Node, chain: &mut Vec<String>) -> Option<Node> {
    let Some(base) = node.get("extends") else { return Some(node.clone()) };
    let name = reader.text(base);
    if chain.contains(&name) {
        let message = format!("environment extends itself: `{}` → `{name}`", chain.join("` → `"));
        reader.error("extends-cycle", &base.span, message, "remove one `extends`");
        return None;
    }
    if chain.len() > MAX_EXTENDS {
        let message = format!("expected at most {MAX_EXTENDS} environments that extend one another, found more");
        reader.error("extends-cycle", &base.span, message, "extend an environment nearer to the first");
        return None;
    }
    let Some(found) = all.get(&name) else {
        let known: Vec<_> = all.entries().iter().filter_map(|(k, _)| k.as_str()).collect();
        unknown_environment(reader, &name, &base.span, &known);
        return None;
    };
    chain.push(name);
    let base = extended(reader, all, found, chain)?;
    Some(merged(&base, node, 0))
}

/// `own` merged over `base`. Merges the maps of an environment, but not their entries.
fn merged(base: &Node, own: &Node, depth: usize) -> Node {
    let (Kind::Map(below), Kind::Map(above)) = (&base.kind, &own.kind) else { return own.clone() };
    if depth > 1 {
        return own.clone();
    }
    let mut entries: Vec<(Node, Node)> = vec![];
    // the first of duplicate keys
    let own_entries: HashMap<String, &(Node, Node)> = above.iter().rev().map(|e| (e.0.key_text(), e)).collect();
    let inherited: HashSet<String> = below.iter().map(|(k, _)| k.key_text()).collect();
    for (k, v) in below {
        match own_entries.get(&k.key_text()) {
            Some((key, value)) => entries.push((key.clone(), merged(v, value, depth + 1))),
            None => entries.push((k.clone(), v.clone())),
        }
    }
    // keeps duplicate keys, which are reported later
    entries.extend(above.iter().filter(|(k, _)| !inherited.contains(&k.key_text())).cloned());
    Node::new(Kind::Map(entries), own.span.clone())
}

fn secret_source(reader: &mut Reader<'_>, node: &Node) -> Option<SecretSource> {
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(SecretSource::Text(reader.tree(node)));
    }
    reader.keys(node, SECRET_KEYS)?;
    match node.entries() {
        [(k, n)] if k.as_str() == Some("file") => Some(SecretSource::File(reader.template(n))),
        [(k, n)] if k.as_str() == Some("command") => {
            let words = reader.list(n);
            if words.is_empty() {
                let message = "expected a program with its arguments, found an empty list";
                reader.error("wrong-type", &n.span, message, "write `command: [vault, kv, get, …]`");
                return None;
            }
            Some(SecretSource::Command(words.into_iter().map(|w| reader.template(w)).collect()))
        }
        _ => {
            let message = format!("expected one of `file` and `command`, found {} keys", node.entries().len());
            let help = "write `{ file: PATH }`, `{ command: [PROGRAM] }` or a string";
            reader.error("wrong-type", &node.span, message, help);
            None
        }
    }
}

fn known_failure(reader: &mut Reader<'_>, node: &Node) -> Option<KnownFailure> {
    reader.keys(node, KNOWN_FAILURE_KEYS)?;
    let case = reader.named(node, "case")?;
    let listed = node.get("sentences").map(|n| reader.list(n)).unwrap_or_default();
    let mut sentences: Vec<Spanned> = listed.into_iter().map(|n| reader.spanned(n)).collect();
    sentences.extend(reader.named(node, "sentence"));
    if sentences.is_empty() {
        let message = "expected `sentence` or `sentences`, found neither";
        reader.error("missing-key", &case.span, message, "write the sentences that may fail: `sentences: [...]`");
    }
    let observed = node.get("observed").and_then(|n| observed_pattern(reader, n));
    let (issue, until) = (reader.text(node.get("issue")?), reader.named(node, "until")?);
    match until.text.parse::<Date>() {
        Ok(until) => Some(KnownFailure { case, sentences, observed, issue, until }),
        Err(_) => {
            let message = format!("expected a date like `2027-01-31`, found `{}`", until.text);
            reader.error("invalid-date", &until.span, message, "write year, month and day: `2027-01-31`");
            None
        }
    }
}

fn observed_pattern(reader: &mut Reader<'_>, node: &Node) -> Option<Regex> {
    let pattern = reader.text(node);
    let message = match Regex::new(&pattern) {
        Ok(_) if regex::matches_everything(&pattern) => {
            format!("the regular expression `{pattern}` matches everything")
        }
        Ok(found) => return Some(found),
        Err(e) => format!("invalid regular expression: {}", regex::reason(&e)),
    };
    reader.error("invalid-regex", &node.span, message, "write a text that the observed value must contain");
    None
}

fn fault_spec(reader: &mut Reader<'_>, node: &Node) -> Option<FaultSpec> {
    if let Some(relay) = node.get("relay") {
        let (relay, how) = relay_spec(reader, node, relay)?;
        return Some(FaultSpec::Relay { relay, how });
    }
    reader.keys(node, FAULT_ACTION_KEYS)?;
    let (cut, heal) = (reader.actions_at(node, "do"), reader.actions_at(node, "heal"));
    let refused = node.get("refused").and_then(|n| reader.expression(n));
    Some(FaultSpec::Actions { cut, heal, refused, probe: reader.actions_at(node, "probe") })
}
