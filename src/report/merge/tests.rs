use super::*;
use crate::{
    event::{CaseOutline, EventKind, Part},
    outcome::{Blame, Status, Tier, Verdict},
    report::{
        formats::FORMATS,
        gate::{RunVerdict, gate},
        samples::{self, SampleRun},
    },
};
use std::sync::Arc;

const ALL: [&str; 4] = ["A", "B", "C", "D"];

/// A run of a plan of four cases that performed these.
fn shard(id: &str, performed: &[(&str, Verdict)]) -> RunIndex {
    let outline = |case: &str| CaseOutline {
        selected: performed.iter().any(|(id, _)| *id == case),
        ..samples::case(case, "A case", Tier::Must, &[(Part::Expected, "It works")])
    };
    let mut s = SampleRun::begin(ALL.map(outline).to_vec(), |start| {
        start.run = id.into();
        start.environment.targets = vec![("api".into(), format!("http://{id}"))];
    });
    for (case, verdict) in performed.iter().filter(|(_, verdict)| *verdict != Verdict::Skipped) {
        s.emit(case, EventKind::CaseStarted);
        let status = if *verdict == Verdict::Passed { Status::Passed } else { Status::Failed };
        s.sentence(&format!("{case}/expected/0"), status, None);
        let blame = (*verdict != Verdict::Passed).then_some(Blame::Product);
        s.verdict(case, *verdict, blame, None, 100);
    }
    s.end(&[]).index()
}

use Verdict::{Failed, Passed, Skipped};

#[test]
fn the_totals_of_shards_are_those_of_one_run() {
    let shards = vec![shard("r1", &[("A", Passed), ("B", Passed)]), shard("r2", &[("C", Passed), ("D", Passed)])];
    let merged = merge(shards).unwrap();
    let whole = gate(&merged);
    assert_eq!((whole.passed, whole.deciding, whole.verdict), (4, 4, RunVerdict::Passed));
    assert_eq!((merged.start.run.as_str(), merged.start.selection.as_str()), ("r1 r2", "4 of 4 cases in 2 runs"));
    assert_eq!(merged.start.environment.targets, [("api".to_owned(), "http://r1; http://r2".to_owned())]);
    assert!(merged.notes.is_empty() && merged.complete, "{:?}", merged.notes);
}

#[test]
fn a_failure_in_one_shard_fails_the_whole() {
    let shards = vec![shard("r1", &[("A", Passed), ("B", Failed)]), shard("r2", &[("C", Passed), ("D", Passed)])];
    let whole = gate(&merge(shards).unwrap());
    assert_eq!((whole.passed, whole.deciding, whole.verdict), (3, 4, RunVerdict::Failed));
}

#[test]
fn a_case_of_two_runs_is_counted_once_with_its_worst_result() {
    for order in [["r1", "r2"], ["r2", "r1"]] {
        let one = |id: &str| match id {
            "r1" => shard("r1", &[("A", Passed), ("B", Failed)]),
            _ => shard("r2", &[("B", Passed), ("C", Passed), ("D", Passed)]),
        };
        let merged = merge(order.map(one).to_vec()).unwrap();
        assert_eq!(merged.notes, ["B is in 2 runs (r1 and r2): the worst result counts, failed in r1"]);
        let whole = gate(&merged);
        assert_eq!((whole.passed, whole.deciding, whole.verdict), (3, 4, RunVerdict::Failed));
    }
}

#[test]
fn a_case_of_no_run_is_named() {
    let merged = merge(vec![shard("r1", &[("A", Passed)]), shard("r2", &[("C", Passed)])]).unwrap();
    assert_eq!(merged.notes, ["2 cases of the plan are in no run: B and D"]);
    assert_eq!(gate(&merged).deciding, 2);
}

#[test]
fn a_shard_that_did_not_end_keeps_the_whole_from_passing() {
    let mut killed = shard("r2", &[("C", Passed), ("D", Skipped)]);
    killed.complete = false;
    let merged = merge(vec![shard("r1", &[("A", Passed), ("B", Passed)]), killed]).unwrap();
    assert_eq!(gate(&merged).verdict, RunVerdict::Interrupted);
}

#[test]
fn runs_that_do_not_belong_together_are_refused() {
    let two = |change: fn(&mut RunIndex)| {
        let mut other = shard("r2", &[("C", Passed)]);
        change(&mut other);
        merge(vec![shard("r1", &[("A", Passed)]), other]).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(two(|_| {}), "");
    assert_eq!(two(|r| r.start.run = "r1".into()), "the run `r1` is named twice");
    assert_eq!(
        two(|r| r.start.environment.name = "staging".into()),
        "`r1` and `r2` differ in the environment: `sandbox` and `staging`"
    );
    assert_eq!(
        two(|r| r.start.plan.digest = Some("ab".repeat(32))),
        "`r1` and `r2` differ in the digest of the plan: `0f0f0f0f0f0f` and `abababababab`"
    );
    assert_eq!(
        two(|r| r.start.gate = vec![Tier::Must]),
        "`r1` and `r2` differ in the gate: `must, should and nice` and `must`"
    );
    assert!(two(|r| r.start.plan.id = "X".into()).contains("differ in the plan"));
    // journals of old versions have no digest
    let changed = two(|r| {
        r.start.plan.digest = None;
        let outline = Arc::make_mut(&mut r.cases[0].outline);
        Arc::make_mut(&mut outline.sentences[0]).text = "It works well".into();
    });
    assert!(changed.contains("different cases or sentences"), "{changed}");
}

#[test]
fn every_format_writes_a_merged_run() {
    let merged = merge(vec![shard("r1", &[("A", Passed), ("B", Failed)]), shard("r2", &[("C", Passed)])]).unwrap();
    for format in FORMATS {
        let mut out = vec![];
        (format.write)(&merged, "tp-runner report r1 r2", &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(["A", "B", "C"].iter().all(|id| text.contains(id)), "{}: {text}", format.name);
    }
}
