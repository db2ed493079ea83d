//! The baseline of a plan: for each sentence, the mutations that its own assertions detect. Kept in a file beside the
//! plan, it shows when an edited plan detects less.
use super::{
    mutation::{EARLIER_RESPONSE, Mutation, general_mutations, mutate},
    mutation_results::MutationResults,
    path::{Edit, format_path, visit},
    reaction::verb_actions,
};
use crate::{replay::Replay, value::Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

type ByName<T> = BTreeMap<String, T>;
type Counts = ByName<usize>;

/// Also the form of a baseline in its file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The digest of the plan for which it was accepted.
    #[serde(default)]
    plan: String,
    /// By case, sentence, observation and field: the number of assertions that detect each mutation.
    cases: ByName<ByName<ByName<ByName<Counts>>>>,
    /// How often the plan contains each assertion, by its text, including assertions in an `undo`.
    assertions: Counts,
}

/// A loss against the baseline.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// A sentence no longer detects these mutations of a field, or by fewer assertions.
    Detection { case: String, sentence: String, summary: String, field: String, mutations: Vec<Fewer> },
    /// The plan contains an assertion less often, or no longer.
    Assertion(Fewer),
}

/// A mutation or an assertion that is counted less often than in the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Fewer {
    /// The label of the mutation, or the text of the assertion.
    pub of: String,
    pub then: usize,
    pub now: usize,
}

impl fmt::Display for Fewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.now {
            0 => f.write_str(&self.of),
            now => write!(f, "{} ({now} of {} left)", self.of, self.then),
        }
    }
}

/// Labels of mutations that differ from run to run: the earlier response depends on the number of attempts.
const UNSTABLE: &[&str] = &[EARLIER_RESPONSE];

impl Baseline {
    /// `assertions` are the texts of all assertions.
    pub(super) fn of<'a>(
        replay: &Replay,
        results: &MutationResults,
        assertions: impl Iterator<Item = &'a String>,
    ) -> Baseline {
        let mut out = Baseline::default();
        assertions.for_each(|text| *out.assertions.entry(text.clone()).or_default() += 1);
        let outline = &replay.schedule.outline;
        let texts: HashMap<_, _> =
            outline.iter().flat_map(|c| c.sentences.iter().map(|s| (&s.address, (&c.id, one_line(&s.text))))).collect();
        for ((sentence, summary, field), detections) in &results.detections {
            let Some((case, text)) = texts.get(sentence) else { continue };
            let stable = detections.iter().filter(|(label, _)| !UNSTABLE.contains(&label.as_str()));
            let counts: Counts = stable.map(|(label, by)| (label.clone(), by.len())).collect();
            out.insert([case, text, summary, field], counts);
        }
        out
    }

    fn insert(&mut self, [case, sentence, summary, field]: [&String; 4], counts: Counts) {
        if !counts.is_empty() {
            let sentences = self.cases.entry(case.clone()).or_default();
            let observations = sentences.entry(sentence.clone()).or_default();
            observations.entry(summary.clone()).or_default().insert(field.clone(), counts);
        }
    }

    fn get(&self, [case, sentence, summary, field]: [&String; 4]) -> Option<&Counts> {
        self.cases.get(case)?.get(sentence)?.get(summary)?.get(field)
    }

    fn detected(&self) -> impl Iterator<Item = ([&String; 4], &Counts)> {
        self.cases.iter().flat_map(|(case, sentences)| {
            sentences.iter().flat_map(move |(sentence, observations)| {
                observations.iter().flat_map(move |(summary, fields)| {
                    fields.iter().map(move |(field, counts)| ([case, sentence, summary, field], counts))
                })
            })
        })
    }

    /// The number of entries: a mutation of a field that a sentence detects.
    pub fn count(&self) -> usize {
        self.detected().map(|(_, counts)| counts.len()).sum()
    }

    /// This baseline, accepted for a plan with this text.
    pub fn for_plan(self, text: &str) -> Baseline {
        Baseline { plan: digest(text), ..self }
    }

    /// Whether this baseline was accepted for a plan with this text. The same plan cannot detect less.
    pub fn is_for_plan(&self, text: &str) -> bool {
        self.plan == digest(text)
    }

    /// The mutations and assertions that both baselines contain, each with the smaller count.
    pub fn intersection(&self, other: &Baseline) -> Baseline {
        let assertions = smaller(&self.assertions, Some(&other.assertions));
        let mut out = Baseline { plan: self.plan.clone(), cases: BTreeMap::new(), assertions };
        self.detected().for_each(|(key, counts)| out.insert(key, smaller(counts, other.get(key))));
        out
    }

    /// What `now` detects less than this baseline.
    pub fn lost_in(&self, now: &Baseline) -> Vec<Loss> {
        let all = self.detected().map(|(key, counts)| (key, fewer(counts, now.get(key))));
        let detections = all.filter(|(_, fewer)| !fewer.is_empty()).map(|(key, mutations)| {
            let [case, sentence, summary, field] = key.map(String::clone);
            Loss::Detection { case, sentence, summary, field, mutations }
        });
        detections.chain(fewer(&self.assertions, Some(&now.assertions)).into_iter().map(Loss::Assertion)).collect()
    }

    /// The content of the baseline file: JSON with each field on a line.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write_lines(&serde_json::to_value(self).unwrap_or_default(), 0, &mut out);
        out + "\n"
    }
}

/// Nesting of the file's maps up to which each entry has a line of its own.
const LINE_DEPTH: usize = 5;

