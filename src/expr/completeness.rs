//! A table of assertions × values that were not, or not completely, observed. None holds for a value that was not
//! observed. One that holds for a part holds for everything the whole could be.
use super::{
    Expression, Scope,
    assertion::evaluate_checks,
    matching::match_pattern,
    pattern::{Matcher, Pattern},
};
use crate::{
    diagnostic::Diagnostics,
    source::Source,
    value::{Map, Value},
    yaml,
};
use serde_json::json;
use std::sync::Arc;

/// Patterns; `A`, `B` are in the received part, `C` is not.
const PATTERNS: &[&str] = &[
    "$absent",
    "$nonempty",
    "$time",
    "null",
    "''",
    "[]",
    "[A]",
    "[A, B]",
    "[$nonempty, $nonempty]",
    "A",
    "A B",
    "C",
    "0",
    "false",
    "{ A: 1 }",
    "{ A: 1, C: $absent }",
    "{ C: $absent }",
    "{ C: { D: $absent } }",
    "{ A: $nonempty }",
    "{ $set: [] }",
    "{ $set: [A, B] }",
    "{ $set: '${ab}' }",
    "{ $contains: [A] }",
    "{ $contains: [A, C] }",
    "{ $contains: A }",
    "{ $contains: C }",
    "{ $contains: '${ab}' }",
    "{ $each: $nonempty }",
    "{ $each: { $type: string } }",
    "{ $each: { $in: [A, B] } }",
    "{ $each: C }",
    "{ $in: [null, 1, [], ''] }",
    "{ $in: [[A, B], A B] }",
    "{ $in: [$nonempty, null] }",
    "{ $in: [$absent, []] }",
    "{ $in: '${ab}' }",
    "{ $in: [{ $contains: A }, C] }",
    "{ $in: [{ $type: list }, { $type: string }] }",
    "{ $regex: '^A' }",
    "{ $regex: 'B$' }",
    "{ $regex: '^$' }",
    "{ $regex: '^[AB ]*$' }",
    "{ $regex: 'A[^C]*$' }",
    "{ $regex: '^A(?s:.)*' }",
    "{ $type: string }",
    "{ $type: list }",
    "{ $type: map }",
    "{ $type: 'null' }",
    "{ $type: list, $contains: B }",
    "{ $type: string, $regex: '^A B$' }",
    "{ $schema: { type: [array, string, object, 'null'], maxItems: 2, maxLength: 3, maxProperties: 2 } }",
    "{ $schema: { type: 'null' } }",
    "{ $schema: { not: { contains: { const: C } } } }",
    "'${ab}'",
    "'${nothing}'",
];

/// Expressions over `it`.
const CHECKS: &[&str] = &[
    "it.startsWith('A B C')",
    "it.matches('A.B')",
    "it.matches('B$')",
    "'A B'.contains(it)",
    "!'A B'.contains(it)",
    "type(it) != string",
    "it.lowerAscii() != 'c'",
    "it == null",
    "it != null",
    "it == []",
    "it != []",
    "it == ''",
    "it != ''",
    "it == {}",
    "it != {}",
    "it == 'A B'",
    "it != 'A B C'",
    "it == ab",
    "ab != it",
    "it in [null, [], '', {}]",
    "!(it in ['C', ab])",
    "[it] != [ab]",
    "[it] == [ab]",
    "{'k': it} != {'k': ab}",
    "{'k': it}.k == ab",
    "[it][0] != 'C'",
    "size(it) == 0",
    "size(it) == 2",
    "size(it) != 3",
    "size(it) > 0",
    "size(it) < 9",
    "it.size() <= 3",
    "'A' in it",
    "'C' in it",
    "!('C' in it)",
    "('C' in it) == false",
    "['A', 'C'].exists(x, x in it)",
    "['C', 'D'].all(x, !(x in it))",
    "it.all(x, x != 'C')",
    "it.all(x, x != 'A')",
    "!it.all(x, x == 'A')",
    "it.exists(x, x == 'A')",
    "it.exists(x, x == 'C')",
    "!it.exists(x, x == 'C')",
    "it.exists_one(x, x == 'A')",
    "!it.exists_one(x, x == 'C')",
    "it.filter(x, x == 'C') == []",
    "size(it.filter(x, x == 'A')) == 1",
    "it.map(x, x) == ['A', 'B']",
    "it.map(x, x) != ['A']",
    "it.map(x, x == 'C') == [false, false]",
    "it[0] == 'A'",
    "it[1] != 'C'",
    "it[2] != 'C'",
    "it[size(it) - 1] == 'B'",
    "it + ['Z'] == ['A', 'B', 'Z']",
    "it + ['Z'] != ['A', 'Z']",
    "['Z'] + it != []",
    "it + 'Z' == 'A BZ'",
    "it.contains('A')",
    "it.contains('C')",
    "!it.contains('C')",
    "it.contains('C') == false",
    "it.startsWith('A')",
    "!it.startsWith('C')",
    "it.endsWith('B')",
    "!it.endsWith('C')",
    "it.matches('^A')",
    "it.matches('^[AB ]*$')",
    "!it.matches('C')",
    "it.indexOf('C') == -1",
    "it.lastIndexOf('A') == 0",
    "it.split(' ') == ['A', 'B']",
    "size(it.split('C')) == 1",
    "it.substring(0, 1) == 'A'",
    "it.charAt(0) == 'A'",
    "it.lowerAscii() == 'a b'",
    "it.trim() == 'A B'",
    "it.replace('C', '') == 'A B'",
    "it.reverse() != ['A', 'B']",
    "it.join(',') == 'A,B'",
    "it.distinct() == ab",
    "it.sort() == ab",
    "it.slice(0, 2) == ab",
    "it.flatten() == ab",
    "'%s'.format([it]) != ''",
    "string(it) == 'A B'",
    "string(it) != 'C'",
    "type(it) != string || type(it) == string && it != 'C'",
    "it < 'B'",
    "it >= 'A'",
    "dyn(it) == ab",
    "secrets_in(it) == []",
    "secrets_in([it]) == []",
    "size(secrets_in(it)) == 0",
    "json(it) == {}",
    "has(it.A)",
    "has(it.C)",
    "!has(it.C)",
    "!has(it.C.D)",
    "it.A == 1",
    "it.C != 1",
    "it['A'] == 1",
    "it['C'] != 1",
    "it.?C.hasValue() == false",
    "it.?C.orValue(0) == 0",
    "it[?2].hasValue() == false",
    "it.all(k, k != 'C')",
    "it.map(k, k) == ['A', 'B']",
    "it ? true : false",
    "(it == null ? 1 : 2) == 2",
    "it == 1 || it != null && it != 'C'",
    "1 == 1 && it != 'C'",
    "!(it == 'C' || it == null)",
    "it != 0 && it != 'C'",
    "type(it) != int",
    "type(it) == type(null)",
    "[it, 1].all(x, x != 'C')",
    "[it].filter(x, x == 'C') == []",
    "[it].exists(x, x != 'C')",
    "math.greatest(size(it), 2) == 2",
];

