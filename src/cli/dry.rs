//! `run --dry-run`: what would be sent, and nothing is.
use crate::engine::schedule::{ActionKind, Schedule, ScheduledAction};

pub fn print(schedule: &Schedule) {
    anstream::println!("{}: {} (nothing is performed)", schedule.plan.id, schedule.plan.title);
    for case in &schedule.cases {
        let outline = schedule.outline.iter().find(|o| o.id == case.id);
        anstream::println!("\n{}: {}  [{}]", case.id, outline.map(|o| o.title.as_str()).unwrap_or_default(), case.tier);
        for sentence in &case.sentences {
            let text =
                outline.and_then(|o| o.sentences.iter().find(|s| s.address == sentence.address)).map(|s| s.text.trim());
            anstream::println!("  {}", text.unwrap_or_default().lines().next().unwrap_or_default());
            print_steps(&sentence.steps, 2);
        }
    }
}

/// Actions of the plan are opened: what they send is what counts.
fn print_steps(steps: &[ScheduledAction], depth: usize) {
    for step in steps {
        if matches!(step.act, ActionKind::Nothing) {
            continue;
        }
        let each = if step.foreach.is_some() { " (for each)" } else { "" };
        anstream::println!("{}- {}{each}", "  ".repeat(depth), step.what);
        match &step.act {
            ActionKind::Parallel { branches, .. } => branches.iter().for_each(|b| print_steps(b, depth + 1)),
            ActionKind::Use { definition, .. } => print_steps(&definition.steps, depth + 1),
            _ => {}
        }
        for undo in step.undo.iter() {
            anstream::println!("{}  (undo: {})", "  ".repeat(depth), undo.what);
        }
    }
}
