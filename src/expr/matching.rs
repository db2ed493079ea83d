//! Whether a value is as a pattern says, and whether an expression holds: one result for each thing asked, all of them, never only
//! the first. Pure; the live run and a replay both come here.
use super::{
    cel::{EvalError, Expression, describe, show},
    pattern::{Matcher, Pattern},
    schema::Schema,
    scope::Scope,
};
use crate::{
    source::{Location, Span},
    value::Value,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One thing that was asked of an observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssertionResult {
    /// A path in a pattern (`batch.body.total`), or the expression of a check.
    pub subject: String,
    pub holds: bool,
    pub expected: String,
    pub actual: String,
    /// For a check that does not hold: its parts, each with its value.
    pub operands: Vec<(String, String)>,
    /// Where it stands in the plan; for what does not hold.
    pub location: Option<Location>,
    /// The check, or the leaf of a pattern, that asked. Known where it is judged, and not recorded.
    #[serde(skip)]
    pub asked: Option<Span>,
}

/// One result for each check, in order.
pub fn evaluate_checks(checks: &[(Expression, Span)], scope: &Scope, out: &mut Vec<AssertionResult>) {
    out.extend(checks.iter().map(|(e, span)| found(e, scope, e.holds(scope), span)));
}

/// What a check says that could not be evaluated.
fn found(e: &Expression, scope: &Scope, result: Result<bool, EvalError>, span: &Span) -> AssertionResult {
    let holds = result == Ok(true);
    AssertionResult {
        subject: e.text().to_string(),
        holds,
        expected: "true".into(),
        actual: match &result {
            Ok(b) => b.to_string(),
            Err(error) => error.to_string(),
        },
        operands: if holds { vec![] } else { e.explain(scope) },
        location: (!holds).then(|| span.location()),
        asked: Some(span.clone()),
    }
}

/// Judges a value (`None`: it is not there) under the name `path`.
pub fn match_pattern(p: &Pattern, path: &str, actual: Option<&Value>, scope: &Scope, out: &mut Vec<AssertionResult>) {
    let mut say = |holds: bool, expected: String| {
        out.push(AssertionResult {
            subject: path.to_string(),
            holds,
            expected,
            actual: actual.map_or_else(|| "absent".into(), show),
            operands: vec![],
            location: (!holds).then(|| p.span.location()),
            asked: Some(p.span.clone()),
        });
    };
    match &p.matcher {
        Matcher::Equal(want) => equal(want, path, actual, &p.span, out),
        Matcher::Rendered(t) => match t.render(scope) {
            Ok(want) => equal(&want, path, actual, &p.span, out),
            Err(e) => say(false, unevaluated(&e)),
        },
        Matcher::Map(entries) => {
            // of what is absent every entry is absent too, and each says so
            if actual.is_some_and(|a| a.as_map().is_none()) {
                return say(false, "a map".into());
            }
            if entries.is_empty() {
                return say(actual.is_some(), "a map".into());
            }
            let before = out.len();
            for (key, _, inner) in entries {
                match key.render_text(scope) {
                    Ok(key) => {
                        let key = key.strip_prefix("$$").map(|k| format!("${k}")).unwrap_or(key);
                        match_pattern(inner, &join(path, &key), actual.and_then(|a| a.get(&key)), scope, out)
                    }
                    Err(e) => out.push(AssertionResult {
                        subject: path.into(),
                        holds: false,
                        expected: unevaluated(&e),
                        actual: String::new(),
                        operands: vec![],
                        location: Some(inner.span.location()),
                        asked: Some(inner.span.clone()),
                    }),
                }
            }
            // of what is not there it cannot be said that something in it is absent
            if actual.is_none() && out[before..].iter().all(|f| f.holds) {
                out.truncate(before);
                out.push(AssertionResult {
                    subject: path.into(),
                    holds: false,
                    expected: "a map".into(),
                    actual: "absent".into(),
                    operands: vec![],
                    location: Some(p.span.location()),
                    asked: Some(p.span.clone()),
                });
            }
        }
        Matcher::List(ps) => {
            let Some(items) = actual.and_then(Value::as_list) else {
                return say(false, format!("a list of {}", ps.len()));
            };
            if items.len() != ps.len() || ps.is_empty() {
                let wanted = if ps.is_empty() { "an empty list".into() } else { format!("a list of {}", ps.len()) };
                say(items.len() == ps.len(), wanted);
            }
            for (i, p) in ps.iter().enumerate() {
                match_pattern(p, &format!("{path}[{i}]"), items.get(i), scope, out);
            }
        }
        Matcher::All(ps) => ps.iter().for_each(|p| match_pattern(p, path, actual, scope, out)),
        Matcher::Set(ps) => match actual.and_then(Value::as_list) {
            None => say(false, format!("a list of {} in any order", ps.len())),
            Some(items) => {
                let (unmatched, extra) = matching(ps, items, scope);
                if unmatched.is_empty() && extra.is_empty() {
                    return say(true, format!("these {} in any order", ps.len()));
                }
                for i in unmatched {
                    missing(&ps[i], &format!("{path}[any]"), items, scope, out);
                }
                for i in extra {
                    out.push(AssertionResult {
                        subject: format!("{path}[{i}]"),
                        holds: false,
                        expected: "absent: no such element was expected".into(),
                        actual: show(&items[i]),
                        operands: vec![],
                        location: Some(p.span.location()),
                        asked: Some(p.span.clone()),
                    });
                }
            }
        },
        Matcher::SetRendered(t) => match t.render(scope) {
            Err(e) => say(false, unevaluated(&e)),
            Ok(want) => {
                let holds = match (want.as_list(), actual.and_then(Value::as_list)) {
                    (Some(want), Some(have)) => {
                        let mut rest: Vec<&Value> = have.iter().collect();
                        want.iter().all(|w| rest.iter().position(|h| h.same(w)).map(|i| rest.remove(i)).is_some())
                            && rest.is_empty()
                    }
                    _ => false,
                };
                say(holds, format!("in any order {}", show(&want)))
            }
        },
        Matcher::Contains(ps) => match actual {
            Some(Value::Text(text)) => {
                for inner in ps {
                    let want = literal(inner, scope);
                    let holds = want.as_ref().is_some_and(|w| w.as_str().is_some_and(|w| text.contains(w)));
                    say(holds, format!("contains {}", want.as_ref().map(show).unwrap_or_else(|| "a text".into())));
                }
            }
            Some(Value::List(items)) => {
                let (unmatched, _) = matching(ps, items, scope);
                if unmatched.is_empty() {
                    return say(true, format!("contains these {}", ps.len()));
                }
                for i in unmatched {
                    missing(&ps[i], &format!("{path}[any]"), items, scope, out);
                }
            }
            _ => say(false, "a list or a text".into()),
        },
        Matcher::ContainsRendered(t) => match t.render(scope) {
            Err(e) => say(false, unevaluated(&e)),
            Ok(want) => {
                let holds = match (actual, &want) {
                    (Some(Value::Text(text)), Value::Text(w)) => text.contains(&**w),
                    (Some(Value::List(have)), Value::List(want)) => want.iter().all(|w| have.iter().any(|h| h.same(w))),
                    (Some(Value::List(have)), w) => have.iter().any(|h| h.same(w)),
                    _ => false,
                };
                say(holds, format!("contains {}", show(&want)))
            }
        },
        Matcher::Each(inner) => match actual.and_then(Value::as_list) {
            // over nothing it would hold of anything
            None | Some([]) => say(false, "at least one element".into()),
            Some(items) => items
                .iter()
                .enumerate()
                .for_each(|(i, v)| match_pattern(inner, &format!("{path}[{i}]"), Some(v), scope, out)),
        },
        Matcher::In(ps) => {
            let holds = actual.is_some() && ps.iter().any(|inner| fits(inner, actual, scope));
            let any = ps.iter().map(|p| literal(p, scope).as_ref().map_or("…".into(), show)).collect::<Vec<_>>();
            say(holds, format!("one of {}", any.join(", ")))
        }
        Matcher::InRendered(t) => match t.render(scope) {
            Err(e) => say(false, unevaluated(&e)),
            Ok(want) => {
                let holds = want.as_list().zip(actual).is_some_and(|(l, a)| l.iter().any(|w| w.same(a)));
                say(holds, format!("one of {}", show(&want)))
            }
        },
        Matcher::Regex(t) => match t.render_text(scope).map_err(|e| e.to_string()).and_then(|r| {
            regex::Regex::new(&r).map_err(|e| e.to_string().lines().last().unwrap_or_default().to_string())
        }) {
            Err(e) => say(false, e),
            Ok(r) => say(actual.and_then(Value::as_str).is_some_and(|s| r.is_match(s)), format!("matches /{r}/")),
        },
        Matcher::Type(name) => {
            let holds = actual.is_some_and(|a| match name.as_str() {
                "number" => matches!(a.kind(), "int" | "float"),
                // outside this process a time is a text
                "time" => is_time(a),
                n => a.kind() == n,
            });
            say(holds, format!("of type {name}"))
        }
        Matcher::Time => say(actual.is_some_and(is_time), "a time in RFC 3339".into()),
        Matcher::Absent => say(actual.is_none(), "absent".into()),
        Matcher::Nonempty => {
            let holds = match actual {
                None | Some(Value::Null) => false,
                Some(Value::Text(s)) => !s.is_empty(),
                Some(Value::List(l)) => !l.is_empty(),
                Some(Value::Map(m)) => !m.is_empty(),
                Some(_) => true,
            };
            say(holds, "not empty".into())
        }
        Matcher::Schema(s) => {
            let validator = match s {
                Schema::Ready(v) => Ok(v.clone()),
                Schema::Rendered(t) => t.render(scope).map_err(|e| e.to_string()).and_then(|s| {
                    jsonschema::validator_for(&s.to_json()).map(Arc::new).map_err(|e| format!("no JSON Schema: {e}"))
                }),
                Schema::Named(named) => Err(format!("`{}` was not read", named.file)),
                Schema::Broken => Err("no JSON Schema".into()),
            };
            match (validator, actual) {
                (Err(e), _) => say(false, e),
                (Ok(_), None) => say(false, "valid by the schema".into()),
                (Ok(schema), Some(a)) => {
                    let json = a.to_json();
                    let errors: Vec<_> = schema.iter_errors(&json).collect();
                    if errors.is_empty() {
                        return say(true, "valid by the schema".into());
                    }
                    for e in errors {
                        out.push(AssertionResult {
                            subject: format!("{path}{}", e.instance_path()).replace('/', "."),
                            holds: false,
                            expected: "valid by the schema".into(),
                            actual: e.to_string().chars().take(300).collect(),
                            operands: vec![],
                            location: Some(p.span.location()),
                            asked: Some(p.span.clone()),
                        });
                    }
                }
            }
        }
        Matcher::That(e) => {
            let Some(a) = actual else { return say(false, e.text().to_string()) };
            let inner = scope.with("it", a.clone());
            match e.holds(&inner) {
                Ok(b) => say(b, e.text().to_string()),
                Err(error) => say(false, format!("{} ({error})", e.text())),
            }
        }
    }
}

/// A literal or rendered value: maps are subsets here too.
fn equal(want: &Value, path: &str, actual: Option<&Value>, span: &Span, out: &mut Vec<AssertionResult>) {
    match (want, actual) {
        (Value::Map(m), Some(Value::Map(_))) if !m.is_empty() => {
            m.iter().for_each(|(k, v)| equal(v, &join(path, k), actual.and_then(|a| a.get(k)), span, out))
        }
        (Value::List(ws), Some(Value::List(have))) if ws.len() == have.len() && !ws.is_empty() => ws
            .iter()
            .zip(have.iter())
            .enumerate()
            .for_each(|(i, (w, h))| equal(w, &format!("{path}[{i}]"), Some(h), span, out)),
        _ => {
            let holds = actual.is_some_and(|a| a.same(want));
            out.push(AssertionResult {
                subject: path.to_string(),
                holds,
                expected: show(want),
                // the type is said where only it differs
                actual: match actual {
                    None => "absent".into(),
                    Some(a) if !holds && a.to_string() == want.to_string() => describe(a),
                    Some(a) => show(a),
                },
                operands: vec![],
                location: (!holds).then(|| span.location()),
                asked: Some(span.clone()),
            });
        }
    }
}

pub fn fits(p: &Pattern, actual: Option<&Value>, scope: &Scope) -> bool {
    let mut out = vec![];
    match_pattern(p, "", actual, scope, &mut out);
    out.iter().all(|f| f.holds)
}

/// For an element that is nowhere: how it differs from the one that comes nearest.
fn missing(p: &Pattern, path: &str, items: &[Value], scope: &Scope, out: &mut Vec<AssertionResult>) {
    let nearest = items
        .iter()
        .map(|v| {
            let mut fs = vec![];
            match_pattern(p, path, Some(v), scope, &mut fs);
            fs
        })
        .max_by_key(|fs| fs.iter().filter(|f| f.holds).count());
    match nearest {
        Some(fs) if fs.iter().any(|f| !f.holds) => out.extend(fs.into_iter().filter(|f| !f.holds)),
        _ => out.push(AssertionResult {
            subject: path.into(),
            holds: false,
            expected: literal(p, scope).as_ref().map_or("an element".into(), show),
            actual: if items.is_empty() {
                "the list is empty".into()
            } else {
                "there is no further such element".into()
            },
            operands: vec![],
            location: Some(p.span.location()),
            asked: Some(p.span.clone()),
        }),
    }
}

/// The value that a pattern would equal, for messages.
fn literal(p: &Pattern, scope: &Scope) -> Option<Value> {
    match &p.matcher {
        Matcher::Equal(v) => Some(v.clone()),
        Matcher::Rendered(t) => t.render(scope).ok(),
        Matcher::Map(es) => es
            .iter()
            .map(|(k, _, p)| Some((k.render_text(scope).ok()?, literal(p, scope).unwrap_or_else(|| Value::text("…")))))
            .collect::<Option<Vec<_>>>()
            .map(Value::map),
        _ => None,
    }
}

/// Pictures without an element of their own, and elements without a pattern, at the best pairing.
fn matching(ps: &[Pattern], items: &[Value], scope: &Scope) -> (Vec<usize>, Vec<usize>) {
    let fit: Vec<Vec<usize>> =
        ps.iter().map(|p| (0..items.len()).filter(|&i| fits(p, Some(&items[i]), scope)).collect()).collect();
    let mut owner: Vec<Option<usize>> = vec![None; items.len()];
    fn location(p: usize, fit: &[Vec<usize>], owner: &mut [Option<usize>], seen: &mut [bool]) -> bool {
        for &i in &fit[p] {
            if std::mem::replace(&mut seen[i], true) {
                continue;
            }
            if owner[i].is_none_or(|o| location(o, fit, owner, seen)) {
                owner[i] = Some(p);
                return true;
            }
        }
        false
    }
    let unmatched = (0..ps.len()).filter(|&p| !location(p, &fit, &mut owner, &mut vec![false; items.len()])).collect();
    let extra = owner.iter().enumerate().filter(|(_, o)| o.is_none()).map(|(i, _)| i).collect();
    (unmatched, extra)
}

fn is_time(v: &Value) -> bool {
    match v {
        Value::Time(_) => true,
        Value::Text(s) => s.parse::<jiff::Timestamp>().is_ok(),
        _ => false,
    }
}

fn unevaluated(e: &EvalError) -> String {
    format!("(cannot be evaluated: {e})")
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{diagnostic::Diagnostics, source::Source, yaml};
    use serde_json::json;

    fn judged(expect: &str, actual: serde_json::Value) -> Vec<AssertionResult> {
        let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: expect.into() })).unwrap();
        let mut problems = Diagnostics::default();
        let p = Pattern::compile(&node, &mut problems);
        assert!(problems.0.is_empty(), "{:?}", problems.0);
        let scope = Scope::default().with("name", "ann").with("names", Value::from(json!(["a", "b"])));
        let mut out = vec![];
        match_pattern(&p, "", Some(&Value::from(actual)), &scope, &mut out);
        assert!(!out.is_empty(), "a pattern must ask something");
        out
    }
    fn holds(expect: &str, actual: serde_json::Value) -> bool {
        judged(expect, actual).iter().all(|f| f.holds)
    }

    #[test]
    fn maps_are_subsets_and_literals_are_typed() {
        assert!(holds("{a: 1}", json!({"a": 1, "b": 2})));
        assert!(!holds("{a: 1}", json!({"a": "1"})));
        assert!(!holds("{a: {b: 1}}", json!({"a": null})));
        assert!(!holds("{a: {b: $absent}}", json!({})), "nothing is known of what is not there");
        assert!(holds("{a: {b: $absent}}", json!({"a": {}})));
        assert!(!holds("{a: 1}", json!([1])));
        assert!(holds("{who: '${name}'}", json!({"who": "ann"})));
        assert!(!holds("{who: '${nobody}'}", json!({"who": "ann"})));
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
    fn every_matcher_can_hold_and_can_fail() {
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
    fn every_difference_is_named() {
        let all = judged("{a: 1, b: {c: 2, d: 3}, e: [1]}", json!({"a": 2, "b": {"c": 2}, "e": [1, 2]}));
        let red: Vec<_> = all.iter().filter(|f| !f.holds).map(|f| (f.subject.as_str(), f.actual.as_str())).collect();
        assert_eq!(red, [("a", "2"), ("b.d", "absent"), ("e", "[1,2]")]);
        assert!(all.iter().all(|f| f.holds == f.location.is_none()));
    }

    fn checked(e: Expression, node: &yaml::Node, scope: &Scope) -> AssertionResult {
        let mut out = vec![];
        evaluate_checks(&[(e, node.span.clone())], scope, &mut out);
        out.remove(0)
    }

    #[test]
    fn checks_over_one_scope_do_not_disturb_each_other() {
        let scope = Scope::default().with("a", 1i64).with("b", 2i64);
        let all: Vec<_> = ["a == 1", "c == 1 || a == 1", "b == a + 1", "json(\"[2]\")[0] == b", "a > b", "b"]
            .into_iter()
            .map(|text| {
                let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: format!("'{text}'") })).unwrap();
                (Expression::compile(&node, 0..text.len()).unwrap(), node.span.clone())
            })
            .collect();
        let mut out = vec![];
        evaluate_checks(&all, &scope, &mut out);
        assert_eq!(out.iter().map(|f| f.holds).collect::<Vec<_>>(), [true, false, true, true, false, false]);
        assert_eq!(out[1].actual, "`c` was never bound");
    }

    #[test]
    fn a_check_shows_its_operands() {
        let node = yaml::parse(&Arc::new(Source {
            name: "t".into(),
            text: "'size(body.errors) == body.failed && body.errors.all(e, e.name != \"\")'".into(),
        }))
        .unwrap();
        let e = Expression::compile(&node, 0..node.as_str().unwrap().len()).unwrap();
        let scope = Scope::default()
            .with("body", Value::from(json!({"failed": 2, "errors": [{"name": "a"}, {"name": ""}, {"name": "c"}]})));
        let f = checked(e, &node, &scope);
        assert!(!f.holds);
        let operand = |l: &str| f.operands.iter().find(|(k, _)| k == l).map(|(_, v)| v.as_str());
        assert_eq!(operand("size(body.errors)"), Some("3"), "{:?}", f.operands);
        assert_eq!(operand("body.failed"), Some("2"));
        assert_eq!(operand("e (element 1)"), Some(r#"{"name":""}"#));
    }

    #[test]
    fn an_evaluation_error_fails_a_check_also_under_unequal() {
        let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: "body.nothing != 1".into() })).unwrap();
        let e = Expression::compile(&node, 0..17).unwrap();
        let f = checked(e, &node, &Scope::default().with("body", Value::from(json!({}))));
        assert!(!f.holds && f.actual.contains("nothing"), "{f:?}");
    }
}
