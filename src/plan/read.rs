//! From a YAML tree to a `Plan`: the shape of the language, without its names. Never stops at the first problem.
use super::model::*;
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    expr::{Expression, Pattern, Template, Tree, schema::Schema},
    outcome::Tier,
    source::{Source, Span},
    value::Value,
    yaml::{Kind, Node, parse},
};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The keys of an action that belong to the engine. What else stands there is a verb.
pub const ACTION_KEYS: &[&str] = &[
    "as",
    "expect",
    "check",
    "save",
    "undo",
    "foreach",
    "if",
    "eventually",
    "always",
    "give_up_if",
    "timeout",
    "target",
];
/// The verbs of the engine itself.
pub const BUILTIN_VERBS: &[&str] = &["use", "parallel", "fault"];
/// Of lists of actions within actions: fewer than the YAML library refuses.
const NESTING: usize = 12;

/// How files that a plan names are read: the one thing that is not in its own text.
pub trait FileLoader {
    fn read(&self, path: &Path) -> std::io::Result<String>;
}

pub struct Reader<'a> {
    /// The executors' verbs.
    pub verbs: Vec<&'static str>,
    pub files: &'a dyn FileLoader,
    pub problems: Diagnostics,
    depth: usize,
    /// Where expressions begin that YAML has cut in two; that has been said.
    cut: Vec<usize>,
    /// FileLoader with schemas, each read once.
    documents: HashMap<PathBuf, serde_json::Value>,
}

impl<'a> Reader<'a> {
    pub fn new(verbs: Vec<&'static str>, files: &'a dyn FileLoader) -> Self {
        Reader { verbs, files, problems: Diagnostics::default(), depth: 0, cut: vec![], documents: HashMap::new() }
    }

    /// Reads a plan. `None` where it is no YAML map at all; otherwise a plan with what could be read of it.
    pub fn plan(&mut self, source: &Arc<Source>) -> Option<Plan> {
        let root = match parse(source) {
            Ok(root) => root,
            Err(d) => {
                self.problems.push(*d);
                return None;
            }
        };
        self.keys(
            &root,
            &[
                "plan",
                "title",
                "source",
                "report",
                "environment",
                "objective",
                "scope",
                "vars",
                "actions",
                "cases",
                "include",
                "requires",
                "prove",
            ],
            &["plan", "cases"],
        )?;
        self.requires(&root);
        let mut actions = vec![];
        if let Some(include) = root.get("include") {
            self.include(include, &source.name, &mut actions, &mut HashSet::from([source.name.clone()]));
        }
        if let Some(node) = root.get("actions") {
            self.definitions(node, &mut actions);
        }
        let (mut scope_in, mut scope_out) = (vec![], vec![]);
        if let Some(scope) = root.get("scope")
            && self.keys(scope, &["in", "out"], &[]).is_some()
        {
            scope_in = scope.get("in").map(|n| self.texts(n)).unwrap_or_default();
            scope_out = scope.get("out").map(|n| self.texts(n)).unwrap_or_default();
        }
        let vars = root.get("vars").map(|n| self.named_trees(n)).unwrap_or_default();
        let mut cases: Vec<Case> = vec![];
        if let Some(node) = root.get("cases") {
            for case in self.list(node) {
                let Some(case) = self.case(case) else { continue };
                if cases.iter().any(|c| c.id.text == case.id.text) {
                    let d = Diagnostic::error(
                        "duplicate-id",
                        &case.id.span,
                        format!("there are two cases `{}`", case.id.text),
                    );
                    self.problems.push(d);
                }
                cases.push(case);
            }
            if cases.is_empty() && self.problems.errors() == 0 {
                self.error("no-cases", &node.span, "a plan without cases proves nothing");
            }
        }
        Some(Plan {
            id: root.get("plan").map(|n| self.text(n)).unwrap_or_default(),
            title: root.get("title").map(|n| self.text(n)).unwrap_or_default(),
            span: root.entries().first().map_or_else(|| root.span.clone(), |(k, _)| k.span.clone()),
            source: self.named(&root, "source"),
            report: root.get("report").map(|n| self.text(n)),
            environment: self.named(&root, "environment"),
            objective: root.get("objective").map(|n| self.text(n)),
            scope_in,
            scope_out,
            vars,
            actions,
            prove: root.get("prove").map(|n| self.prove(n)).unwrap_or_default(),
            cases,
        })
    }

