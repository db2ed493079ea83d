//! The one gate: from a plan, an environment and the verbs to a schedule, or to everything that is wrong with them.
use super::{
    names::{Names, Shape},
    schedule::*,
};
use crate::{
    address::Address,
    diagnostic::{Diagnostic, Diagnostics},
    event::{CaseOutline, Part, PlanOutline, SentenceOutline},
    executor::{Body, Registry},
    expr::{Picture, Read, picture},
    plan::{self, Asks, Environment, FaultSpec, Foreach, Named, Plan, Verb},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// How many cases run side by side where nobody says otherwise: they mostly wait.
pub const JOBS: usize = 32;

pub struct Compiler<'a> {
    registry: &'a Registry,
    /// With none, only the plan itself is checked.
    environment: Option<&'a Environment>,
    pub problems: Diagnostics,
    sources: HashMap<String, plan::Definition>,
    defined: HashMap<String, Defined>,
    underway: Vec<String>,
    /// The plan's variables, for every scope.
    vars: Vec<(Named, Shape)>,
    used_vars: HashSet<String>,
    used_actions: HashSet<String>,
    /// While set, answers nobody looks at are no problem: an undo has nobody to look.
    undoing: bool,
    unlooked: Vec<Diagnostic>,
    lacks: Vec<String>,
    exclusive: bool,
}

#[derive(Clone)]
struct Defined {
    definition: Arc<Definition>,
    shape: Shape,
    unlooked: Vec<Diagnostic>,
    lacks: Vec<String>,
    faults: bool,
}