fn write_lines(v: &serde_json::Value, depth: usize, out: &mut String) {
    match v.as_object().filter(|map| depth < LINE_DEPTH && !map.is_empty()) {
        None => *out += &v.to_string(),
        Some(map) => {
            for (n, (key, v)) in map.iter().enumerate() {
                let start = if n == 0 { "{" } else { "," };
                *out += &format!("{start}\n{:depth$} {}: ", "", serde_json::Value::from(key.as_str()));
                write_lines(v, depth + 1, out);
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

/// What both contain, each with the smaller count.
fn smaller(mine: &Counts, other: Option<&Counts>) -> Counts {
    let both = mine.iter().filter_map(|(of, n)| Some((of.clone(), *other?.get(of)?.min(n))));
    both.filter(|(_, n)| *n > 0).collect()
}

/// Keeps the losses that this run can show: those whose mutations fit the observed values.
pub(super) fn observable_losses(replay: &Replay, losses: Vec<Loss>) -> Vec<Loss> {
    let mut all: HashMap<(String, String), Observed> = HashMap::new();
    losses
        .into_iter()
        .filter_map(|mut loss| {
            if let Loss::Detection { case, summary, field, mutations, .. } = &mut loss {
                let key = (case.clone(), summary.clone());
                let observed = all.entry(key).or_insert_with(|| Observed::of(replay, case, summary));
                let values = observed.values.get(field)?;
                mutations.retain(|m| values.iter().any(|v| fits(&m.of, v, observed.can_be_missing)));
                if mutations.is_empty() {
                    return None;
                }
            }
            Some(loss)
        })
        .collect()
}

/// The values that the actions with the same summary observed in a case.
#[derive(Default)]
struct Observed {
    /// By field.
    values: HashMap<String, Vec<Value>>,
    /// Whether the object of an observation could have been missing.
    can_be_missing: bool,
}

impl Observed {
    fn of(replay: &Replay, case: &str, summary: &str) -> Observed {
        let mut out = Observed::default();
        let Some(c) = replay.schedule.cases.iter().position(|scheduled| scheduled.id == case) else { return out };
        let verbs = verb_actions(&replay.schedule);
        let actions = replay.record.actions.iter().filter(|(at, a)| at.case() == case && a.summary == summary);
        for (at, action) in actions {
            let Some(Ok(output)) = replay.observations(c, at).last().map(|o| &o.result) else { continue };
            let verb = verbs.get(&action.location);
            out.can_be_missing |= verb.is_some_and(|a| a.without_object(&output.value).is_some());
            visit(&output.value, &mut vec![], &mut |path, v| {
                out.values.entry(format_path(path)).or_default().push(v.clone());
            });
        }
        out
    }
}

/// Whether a mutation with this label changes a value.
fn fits(label: &str, v: &Value, can_be_missing: bool) -> bool {
    if label == Mutation::Missing.label() {
        return can_be_missing;
    }
    let some = || "something".to_string();
    let mut mutations = general_mutations(&some());
    mutations.extend([404, 503].map(Mutation::OtherClass));
    mutations.extend([Mutation::NumberIs(-1), Mutation::TextIs(some()), Mutation::GainsMentioned(some())]);
    mutations.extend([Mutation::Added(vec![Value::Null]), Mutation::FieldAdded(vec![some()])]);
    let quoted = |start: &str| label.strip_prefix(start)?.strip_suffix('`').map(String::from);
    mutations.extend(quoted("without `").map(Mutation::Loses));
    mutations.extend(quoted("without what matches `").map(Mutation::LosesMatch));
    mutations.iter().any(|m| m.label() == label && mutate(m, v, 0) != Edit::Unchanged)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(text: &str) -> Baseline {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn reports_what_is_detected_less() {
        let before = baseline(
            r#"{"cases": {"A": {"all there": {"http GET /x": {"body.n": {"one less": 1, "one more": 2}, "status": {"null": 1}}}}},
                "assertions": {"expect: found: false": 2}}"#,
        );
        let now = baseline(
            r#"{"cases": {"A": {"all there": {"http GET /x": {"body.n": {"one more": 1, "dropped": 1}}}}},
                "assertions": {"expect: found: false": 1}}"#,
        );
        let lost = before.lost_in(&now);
        let text = |n: usize| match &lost[n] {
            Loss::Detection { field, mutations, .. } => {
                format!("{field}: {}", mutations.iter().map(Fewer::to_string).collect::<Vec<_>>().join(", "))
            }
            Loss::Assertion(fewer) => fewer.to_string(),
        };
        assert_eq!(lost.len(), 3);
        assert_eq!(text(0), "body.n: one less, one more (1 of 2 left)");
        assert_eq!(text(1), "status: null");
        assert_eq!(text(2), "expect: found: false (1 of 2 left)");
        assert!(before.lost_in(&before).is_empty() && before.count() == 3);
    }

    #[test]
    fn writes_each_field_on_a_line() {
        let text = "{\n \"plan\": \"abc\",\n \"cases\": {\n  \"A\": {\n   \"all there\": {\n    \"http\": {\n     \"n\": {\"null\":1,\"one less\":2}\n    }\n   }\n  }\n },\n \"assertions\": {\n  \"q\": 1\n }\n}\n";
        assert_eq!(baseline(text).to_json(), text);
        let written = Baseline::default().for_plan("plan: A");
        assert_eq!(baseline(&written.to_json()), written);
        assert!(written.is_for_plan("plan: A") && !written.is_for_plan("plan: B"));
    }

    #[test]
    fn only_mutations_that_fit_a_value_are_observable() {
        let fits = |label: &str, v: Value| super::fits(label, &v, false);
        assert!(fits("one more", Value::Int(1)) && !fits("one more", "x".into()));
        assert!(fits("gains mentioned text", "x".into()));
        assert!(fits("list emptied", Value::list(vec![Value::Null])) && !fits("list emptied", Value::list(vec![])));
        assert!(super::fits("object missing", &Value::Null, true) && !fits("object missing", Value::Null));
    }
}
