//! What guards what: for each sentence, the changes of what was observed that it notices by a finding of its own. Kept in a file, it
//! tells when a sentence has lost its guard.
use super::{
    hunt::Found,
    mutant::{self, Kind},
};
use crate::{engine::replay::Replay, source::Span, value::Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Field: kinds of change, and how many questions notice each.
type ByField = BTreeMap<String, BTreeMap<String, usize>>;
type ByWhat = BTreeMap<String, ByField>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guards {
    /// Case, sentence, observation.
    pub cases: BTreeMap<String, BTreeMap<String, ByWhat>>,
    /// What is asked in an `undo`, where nothing is judged again: by its words, how often it stands there.
    pub undo: BTreeMap<String, usize>,
}

/// What guards less than it did.
#[derive(Clone, Debug, PartialEq)]
pub enum Lost {
    /// A sentence that no longer notices what it noticed, or by fewer questions.
    Sentence {
        case: String,
        sentence: String,
        what: String,
        field: String,
        kinds: Vec<Fewer>,
    },
    Undo(Fewer),
}

/// A kind of change, or a question; by how many it was noticed, or how often asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Fewer {
    pub of: String,
    pub then: usize,
    pub now: usize,
}

impl std::fmt::Display for Fewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.now {
            0 => f.write_str(&self.of),
            now => write!(f, "{} ({now} of {} left)", self.of, self.then),
        }
    }
}

/// Kinds that are not the same from run to run: what an earlier answer was depends on how often was looked.
const UNSTEADY: &[&str] = &["earlier answer"];

impl Guards {
    pub(super) fn of(replay: &Replay, found: &Found, undoing: &[String]) -> Guards {
        let mut out = Guards::default();
        undoing.iter().for_each(|text| *out.undo.entry(text.clone()).or_default() += 1);
        let outline = &replay.schedule().outline;
        let texts: HashMap<_, _> =
            outline.iter().flat_map(|c| c.sentences.iter().map(|s| (&s.address, (&c.id, one_line(&s.text))))).collect();
        for ((sentence, what, field), kinds) in &found.guards {
            let Some((case, text)) = texts.get(sentence) else { continue };
            let steady = || kinds.iter().filter(|(kind, _)| !UNSTEADY.contains(&kind.as_str()));
            if steady().next().is_some() {
                let sentences = out.cases.entry((*case).clone()).or_default();
                let fields = sentences.entry(text.clone()).or_default().entry(what.clone()).or_default();
                fields.entry(field.clone()).or_default().extend(steady().map(|(kind, who)| (kind.clone(), who.len())));
            }
        }
        out
    }

    /// How many there are: sentence, observation, field and kind.
    pub fn count(&self) -> usize {
        let fields = self.cases.values().flat_map(|s| s.values()).flat_map(|w| w.values()).flat_map(|f| f.values());
        fields.map(BTreeMap::len).sum()
    }

    /// What these guarded and `now` does not, or less.
    pub fn lost_in(&self, now: &Guards) -> Vec<Lost> {
        let mut out = vec![];
        for (case, sentences) in &self.cases {
            for (sentence, observations) in sentences {
                for (what, fields) in observations {
                    for (field, kinds) in fields {
                        let left = now.cases.get(case).and_then(|s| s.get(sentence)).and_then(|w| w.get(what));
                        let kinds = fewer(kinds, left.and_then(|f| f.get(field)));
                        if !kinds.is_empty() {
                            let (case, sentence) = (case.clone(), sentence.clone());
                            out.push(Lost::Sentence {
                                case,
                                sentence,
                                what: what.clone(),
                                field: field.clone(),
                                kinds,
                            });
                        }
                    }
                }
            }
        }
        out.extend(fewer(&self.undo, Some(&now.undo)).into_iter().map(Lost::Undo));
        out
    }

    /// As a file has it: JSON, each field on a line.
    pub fn text(&self) -> String {
        let mut out = String::new();
        lines(&serde_json::to_value(self).unwrap_or_default(), 0, &mut out);
        out + "\n"
    }
}

