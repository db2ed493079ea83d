//! Compiles what an action does: its verb, its target, and the fields of its output.
use super::compiler::{Compiler, with_times};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    engine::{
        names::{Names, Shape},
        schedule::{ActionKind, ImpliedAssertion},
    },
    executor::Body,
    expr::{Reference, Tree},
    plan::{ActionSpec, Overlap, Spanned, Verb},
    yaml::Node,
};
use std::sync::{Arc, atomic::AtomicBool};

pub(super) struct CompiledVerb {
    pub kind: ActionKind,
    pub summary: String,
    /// The shape of its output.
    pub shape: Shape,
    /// The references in its body.
    pub reads: Vec<Reference>,
    pub implied: Option<ImpliedAssertion>,
    /// It has errors, which are reported. The names that it would bind count as bound.
    pub broken: bool,
}

impl CompiledVerb {
    pub(super) fn new(kind: ActionKind, summary: impl Into<String>, shape: Shape, reads: Vec<Reference>) -> Self {
        CompiledVerb { kind, summary: summary.into(), shape, reads, implied: None, broken: false }
    }

    fn broken(reads: Vec<Reference>) -> Self {
        CompiledVerb { broken: true, ..CompiledVerb::new(ActionKind::Nothing, "", Shape::Any, reads) }
    }

    /// Whether the plan has no verb here.
    pub fn is_nothing(&self) -> bool {
        matches!(self.kind, ActionKind::Nothing) && !self.broken
    }
}

impl Compiler<'_> {
    /// `None` after an error that was reported.
    pub(super) fn verb(&mut self, verb: Verb, target: Option<&Spanned>, names: &mut Names) -> Option<CompiledVerb> {
        match verb {
            Verb::None => Some(CompiledVerb::new(ActionKind::Nothing, "check", Shape::Any, vec![])),
            Verb::Broken => Some(CompiledVerb::broken(vec![])),
            Verb::Executor { name, body } => self.executor_verb(&name.text, &body, target, names),
            Verb::Use { action, inputs } => self.use_verb(&action, inputs, names),
            Verb::Parallel { branches, overlap, .. } => Some(self.parallel(branches, overlap, names)),
            Verb::Fault { breaks, name } => Some(self.fault(breaks, name.text)),
            Verb::EveryObservation { verb } => self.every_observation(&verb, target),
        }
    }

    fn executor_verb(
        &mut self,
        verb: &str,
        node: &Node,
        target: Option<&Spanned>,
        names: &Names,
    ) -> Option<CompiledVerb> {
        let executor = self.registry.get(verb)?;
        let (mut reads, mut problems) = (vec![], Diagnostics::default());
        let access = &self.rules();
        let action = executor.compile(&mut Body { node, references: &mut reads, problems: &mut problems, access });
        let failed = problems.errors() > 0;
        self.problems.extend(problems);
        self.check_references(&reads, names);
        self.forgotten_placeholders(verb, node, names);
        let Some(action) = action.filter(|_| !failed) else { return Some(CompiledVerb::broken(reads)) };
        let mut fields = with_times(action.fields(), &|field| executor.kind_of(field));
        let implied = action.implied().map(|(field, value)| {
            let stated = Arc::new(AtomicBool::new(false));
            let shapes = fields.iter_mut().filter(|(f, _)| f == field);
            shapes.for_each(|(_, shape)| *shape = Shape::Noted(stated.clone()));
            ImpliedAssertion { field, value, stated }
        });
        let shape = if action.fields().is_empty() { Shape::Any } else { Shape::Fields(fields) };
        let chosen = (executor.needs_target() || target.is_some()).then(|| self.target(executor.verb(), target));
        let summary = format!("{} {}", executor.verb(), action.summary());
        let kind = ActionKind::Perform { action: Arc::from(action), verb: executor.verb(), target: chosen.flatten() };
        Some(CompiledVerb { implied, ..CompiledVerb::new(kind, summary, shape, reads) })
    }

    fn use_verb(&mut self, action: &Spanned, inputs: Vec<(Spanned, Tree)>, names: &Names) -> Option<CompiledVerb> {
        let name = &action.text;
        self.used_actions.insert(name.clone());
        let reads: Vec<Reference> = inputs.iter().flat_map(|(_, tree)| tree.references()).collect();
        self.check_references(&reads, names);
        if !self.sources.contains_key(name) && !self.defined.contains_key(name) && !self.in_progress.contains(name) {
            let d = Diagnostic::error("unknown-action", &action.span, format!("unknown action `{name}`"));
            self.problems.push(d.suggest(name, self.sources.keys().chain(self.defined.keys()).map(String::as_str)));
            return None;
        }
        let defined = self.define(action)?;
        self.effects.lacks.extend(defined.effects.lacks);
        self.effects.refused.extend(defined.effects.refused);
        self.effects.exclusive |= defined.effects.exclusive;
        if !self.undoing {
            self.effects.unchecked_responses.extend(defined.effects.unchecked_responses);
            self.effects.not_undone.extend(defined.effects.not_undone);
        }
        let definition = defined.definition;
        let declared = &definition.inputs;
        for (n, _) in inputs.iter().filter(|(n, _)| !declared.iter().any(|(d, _)| *d == n.text)) {
            let message = format!("unknown input `{}` of `{name}`", n.text);
            let d = Diagnostic::error("unknown-input", &n.span, message);
            self.problems.push(d.suggest(&n.text, declared.iter().map(|(d, _)| d.as_str())));
        }
        for (n, default) in declared {
            if default.is_none() && !inputs.iter().any(|(given, _)| given.text == *n) {
                let d = Diagnostic::error("missing-input", &action.span, format!("missing input `{n}` of `{name}`"));
                self.problems.push(d.help(format!("add `{n}: …`, or give it a default value in the action")));
            }
        }
        let summary = match self.environment.filter(|_| definition.of_environment) {
            Some(e) => format!("use {name} (as in the environment `{}`)", e.name),
            None => format!("use {name}"),
        };
        let inputs = inputs.into_iter().map(|(n, t)| (n.text, t)).collect();
        Some(CompiledVerb::new(ActionKind::Use { definition, inputs }, summary, defined.shape, reads))
    }

    fn parallel(&mut self, branches: Vec<Vec<ActionSpec>>, overlap: Overlap, names: &mut Names) -> CompiledVerb {
        let depth = names.depth();
        let mut all = vec![];
        for branch in branches {
            // the responses of a branch can be checked through `branches`
            let before = self.effects.unchecked_responses.len();
            all.push(self.actions(branch, names));
            self.effects.unchecked_responses.truncate(before);
            names.drop_to(depth);
        }
        let summary = format!("parallel, {} branch{}", all.len(), if all.len() == 1 { "" } else { "es" });
        let shape = Shape::Fields(with_times(&["branches", "overlap"], &|_| None));
        CompiledVerb::new(ActionKind::Parallel { branches: all, overlap }, summary, shape, vec![])
    }

    fn fault(&mut self, breaks: bool, name: String) -> CompiledVerb {
        self.effects.exclusive = true;
        if let Some(e) = self.environment
            && !e.faults.iter().any(|(n, _)| n.text == name)
        {
            self.effects.lacks.push(format!("the environment `{}` has no fault `{name}`", e.name));
        }
        let summary = format!("fault {} {name}", if breaks { "break" } else { "heal" });
        let shape = Shape::Fields(with_times(&["refused"], &|_| None));
        CompiledVerb::new(ActionKind::Fault { breaks, name }, summary, shape, vec![])
    }
}
