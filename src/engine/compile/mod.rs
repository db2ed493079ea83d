//! The one gate: from a plan, an environment and the verbs to a schedule, or to everything that is wrong with them.
mod assertions;
mod environment;
mod prove;
mod step;

use super::{
    names::{Names, Shape},
    schedule::*,
};
use crate::{
    address::Address,
    diagnostic::{Diagnostic, Diagnostics},
    event::{CaseOutline, EnvironmentOutline, Part, PlanOutline, SentenceOutline},
    executor::Registry,
    expr::{Reference, Tree, cel::Segment},
    plan::{self, Environment, Plan, Spanned},
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// How many cases run side by side where nobody says otherwise: they mostly wait.
pub const JOBS: usize = 32;

pub struct Compiler<'a> {
    registry: &'a Registry,
    /// With none, only the plan itself is checked.
    environment: Option<&'a Environment>,
    pub problems: Diagnostics,
    sources: HashMap<String, Source>,
    defined: HashMap<String, Defined>,
    underway: Vec<String>,
    /// The plan's variables, for every scope.
    vars: Vec<(Spanned, Shape)>,
    used_vars: HashSet<String>,
    /// Of the machine's environment variables.
    env_read: BTreeSet<String>,
    used_actions: HashSet<String>,
    /// While set, answers nobody looks at are no problem: an undo has nobody to look.
    undoing: bool,
    within: Within,
}

/// An action as it was written, by the plan or in its location by the environment.
struct Source {
    definition: plan::ActionDefinition,
    of_environment: bool,
}

#[derive(Clone)]
struct Defined {
    definition: Arc<ActionDefinition>,
    shape: Shape,
    within: Within,
}

/// What follows from the actions under a case, or under an action of the plan, for whoever performs them.
#[derive(Clone, Default)]
struct Within {
    /// Answers that nobody looks at.
    unlooked: Vec<Diagnostic>,
    /// What a protected environment does not let happen.
    refused: Vec<Diagnostic>,
    /// What the environment does not have, a sentence each.
    lacks: Vec<String>,
    /// There is a fault among them.
    exclusive: bool,
}

/// Compiles. `selected` says which cases; `set` replaces variables of the plan.
pub fn compile(
    plan: Plan,
    registry: &Registry,
    environment: Option<Environment>,
    set: Vec<(String, Tree)>,
    selected: &dyn Fn(&plan::Case) -> bool,
) -> (Option<Schedule>, Diagnostics) {
    let mut c = Compiler::new(registry, environment.as_ref());
    let mut schedule = c.plan(plan, set, selected);
    schedule.targets = c.targets();
    let mut problems = std::mem::take(&mut c.problems);
    if let Some(environment) = environment {
        let mut c = Compiler { undoing: true, ..Compiler::new(registry, None) };
        c.settle(environment, &mut schedule);
        problems.extend(c.problems);
    }
    problems.sort();
    (if problems.errors() == 0 { Some(schedule) } else { None }, problems)
}

impl<'a> Compiler<'a> {
    fn new(registry: &'a Registry, environment: Option<&'a Environment>) -> Self {
        Compiler {
            registry,
            environment,
            problems: Diagnostics::default(),
            sources: HashMap::new(),
            defined: HashMap::new(),
            underway: vec![],
            vars: vec![],
            used_vars: HashSet::new(),
            env_read: BTreeSet::new(),
            used_actions: HashSet::new(),
            undoing: false,
            within: Within::default(),
        }
    }

