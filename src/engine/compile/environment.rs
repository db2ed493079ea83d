//! What is an environment's: its targets, setup and faults, read by the same gate as cases, with names of its own.
use super::{Compiler, base_names};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    engine::{
        names::{Names, Shape},
        schedule::{Act, Fault, Schedule, Step, Target},
    },
    event::EnvironmentOutline,
    executor::Body,
    plan::{self, Environment, FaultSpec},
};
use std::sync::Arc;

impl Compiler<'_> {
    /// The environment's targets, each read by its executor.
    pub(super) fn targets(&mut self) -> Vec<Target> {
        let Some(environment) = self.environment else { return vec![] };
        let mut names = environment_names(environment);
        for s in environment.setup.iter().flat_map(|s| s.save.iter().map(|(n, _)| n).chain(&s.bind)) {
            names.built_in(&s.text, Shape::Any);
        }
        let mut out = vec![];
        for (name, node) in &environment.targets {
            let verbs: Vec<&'static str> = self.registry.verbs().filter(|v| node.get(v).is_some()).collect();
            let [verb] = verbs[..] else {
                let all = self.registry.verbs().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
                let d = Diagnostic::error(
                    "wrong-target",
                    &name.span,
                    format!("the target `{}` needs exactly one of {all}", name.text),
                );
                self.problems.push(d);
                continue;
            };
            let mut reads = vec![];
            let mut problems = Diagnostics::default();
            let spec = self
                .registry
                .get(verb)
                .and_then(|e| e.target(&mut Body { node, reads: &mut reads, problems: &mut problems }));
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

    /// Setup and faults: the same gate as for cases, with the environment's own names.
    pub(super) fn settle(&mut self, environment: Environment, schedule: &mut Schedule) {
        let mut names = environment_names(&environment);
        for (_, tree) in environment.secrets.iter().chain(&environment.vars) {
            self.reads(&tree.reads(), &names);
        }
        let target_of = |verb: &str, named: &Option<String>| {
            named.clone().or_else(|| schedule.targets.iter().find(|t| t.verb == verb).map(|t| t.name.clone()))
        };
        let mut setup = self.setup_steps(environment.setup, &mut names);
        setup.iter_mut().for_each(|s| resolve(s, &target_of));
        let mut faults = vec![];
        for (name, fault) in environment.faults {
            let depth = names.depth();
            faults.push((
                name.text,
                match fault {
                    FaultSpec::Relay { listen, upstream } => Fault::Relay { listen, upstream },
                    FaultSpec::Actions { cut, heal, refused } => {
                        let mut cut = self.setup_steps(cut, &mut names);
                        let mut heal = self.setup_steps(heal, &mut names);
                        cut.iter_mut().chain(&mut heal).for_each(|s| resolve(s, &target_of));
                        if let Some(e) = &refused {
                            self.reads(e.reads(), &names);
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
            sandbox: environment.sandbox,
            targets: schedule.targets.iter().map(|t| (t.name.clone(), t.spec.address())).collect(),
            replaced: vec![],
        };
        schedule.versions = environment.versions;
        schedule.setup = setup;
        schedule.faults = faults;
        schedule.secrets = environment.secrets.into_iter().map(|(n, t)| (n.text, t)).collect();
    }

    /// The steps of an environment: their targets are named, or the first of the verb, and resolved afterwards.
    pub(super) fn setup_steps(&mut self, steps: Vec<plan::Step>, names: &mut Names) -> Vec<Step> {
        let named: Vec<Option<String>> = steps.iter().map(|s| s.target.as_ref().map(|t| t.text.clone())).collect();
        let mut out = self.steps(steps, names);
        if out.len() == named.len() {
            for (s, n) in out.iter_mut().zip(named) {
                if let Act::Perform { target, .. } = &mut s.act {
                    *target = n;
                }
            }
        }
        out
    }
}

fn resolve(step: &mut Step, target_of: &dyn Fn(&str, &Option<String>) -> Option<String>) {
    if let Act::Perform { target, verb, .. } = &mut step.act {
        *target = target_of(verb, target);
    }
}

fn environment_names(e: &Environment) -> Names {
    let mut names = base_names();
    names.built_in("env", Shape::Any);
    e.secrets.iter().chain(&e.vars).for_each(|(n, _)| names.built_in(&n.text, Shape::Any));
    names
}
