//! Compiles what an action does: its verb, its target, and the fields of its output.
use super::compiler::{Compiler, with_times};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    engine::{
        names::{Names, Shape},
        schedule::ActionKind,
    },
    executor::{Action, ActionContext, ActionError, Body, Output},
    expr::Reference,
    plan::{Spanned, Verb},
};
use std::sync::Arc;

impl Compiler<'_> {
    /// The action, its summary, the shape of its output, and the references in its body. `None` after an error that was reported.
    pub(super) fn verb(
        &mut self,
        verb: Verb,
        target: Option<&Spanned>,
        names: &mut Names,
    ) -> Option<(ActionKind, String, Shape, Vec<Reference>)> {
        Some(match verb {
            Verb::None => (ActionKind::Nothing, "check".into(), Shape::Any, vec![]),
            // reported already; the names that it would bind count as bound
            Verb::Broken => (
                ActionKind::Perform { action: Arc::new(Invalid), verb: "", target: None },
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
                self.check_references(&reads, names);
                let Some(action) = compiled.filter(|_| !failed).map(Arc::<dyn Action>::from) else {
                    // reported already; the names that it would bind count as bound
                    return Some((
                        ActionKind::Perform { action: Arc::new(Invalid), verb: "", target: None },
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
                let summary = format!("{} {}", executor.verb(), action.summary());
                (ActionKind::Perform { action, verb: executor.verb(), target: chosen }, summary, shape, reads)
            }
            Verb::Use { action, inputs } => {
                self.used_actions.insert(action.text.clone());
                let mut reads = vec![];
                for (_, tree) in &inputs {
                    reads.extend(tree.references());
                }
                self.check_references(&reads, names);
                let known = self.sources.contains_key(&action.text)
                    || self.defined.contains_key(&action.text)
                    || self.in_progress.contains(&action.text);
                if !known {
                    let d =
                        Diagnostic::error("unknown-action", &action.span, format!("unknown action `{}`", action.text));
                    let all: Vec<String> = self.sources.keys().chain(self.defined.keys()).cloned().collect();
                    self.problems.push(d.suggest(&action.text, all.iter().map(String::as_str)));
                    return None;
                }
                let defined = self.define(&action)?;
                self.effects.lacks.extend(defined.effects.lacks.iter().cloned());
                self.effects.refused.extend(defined.effects.refused.iter().cloned());
                self.effects.exclusive |= defined.effects.exclusive;
                if !self.undoing {
                    self.effects.unchecked_responses.extend(defined.effects.unchecked_responses.iter().cloned());
                }
                let declared = &defined.definition.inputs;
                for (n, _) in &inputs {
                    if !declared.iter().any(|(d, _)| *d == n.text) {
                        let d = Diagnostic::error(
                            "unknown-input",
                            &n.span,
                            format!("unknown input `{}` of `{}`", n.text, action.text),
                        );
                        self.problems.push(d.suggest(&n.text, declared.iter().map(|(d, _)| d.as_str())));
                    }
                }
                for (d, default) in declared {
                    if default.is_none() && !inputs.iter().any(|(n, _)| n.text == *d) {
                        let p = Diagnostic::error(
                            "missing-input",
                            &action.span,
                            format!("missing input `{d}` of `{}`", action.text),
                        );
                        self.problems.push(p.help(format!("add `{d}: …`, or give it a default value in the action")));
                    }
                }
                let summary = match self.environment.filter(|_| defined.definition.of_environment) {
                    Some(e) => format!("use {} (as in the environment `{}`)", action.text, e.name),
                    None => format!("use {}", action.text),
                };
                let inputs = inputs.into_iter().map(|(n, t)| (n.text, t)).collect();
                (ActionKind::Use { definition: defined.definition, inputs }, summary, defined.shape, reads)
            }
            Verb::Parallel { branches, overlap, .. } => {
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
                let reads = vec![];
                let shape =
                    Shape::Fields(with_times(vec![("branches".into(), Shape::Any), ("overlap".into(), Shape::Any)]));
                (ActionKind::Parallel { branches: all, overlap }, summary, shape, reads)
            }
            Verb::Fault { breaks, name } => {
                self.effects.exclusive = true;
                if let Some(e) = self.environment
                    && !e.faults.iter().any(|(n, _)| n.text == name.text)
                {
                    self.effects.lacks.push(format!("the environment `{}` has no fault `{}`", e.name, name.text));
                }
                let summary = format!("fault {} {}", if breaks { "break" } else { "heal" }, name.text);
                (
                    ActionKind::Fault { breaks, name: name.text },
                    summary,
                    Shape::Fields(with_times(vec![("refused".into(), Shape::Any)])),
                    vec![],
                )
            }
        })
    }
}

/// Replaces an action whose body has errors.
pub(super) struct Invalid;

#[async_trait::async_trait]
impl Action for Invalid {
    fn fields(&self) -> &'static [&'static str] {
        &[]
    }
    fn summary(&self) -> String {
        String::new()
    }
    fn changes(&self) -> bool {
        false
    }
    async fn perform(&self, _: &ActionContext<'_>) -> Result<Output, ActionError> {
        Err(ActionError::Invalid("the action has errors".into()))
    }
}
