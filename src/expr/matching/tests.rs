use super::*;
use crate::{diagnostic::Diagnostics, source::Source, yaml};
use serde_json::json;

fn results(expect: &str, actual: serde_json::Value) -> Vec<AssertionResult> {
    let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: expect.into() })).unwrap();
    let mut problems = Diagnostics::default();
    let p = Pattern::compile(&node, &mut problems);
    assert!(problems.0.is_empty(), "{:?}", problems.0);
    let scope = Scope::default().with("name", "ann").with("names", Value::from(json!(["a", "b"])));
    let mut out = vec![];
    match_pattern(&p, "", Some(&Value::from(actual)), &scope, &mut out);
    assert!(!out.is_empty(), "no result");
    out
}
fn holds(expect: &str, actual: serde_json::Value) -> bool {
    results(expect, actual).iter().all(|f| f.holds)
}

#[test]
fn maps_are_subsets_and_literals_are_typed() {
    assert!(holds("{a: 1}", json!({"a": 1, "b": 2})));
    assert!(!holds("{a: 1}", json!({"a": "1"})));
    assert!(!holds("{a: {b: 1}}", json!({"a": null})));
    assert!(!holds("{a: {b: $absent}}", json!({})), "an absent map has no absent fields");
    assert!(holds("{a: {b: $absent}}", json!({"a": {}})));
    assert!(!holds("{a: 1}", json!([1])));
    assert!(holds("{who: '${name}'}", json!({"who": "ann"})));
    assert!(!holds("{who: '${unbound}'}", json!({"who": "ann"})));
}

#[test]
fn lists_are_exact() {
    assert!(holds("[1, {a: 2}]", json!([1, {"a": 2, "b": 3}])));
    assert!(!holds("[1]", json!([1, 2])));
    assert!(!holds("[1, 2]", json!([2, 1])));
    assert!(holds("[]", json!([])));
    assert!(!holds("[]", json!([1])));
    assert!(!holds("[]", json!({})));
}

#[test]
fn every_matcher_can_pass_and_fail() {
    for (expect, good, bad) in [
        ("{$set: [1, 2]}", json!([2, 1]), json!([1, 1])),
        ("{$set: [{$type: int}, 1]}", json!([1, 2]), json!([2, 3])),
        ("{$set: '${names}'}", json!(["b", "a"]), json!(["b", "a", "a"])),
        ("{$contains: {a: 1}}", json!([{"b": 1}, {"a": 1}]), json!([{"a": 2}])),
        ("{$contains: [1, 1]}", json!([1, 2, 1]), json!([1, 2])),
        ("{$contains: ell}", json!("hello"), json!("hallo")),
        ("{$each: {a: $nonempty}}", json!([{"a": 1}]), json!([])),
        ("{$each: {a: 1}}", json!([{"a": 1}, {"a": 1}]), json!([{"a": 1}, {"a": 2}])),
        ("{$in: [1, 2]}", json!(2), json!(3)),
        ("{$in: '${names}'}", json!("a"), json!("c")),
        ("{$regex: '^a+$'}", json!("aaa"), json!("ab")),
        ("{$type: int}", json!(1), json!(1.5)),
        ("{$type: number}", json!(1.5), json!("1")),
        ("$time", json!("2026-01-02T03:04:05Z"), json!("yesterday")),
        ("{a: $absent}", json!({}), json!({"a": null})),
        ("$nonempty", json!("x"), json!("")),
        ("{$schema: {type: object, required: [a]}}", json!({"a": 1}), json!({})),
        ("{$that: it > 3}", json!(4), json!(3)),
        ("{$that: it > 3}", json!(4), json!("x")),
        ("{$type: string, $regex: b}", json!("abc"), json!("xyz")),
        ("$$word", json!("$word"), json!("word")),
    ] {
        assert!(holds(expect, good), "{expect} should hold");
        assert!(!holds(expect, bad), "{expect} should fail");
    }
}

#[test]
fn reports_every_difference() {
    let all = results("{a: 1, b: {c: 2, d: 3}, e: [1]}", json!({"a": 2, "b": {"c": 2}, "e": [1, 2]}));
    let failed: Vec<_> = all.iter().filter(|f| !f.holds).map(|f| (f.subject.as_str(), f.actual.as_str())).collect();
    assert_eq!(failed, [("a", "2"), ("b.d", "absent"), ("e", "[1,2]")]);
    assert!(all.iter().all(|f| f.holds == f.location.is_none()));
}
