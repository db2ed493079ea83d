//! What a plan says about being proved: the variables for that, and which sentences each defect of its platform breaks.
use super::{Spanned, read::Reader};
use crate::{
    expr::Tree,
    yaml::{Kind, Node},
};

/// `prove:` of a plan.
#[derive(Clone, Default)]
pub struct Prove {
    /// Variables in place of the plan's own: shorter limits.
    pub set: Vec<(Spanned, Tree)>,
    pub defects: Vec<Breaks>,
    /// The file beside the plan that says what guards what.
    pub guards: Option<Spanned>,
}

/// A defect by its name, and for each case the sentences that go red of it: whole, or their beginning and `…`.
#[derive(Clone)]
pub struct Breaks {
    pub defect: Spanned,
    pub cases: Vec<(Spanned, Vec<Spanned>)>,
}

impl Reader<'_> {
    pub(super) fn prove(&mut self, node: &Node) -> Prove {
        if self.keys(node, &["set", "defects", "guards"], &[]).is_none() {
            return Prove::default();
        }
        let set = node.get("set").map(|n| self.named_trees(n)).unwrap_or_default();
        let mut defects = vec![];
        for (defect, node) in node.get("defects").map(|n| self.entries(n)).unwrap_or_default() {
            let mut cases = vec![];
            for (case, node) in self.entries(node) {
                let items = match &node.kind {
                    Kind::Seq(_) => self.list(node),
                    _ => vec![node],
                };
                let sentences =
                    items.into_iter().map(|n| Spanned { text: self.text(n), span: n.span.clone() }).collect();
                cases.push((case, sentences));
            }
            defects.push(Breaks { defect, cases });
        }
        let guards = node.get("guards").map(|n| Spanned { text: self.text(n), span: n.span.clone() });
        Prove { set, defects, guards }
    }
}
