//! What was found out, in full, as Markdown. How foreign text is made harmless there is brought by whoever writes it.
use super::{
    evidence::{Fate, LeafProof, Proof},
    guards::Lost,
    page::{list, why, word},
};
use std::io::{self, Write};

/// Foreign text, harmless in a line of Markdown.
pub struct Escape<'a> {
    pub code: &'a dyn Fn(&str) -> String,
    pub words: &'a dyn Fn(&str) -> String,
}

pub fn write(proof: &Proof, escape: &Escape<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Escape { code, words } = escape;
    writeln!(out, "# Could {} fail?\n", words(&proof.plan))?;
    writeln!(
        out,
        "{}: run {}, judged again with what it saw changed, one observation at a time.\n",
        words(&proof.title),
        code(&proof.run)
    )?;
    let verdict = if proof.holds() {
        "everything that it assertions can fail"
    } else {
        "not everything that it assertions can fail"
    };
    writeln!(out, "**{verdict}**\n")?;
    writeln!(out, "| | |\n| --- | ---: |")?;
    let count = |f: &dyn Fn(&Fate) -> bool| proof.leaves.iter().filter(|l| f(&l.fate)).count();
    for (name, n) in [
        ("Questions: checks, and leaves of `expect`", proof.leaves.len()),
        ("Killed: some change of what was seen makes them fail", proof.killed()),
        ("Cannot fail: no change does", count(&|f| *f == Fate::Survived)),
        (
            "Not replayable: judged unchanged they find something else than was recorded",
            count(&|f| matches!(f, Fate::NotReplayable(_))),
        ),
        ("Not exercised: the run never asked them", count(&|f| matches!(f, Fate::NotExercised(_)))),
        ("Guards lost", proof.lost.len()),
        ("Guards", proof.guards.count()),
        ("Changed observations", proof.mutants),
    ] {
        writeln!(out, "| {name} | {n} |")?;
    }
    writeln!(
        out,
        "\nTook {:.1} s. {} questions stand in an `undo` and ask for the runner's sake: they are left out, like those of an environment's setup.",
        proof.took.as_secs_f64(),
        proof.undoing
    )?;
    for note in &proof.notes {
        writeln!(out, "\n> {}", words(note))?;
    }
    let survivors: Vec<&LeafProof> = proof.survivors().collect();
    if !survivors.is_empty() {
        writeln!(out, "\n## What cannot fail\n")?;
        for leaf in survivors {
            let why = why(&leaf.fate).map(|w| format!(": {}", words(w))).unwrap_or_default();
            writeln!(out, "- {} {} ({}{why})", code(&leaf.location.to_string()), code(&leaf.text), word(&leaf.fate))?;
        }
    }
    if !proof.lost.is_empty() {
        writeln!(out, "\n## What is unguarded now\n")?;
        for lost in &proof.lost {
            match lost {
                Lost::Sentence { case, sentence, what, field, kinds } => writeln!(
                    out,
                    "- {} *{}*: {} of {} ({})",
                    words(case),
                    words(sentence),
                    code(field),
                    code(what),
                    words(&list(kinds))
                )?,
                Lost::Asked(fewer) => writeln!(out, "- asked no more: {}", code(&fewer.to_string()))?,
            }
        }
    }
    let unproven: Vec<_> = proof.sentences.iter().filter_map(|s| Some((s, s.unproven.as_ref()?))).collect();
    if !unproven.is_empty() {
        writeln!(out, "\n## Unproven by their own word\n")?;
        for (sentence, reason) in unproven {
            writeln!(out, "- {} *{}*: {}", words(&sentence.case), words(&sentence.text), words(reason))?;
        }
    }
    writeln!(out, "\n## Every question, and what it dies of\n")?;
    for leaf in &proof.leaves {
        if let Fate::Killed { by, times } = &leaf.fate {
            writeln!(
                out,
                "- {} {} — {times} times, first by {}",
                code(&leaf.location.to_string()),
                code(&leaf.text),
                code(by)
            )?;
        }
    }
    writeln!(out, "\n## Fields at which nobody looks\n")?;
    for case in &proof.cases {
        writeln!(out, "### {}\n", words(&format!("{}: {}", case.id, case.title)))?;
        for sentence in proof.sentences.iter().filter(|s| s.case == case.id) {
            writeln!(out, "- {}: {} looked at, {} not", words(&sentence.text), sentence.looked, sentence.unlooked())?;
            let mut by_what: Vec<(&str, Vec<String>)> = vec![];
            for (what, field, n) in &sentence.unlooked {
                let shown = if *n > 1 { format!("{} ({n})", code(field)) } else { code(field) };
                match by_what.iter_mut().find(|(w, _)| w == what) {
                    Some((_, fields)) => fields.push(shown),
                    None => by_what.push((what, vec![shown])),
                }
            }
            for (what, fields) in by_what {
                writeln!(out, "  - {}: {}", code(what), fields.join(", "))?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}
