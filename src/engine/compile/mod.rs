//! Compiles a plan for an environment into a schedule, or reports every problem in both.
mod action;
mod assertions;
mod at_end;
mod compiler;
mod environment;
mod inputs;
mod placeholders;
mod plan;
mod prove;
mod verb;
mod weak;

use super::schedule::Schedule;
use crate::{
    diagnostic::Diagnostics,
    executor::Registry,
    expr::{Scope, Tree},
    plan::{Case, Environment, Plan},
};
use compiler::Compiler;
pub use weak::weak_secrets;

/// Problems of a plan that do not count for one action that is tried.
const OF_ASSERTIONS: &[&str] = &["unchecked-response", "missing-assertion", "unused-name"];

/// A value that replaces a variable of the plan.
pub struct SetValue {
    pub tree: Tree,
    /// For a variable whose default is a text: the value as it was written.
    pub text: Option<Tree>,
}

/// `selected` says which cases to schedule; `set` replaces variables of the plan.
pub fn compile(
    plan: Plan,
    registry: &Registry,
    environment: Option<Environment>,
    set: Vec<(String, SetValue)>,
    selected: &dyn Fn(&Case) -> bool,
) -> (Option<Schedule>, Diagnostics) {
    let (mut weak, mut ordinary) = (Diagnostics::default(), vec![]);
    if let Some(environment) = &environment {
        ordinary = weak::ordinary_texts(&plan, environment);
        weak = weak_secrets(&plan, environment, &Scope::default());
    }
    let mut c = Compiler::new(registry, environment.as_ref());
    let targets = c.targets();
    c.addresses = targets.iter().map(|t| t.spec.address(&Scope::default())).collect();
    let is_tried = plan.is_tried;
    let mut schedule = c.plan(plan, set, selected);
    schedule.ordinary = ordinary;
    schedule.targets = targets;
    let mut problems = std::mem::take(&mut c.problems);
    if let Some(environment) = &environment {
        let mut c = Compiler { undoing: true, of_environment: true, ..Compiler::new(registry, Some(environment)) };
        c.compile_environment(environment, &mut schedule);
        problems.extend(c.problems);
        // a setting without its value is reported once
        problems.0.retain(|d| !environment.unset.0.iter().any(|u| d.span.contains(&u.span)));
        problems.extend(environment.unset.clone());
    }
    problems.extend(weak);
    problems.0.retain(|d| !is_tried || !OF_ASSERTIONS.contains(&d.code));
    problems.sort();
    (if problems.errors() == 0 { Some(schedule) } else { None }, problems)
}
