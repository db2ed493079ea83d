//! Compiles what happens at the end of a case: `still_at_end`, and `every_observation`.
use super::{
    compiler::{Compiler, with_times},
    verb::CompiledVerb,
};
use crate::{
    diagnostic::Diagnostic,
    engine::{
        names::{Names, Shape},
        schedule::{ActionKind, ObservedTarget, ScheduledAction},
    },
    expr::Pattern,
    plan::{ActionSpec, Spanned},
    source::Span,
};

impl Compiler<'_> {
    /// `None` after an error that was reported.
    pub(super) fn every_observation(&mut self, verb: &Spanned, target: Option<&Spanned>) -> Option<CompiledVerb> {
        let executor = self.registry.get(&verb.text)?;
        let chosen = (executor.needs_target() || target.is_some()).then(|| self.target(executor.verb(), target));
        let observed = ObservedTarget { verb: executor.verb(), target: chosen.flatten() };
        let shape = Shape::Fields(with_times(executor.fields(), &|field| executor.kind_of(field)));
        let summary = format!("every observation of {}", observed.verb);
        Some(CompiledVerb::new(
            ActionKind::EveryObservation { observed, fields: executor.fields() },
            summary,
            shape,
            vec![],
        ))
    }

    /// Checks that what happens at the end of the case stands directly in a step or result, and has assertions.
    pub(super) fn check_end(&mut self, spec: &ActionSpec, verb: &CompiledVerb, in_sentence: bool, names: &Names) {
        let every = matches!(verb.kind, ActionKind::EveryObservation { .. });
        let (key, span) = match &spec.still_at_end {
            Some(span) => ("still_at_end", span),
            None if every => ("every_observation", &spec.span),
            None => return,
        };
        if !in_sentence {
            let message = format!("`{key}` is not directly in the `do` of a step or an expected result");
            let d = Diagnostic::error("misplaced-end", span, message);
            self.problems.push(d.help("move it there: the end of the case has the names of the case"));
        }
        let asserts_itself = matches!(verb.kind, ActionKind::Use { .. } | ActionKind::Parallel { .. });
        if spec.assertions.is_empty() && !asserts_itself && !verb.broken {
            let message = format!("expected an assertion beside `{key}`, found none");
            let d = Diagnostic::error("missing-assertion", span, message);
            self.problems.push(d.help("add `expect` or `check`"));
        }
        if every {
            self.refuse_late_names(spec, &verb.shape, names);
        }
    }

    /// Observations are judged as they are made, so these assertions may read only names that are bound before the cases.
    fn refuse_late_names(&mut self, spec: &ActionSpec, shape: &Shape, names: &Names) {
        let is_field = |root: &str| matches!(shape, Shape::Fields(fields) if fields.iter().any(|(f, _)| f == root));
        let in_pattern = spec.assertions.pattern.iter().flat_map(Pattern::references);
        let in_checks = spec.assertions.checks.iter().flat_map(|(e, _)| e.references().iter().cloned());
        for r in in_pattern.chain(in_checks).filter(|r| !is_field(&r.root) && names.is_bound_by_action(&r.root)) {
            let message = format!("`{}` is bound during the case, but earlier observations are judged too", r.root);
            let d = Diagnostic::error("late-name", &r.span, message);
            self.problems.push(d.help("use a variable of the plan"));
        }
    }

    /// Refuses to perform a change twice.
    pub(super) fn refuse_repeated_change(&mut self, still_at_end: Option<&Span>, action: &ScheduledAction) {
        if let Some(span) = still_at_end
            && action.changes()
        {
            let message = "this changes something, and `still_at_end` would do it twice";
            let d = Diagnostic::error("repeated-change", span, message);
            self.problems.push(d.help("observe the effect in an action of its own, with `still_at_end` beside it"));
        }
    }
}