    fn requires(&mut self, root: &Node) {
        let Some(node) = root.get("requires") else { return };
        let text = self.text(node);
        let wanted =
            text.strip_prefix(">=").map(|v| v.trim().split('.').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>());
        let mine: Vec<u64> = env!("CARGO_PKG_VERSION").split('.').filter_map(|p| p.parse().ok()).collect();
        match wanted {
            Some(Ok(wanted)) if wanted <= mine => {}
            Some(Ok(_)) => self.error(
                "unsupported-version",
                &node.span,
                format!("this plan requires tp-runner {text}, and this is {}", env!("CARGO_PKG_VERSION")),
            ),
            _ => self.error("wrong-type", &node.span, "`requires` is written like `\">=0.3\"`"),
        }
    }

    fn include(&mut self, node: &Node, from: &str, into: &mut Vec<ActionDefinition>, seen: &mut HashSet<String>) {
        let files: Vec<&Node> = if matches!(node.kind, Kind::Seq(_)) { self.list(node) } else { vec![node] };
        for file in files {
            let Some(name) = file.as_str() else {
                self.error("wrong-type", &file.span, "`include` names a file, or a list of files");
                continue;
            };
            let path = Path::new(from).parent().unwrap_or(Path::new("")).join(name);
            let shown = path.to_string_lossy().into_owned();
            if !seen.insert(shown.clone()) {
                self.error("include-cycle", &file.span, format!("`{name}` is already included"));
                continue;
            }
            let text = match self.files.read(&path) {
                Ok(text) => text,
                Err(e) => {
                    self.error("include-not-found", &file.span, format!("`{shown}` cannot be read: {e}"));
                    continue;
                }
            };
            let source = Arc::new(Source { name: shown.clone(), text });
            match parse(&source) {
                Ok(root) if self.keys(&root, &["actions", "include"], &[]).is_some() => {
                    if let Some(inner) = root.get("include") {
                        self.include(inner, &shown, into, seen);
                    }
                    if let Some(actions) = root.get("actions") {
                        self.definitions(actions, into);
                    }
                }
                Ok(_) => {}
                Err(d) => self.problems.push(*d),
            }
        }
    }

    pub fn definitions(&mut self, node: &Node, into: &mut Vec<ActionDefinition>) {
        for (name, body) in self.entries(node) {
            if into.iter().any(|d| d.name.text == name.text) {
                let d = Diagnostic::error("duplicate-id", &name.span, format!("there are two actions `{}`", name.text));
                self.problems.push(d);
                continue;
            }
            if self.keys(body, &["inputs", "do", "outputs"], &["do"]).is_none() {
                continue;
            }
            let inputs = body.get("inputs").map(|n| self.entries(n)).unwrap_or_default();
            let inputs = inputs
                .into_iter()
                .map(|(k, v)| {
                    let default = (!matches!(v.kind, Kind::Null)).then(|| Tree::compile(v, &mut self.problems));
                    (k, default)
                })
                .collect();
            let outputs = body.get("outputs").map(|n| self.expressions(n)).unwrap_or_default();
            let steps = body.get("do").map(|n| self.steps(n)).unwrap_or_default();
            into.push(ActionDefinition { name, inputs, steps, outputs });
        }
    }

