//! The permissions that a schedule needs of its targets, collected before the run.
use super::schedule::{ActionDefinition, ActionKind, Case, Fault, Schedule, ScheduledAction};
use crate::{
    executor::Permission,
    expr::{Scope, Tree},
    value::Value,
};
use std::collections::BTreeSet;

/// Name of the target, and the need.
pub type Permissions = BTreeSet<(String, Permission)>;

/// The permissions of all actions: cases, setup, teardown, `on_failure` and faults. `known` holds the names that are
/// bound before the run.
pub fn of(schedule: &Schedule, known: &Scope) -> Permissions {
    let mut permissions = Permissions::new();
    for steps in [&schedule.setup, &schedule.teardown, &schedule.on_failure] {
        gather(steps, known, known, &mut permissions);
    }
    schedule.cases.iter().for_each(|c| permissions.extend(of_case(c, known)));
    for (_, fault) in &schedule.faults {
        if let Fault::Actions { cut, heal, .. } = fault {
            [cut, heal].into_iter().for_each(|steps| gather(steps, known, known, &mut permissions));
        }
    }
    permissions
}

pub fn of_case(case: &Case, known: &Scope) -> Permissions {
    let mut permissions = Permissions::new();
    case.sentences.iter().for_each(|s| gather(&s.actions, known, known, &mut permissions));
    permissions
}

fn gather(steps: &[ScheduledAction], base: &Scope, scope: &Scope, permissions: &mut Permissions) {
    for step in steps {
        match &step.kind {
            ActionKind::Perform { action, target: Some(target), .. } => {
                permissions.extend(action.permissions(scope).into_iter().map(|n| (target.clone(), n)));
            }
            ActionKind::Use { definition, inputs } => {
                let inner = base.with("inputs", known_of(definition, inputs, scope));
                gather(&definition.actions, base, &inner, permissions);
            }
            ActionKind::Parallel { branches, .. } => branches.iter().for_each(|b| gather(b, base, scope, permissions)),
            ActionKind::Perform { target: None, .. } | ActionKind::Fault { .. } | ActionKind::Nothing => {}
        }
        gather(&step.undo, base, scope, permissions);
    }
}

/// The inputs that can be rendered already.
fn known_of(definition: &ActionDefinition, inputs: &[(String, Tree)], scope: &Scope) -> Value {
    let given = |name: &str| inputs.iter().find(|(n, _)| n == name).map(|(_, t)| t);
    let all = definition.inputs.iter().filter_map(|(name, default)| {
        let tree = given(name).or(default.as_ref())?;
        Some((name.clone(), tree.render(scope).ok()?))
    });
    Value::map(all)
}
