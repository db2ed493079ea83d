//! The report against its schema.
use super::write;
use crate::report::{
    index_builder::IndexBuilder,
    retry_tests::retried,
    run_index::RunIndex,
    samples::{self, hostile},
};
use serde_json::{Value, json};

fn written(run: &RunIndex) -> Value {
    let mut out = vec![];
    write(run, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(include_str!("../../../docs/report.schema.json")).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[test]
fn every_sample_matches_the_schema() {
    let schema = schema();
    let runs =
        [samples::passing().index(), samples::mixed().index(), retried().index(), IndexBuilder::build([]), hostile()];
    for run in runs {
        let report = written(&run);
        assert_eq!(schema.iter_errors(&report).map(|e| format!("{e} at {}", e.instance_path())).next(), None);
    }
}

/// Changes each object and each value of a report once.
#[test]
fn the_schema_refuses_every_missing_and_every_unknown_key() {
    let schema = schema();
    let report = written(&samples::mixed().index());
    let mut paths = vec![];
    collect(&report, String::new(), &mut paths);
    assert!(paths.len() > 80, "{}", paths.len());
    // lists have many equal objects: the first two of each
    for path in paths.iter().filter(|p| !p.split('/').any(|s| s.parse::<usize>().is_ok_and(|n| n > 1))) {
        let keys: Vec<String> = report.pointer(path).unwrap().as_object().unwrap().keys().cloned().collect();
        for key in &keys {
            let mut broken = report.clone();
            broken.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(key);
            assert!(!schema.is_valid(&broken), "without {path}/{key}");
            let mut broken = report.clone();
            broken.pointer_mut(path).unwrap()[key] = json!([{ "unknown": 1 }]);
            assert!(!schema.is_valid(&broken), "with a list of objects in {path}/{key}");
        }
        let mut broken = report.clone();
        broken.pointer_mut(path).unwrap()["unknown"] = json!(1);
        assert!(!schema.is_valid(&broken), "with {path}/unknown");
    }
    let mut broken = report.clone();
    broken["version"] = json!(2);
    assert!(!schema.is_valid(&broken));
}

/// The pointers of all objects.
fn collect(value: &Value, path: String, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| collect(value, format!("{path}/{key}"), into));
            into.push(path);
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| collect(item, format!("{path}/{n}"), into));
        }
        _ => {}
    }
}

#[test]
fn has_everything_that_was_observed() {
    let report = written(&samples::mixed().index());
    let case = &report["cases"][0];
    assert_eq!(case["verdict"], "failed");
    assert_eq!(case["deciding_sentence"], "TC-1/steps/0");
    let sentence = &case["sentences"][1];
    assert_eq!(sentence["location"], json!({ "file": "plans/TP-900.yaml", "line": 21, "column": 9 }));
    let action = &sentence["actions"][1];
    assert_eq!(action["items"], json!(["1"]));
    assert_eq!(action["assertions"][0]["actual"], "500");
    assert_eq!(action["evidence"][0], json!({ "kind": "request", "text": "POST /greetings\n\n{\"to\": \"Ann\"}" }));
    let timeline = &case["sentences"][2]["actions"][0]["timeline"];
    assert_eq!(timeline[1]["attempts"], 3);
    assert_eq!(case["not_undone"][0]["reason"], "connection refused");
    assert_eq!(case["on_failure"][0]["evidence"][0]["text"], "12:00 panic averted");
    assert_eq!(report["gate"]["verdict"], "failed");
    assert_eq!(report["environment"]["targets"][0]["value"], "https://greeter.example");
}