    fn case(&mut self, node: &Node) -> Option<Case> {
        const KNOWN: &[&str] = &[
            "id",
            "title",
            "tier",
            "priority",
            "type",
            "related_issue",
            "test_file",
            "exclusive",
            "timeout",
            "preconditions",
            "steps",
            "expected",
        ];
        self.keys(node, KNOWN, &["id", "tier", "expected"])?;
        let id = self.named(node, "id")?;
        let tier = node.get("tier").and_then(|n| match self.text(n).parse::<Tier>() {
            Ok(t) => Some(t),
            Err(_) => {
                let word = self.text(n);
                let d = Diagnostic::error("unknown-tier", &n.span, format!("unknown tier `{word}`"));
                self.problems.push(d.meant(&word, ["must", "should", "nice"]));
                None
            }
        });
        let exclusive = match node.get("exclusive").map(|n| (&n.kind, &n.span)) {
            None => false,
            Some((Kind::Bool(b), _)) => *b,
            Some((_, span)) => {
                self.error("wrong-type", span, "`exclusive` is true or false");
                false
            }
        };
        let fields = [("type", "Type"), ("related_issue", "Related Issue"), ("test_file", "Test File")];
        let fields = fields
            .into_iter()
            .filter_map(|(k, label)| Some((label.to_string(), node.get(k).map(|n| self.text(n))?)))
            .collect();
        let preconditions = self.sentences(node, "preconditions", "given");
        let steps = self.sentences(node, "steps", "step");
        let expected = self.sentences(node, "expected", "result");
        if let Some(n) = node.get("expected")
            && matches!(&n.kind, Kind::Seq(items) if items.is_empty())
        {
            self.error("no-expected-results", &n.span, "a case without expected results proves nothing");
        }
        Some(Case {
            id,
            title: node.get("title").map(|n| self.text(n)).unwrap_or_default(),
            tier: tier.unwrap_or(Tier::Must),
            priority: node.get("priority").map(|n| self.text(n)),
            fields,
            exclusive,
            timeout: node.get("timeout").and_then(|n| self.duration(n)).map(|(t, _)| t),
            preconditions,
            steps,
            expected,
        })
    }

    fn sentences(&mut self, case: &Node, part: &str, word: &str) -> Vec<Sentence> {
        let Some(node) = case.get(part) else { return vec![] };
        let mut out = vec![];
        for item in self.list(node) {
            let known: &[&str] =
                if word == "result" { &[word, "do", "check", "expect", "unproven"] } else { &[word, "do"] };
            if self.keys(item, known, &[word]).is_none() {
                continue;
            }
            let Some(text) = self.named(item, word) else { continue };
            let steps = item.get("do").map(|n| self.steps(n)).unwrap_or_default();
            let assertions = self.assertions(item);
            let unproven = self.named(item, "unproven");
            if word == "result" && unproven.is_none() && assertions.is_empty() && !steps.iter().any(proves) {
                let d = Diagnostic::error("unverified-result", &text.span, "nothing proves this expected result");
                self.problems.push(d.help("add `check`, `expect` or `do`, or say `unproven: <reason>`"));
            }
            if let Some(u) = &unproven
                && (!assertions.is_empty() || !steps.is_empty())
            {
                self.error("unproven-with-assertion", &u.span, "a result is either proved or `unproven`");
            }
            out.push(Sentence { text, steps, assertions, unproven });
        }
        out
    }

    /// A schema in a file starts at the folder of the file that names it.
    fn read_schema(&mut self, schema: &mut Schema) {
        let Schema::Named(named) = schema else { return };
        let path = Path::new(&named.span.source.name).parent().unwrap_or(Path::new("")).join(&named.file);
        if !self.documents.contains_key(&path) {
            match self.document(&path) {
                Ok(json) => drop(self.documents.insert(path.clone(), json)),
                Err(why) => {
                    let message = format!("`{}` {why}", path.display());
                    self.error("schema-not-found", &named.span.clone(), message);
                    return;
                }
            }
        }
        schema.bind(&self.documents[&path], &mut self.problems);
    }

    /// JSON or YAML.
    fn document(&self, path: &Path) -> Result<serde_json::Value, String> {
        let text = self.files.read(path).map_err(|e| format!("cannot be read: {e}"))?;
        if let Ok(json) = serde_json::from_str(&text) {
            return Ok(json);
        }
        let source = Arc::new(Source { name: path.to_string_lossy().into_owned(), text });
        parse(&source)
            .map(|node| node.to_value().to_json())
            .map_err(|d| format!("is neither JSON nor YAML: {}", d.message))
    }