    fn plan(&mut self, plan: Plan, set: Vec<(String, Tree)>, selected: &dyn Fn(&plan::Case) -> bool) -> Schedule {
        let mut vars = vec![];
        let mut names = base_names();
        for (name, tree) in plan.vars {
            tree.references().iter().for_each(|r| {
                names.check(r, &mut self.problems);
            });
            self.note_vars(&tree.references());
            names.bind(&name.text, Shape::Any, &name.span, &mut self.problems);
            self.vars.push((name.clone(), Shape::Any));
            vars.push((name.text, tree));
        }
        let environment_vars = self.environment.map(|e| &e.vars[..]).unwrap_or_default();
        for (name, tree) in environment_vars {
            match vars.iter_mut().find(|(n, _)| *n == name.text) {
                Some(entry) => entry.1 = tree.clone(),
                None => {
                    let d = Diagnostic::error(
                        "unknown-variable",
                        &name.span,
                        format!("the plan has no variable `{}`", name.text),
                    );
                    self.problems.push(d.suggest(&name.text, vars.iter().map(|(n, _)| n.as_str())));
                }
            }
        }
        for (name, tree) in set {
            match vars.iter_mut().find(|(n, _)| *n == name) {
                Some(entry) => entry.1 = tree,
                None => {
                    let d = Diagnostic::error(
                        "unknown-variable",
                        &plan.span,
                        format!("`--set {name}`: the plan has no such variable"),
                    );
                    self.problems.push(d.suggest(&name, vars.iter().map(|(n, _)| n.as_str())));
                }
            }
        }
        let order: Vec<Spanned> = plan.actions.iter().map(|d| d.name.clone()).collect();
        let replaced = self.sources(plan.actions);
        for name in &order {
            self.define(name);
        }
        // what the environment does in another way must be right in the plan all the same
        for definition in replaced {
            self.definition(Source { definition, of_environment: false });
        }
        let mut cases = vec![];
        let mut outline = vec![];
        for case in plan.cases {
            let chosen = selected(&case);
            let (compiled, case_outline) = self.case(case, chosen);
            outline.push(case_outline);
            if chosen {
                cases.push(compiled);
            }
        }
        let breaks = self.prove(&plan.prove, &vars, &outline);
        // an included file serves several plans: what this one leaves aside is no slip
        let own = |n: &Spanned| n.span.source.name == plan.span.source.name;
        for name in order.iter().filter(|n| own(n) && !self.used_actions.contains(&n.text)) {
            self.problems.push(Diagnostic::warning(
                "unused-name",
                &name.span,
                format!("nobody uses the action `{}`", name.text),
            ));
        }
        for (name, _) in self.vars.iter().filter(|(n, _)| !self.used_vars.contains(&n.text)) {
            self.problems.push(Diagnostic::warning(
                "unused-name",
                &name.span,
                format!("nobody reads the variable `{}`", name.text),
            ));
        }
        Schedule {
            report: plan.report,
            plan: PlanOutline {
                id: plan.id,
                title: plan.title,
                file: plan.span.source.name.clone(),
                source: plan.source.map(|s| s.text),
                objective: plan.objective,
                scope_in: plan.scope_in,
                scope_out: plan.scope_out,
                vars: vec![],
            },
            outline,
            vars,
            cases,
            setup: vec![],
            teardown: vec![],
            on_failure: vec![],
            secrets: vec![],
            targets: vec![],
            faults: vec![],
            jobs: self.environment.and_then(|e| e.jobs).unwrap_or(JOBS),
            environment: EnvironmentOutline::default(),
            versions: vec![],
            breaks,
            env_read: std::mem::take(&mut self.env_read),
        }
    }

    fn case(&mut self, case: plan::Case, chosen: bool) -> (Case, CaseOutline) {
        let address = Address::new(&case.id.text);
        let mut names = base_names();
        self.add_vars(&mut names);
        names.built_in("case", Shape::fields(&["id"]));
        let depth = names.depth();
        self.within = Within { exclusive: case.exclusive, ..Within::default() };
        if let Some(t) = &case.timeout {
            self.reads(t.references(), &names);
        }
        let mut sentences = vec![];
        let mut outlines = vec![];
        let parts = [
            (Part::Precondition, "preconditions", case.preconditions),
            (Part::Step, "steps", case.steps),
            (Part::Expected, "expected", case.expected),
        ];
        for (part, word, list) in parts {
            for (i, s) in list.into_iter().enumerate() {
                let at = address.child(word).child(i + 1);
                let location = s.text.span.location();
                outlines.push(SentenceOutline {
                    address: at.clone(),
                    part,
                    text: s.text.text.clone(),
                    location: location.clone(),
                    unproven: s.unproven.as_ref().map(|u| u.text.clone()),
                });
                let steps = self.steps(s.steps, &mut names);
                let needs = self.assertions(&s.assertions, None, &names);
                sentences.push(Sentence {
                    part,
                    address: at,
                    steps,
                    assertions: s.assertions,
                    needs,
                    unproven: s.unproven.is_some(),
                    location,
                });
            }
        }
        names.leave(depth, &mut self.problems);
        let Within { unlooked, refused, mut lacks, exclusive } = std::mem::take(&mut self.within);
        self.problems.0.extend(unlooked);
        if chosen {
            self.problems.0.extend(refused);
        }
        lacks.sort();
        lacks.dedup();
        let outline = CaseOutline {
            id: case.id.text.clone(),
            title: case.title,
            tier: case.tier,
            priority: case.priority,
            selected: chosen,
            fields: case.fields,
            sentences: outlines,
        };
        let compiled = Case {
            id: case.id.text,
            address,
            tier: case.tier,
            exclusive,
            timeout: case.timeout,
            sentences,
            lacks,
            known: vec![],
        };
        (compiled, outline)
    }

