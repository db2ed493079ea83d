//! `run --dry-run`: prints the actions of a plan without executing them.
use super::print;
use crate::engine::schedule::{ActionKind, Schedule, ScheduledAction};

pub fn print(schedule: &Schedule) {
    print::out(format_args!("{}: {} (dry run: nothing is executed)\n", schedule.plan.id, schedule.plan.title));
    for case in &schedule.cases {
        let outline = schedule.outline.iter().find(|o| o.id == case.id);
        print::out(format_args!(
            "\n{}: {}  [{}]\n",
            case.id,
            outline.map(|o| o.title.as_str()).unwrap_or_default(),
            case.tier
        ));
        for sentence in &case.sentences {
            let text =
                outline.and_then(|o| o.sentences.iter().find(|s| s.address == sentence.address)).map(|s| s.text.trim());
            print::out(format_args!("  {}\n", text.unwrap_or_default().lines().next().unwrap_or_default()));
            print_actions(&sentence.actions, 2);
        }
    }
}

/// Prints the actions of `use` and `parallel` nested below them.
fn print_actions(actions: &[ScheduledAction], depth: usize) {
    for action in actions {
        if matches!(action.kind, ActionKind::Nothing) {
            continue;
        }
        let each = if action.foreach.is_some() { " (for each)" } else { "" };
        print::out(format_args!("{}- {}{each}\n", "  ".repeat(depth), action.summary));
        match &action.kind {
            ActionKind::Parallel { branches, .. } => branches.iter().for_each(|b| print_actions(b, depth + 1)),
            ActionKind::Use { definition, .. } => print_actions(&definition.actions, depth + 1),
            _ => {}
        }
        for undo in action.undo.iter() {
            print::out(format_args!("{}  (undo: {})\n", "  ".repeat(depth), undo.summary));
        }
    }
}