    fn assertions(&mut self, node: &Node) -> Assertions {
        let mut pattern = node.get("expect").map(|n| Pattern::compile(n, &mut self.problems));
        if let Some(pattern) = &mut pattern {
            pattern.schemas(&mut |schema| self.read_schema(schema));
        }
        let (mut checks, mut wrong) = (vec![], false);
        if let Some(check) = node.get("check") {
            let items: Vec<&Node> = if matches!(check.kind, Kind::Seq(_)) { self.list(check) } else { vec![check] };
            for item in items {
                match self.expression(item) {
                    Some(e) => checks.push((e, item.span.clone())),
                    None => wrong = true,
                }
            }
        }
        Assertions { pattern, checks, wrong }
    }

    pub fn steps(&mut self, node: &Node) -> Vec<ActionSpec> {
        if self.depth >= NESTING {
            self.error("nesting-too-deep", &node.span, format!("actions nest deeper than {NESTING}"));
            return vec![];
        }
        self.depth += 1;
        let steps = self.list(node).into_iter().filter_map(|n| self.step(n)).collect();
        self.depth -= 1;
        steps
    }

    fn step(&mut self, node: &Node) -> Option<ActionSpec> {
        if !matches!(node.kind, Kind::Map(_)) {
            self.error("wrong-type", &node.span, format!("an action is a map with one verb, not {}", node.what()));
            return None;
        }
        let mut verb: Option<(&Node, &Node)> = None;
        let mut wrong = false;
        for (i, (key, body)) in node.entries().iter().enumerate() {
            let name = key.key_text();
            if node.entries()[..i].iter().any(|(k, _)| k.key_text() == name) {
                self.error("duplicate-key", &key.span, format!("`{name}` stands here twice"));
                wrong = true;
            } else if ACTION_KEYS.contains(&name.as_str()) {
            } else if self.verbs.contains(&name.as_str()) || BUILTIN_VERBS.contains(&name.as_str()) {
                if let Some((first, _)) = verb {
                    let d = Diagnostic::error(
                        "multiple-verbs",
                        &key.span,
                        format!("`{name}` is a second verb: there is `{}` already", first.key_text()),
                    );
                    self.problems.push(d.help("an action has one verb; write two actions"));
                    wrong = true;
                }
                verb = verb.or(Some((key, body)));
            } else if self.is_rest(node, i) {
                wrong = true;
            } else {
                let known: Vec<&str> = self
                    .verbs
                    .iter()
                    .copied()
                    .chain(BUILTIN_VERBS.iter().copied())
                    .chain(ACTION_KEYS.iter().copied())
                    .collect();
                let d = Diagnostic::error("unknown-key", &key.span, format!("unknown verb or key `{name}`"));
                self.problems.push(match name.as_str() {
                    "wait" | "sleep" | "retry" | "retries" | "poll" | "delay" => {
                        d.help("nothing sleeps here: `eventually: 30s` beside a verb looks again until `expect` and `check` hold")
                    }
                    _ => d.meant(&name, known),
                });
                wrong = true;
            }
        }
        let assertions = self.assertions(node);
        let save = node.get("save").map(|n| self.expressions(n)).unwrap_or_default();
        let first = node.entries().first().map_or(&node.span, |(k, _)| &k.span).clone();
        let step_verb = match verb {
            None if wrong => Verb::Broken,
            None => {
                if node.get("save").is_none() && assertions.is_empty() {
                    let d = Diagnostic::error("empty-action", &first, "this action does nothing");
                    let verbs =
                        self.verbs.iter().chain(BUILTIN_VERBS).map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
                    self.problems.push(d.help(format!("give it a verb ({verbs}), or `save`, `expect` or `check`")));
                }
                for key in ["undo", "timeout", "target", "eventually", "always", "give_up_if"] {
                    if let Some(k) = key_of(node, key) {
                        self.error("missing-verb", &k.span, format!("`{key}` needs a verb beside it"));
                    }
                }
                Verb::None
            }
            Some((key, body)) => {
                self.effects(&key.key_text(), node);
                self.verb(key, body, node).unwrap_or(Verb::Broken)
            }
        };
        Some(ActionSpec {
            span: verb.map_or(first, |(k, _)| k.span.clone()),
            verb: step_verb,
            bind: self.name(node, "as"),
            save,
            assertions,
            undo: node.get("undo").map(|n| self.steps(n)).unwrap_or_default(),
            foreach: node.get("foreach").map(|n| (self.foreach(n), n.span.clone())),
            condition: node.get("if").and_then(|n| self.expression(n)),
            eventually: node.get("eventually").and_then(|n| self.duration(n)),
            always: node.get("always").and_then(|n| self.duration(n)),
            give_up_if: node.get("give_up_if").and_then(|n| self.expression(n)),
            timeout: node.get("timeout").and_then(|n| self.duration(n)),
            target: self.named(node, "target"),
        })
    }

