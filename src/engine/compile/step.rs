//! One action of a plan: what it does, what it needs bound before, what it binds, and what is wrong with it.
use super::{
    Compiler,
    assertions::{need, need_names},
    with_times,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    engine::{
        names::{Names, Shape},
        schedule::{ActionKind, ScheduledAction},
    },
    executor::Body,
    expr::{Reference, Tree},
    plan::{self, Assertions, Foreach, Spanned, Verb},
};
use std::sync::Arc;

impl Compiler<'_> {
    pub(super) fn steps(&mut self, steps: Vec<plan::ActionSpec>, names: &mut Names) -> Vec<ScheduledAction> {
        steps.into_iter().filter_map(|s| self.step(s, names)).collect()
    }

    pub(super) fn step(&mut self, step: plan::ActionSpec, names: &mut Names) -> Option<ScheduledAction> {
        let mut needs: Vec<String> = vec![];
        if let Some(e) = &step.condition {
            self.reads(e.references(), names);
        }
        let outer = names.depth();
        let mut keys: Option<Vec<String>> = None;
        if let Some((foreach, span)) = &step.foreach {
            let item = match foreach {
                Foreach::List(tree) => {
                    let reads = tree.references();
                    need(&mut needs, &reads);
                    if let Tree::List(items) = tree
                        && items.is_empty()
                        && !self.undoing
                    {
                        self.problems.push(Diagnostic::error(
                            "empty-foreach",
                            span,
                            "a `foreach` over nothing proves nothing",
                        ));
                    }
                    let shapes: Vec<Shape> = reads.iter().map(|r| names.check(r, &mut self.problems)).collect();
                    match (tree, &shapes[..]) {
                        (Tree::Template(_), [Shape::List(inner)]) => (**inner).clone(),
                        _ => Shape::Any,
                    }
                }
                Foreach::Map(entries) => {
                    entries.iter().for_each(|(_, t)| {
                        need(&mut needs, &t.references());
                        self.reads(&t.references(), names);
                    });
                    if entries.is_empty() && !self.undoing {
                        self.problems.push(Diagnostic::error(
                            "empty-foreach",
                            span,
                            "a `foreach` over nothing proves nothing",
                        ));
                    }
                    keys = Some(entries.iter().map(|(k, _)| k.clone()).collect());
                    Shape::Any
                }
            };
            self.note_vars(&foreach_reads(foreach));
            names.built_in("item", item);
        }
        let location = step.span.location();
        let (act, what, shape, reads) = self.act(step.verb, step.target.as_ref(), names)?;
        need(&mut needs, &reads);
        for t in [&step.eventually, &step.always, &step.timeout].into_iter().flatten() {
            let reads: Vec<Reference> = t.0.references().cloned().collect();
            need(&mut needs, &reads);
            self.reads(&reads, names);
        }
        // `item` is there whenever it is performed
        needs.retain(|n| n != "item" || step.foreach.is_none());

        // what assertions and saves sees the fields of the output as names
        let inner = names.depth();
        let fields = match (&act, &shape) {
            (ActionKind::Nothing, _) => None,
            (_, Shape::Fields(fields)) => {
                fields.iter().for_each(|(f, s)| names.built_in(f, s.clone()));
                Some(fields.iter().map(|(f, _)| f.clone()).collect::<Vec<_>>())
            }
            _ => Some(vec!["at".into(), "took".into()]),
        };
        let open = matches!((&act, &shape), (ActionKind::Use { .. } | ActionKind::Perform { .. }, Shape::Any));
        let broken = matches!(&act, ActionKind::Perform { verb: "", .. });
        if open {
            names.built_in("at", Shape::Any);
            names.built_in("took", Shape::Any);
        }
        let said = self.problems.0.len();
        let asked = if open {
            // what it gives is known only when it runs
            let mut inside = Assertions::default();
            inside.checks.extend(step.assertions.checks.iter().cloned());
            let mut asked = self.assertions(&inside, None, names);
            if let Some(p) = &step.assertions.pattern {
                need(&mut asked, &p.references());
                self.reads(&p.references(), names);
            }
            asked
        } else {
            self.assertions(&step.assertions, fields.as_deref(), names)
        };
        // what it asks for by name must be bound before it can be judged; the fields of its own output will be
        let own = |n: &String| fields.as_ref().is_some_and(|f| f.contains(n));
        need_names(&mut needs, &asked.into_iter().filter(|n| !own(n)).collect::<Vec<_>>());
        if let Some(e) = &step.give_up_if {
            self.reads(e.references(), names);
        }
        for (_, e) in &step.save {
            self.reads(e.references(), names);
            need_names(
                &mut needs,
                &e.references().iter().map(|r| r.root.clone()).filter(|n| !own(n)).collect::<Vec<_>>(),
            );
        }
        if broken {
            self.problems.0.truncate(said);
        }
        needs.retain(|n| n != "item" || step.foreach.is_none());
        names.drop_to(inner);

        if let ActionKind::Perform { action, verb, .. } = &act {
            let looked = !step.assertions.is_empty() || !step.save.is_empty() || step.bind.is_some();
            if !looked && action.changes() && !self.undoing {
                let d = Diagnostic::error(
                    "unchecked-response",
                    &step.span,
                    format!("nobody looks at the answer of this `{verb}`"),
                );
                self.within.unlooked.push(d.help("add `expect` or `check`, or bind it with `as`"));
            }
        }
        if self.environment.is_some_and(|e| e.protected)
            && let Some(why) = self.unguarded(&act, !step.undo.is_empty())
        {
            let name = self.environment.map(|e| e.name.as_str()).unwrap_or_default();
            let d = Diagnostic::error(
                "protected-environment",
                &step.span,
                format!("the environment `{name}` is protected, and {why}"),
            );
            self.within.refused.push(d.help(format!("`--allow-destructive {name}` allows it")));
        }
        if let (Some(_), Some(k), false) =
            (&step.always, step.assertions.is_empty().then_some(&step.span), matches!(act, ActionKind::Nothing))
        {
            self.problems.push(Diagnostic::error(
                "missing-assertion",
                k,
                "`always` needs an `expect` or a `check` that must hold",
            ));
        }
        if step.eventually.is_some() && step.assertions.is_empty() && matches!(act, ActionKind::Perform { .. }) {
            self.problems.push(Diagnostic::error(
                "missing-assertion",
                &step.span,
                "`eventually` needs an `expect` or a `check` to wait for",
            ));
        }

        // the undo sees what was known before, and what the act itself binds
        let undo = if step.undo.is_empty() {
            vec![]
        } else {
            let depth = names.depth();
            let late: Vec<String> =
                step.save.iter().map(|(n, _)| n.text.clone()).chain(step.bind.iter().map(|b| b.text.clone())).collect();
            late.iter().for_each(|n| names.built_in(n, Shape::Any));
            let before = std::mem::replace(&mut self.undoing, true);
            let steps = self.steps(step.undo, names);
            self.undoing = before;
            names.drop_to(depth);
            let reads: Vec<&String> = steps.iter().flat_map(|s| &s.needs).collect();
            // a variable is the same for everything that is made
            let early = reads.iter().any(|n| !late.contains(n) && !self.vars.iter().any(|(v, _)| v.text == **n));
            if !early && reads.iter().any(|n| late.contains(n)) {
                let d = Diagnostic::warning(
                    "undo-needs-response",
                    &step.span,
                    "this can only be undone if its answer arrives",
                );
                self.problems.push(
                    d.help("undo by something that is known before the act, for example a name that the plan chose"),
                );
            }
            steps
        };
        names.drop_to(outer);

        // what is bound afterwards
        let many = |s: Shape| match (&step.foreach, &keys) {
            (None, _) => s,
            (Some(_), Some(keys)) => Shape::Fields(keys.iter().map(|k| (k.clone(), s.clone())).collect()),
            (Some(_), None) => Shape::List(Box::new(s)),
        };
        let parallel = matches!(act, ActionKind::Parallel { .. });
        for (n, _) in &step.save {
            names.bind(&n.text, if parallel { Shape::Any } else { many(Shape::Any) }, &n.span, &mut self.problems);
        }
        if let Some(n) = &step.bind {
            if matches!(act, ActionKind::Nothing) {
                self.problems.push(Diagnostic::error(
                    "missing-verb",
                    &n.span,
                    "`as` needs a verb beside it; to name a value use `save`",
                ));
            }
            names.bind(&n.text, if parallel { shape } else { many(shape) }, &n.span, &mut self.problems);
        }
        Some(ScheduledAction {
            location,
            what,
            act,
            bind: step.bind.map(|n| n.text),
            save: step.save.into_iter().map(|(n, e)| (n.text, e)).collect(),
            assertions: step.assertions,
            undo: Arc::new(undo),
            foreach: step.foreach.map(|f| f.0),
            condition: step.condition,
            eventually: step.eventually.map(|t| t.0),
            always: step.always.map(|t| t.0),
            give_up_if: step.give_up_if,
            timeout: step.timeout.map(|t| t.0),
            needs,
            undoing: self.undoing,
        })
    }

    /// Why a protected environment refuses an action.
    fn unguarded(&self, act: &ActionKind, has_undo: bool) -> Option<&'static str> {
        match act {
            ActionKind::Fault { breaks: true, .. } => Some("this breaks a link of it"),
            ActionKind::Perform { verb: "exec", .. } => Some("nobody knows what this program does to it"),
            ActionKind::Perform { action, .. } if action.changes() && !has_undo && !self.undoing => {
                Some("this changes something and has no `undo`")
            }
            _ => None,
        }
    }

    fn act(
        &mut self,
        verb: Verb,
        target: Option<&Spanned>,
        names: &mut Names,
    ) -> Option<(ActionKind, String, Shape, Vec<Reference>)> {
        Some(match verb {
            Verb::None => (ActionKind::Nothing, "check".into(), Shape::Any, vec![]),
            // what is wrong has been said; the names that it would bind count as bound
            Verb::Broken => (
                ActionKind::Perform { action: Arc::new(Broken), verb: "", target: None },
                String::new(),
                Shape::Any,
                vec![],
            ),
            Verb::Executor { name, body } => {
                let executor = self.registry.get(&name.text)?;
                let mut reads = vec![];
                let mut problems = Diagnostics::default();
                let compiled =
                    executor.compile(&mut Body { node: &body, references: &mut reads, problems: &mut problems });
                let failed = problems.errors() > 0;
                self.problems.extend(problems);
                self.reads(&reads, names);
                let Some(action) = compiled.filter(|_| !failed).map(Arc::<dyn crate::executor::Action>::from) else {
                    // what is wrong has been said; the names that it would bind still count as bound
                    return Some((
                        ActionKind::Perform { action: Arc::new(Broken), verb: "", target: None },
                        String::new(),
                        Shape::Any,
                        reads,
                    ));
                };
                let fields: Vec<(String, Shape)> =
                    action.fields().iter().map(|f| (f.to_string(), Shape::Any)).collect();
                let shape = if fields.is_empty() { Shape::Any } else { Shape::Fields(with_times(fields)) };
                let chosen = if executor.needs_target() || target.is_some() {
                    self.target(executor.verb(), target)
                } else {
                    None
                };
                let what = format!("{} {}", executor.verb(), action.summary());
                (ActionKind::Perform { action, verb: executor.verb(), target: chosen }, what, shape, reads)
            }
            Verb::Use { action, inputs } => {
                self.used_actions.insert(action.text.clone());
                let mut reads = vec![];
                for (_, tree) in &inputs {
                    reads.extend(tree.references());
                }
                self.reads(&reads, names);
                let known = self.sources.contains_key(&action.text)
                    || self.defined.contains_key(&action.text)
                    || self.underway.contains(&action.text);
                if !known {
                    let d = Diagnostic::error(
                        "unknown-action",
                        &action.span,
                        format!("there is no action `{}`", action.text),
                    );
                    let all: Vec<String> = self.sources.keys().chain(self.defined.keys()).cloned().collect();
                    self.problems.push(d.suggest(&action.text, all.iter().map(String::as_str)));
                    return None;
                }
                let defined = self.define(&action)?;
                self.within.lacks.extend(defined.within.lacks.iter().cloned());
                self.within.refused.extend(defined.within.refused.iter().cloned());
                self.within.exclusive |= defined.within.exclusive;
                if !self.undoing {
                    self.within.unlooked.extend(defined.within.unlooked.iter().cloned());
                }
                let declared = &defined.definition.inputs;
                for (n, _) in &inputs {
                    if !declared.iter().any(|(d, _)| *d == n.text) {
                        let d = Diagnostic::error(
                            "unknown-input",
                            &n.span,
                            format!("`{}` has no input `{}`", action.text, n.text),
                        );
                        self.problems.push(d.suggest(&n.text, declared.iter().map(|(d, _)| d.as_str())));
                    }
                }
                for (d, default) in declared {
                    if default.is_none() && !inputs.iter().any(|(n, _)| n.text == *d) {
                        let p = Diagnostic::error(
                            "missing-input",
                            &action.span,
                            format!("`{}` needs the input `{d}`", action.text),
                        );
                        self.problems.push(p);
                    }
                }
                let what = match self.environment.filter(|_| defined.definition.of_environment) {
                    Some(e) => format!("use {} (as in the environment `{}`)", action.text, e.name),
                    None => format!("use {}", action.text),
                };
                let inputs = inputs.into_iter().map(|(n, t)| (n.text, t)).collect();
                (ActionKind::Use { definition: defined.definition, inputs }, what, defined.shape, reads)
            }
            Verb::Parallel { branches, overlap, .. } => {
                let depth = names.depth();
                let mut all = vec![];
                for branch in branches {
                    // a branch's answers are looked at through `branches`
                    let before = self.within.unlooked.len();
                    all.push(self.steps(branch, names));
                    self.within.unlooked.truncate(before);
                    names.drop_to(depth);
                }
                let what = format!("parallel, {} branch{}", all.len(), if all.len() == 1 { "" } else { "es" });
                let reads = vec![];
                let shape =
                    Shape::Fields(with_times(vec![("branches".into(), Shape::Any), ("overlap".into(), Shape::Any)]));
                (ActionKind::Parallel { branches: all, overlap }, what, shape, reads)
            }
            Verb::Fault { breaks, name } => {
                self.within.exclusive = true;
                if let Some(e) = self.environment
                    && !e.faults.iter().any(|(n, _)| n.text == name.text)
                {
                    self.within.lacks.push(format!("the environment `{}` has no fault `{}`", e.name, name.text));
                }
                let what = format!("fault {} {}", if breaks { "break" } else { "heal" }, name.text);
                (
                    ActionKind::Fault { breaks, name: name.text },
                    what,
                    Shape::Fields(with_times(vec![("refused".into(), Shape::Any)])),
                    vec![],
                )
            }
        })
    }

    /// The target that a verb acts on: the one named, or the first of its kind.
    pub(super) fn target(&mut self, verb: &str, named: Option<&Spanned>) -> Option<String> {
        let e = self.environment?;
        let of_verb = |node: &crate::yaml::Node| node.get(verb).is_some();
        match named {
            Some(n) => match e.targets.iter().find(|(t, _)| t.text == n.text) {
                Some((_, node)) if of_verb(node) => Some(n.text.clone()),
                Some(_) => {
                    let d = Diagnostic::error(
                        "target-mismatch",
                        &n.span,
                        format!("`{}` is no target for `{verb}` in the environment `{}`", n.text, e.name),
                    );
                    self.problems.push(d);
                    None
                }
                None => {
                    self.within.lacks.push(format!("the environment `{}` has no target `{}`", e.name, n.text));
                    None
                }
            },
            None => {
                let found = e.targets.iter().find(|(_, node)| of_verb(node)).map(|(t, _)| t.text.clone());
                if found.is_none() {
                    self.within.lacks.push(format!("the environment `{}` has no target for `{verb}`", e.name));
                }
                found
            }
        }
    }
}

/// Stands for an action whose body was wrong.
struct Broken;

#[async_trait::async_trait]
impl crate::executor::Action for Broken {
    fn fields(&self) -> &'static [&'static str] {
        &[]
    }
    fn summary(&self) -> String {
        String::new()
    }
    fn changes(&self) -> bool {
        false
    }
    async fn perform(
        &self,
        _: &crate::executor::ActionContext<'_>,
    ) -> Result<crate::executor::Output, crate::executor::ActionError> {
        Err(crate::executor::ActionError::Invalid("the action was never read".into()))
    }
}

fn foreach_reads(f: &Foreach) -> Vec<Reference> {
    match f {
        Foreach::List(t) => t.references(),
        Foreach::Map(entries) => entries.iter().flat_map(|(_, t)| t.references()).collect(),
    }
}
