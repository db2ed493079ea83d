use super::*;
use crate::{diagnostic::Diagnostics, source::Source, value, yaml};
use serde_json::json;

fn compile(expect: &str) -> Pattern {
    let node = yaml::parse(&Arc::new(Source::new("t", expect))).unwrap();
    let mut problems = Diagnostics::default();
    let p = Pattern::compile(&node, &mut problems);
    assert!(problems.0.is_empty(), "{:?}", problems.0);
    p
}

fn results(expect: &str, actual: serde_json::Value) -> Vec<AssertionResult> {
    let p = compile(expect);
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
fn a_placeholder_in_a_regular_expression_is_found_literally() {
    let scope = Scope::default().with("host", "a.b").with("pattern", "a.b").with("n", 5i64);
    for (expect, actual, expected) in [
        ("{$regex: '^${host}$'}", "a.b", true),
        ("{$regex: '^${host}$'}", "axb", false),
        ("{$regex: '^${raw(pattern)}$'}", "axb", true),
        ("{$regex: '^${raw(\"[a-z]{\" + string(n) + \"}\")}$'}", "abcde", true),
        ("{$regex: '^x${n}$'}", "x5", true),
    ] {
        assert_eq!(fits(&compile(expect), Some(&Value::text(actual)), &scope), expected, "{expect}");
    }
}

#[test]
fn an_empty_placeholder_makes_no_assertion() {
    let scope = Scope::default()
        .with("empty", "")
        .with("any", ".*")
        .with("none", Value::from(json!([])))
        .with("schema", Value::from(json!({"title": "x"})));
    let (text, list) = (Value::text("text"), Value::from(json!(["", "b"])));
    for expect in [
        "{$contains: '${empty}'}",
        "{$contains: '${none}'}",
        "{$contains: ['${none}']}",
        "{$regex: '${empty}'}",
        "{$regex: '^${empty}'}",
        "{$regex: '${raw(any)}'}",
        "{$schema: '${schema}'}",
        "{$that: 'it.startsWith(empty)'}",
        "{$that: 'it.contains(empty) && it == \"text\"'}",
        "{$each: {$regex: '${empty}'}}",
        "{$each: {$contains: '${empty}'}}",
        "{$in: [{$contains: '${empty}'}, x]}",
        "{$set: [{$regex: '${empty}'}, b]}",
        "{$type: string, $contains: '${empty}'}",
    ] {
        let pattern = compile(expect);
        assert!(!fits(&pattern, Some(&text), &scope) && !fits(&pattern, Some(&list), &scope), "{expect}");
    }
    let element = compile("{$contains: ['${empty}']}");
    assert!(fits(&element, Some(&list), &scope) && !fits(&element, Some(&text), &scope), "an element may be empty");
    let mut out = vec![];
    match_pattern(&compile("{$contains: '${empty}'}"), "x", Some(&text), &scope, &mut out);
    assert!(out[0].expected.contains("vacuous"), "{out:?}");
}

#[test]
fn refuses_what_every_value_satisfies() {
    for (expect, code) in [
        ("{}", "vacuous-assertion"),
        ("{a: {}}", "vacuous-assertion"),
        ("[{}]", "vacuous-assertion"),
        ("{$contains: ''}", "vacuous-assertion"),
        ("{$contains: []}", "vacuous-assertion"),
        ("{$contains: {}}", "vacuous-assertion"),
        ("{$contains: [{}]}", "vacuous-assertion"),
        ("{$set: [{}]}", "vacuous-assertion"),
        ("{$each: {}}", "vacuous-assertion"),
        ("{$in: [{}, 1]}", "vacuous-assertion"),
        ("{$in: [{$regex: ''}, 1]}", "vacuous-assertion"),
        ("{$each: {$regex: '.*'}}", "vacuous-assertion"),
        ("{$regex: ''}", "vacuous-assertion"),
        ("{$that: 'true'}", "vacuous-assertion"),
        ("{$that: true}", "vacuous-assertion"),
        ("{$that: it == it}", "vacuous-assertion"),
        ("{$that: size(it) >= 0}", "vacuous-assertion"),
        ("{$schema: {}}", "vacuous-assertion"),
        ("{$schema: true}", "vacuous-assertion"),
        ("{$schema: {title: a, description: b, $comment: c}}", "vacuous-assertion"),
        ("{$schema: {properties: {a: {}, b: true}}}", "vacuous-assertion"),
        ("{$schema: {required: []}}", "vacuous-assertion"),
        ("{$schema: {allOf: [{}, true]}}", "vacuous-assertion"),
        ("{$schema: {anyOf: [{type: string}, {}]}}", "vacuous-assertion"),
        ("{$schema: {minLength: 0, pattern: '.*'}}", "vacuous-assertion"),
        ("{$schema: {$ref: '#/$defs/a', $defs: {a: {}}}}", "vacuous-assertion"),
        ("{$schema: {x-mine: 1}}", "vacuous-assertion"),
        ("{$schema: {items: {}}}", "vacuous-assertion"),
        ("{$schema: {typ: string}}", "invalid-schema"),
        ("{$schema: {type: string, nullable: true}}", "invalid-schema"),
        ("{$schema: {properties: {a: {requird: [b]}}}}", "invalid-schema"),
        ("{$schema: {type: string, format: emial}}", "invalid-schema"),
        ("{$schema: {$ref: '#/$defs/a', $defs: {a: {typ: string}}}}", "invalid-schema"),
    ] {
        let node = yaml::parse(&Arc::new(Source::new("t", expect))).unwrap();
        let mut problems = Diagnostics::default();
        Pattern::compile(&node, &mut problems);
        assert_eq!(problems.0.iter().map(|d| d.code).collect::<Vec<_>>(), [code], "{expect}");
    }
}

#[test]
fn a_schema_asserts_formats() {
    for (format, valid, invalid) in [
        ("date-time", "2026-01-02T03:04:05Z", "2026-01-02 03:04:05Z"),
        ("date", "2026-01-02", "2026-02-30"),
        ("time", "03:04:05Z", "03:04"),
        ("duration", "P1DT2H", "1d"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"),
        ("email", "a@b.example", "x"),
        ("idn-email", "ä@b.example", "x"),
        ("uri", "https://a.example/x", "/x y"),
        ("uri-reference", "/x", "a b"),
        ("hostname", "a.example", "-a"),
        ("idn-hostname", "ä.example", "-a"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "1::2::3"),
        ("json-pointer", "/a~0", "a"),
        ("relative-json-pointer", "0/a", "/a"),
        ("uri-template", "/{a}", "/{a"),
        ("regex", "^a$", "("),
    ] {
        for draft in ["2020-12/schema", "2019-09/schema"] {
            let expect = format!("{{$schema: {{$schema: 'https://json-schema.org/draft/{draft}', format: {format}}}}}");
            assert!(holds(&expect, json!(valid)) && !holds(&expect, json!(invalid)), "{format} {draft}");
        }
    }
    let old = "{$schema: {$schema: 'http://json-schema.org/draft-07/schema#', format: uuid}}";
    assert!(!holds(old, json!("x")));
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
    let p = compile(expect);
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
        "{$contains: [a]}",
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
        let node = yaml::parse(&Arc::new(Source::new("t", expect))).unwrap();
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
        let node = yaml::parse(&Arc::new(Source::new("t", format!("n: {expect}")))).unwrap();
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

#[test]
fn a_schema_compares_numbers_by_decimal_value() {
    let valid = |schema: &str, body: &str| {
        let p = compile(&format!("{{ $schema: {schema} }}"));
        let (value, scope) = (value::json::read(body).unwrap(), Scope::default());
        let mut results = vec![];
        match_pattern(&p, "", Some(&value), &scope, &mut results);
        assert!(results.iter().all(|r| !r.inconclusive), "{schema} {body}");
        fits(&p, Some(&value), &scope)
    };
    for (schema, body) in [
        ("{ maximum: 0.1 }", "0.1000000000000000000001"),
        ("{ exclusiveMinimum: 0.1000000000000000000001 }", "0.1000000000000000000001"),
        ("{ minimum: 0.1000000000000000000001 }", "0.1"),
        (
            "{ $schema: 'http://json-schema.org/draft-04/schema#', maximum: 0.1, exclusiveMaximum: true }",
            "0.1000000000000000000001",
        ),
        ("{ $schema: 'http://json-schema.org/draft-04/schema#', maximum: 1.0e+400, exclusiveMaximum: true }", "1e400"),
        ("{ const: 100000000000000000000 }", "100000000000000000001"),
        ("{ const: 100000000000000000001 }", "100000000000000000000"),
        ("{ const: 9007199254740993 }", "9007199254740992"),
        ("{ enum: [100000000000000000000, 1] }", "100000000000000000001"),
        ("{ items: { const: 100000000000000000000 } }", "[100000000000000000001]"),
        ("{ const: { a: [100000000000000000000] } }", "{\"a\": [100000000000000000001]}"),
        ("{ properties: { n: { maximum: 0.1 } } }", "{\"n\": 0.1000000000000000000001}"),
        ("{ maximum: 1.0e+308 }", "1e400"),
        ("{ type: integer }", "12345678901234567890.5"),
        ("{ type: [integer, string] }", "12345678901234567890.5"),
        ("{ multipleOf: 1 }", "12345678901234567890.5"),
        ("{ multipleOf: 0.01 }", "0.1000000000000000000001"),
        ("{ uniqueItems: true }", "[100000000000000000001, 100000000000000000001]"),
        ("{ uniqueItems: true }", "[100000000000000000000, 100000000000000000001, 1e20]"),
        ("{ type: string }", "1e400"),
        ("{ const: 1.0e+400 }", "1.7976931348623157e308"),
    ] {
        assert!(!valid(schema, body), "{schema} {body}");
    }
    for (schema, body) in [
        ("{ type: number }", "1e400"),
        ("{ type: integer }", "100000000000000000001"),
        ("{ type: [string, number], minLength: 50, pattern: x, format: uuid }", "100000000000000000001"),
        ("{ maximum: 0.2 }", "0.1000000000000000000001"),
        ("{ maximum: 0.1000000000000000000001 }", "0.1"),
        ("{ minimum: 0, type: number }", "100000000000000000001"),
        ("{ const: 9007199254740993 }", "9007199254740993"),
        ("{ const: 100000000000000000001 }", "100000000000000000001"),
        ("{ const: 100000000000000000001 }", "100000000000000000001.0"),
        ("{ const: { a: [100000000000000000001] } }", "{\"a\": [100000000000000000001]}"),
        ("{ enum: [100000000000000000000, 100000000000000000001] }", "100000000000000000001"),
        ("{ const: 1.0e+400 }", "10e399"),
        ("{ multipleOf: 0.5 }", "12345678901234567890.5"),
        ("{ uniqueItems: true }", "[100000000000000000000, 100000000000000000001, 1e19]"),
        ("{ uniqueItems: true }", "[1e400, 1.7976931348623157e308, -1e400, 1e401]"),
        ("{ items: { maximum: 1.7976931348623157e+308 } }", "[1.7976931348623157e308, -1e400]"),
    ] {
        assert!(valid(schema, body), "{schema} {body}");
    }
}

#[test]
fn a_schema_finds_headers_in_any_case() {
    let headers = value::Map::from_iter([("x-foo".to_string(), Value::text("a"))]).any_case(true);
    let holds = |schema: &str| {
        fits(&compile(&format!("{{ $schema: {schema} }}")), Some(&headers.clone().into()), &Scope::default())
    };
    assert!(holds("{ required: [X-Foo] }") && holds("{ properties: { X-FOO: { const: a } } }"));
    assert!(!holds("{ properties: { X-Foo: { const: b } } }") && !holds("{ required: [X-Bar] }"));
}