/// An assertion over the value `it`.
enum Assertion {
    Pattern(Pattern),
    Check(Expression),
}

impl Assertion {
    fn pattern(text: &str) -> Assertion {
        let node = yaml::parse(&Arc::new(Source::new("t", text))).unwrap();
        let mut problems = Diagnostics::default();
        let p = Pattern::compile(&node, &mut problems);
        assert!(
            problems.0.is_empty() && !matches!(&p.matcher, Matcher::All(all) if all.is_empty()),
            "{text}: {problems:?}"
        );
        Assertion::Pattern(p)
    }

    fn check(text: &str) -> Assertion {
        let text = format!("|-\n  {text}");
        let node = yaml::parse(&Arc::new(Source::new("t", text))).unwrap();
        let length = node.as_str().unwrap().len();
        Assertion::Check(Expression::compile(&node, 0..length).unwrap_or_else(|e| panic!("{e:?}")))
    }

    fn holds(&self, value: &Value) -> bool {
        let ab = Value::list(vec!["A".into(), "B".into()]);
        let scope = Scope::default().with("ab", ab).with("nothing", Value::Null).with("it", value.clone());
        let mut results = vec![];
        match self {
            Assertion::Pattern(p) => match_pattern(p, "x", Some(value), &scope, &mut results),
            Assertion::Check(e) => evaluate_checks(&[(e.clone(), e.span().clone())], &scope, &mut results),
        }
        assert!(!results.is_empty());
        results.iter().all(|r| r.holds)
    }
}

/// Every assertion, with its text, alone and inside others.
fn assertions() -> Vec<(String, Assertion)> {
    let mut all = vec![];
    for pattern in PATTERNS {
        all.push((pattern.to_string(), Assertion::pattern(pattern)));
        let choice = format!("{{ $in: [{pattern}, 77] }}");
        all.push((choice.clone(), Assertion::pattern(&choice)));
    }
    for check in CHECKS {
        all.push((check.to_string(), Assertion::check(check)));
        for around in ["!(_)", "(_) == false", "[1].all(y, _)", "![1].exists(y, _)", "(_) ? true : false", "(_) && (_)"]
        {
            let text = around.replace('_', check);
            all.push((text.clone(), Assertion::check(&text)));
        }
        if let Assertion::Check(e) = Assertion::check(check)
            && e.vacuous().is_none()
        {
            let that = format!("{{ $that: {} }}", serde_json::Value::from(*check));
            all.push((that.clone(), Assertion::pattern(&that)));
        }
    }
    all
}

type Place = fn(Value) -> Value;

