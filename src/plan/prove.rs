//! Reads the settings for mutation testing: variables, and the sentences that each defect of the platform must break.
use super::{
    model::{Breaks, Prove},
    reader::Reader,
};
use crate::{language::PROVE_KEYS, yaml::Node};

impl Reader<'_> {
    pub(super) fn prove(&mut self, node: &Node) -> Prove {
        if self.keys(node, PROVE_KEYS).is_none() {
            return Prove::default();
        }
        let set = node.get("set").map(|n| self.named_trees(n)).unwrap_or_default();
        let mut defects = vec![];
        for (defect, node) in node.get("defects").map(|n| self.entries(n)).unwrap_or_default() {
            let mut cases = vec![];
            for (case, node) in self.entries(node) {
                let sentences = self.one_or_many(node).into_iter().map(|n| self.spanned(n)).collect();
                cases.push((case, sentences));
            }
            defects.push(Breaks { defect, cases });
        }
        let guards = self.named(node, "guards");
        Prove { set, defects, guards }
    }
}
