//! Writes the full result of mutation testing as Markdown. The caller provides the escaping of foreign text.
use super::{
    baseline::Loss,
    page::list,
    proof::{AssertionOutcome, AssertionProof, Proof},
};
use indexmap::IndexMap;
use std::io::{self, Write};

/// Escapes foreign text for a line of Markdown: as code, or as prose.
pub struct Escape<'a> {
    pub code: &'a dyn Fn(&str) -> String,
    pub words: &'a dyn Fn(&str) -> String,
}

pub fn write(proof: &Proof, escape: &Escape<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Escape { code, words } = escape;
    writeln!(out, "# Mutation testing of {}\n", words(&proof.plan))?;
    writeln!(
        out,
        "{}: run {}, judged again with mutated observations, one mutation at a time.\n",
        words(&proof.title),
        code(&proof.run)
    )?;
    let verdict = match (proof.survivors().next().is_none(), proof.losses.is_empty()) {
        (true, true) => "Every assertion can fail.",
        (true, false) => "Every assertion can fail, but less is detected than the baseline says.",
        (false, _) => "Not every assertion can fail.",
    };
    writeln!(out, "**{verdict}**\n")?;
    writeln!(out, "| | |\n| --- | ---: |")?;
    let count = |f: &dyn Fn(&AssertionOutcome) -> bool| proof.assertions.iter().filter(|a| f(&a.outcome)).count();
    for (name, n) in [
        ("Assertions: checks, and leaves of `expect`", proof.assertions.len()),
        ("Killed: a mutation makes them fail", proof.killed()),
        ("Cannot fail: no mutation does", count(&|o| *o == AssertionOutcome::Survived)),
        (
            "Not replayable: without mutations the result is not the recorded one",
            count(&|o| matches!(o, AssertionOutcome::NotReplayable(_))),
        ),
        ("Not exercised: the run never evaluated them", count(&|o| matches!(o, AssertionOutcome::NotExercised(_)))),
        ("Losses against the baseline", proof.losses.len()),
        ("Detected mutations in the baseline", proof.baseline.count()),
        ("Mutants", proof.mutants),
    ] {
        writeln!(out, "| {name} | {n} |")?;
    }
    writeln!(
        out,
        "\nTook {:.1} s. Left out: {} assertions in an `undo`, and those of an environment's setup.",
        proof.took.as_secs_f64(),
        proof.in_undo
    )?;
    for note in &proof.notes {
        writeln!(out, "\n> {}", words(note))?;
    }
    let survivors: Vec<&AssertionProof> = proof.survivors().collect();
    if !survivors.is_empty() {
        writeln!(out, "\n## Survivors\n")?;
        for assertion in survivors {
            let outcome = &assertion.outcome;
            let why = outcome.reason().map(|w| format!(": {}", words(w))).unwrap_or_default();
            let (location, text) = (code(&assertion.location.to_string()), code(&assertion.text));
            writeln!(out, "- {location} {text} ({}{why})", outcome.label())?;
        }
    }
    if !proof.losses.is_empty() {
        writeln!(out, "\n## No longer detected\n")?;
        for loss in &proof.losses {
            match loss {
                Loss::Detection { case, sentence, summary, field, mutations } => writeln!(
                    out,
                    "- {} *{}*: {} of {} ({})",
                    words(case),
                    words(sentence),
                    code(field),
                    code(summary),
                    words(&list(mutations))
                )?,
                Loss::Assertion(fewer) => writeln!(out, "- removed: {}", code(&fewer.to_string()))?,
            }
        }
    }
    let unproven: Vec<_> = proof.sentences.iter().filter_map(|s| Some((s, s.unproven.as_ref()?))).collect();
    if !unproven.is_empty() {
        writeln!(out, "\n## Sentences marked unproven\n")?;
        for (sentence, reason) in unproven {
            writeln!(out, "- {} *{}*: {}", words(&sentence.case), words(&sentence.text), words(reason))?;
        }
    }
    writeln!(out, "\n## Assertions and the first mutant that kills each\n")?;
    for assertion in &proof.assertions {
        if let AssertionOutcome::Killed { by, times } = &assertion.outcome {
            let (location, text) = (code(&assertion.location.to_string()), code(&assertion.text));
            writeln!(out, "- {location} {text} — {times} times, first by {}", code(by))?;
        }
    }
    writeln!(out, "\n## Observed fields that no assertion reads\n")?;
    for case in &proof.cases {
        writeln!(out, "### {}\n", words(&format!("{}: {}", case.id, case.title)))?;
        for sentence in proof.sentences.iter().filter(|s| s.case == case.id) {
            writeln!(out, "- {}: {} read, {} unread", words(&sentence.text), sentence.read, sentence.unread_count())?;
            let mut by_observation: IndexMap<&str, Vec<String>> = IndexMap::new();
            for (summary, field, n) in &sentence.unread {
                let field = if *n > 1 { format!("{} ({n})", code(field)) } else { code(field) };
                by_observation.entry(summary).or_default().push(field);
            }
            for (summary, fields) in by_observation {
                writeln!(out, "  - {}: {}", code(summary), fields.join(", "))?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}