    /// Compiles an action of the plan, once, however often it is used.
    fn define(&mut self, name: &Spanned) -> Option<Defined> {
        if let Some(found) = self.defined.get(&name.text) {
            return Some(found.clone());
        }
        if self.underway.contains(&name.text) {
            let circle =
                self.underway.iter().skip_while(|n| **n != name.text).cloned().collect::<Vec<_>>().join("` → `");
            let d = Diagnostic::error(
                "action-cycle",
                &name.span,
                format!("`{}` uses itself: `{circle}` → `{}`", name.text, name.text),
            );
            self.problems.push(d);
            return None;
        }
        let source = self.sources.remove(&name.text)?;
        self.underway.push(name.text.clone());
        let defined = self.definition(source);
        self.underway.pop();
        self.defined.insert(name.text.clone(), defined.clone());
        Some(defined)
    }

    fn definition(&mut self, Source { definition: source, of_environment }: Source) -> Defined {
        let outer = std::mem::take(&mut self.within);
        let undoing = std::mem::replace(&mut self.undoing, false);
        let mut names = match self.environment.filter(|_| of_environment) {
            Some(e) => environment::settled_names(e),
            None => base_names(),
        };
        self.add_vars(&mut names);
        names.built_in("case", Shape::fields(&["id"]));
        for (_, default) in &source.inputs {
            if let Some(tree) = default {
                self.reads(&tree.references(), &names);
            }
        }
        let inputs: Vec<(String, Shape)> = source.inputs.iter().map(|(n, _)| (n.text.clone(), Shape::Any)).collect();
        names.built_in("inputs", Shape::Fields(inputs));
        let depth = names.depth();
        let steps = self.steps(source.steps, &mut names);
        let mut outputs = vec![];
        let mut fields = vec![];
        for (n, e) in source.outputs {
            let shapes: Vec<Shape> = e.references().iter().map(|r| names.check(r, &mut self.problems)).collect();
            self.note_vars(e.references());
            let plain = e.references().len() == 1 && !e.text().contains(['(', '+', '=', '?', '[']);
            fields.push((n.text.clone(), if plain { shapes[0].clone() } else { Shape::Any }));
            outputs.push((n.text, e));
        }
        names.leave(depth, &mut self.problems);
        let shape = if outputs.is_empty() { Shape::Any } else { Shape::Fields(with_times(fields)) };
        let inputs = source.inputs.into_iter().map(|(n, d)| (n.text, d)).collect();
        self.undoing = undoing;
        Defined {
            definition: Arc::new(ActionDefinition { inputs, steps, outputs, of_environment }),
            shape,
            within: std::mem::replace(&mut self.within, outer),
        }
    }

    fn reads<'r>(&mut self, reads: impl IntoIterator<Item = &'r Reference>, names: &Names) {
        for r in reads {
            names.check(r, &mut self.problems);
            self.used_vars.insert(r.root.clone());
            if let ("env", Some(Segment::Field(name, _))) = (r.root.as_str(), r.path.first()) {
                self.env_read.insert(name.clone());
            }
        }
    }

    fn note_vars(&mut self, reads: &[Reference]) {
        self.used_vars.extend(reads.iter().map(|r| r.root.clone()));
    }

    fn add_vars(&self, names: &mut Names) {
        self.vars.iter().for_each(|(n, s)| names.built_in(&n.text, s.clone()));
    }
}

fn base_names() -> Names {
    let mut names = Names::default();
    names.built_in("run", Shape::fields(&["id", "started"]));
    names
}

fn with_times(mut fields: Vec<(String, Shape)>) -> Vec<(String, Shape)> {
    for f in ["at", "took"] {
        if !fields.iter().any(|(n, _)| n == f) {
            fields.push((f.into(), Shape::Any));
        }
    }
    fields
}
