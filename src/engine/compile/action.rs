//! Compiles one action: its condition and items, its assertions, what it needs and binds, and its undo.
use super::{
    assertions::{need, need_names},
    compiler::Compiler,
};
use crate::{
    diagnostic::Diagnostic,
    engine::{
        names::{Names, Shape},
        schedule::{ActionKind, ScheduledAction},
    },
    expr::{Reference, Tree},
    plan::{self, Assertions, Foreach},
    source::Span,
};
use std::sync::Arc;

impl Compiler<'_> {
    pub(super) fn actions(&mut self, steps: Vec<plan::ActionSpec>, names: &mut Names) -> Vec<ScheduledAction> {
        steps.into_iter().filter_map(|s| self.action(s, names)).collect()
    }

    fn action(&mut self, step: plan::ActionSpec, names: &mut Names) -> Option<ScheduledAction> {
        let mut needs: Vec<String> = vec![];
        if let Some(e) = &step.condition {
            self.check_references(e.references(), names);
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
                        self.problems.push(empty_foreach(span));
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
                        self.check_references(&t.references(), names);
                    });
                    if entries.is_empty() && !self.undoing {
                        self.problems.push(empty_foreach(span));
                    }
                    keys = Some(entries.iter().map(|(k, _)| k.clone()).collect());
                    Shape::Any
                }
            };
            self.note_vars(&foreach_reads(foreach));
            names.built_in("item", item);
        }
        let location = step.span.location();
        let (kind, summary, shape, reads) = self.verb(step.verb, step.target.as_ref(), names)?;
        need(&mut needs, &reads);
        for t in [&step.eventually, &step.always, &step.timeout].into_iter().flatten() {
            let reads: Vec<Reference> = t.0.references().cloned().collect();
            need(&mut needs, &reads);
            self.check_references(&reads, names);
        }
        // `item` is bound for each item
        needs.retain(|n| n != "item" || step.foreach.is_none());

        // assertions and `save` see the fields of the output as names
        let inner = names.depth();
        let fields = match (&kind, &shape) {
            (ActionKind::Nothing, _) => None,
            (_, Shape::Fields(fields)) => {
                fields.iter().for_each(|(f, s)| names.built_in(f, s.clone()));
                Some(fields.iter().map(|(f, _)| f.clone()).collect::<Vec<_>>())
            }
            _ => Some(vec!["at".into(), "took".into()]),
        };
        let open = matches!((&kind, &shape), (ActionKind::Use { .. } | ActionKind::Perform { .. }, Shape::Any));
        let broken = matches!(&kind, ActionKind::Perform { verb: "", .. });
        if open {
            names.built_in("at", Shape::Any);
            names.built_in("took", Shape::Any);
        }
        let said = self.problems.0.len();
        let asked = if open {
            // the fields of its output are known only in the run
            let mut inside = Assertions::default();
            inside.checks.extend(step.assertions.checks.iter().cloned());
            let mut asked = self.assertions(&inside, None, names);
            if let Some(p) = &step.assertions.pattern {
                need(&mut asked, &p.references());
                self.check_references(&p.references(), names);
            }
            asked
        } else {
            self.assertions(&step.assertions, fields.as_deref(), names)
        };
        // other names must be bound before; the fields of its own output will be
        let own = |n: &String| fields.as_ref().is_some_and(|f| f.contains(n));
        need_names(&mut needs, &asked.into_iter().filter(|n| !own(n)).collect::<Vec<_>>());
        if let Some(e) = &step.give_up_if {
            self.check_references(e.references(), names);
        }
        for (_, e) in &step.save {
            self.check_references(e.references(), names);
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

        if let ActionKind::Perform { action, verb, .. } = &kind {
            let checked = !step.assertions.is_empty() || !step.save.is_empty() || step.bind.is_some();
            if !checked && action.changes() && !self.undoing {
                let d = Diagnostic::error(
                    "unchecked-response",
                    &step.span,
                    format!("the response of this `{verb}` action is never checked"),
                );
                self.effects
                    .unchecked_responses
                    .push(d.help("add `expect` or `check`, or bind it with `as` and check it later"));
            }
        }
        if self.environment.is_some_and(|e| e.protected)
            && let Some(why) = self.refusal(&kind, !step.undo.is_empty())
        {
            let name = self.environment.map(|e| e.name.as_str()).unwrap_or_default();
            let d = Diagnostic::error(
                "protected-environment",
                &step.span,
                format!("the environment `{name}` is protected, and {why}"),
            );
            self.effects.refused.push(d.help(format!("`--allow-destructive {name}` allows it")));
        }
        if let (Some(_), Some(k), false) =
            (&step.always, step.assertions.is_empty().then_some(&step.span), matches!(kind, ActionKind::Nothing))
        {
            self.problems.push(missing_assertion("always", k));
        }
        if step.eventually.is_some() && step.assertions.is_empty() && matches!(kind, ActionKind::Perform { .. }) {
            self.problems.push(missing_assertion("eventually", &step.span));
        }

        // the undo sees the names from before, and those that the action itself binds
        let undo = if step.undo.is_empty() {
            vec![]
        } else {
            let depth = names.depth();
            let late: Vec<String> =
                step.save.iter().map(|(n, _)| n.text.clone()).chain(step.bind.iter().map(|b| b.text.clone())).collect();
            late.iter().for_each(|n| names.built_in(n, Shape::Any));
            let before = std::mem::replace(&mut self.undoing, true);
            let steps = self.actions(step.undo, names);
            self.undoing = before;
            names.drop_to(depth);
            let reads: Vec<&String> = steps.iter().flat_map(|s| &s.needs).collect();
            // a variable does not identify what one action created
            let early = reads.iter().any(|n| !late.contains(n) && !self.vars.iter().any(|(v, _)| v.text == **n));
            if !early && reads.iter().any(|n| late.contains(n)) {
                let d = Diagnostic::warning(
                    "undo-needs-response",
                    &step.span,
                    "this action can be undone only if its response arrives",
                );
                self.problems
                    .push(d.help("undo by a name from before the action, for example one that the plan chooses"));
            }
            steps
        };
        names.drop_to(outer);

        // the names that it binds
        let many = |s: Shape| match (&step.foreach, &keys) {
            (None, _) => s,
            (Some(_), Some(keys)) => Shape::Fields(keys.iter().map(|k| (k.clone(), s.clone())).collect()),
            (Some(_), None) => Shape::List(Box::new(s)),
        };
        let parallel = matches!(kind, ActionKind::Parallel { .. });
        for (n, _) in &step.save {
            names.bind(&n.text, if parallel { Shape::Any } else { many(Shape::Any) }, &n.span, &mut self.problems);
        }
        if let Some(n) = &step.bind {
            if matches!(kind, ActionKind::Nothing) {
                let d = Diagnostic::error("missing-verb", &n.span, "expected a verb beside `as`, found none");
                self.problems.push(d.help("add a verb, or use `save` to name a value"));
            }
            names.bind(&n.text, if parallel { shape } else { many(shape) }, &n.span, &mut self.problems);
        }
        Some(ScheduledAction {
            location,
            summary,
            kind,
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

    /// Why a protected environment refuses an action, if it does.
    fn refusal(&self, kind: &ActionKind, has_undo: bool) -> Option<&'static str> {
        match kind {
            ActionKind::Fault { breaks: true, .. } => Some("this breaks a dependency of it"),
            ActionKind::Perform { verb: "exec", .. } => Some("the effects of this program are unknown"),
            ActionKind::Perform { action, .. } if action.changes() && !has_undo && !self.undoing => {
                Some("this changes something and has no `undo`")
            }
            _ => None,
        }
    }
}

fn foreach_reads(f: &Foreach) -> Vec<Reference> {
    match f {
        Foreach::List(t) => t.references(),
        Foreach::Map(entries) => entries.iter().flat_map(|(_, t)| t.references()).collect(),
    }
}

fn empty_foreach(span: &Span) -> Diagnostic {
    Diagnostic::error("empty-foreach", span, "expected at least one item, found none")
        .help("add items; an empty list is allowed in an `undo` only")
}

fn missing_assertion(key: &str, span: &Span) -> Diagnostic {
    Diagnostic::error("missing-assertion", span, format!("expected an assertion beside `{key}`, found none"))
        .help("add `expect` or `check`")
}
