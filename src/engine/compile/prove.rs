//! Compiles `prove`, and finds the sentences that plans and environments name.
use super::compiler::Compiler;
use crate::{
    diagnostic::Diagnostic,
    engine::schedule::Breaks,
    event::{CaseOutline, SentenceOutline},
    plan::{Prove, Spanned},
};
use std::sync::Arc;

impl Compiler<'_> {
    pub(super) fn prove(&mut self, prove: &Prove, outline: &[Arc<CaseOutline>]) -> Vec<Breaks> {
        for (name, _) in prove.set.iter().chain(&prove.record) {
            self.variable(&name.text, &name.span, "");
        }
        let mut breaks = vec![];
        for defect in &prove.defects {
            let named = defect.cases.iter().flat_map(|(case, all)| all.iter().map(move |sentence| (case, sentence)));
            let found = named.filter_map(|(case, sentence)| self.sentence(outline, case, sentence));
            let sentences = found.map(|s| s.address.clone()).collect();
            breaks.push(Breaks { defect: defect.defect.text.clone(), sentences });
        }
        breaks
    }

    /// Finds the sentence of a case with this text, or one that begins with the text before `…`. Reports it if there is none.
    pub(super) fn sentence<'o>(
        &mut self,
        outline: &'o [Arc<CaseOutline>],
        case: &Spanned,
        sentence: &Spanned,
    ) -> Option<&'o SentenceOutline> {
        let Some(found) = outline.iter().find(|o| o.id == case.text) else {
            let d = Diagnostic::error("unknown-case", &case.span, format!("unknown case `{}`", case.text));
            self.problems.push(d.suggest(&case.text, outline.iter().map(|o| o.id.as_str())));
            return None;
        };
        let words = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = words(&sentence.text);
        let fits = |s: &SentenceOutline| match wanted.strip_suffix('…') {
            Some(start) => words(&s.text).starts_with(start.trim_end()),
            None => words(&s.text) == wanted,
        };
        let mut fitting = found.sentences.iter().filter(|s| fits(s));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(only),
            (Some(_), Some(_)) => {
                let message =
                    format!("expected one sentence of `{}` like `{}`, found several", case.text, sentence.text);
                let d = Diagnostic::error("unknown-sentence", &sentence.span, message);
                self.problems.push(d.help("write more of the sentence"));
                None
            }
            (None, _) => {
                let message = format!("unknown sentence of `{}`: {}", case.text, sentence.text);
                let d = Diagnostic::error("unknown-sentence", &sentence.span, message);
                self.problems.push(d.suggest(&sentence.text, found.sentences.iter().map(|s| s.text.as_str())));
                None
            }
        }
    }
}
