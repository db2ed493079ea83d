//! Compiles `prove`, and finds the sentences that plans and environments name.
use super::compiler::Compiler;
use crate::{
    diagnostic::Diagnostic,
    engine::schedule::Breaks,
    event::{CaseOutline, SentenceOutline},
    expr::Tree,
    plan::{Prove, Spanned},
};

impl Compiler<'_> {
    pub(super) fn prove(&mut self, prove: &Prove, vars: &[(String, Tree)], outline: &[CaseOutline]) -> Vec<Breaks> {
        for (name, _) in prove.set.iter().filter(|(name, _)| !vars.iter().any(|(v, _)| *v == name.text)) {
            let message = format!("unknown variable `{}`", name.text);
            let d = Diagnostic::error("unknown-variable", &name.span, message);
            self.problems.push(d.suggest(&name.text, vars.iter().map(|(n, _)| n.as_str())));
        }
        let mut breaks = vec![];
        for defect in &prove.defects {
            let mut addresses = vec![];
            for (case, sentences) in &defect.cases {
                for sentence in sentences {
                    addresses.extend(self.sentence(outline, case, sentence).map(|s| s.address.clone()));
                }
            }
            breaks.push(Breaks { defect: defect.defect.text.clone(), sentences: addresses });
        }
        breaks
    }

    /// Finds the sentence of a case with this text, or one that begins with the text before `…`. Reports it if there is none.
    pub(super) fn sentence<'o>(
        &mut self,
        outline: &'o [CaseOutline],
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
