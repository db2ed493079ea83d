//! Finds the actions from which each sentence of a case takes its inputs, directly or through other actions.
use crate::{address::Address, engine::schedule::Sentence, event::SentenceInput};
use indexmap::{IndexMap, IndexSet};

/// For each name that the case has bound so far: the actions that its value comes from, the one that binds it first.
#[derive(Default)]
pub(super) struct Inputs(IndexMap<String, IndexSet<Address>>);

impl Inputs {
    /// The inputs of the next sentence of the case, from earlier ones and from its own actions. Notes what the sentence binds.
    pub fn of(&mut self, sentence: &Sentence) -> Vec<SentenceInput> {
        let mut read = IndexSet::new();
        for (i, action) in sentence.actions.iter().enumerate() {
            let own = action.reads();
            let at = sentence.address.child("do").child(i);
            let sources: Vec<Address> = own.iter().filter_map(|n| self.0.get(n)).flatten().cloned().collect();
            for name in action.bind.iter().chain(action.save.iter().map(|(n, _)| n)) {
                let all = [at.clone()].into_iter().chain(sources.iter().cloned());
                self.0.insert(name.clone(), all.collect());
            }
            read.extend(own);
        }
        read.extend(sentence.needs.iter().cloned());
        let input = |name: String| Some(SentenceInput { actions: self.0.get(&name)?.iter().cloned().collect(), name });
        read.into_iter().filter_map(input).collect()
    }
}
