//! Reads actions: their verb, the keys beside it, and reusable definitions.
use super::{model::*, reader::Reader};
use crate::{
    diagnostic::Diagnostic,
    expr::{Pattern, Tree},
    language::{self, ACTION_KEYS, BUILTIN_VERBS, DEFINITION_KEYS, FAULT_KEYS, PARALLEL_KEYS, WAITING_WORDS},
    source::Span,
    value::Value,
    yaml::{Kind, Node, duplicate_key, wrong_type},
};

/// Nesting depth of lists of actions, lower than the depth limit of the YAML library.
const MAX_NESTING: usize = 12;

impl Reader<'_> {
    pub fn definitions(&mut self, node: &Node, into: &mut Vec<ActionDefinition>) {
        for (name, body) in self.entries(node) {
            if into.iter().any(|d| d.name.text == name.text) {
                self.error(
                    "duplicate-id",
                    &name.span,
                    format!("duplicate action `{}`", name.text),
                    "give each action its own name",
                );
                continue;
            }
            if self.keys(body, DEFINITION_KEYS).is_none() {
                continue;
            }
            let default = |reader: &mut Self, n: &Node| Some((!matches!(n.kind, Kind::Null)).then(|| reader.tree(n)));
            let inputs = self.read_entries(body.get("inputs"), default);
            let outputs = self.read_entries(body.get("outputs"), Self::named_expression);
            let actions = self.actions_at(body, "do");
            into.push(ActionDefinition { name, inputs, actions, outputs });
        }
    }

    pub fn assertions(&mut self, node: &Node) -> Assertions {
        let mut pattern = node.get("expect").map(|n| Pattern::compile(n, &mut self.problems));
        if let Some(pattern) = &mut pattern {
            pattern.schemas(&mut |schema| self.load_schema(schema));
        }
        let (mut checks, mut invalid) = (vec![], false);
        for item in node.get("check").map(|n| self.one_or_many(n)).unwrap_or_default() {
            match self.expression(item) {
                Some(e) => {
                    e.vacuous().into_iter().for_each(|d| self.problems.push(d));
                    checks.push((e, item.span.clone()));
                }
                None => invalid = true,
            }
        }
        Assertions { pattern, checks, invalid }
    }

    /// The actions under `key`.
    pub(super) fn actions_at(&mut self, node: &Node, key: &str) -> Vec<ActionSpec> {
        node.get(key).map(|n| self.actions(n)).unwrap_or_default()
    }

    pub fn actions(&mut self, node: &Node) -> Vec<ActionSpec> {
        if self.depth >= MAX_NESTING {
            self.error(
                "nesting-too-deep",
                &node.span,
                format!("expected at most {MAX_NESTING} nested lists of actions"),
                "make the inner part a reusable action, and `use` it",
            );
            return vec![];
        }
        self.depth += 1;
        let actions = self.list(node).into_iter().filter_map(|n| self.action(n)).collect();
        self.depth -= 1;
        actions
    }

    fn action(&mut self, node: &Node) -> Option<ActionSpec> {
        if !matches!(node.kind, Kind::Map(_)) {
            let help = "write an action as a map with one verb: `- http: { request: GET /health }`";
            self.problems.push(wrong_type(node, "an action").help(help));
            return None;
        }
        let (verb_entry, valid) = self.verb_entry(node);
        let assertions = self.assertions(node);
        let save = self.read_entries(node.get("save"), Self::named_expression);
        let first_key = node.entries().first().map_or(&node.span, |(k, _)| &k.span).clone();
        let verb = match verb_entry {
            None if !valid => Verb::Broken,
            None => {
                if node.get("save").is_none() && assertions.is_empty() {
                    let d =
                        Diagnostic::error("empty-action", &first_key, "expected a verb or an assertion, found neither");
                    let verbs = self.verbs.iter().copied().chain(language::names(BUILTIN_VERBS));
                    let verbs = verbs.map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
                    self.problems.push(d.help(format!("add a verb ({verbs}), or `save`, `expect` or `check`")));
                }
                for key in ["undo", "timeout", "target", "eventually", "always", "give_up_if", "still_at_end"] {
                    if let Some(k) = key_of(node, key) {
                        let message = format!("expected a verb beside `{key}`, found none");
                        self.error("missing-verb", &k.span, message, format!("add a verb, or remove `{key}`"));
                    }
                }
                Verb::None
            }
            Some((key, body)) => {
                self.check_effects(&key.key_text(), node);
                self.verb(key, body, node).unwrap_or(Verb::Broken)
            }
        };
        Some(ActionSpec {
            span: verb_entry.map_or(first_key, |(k, _)| k.span.clone()),
            verb,
            bind: self.name(node, "as"),
            save,
            assertions,
            undo: self.actions_at(node, "undo"),
            foreach: node.get("foreach").map(|n| (self.foreach(n), n.span.clone())),
            condition: node.get("if").and_then(|n| self.expression(n)),
            eventually: node.get("eventually").and_then(|n| self.duration(n)),
            always: node.get("always").and_then(|n| self.duration(n)),
            give_up_if: node.get("give_up_if").and_then(|n| self.expression(n)),
            timeout: node.get("timeout").and_then(|n| self.duration(n)),
            target: self.named(node, "target"),
            blames_environment: self.blames_environment(node),
            still_at_end: self.still_at_end(node),
        })
    }

    /// The entry of the first verb, and whether all keys are valid. Reports those that are not.
    fn verb_entry<'n>(&mut self, node: &'n Node) -> (Option<(&'n Node, &'n Node)>, bool) {
        let (mut verb, mut valid): (Option<(&Node, &Node)>, bool) = (None, true);
        for (i, (key, body)) in node.entries().iter().enumerate() {
            let name = key.key_text();
            if node.entries()[..i].iter().any(|(k, _)| k.key_text() == name) {
                self.problems.push(duplicate_key(key));
                valid = false;
            } else if ACTION_KEYS.iter().any(|k| k.name == name) {
            } else if self.verbs.contains(&name.as_str()) || language::names(BUILTIN_VERBS).any(|v| v == name) {
                if let Some((first, _)) = verb {
                    let message = format!("expected one verb, found `{}` and `{name}`", first.key_text());
                    self.error("multiple-verbs", &key.span, message, "write two actions");
                    valid = false;
                }
                verb = verb.or(Some((key, body)));
            } else {
                if !self.is_rest_of_expression(node, i) {
                    self.unknown_verb(&name, key);
                }
                valid = false;
            }
        }
        (verb, valid)
    }

    fn unknown_verb(&mut self, name: &str, key: &Node) {
        let d = Diagnostic::error("unknown-key", &key.span, format!("unknown verb or key `{name}`"));
        let builtin = language::names(BUILTIN_VERBS).chain(ACTION_KEYS.iter().map(|k| k.name));
        let known: Vec<&str> = self.verbs.iter().copied().chain(builtin).collect();
        self.problems.push(if WAITING_WORDS.contains(&name) {
            d.help("to wait, write `eventually: 30s` beside a verb: it retries until `expect` and `check` hold")
        } else if let Some(help) = language::slips::help_for_key(name, &known) {
            d.help(help)
        } else {
            d.suggest(name, known)
        });
    }

    /// Reports keys that have no effect beside this verb.
    fn check_effects(&mut self, verb: &str, node: &Node) {
        let ineffective: &[&str] = match verb {
            "use" => &["target"],
            "parallel" => &["eventually", "always", "give_up_if", "undo", "target"],
            "fault" => &["eventually", "always", "give_up_if", "undo", "timeout", "target", "still_at_end"],
            "every_observation" => &[
                "as",
                "save",
                "undo",
                "foreach",
                "if",
                "eventually",
                "always",
                "give_up_if",
                "timeout",
                "still_at_end",
            ],
            _ => &[],
        };
        for key in ineffective {
            if let Some(k) = key_of(node, key) {
                let help = match verb {
                    "fault" | "every_observation" => format!("remove `{key}`"),
                    _ => format!("move `{key}` to the actions inside"),
                };
                self.error("no-effect", &k.span, format!("`{key}` has no effect beside `{verb}`"), help);
            }
        }
        if let (Some(k), None) = (key_of(node, "give_up_if"), node.get("eventually"))
            && !ineffective.contains(&"give_up_if")
        {
            let message = "`give_up_if` has no effect without `eventually`";
            self.error("no-effect", &k.span, message, "add `eventually: 30s`");
        }
    }

    fn verb(&mut self, key: &Node, body: &Node, action: &Node) -> Option<Verb> {
        let name = Spanned { text: key.key_text(), span: key.span.clone() };
        match name.text.as_str() {
            "use" => self.use_verb(body),
            "parallel" => self.parallel(key, body, action),
            "fault" => self.fault(body),
            "every_observation" => self.every_observation(body),
            _ => Some(Verb::Executor { name, body: body.clone() }),
        }
    }

    fn use_verb(&mut self, body: &Node) -> Option<Verb> {
        let [(action, inputs)] = body.entries() else {
            let help = "write `use: { action-name: { input: value } }`";
            self.error("wrong-type", &body.span, "expected one action with its inputs", help);
            return None;
        };
        let inputs = self.named_trees(Some(inputs).filter(|n| !matches!(n.kind, Kind::Null)));
        Some(Verb::Use { action: Spanned { text: action.key_text(), span: action.span.clone() }, inputs })
    }

    fn parallel(&mut self, key: &Node, body: &Node, action: &Node) -> Option<Verb> {
        let (list, overlap) = match &body.kind {
            Kind::Map(_) => {
                self.keys(body, PARALLEL_KEYS)?;
                let overlap = body.get("overlap").map_or(Overlap::Any, |n| match &n.kind {
                    Kind::Int(i) if *i > 0 => Overlap::AtLeast(*i as usize),
                    Kind::Str(s) if s == "all" => Overlap::All,
                    _ => {
                        let help = "write `overlap: all`, or the number of branches";
                        self.problems.push(wrong_type(n, "`all` or a positive number").help(help));
                        Overlap::Any
                    }
                });
                (body.get("branches")?, overlap)
            }
            _ => (body, Overlap::Any),
        };
        let branches: Vec<Vec<ActionSpec>> = self
            .list(list)
            .into_iter()
            .map(|b| match b.entries() {
                [(k, actions)] if k.as_str() == Some("do") => self.actions(actions),
                _ => self.action(b).into_iter().collect(),
            })
            .collect();
        if branches.is_empty() || (branches.len() == 1 && action.get("foreach").is_none()) {
            let message = format!("expected at least two branches, found {}", branches.len());
            self.error("single-branch", &key.span, message, "add a branch, or `foreach` beside `parallel`");
        }
        Some(Verb::Parallel { branches, overlap, span: key.span.clone() })
    }

    fn fault(&mut self, body: &Node) -> Option<Verb> {
        self.keys(body, FAULT_KEYS)?;
        let [(key, name)] = body.entries() else {
            let help = "write `fault: { break: NAME }` or `fault: { heal: NAME }`";
            self.error("wrong-type", &body.span, "expected either `break` or `heal`", help);
            return None;
        };
        Some(Verb::Fault { breaks: key.as_str() == Some("break"), name: self.spanned(name) })
    }

    fn every_observation(&mut self, body: &Node) -> Option<Verb> {
        let verb = self.spanned(body);
        if !self.verbs.contains(&verb.text.as_str()) {
            let message = format!("expected a verb that observes a target, found `{}`", verb.text);
            let d = Diagnostic::error("unknown-key", &verb.span, message);
            self.problems.push(d.suggest(&verb.text, self.verbs.iter().copied()));
            return None;
        }
        Some(Verb::EveryObservation { verb })
    }

    fn still_at_end(&mut self, node: &Node) -> Option<Span> {
        let n = node.get("still_at_end")?;
        if !matches!(n.kind, Kind::Bool(true)) {
            let help = "write `still_at_end: true`, or remove it";
            self.problems.push(wrong_type(n, "`true`").help(help));
        }
        key_of(node, "still_at_end").map(|k| k.span.clone())
    }

    fn blames_environment(&mut self, node: &Node) -> bool {
        let Some(n) = node.get("blame") else { return false };
        let word = self.text(n);
        if word != "environment" {
            let help = "write `blame: environment`, or remove it: a failure is the product's by default";
            self.error("wrong-type", &n.span, format!("expected `environment`, found `{word}`"), help);
        }
        true
    }

    fn foreach(&mut self, node: &Node) -> Foreach {
        match &node.kind {
            Kind::Map(entries) => Foreach::Map(entries.iter().map(|(k, v)| (k.key_text(), self.tree(v))).collect()),
            Kind::Seq(_) => Foreach::List(self.tree(node)),
            Kind::Str(s) if s.contains("${") => Foreach::List(self.tree(node)),
            _ => {
                let help = "write `foreach: [a, b]`, or `foreach: ${names}` for a list that is bound later";
                self.problems.push(wrong_type(node, "a list or a map").help(help));
                Foreach::List(Tree::Value(Value::Null))
            }
        }
    }
}

fn key_of<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.entries().iter().map(|(k, _)| k).find(|k| k.as_str() == Some(key))
}
