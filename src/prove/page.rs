//! What was found out, for the terminal: what survived first, then one line for each case. Calm where all is well.
use super::{
    evidence::{Fate, LeafProof, Proof},
    guards::{Fewer, Lost},
};
use std::fmt::Write;

/// As much is shown of what is long; all of it is in the report.
const MOST: usize = 40;

pub fn page(proof: &Proof) -> String {
    let mut out = String::new();
    for note in &proof.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let survivors: Vec<&LeafProof> = proof.survivors().collect();
    for leaf in survivors.iter().take(MOST) {
        let _ = writeln!(out, "{:<15} {}  {}", word(&leaf.fate), leaf.location, leaf.text);
        if let Some(why) = why(&leaf.fate) {
            let _ = writeln!(out, "{:<15} {why}", "");
        }
    }
    more(&mut out, survivors.len());
    for lost in proof.lost.iter().take(MOST) {
        match lost {
            Lost::Sentence { case, sentence, what, field, kinds } => {
                let _ = writeln!(out, "{:<15} {case}  {sentence}", "unguarded");
                let _ = writeln!(out, "{:<15} `{field}` of `{what}`: {}", "", list(kinds));
            }
            Lost::Asked(fewer) => {
                let _ = writeln!(out, "{:<15} {fewer}", "asked no more");
            }
        }
    }
    more(&mut out, proof.lost.len());
    if !out.is_empty() {
        out.push('\n');
    }
    let width = proof.cases.iter().map(|c| c.id.len()).max().unwrap_or(0).max(4);
    let _ = writeln!(
        out,
        "{:<width$}  {:>9}  {:>6}  {:>9}  {:>13}",
        "CASE", "QUESTIONS", "KILLED", "LOOKED AT", "NOT LOOKED AT"
    );
    for case in &proof.cases {
        let asked: Vec<&LeafProof> = proof.leaves.iter().filter(|l| l.cases.contains(&case.id)).collect();
        let killed = asked.iter().filter(|l| l.fate.is_killed()).count();
        let sentences = || proof.sentences.iter().filter(|s| s.case == case.id);
        let (looked, not): (usize, usize) =
            (sentences().map(|s| s.looked).sum(), sentences().map(|s| s.unlooked()).sum());
        let _ = writeln!(out, "{:<width$}  {:>9}  {killed:>6}  {looked:>9}  {not:>13}", case.id, asked.len());
    }
    let unproven = proof.sentences.iter().filter(|s| s.unproven.is_some()).count();
    out.push('\n');
    let _ = writeln!(
        out,
        "{}: {} of {} questions can fail; {}{} changed observations judged in {:.1} s",
        if proof.holds() { "PROVED" } else { "NOT PROVED" },
        proof.killed(),
        proof.leaves.len(),
        match unproven {
            0 => String::new(),
            1 => "1 sentence is unproven by its own word; ".into(),
            n => format!("{n} sentences are unproven by their own word; "),
        },
        proof.mutants,
        proof.took.as_secs_f64()
    );
    out
}

pub(super) fn list(kinds: &[Fewer]) -> String {
    kinds.iter().map(Fewer::to_string).collect::<Vec<_>>().join(", ")
}

fn more(out: &mut String, all: usize) {
    if all > MOST {
        let _ = writeln!(out, "{:<15} and {} more, in the report", "", all - MOST);
    }
}

pub(super) fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Killed { .. } => "killed",
        Fate::Survived => "cannot fail",
        Fate::NotReplayable(_) => "not replayable",
        Fate::NotExercised(_) => "not exercised",
    }
}

pub(super) fn why(fate: &Fate) -> Option<&str> {
    match fate {
        Fate::NotReplayable(why) | Fate::NotExercised(why) => Some(why),
        Fate::Killed { .. } | Fate::Survived => None,
    }
}
