//! `--defect`: the names of the sandbox's switches, beside the sentences of TP-004 that each breaks.
use super::{failure::Failure, files, plans};
use crate::executors;
use std::fmt::Write as _;
use tp_runner_sandbox::defect::Defect;

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

    /// What the plan expects and what it verifies can each go wrong in two ways at least, and of no defect it is unknown what it breaks.
    #[test]
    fn everything_expected_is_broken_in_two_different_ways() {
        let registry = executors::registry();
        let found = files::plans(&[PLAN.into()]).unwrap_or_else(|e| panic!("{}", e.message)).remove(0);
        let schedule = plans::read(&found, &registry).compile(&registry, None, &[], &|_| true, false);
        let schedule = schedule.unwrap_or_else(|e| panic!("{}", e.message));
        let broken_by = |defect: &Defect| schedule.breaks.iter().find(|b| b.defect == defect.name());
        let idle: Vec<&str> = Defect::ALL
            .iter()
            .filter(|d| broken_by(d).is_none_or(|b| b.sentences.is_empty()))
            .map(|d| d.name())
            .collect();
        assert!(idle.is_empty(), "these break nothing: {idle:?}");
        let mut poor = vec![];
        let asked = |text: &str| ["Verify", "Check", "Wait for"].iter().any(|word| text.starts_with(word));
        for sentence in schedule.outline.iter().flat_map(|c| &c.sentences) {
            if sentence.part != Part::Expected && !asked(&sentence.text) {
                continue;
            }
            let own =
                Defect::ALL.iter().filter(|d| broken_by(d).is_some_and(|b| b.sentences.contains(&sentence.address)));
            let kinds: BTreeSet<String> = own.clone().map(|d| d.kind().to_string()).collect();
            if own.count() < 2 || kinds.len() < 2 {
                poor.push(format!("{} {}: {kinds:?}", sentence.address, sentence.text));
            }
        }
        assert!(poor.is_empty(), "{}", poor.join("\n"));
    }
}
