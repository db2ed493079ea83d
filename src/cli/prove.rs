//! `prove`: could this plan fail? From arguments to a page, a report and an exit code.
use super::{
    Failure,
    args::{self, Verbosity},
    exit, files, plans, report,
};
use crate::{
    engine::replay::Record,
    executors,
    prove::{self, Fate},
    report::jsonl,
};
use std::sync::Arc;

pub fn command(args: args::Prove, verbosity: Verbosity) -> Result<u8, Failure> {
    let path = report::find(&args.run)?;
    let events =
        jsonl::read(&path).map_err(|e| Failure::usage(format!("error: `{}` cannot be read: {e}", path.display())))?;
    let record = Record::of(&events)
        .ok_or_else(|| Failure::usage(format!("error: in `{}` no run begins", path.display())))?;
    drop(events);
    let registry = executors::registry();
    let named = args.plan.clone().unwrap_or_else(|| record.started.plan.file.clone());
    let found = files::plans(&[named])?.remove(0);
    let draft = plans::read(&found, &registry);
    let schedule = draft.compile(&registry, None, &[], &|_| true, verbosity.colour())?;
    let proof = prove::prove(Arc::new(schedule), Arc::new(record)).map_err(|e| Failure::usage(format!("error: {e}")))?;
    for leaf in proof.survivors() {
        println!("{:?} {} {}", leaf.fate, leaf.place, leaf.text);
    }
    for leaf in &proof.leaves { if let Fate::Killed{by,times}=&leaf.fate { eprintln!("{times} {} {} <- {by}", leaf.place, leaf.text); } }
    println!("{} leaves, {} killed, {} mutants in {:?}, guards {}", proof.leaves.len(), proof.killed(), proof.mutants, proof.took, proof.guards.count());
    Ok(exit::GREEN)
}
