//! `list`: the cases with tier, priority, and the verbs and faults they use.
use super::{args, exit, failure::Failure, files, plans, print};
use crate::{
    engine::schedule::{ActionKind, ScheduledAction},
    executors,
};
use std::collections::BTreeSet;

pub fn command(args: args::List) -> Result<u8, Failure> {
    let registry = executors::registry();
    let mut listed = 0;
    let access = args::EnvArgs { allow_path: args.allow_path.clone(), ..args::EnvArgs::default() };
    let files = files::plans(&args.plans)?;
    let is_selected = plans::selector(&args.selection, &files, &registry)?;
    for file in files {
        let schedule = plans::read(&file, &access, &registry).compile(None, &[], &is_selected)?;
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_header(["case", "title", "tier", "priority", "needs"]);
        for case in &schedule.cases {
            let outline = schedule.outline.iter().find(|o| o.id == case.id);
            let mut needs = BTreeSet::new();
            case.sentences.iter().for_each(|s| collect_needs(&s.actions, &mut needs));
            table.add_row([
                case.id.clone(),
                outline.map(|o| o.title.clone()).unwrap_or_default(),
                case.tier.as_str().into(),
                outline.and_then(|o| o.priority.clone()).unwrap_or_default(),
                needs.into_iter().collect::<Vec<_>>().join(", "),
            ]);
            listed += 1;
        }
        let title = Some(&schedule.plan.title).filter(|title| !title.is_empty());
        let title = title.map(|title| format!(": {title}")).unwrap_or_default();
        print::out(format_args!("{}{title}\n{table}\n", schedule.plan.id));
    }
    if listed == 0 {
        return Err(Failure::nothing_selected());
    }
    Ok(exit::SUCCESS)
}

fn collect_needs(actions: &[ScheduledAction], needs: &mut BTreeSet<String>) {
    for action in actions {
        match &action.kind {
            ActionKind::Perform { verb, .. } => {
                needs.insert(verb.to_string());
            }
            ActionKind::Use { definition, .. } => collect_needs(&definition.actions, needs),
            ActionKind::Parallel { branches, .. } => branches.iter().for_each(|b| collect_needs(b, needs)),
            ActionKind::Fault { name, .. } => {
                needs.insert(format!("fault {name}"));
            }
            ActionKind::EveryObservation { .. } | ActionKind::Nothing => {}
        }
        collect_needs(&action.undo, needs);
    }
}