/// Compiles. `selected` says which cases; `set` replaces variables of the plan.
pub fn compile(
    plan: Plan,
    registry: &Registry,
    environment: Option<Environment>,
    set: Vec<(String, crate::expr::Tree)>,
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
            used_actions: HashSet::new(),
            undoing: false,
            unlooked: vec![],
            lacks: vec![],
            exclusive: false,
        }
    }

    fn plan(
        &mut self,
        plan: Plan,
        set: Vec<(String, crate::expr::Tree)>,
        selected: &dyn Fn(&plan::Case) -> bool,
    ) -> Schedule {
        let mut vars = vec![];
        let mut names = base_names();
        for (name, tree) in plan.vars {
            tree.reads().iter().for_each(|r| {
                names.check(r, &mut self.problems);
            });
            self.note_vars(&tree.reads());
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
                    self.problems.push(d.meant(&name.text, vars.iter().map(|(n, _)| n.as_str())));
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
                    self.problems.push(d.meant(&name, vars.iter().map(|(n, _)| n.as_str())));
                }
            }
        }
        let order: Vec<Named> = plan.actions.iter().map(|d| d.name.clone()).collect();
        self.sources = plan.actions.into_iter().map(|d| (d.name.text.clone(), d)).collect();
        for name in &order {
            self.define(name);
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
        // an included file serves several plans: what this one leaves aside is no slip
        let own = |n: &Named| n.span.source.name == plan.span.source.name;
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
            secrets: vec![],
            targets: vec![],
            faults: vec![],
            jobs: self.environment.and_then(|e| e.jobs).unwrap_or(JOBS),
        }
    }

    fn case(&mut self, case: plan::Case, chosen: bool) -> (Case, CaseOutline) {
        let address = Address::new(&case.id.text);
        let mut names = base_names();
        self.add_vars(&mut names);
        names.built_in("case", Shape::fields(&["id"]));
        let depth = names.depth();
        self.lacks.clear();
        self.exclusive = case.exclusive;
        if let Some(t) = &case.timeout {
            self.reads(t.reads(), &names);
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
                let place = s.text.span.place();
                outlines.push(SentenceOutline {
                    address: at.clone(),
                    part,
                    text: s.text.text.clone(),
                    place: place.clone(),
                    unproven: s.unproven.as_ref().map(|u| u.text.clone()),
                });
                let steps = self.steps(s.steps, &mut names);
                let needs = self.asks(&s.asks, None, &names);
                sentences.push(Sentence {
                    part,
                    address: at,
                    steps,
                    asks: s.asks,
                    needs,
                    unproven: s.unproven.is_some(),
                    place,
                });
            }
        }
        names.leave(depth, &mut self.problems);
        for d in std::mem::take(&mut self.unlooked) {
            self.problems.push(d);
        }
        let mut lacks = std::mem::take(&mut self.lacks);
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
            exclusive: self.exclusive,
            timeout: case.timeout,
            sentences,
            lacks,
        };
        (compiled, outline)
    }

    /// Compiles an action of the plan, once, however often it is used.
    fn define(&mut self, name: &Named) -> Option<Defined> {
        if let Some(found) = self.defined.get(&name.text) {
            return Some(found.clone());
        }
        if self.underway.contains(&name.text) {
            let circle =
                self.underway.iter().skip_while(|n| **n != name.text).cloned().collect::<Vec<_>>().join("` → `");
            let d = Diagnostic::error(
                "use-circle",
                &name.span,
                format!("`{}` uses itself: `{circle}` → `{}`", name.text, name.text),
            );
            self.problems.push(d);
            return None;
        }
        let source = self.sources.remove(&name.text)?;
        self.underway.push(name.text.clone());
        let outer =
            (std::mem::take(&mut self.unlooked), std::mem::take(&mut self.lacks), std::mem::take(&mut self.exclusive));
        let undoing = std::mem::replace(&mut self.undoing, false);
        let mut names = base_names();
        self.add_vars(&mut names);
        names.built_in("case", Shape::fields(&["id"]));
        for (_, default) in &source.inputs {
            if let Some(tree) = default {
                self.reads(&tree.reads(), &names);
            }
        }
        let inputs: Vec<(String, Shape)> = source.inputs.iter().map(|(n, _)| (n.text.clone(), Shape::Any)).collect();
        names.built_in("inputs", Shape::Fields(inputs));
        let depth = names.depth();
        let steps = self.steps(source.steps, &mut names);
        let mut outputs = vec![];
        let mut fields = vec![];
        for (n, e) in source.outputs {
            let shapes: Vec<Shape> = e.reads().iter().map(|r| names.check(r, &mut self.problems)).collect();
            self.note_vars(e.reads());
            let plain = e.reads().len() == 1 && !e.text().contains(['(', '+', '=', '?', '[']);
            fields.push((n.text.clone(), if plain { shapes[0].clone() } else { Shape::Any }));
            outputs.push((n.text, e));
        }
        names.leave(depth, &mut self.problems);
        let shape = if outputs.is_empty() { Shape::Any } else { Shape::Fields(with_times(fields)) };
        let definition =
            Definition { inputs: source.inputs.into_iter().map(|(n, d)| (n.text, d)).collect(), steps, outputs };
        let defined = Defined {
            definition: Arc::new(definition),
            shape,
            unlooked: std::mem::replace(&mut self.unlooked, outer.0),
            lacks: std::mem::replace(&mut self.lacks, outer.1),
            faults: std::mem::replace(&mut self.exclusive, outer.2),
        };
        self.undoing = undoing;
        self.underway.pop();
        self.defined.insert(name.text.clone(), defined.clone());
        Some(defined)
    }

    fn steps(&mut self, steps: Vec<plan::Step>, names: &mut Names) -> Vec<Step> {
        steps.into_iter().filter_map(|s| self.step(s, names)).collect()
    }

    fn step(&mut self, step: plan::Step, names: &mut Names) -> Option<Step> {
        let mut needs: Vec<String> = vec![];
        if let Some(e) = &step.condition {
            self.reads(e.reads(), names);
        }
        let outer = names.depth();
        let mut keys: Option<Vec<String>> = None;
        if let Some((foreach, span)) = &step.foreach {
            let item = match foreach {
                Foreach::List(tree) => {
                    let reads = tree.reads();
                    need(&mut needs, &reads);
                    if let crate::expr::Tree::List(items) = tree
                        && items.is_empty()
                        && !self.undoing
                    {
                        self.problems.push(Diagnostic::error(
                            "empty-foreach",
                            span,
                            "a `foreach` over nothing proves nothing",
                        ));
                    }
                    let shapes: Vec<Shape> = reads.iter().map(|r| names.check(r, &mut self.problems)).collect();
                    match (tree, &shapes[..]) {
                        (crate::expr::Tree::Template(_), [Shape::List(inner)]) => (**inner).clone(),
                        _ => Shape::Any,
                    }
                }
                Foreach::Map(entries) => {
                    entries.iter().for_each(|(_, t)| {
                        need(&mut needs, &t.reads());
                        self.reads(&t.reads(), names);
                    });
                    if entries.is_empty() && !self.undoing {
                        self.problems.push(Diagnostic::error(
                            "empty-foreach",
                            span,
                            "a `foreach` over nothing proves nothing",
                        ));
                    }
                    keys = Some(entries.iter().map(|(k, _)| k.clone()).collect());
                    Shape::Any
                }
            };
            self.note_vars(&foreach_reads(foreach));
            names.built_in("item", item);
        }
        let place = step.span.place();
        let (act, what, shape, reads) = self.act(step.verb, step.target.as_ref(), names)?;
        need(&mut needs, &reads);
        for t in [&step.eventually, &step.always, &step.timeout].into_iter().flatten() {
            let reads: Vec<Read> = t.0.reads().cloned().collect();
            need(&mut needs, &reads);
            self.reads(&reads, names);
        }
        // `item` is there whenever it is performed
        needs.retain(|n| n != "item" || step.foreach.is_none());

        // what asks and saves sees the fields of the output as names
        let inner = names.depth();
        let fields = match (&act, &shape) {
            (Act::Nothing, _) => None,
            (_, Shape::Fields(fields)) => {
                fields.iter().for_each(|(f, s)| names.built_in(f, s.clone()));
                Some(fields.iter().map(|(f, _)| f.clone()).collect::<Vec<_>>())
            }
            _ => Some(vec!["at".into(), "took".into()]),
        };
        let open = matches!((&act, &shape), (Act::Use { .. } | Act::Perform { .. }, Shape::Any));
        let broken = matches!(&act, Act::Perform { verb: "", .. });
        if open {
            names.built_in("at", Shape::Any);
            names.built_in("took", Shape::Any);
        }
        let said = self.problems.0.len();
        let asked = if open {
            // what it gives is known only when it runs
            let mut inside = Asks::default();
            inside.checks.extend(step.asks.checks.iter().cloned());
            let mut asked = self.asks(&inside, None, names);
            if let Some(p) = &step.asks.picture {
                need(&mut asked, &p.reads());
                self.reads(&p.reads(), names);
            }
            asked
        } else {
            self.asks(&step.asks, fields.as_deref(), names)
        };
        // what it asks for by name must be bound before it can be judged; the fields of its own output will be
        let own = |n: &String| fields.as_ref().is_some_and(|f| f.contains(n));
        need_names(&mut needs, &asked.into_iter().filter(|n| !own(n)).collect::<Vec<_>>());
        if let Some(e) = &step.give_up_if {
            self.reads(e.reads(), names);
        }
        for (_, e) in &step.save {
            self.reads(e.reads(), names);
            need_names(&mut needs, &e.reads().iter().map(|r| r.root.clone()).filter(|n| !own(n)).collect::<Vec<_>>());
        }
        if broken {
            self.problems.0.truncate(said);
        }
        needs.retain(|n| n != "item" || step.foreach.is_none());
        names.drop_to(inner);

        if let Act::Perform { action, verb, .. } = &act {
            let looked = !step.asks.is_empty() || !step.save.is_empty() || step.bind.is_some();
            if !looked && action.changes() && !self.undoing {
                let d = Diagnostic::error(
                    "unlooked-answer",
                    &step.span,
                    format!("nobody looks at the answer of this `{verb}`"),
                );
                self.unlooked.push(d.help("add `expect` or `check`, or bind it with `as`"));
            }
        }
        if let (Some(_), Some(k), false) =
            (&step.always, step.asks.is_empty().then_some(&step.span), matches!(act, Act::Nothing))
        {
            self.problems.push(Diagnostic::error(
                "nothing-asked",
                k,
                "`always` needs an `expect` or a `check` that must hold",
            ));
        }
        if step.eventually.is_some() && step.asks.is_empty() && matches!(act, Act::Perform { .. }) {
            self.problems.push(Diagnostic::error(
                "nothing-asked",
                &step.span,
                "`eventually` needs an `expect` or a `check` to wait for",
            ));
        }

        // the undo sees what was known before, and what the act itself binds
        let undo = if step.undo.is_empty() {
            vec![]
        } else {
            let depth = names.depth();
            let late: Vec<String> =
                step.save.iter().map(|(n, _)| n.text.clone()).chain(step.bind.iter().map(|b| b.text.clone())).collect();
            late.iter().for_each(|n| names.built_in(n, Shape::Any));
            let before = std::mem::replace(&mut self.undoing, true);
            let steps = self.steps(step.undo, names);
            self.undoing = before;
            names.drop_to(depth);
            let reads: Vec<&String> = steps.iter().flat_map(|s| &s.needs).collect();
            // a variable is the same for everything that is made
            let early = reads.iter().any(|n| !late.contains(n) && !self.vars.iter().any(|(v, _)| v.text == **n));
            if !early && reads.iter().any(|n| late.contains(n)) {
                let d = Diagnostic::warning(
                    "undo-needs-answer",
                    &step.span,
                    "this can only be undone if its answer arrives",
                );
                self.problems.push(
                    d.help("undo by something that is known before the act, for example a name that the plan chose"),
                );
            }
            steps
        };
        names.drop_to(outer);

        // what is bound afterwards
        let many = |s: Shape| match (&step.foreach, &keys) {
            (None, _) => s,
            (Some(_), Some(keys)) => Shape::Fields(keys.iter().map(|k| (k.clone(), s.clone())).collect()),
            (Some(_), None) => Shape::List(Box::new(s)),
        };
        let parallel = matches!(act, Act::Parallel { .. });
        for (n, _) in &step.save {
            names.bind(&n.text, if parallel { Shape::Any } else { many(Shape::Any) }, &n.span, &mut self.problems);
        }
        if let Some(n) = &step.bind {
            if matches!(act, Act::Nothing) {
                self.problems.push(Diagnostic::error(
                    "needs-verb",
                    &n.span,
                    "`as` needs a verb beside it; to name a value use `save`",
                ));
            }
            names.bind(&n.text, if parallel { shape } else { many(shape) }, &n.span, &mut self.problems);
        }
        Some(Step {
            place,
            what,
            act,
            bind: step.bind.map(|n| n.text),
            save: step.save.into_iter().map(|(n, e)| (n.text, e)).collect(),
            asks: step.asks,
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

    fn act(
        &mut self,
        verb: Verb,
        target: Option<&Named>,
        names: &mut Names,
    ) -> Option<(Act, String, Shape, Vec<Read>)> {
        Some(match verb {
            Verb::None => (Act::Nothing, "check".into(), Shape::Any, vec![]),
            // what is wrong has been said; the names that it would bind count as bound
            Verb::Broken => {
                (Act::Perform { action: Arc::new(Broken), verb: "", target: None }, String::new(), Shape::Any, vec![])
            }
            Verb::Executor { name, body } => {
                let executor = self.registry.get(&name.text)?;
                let mut reads = vec![];
                let mut problems = Diagnostics::default();
                let compiled = executor.compile(&mut Body { node: &body, reads: &mut reads, problems: &mut problems });
                let failed = problems.errors() > 0;
                self.problems.extend(problems);
                self.reads(&reads, names);
                let Some(action) = compiled.filter(|_| !failed).map(Arc::<dyn crate::executor::Action>::from) else {
                    // what is wrong has been said; the names that it would bind still count as bound
                    return Some((
                        Act::Perform { action: Arc::new(Broken), verb: "", target: None },
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
                let what = format!("{} {}", executor.verb(), action.summary());
                (Act::Perform { action, verb: executor.verb(), target: chosen }, what, shape, reads)
            }
            Verb::Use { action, inputs } => {
                self.used_actions.insert(action.text.clone());
                let mut reads = vec![];
                for (_, tree) in &inputs {
                    reads.extend(tree.reads());
                }
                self.reads(&reads, names);
                let known = self.sources.contains_key(&action.text)
                    || self.defined.contains_key(&action.text)
                    || self.underway.contains(&action.text);
                if !known {
                    let d = Diagnostic::error(
                        "unknown-action",
                        &action.span,
                        format!("there is no action `{}`", action.text),
                    );
                    let all: Vec<String> = self.sources.keys().chain(self.defined.keys()).cloned().collect();
                    self.problems.push(d.meant(&action.text, all.iter().map(String::as_str)));
                    return None;
                }
                let defined = self.define(&action)?;
                self.lacks.extend(defined.lacks.iter().cloned());
                self.exclusive |= defined.faults;
                if !self.undoing {
                    self.unlooked.extend(defined.unlooked.iter().cloned());
                }
                let declared = &defined.definition.inputs;
                for (n, _) in &inputs {
                    if !declared.iter().any(|(d, _)| *d == n.text) {
                        let d = Diagnostic::error(
                            "unknown-input",
                            &n.span,
                            format!("`{}` has no input `{}`", action.text, n.text),
                        );
                        self.problems.push(d.meant(&n.text, declared.iter().map(|(d, _)| d.as_str())));
                    }
                }
                for (d, default) in declared {
                    if default.is_none() && !inputs.iter().any(|(n, _)| n.text == *d) {
                        let p = Diagnostic::error(
                            "missing-input",
                            &action.span,
                            format!("`{}` needs the input `{d}`", action.text),
                        );
                        self.problems.push(p);
                    }
                }
                let what = format!("use {}", action.text);
                let inputs = inputs.into_iter().map(|(n, t)| (n.text, t)).collect();
                (Act::Use { definition: defined.definition, inputs }, what, defined.shape, reads)
            }
            Verb::Parallel { branches, overlap, .. } => {
                let depth = names.depth();
                let mut all = vec![];
                for branch in branches {
                    // a branch's answers are looked at through `branches`
                    let before = self.unlooked.len();
                    all.push(self.steps(branch, names));
                    self.unlooked.truncate(before);
                    names.drop_to(depth);
                }
                let what = format!("parallel, {} branch{}", all.len(), if all.len() == 1 { "" } else { "es" });
                let reads = vec![];
                let shape =
                    Shape::Fields(with_times(vec![("branches".into(), Shape::Any), ("overlap".into(), Shape::Any)]));
                (Act::Parallel { branches: all, overlap }, what, shape, reads)
            }
            Verb::Fault { breaks, name } => {
                self.exclusive = true;
                if let Some(e) = self.environment
                    && !e.faults.iter().any(|(n, _)| n.text == name.text)
                {
                    self.lacks.push(format!("the environment `{}` has no fault `{}`", e.name, name.text));
                }
                let what = format!("fault {} {}", if breaks { "break" } else { "heal" }, name.text);
                (
                    Act::Fault { breaks, name: name.text },
                    what,
                    Shape::Fields(with_times(vec![("refused".into(), Shape::Any)])),
                    vec![],
                )
            }
        })
    }

    /// The target that a verb acts on: the one named, or the first of its kind.
    fn target(&mut self, verb: &str, named: Option<&Named>) -> Option<String> {
        let e = self.environment?;
        let of_verb = |node: &crate::yaml::Node| node.get(verb).is_some();
        match named {
            Some(n) => match e.targets.iter().find(|(t, _)| t.text == n.text) {
                Some((_, node)) if of_verb(node) => Some(n.text.clone()),
                Some(_) => {
                    let d = Diagnostic::error(
                        "wrong-target",
                        &n.span,
                        format!("`{}` is no target for `{verb}` in the environment `{}`", n.text, e.name),
                    );
                    self.problems.push(d);
                    None
                }
                None => {
                    self.lacks.push(format!("the environment `{}` has no target `{}`", e.name, n.text));
                    None
                }
            },
            None => {
                let found = e.targets.iter().find(|(_, node)| of_verb(node)).map(|(t, _)| t.text.clone());
                if found.is_none() {
                    self.lacks.push(format!("the environment `{}` has no target for `{verb}`", e.name));
                }
                found
            }
        }
    }

    /// Checks what is asked against the names in scope; with `fields`, the picture is of an output that has those.
    fn asks(&mut self, asks: &Asks, fields: Option<&[String]>, names: &Names) -> Vec<String> {
        let mut needs = vec![];
        if let Some(p) = &asks.picture {
            let reads = p.reads();
            need(&mut needs, &reads);
            self.reads(&reads, names);
            match (&p.shape, fields) {
                (picture::Shape::Map(entries), _) => {
                    for (key, inner) in entries {
                        let Some(name) = key.as_literal() else { continue };
                        match fields {
                            Some(known) => {
                                names.touch(name);
                                if !known.iter().any(|k| k == name) && !known.is_empty() {
                                    self.unknown_output(name, inner, known);
                                }
                            }
                            None => {
                                let span = key_span(inner, name);
                                let read = Read { root: name.to_string(), path: vec![], span };
                                if !names.has(name) {
                                    names.check(&read, &mut self.problems);
                                } else {
                                    names.touch(name);
                                    self.used_vars.insert(name.to_string());
                                    self.picture_fields(name, inner, names);
                                }
                                need_names(&mut needs, &[name.to_string()]);
                            }
                        }
                    }
                }
                (_, None) => {
                    let d =
                        Diagnostic::error("wrong-type", &p.span, "without a verb, `expect` is a map of names in scope");
                    self.problems.push(d);
                }
                _ => {}
            }
        }
        for (e, _) in &asks.checks {
            need(&mut needs, e.reads());
            self.reads(e.reads(), names);
        }
        needs
    }

    /// `expect: { batch: { stauts: 200 } }`: the fields one level down, where they are known.
    fn picture_fields(&mut self, name: &str, inner: &Picture, names: &Names) {
        let picture::Shape::Map(entries) = &inner.shape else { return };
        let read = Read { root: name.to_string(), path: vec![], span: inner.span.clone() };
        if let Shape::Fields(fields) = names.check(&read, &mut Diagnostics::default()) {
            let known: Vec<String> = fields.into_iter().map(|(f, _)| f).collect();
            for (key, p) in entries {
                if let Some(k) = key.as_literal()
                    && !known.iter().any(|f| f == k)
                {
                    self.unknown_output(k, p, &known);
                }
            }
        }
    }

    fn unknown_output(&mut self, name: &str, inner: &Picture, known: &[String]) {
        let d = Diagnostic::error(
            "unknown-field",
            &key_span(inner, name),
            format!("there is no field `{name}` in this output"),
        );
        self.problems.push(d.meant(name, known.iter().map(String::as_str)));
    }

    fn reads<'r>(&mut self, reads: impl IntoIterator<Item = &'r Read>, names: &Names) {
        for r in reads {
            names.check(r, &mut self.problems);
            self.used_vars.insert(r.root.clone());
        }
    }

    fn note_vars(&mut self, reads: &[Read]) {
        self.used_vars.extend(reads.iter().map(|r| r.root.clone()));
    }

    fn add_vars(&self, names: &mut Names) {
        self.vars.iter().for_each(|(n, s)| names.built_in(&n.text, s.clone()));
    }

    /// The environment's targets, each read by its executor.
    fn targets(&mut self) -> Vec<Target> {
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
    fn settle(&mut self, environment: Environment, schedule: &mut Schedule) {
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
        schedule.setup = setup;
        schedule.faults = faults;
        schedule.secrets = environment.secrets.into_iter().map(|(n, t)| (n.text, t)).collect();
    }

    /// The steps of an environment: their targets are named, or the first of the verb, and resolved afterwards.
    fn setup_steps(&mut self, steps: Vec<plan::Step>, names: &mut Names) -> Vec<Step> {
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

/// Stands for an action whose body was wrong.
struct Broken;

#[async_trait::async_trait]
impl crate::executor::Action for Broken {
    fn fields(&self) -> &'static [&'static str] {
        &[]
    }
    fn summary(&self) -> String {
        String::new()
    }
    fn changes(&self) -> bool {
        false
    }
    async fn perform(
        &self,
        _: &crate::executor::StepContext<'_>,
    ) -> Result<crate::executor::Output, crate::executor::StepError> {
        Err(crate::executor::StepError::Invalid("the action was never read".into()))
    }
}

fn base_names() -> Names {
    let mut names = Names::default();
    names.built_in("run", Shape::fields(&["id", "started"]));
    names
}

fn environment_names(e: &Environment) -> Names {
    let mut names = base_names();
    names.built_in("env", Shape::Any);
    e.secrets.iter().chain(&e.vars).for_each(|(n, _)| names.built_in(&n.text, Shape::Any));
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

fn need(needs: &mut Vec<String>, reads: &[Read]) {
    need_names(needs, &reads.iter().map(|r| r.root.clone()).collect::<Vec<_>>());
}

fn need_names(needs: &mut Vec<String>, names: &[String]) {
    for n in names {
        if !needs.contains(n) {
            needs.push(n.clone());
        }
    }
}

fn foreach_reads(f: &Foreach) -> Vec<Read> {
    match f {
        Foreach::List(t) => t.reads(),
        Foreach::Map(entries) => entries.iter().flat_map(|(_, t)| t.reads()).collect(),
    }
}

/// A picture knows where its value stands; the key stands just before it.
fn key_span(inner: &Picture, name: &str) -> crate::source::Span {
    let text = &inner.span.source.text;
    let before = &text[..text.floor_char_boundary(inner.span.range.start)];
    match before.rfind(name) {
        Some(i)
            if before[i + name.len()..].trim_matches(['"', '\'', ':', ' ', '\n', '\r', '{', '-', '[']).is_empty() =>
        {
            inner.span.with(i..i + name.len())
        }
        _ => inner.span.clone(),
    }
}
