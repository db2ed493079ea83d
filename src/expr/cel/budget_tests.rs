use super::{EvalError, Expression, budget};
use crate::{
    expr::{assertion::evaluate_checks, interrupt::Interrupt, scope::Scope},
    secrets::Secrets,
    source::Source,
    value::Value,
    yaml,
};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Stops an evaluation when it asks for the `n`th time.
struct After(AtomicUsize, usize);

impl Interrupt for After {
    fn reason(&self) -> Option<String> {
        (self.0.fetch_add(1, Ordering::Relaxed) >= self.1).then(|| "cancelled".into())
    }
    fn run(&self, work: &mut dyn FnMut()) {
        work();
    }
}

fn compile(text: &str) -> Expression {
    let node = yaml::parse(&Arc::new(Source::new("t", format!("|-\n  {text}")))).unwrap();
    Expression::compile(&node, 0..text.len()).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

fn scope() -> Scope {
    Scope::new(Arc::new(Secrets::default()))
        .with("items", Value::from(json!([1, 2, 3, 2])))
        .with("texts", Value::from(json!(["b", "a", "b"])))
        .with("long", "x".repeat(100_000))
}

/// With 1000 steps and 1 MiB.
fn stopped(text: &str) -> Option<String> {
    let (e, scope) = (compile(text), scope());
    let limits = budget::Limits { steps: 1000, bytes: 1 << 20 };
    match budget::limited(limits, None, || e.eval(&scope)) {
        Err(EvalError::Stopped(why)) => Some(why),
        _ => None,
    }
}

#[test]
fn everything_that_grows_is_stopped_by_its_steps_or_bytes() {
    for text in [
        "lists.range(2000).all(a, true)",
        "lists.range(2000).exists(a, a < 0)",
        "lists.range(2000).exists_one(a, a == 1)",
        "lists.range(2000).filter(a, false) == []",
        "size(lists.range(2000).map(a, 1)) == 1",
        "lists.range(100).map(a, lists.range(100).filter(b, b > a)) == []",
        "lists.range(100).all(a, lists.range(100).exists(b, b < 0) || true)",
        "lists.range(1000000) == []",
        "lists.range(900).map(a, lists.range(100)).flatten() == []",
        "lists.range(900).map(a, items).flatten().map(a, items).flatten() == []",
        "[long + long, long + long, long + long, long + long, long + long, long + long] == []",
        "{'a': long + long, 'b': long + long, 'c': long + long, 'd': long + long, 'e': long + long} == {}",
        "long.replace('x', long) == ''",
        "long.replace('', long) == ''",
        "long.replace('x', long, 100) == ''",
        "size(long.split('')) == 1",
        "size(long.split('x')) == 1",
        "lists.range(900).map(a, long).join(long) == ''",
        "[[1, 2].map(a, long)].map(a, a.map(b, b + b).map(b, b + b).map(b, b + b)) == []",
        "size(lists.range(2000).sortBy(a, -a)) == 1",
        "lists.range(2000).distinct() == []",
        "'%s%s%s%s%s%s'.format([long + long, long, long, long, long, long]) == ''",
        // an operator absorbs the error
        "lists.range(2000).all(a, true) || true",
        "lists.range(2000).all(a, true) && false",
    ] {
        assert!(stopped(text).is_some(), "{text}");
    }
    for text in ["items.all(a, a > 0)", "size(items.map(a, items.map(b, a * b)).flatten()) == 16", "items == [1]"] {
        assert_eq!(stopped(text), None, "{text}");
    }
}

#[test]
fn an_evaluation_within_its_budget_is_unchanged() {
    for text in [
        "items.map(a, a * 2) == [2, 4, 6, 4]",
        "items.map(a, a > 1, a * 2) == [4, 6, 4]",
        "items.filter(a, a > 1) == [2, 3, 2]",
        "items.all(a, a > 0) && !items.all(a, a > 1)",
        "items.exists(a, a == 3) && !items.exists(a, a == 4)",
        "items.exists_one(a, a == 3) && !items.exists_one(a, a == 2)",
        "items.sortBy(a, -a) == [3, 2, 2, 1]",
        "items.distinct() == [1, 2, 3]",
        "texts.distinct() == ['b', 'a']",
        "[1, 1u, 1.0, 2.5, 2.5, 'a', 'a', null, null].distinct() == [1, 2.5, 'a', null]",
        "[1.0, 1, 1u].distinct() == [1.0]",
        "[1u, 1].distinct() == [1u]",
        "texts.join() == 'bab' && texts.join('-') == 'b-a-b' && [].join(',') == ''",
        "'a-b-c'.replace('-', '+') == 'a+b+c' && 'a-b-c'.replace('-', '+', 1) == 'a+b-c'",
        "'a-b-c'.replace('-', '', -1) == 'abc' && 'ab'.replace('', '-') == '-a-b-'",
        "'a-b-c'.split('-') == ['a', 'b', 'c'] && 'a-b-c'.split('-', 2) == ['a', 'b-c']",
        "'a-b'.split('-', 0) == [] && 'a-b'.split('-', -1) == ['a', 'b'] && 'a'.split('-', 1) == ['a']",
        "'aöb'.split('') == ['a', 'ö', 'b'] && 'aöb'.split('', 2) == ['a', 'öb'] && ''.split('') == []",
        "'aöb'.split('', 1) == ['aöb'] && 'aöb'.split('', 9) == ['a', 'ö', 'b']",
        "'öaöa'.indexOf('a') == 1 && 'öaöa'.indexOf('a', 2) == 3 && 'öa'.indexOf('x') == -1",
        "'öa'.indexOf('') == 0 && 'öa'.indexOf('', 5) == 2 && 'öa'.indexOf('a', 5) == -1",
        "'öaöa'.lastIndexOf('a') == 3 && 'öaöa'.lastIndexOf('a', 2) == 1 && 'öa'.lastIndexOf('x') == -1",
        "'öa'.lastIndexOf('') == 2 && 'öa'.lastIndexOf('', 1) == 1 && 'öa'.lastIndexOf('ö', 0) == 0",
        "[[1], [2]].flatten() == [1, 2] && [3, 1].sort() == [1, 3] && [1, 2].reverse() == [2, 1]",
        "{'a': items}.a == items && [items][0] == items && has({'a': 1}.a)",
        "'a' + 'b' == 'ab' && [1] + [2] == [1, 2]",
    ] {
        assert_eq!(compile(text).eval(&scope()), Ok(Value::Bool(true)), "{text}");
    }
    for (text, error) in [
        ("items.join('-') == ''", "expected string, found int"),
        ("1.replace('a', 'b')", "`replace` cannot be applied to int and string and string"),
        ("'a'.indexOf('a', -1)", "`indexOf`: index out of range: -1"),
    ] {
        assert_eq!(compile(text).eval(&scope()).map_err(|e| e.to_string()), Err(error.into()), "{text}");
    }
}

#[test]
fn charging_a_value_does_not_read_what_was_not_observed() {
    let output = |n: i64| {
        Value::map([
            ("n".into(), n.into()),
            ("body".into(), Value::unset("no response")),
            ("text".into(), Value::partial(Value::text("abc"), "cut")),
        ])
    };
    let scope = scope().with("one", output(1)).with("two", output(2)).with("more", Value::list(vec![output(3)]));
    for text in [
        "[one, two].all(r, r.n < 3)",
        "(more + [one, two]).exists(r, r.n == 3)",
        "{'a': one}.a.n == 1",
        "(more + [one]).map(r, r.n) == [3, 1]",
        "(more + [one]).filter(r, r.n > 1).all(r, r.n == 3)",
    ] {
        assert_eq!(compile(text).eval(&scope), Ok(Value::Bool(true)), "{text}");
    }
    for text in ["[one, two].all(r, r.body == 1)", "(more + [one]).exists(r, r.text == 'abc')", "[one.text] == ['abc']"]
    {
        let error = compile(text).eval(&scope).unwrap_err();
        assert!(error.to_string().contains("no response") || error.to_string().contains("cut"), "{text}: {error}");
    }
}

#[test]
fn a_nested_loop_ends_when_it_is_interrupted() {
    let e = compile("size(lists.range(100000).map(a, lists.range(100000).filter(b, b > a))) == 0");
    let scope = scope().with_interrupt(Arc::new(After(AtomicUsize::new(0), 5000)));
    let error = e.eval(&scope).unwrap_err().to_string();
    assert!(error.contains("was stopped: cancelled, after ") && error.contains("lists.range(100000).map"), "{error}");
    let mut results = vec![];
    evaluate_checks(&[(e.clone(), e.span().clone())], &scope, &mut results);
    assert!(!results[0].holds && results[0].inconclusive && results[0].operands.is_empty(), "{results:?}");
}

#[test]
fn a_budget_is_of_one_evaluation() {
    let (e, scope) = (compile("lists.range(3000000).all(a, true)"), scope());
    assert!(e.eval(&scope).is_err(), "the library creates no such list");
    let e = compile("lists.range(9000).all(a, true)");
    for _ in 0..3 {
        assert_eq!(e.eval(&Scope::default()), Ok(Value::Bool(true)));
    }
    let e = compile("lists.range(30000).all(a, true)");
    assert!(matches!(e.eval(&Scope::default()), Err(EvalError::Stopped(_))), "a check has a smaller budget");
    assert_eq!(e.eval(&scope), Ok(Value::Bool(true)));
}
