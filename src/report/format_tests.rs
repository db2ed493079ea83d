//! What holds for every format.
use super::{
    console::neutral::neutral,
    formats::{FORMATS, Format},
    github,
    index_builder::IndexBuilder,
    retry_tests::retried,
    run_index::RunIndex,
    samples::{self, hostile},
};
use serde_json::Value;

fn written(format: &Format, run: &RunIndex) -> String {
    let mut out = vec![];
    (format.write)(run, "tests/reports/greetings.md", &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn format(name: &str) -> &'static Format {
    FORMATS.into_iter().find(|f| f.name == name).unwrap()
}

fn samples() -> [(&'static str, RunIndex); 5] {
    [
        ("passing", samples::passing().index()),
        ("mixed", samples::mixed().index()),
        ("retried", retried().index()),
        ("empty", IndexBuilder::build([])),
        ("hostile", hostile()),
    ]
}

fn annotations(run: &RunIndex) -> String {
    let mut out = vec![];
    github::annotations(run, &|file| Some(file.to_owned()), "tests/reports/greetings.md", &mut out).unwrap();
    github::job_summary(run, "tests/reports/greetings.md", &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// `SNAPSHOTS=overwrite` rewrites the files.
#[test]
fn samples_match_their_snapshots() {
    for (name, run) in samples().into_iter().filter(|(name, _)| *name != "hostile") {
        // the page of the `mixed` run has all that this one has
        let formats = FORMATS[1..].iter().filter(|f| name != "retried" || f.name != "html");
        let texts = formats.map(|f| (f.extension, written(f, &run))).chain([("github.txt", annotations(&run))]);
        for (extension, mut text) in texts {
            if extension.ends_with("json") {
                let value: Value = serde_json::from_str(&text).unwrap();
                text = serde_json::to_string_pretty(&value).unwrap() + "\n";
            }
            let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
            let path = format!("{}/tests/fixtures/reports/{name}.{extension}", env!("CARGO_MANIFEST_DIR"));
            let expected = snapbox::Data::read_from(path.as_ref(), Some(snapbox::data::DataFormat::Text));
            snapbox::Assert::new().action_env("SNAPSHOTS").eq(text, expected.raw());
        }
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    for (name, run) in samples() {
        for format in FORMATS {
            assert_eq!(written(format, &run), written(format, &run.clone()), "{name} as {}", format.name);
        }
    }
}

#[test]
fn what_can_be_printed_contains_no_commands() {
    for (name, run) in samples() {
        for format in FORMATS.iter().filter(|f| f.is_neutral) {
            let text = written(format, &run);
            assert_eq!(neutral(&text), text, "{name} as {}", format.name);
        }
    }
}

#[test]
fn json_keeps_hostile_texts_as_they_are() {
    let run = hostile();
    let report: Value = serde_json::from_str(&written(format("json"), &run)).unwrap();
    let (sentence, read) = (&run.cases[0].sentences[1], &report["cases"][0]["sentences"][1]);
    assert_eq!(read["text"], sentence.outline.text.as_str());
    for (action, read) in sentence.actions.iter().zip(read["actions"].as_array().unwrap()) {
        assert_eq!(read["summary"], action.summary.as_str());
        for (evidence, read) in action.evidence.iter().zip(read["evidence"].as_array().unwrap()) {
            assert_eq!(read["text"], evidence.text.as_str());
        }
    }
}

#[test]
fn ctrf_matches_its_schema() {
    let schema: Value = serde_json::from_str(include_str!("../../tests/fixtures/reports/ctrf.schema.json")).unwrap();
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for (name, run) in samples() {
        let report: Value = serde_json::from_str(&written(format("ctrf"), &run)).unwrap();
        assert_eq!(schema.iter_errors(&report).map(|e| format!("{e}")).next(), None, "{name}");
        let summary = &report["results"]["summary"];
        let sum: u64 =
            ["passed", "failed", "skipped", "pending", "other"].iter().map(|n| summary[n].as_u64().unwrap()).sum();
        assert_eq!(sum, summary["tests"].as_u64().unwrap());
        for key in ["reportFormat", "specVersion", "results"] {
            let mut broken = report.clone();
            broken.as_object_mut().unwrap().remove(key);
            assert!(!schema.is_valid(&broken), "{key}");
        }
    }
    let report: Value = serde_json::from_str(&written(format("ctrf"), &samples::mixed().index())).unwrap();
    let tests: Vec<String> =
        report["results"]["tests"].as_array().unwrap().iter().map(|t| t["status"].to_string()).collect();
    assert_eq!(tests.join(" ").replace('"', ""), "failed failed failed failed skipped failed");
    assert_eq!(report["results"]["tests"][0]["line"], 42);
}