/// How deep the maps of [`Guards`] lie: those further in stand on one line.
const DEPTH: usize = 5;

fn lines(v: &serde_json::Value, depth: usize, out: &mut String) {
    match v.as_object().filter(|map| depth < DEPTH && !map.is_empty()) {
        None => *out += &v.to_string(),
        Some(map) => {
            for (n, (key, v)) in map.iter().enumerate() {
                let start = if n == 0 { "{" } else { "," };
                *out += &format!("{start}\n{:depth$} {}: ", "", serde_json::Value::from(key.as_str()));
                lines(v, depth + 1, out);
            }
            *out += &format!("\n{:depth$}}}", "");
        }
    }
}

fn fewer(then: &BTreeMap<String, usize>, now: Option<&BTreeMap<String, usize>>) -> Vec<Fewer> {
    let left = |of: &String| now.and_then(|now| now.get(of)).copied().unwrap_or(0);
    let all = then.iter().map(|(of, n)| Fewer { of: of.clone(), then: *n, now: left(of) });
    all.filter(|f| f.now < f.then).collect()
}

/// Of what is lost, what was observed in this run and could have been noticed.
pub(super) fn tried(replay: &Replay, lost: Vec<Lost>) -> Vec<Lost> {
    let mut seen: HashMap<(String, String), HashMap<String, Vec<Value>>> = HashMap::new();
    lost.into_iter()
        .filter_map(|mut lost| {
            if let Lost::Sentence { case, what, field, kinds, .. } = &mut lost {
                let fields = seen.entry((case.clone(), what.clone())).or_insert_with(|| observed(replay, case, what));
                let values = fields.get(field)?;
                kinds.retain(|kind| values.iter().any(|v| fits(&kind.of, v)));
                if kinds.is_empty() {
                    return None;
                }
            }
            Some(lost)
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
            r#"{"cases": {"A": {"all there": {"http GET /x": {"body.n": {"one less": 1, "one more": 2}, "status": {"null": 1}}}}},
                "undo": {"expect: found: false": 2}}"#,
        );
        let now = guards(
            r#"{"cases": {"A": {"all there": {"http GET /x": {"body.n": {"one more": 1, "dropped": 1}}}}},
                "undo": {"expect: found: false": 1}}"#,
        );
        let lost = before.lost_in(&now);
        let kinds = |n: usize| match &lost[n] {
            Lost::Sentence { field, kinds, .. } => {
                format!("{field}: {}", kinds.iter().map(Fewer::to_string).collect::<Vec<_>>().join(", "))
            }
            Lost::Undo(fewer) => fewer.to_string(),
        };
        assert_eq!(lost.len(), 3);
        assert_eq!(kinds(0), "body.n: one less, one more (1 of 2 left)");
        assert_eq!(kinds(1), "status: null");
        assert_eq!(kinds(2), "expect: found: false (1 of 2 left)");
        assert!(before.lost_in(&before).is_empty() && before.count() == 3);
    }

    #[test]
    fn the_file_has_each_field_on_a_line() {
        let text = "{\n \"cases\": {\n  \"A\": {\n   \"all there\": {\n    \"http\": {\n     \"n\": {\"null\":1,\"one less\":2}\n    }\n   }\n  }\n },\n \"undo\": {\n  \"q\": 1\n }\n}\n";
        assert_eq!(guards(text).text(), text);
        assert_eq!(guards(&Guards::default().text()), Guards::default());
    }

    #[test]
    fn only_what_fits_a_value_counts_as_tried() {
        assert!(fits("one more", &Value::Int(1)) && !fits("one more", &"x".into()));
        assert!(fits("gains what the plan speaks of", &"x".into()));
        assert!(fits("list emptied", &Value::list(vec![Value::Null])) && !fits("list emptied", &Value::list(vec![])));
        assert!(fits("object missing", &Value::map([("found".into(), true.into())])));
    }
}
