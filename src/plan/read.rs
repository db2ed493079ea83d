//! Reads a plan: its head, includes, cases and sentences.
use super::{model::*, reader::Reader};
use crate::{
    diagnostic::Diagnostic,
    language::{CASE_KEYS, INCLUDE_KEYS, Key, PLAN_KEYS, PRECONDITION_KEYS, RESULT_KEYS, SCOPE_KEYS, STEP_KEYS, TIERS},
    outcome::Tier,
    source::Source,
    yaml::{Kind, Node, wrong_type},
};
use std::{collections::HashSet, path::Path, sync::Arc};

/// Length of a chain of `include`s.
const MAX_INCLUDE_DEPTH: usize = 32;

impl Reader<'_> {
    /// Reads a plan, leaving out what is invalid. `None` if the file is not a YAML map.
    pub fn plan(&mut self, source: &Arc<Source>) -> Option<Plan> {
        let root = self.parse(source)?;
        self.keys(&root, PLAN_KEYS)?;
        self.requires(&root);
        let mut actions = vec![];
        if let Some(include) = root.get("include") {
            let mut seen = HashSet::from([source.name.clone()]);
            self.include(include, &source.name, &mut actions, &mut seen, 0);
        }
        if let Some(node) = root.get("actions") {
            self.definitions(node, &mut actions);
        }
        let (mut scope_in, mut scope_out) = (vec![], vec![]);
        if let Some(scope) = root.get("scope")
            && self.keys(scope, SCOPE_KEYS).is_some()
        {
            scope_in = scope.get("in").map(|n| self.texts(n)).unwrap_or_default();
            scope_out = scope.get("out").map(|n| self.texts(n)).unwrap_or_default();
        }
        let vars = self.named_trees(root.get("vars"));
        let cases = root.get("cases").map(|n| self.cases(n)).unwrap_or_default();
        Some(Plan {
            id: self.text_at(&root, "plan").unwrap_or_default(),
            title: self.text_at(&root, "title").unwrap_or_default(),
            span: root.entries().first().map_or_else(|| root.span.clone(), |(k, _)| k.span.clone()),
            root: None,
            source: self.named(&root, "source"),
            report: self.named(&root, "report"),
            environment: self.named(&root, "environment"),
            objective: self.text_at(&root, "objective"),
            scope_in,
            scope_out,
            vars,
            actions,
            prove: root.get("prove").map_or_else(Prove::default, |n| self.prove(n)),
            cases,
            is_tried: false,
        })
    }

    /// Reads one action, as a plan whose only case has it as its only step.
    pub fn plan_of_action(&mut self, source: &Arc<Source>) -> Option<Plan> {
        let root = self.parse(source)?;
        let span = root.span.clone();
        let list = match &root.kind {
            Kind::Seq(_) => root,
            _ => Node::new(Kind::Seq(vec![root]), span.clone()),
        };
        let actions = self.actions(&list);
        let named = |text: &str| Spanned { text: text.into(), span: span.clone() };
        let (assertions, unproven) = (Assertions::default(), None);
        let step = Sentence { text: named("the action"), actions, assertions, unproven };
        let case = Case {
            id: named("try"),
            title: String::new(),
            tier: Tier::Must,
            priority: None,
            fields: vec![],
            exclusive: false,
            exclusive_if: None,
            timeout: None,
            preconditions: vec![],
            steps: vec![step],
            expected: vec![],
        };
        Some(Plan {
            id: "try".into(),
            title: String::new(),
            span: span.clone(),
            root: None,
            source: None,
            report: None,
            environment: None,
            objective: None,
            scope_in: vec![],
            scope_out: vec![],
            vars: vec![],
            actions: vec![],
            prove: Prove::default(),
            cases: vec![case],
            is_tried: true,
        })
    }

    fn requires(&mut self, root: &Node) {
        let Some(node) = root.get("requires") else { return };
        let text = self.text(node);
        let required =
            text.strip_prefix(">=").map(|v| v.trim().split('.').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>());
        let own: Vec<u64> = env!("CARGO_PKG_VERSION").split('.').filter_map(|p| p.parse().ok()).collect();
        match required {
            Some(Ok(required)) if required <= own => {}
            Some(Ok(_)) => {
                let message = format!("expected tp-runner {text}, found {}", env!("CARGO_PKG_VERSION"));
                self.error("unsupported-version", &node.span, message, "update tp-runner");
            }
            _ => {
                let message = format!("expected a version like `>=0.3`, found `{text}`");
                self.error("wrong-type", &node.span, message, "write `requires: \">=0.3\"`");
            }
        }
    }

    /// Reads the definitions of included files. `seen` holds the files included so far.
    fn include(
        &mut self,
        node: &Node,
        from: &str,
        into: &mut Vec<ActionDefinition>,
        seen: &mut HashSet<String>,
        depth: usize,
    ) {
        if depth > MAX_INCLUDE_DEPTH {
            let message = format!("expected at most {MAX_INCLUDE_DEPTH} files that include one another, found more");
            return self.error("include-cycle", &node.span, message, "include the file directly in the plan");
        }
        for file in self.one_or_many(node) {
            let Some(name) = file.as_str() else {
                self.problems.push(wrong_type(file, "a path").help("write `include: FILE`, or a list of files"));
                continue;
            };
            let path = Path::new(from).parent().unwrap_or(Path::new("")).join(name).to_string_lossy().into_owned();
            if !seen.insert(path.clone()) {
                let message = format!("`{name}` is already included");
                self.error("include-cycle", &file.span, message, "remove one of the two `include`s");
                continue;
            }
            if let Some(refused) = self.files.refusal(Path::new(&path)) {
                self.error("not-allowed", &file.span, refused.message, refused.help);
                continue;
            }
            let text = match self.files.read(Path::new(&path)) {
                Ok(text) => text,
                Err(e) => {
                    let help = "correct the path: it is relative to the file that includes it";
                    self.error("include-not-found", &file.span, format!("cannot read `{path}`: {e}"), help);
                    continue;
                }
            };
            if !is_include(&text) {
                let help = "name a YAML file with reusable actions under `actions`";
                let message = format!("expected a map with `actions` or `include` in `{path}`, found neither");
                self.error("include-not-found", &file.span, message, help);
                continue;
            }
            let Some(root) = self.parse(&Arc::new(Source::new(path.clone(), text))) else { continue };
            if self.keys(&root, INCLUDE_KEYS).is_some() {
                if let Some(inner) = root.get("include") {
                    self.include(inner, &path, into, seen, depth + 1);
                }
                if let Some(actions) = root.get("actions") {
                    self.definitions(actions, into);
                }
            }
        }
    }

    fn cases(&mut self, node: &Node) -> Vec<Case> {
        let (mut cases, mut ids) = (vec![], HashSet::new());
        for case in self.list(node) {
            let Some(case) = self.case(case) else { continue };
            if !ids.insert(case.id.text.clone()) {
                let message = format!("duplicate case `{}`", case.id.text);
                self.error("duplicate-id", &case.id.span, message, "give each case its own `id`");
            }
            cases.push(case);
        }
        if cases.is_empty() && self.problems.errors() == 0 {
            let help = "add a case: a plan without cases verifies nothing";
            self.error("no-cases", &node.span, "expected at least one case, found none", help);
        }
        cases
    }

    fn case(&mut self, node: &Node) -> Option<Case> {
        self.keys(node, CASE_KEYS)?;
        let id = self.named(node, "id")?;
        let tier = node.get("tier").and_then(|n| {
            let word = self.text(n);
            let tier = word.parse::<Tier>().ok();
            if tier.is_none() {
                let d = Diagnostic::error("unknown-tier", &n.span, format!("unknown tier `{word}`"));
                self.problems.push(d.suggest(&word, TIERS.iter().copied()));
            }
            tier
        });
        let fields = [("type", "Type"), ("related_issue", "Related Issue"), ("test_file", "Test File")];
        let fields =
            fields.into_iter().filter_map(|(key, label)| Some((label.to_string(), self.text_at(node, key)?))).collect();
        let exclusive_if = match node.get("exclusive") {
            Some(n @ Node { kind: Kind::Str(_), .. }) if self.text(n).starts_with("${") => Some(self.template(n)),
            _ => None,
        };
        let exclusive = exclusive_if.is_none() && self.flag(node, "exclusive");
        let preconditions = self.sentences(node, "preconditions", "given", PRECONDITION_KEYS);
        let steps = self.sentences(node, "steps", "step", STEP_KEYS);
        let expected = self.sentences(node, "expected", "result", RESULT_KEYS);
        if let Some(n) = node.get("expected")
            && matches!(&n.kind, Kind::Seq(items) if items.is_empty())
        {
            let help = "add a result: a case without expected results verifies nothing";
            self.error("no-expected-results", &n.span, "expected at least one result, found none", help);
        }
        Some(Case {
            id,
            title: self.text_at(node, "title").unwrap_or_default(),
            tier: tier.unwrap_or(Tier::Must),
            priority: self.text_at(node, "priority"),
            fields,
            exclusive,
            timeout: node.get("timeout").and_then(|n| self.duration(n)),
            exclusive_if,
            preconditions,
            steps,
            expected,
        })
    }

    /// Reads the sentences under `part`. The text of each is under the key `word`.
    fn sentences(&mut self, case: &Node, part: &str, word: &str, keys: &[Key]) -> Vec<Sentence> {
        let Some(node) = case.get(part) else { return vec![] };
        let mut out = vec![];
        for item in self.list(node) {
            let before = self.problems.errors();
            if self.keys(item, keys).is_none() {
                continue;
            }
            // an unknown key may be meant as an assertion
            let has_unknown_key = self.problems.errors() > before;
            let Some(text) = self.named(item, word) else { continue };
            let actions = self.actions_at(item, "do");
            let assertions = self.assertions(item);
            let unproven = self.named(item, "unproven");
            if word == "result"
                && !has_unknown_key
                && unproven.is_none()
                && assertions.is_empty()
                && !actions.iter().any(can_fail)
            {
                let message = "expected an assertion for this result, found none";
                let help = "add `check`, `expect`, or `do` with an assertion; or say `unproven: <reason>`";
                self.error("unverified-result", &text.span, message, help);
            }
            if let Some(u) = &unproven
                && (!assertions.is_empty() || !actions.is_empty())
            {
                let message = "expected either `unproven` or an assertion, found both";
                self.error("unproven-with-assertion", &u.span, message, "remove one of the two");
            }
            out.push(Sentence { text, actions, assertions, unproven });
        }
        out
    }
}

/// Whether a text looks like an included file. Of another file, which may be a secret, no message quotes the content.
fn is_include(text: &str) -> bool {
    let key = |line: &str| {
        line.trim_matches(['{', ' ', '"', '\''])
            .split_once(':')
            .map(|(key, _)| key.trim_matches(['"', '\'', ' ']).to_string())
    };
    text.lines()
        .filter(|line| !line.starts_with([' ', '\t']))
        .filter_map(key)
        .any(|key| key == "actions" || key == "include")
}

/// Whether the action contains an assertion that can fail.
fn can_fail(action: &ActionSpec) -> bool {
    !action.assertions.is_empty()
        || match &action.verb {
            Verb::Use { .. } => true,
            Verb::Parallel { branches, .. } => branches.iter().flatten().any(can_fail),
            _ => false,
        }
}
