//! What guards what: for each sentence, the changes of what was observed that it notices by a finding of its own. Kept in a file, it
//! tells when a sentence has lost its guard.
use super::{
    hunt::Found,
    mutant::{self, Kind},
};
use crate::{engine::replay::Replay, source::Span, value::Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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

/// Kinds that are not the same from run to run: what an earlier answer was depends on how often was looked.
const UNSTEADY: &[&str] = &["earlier answer"];

impl Guards {
    pub(super) fn of(replay: &Replay, found: &Found) -> Guards {
        Guards::but(replay, found, None)
    }

    /// Those that are left without a question.
    pub(super) fn but(replay: &Replay, found: &Found, without: Option<&Span>) -> Guards {
        let mut out = Guards::default();
        let outline = &replay.schedule().outline;
        let texts: HashMap<_, _> =
            outline.iter().flat_map(|c| c.sentences.iter().map(|s| (&s.address, (&c.id, one_line(&s.text))))).collect();
        for ((sentence, what, field), kinds) in &found.guards {
            let Some((case, text)) = texts.get(sentence) else { continue };
            let kinds = kinds
                .iter()
                .filter(|(kind, who)| !UNSTEADY.contains(&kind.as_str()) && who.iter().any(|w| Some(w) != without))
                .map(|(kind, _)| kind.to_string())
                .collect::<BTreeSet<_>>();
            if !kinds.is_empty() {
                let sentences = out.0.entry((*case).clone()).or_default();
                let fields = sentences.entry(text.clone()).or_default().entry(what.clone()).or_default();
                fields.entry(field.clone()).or_default().extend(kinds);
            }
        }
        out
    }

    /// How many there are: sentence, observation, field and kind.
    pub fn count(&self) -> usize {
        let fields = self.0.values().flat_map(|s| s.values()).flat_map(|w| w.values()).flat_map(|f| f.values());
        fields.map(BTreeSet::len).sum()
    }

    /// What these guarded and `now` does not, by sentence, observation and field.
    pub fn lost_in(&self, now: &Guards) -> Vec<Lost> {
        let mut out = vec![];
        for (case, sentences) in &self.0 {
            for (sentence, observations) in sentences {
                for (what, fields) in observations {
                    for (field, kinds) in fields {
                        let left = now.0.get(case).and_then(|s| s.get(sentence)).and_then(|w| w.get(what));
                        let left = left.and_then(|f| f.get(field));
                        let kinds: Vec<String> =
                            kinds.iter().filter(|k| left.is_none_or(|l| !l.contains(*k))).cloned().collect();
                        if !kinds.is_empty() {
                            let (case, sentence) = (case.clone(), sentence.clone());
                            out.push(Lost { case, sentence, what: what.clone(), field: field.clone(), kinds });
                        }
                    }
                }
            }
        }
        out
    }

    /// As a file has it.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Of what is lost, what was observed in this run and could have been noticed.
pub(super) fn tried(replay: &Replay, lost: Vec<Lost>) -> Vec<Lost> {
    let mut seen: HashMap<(String, String), HashMap<String, Vec<Value>>> = HashMap::new();
    lost.into_iter()
        .filter_map(|mut lost| {
            let key = (lost.case.clone(), lost.what.clone());
            let fields = seen.entry(key).or_insert_with(|| observed(replay, &lost.case, &lost.what));
            let values = fields.get(&lost.field)?;
            lost.kinds.retain(|kind| values.iter().any(|v| fits(kind, v)));
            (!lost.kinds.is_empty()).then_some(lost)
        })
        .collect()
}

/// What one kind of observation saw in a case, by field.
fn observed(replay: &Replay, case: &str, what: &str) -> HashMap<String, Vec<Value>> {
    let mut out: HashMap<String, Vec<Value>> = HashMap::new();
    let Some(c) = replay.schedule().cases.iter().position(|scheduled| scheduled.id == case) else { return out };
    let acts = replay.record().acts.iter().filter(|(at, (w, _))| at.case() == case && w == what);
    for (at, _) in acts {
        if let Some(Ok(output)) = replay.looks(c, at).last().map(|s| &s.result) {
            walk(&output.value, &mut vec![], &mut |way, v| out.entry(mutant::shown(way)).or_default().push(v.clone()));
        }
    }
    out
}

fn walk(v: &Value, at: &mut mutant::Way, each: &mut dyn FnMut(&[mutant::Step], &Value)) {
    each(at, v);
    let inner: Vec<(mutant::Step, &Value)> = match v {
        Value::Map(m) => m.iter().map(|(k, v)| (mutant::Step::Key(k.clone()), v)).collect(),
        Value::List(l) => l.iter().map(|v| (mutant::Step::Each, v)).collect(),
        _ => return,
    };
    for (step, v) in inner {
        at.push(step);
        walk(v, at, each);
        at.pop();
    }
}

/// Whether a value can be changed in a way that has this word.
fn fits(word: &str, v: &Value) -> bool {
    let some = || "something".to_string();
    let mut kinds = mutant::plain(&some());
    kinds.extend([404, 503].map(Kind::OtherClass));
    kinds.extend([Kind::NumberIs(-1), Kind::TextIs(some()), Kind::GainsSpoken(some())]);
    kinds.extend([Kind::Added(vec![Value::Null]), Kind::FieldAdded(vec![some()])]);
    if word == Kind::Missing.word() {
        return super::hunt::missing(v).is_some();
    }
    let quoted = |start: &str| word.strip_prefix(start)?.strip_suffix('`').map(String::from);
    kinds.extend(quoted("without `").map(Kind::Loses));
    kinds.extend(quoted("without what matches `").map(Kind::LosesMatch));
    kinds.iter().any(|k| k.word() == word && mutant::change(k, v, 0) != mutant::New::Same)
}

/// The questions without which nothing is lost: others notice all that they notice.
pub(super) fn redundant<'l>(found: &Found, leaves: impl Iterator<Item = &'l Span>) -> Vec<&'l Span> {
    let alone: HashSet<&Span> = found
        .guards
        .values()
        .flatten()
        .filter(|(kind, who)| who.len() == 1 && !UNSTEADY.contains(&kind.as_str()))
        .flat_map(|(_, who)| who)
        .collect();
    leaves.filter(|span| found.kills.contains_key(*span) && !alone.contains(*span)).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guards(text: &str) -> Guards {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_noticed_any_more_is_lost() {
        let before = guards(
            r#"{"A": {"all there": {"http GET /x": {"body.n": ["one less", "one more"], "status": ["null"]}}}}"#,
        );
        let now = guards(r#"{"A": {"all there": {"http GET /x": {"body.n": ["one more", "dropped"]}}}}"#);
        let lost = before.lost_in(&now);
        assert_eq!(lost.len(), 2);
        assert_eq!((lost[0].field.as_str(), &lost[0].kinds[..]), ("body.n", &["one less".to_string()][..]));
        assert_eq!(lost[1].field, "status");
        assert!(before.lost_in(&before).is_empty() && before.count() == 3);
    }

    #[test]
    fn only_what_fits_a_value_counts_as_tried() {
        assert!(fits("one more", &Value::Int(1)) && !fits("one more", &"x".into()));
        assert!(fits("gains what the plan speaks of", &"x".into()));
        assert!(fits("list emptied", &Value::list(vec![Value::Null])) && !fits("list emptied", &Value::list(vec![])));
        assert!(fits("object missing", &Value::map([("found".into(), true.into())])));
    }
}
