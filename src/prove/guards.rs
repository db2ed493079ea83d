//! What guards what: for each sentence, the changes of what was observed that it notices by a finding of its own. Kept in a file, it
//! tells when a sentence has lost its guard.
use super::hunt::Found;
use crate::engine::replay::Replay;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

type ByField = BTreeMap<String, BTreeSet<String>>;
type ByWhat = BTreeMap<String, ByField>;

/// Case, sentence, observation, field: kinds of change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Guards(pub BTreeMap<String, BTreeMap<String, ByWhat>>);

/// A sentence that no longer notices what it noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost {
    pub case: String,
    pub sentence: String,
    pub what: String,
    pub field: String,
    pub kinds: Vec<String>,
}

impl Guards {
    pub(super) fn of(replay: &Replay, found: &Found) -> Guards {
        let mut out = Guards::default();
        let texts: HashMap<_, _> = replay
            .schedule()
            .outline
            .iter()
            .flat_map(|c| c.sentences.iter().map(|s| (&s.address, (&c.id, &s.text))))
            .collect();
        for ((sentence, what, field), kinds) in &found.guards {
            let Some((case, text)) = texts.get(sentence) else { continue };
            let sentences = out.0.entry((*case).clone()).or_default();
            let fields = sentences.entry((*text).clone()).or_default().entry(what.clone()).or_default();
            fields.entry(field.clone()).or_default().extend(kinds.iter().map(|k| k.to_string()));
        }
        out
    }

    /// How many there are: sentence, observation, field and kind.
    pub fn count(&self) -> usize {
        let fields = self.0.values().flat_map(|s| s.values()).flat_map(|w| w.values()).flat_map(|f| f.values());
        fields.map(BTreeSet::len).sum()
    }
}
