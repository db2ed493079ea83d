//! `list`: the cases with tier and priority, and what they need.
use super::{args, exit, failure::Failure, files, plans};
use crate::{
    engine::schedule::{ActionKind, ScheduledAction},
    executors,
};
use std::collections::BTreeSet;

pub fn command(args: args::List) -> Result<u8, Failure> {
    let registry = executors::registry();
    let mut shown = 0;
    for found in files::plans(&args.plans)? {
        let selected = plans::selector(&args.selection)?;
        let schedule = plans::read(&found, &registry).compile(&registry, None, &[], &selected, false)?;
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_header(["case", "title", "tier", "priority", "needs"]);
        for case in &schedule.cases {
            let outline = schedule.outline.iter().find(|o| o.id == case.id);
            let mut needs = BTreeSet::new();
            case.sentences.iter().for_each(|s| gather(&s.steps, &mut needs));
            table.add_row([
                case.id.clone(),
                outline.map(|o| o.title.clone()).unwrap_or_default(),
                case.tier.word().into(),
                outline.and_then(|o| o.priority.clone()).unwrap_or_default(),
                needs.into_iter().collect::<Vec<_>>().join(", "),
            ]);
            shown += 1;
        }
        anstream::println!("{}: {}\n{table}", schedule.plan.id, schedule.plan.title);
    }
    if shown == 0 {
        return Err(Failure { message: "error: nothing is selected".into(), code: exit::NOTHING_SELECTED });
    }
    Ok(exit::SUCCESS)
}

fn gather(steps: &[ScheduledAction], needs: &mut BTreeSet<String>) {
    for step in steps {
        match &step.act {
            ActionKind::Perform { verb, .. } => {
                needs.insert(verb.to_string());
            }
            ActionKind::Use { definition, .. } => gather(&definition.steps, needs),
            ActionKind::Parallel { branches, .. } => branches.iter().for_each(|b| gather(b, needs)),
            ActionKind::Fault { name, .. } => {
                needs.insert(format!("fault {name}"));
            }
            ActionKind::Nothing => {}
        }
        gather(&step.undo, needs);
    }
}