/// What a value can be part of, with the assertion about it there.
fn places(assertion: &str) -> Vec<(String, Place)> {
    let field = |v: Value| Value::map([("f".to_string(), v)]);
    let element = |v: Value| Value::list(vec![v]);
    let deep = |v: Value| Value::map([("f".to_string(), Value::list(vec![Value::map([("g".to_string(), v)])]))]);
    let of = |replacement: &str| {
        let mut out = String::new();
        // the name `it`, not a part of a word
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let mut rest = assertion;
        while let Some(i) = rest.find("it") {
            let whole = !is_word(rest[..i].chars().next_back()) && !is_word(rest[i + 2..].chars().next());
            out += &rest[..i];
            out += if whole { replacement } else { "it" };
            rest = &rest[i + 2..];
        }
        out + rest
    };
    vec![
        (of("it.f"), field),
        (of("it['f']"), field),
        (of("it[0]"), element),
        (of("it.f[0].g"), deep),
        (of("it.?f.orValue('C')"), field),
        (of("it[?0].orValue([])"), element),
    ]
}

#[test]
fn nothing_holds_for_a_value_that_was_not_observed() {
    let unset = Value::unset("the reason");
    let mut wrong = vec![];
    let mut check = |text: &str, assertion: &Assertion, value: &Value| {
        if assertion.holds(value) {
            wrong.push(text.to_string());
        }
    };
    for (text, assertion) in assertions() {
        check(&text, &assertion, &unset);
        if let Assertion::Pattern(_) = assertion {
            for (text, value) in [
                (format!("{{ f: {text} }}"), Value::map([("f".to_string(), unset.clone())])),
                (format!("[{text}]"), Value::list(vec![unset.clone()])),
                (format!("{{ $each: {text} }}"), Value::list(vec![unset.clone()])),
                (format!("{{ f: {{ g: {text} }} }}"), Value::map([("f".to_string(), unset.clone())])),
            ] {
                check(&text, &Assertion::pattern(&text), &value);
            }
        }
    }
    for (text, place) in CHECKS.iter().flat_map(|text| places(text)) {
        check(&text, &Assertion::check(&text), &place(unset.clone()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_holds_for_a_part_holds_for_the_whole() {
    let list = |texts: &[&str]| Value::list(texts.iter().map(|t| Value::text(*t)).collect());
    let map = |json: serde_json::Value| Value::from(json);
    let headers = |json: serde_json::Value| match Value::from(json) {
        Value::Map(m) => Value::from(Map::clone(&m).any_case(true)),
        other => other,
    };
    let kinds: [(Value, Vec<Value>); 7] = [
        (
            Value::Null,
            vec![Value::Null, "A B".into(), list(&["A", "B", "C"]), map(json!({"C": {"D": 1}})), Value::Int(0)],
        ),
        (
            list(&["A", "B"]),
            vec![list(&["A", "B"]), list(&["A", "B", "C"]), list(&["A", "B", "A"]), list(&["A", "B", ""])],
        ),
        (list(&[]), vec![list(&[]), list(&["A"]), list(&["A", "B"]), list(&["C"]), list(&["A", "A"])]),
        ("A B".into(), vec!["A B".into(), "A B C".into(), "A BA".into(), "A B\n".into(), "A BB".into()]),
        ("".into(), vec!["".into(), "A B".into(), "C".into(), "A".into(), " ".into()]),
        (
            map(json!({"A": 1, "B": 2})),
            vec![
                map(json!({"A": 1, "B": 2})),
                map(json!({"A": 1, "B": 2, "C": 1})),
                map(json!({"A": 1, "B": 2, "C": {"D": 1}})),
            ],
        ),
        (
            headers(json!({"a": 1})),
            vec![headers(json!({"a": 1})), headers(json!({"a": 1, "c": 1})), headers(json!({"a": 1, "b": 2}))],
        ),
    ];
    let (mut held, mut wrong) = (0, vec![]);
    let mut compare = |text: &str, assertion: &Assertion, part: &Value, wholes: &[Value]| {
        if assertion.holds(part) {
            held += 1;
            wrong.extend(
                wholes.iter().find(|w| !assertion.holds(w)).map(|w| format!("{text} holds for a part, not for {w}")),
            );
        }
    };
    for (part, wholes) in kinds {
        let partial = Value::partial(part, "the reason");
        for (text, assertion) in assertions() {
            compare(&text, &assertion, &partial, &wholes);
        }
        for (text, place) in CHECKS.iter().flat_map(|text| places(text)) {
            let wholes: Vec<Value> = wholes.iter().cloned().map(place).collect();
            compare(&text, &Assertion::check(&text), &place(partial.clone()), &wholes);
        }
    }
    let found = Assertion::check("it.contains('A') && it.startsWith('A') && it.matches('^A B')");
    assert!(found.holds(&Value::partial("A B".into(), "the reason")));
    assert!(wrong.is_empty() && held > 200, "{held} {wrong:#?}");
}
