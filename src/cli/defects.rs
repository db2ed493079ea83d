//! `--defect`: the names of the sandbox's defects, and the sentences of TP-004 that each one breaks.
use super::{args::EnvArgs, failure::Failure, files, plans};
use crate::executors;
use std::fmt::Write as _;
use tp_runner_sandbox::defect::Defect;

/// The plan whose sentences are listed.
const PLAN: &str = "TP-004";

/// Whether `--defect help` was given. Fails on an unknown name.
pub fn is_help_requested(names: &[String]) -> Result<bool, Failure> {
    if names.iter().any(|n| n == "help") {
        return Ok(true);
    }
    for name in names {
        if let Err(e) = name.parse::<Defect>() {
            let nearest = crate::diagnostic::nearest(name, Defect::ALL.iter().map(|d| d.name()));
            let hint = nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            return Err(Failure::usage(format!("error: {e}{hint}\nhelp: `--defect help` lists all names")));
        }
    }
    Ok(false)
}

/// Lists every defect: what the sandbox does wrong, and the sentences of the plan that fail because of it.
pub fn help() -> Result<String, Failure> {
    let registry = executors::registry();
    let file = files::plans(&[PLAN.into()])?.remove(0);
    let schedule = plans::read(&file, &EnvArgs::default(), &registry).compile(None, &[], &|_| true)?;
    let mut out = String::new();
    for defect in Defect::ALL {
        let _ = writeln!(out, "{}\n    {} ({})", defect.name(), defect.description(), defect.kind());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Part;
    use std::collections::BTreeSet;

    /// At least two defects of different kinds break each expected result and each verifying step;
    /// every defect breaks something.
    #[test]
    fn two_kinds_of_defects_break_every_expected_result() {
        let registry = executors::registry();
        let file = files::plans(&[PLAN.into()]).unwrap_or_else(|e| panic!("{}", e.message)).remove(0);
        let schedule = plans::read(&file, &EnvArgs::default(), &registry).compile(None, &[], &|_| true);
        let schedule = schedule.unwrap_or_else(|e| panic!("{}", e.message));
        let broken_by = |defect: &Defect| schedule.breaks.iter().find(|b| b.defect == defect.name());
        let harmless: Vec<&str> = Defect::ALL
            .iter()
            .filter(|d| broken_by(d).is_none_or(|b| b.sentences.is_empty()))
            .map(|d| d.name())
            .collect();
        assert!(harmless.is_empty(), "these defects break nothing: {harmless:?}");
        let mut uncovered = vec![];
        let verifies = |text: &str| ["Verify", "Check", "Wait for"].iter().any(|word| text.starts_with(word));
        for sentence in schedule.outline.iter().flat_map(|c| &c.sentences) {
            if sentence.part != Part::Expected && !verifies(&sentence.text) {
                continue;
            }
            let breaking =
                Defect::ALL.iter().filter(|d| broken_by(d).is_some_and(|b| b.sentences.contains(&sentence.address)));
            let kinds: BTreeSet<String> = breaking.clone().map(|d| d.kind().to_string()).collect();
            if breaking.count() < 2 || kinds.len() < 2 {
                uncovered.push(format!("{} {}: {kinds:?}", sentence.address, sentence.text));
            }
        }
        assert!(uncovered.is_empty(), "{}", uncovered.join("\n"));
    }
}
