//! Compiles one action: its condition and items, its assertions, what it needs and binds, and its undo.
use super::{
    compiler::{Compiler, with_times},
    verb::CompiledVerb,
};
use crate::{
    diagnostic::Diagnostic,
    engine::{
        names::{Names, Shape},
        schedule::{ActionKind, Needs, ScheduledAction},
    },
    expr::{Expression, Tree},
    plan::{ActionSpec, Foreach, Verb},
    source::Span,
};
use std::sync::Arc;

impl Compiler<'_> {
    pub(super) fn actions(&mut self, specs: Vec<ActionSpec>, names: &mut Names) -> Vec<ScheduledAction> {
        specs.into_iter().filter_map(|s| self.action(s, names)).collect()
    }

    fn action(&mut self, spec: ActionSpec, names: &mut Names) -> Option<ScheduledAction> {
        // the actions inside of this one are not those of the sentence
        let in_sentence = std::mem::take(&mut self.in_sentence);
        let action = self.action_in(in_sentence, spec, names);
        self.in_sentence = in_sentence;
        action
    }

    fn action_in(&mut self, in_sentence: bool, mut spec: ActionSpec, names: &mut Names) -> Option<ScheduledAction> {
        let mut needs = Needs::new();
        self.check_references(spec.condition.iter().flat_map(Expression::references), names);
        let outer = names.depth();
        if let Some((foreach, span)) = &spec.foreach {
            let item = self.foreach_item(foreach, span, names, &mut needs);
            names.built_in("item", item);
        }
        let verb = self.verb(std::mem::replace(&mut spec.verb, Verb::None), spec.target.as_ref(), names)?;
        needs.extend(verb.reads.iter().map(|r| r.root.clone()));
        for (template, _) in [&spec.eventually, &spec.always, &spec.timeout].into_iter().flatten() {
            self.require(template.references(), names, &mut needs);
        }
        self.check_output(&spec, &verb, names, &mut needs);
        if spec.foreach.is_some() {
            // `item` is bound for each item
            needs.shift_remove("item");
        }
        self.check_effects(&spec, &verb);
        self.check_end(&spec, &verb, in_sentence, names);
        let undo = std::mem::take(&mut spec.undo);
        let undo = self.undo(&spec, undo, names);
        names.drop_to(outer);
        self.bind(&spec, &verb, names);
        let scheduled = ScheduledAction {
            location: spec.span.location(),
            summary: verb.summary,
            kind: verb.kind,
            implied: verb.implied,
            bind: spec.bind.map(|n| n.text),
            save: spec.save.into_iter().map(|(n, e)| (n.text, e)).collect(),
            assertions: spec.assertions,
            undo: Arc::new(undo),
            foreach: spec.foreach.map(|f| f.0),
            condition: spec.condition,
            eventually: spec.eventually.map(|t| t.0),
            always: spec.always.map(|t| t.0),
            give_up_if: spec.give_up_if,
            blames_environment: spec.blames_environment,
            timeout: spec.timeout.map(|t| t.0),
            needs,
            undoing: self.undoing,
            still_at_end: spec.still_at_end.is_some(),
        };
        self.refuse_repeated_change(spec.still_at_end.as_ref(), &scheduled);
        Some(scheduled)
    }

    /// Checks a `foreach`. Returns the shape of an item.
    fn foreach_item(&mut self, foreach: &Foreach, span: &Span, names: &Names, needs: &mut Needs) -> Shape {
        let reads = foreach.references();
        let shapes = self.require(&reads, names, needs);
        let (is_empty, item) = match (foreach, &shapes[..]) {
            (Foreach::List(Tree::List(items)), _) => (items.is_empty(), Shape::Any),
            (Foreach::List(Tree::Template(_)), [Shape::List(inner)]) => (false, (**inner).clone()),
            (Foreach::List(_), _) => (false, Shape::Any),
            (Foreach::Map(entries), _) => (entries.is_empty(), Shape::Any),
        };
        if is_empty && !self.undoing {
            let d = Diagnostic::error("empty-foreach", span, "expected at least one item, found none");
            self.problems.push(d.help("add items; an empty list is allowed in an `undo` only"));
        }
        item
    }

    /// Checks the assertions, `save` and `give_up_if`, which see the fields of the output as names.
    fn check_output(&mut self, spec: &ActionSpec, verb: &CompiledVerb, names: &mut Names, needs: &mut Needs) {
        let depth = names.depth();
        // the fields of some outputs are known only in the run
        let fields = match &verb.shape {
            _ if verb.is_nothing() => vec![],
            Shape::Fields(fields) => fields.clone(),
            _ => with_times(&[], &|_| None),
        };
        fields.iter().for_each(|(f, s)| names.built_in(f, s.clone()));
        let known = match &verb.shape {
            _ if verb.is_nothing() => None,
            Shape::Fields(_) => Some(&fields[..]),
            _ => Some(&[][..]),
        };
        let problems = self.problems.0.len();
        let mut asked = self.assertions(&spec.assertions, known, names);
        self.check_references(spec.give_up_if.iter().flat_map(Expression::references), names);
        self.require(spec.save.iter().flat_map(|(_, e)| e.references()), names, &mut asked);
        // other names must be bound before; the fields of its own output will be
        needs.extend(asked.into_iter().filter(|n| !fields.iter().any(|(f, _)| f == n)));
        if verb.broken {
            self.problems.0.truncate(problems);
        }
        names.drop_to(depth);
    }

    /// Checks that changes are checked and allowed, and that waiting has assertions.
    fn check_effects(&mut self, spec: &ActionSpec, verb: &CompiledVerb) {
        if let ActionKind::Perform { action, verb, .. } = &verb.kind {
            let checked = !spec.assertions.is_empty() || !spec.save.is_empty() || spec.bind.is_some();
            if !checked && action.changes() && !self.undoing {
                let message = format!("the response of this `{verb}` action is never checked");
                let d = Diagnostic::error("unchecked-response", &spec.span, message);
                let help = "add `expect` or `check`, or bind it with `as` and check it later";
                self.effects.unchecked_responses.push(d.help(help));
            }
        }
        if let Some(environment) = self.environment.filter(|e| e.protected) {
            let name = &environment.name;
            let refusal = |why: &str| {
                let message = format!("the environment `{name}` is protected, and {why}");
                let d = Diagnostic::error("protected-environment", &spec.span, message);
                d.help(format!("`--allow-destructive {name}` allows it"))
            };
            let changes = matches!(&verb.kind, ActionKind::Perform { action, .. } if action.changes());
            if let Some(why) = self.refusal(&verb.kind) {
                self.effects.refused.push(refusal(why));
            } else if changes && spec.undo.is_empty() && !self.undoing {
                self.effects.not_undone.push(refusal("this changes something and has no `undo`"));
            }
        }
        if let ActionKind::Perform { verb, .. } = &verb.kind
            && self.registry.get(verb).is_some_and(|executor| executor.has_unknown_effects())
            && self.environment.is_some_and(|e| !e.protected)
            && let Err(refused) = self.rules().exec()
        {
            let d = Diagnostic::error("not-allowed", &spec.span, refused.message).help(refused.help);
            self.effects.refused.push(d);
        }
        let performs = verb.broken || matches!(verb.kind, ActionKind::Perform { .. });
        for (key, is_missing) in [
            ("always", spec.always.is_some() && !verb.is_nothing()),
            ("eventually", spec.eventually.is_some() && performs),
        ] {
            if is_missing && spec.assertions.is_empty() {
                let message = format!("expected an assertion beside `{key}`, found none");
                let d = Diagnostic::error("missing-assertion", &spec.span, message);
                self.problems.push(d.help("add `expect` or `check`"));
            }
        }
    }

    /// Why a protected environment refuses an action even with an undo, if it does.
    fn refusal(&self, kind: &ActionKind) -> Option<&'static str> {
        match kind {
            ActionKind::Fault { breaks: true, .. } => Some("this breaks a dependency of it"),
            ActionKind::Perform { verb, .. } if self.registry.get(verb)?.has_unknown_effects() => {
                Some("the effects of this program are unknown")
            }
            _ => None,
        }
    }

    /// Compiles an undo, which sees the names from before the action and those that the action itself binds.
    fn undo(&mut self, spec: &ActionSpec, undo: Vec<ActionSpec>, names: &mut Names) -> Vec<ScheduledAction> {
        let depth = names.depth();
        let late: Vec<&String> =
            spec.save.iter().map(|(n, _)| &n.text).chain(spec.bind.iter().map(|b| &b.text)).collect();
        late.iter().for_each(|n| names.built_in(n, Shape::Any));
        let before = std::mem::replace(&mut self.undoing, true);
        let actions = self.actions(undo, names);
        self.undoing = before;
        names.drop_to(depth);
        let reads = || actions.iter().flat_map(|a| &a.needs);
        // a variable does not identify what one action created
        let early = reads().any(|n| !late.contains(&n) && !self.vars.iter().any(|v| v.text == *n));
        if !early && reads().any(|n| late.contains(&n)) {
            let message = "this action can be undone only if its response arrives";
            let d = Diagnostic::warning("undo-needs-response", &spec.span, message);
            self.problems.push(d.help("undo by a name from before the action, for example one that the plan chooses"));
        }
        actions
    }

    /// Binds the names of `save` and `as`.
    fn bind(&mut self, spec: &ActionSpec, verb: &CompiledVerb, names: &mut Names) {
        let of_items = |s: Shape| match &spec.foreach {
            _ if matches!(verb.kind, ActionKind::Parallel { .. }) => s,
            None => s,
            Some((Foreach::Map(entries), _)) => {
                Shape::Fields(entries.iter().map(|(k, _)| (k.clone(), s.clone())).collect())
            }
            Some((Foreach::List(_), _)) => Shape::List(Box::new(s)),
        };
        for (n, _) in &spec.save {
            names.bind(&n.text, of_items(Shape::Any), &n.span, &mut self.problems);
        }
        if let Some(n) = &spec.bind {
            if verb.is_nothing() {
                let d = Diagnostic::error("missing-verb", &n.span, "expected a verb beside `as`, found none");
                self.problems.push(d.help("add a verb, or use `save` to name a value"));
            }
            names.bind(&n.text, of_items(verb.shape.clone()), &n.span, &mut self.problems);
        }
    }
}
