//! The state of a compilation, and what all its parts use: names, references, targets, problems.
use crate::{
    access::AccessRules,
    diagnostic::{Diagnostic, Diagnostics},
    engine::{
        names::{Names, Shape},
        schedule::{ActionDefinition, Needs},
    },
    executor::Registry,
    expr::{Reference, cel::Access},
    plan::{self, Environment, Spanned},
    source::Span,
    value::ValueKind,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

pub(super) struct Compiler<'a> {
    pub registry: &'a Registry,
    /// Without one, only the plan itself is checked.
    pub environment: Option<&'a Environment>,
    pub problems: Diagnostics,
    /// Reusable actions that are not compiled yet.
    pub sources: HashMap<String, Source>,
    pub defined: HashMap<String, Defined>,
    /// Reusable actions that are being compiled, outermost first.
    pub in_progress: Vec<String>,
    /// The plan's variables, for every scope.
    pub vars: Vec<Spanned>,
    pub used_vars: HashSet<String>,
    /// Variables of the process environment.
    pub env_read: BTreeSet<String>,
    pub used_actions: HashSet<String>,
    /// Directly in a step or an expected result, where actions may be performed at the end of the case.
    pub in_sentence: bool,
    /// Inside an `undo`, where an unchecked response is allowed.
    pub undoing: bool,
    /// In an action of the environment, which may use everything.
    pub of_environment: bool,
    /// What the plan may use. Without an environment, it is not known.
    pub plan_rules: AccessRules,
    /// Of the targets, as far as they are known.
    pub addresses: Vec<String>,
    pub effects: Effects,
}

/// A reusable action, written in the plan or overridden by the environment.
pub(super) struct Source {
    pub definition: plan::ActionDefinition,
    pub of_environment: bool,
}

#[derive(Clone)]
pub(super) struct Defined {
    pub definition: Arc<ActionDefinition>,
    pub shape: Shape,
    pub effects: Effects,
}

/// What a case, or a reusable action, inherits from the actions it uses.
#[derive(Clone, Default)]
pub(super) struct Effects {
    pub unchecked_responses: Vec<Diagnostic>,
    /// What a protected environment refuses.
    pub refused: Vec<Diagnostic>,
    /// Changes without an undo, which a protected environment refuses unless they are part of one.
    pub not_undone: Vec<Diagnostic>,
    /// What the environment lacks, a sentence each.
    pub lacks: Vec<String>,
    /// A fault is among the actions.
    pub exclusive: bool,
}

impl<'a> Compiler<'a> {
    pub fn new(registry: &'a Registry, environment: Option<&'a Environment>) -> Self {
        Compiler {
            registry,
            environment,
            problems: Diagnostics::default(),
            sources: HashMap::new(),
            defined: HashMap::new(),
            in_progress: vec![],
            vars: vec![],
            used_vars: HashSet::new(),
            env_read: BTreeSet::new(),
            used_actions: HashSet::new(),
            in_sentence: false,
            undoing: false,
            of_environment: false,
            plan_rules: AccessRules::unlimited(),
            addresses: vec![],
            effects: Effects::default(),
        }
    }

    /// What the action that is compiled may use.
    pub fn rules(&self) -> AccessRules {
        if self.of_environment { AccessRules::unlimited() } else { self.plan_rules.clone() }
    }

