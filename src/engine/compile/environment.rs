//! Compiles an environment: its targets, setup, teardown and faults, with names of its own.
use super::compiler::{Compiler, Source, environment_names, names_after_setup};
use crate::{
    access::AccessRules,
    diagnostic::{Diagnostic, Diagnostics},
    engine::{
        names::Shape,
        schedule::{Fault, KnownFailure, Schedule, Target},
    },
    event::EnvironmentOutline,
    executor::Body,
    expr::{Reference, Scope},
    plan::{self, Environment, FaultSpec, SecretSource, VersionSource},
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
                let message = format!("unknown action `{}`: an environment overrides actions of the plan", name.text);
                let d = Diagnostic::error("unknown-action", &name.span, message);
                self.problems.push(d.suggest(&name.text, of_plan.iter().map(String::as_str)));
                continue;
            };
            let (theirs, ours) = (signature(of_the_plan), signature(own));
            if theirs != ours {
                let message = format!("expected `{}` with {theirs} as in the plan, found {ours}", name.text);
                let d = Diagnostic::error("signature-mismatch", &name.span, message);
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
                let found = verbs.len();
                let message = format!("expected exactly one of {all} for target `{}`, found {found}", name.text);
                let d = Diagnostic::error("target-mismatch", &name.span, message);
                self.problems.push(d.help(format!("write it like `{}: {{ http: URL }}`", name.text)));
                continue;
            };
            let (mut reads, mut problems) = (vec![], Diagnostics::default());
            let mut body =
                Body { node, references: &mut reads, problems: &mut problems, access: &AccessRules::unlimited() };
            let spec = self.registry.get(verb).and_then(|e| e.target(&mut body));
            let spec = spec.filter(|_| problems.errors() == 0);
            self.problems.extend(problems);
            reads.iter().for_each(|r| drop(names.check(r, &mut self.problems)));
            out.extend(spec.map(|spec| Target { name: name.text.clone(), verb, spec: Arc::from(spec) }));
        }
        out
    }

    /// Compiles everything else, with the environment's own names.
    pub(super) fn compile_environment(&mut self, environment: &Environment, schedule: &mut Schedule) {
        let environment = environment.clone();
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
        schedule.setup = self.actions(environment.setup, &mut names);
        let depth = names.depth();
        schedule.teardown = self.actions(environment.teardown, &mut names);
        names.drop_to(depth);
        names.built_in("case", Shape::fields(&["id"]));
        schedule.on_failure = self.actions(environment.on_failure, &mut names);
        names.drop_to(depth);
        for (name, fault) in environment.faults {
            let fault = match fault {
                FaultSpec::Relay { relay, how } => Fault::Relay { relay, how },
                FaultSpec::Actions { cut, heal, refused, probe } => {
                    let (cut, heal) = (self.actions(cut, &mut names), self.actions(heal, &mut names));
                    self.check_references(refused.iter().flat_map(|e| e.references()), &names);
                    names.drop_to(depth);
                    Fault::Actions { cut, heal, refused, probe: self.actions(probe, &mut names) }
                }
            };
            schedule.faults.push((name.text, fault));
            names.drop_to(depth);
        }
        for (name, source) in environment.versions {
            match source {
                VersionSource::Text(version) => schedule.versions.push((name.text, version)),
                VersionSource::Actions(actions) => {
                    let actions = self.actions(actions, &mut names);
                    if !names.has("version") {
                        let message = format!("the actions of `{}` bind no name `version`", name.text);
                        let d = Diagnostic::error("undefined-name", &name.span, message);
                        self.problems.push(d.help("add `save: { version: EXPRESSION }` to one of them"));
                    }
                    schedule.version_actions.push((name.text, actions));
                    names.drop_to(depth);
                }
            }
        }
        schedule.environment = EnvironmentOutline {
            name: environment.name,
            about: environment.about.unwrap_or_default(),
            notice: environment.notice,
            targets: schedule.targets.iter().map(|t| (t.name.clone(), t.spec.address(&Scope::default()))).collect(),
            replaced: environment.actions.iter().map(|a| a.name.text.clone()).collect(),
            ends_with_run: false,
        };
        schedule.masked_fields = environment.masked_fields;
        schedule.secrets = environment.secrets.into_iter().map(|(n, t)| (n.text, t)).collect();
    }

    /// Finds the sentences of the known failures in the plan.
    fn known(&mut self, known: Vec<plan::KnownFailure>, schedule: &mut Schedule) {
        for plan::KnownFailure { case, sentences, observed, issue, until } in known {
            for sentence in sentences {
                let Some(found) = self.sentence(&schedule.outline, &case, &sentence) else { continue };
                let (sentence, text) = (found.address.clone(), found.text.clone());
                let known = KnownFailure { sentence, text, observed: observed.clone(), issue: issue.clone(), until };
                if let Some(case) = schedule.cases.iter_mut().find(|c| c.id == case.text) {
                    case.known.push(known);
                }
            }
        }
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
