//! Renders the result of mutation testing for the terminal: first the survivors and losses, then a line for each case.
use super::{
    baseline::{Fewer, Loss},
    proof::{AssertionProof, Proof},
};
use std::fmt::Write;

/// Number of survivors and of losses that are shown; the report shows all.
const MAX_SHOWN: usize = 40;

pub fn page(proof: &Proof) -> String {
    let mut out = String::new();
    for note in &proof.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let survivors: Vec<&AssertionProof> = proof.survivors().collect();
    for assertion in survivors.iter().take(MAX_SHOWN) {
        let _ = writeln!(out, "{:<15} {}  {}", assertion.outcome.label(), assertion.location, assertion.text);
        if let Some(why) = assertion.outcome.reason() {
            let _ = writeln!(out, "{:<15} {why}", "");
        }
    }
    more(&mut out, survivors.len());
    for loss in proof.losses.iter().take(MAX_SHOWN) {
        match loss {
            Loss::Detection { case, sentence, summary, field, mutations } => {
                let _ = writeln!(out, "{:<15} {case}  {sentence}", "not detected");
                let _ = writeln!(out, "{:<15} `{field}` of `{summary}`: {}", "", list(mutations));
            }
            Loss::Assertion(fewer) => {
                let _ = writeln!(out, "{:<15} {fewer}", "removed");
            }
        }
    }
    more(&mut out, proof.losses.len());
    if !out.is_empty() {
        out.push('\n');
    }
    let width = proof.cases.iter().map(|c| c.id.len()).max().unwrap_or(0).max(4);
    let _ = writeln!(
        out,
        "{:<width$}  {:>10}  {:>6}  {:>11}  {:>13}",
        "CASE", "ASSERTIONS", "KILLED", "FIELDS READ", "FIELDS UNREAD"
    );
    for case in &proof.cases {
        let own: Vec<&AssertionProof> = proof.assertions.iter().filter(|a| a.cases.contains(&case.id)).collect();
        let killed = own.iter().filter(|a| a.outcome.is_killed()).count();
        let sentences = || proof.sentences.iter().filter(|s| s.case == case.id);
        let (read, unread): (usize, usize) =
            (sentences().map(|s| s.read).sum(), sentences().map(|s| s.unread_count()).sum());
        let _ = writeln!(out, "{:<width$}  {:>10}  {killed:>6}  {read:>11}  {unread:>13}", case.id, own.len());
    }
    let unproven = proof.sentences.iter().filter(|s| s.unproven.is_some()).count();
    let _ = writeln!(
        out,
        "\n{}: {} of {} assertions can fail; {}{} mutants judged in {:.1} s",
        if proof.holds() { "PROVED" } else { "NOT PROVED" },
        proof.killed(),
        proof.assertions.len(),
        match unproven {
            0 => String::new(),
            1 => "1 sentence is marked unproven; ".into(),
            n => format!("{n} sentences are marked unproven; "),
        },
        proof.mutants,
        proof.took.as_secs_f64()
    );
    out
}

pub(super) fn list(mutations: &[Fewer]) -> String {
    mutations.iter().map(Fewer::to_string).collect::<Vec<_>>().join(", ")
}

fn more(out: &mut String, all: usize) {
    if all > MAX_SHOWN {
        let _ = writeln!(out, "{:<15} and {} more, in the report", "", all - MAX_SHOWN);
    }
}
