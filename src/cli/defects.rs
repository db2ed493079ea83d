//! `--defect`: the names of the sandbox's switches, beside the sentences of TP-004 that each breaks.
use super::{Failure, files, plans};
use crate::{executors, sandbox::defect::Defect};
use std::fmt::Write as _;

/// Whose sentences are listed.
const PLAN: &str = "TP-004";

/// Whether somebody asks which there are. Fails where one is named that there is not.
pub fn asked_for_help(names: &[String]) -> Result<bool, Failure> {
    if names.iter().any(|n| n == "help") {
        return Ok(true);
    }
    for name in names {
        if let Err(e) = name.parse::<Defect>() {
            let near = crate::diagnostic::nearest(name, Defect::ALL.iter().map(|d| d.name()));
            let meant = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            return Err(Failure::usage(format!("error: {e}{meant}\nhelp: `--defect help` lists them")));
        }
    }
    Ok(false)
}

/// Each with what the platform then does, and what of the plan that breaks.
pub fn help() -> Result<String, Failure> {
    let registry = executors::registry();
    let found = files::plans(&[PLAN.into()])?.remove(0);
    let schedule = plans::read(&found, &registry).compile(&registry, None, &[], &|_| true, false)?;
    let mut out = String::new();
    for defect in Defect::ALL {
        let _ = writeln!(out, "{}\n    {} ({})", defect.name(), defect.line(), defect.kind());
        for at in schedule.breaks.iter().filter(|b| b.defect == defect.name()).flat_map(|b| &b.sentences) {
            let sentences = schedule.outline.iter().flat_map(|c| &c.sentences);
            if let Some(sentence) = sentences.clone().find(|s| s.address == *at) {
                let text = sentence.text.split_whitespace().collect::<Vec<_>>().join(" ");
                let _ = writeln!(out, "    breaks {}: {text}", at.case());
            }
        }
    }
    Ok(out)
}
