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
        let set = self.named_trees(node.get("set"));
        let record = self.named_trees(node.get("record"));
        let sentences = |reader: &mut Self, node: &Node| {
            Some(reader.one_or_many(node).into_iter().map(|n| reader.spanned(n)).collect::<Vec<_>>())
        };
        let cases = |reader: &mut Self, node: &Node| Some(reader.read_entries(Some(node), sentences));
        let defects = self.read_entries(node.get("defects"), cases);
        let defects = defects.into_iter().map(|(defect, cases)| Breaks { defect, cases }).collect();
        let guards = self.named(node, "guards");
        Prove { set, record, defects, guards }
    }
}
