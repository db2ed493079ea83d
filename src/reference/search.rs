//! Finds entries: by their word, or by a text in them.
use super::Entry;

/// The entries of a word. `http.request` and `case.tier` name the place too; case does not matter.
pub fn found<'e>(all: &'e [Entry], query: &str) -> Vec<&'e Entry> {
    let query = query.trim().trim_end_matches(':').to_lowercase();
    let is = |e: &&Entry| e.word.to_lowercase() == query || e.word.to_lowercase().trim_start_matches('$') == query;
    let by_word: Vec<_> = all.iter().filter(is).collect();
    if !by_word.is_empty() {
        return by_word;
    }
    let Some((place, word)) = query.rsplit_once('.') else { return vec![] };
    let names_place = |e: &&Entry| {
        let places = e.place.to_lowercase();
        let mut words = places.split(|c: char| !c.is_alphanumeric() && c != '_');
        e.word.to_lowercase() == word && words.any(|w| w == place)
    };
    all.iter().filter(names_place).collect()
}

/// The entries whose word, summary or details have all words of the text; those whose word has it first.
pub fn matching<'e>(all: &'e [Entry], text: &str) -> Vec<&'e Entry> {
    let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
    let rank = |e: &Entry| {
        let (word, summary) = (e.word.to_lowercase(), e.summary.to_lowercase());
        let all_in = |text: &str| words.iter().all(|w| text.contains(w));
        match () {
            () if all_in(&word) => Some(0),
            () if all_in(&format!("{word} {} {summary}", e.place.to_lowercase())) => Some(1),
            () if all_in(&e.details.to_lowercase()) => Some(2),
            () => None,
        }
    };
    let mut found: Vec<_> = all.iter().filter_map(|e| Some((rank(e)?, e))).collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, e)| e).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{executors, reference::entries};

    #[test]
    fn a_word_is_found_in_all_its_places_and_by_place_in_one() {
        let all = entries(&executors::registry());
        let places = |query: &str| found(&all, query).iter().map(|e| e.place.clone()).collect::<Vec<_>>();
        assert_eq!(places("timeout"), ["an entry of `cases`", "an action"]);
        assert_eq!(places("http.request"), ["`http`", "a target of `http`"]);
        assert_eq!(found(&all, "Contains").len(), 2, "the matcher and the function");
        assert_eq!(places("nothing.like.this"), [""; 0]);
    }

    #[test]
    fn a_text_is_searched_in_words_before_details() {
        let all = entries(&executors::registry());
        let words: Vec<_> = matching(&all, "webhook").iter().map(|e| e.word.clone()).collect();
        assert_eq!(words[0], "webhook");
        assert!(words.len() > 5, "{words:?}");
        assert!(matching(&all, "flux capacitor").is_empty());
    }

    #[test]
    fn every_entry_says_something() {
        for entry in entries(&executors::registry()) {
            assert!(!entry.summary.is_empty(), "{} ({}, {})", entry.word, entry.kind, entry.place);
        }
    }
}
