//! The results of mutating a run's observations: which assertions fail, and which fields are read.
use super::path::FieldPath;
use crate::{address::Address, source::Span};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

#[derive(Default)]
pub struct MutationResults {
    /// Number of mutated observations that were judged.
    pub mutants: usize,
    pub kills: HashMap<Span, Kill>,
    /// By sentence, observation and field: the mutations that an assertion of the sentence detects.
    pub detections: BTreeMap<(Address, String, String), Detections>,
    /// By sentence and observation.
    pub fields: BTreeMap<(Address, String), Fields>,
}

/// By the label of a mutation: the assertions that detect it.
pub type Detections = BTreeMap<String, HashSet<Span>>;

#[derive(Clone)]
pub struct Kill {
    /// Position in the plan; the report names the first kill.
    pub order: (usize, usize),
    /// Description of the first mutant.
    pub by: String,
    pub times: usize,
}

/// The fields of one observation.
#[derive(Default)]
pub struct Fields {
    /// Paths that an assertion reads.
    pub read: BTreeSet<FieldPath>,
    /// Paths that no assertion reads, with the number of fields under each.
    pub unread: BTreeMap<FieldPath, usize>,
}

impl MutationResults {
    pub fn join(&mut self, other: MutationResults) {
        self.mutants += other.mutants;
        for (span, kill) in other.kills {
            let mine = self.kills.entry(span).or_insert_with(|| Kill { times: 0, ..kill.clone() });
            let times = mine.times + kill.times;
            if kill.order < mine.order {
                *mine = kill;
            }
            mine.times = times;
        }
        for (key, detections) in other.detections {
            let mine = self.detections.entry(key).or_default();
            detections.into_iter().for_each(|(label, by)| mine.entry(label).or_default().extend(by));
        }
        for (key, fields) in other.fields {
            let mine = self.fields.entry(key).or_default();
            mine.read.extend(fields.read);
            for (path, n) in fields.unread {
                let most = mine.unread.entry(path).or_default();
                *most = n.max(*most);
            }
        }
    }
}
