//! Compiles an environment: its targets, setup, teardown and faults, with names of its own.
use super::compiler::{Compiler, Source, environment_names, names_after_setup};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    engine::{
        names::{Names, Shape},
        schedule::{ActionKind, Fault, KnownFailure, Schedule, ScheduledAction, Target},
    },
    event::EnvironmentOutline,
    executor::Body,
    expr::Reference,
    plan::{self, Environment, FaultSpec, SecretSource},
};
use std::sync::Arc;

impl Compiler<'_> {
    /// Collects the reusable actions, overridden by those of the environment. Returns those of the plan that are overridden.
    pub(super) fn sources(&mut self, actions: Vec<plan::ActionDefinition>) -> Vec<plan::ActionDefinition> {
        let mut replaced = vec![];
        let of_plan: Vec<String> = actions.iter().map(|a| a.name.text.clone()).collect();
        for definition in actions {
            self.sources.insert(definition.name.text.clone(), Source { definition, of_environment: false });
        }
        for own in self.environment.map(|e| &e.actions[..]).unwrap_or_default() {
            let name = &own.name;
            let Some(of_the_plan) = self.sources.get(&name.text).map(|s| &s.definition) else {
                let d = Diagnostic::error(
                    "unknown-action",
                    &name.span,
                    format!("unknown action `{}`: an environment overrides actions of the plan", name.text),
                );
                self.problems.push(d.suggest(&name.text, of_plan.iter().map(String::as_str)));
                continue;
            };
            let (theirs, ours) = (signature(of_the_plan), signature(own));
            if theirs != ours {
                let d = Diagnostic::error(
                    "signature-mismatch",
                    &name.span,
                    format!("expected `{}` with {theirs} as in the plan, found {ours}", name.text),
                );
                self.problems.push(d.help("use the same inputs and outputs as the action of the plan"));
            }
            let own = Source { definition: own.clone(), of_environment: true };
            replaced.extend(self.sources.insert(name.text.clone(), own).map(|s| s.definition));
        }
        replaced
    }

    /// Compiles the targets, each by its executor.
    pub(super) fn targets(&mut self) -> Vec<Target> {
        let Some(environment) = self.environment else { return vec![] };
        let names = names_after_setup(environment);
        let mut out = vec![];
        for (name, node) in &environment.targets {
            let verbs: Vec<&'static str> = self.registry.verbs().filter(|v| node.get(v).is_some()).collect();
            let [verb] = verbs[..] else {
                let all = self.registry.verbs().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
                let d = Diagnostic::error(
                    "target-mismatch",
                    &name.span,
                    format!("expected exactly one of {all} for target `{}`, found {}", name.text, verbs.len()),
                );
                self.problems.push(d.help(format!("write it like `{}: {{ http: URL }}`", name.text)));
                continue;
            };
            let mut reads = vec![];
            let mut problems = Diagnostics::default();
            let spec = self
                .registry
                .get(verb)
                .and_then(|e| e.target(&mut Body { node, references: &mut reads, problems: &mut problems }));
            self.problems.extend(problems);
            for r in &reads {
                names.check(r, &mut self.problems);
            }
            if let Some(spec) = spec {
                out.push(Target { name: name.text.clone(), verb, spec: Arc::from(spec) });
            }
        }
        out
    }

    /// Compiles everything else, with the environment's own names.
    pub(super) fn compile_environment(&mut self, environment: Environment, schedule: &mut Schedule) {
        let mut names = environment_names(&environment);
        for (_, secret) in &environment.secrets {
            let reads: Vec<Reference> = match secret {
                SecretSource::Text(tree) => tree.references(),
                SecretSource::File(path) => path.references().cloned().collect(),
                SecretSource::Command(words) => words.iter().flat_map(|w| w.references().cloned()).collect(),
            };
            self.check_references(&reads, &names);
        }
        for (_, tree) in &environment.vars {
            self.check_references(&tree.references(), &names);
        }
        self.known(environment.known_failures, schedule);
        let target_of = |verb: &str, named: &Option<String>| {
            named.clone().or_else(|| schedule.targets.iter().find(|t| t.verb == verb).map(|t| t.name.clone()))
        };
        let resolved = |c: &mut Self, steps, names: &mut Names| {
            let mut steps = c.setup_actions(steps, names);
            steps.iter_mut().for_each(|s| resolve(s, &target_of));
            steps
        };
        let setup = resolved(self, environment.setup, &mut names);
        let depth = names.depth();
        let teardown = resolved(self, environment.teardown, &mut names);
        names.drop_to(depth);
        names.built_in("case", Shape::fields(&["id"]));
        let on_failure = resolved(self, environment.on_failure, &mut names);
        names.drop_to(depth);
        let mut faults = vec![];
        for (name, fault) in environment.faults {
            let depth = names.depth();
            faults.push((
                name.text,
                match fault {
                    FaultSpec::Relay { listen, upstream, how } => Fault::Relay { listen, upstream, how },
                    FaultSpec::Actions { cut, heal, refused } => {
                        let cut = resolved(self, cut, &mut names);
                        let heal = resolved(self, heal, &mut names);
                        if let Some(e) = &refused {
                            self.check_references(e.references(), &names);
                        }
                        Fault::Actions { cut: Arc::new(cut), heal: Arc::new(heal), refused }
                    }
                },
            ));
            names.drop_to(depth);
        }
        schedule.environment = EnvironmentOutline {
            name: environment.name,
            about: environment.about.unwrap_or_default(),
            notice: environment.notice,
            targets: schedule.targets.iter().map(|t| (t.name.clone(), t.spec.address())).collect(),
            replaced: environment.actions.iter().map(|a| a.name.text.clone()).collect(),
        };
        schedule.versions = environment.versions;
        schedule.setup = setup;
        schedule.teardown = teardown;
        schedule.on_failure = on_failure;
        schedule.faults = faults;
        schedule.secrets = environment.secrets.into_iter().map(|(n, t)| (n.text, t)).collect();
    }

    /// Finds the sentences of the known failures in the plan.
    fn known(&mut self, known: Vec<plan::KnownFailure>, schedule: &mut Schedule) {
        for plan::KnownFailure { case, sentence, issue, until } in known {
            let Some(found) = self.sentence(&schedule.outline, &case, &sentence) else { continue };
            let known = KnownFailure { sentence: found.address.clone(), text: found.text.clone(), issue, until };
            if let Some(case) = schedule.cases.iter_mut().find(|c| c.id == case.text) {
                case.known.push(known);
            }
        }
    }

    /// Compiles actions of the environment. Their targets are resolved afterwards: the named one, or the first of the verb.
    pub(super) fn setup_actions(&mut self, steps: Vec<plan::ActionSpec>, names: &mut Names) -> Vec<ScheduledAction> {
        let named: Vec<Option<String>> = steps.iter().map(|s| s.target.as_ref().map(|t| t.text.clone())).collect();
        let mut out = self.actions(steps, names);
        if out.len() == named.len() {
            for (s, n) in out.iter_mut().zip(named) {
                if let ActionKind::Perform { target, .. } = &mut s.kind {
                    *target = n;
                }
            }
        }
        out
    }
}

fn resolve(step: &mut ScheduledAction, target_of: &dyn Fn(&str, &Option<String>) -> Option<String>) {
    if let ActionKind::Perform { target, verb, .. } = &mut step.kind {
        *target = target_of(verb, target);
    }
}

/// Inputs and outputs in words, to compare and to report.
fn signature(d: &plan::ActionDefinition) -> String {
    let inputs = d.inputs.iter().map(|(n, default)| format!("{}{}", n.text, if default.is_some() { "?" } else { "" }));
    let mut sides = [inputs.collect::<Vec<_>>(), d.outputs.iter().map(|(n, _)| n.text.clone()).collect()];
    sides.iter_mut().for_each(|s| s.sort());
    let [inputs, outputs] =
        sides.map(|s| if s.is_empty() { "none".to_string() } else { format!("`{}`", s.join("`, `")) });
    format!("the inputs {inputs} and the outputs {outputs}")
}
