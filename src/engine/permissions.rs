//! The permissions that a schedule needs of its targets, collected before the run.
use super::schedule::{ActionDefinition, ActionKind, Fault, Schedule, ScheduledAction};
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
    let sentences = schedule.cases.iter().flat_map(|c| &c.sentences).map(|s| &s.actions);
    let faults = schedule.faults.iter().flat_map(|(_, fault)| match fault {
        Fault::Actions { cut, heal, probe, .. } => vec![cut, heal, probe],
        Fault::Relay { .. } => vec![],
    });
    let environment = [&schedule.setup, &schedule.teardown, &schedule.on_failure];
    let mut permissions = Permissions::new();
    let versions = schedule.version_actions.iter().map(|(_, actions)| actions);
    let all = environment.into_iter().chain(versions).chain(sentences).chain(faults);
    all.for_each(|actions| gather(actions, known, known, &mut permissions));
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
            ActionKind::Perform { target: None, .. }
            | ActionKind::Fault { .. }
            | ActionKind::EveryObservation { .. }
            | ActionKind::Nothing => {}
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
