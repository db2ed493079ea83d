//! What guards what: for each sentence, the changes of what was observed that it notices by a result of its own. Kept in a file, it
//! tells when a sentence has lost its guard.
use super::{
    hunt::Found,
    mutant::{self, Kind},
};
use crate::{replay::Replay, value::Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// Case, sentence, observation, field.
type Key = [String; 4];
/// How often each is there.
type Counts = BTreeMap<String, usize>;
type ByField = BTreeMap<String, Counts>;
type ByWhat = BTreeMap<String, ByField>;
type BySentence = BTreeMap<String, ByWhat>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "File", into = "File")]
pub struct Guards {
    /// The digest of the plan for which they were written down.
    plan: String,
    /// Kinds of change, and how many questions notice each.
    noticed: BTreeMap<Key, Counts>,
    /// Every question, those of an `undo` too, where nothing is judged again: by its words, how often it stands in the plan.
    assertions: Counts,
}

/// As it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    plan: String,
    cases: BTreeMap<String, BySentence>,
    assertions: Counts,
}

impl From<Guards> for File {
    fn from(guards: Guards) -> File {
        let mut file = File { plan: guards.plan, cases: BTreeMap::new(), assertions: guards.assertions };
        for ([case, sentence, what, field], kinds) in guards.noticed {
            let sentences = file.cases.entry(case).or_default();
            sentences.entry(sentence).or_default().entry(what).or_default().insert(field, kinds);
        }
        file
    }
}

impl From<File> for Guards {
    fn from(file: File) -> Guards {
        let mut out = Guards { plan: file.plan, assertions: file.assertions, ..Guards::default() };
        for (case, sentences) in file.cases {
            for (sentence, observations) in sentences {
                for (what, fields) in observations {
                    for (field, kinds) in fields {
                        out.noticed.insert([case.clone(), sentence.clone(), what.clone(), field], kinds);
                    }
                }
            }
        }
        out
    }
}

/// What guards less than it did.
#[derive(Clone, Debug, PartialEq)]
pub enum Lost {
    /// A sentence that no longer notices what it noticed, or by fewer questions.
    Sentence { case: String, sentence: String, what: String, field: String, kinds: Vec<Fewer> },
    /// A question, by its words, that is asked less often than before, or no more.
    Asked(Fewer),
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
    /// `assertions` are the words of all questions.
    pub(super) fn of<'a>(replay: &Replay, found: &Found, assertions: impl Iterator<Item = &'a String>) -> Guards {
        let mut out = Guards::default();
        assertions.for_each(|text| *out.assertions.entry(text.clone()).or_default() += 1);
        let outline = &replay.schedule().outline;
        let texts: HashMap<_, _> =
            outline.iter().flat_map(|c| c.sentences.iter().map(|s| (&s.address, (&c.id, one_line(&s.text))))).collect();
        for ((sentence, what, field), kinds) in &found.guards {
            let Some((case, text)) = texts.get(sentence) else { continue };
            let steady = kinds.iter().filter(|(kind, _)| !UNSTEADY.contains(&kind.as_str()));
            let counts: Counts = steady.map(|(kind, who)| (kind.clone(), who.len())).collect();
            if !counts.is_empty() {
                out.noticed.insert([(*case).clone(), text.clone(), what.clone(), field.clone()], counts);
            }
        }
        out
    }

    /// How many there are: sentence, observation, field and kind.
    pub fn count(&self) -> usize {
        self.noticed.values().map(Counts::len).sum()
    }

    /// To be written down for a plan that is this.
    pub fn of_plan(self, text: &str) -> Guards {
        Guards { plan: digest(text), ..self }
    }

    /// Whether they were written down for a plan that is this very one. Then nothing of it can be gone, and only the run differs.
    pub fn are_of(&self, text: &str) -> bool {
        self.plan == digest(text)
    }

    /// What both hold.
    pub fn shared(mut self, other: &Guards) -> Guards {
        self.noticed.iter_mut().for_each(|(key, kinds)| least(kinds, other.noticed.get(key)));
        self.noticed.retain(|_, kinds| !kinds.is_empty());
        least(&mut self.assertions, Some(&other.assertions));
        self
    }

    /// What these guarded and `now` does not, or less.
    pub fn lost_in(&self, now: &Guards) -> Vec<Lost> {
        let all = self.noticed.iter().map(|(key, kinds)| (key.clone(), fewer(kinds, now.noticed.get(key))));
        let sentences = all
            .filter(|(_, kinds)| !kinds.is_empty())
            .map(|([case, sentence, what, field], kinds)| Lost::Sentence { case, sentence, what, field, kinds });
        sentences.chain(fewer(&self.assertions, Some(&now.assertions)).into_iter().map(Lost::Asked)).collect()
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

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn fewer(then: &Counts, now: Option<&Counts>) -> Vec<Fewer> {
    let left = |of: &String| now.and_then(|now| now.get(of)).copied().unwrap_or(0);
    let all = then.iter().map(|(of, n)| Fewer { of: of.clone(), then: *n, now: left(of) });
    all.filter(|f| f.now < f.then).collect()
}

fn least(mine: &mut Counts, other: Option<&Counts>) {
    mine.retain(|of, n| {
        *n = other.and_then(|other| other.get(of)).copied().unwrap_or(0).min(*n);
        *n > 0
    });
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
    let actions = replay.record().actions.iter().filter(|(at, a)| at.case() == case && a.what == what);
    for (at, _) in actions {
        if let Some(Ok(output)) = replay.observations(c, at).last().map(|o| &o.result) {
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
                "assertions": {"expect: found: false": 2}}"#,
        );
        let now = guards(
            r#"{"cases": {"A": {"all there": {"http GET /x": {"body.n": {"one more": 1, "dropped": 1}}}}},
                "assertions": {"expect: found: false": 1}}"#,
        );
        let lost = before.lost_in(&now);
        let kinds = |n: usize| match &lost[n] {
            Lost::Sentence { field, kinds, .. } => {
                format!("{field}: {}", kinds.iter().map(Fewer::to_string).collect::<Vec<_>>().join(", "))
            }
            Lost::Asked(fewer) => fewer.to_string(),
        };
        assert_eq!(lost.len(), 3);
        assert_eq!(kinds(0), "body.n: one less, one more (1 of 2 left)");
        assert_eq!(kinds(1), "status: null");
        assert_eq!(kinds(2), "expect: found: false (1 of 2 left)");
        assert!(before.lost_in(&before).is_empty() && before.count() == 3);
    }

    #[test]
    fn the_file_has_each_field_on_a_line() {
        let text = "{\n \"plan\": \"abc\",\n \"cases\": {\n  \"A\": {\n   \"all there\": {\n    \"http\": {\n     \"n\": {\"null\":1,\"one less\":2}\n    }\n   }\n  }\n },\n \"assertions\": {\n  \"q\": 1\n }\n}\n";
        assert_eq!(guards(text).text(), text);
        let written = Guards::default().of_plan("plan: A");
        assert_eq!(guards(&written.text()), written);
        assert!(written.are_of("plan: A") && !written.are_of("plan: B"));
    }

    #[test]
    fn only_what_fits_a_value_counts_as_tried() {
        assert!(fits("one more", &Value::Int(1)) && !fits("one more", &"x".into()));
        assert!(fits("gains what the plan speaks of", &"x".into()));
        assert!(fits("list emptied", &Value::list(vec![Value::Null])) && !fits("list emptied", &Value::list(vec![])));
        assert!(fits("object missing", &Value::map([("found".into(), true.into())])));
    }
}