    /// Checks references against the names in scope, and marks what they use. Returns the shape of each.
    pub fn check_references<'r>(
        &mut self,
        references: impl IntoIterator<Item = &'r Reference>,
        names: &Names,
    ) -> Vec<Shape> {
        let references: Vec<&Reference> = references.into_iter().collect();
        if let Some(variables) = self.environment.and_then(|e| e.variables.as_ref())
            && names.has("env")
        {
            self.problems.extend(plan::unset_variables(&references, variables));
        }
        let mut shapes = vec![];
        for r in references {
            shapes.push(names.check(r, &mut self.problems));
            self.used_vars.insert(r.root.clone());
            if let ("env", Some(Access::Field(name, _))) = (r.root.as_str(), r.path.first()) {
                self.env_read.insert(name.clone());
            }
        }
        shapes
    }

    /// Checks references, and adds their names to `needs`.
    pub fn require<'r>(
        &mut self,
        references: impl IntoIterator<Item = &'r Reference>,
        names: &Names,
        needs: &mut Needs,
    ) -> Vec<Shape> {
        let references: Vec<&Reference> = references.into_iter().collect();
        needs.extend(references.iter().map(|r| r.root.clone()));
        self.check_references(references, names)
    }

    /// The position of a variable of the plan. Reports one that the plan does not declare.
    pub fn variable(&mut self, name: &str, span: &Span, place: &str) -> Option<usize> {
        let found = self.vars.iter().position(|v| v.text == name);
        if found.is_none() {
            let d = Diagnostic::error("unknown-variable", span, format!("unknown variable `{name}`{place}"));
            self.problems.push(d.suggest(name, self.vars.iter().map(|v| v.text.as_str())));
        }
        found
    }

    pub fn add_vars(&self, names: &mut Names) {
        self.vars.iter().for_each(|v| names.built_in(&v.text, Shape::Any));
    }

    /// The target of a verb: the one that is named, or the environment's first for the verb.
    pub fn target(&mut self, verb: &str, named: Option<&Spanned>) -> Option<String> {
        let e = self.environment?;
        let of_verb = |node: &crate::yaml::Node| node.get(verb).is_some();
        let Some(named) = named else {
            let found = e.targets.iter().find(|(_, node)| of_verb(node)).map(|(t, _)| t.text.clone());
            if found.is_none() {
                self.effects.lacks.push(format!("the environment `{}` has no target for `{verb}`", e.name));
            }
            return found;
        };
        match e.targets.iter().find(|(t, _)| t.text == named.text) {
            Some((_, node)) if of_verb(node) => {}
            Some(_) => {
                let message =
                    format!("expected a target for `{verb}`, found `{}` of environment `{}`", named.text, e.name);
                let d = Diagnostic::error("target-mismatch", &named.span, message);
                self.problems.push(d.help(format!("name a target with settings for `{verb}`")));
            }
            None => self.effects.lacks.push(format!("the environment `{}` has no target `{}`", e.name, named.text)),
        }
        Some(named.text.clone())
    }
}

pub(super) fn base_names() -> Names {
    let mut names = Names::default();
    names.built_in("run", Shape::fields(&["id", "started"]));
    names
}

/// The fields of an output, with `at` and `took`.
pub(super) fn with_times(fields: &[&str], kind: &dyn Fn(&str) -> Option<ValueKind>) -> Vec<(String, Shape)> {
    let own = fields.iter().map(|f| (f.to_string(), kind(f).map_or(Shape::Any, Shape::Of)));
    let times = [("at", ValueKind::Time), ("took", ValueKind::Duration)];
    let times = times.into_iter().filter(|(time, _)| !fields.contains(time));
    own.chain(times.map(|(time, kind)| (time.to_string(), Shape::Of(kind)))).collect()
}

/// The names of an environment before its setup.
pub(super) fn environment_names(e: &Environment) -> Names {
    let mut names = base_names();
    names.built_in("env", Shape::Any);
    let own = e.secrets.iter().map(|(n, _)| n).chain(e.vars.iter().map(|(n, _)| n));
    own.for_each(|n| names.built_in(&n.text, Shape::Any));
    names
}

/// The names of an environment after its setup.
pub(super) fn names_after_setup(e: &Environment) -> Names {
    let mut names = environment_names(e);
    for bound in e.setup.iter().flat_map(|s| s.save.iter().map(|(n, _)| n).chain(&s.bind)) {
        names.built_in(&bound.text, Shape::Any);
    }
    names
}