    /// What stands beside a verb that has no use for it would be read as if it did something.
    fn effects(&mut self, verb: &str, node: &Node) {
        let idle: &[&str] = match verb {
            "use" => &["target"],
            "parallel" => &["eventually", "always", "give_up_if", "undo", "target"],
            "fault" => &["eventually", "always", "give_up_if", "undo", "timeout", "target"],
            _ => &[],
        };
        for key in idle {
            if let Some(k) = key_of(node, key) {
                let d = Diagnostic::error("no-effect", &k.span, format!("`{key}` does nothing beside `{verb}`"));
                self.problems.push(match verb {
                    "fault" => d,
                    _ => d.help("put it beside the actions within"),
                });
            }
        }
        if let (Some(k), None) = (key_of(node, "give_up_if"), node.get("eventually"))
            && !idle.contains(&"give_up_if")
        {
            let d = Diagnostic::error("no-effect", &k.span, "`give_up_if` does nothing without `eventually`");
            self.problems.push(d.help("add `eventually: 30s`"));
        }
    }

    fn verb(&mut self, key: &Node, body: &Node, step: &Node) -> Option<Verb> {
        let name = Spanned { text: key.key_text(), span: key.span.clone() };
        Some(match name.text.as_str() {
            "use" => {
                let [(action, inputs)] = body.entries() else {
                    let d = Diagnostic::error("wrong-type", &body.span, "`use` names one action with its inputs");
                    self.problems.push(d.help("use: { action-name: { input: value } }"));
                    return None;
                };
                let inputs = if matches!(inputs.kind, Kind::Null) { vec![] } else { self.named_trees(inputs) };
                Verb::Use { action: Spanned { text: action.key_text(), span: action.span.clone() }, inputs }
            }
            "parallel" => {
                let (list, overlap) = match &body.kind {
                    Kind::Map(_) => {
                        self.keys(body, &["branches", "overlap"], &["branches"])?;
                        let overlap = body.get("overlap").map_or(Overlap::Any, |n| match &n.kind {
                            Kind::Int(i) if *i > 0 => Overlap::AtLeast(*i as usize),
                            Kind::Str(s) if s == "all" => Overlap::All,
                            _ => {
                                self.error("wrong-type", &n.span, "`overlap` is `all` or a number");
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
                        [(k, steps)] if k.as_str() == Some("do") => self.steps(steps),
                        _ => self.step(b).into_iter().collect(),
                    })
                    .collect();
                if branches.is_empty() || (branches.len() == 1 && step.get("foreach").is_none()) {
                    self.error("single-branch", &key.span, "one branch alone is not parallel");
                }
                Verb::Parallel { branches, overlap, span: key.span.clone() }
            }
            "fault" => {
                self.keys(body, &["break", "heal"], &[])?;
                match body.entries() {
                    [(k, n)] => Verb::Fault {
                        breaks: k.as_str() == Some("break"),
                        name: Spanned { text: self.text(n), span: n.span.clone() },
                    },
                    _ => {
                        self.error("wrong-type", &body.span, "`fault` has either `break: NAME` or `heal: NAME`");
                        return None;
                    }
                }
            }
            _ => Verb::Executor { name, body: body.clone() },
        })
    }

    fn foreach(&mut self, node: &Node) -> Foreach {
        match &node.kind {
            Kind::Map(entries) => Foreach::Map(
                entries.iter().map(|(k, v)| (k.key_text(), Tree::compile(v, &mut self.problems))).collect(),
            ),
            Kind::Seq(_) => Foreach::List(Tree::compile(node, &mut self.problems)),
            Kind::Str(s) if s.contains("${") => Foreach::List(Tree::compile(node, &mut self.problems)),
            _ => {
                let d = Diagnostic::error(
                    "wrong-type",
                    &node.span,
                    format!("`foreach` goes over a list or a map, not {}", node.what()),
                );
                self.problems.push(d.help("write `foreach: ${names}` for a list that is known only later"));
                Foreach::List(Tree::Value(Value::Null))
            }
        }
    }

    pub fn expression(&mut self, node: &Node) -> Option<Expression> {
        if self.cut.contains(&node.span.range.start) {
            return None;
        }
        let text = match &node.kind {
            Kind::Str(s) => s.len(),
            Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) | Kind::Bool(_) => node.span.text().len(),
            _ => {
                let d = Diagnostic::error(
                    "unquoted-expression",
                    &node.span,
                    format!("an expression is needed here, and YAML reads {}", node.what()),
                );
                self.problems.push(d.help("quote the expression: 'a ? b : c'"));
                return None;
            }
        };
        match Expression::compile(node, 0..text) {
            Ok(e) => Some(e),
            Err(ds) => {
                ds.into_iter().for_each(|d| self.problems.push(d));
                None
            }
        }
    }

    fn expressions(&mut self, node: &Node) -> Vec<(Spanned, Expression)> {
        let nothing = |v: &Node| Node { kind: Kind::Str("null".into()), span: v.span.clone() };
        self.entries(node)
            .into_iter()
            // what is wrong has been said; the name counts as bound
            .filter_map(|(k, v)| Some((k, self.expression(v).or_else(|| Expression::compile(&nothing(v), 0..4).ok())?)))
            .collect()
    }

    pub fn named_trees(&mut self, node: &Node) -> Vec<(Spanned, Tree)> {
        self.entries(node).into_iter().map(|(k, v)| (k, Tree::compile(v, &mut self.problems))).collect()
    }

    /// A duration like `1m30s`, or a hole that gives one.
    fn duration(&mut self, node: &Node) -> Option<(Template, Span)> {
        let t = Template::compile(node, &mut self.problems);
        if let Some(text) = t.as_literal()
            && humantime::parse_duration(text).is_err()
        {
            let d = Diagnostic::error("invalid-duration", &node.span, format!("`{text}` is no duration"));
            self.problems.push(d.help("write it like `500ms`, `30s` or `1m30s`"));
            return None;
        }
        Some((t, node.span.clone()))
    }

    fn name(&mut self, node: &Node, key: &str) -> Option<Spanned> {
        let named = self.named(node, key)?;
        if !is_name(&named.text) {
            let d = Diagnostic::error("invalid-name", &named.span, format!("`{}` cannot be a name", named.text));
            self.problems.push(d.help("letters, digits and `_`, not beginning with a digit"));
            return None;
        }
        Some(named)
    }

    pub fn named(&mut self, node: &Node, key: &str) -> Option<Spanned> {
        let n = node.get(key)?;
        Some(Spanned { text: self.text(n), span: n.span.clone() })
    }

    pub fn text(&mut self, node: &Node) -> String {
        if matches!(node.kind, Kind::Seq(_) | Kind::Map(_) | Kind::Null) {
            self.error("wrong-type", &node.span, format!("a text is needed here, not {}", node.what()));
            return String::new();
        }
        node.to_value().to_string()
    }

    fn texts(&mut self, node: &Node) -> Vec<String> {
        self.list(node).into_iter().map(|n| self.text(n)).collect()
    }

    pub fn list<'n>(&mut self, node: &'n Node) -> Vec<&'n Node> {
        match &node.kind {
            Kind::Seq(items) => items.iter().collect(),
            _ => {
                self.error("wrong-type", &node.span, format!("a list is needed here, not {}", node.what()));
                vec![]
            }
        }
    }

