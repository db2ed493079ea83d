//! Compiles a plan: its variables, reusable actions and cases.
use super::compiler::{Compiler, Defined, Effects, Source, base_names, names_after_setup, with_times};
use super::{SetValue, inputs::Inputs};
use crate::{
    address::Address,
    diagnostic::Diagnostic,
    engine::{
        names::Shape,
        schedule::{ActionDefinition, Case, Schedule, Sentence},
        time_limit::{default_limit, has_wait},
        times::render_duration,
    },
    event::{CaseOutline, Part, PlanOutline, SentenceOutline},
    expr::{Scope, Template, Tree},
    plan::{self, Plan, Spanned},
    source::Span,
};
use std::sync::Arc;

/// Number of cases that run at the same time where nothing else is set. They mostly wait.
const DEFAULT_JOBS: usize = 32;
/// Length of a chain of `use`. The compiler and the engine recurse.
const MAX_USE_DEPTH: usize = 32;

impl Compiler<'_> {
    pub(super) fn plan(
        &mut self,
        plan: Plan,
        set: Vec<(String, SetValue)>,
        selected: &dyn Fn(&plan::Case) -> bool,
    ) -> Schedule {
        if let Some(environment) = self.environment {
            self.plan_rules = environment.rules(plan.root.clone(), std::mem::take(&mut self.addresses));
        }
        let mut vars = vec![];
        let mut names = base_names();
        for (name, tree) in plan.vars {
            self.check_references(&tree.references(), &names);
            names.bind(&name.text, Shape::Any, &name.span, &mut self.problems);
            self.vars.push(name.clone());
            vars.push((name.text, tree));
        }
        // several parts are joined to a text
        let is_text = |tree: &Tree| match tree {
            Tree::Value(value) => value.as_str().is_some(),
            Tree::Template(t) => t.parts().len() > 1,
            _ => false,
        };
        let texts: Vec<String> = vars.iter().filter(|(_, t)| is_text(t)).map(|(name, _)| name.clone()).collect();
        for (name, tree) in self.environment.map(|e| &e.vars[..]).unwrap_or_default() {
            if let Some(i) = self.variable(&name.text, &name.span, "") {
                vars[i].1 = tree.clone();
            }
        }
        for (name, SetValue { tree, text }) in set {
            if let Some(i) = self.variable(&name, &plan.span, " in `--set`") {
                vars[i].1 = text.filter(|_| texts.contains(&name)).unwrap_or(tree);
            }
        }
        let order: Vec<Spanned> = plan.actions.iter().map(|d| d.name.clone()).collect();
        let replaced = self.sources(plan.actions);
        for name in &order {
            self.define(name);
        }
        // an action that the environment overrides must be valid in the plan too
        for definition in replaced {
            self.definition(Source { definition, of_environment: false });
        }
        let known =
            vars.iter().fold(Scope::default(), |scope, (name, tree): &(String, Tree)| match tree.render(&scope) {
                Ok(value) => scope.with(name, value),
                Err(_) => scope,
            });
        let mut cases = vec![];
        let mut outline = vec![];
        for case in plan.cases {
            let chosen = selected(&case);
            let (compiled, case_outline) = self.case(case, chosen, &known);
            outline.push(case_outline);
            if chosen {
                cases.push(compiled);
            }
        }
        let breaks = self.prove(&plan.prove, &outline);
        // an included file serves several plans, which need not use all of it
        let own = |n: &Spanned| n.span.source.name == plan.span.source.name;
        let actions = order.iter().filter(|n| own(n) && !self.used_actions.contains(&n.text)).map(|n| ("action", n));
        let variables = self.vars.iter().filter(|n| !self.used_vars.contains(&n.text)).map(|n| ("variable", n));
        for (kind, name) in actions.chain(variables) {
            let d = Diagnostic::warning("unused-name", &name.span, format!("unused {kind} `{}`", name.text));
            self.problems.push(d.help("use it, or remove it"));
        }
        Schedule {
            report: plan.report.map(|r| r.text),
            plan: PlanOutline {
                id: plan.id,
                title: plan.title,
                file: plan.span.source.name.clone(),
                source: plan.source.map(|s| s.text),
                objective: plan.objective,
                scope_in: plan.scope_in,
                scope_out: plan.scope_out,
                vars: vec![],
                digest: None,
            },
            outline,
            vars,
            cases,
            jobs: self.environment.and_then(|e| e.jobs).unwrap_or(DEFAULT_JOBS),
            undo_timeout: self.environment.and_then(|e| e.undo_timeout),
            protected: self.environment.is_some_and(|e| e.protected),
            breaks,
            env_read: std::mem::take(&mut self.env_read),
            ..Schedule::default()
        }
    }

    fn case(&mut self, case: plan::Case, chosen: bool, known: &Scope) -> (Case, Arc<CaseOutline>) {
        let address = Address::of_case(&case.id.text);
        let mut names = base_names();
        self.add_vars(&mut names);
        names.built_in("case", Shape::fields(&["id"]));
        let depth = names.depth();
        self.effects = Effects { exclusive: case.exclusive, ..Effects::default() };
        for t in case.timeout.iter().map(|(t, _)| t).chain(&case.exclusive_if) {
            self.check_references(t.references(), &names);
        }
        let mut sentences = vec![];
        let mut outlines = vec![];
        let mut inputs = Inputs::default();
        let parts = [
            (Part::Precondition, "preconditions", case.preconditions),
            (Part::Step, "steps", case.steps),
            (Part::Expected, "expected", case.expected),
        ];
        for (part, word, list) in parts {
            for (i, s) in list.into_iter().enumerate() {
                let at = address.child(word).child(i + 1);
                let location = s.text.span.location();
                self.in_sentence = part != Part::Precondition;
                let actions = self.actions(s.actions, &mut names);
                self.in_sentence = false;
                let needs = self.assertions(&s.assertions, None, &names);
                let sentence = Sentence {
                    part,
                    address: at.clone(),
                    actions,
                    assertions: s.assertions,
                    needs,
                    unproven: s.unproven.is_some(),
                    location: location.clone(),
                };
                outlines.push(Arc::new(SentenceOutline {
                    address: at,
                    part,
                    text: s.text.text,
                    location,
                    unproven: s.unproven.map(|u| u.text),
                    inputs: inputs.of(&sentence),
                }));
                sentences.push(sentence);
            }
        }
        names.leave(depth, &mut self.problems);
        if let Some((timeout, span)) = &case.timeout {
            self.check_timeout(timeout, span, &sentences, known);
        }
        let Effects { unchecked_responses, refused, not_undone, mut lacks, exclusive } =
            std::mem::take(&mut self.effects);
        self.problems.0.extend(unchecked_responses);
        if chosen {
            self.problems.0.extend(refused);
            self.problems.0.extend(not_undone);
        }
        lacks.sort();
        lacks.dedup();
        let outline = Arc::new(CaseOutline {
            id: case.id.text.clone(),
            title: case.title,
            tier: case.tier,
            priority: case.priority,
            selected: chosen,
            fields: case.fields,
            sentences: outlines,
        });
        let compiled = Case {
            id: case.id.text,
            address,
            tier: case.tier,
            exclusive,
            timeout: case.timeout.map(|(t, _)| t),
            exclusive_if: case.exclusive_if,
            sentences,
            lacks,
            known: vec![],
        };
        (compiled, outline)
    }

    /// Warns of a time limit that is too short for the waits of a case.
    fn check_timeout(&mut self, timeout: &Template, span: &Span, sentences: &[Sentence], known: &Scope) {
        let limit = default_limit(sentences, known);
        let Ok(written) = render_duration(timeout, known) else { return };
        if has_wait(limit) && written < limit {
            let [written, limit] = [written, limit].map(humantime::format_duration);
            let message = format!("the waits of this case may need {limit}, and its `timeout` is {written}");
            let d = Diagnostic::warning("short-timeout", span, message);
            self.problems
                .push(d.help("remove `timeout`: the default is 5 minutes and the longest wait of each sentence"));
        }
    }

    /// Compiles a reusable action at its first use.
    pub(super) fn define(&mut self, name: &Spanned) -> Option<Defined> {
        if let Some(found) = self.defined.get(&name.text) {
            return Some(found.clone());
        }
        if self.in_progress.contains(&name.text) {
            let cycle: Vec<&str> = self
                .in_progress
                .iter()
                .skip_while(|n| **n != name.text)
                .chain([&name.text])
                .map(String::as_str)
                .collect();
            let message = format!("`{}` uses itself: `{}`", name.text, cycle.join("` → `"));
            let d = Diagnostic::error("action-cycle", &name.span, message);
            self.problems.push(d.help("remove one `use`"));
            return None;
        }
        if self.in_progress.len() >= MAX_USE_DEPTH {
            let message = format!("expected at most {MAX_USE_DEPTH} actions that use one another, found more");
            let d = Diagnostic::error("action-cycle", &name.span, message);
            self.problems.push(d.help("use the inner action directly"));
            return None;
        }
        let source = self.sources.remove(&name.text)?;
        self.in_progress.push(name.text.clone());
        let defined = self.definition(source);
        self.in_progress.pop();
        self.defined.insert(name.text.clone(), defined.clone());
        Some(defined)
    }

    fn definition(&mut self, Source { definition: source, of_environment }: Source) -> Defined {
        let outer = std::mem::take(&mut self.effects);
        let undoing = std::mem::replace(&mut self.undoing, false);
        let outside = std::mem::replace(&mut self.of_environment, of_environment);
        let mut names = match self.environment.filter(|_| of_environment) {
            Some(e) => names_after_setup(e),
            None => base_names(),
        };
        self.add_vars(&mut names);
        names.built_in("case", Shape::fields(&["id"]));
        for tree in source.inputs.iter().filter_map(|(_, default)| default.as_ref()) {
            self.check_references(&tree.references(), &names);
        }
        let inputs: Vec<(String, Shape)> = source.inputs.iter().map(|(n, _)| (n.text.clone(), Shape::Any)).collect();
        names.built_in("inputs", Shape::Fields(inputs));
        let depth = names.depth();
        let actions = self.actions(source.actions, &mut names);
        let mut outputs = vec![];
        let mut fields = vec![];
        for (n, e) in source.outputs {
            let shapes = self.check_references(e.references(), &names);
            let plain = e.references().len() == 1 && !e.text().contains(['(', '+', '=', '?', '[']);
            fields.push((n.text.clone(), if plain { shapes[0].clone() } else { Shape::Any }));
            outputs.push((n.text, e));
        }
        names.leave(depth, &mut self.problems);
        let shape = if outputs.is_empty() {
            Shape::Any
        } else {
            let times =
                with_times(&[], &|_| None).into_iter().filter(|(time, _)| !fields.iter().any(|(f, _)| f == time));
            Shape::Fields(fields.iter().cloned().chain(times).collect())
        };
        let inputs = source.inputs.into_iter().map(|(n, d)| (n.text, d)).collect();
        self.undoing = undoing;
        self.of_environment = outside;
        Defined {
            definition: Arc::new(ActionDefinition { inputs, actions, outputs, of_environment }),
            shape,
            effects: std::mem::replace(&mut self.effects, outer),
        }
    }
}
