use super::*;
use crate::{diagnostic::Diagnostics, source::Source, value, yaml};
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

/// Holds, failed or inconclusive.
fn over(expect: &str, actual: &Value) -> &'static str {
    let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: expect.into() })).unwrap();
    let mut problems = Diagnostics::default();
    let p = Pattern::compile(&node, &mut problems);
    assert!(problems.0.is_empty(), "{:?}", problems.0);
    let scope = Scope::default().with("all", Value::from(json!(["a", "b"])));
    let mut out = vec![];
    match_pattern(&p, "x", Some(actual), &scope, &mut out);
    assert!(out.iter().all(|r| r.holds || r.actual == "the reason"), "{expect}: {out:?}");
    match () {
        () if out.iter().all(|r| r.holds) => "holds",
        () if out.iter().all(|r| r.holds || r.inconclusive) => "inconclusive",
        () => "failed",
    }
}

#[test]
fn nothing_holds_for_a_field_that_was_not_observed() {
    let whole = Value::map([("f".into(), Value::unset("the reason"))]);
    for pattern in [
        "$absent",
        "$nonempty",
        "null",
        "[]",
        "''",
        "{$set: []}",
        "{$in: [null, 1]}",
        "{$type: 'null'}",
        "{$that: it == null}",
        "{$that: it != 1}",
        "{$regex: '^$'}",
        "{$schema: {type: 'null'}}",
        "{deep: {er: $absent}}",
        "{$contains: []}",
        "'${all}'",
    ] {
        assert_eq!(over(pattern, &Value::unset("the reason")), "failed", "{pattern}");
        assert_eq!(over(&format!("{{f: {pattern}}}"), &whole), "failed", "{pattern}");
    }
}

#[test]
fn a_part_of_a_value_shows_only_what_it_contains() {
    let list = Value::partial(Value::from(json!(["a", "b"])), "the reason");
    let text = Value::partial(Value::text("one two"), "the reason");
    for (pattern, value, expected) in [
        ("{$contains: [b]}", &list, "holds"),
        ("{$contains: b}", &list, "holds"),
        ("{$contains: c}", &list, "inconclusive"),
        ("[a, b]", &list, "inconclusive"),
        ("'${all}'", &list, "inconclusive"),
        ("{$set: [b, a]}", &list, "inconclusive"),
        ("[]", &list, "inconclusive"),
        ("$absent", &list, "inconclusive"),
        ("$nonempty", &list, "holds"),
        ("{$type: list}", &list, "holds"),
        ("{$each: {$type: string}}", &list, "inconclusive"),
        ("{$that: 'it.exists(x, x == \"b\")'}", &list, "holds"),
        ("{$that: 'it.exists(x, x == \"c\")'}", &list, "inconclusive"),
        ("{$that: 'it.all(x, x != \"c\")'}", &list, "inconclusive"),
        ("{$that: 'size(it) == 2'}", &list, "inconclusive"),
        ("{$that: 'size(it) > 0'}", &list, "inconclusive"),
        ("{$that: 'it[1]'}", &Value::partial(Value::from(json!([false, true])), "the reason"), "holds"),
        ("{$that: 'it[2] != \"b\"'}", &list, "inconclusive"),
        ("{$that: '\"a\" in it'}", &list, "holds"),
        ("{$that: '!(\"c\" in it)'}", &list, "inconclusive"),
        ("{$that: 'it != [\"a\"]'}", &list, "inconclusive"),
        ("{$that: '[\"a\"] != it'}", &list, "inconclusive"),
        ("{$that: 'it.filter(x, x == \"c\") == []'}", &list, "inconclusive"),
        ("{$contains: two}", &text, "holds"),
        ("{$contains: three}", &text, "inconclusive"),
        ("{$regex: '^one'}", &text, "holds"),
        ("{$regex: 'two$'}", &text, "inconclusive"),
        ("{$regex: 'three'}", &text, "inconclusive"),
        ("one two", &text, "inconclusive"),
        ("{$in: ['one two']}", &text, "inconclusive"),
        ("{$that: '!it.contains(\"three\")'}", &text, "inconclusive"),
        ("{$that: 'size(it) < 9'}", &text, "inconclusive"),
        ("{$schema: {type: string}}", &text, "inconclusive"),
    ] {
        assert_eq!(over(pattern, value), expected, "{pattern}");
    }
    let failed = results("{$each: {$type: int}}", json!(["a"])).len();
    assert_eq!(failed, 1);
}

#[test]
fn header_names_match_in_any_case() {
    let headers = value::Map::from_iter([("x-foo".to_string(), Value::text("a"))]).any_case(true);
    let observed = Value::map([("headers".to_string(), Value::from(headers))]);
    let holds = |expect: &str| {
        let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: expect.into() })).unwrap();
        fits(&Pattern::compile(&node, &mut Diagnostics::default()), Some(&observed), &Scope::default())
    };
    for name in ["x-foo", "X-Foo", "X-FOO"] {
        assert!(holds(&format!("headers: {{ {name}: a }}")), "{name}");
        assert!(!holds(&format!("headers: {{ {name}: $absent }}")), "{name}");
        assert!(!holds(&format!("headers: {{ {name}: b }}")), "{name}");
    }
    assert!(holds("headers: { X-Bar: $absent }"));
}

#[test]
fn numbers_match_by_decimal_value() {
    let read = |text: &str| value::json::read(text).unwrap();
    let holds = |expect: &str, body: &str| {
        let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: format!("n: {expect}") })).unwrap();
        let pattern = Pattern::compile(&node, &mut Diagnostics::default());
        fits(&pattern, Some(&Value::map([("n".to_string(), read(body))])), &Scope::default())
    };
    let spellings = [
        "9007199254740993",
        "9007199254740992.0",
        "18446744073709551615",
        "1.8446744073709552e19",
        "1e400",
        "36893488147419103232",
        "36893488147419103233",
        "1234567890.12345678901",
        "0.1",
        "2.5e-3",
        "-7",
        "1e21",
    ];
    for a in spellings {
        for b in spellings {
            assert_eq!(holds(a, b), a == b, "{a} and {b}");
        }
        assert!(holds("{ $type: number }", a), "{a}");
    }
    assert!(holds("10e399", "1e400") && holds("9007199254740992", "9007199254740992.0") && holds("0", "-0.0"));
    assert!(holds("1234567890.123456789010", "1234567890.12345678901"));
}