    /// The entries of a map of names, each once.
    pub fn entries<'n>(&mut self, node: &'n Node) -> Vec<(Spanned, &'n Node)> {
        if !matches!(node.kind, Kind::Map(_)) {
            self.error("wrong-type", &node.span, format!("a map is needed here, not {}", node.what()));
        }
        let mut out: Vec<(Spanned, &Node)> = vec![];
        for (k, v) in node.entries() {
            let text = k.key_text();
            if out.iter().any(|(n, _)| n.text == text) {
                self.error("duplicate-key", &k.span, format!("`{text}` stands here twice"));
            } else {
                out.push((Spanned { text, span: k.span.clone() }, v));
            }
        }
        out
    }

    /// Whether it is a map; says what of it is unknown, double or missing.
    pub fn keys(&mut self, node: &Node, known: &[&str], needed: &[&str]) -> Option<()> {
        if !matches!(node.kind, Kind::Map(_)) {
            let d = Diagnostic::error("wrong-type", &node.span, format!("a map is needed here, not {}", node.what()));
            self.problems.push(d.help(format!(
                "known here: {}",
                known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
            )));
            return None;
        }
        for (i, (key, _)) in node.entries().iter().enumerate() {
            let name = key.key_text();
            if self.is_rest(node, i) {
            } else if !known.contains(&name.as_str()) {
                let d = Diagnostic::error("unknown-key", &key.span, format!("unknown key `{name}`"));
                self.problems.push(d.meant(&name, known.iter().copied()));
            } else if node.entries()[..i].iter().any(|(k, _)| k.key_text() == name) {
                self.error("duplicate-key", &key.span, format!("`{name}` stands here twice"));
            }
        }
        for need in needed.iter().filter(|n| node.get(n).is_none()) {
            let at = node.entries().first().map_or(&node.span, |(k, _)| &k.span).clone();
            self.error("missing-key", &at, format!("`{need}` is missing here"));
        }
        Some(())
    }

    /// Whether the `i`th key is but the rest of an expression before it, which a comma has cut in two. Says so.
    fn is_rest(&mut self, node: &Node, i: usize) -> bool {
        let (key, value) = &node.entries()[i];
        let Some((_, before)) = i.checked_sub(1).and_then(|i| node.entries().get(i)) else { return false };
        let open = |s: &str| s.matches(['(', '[', '{']).count() > s.matches([')', ']', '}']).count();
        if !matches!(value.kind, Kind::Null)
            || !before.as_str().is_some_and(open)
            || !key.key_text().contains([')', ']', '}'])
        {
            return false;
        }
        let d = Diagnostic::error(
            "unquoted-expression",
            &key.span,
            "YAML reads this as a key of its own: a comma within `{ }` ends a value",
        );
        self.problems.push(d.help("quote the expression"));
        self.cut.push(before.span.range.start);
        true
    }

    pub fn error(&mut self, code: &'static str, span: &Span, message: impl Into<String>) {
        self.problems.push(Diagnostic::error(code, span, message));
    }
}

fn key_of<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.entries().iter().map(|(k, _)| k).find(|k| k.as_str() == Some(key))
}

/// Whether something under it can come out wrong.
fn proves(step: &ActionSpec) -> bool {
    !step.assertions.is_empty()
        || match &step.verb {
            Verb::Use { .. } => true,
            Verb::Parallel { branches, .. } => branches.iter().flatten().any(proves),
            _ => false,
        }
}

pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
