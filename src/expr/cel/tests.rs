use super::*;
use crate::{
    diagnostic::Diagnostic,
    expr::{referenced::ReferencedLiterals, scope::Scope},
    language,
    secrets::Secrets,
    source::Source,
    value::{self, Map, Value},
    yaml,
};
use serde_json::json;
use std::sync::Arc;

fn compile(text: &str) -> Result<Expression, Vec<Diagnostic>> {
    let node = yaml::parse(&Arc::new(Source::new("t", format!("|-\n  {text}")))).unwrap();
    Expression::compile(&node, 0..text.len())
}

#[test]
fn refuses_long_operator_chains_except_of_and_and_or() {
    let code = |text: String| compile(&text).err().map(|all| all[0].code);
    assert_eq!(code(format!("1{}", " + 1".repeat(140))), None);
    assert_eq!(code(format!("1{}", " + 1".repeat(150))), Some("expression-too-deep"));
    assert_eq!(code(format!("x == 1{}", " || x == 1".repeat(330))), None);
}

/// Unknown to the library unless called with a name and an expression.
const MACROS: &[&str] = &["sortBy", "all", "exists", "exists_one", "existsOne", "map", "filter"];

#[test]
fn every_listed_function_exists() {
    let exists = |name: &str, text: String| {
        let result = compile(&text).map(|e| e.eval(&Scope::default().with("x", 1i64)));
        // any other error is about the arguments
        result.is_err() || !matches!(result, Ok(Err(EvalError::Unbound(n))) if name.ends_with(&n))
    };
    let known = |name: &&str| {
        let calls = [format!("x.{name}()"), format!("{name}(x)"), format!("optional.{name}(x)")];
        MACROS.contains(name) || calls.into_iter().any(|call| exists(name, call))
    };
    let unknown: Vec<_> = language::names(language::CEL_FUNCTIONS)
        .chain(language::names(language::RUNNER_FUNCTIONS))
        .filter(|name| !known(name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_secret_across_the_cut_is_masked() {
    let secrets = Arc::new(Secrets::default());
    secrets.add("password", "hunter2-correct-horse");
    // the dispatcher masks once more, which finds whole secrets only
    let leaks = |text: &str| secrets.mask(text).as_deref().unwrap_or(text).contains("hun");
    for before in 270..310 {
        let value = Value::text(format!("{}hunter2-correct-horse", "x".repeat(before)));
        assert!(!leaks(&show(&value, &secrets)), "{before}: {}", show(&value, &secrets));
        let scope = Scope::new(secrets.clone()).with("body", value);
        let operands = compile("body == 'y'").unwrap().explain(&scope);
        assert!(!leaks(&operands[0].1), "{operands:?}");
    }
}

fn literals(text: &str) -> ReferencedLiterals {
    let scope = Scope::default()
        .with("bait", "b4it")
        .with("names", Value::from(json!(["ann", "bob"])))
        .with("body", Value::from(json!({"n": 3})));
    let mut out = ReferencedLiterals::default();
    compile(text).unwrap().collect_literals(&scope, &mut out);
    out
}

#[test]
fn collects_literals_and_values_of_parts() {
    let s = literals("!body.text.contains(bait) && body.kind != \"Secret\" && body.n == 3");
    assert!(["b4it", "Secret"].iter().all(|t| s.texts.contains(*t)), "{s:?}");
    assert!(s.numbers.contains(&3));
}

#[test]
fn collects_field_paths_of_list_elements() {
    let s = literals("!names.exists(n, body.items.exists(o, o.metadata.name == n && o.kind == \"X\"))");
    assert!(s.texts.contains("ann") && s.texts.contains("X"), "{s:?}");
    let paths: Vec<Vec<String>> = vec![vec!["kind".into()], vec!["metadata".into(), "name".into()]];
    assert!(s.elements.contains(&paths), "{s:?}");
}

#[test]
fn collects_optional_fields_and_matching_strings() {
    let s = literals("!has(body.token) && !(\"key\" in body) && !body.text.matches(\"(?i)(sql|store)\")");
    assert!(s.fields.contains("token") && s.fields.contains("key"));
    assert!(s.matching.contains("sql") && s.matching.contains("store"));
}

fn evaluate(text: &str) -> Result<Value, EvalError> {
    let list = Value::list(vec![Value::Int(1), Value::text("b"), Value::map([("n".to_string(), Value::Null)])]);
    let map = Value::map([("z".to_string(), Value::Int(1)), ("a".to_string(), list.clone())]);
    let scope = Scope::default().with("t", "text").with("l", list).with("m", map);

    compile(text).unwrap().eval(&scope)
}

#[test]
fn converted_values_equal_literals_on_both_sides() {
    for same in [
        "t == 'text'",
        "'text' == t",
        "l == [1, 'b', {'n': null}]",
        "[1, 'b', {'n': null}] == l",
        "m == {'z': 1, 'a': l}",
        "{'a': [1, 'b', m.a[2]], 'z': 1} == m",
        "m.a == l && l == m.a",
        "t in ['text'] && {'n': null} in l && 'z' in m",
        "[t].map(x, x + '!') == ['text!'] && t + t == 'texttext'",
        "l + [t] == [1, 'b', {'n': null}, 'text']",
        "t < 'texu' && 'texs' < t && size(t) == 4 && size(l) == 3 && size(m) == 2",
        "l.slice(1, 2) == ['b'] && l.slice(2, 3)[0].n == null",
        "t.matches('^t') && t.split('e').join('-') == 't-xt' && [t, 'a'].sort() == ['a', t]",
        "type(t) == type('') && type(l) == type([]) && type(m) == type({})",
        "m['a'][1] == 'b' && has(m.z) && !has(m.y) && m.?y.orValue('no') == 'no'",
        "l.filter(x, x != 'b').size() == 2 && l.exists_one(x, x == 1)",
    ] {
        assert_eq!(evaluate(same), Ok(Value::Bool(true)), "{same}");
    }
}

#[test]
fn maps_keep_their_key_order() {
    assert_eq!(evaluate("m.map(k, k)"), Ok(Value::list(vec![Value::text("z"), Value::text("a")])));
    let Ok(Value::List(list)) = evaluate("[m]") else { panic!("no list") };
    assert_eq!(list[0].as_map().unwrap().keys().collect::<Vec<_>>(), ["z", "a"]);
    assert_eq!(evaluate("{'z': 1, 'a': 2}").unwrap().to_string(), r#"{"a":2,"z":1}"#);
}

#[test]
fn type_errors_name_the_original_types() {
    assert_eq!(evaluate("t + 1"), Err(EvalError::Other("`+` cannot be applied to string and int".into())));
    assert_eq!(evaluate("l < l"), Err(EvalError::Other("`<` cannot be applied to list and list".into())));
    assert_eq!(evaluate("m.y == 1"), Err(EvalError::Other("field `y` not found".into())));
}

#[test]
fn an_error_names_the_part_that_is_missing() {
    let scope = Scope::default().with("r", Value::from(json!({"body": null, "list": [{"body": null}], "n": 1})));
    let evaluate = |text: &str| compile(text).unwrap().eval(&scope).map_err(|e| e.to_string());
    for text in ["r.body.id", "r.body.id == 1", "r.n == 1 && r.body.id.startsWith('x')", "'x' + r.body.id"] {
        let error = evaluate(text).unwrap_err();
        assert_eq!(error, "`r.body` is missing: it is null, and `id` is read from it", "{text}");
    }
    let error = evaluate("r.list[0].body.id == 1").unwrap_err();
    assert_eq!(error, "`r.list[0].body` is missing: it is null, and `id` is read from it");
    let error = evaluate("r.list.all(x, x.body.id == 1)").unwrap_err();
    assert_eq!(error, "a part is missing: it is null, and a field is read from it");
    assert_eq!(evaluate("r.body == null || r.body.id == 1"), Ok(Value::Bool(true)));
}

#[test]
fn reading_what_was_not_observed_is_an_error_with_the_reason() {
    let reason = "no response: connection closed";
    let output = Value::map([
        ("answered".into(), Value::from(false)),
        ("status".into(), Value::unset(reason)),
        ("body".into(), Value::unset(reason)),
    ]);
    let scope = Scope::default()
        .with("r", output.clone())
        .with("all", Value::list(vec![output.clone(), output.clone()]))
        .with_all(&output);
    let eval = |text: &str| compile(text).unwrap().eval(&scope);
    for text in [
        "r.body",
        "body",
        "r.body == null",
        "r.body != null",
        "null != r.body",
        "body != 1",
        "r.body.password",
        "has(r.body)",
        "!has(r.body)",
        "has(r.body.password)",
        "!has(body.password)",
        "r[\"body\"] != 1",
        "status != 500",
        "!(status == 500)",
        "size(r.body) == 0",
        "secrets_in(r.body) == []",
        "secrets_in(r) == []",
        "r.body in [1]",
        "!(r.body in [1])",
        "!(1 in r.body)",
        "r != {\"answered\": false, \"status\": 1, \"body\": 1}",
        "{\"answered\": false, \"status\": 1, \"body\": 1} != r",
        "all.all(a, a.status != 500)",
        "!all.exists(a, a.status == 500)",
        "all.filter(a, a.status == 500) == []",
        "all.map(a, a.body) == []",
        "type(r.body) != 1",
        "string(r.body) != \"\"",
        "r.status < 500 || r.status >= 500",
        "json(r.body) != 1",
        "answered || status != 500",
        "!answered && status != 500",
        "answered ? true : body != 1",
    ] {
        assert_eq!(eval(text), Err(EvalError::NotObserved(reason.into())), "{text}");
    }
    for text in [
        "!r.answered",
        "!answered",
        "!answered || status == 200",
        "status == 200 || !answered",
        "all.all(a, !a.answered)",
        "r[\"answered\"] == false",
        "answered ? body == 1 : true",
    ] {
        assert_eq!(eval(text), Ok(Value::Bool(true)), "{text}");
    }
}

/// A number that no type of the library holds, and headers.
fn observed() -> Scope {
    let body = r#"{"big": 36893488147419103232, "money": 1234567890.12345678901, "even": 9007199254740992.0,
        "max": 1.8446744073709552e19, "small": 1.5}"#;
    let headers = Map::from_iter([("x-foo".to_string(), Value::text("a"))]).any_case(true);
    Scope::default().with("body", value::json::read(body).unwrap()).with("headers", Value::from(headers))
}

#[test]
fn numbers_compare_by_their_exact_value() {
    let scope = observed();
    for text in [
        "string(body.big) == '36893488147419103232'",
        "body.money == json('12345678901234567890.1e-10') || body.money == json('1234567890.123456789010')",
        "body.big != json('36893488147419103233') && json('36893488147419103233') != body.big",
        "body.big != 3.6893488147419103e19 && body.big != 1 && 1 != body.big",
        "body.even == 9007199254740992 && body.even != 9007199254740993 && 9007199254740993 != body.even",
        "body.max != 18446744073709551615u && 18446744073709551615u != body.max",
        "body.small + 0.5 == 2.0 && body.small < 2",
        "body.big in [json('36893488147419103232')] && !(body.big in [1, 2.5])",
        "secrets_in(body) == []",
    ] {
        assert_eq!(compile(text).unwrap().eval(&scope), Ok(Value::Bool(true)), "{text}");
    }
    for text in ["body.big > 1", "1 < body.big", "body.big + 1", "1 + body.big", "-body.big", "body.big * 2"] {
        let e = compile(text).unwrap().eval(&scope).expect_err(text).to_string();
        assert!(e.contains("decimal"), "{text}: {e}");
    }
    let big = compile("[body.big][0]").unwrap().eval(&scope);
    assert_eq!(big, Ok(Value::Decimal("36893488147419103232".into())));
    let e = compile("json('{\"a\": 1, \"a\": 2}')").unwrap().eval(&scope).unwrap_err().to_string();
    assert_eq!(e, "`json`: duplicate key `a` at line 1, column 10");
}

proptest::proptest! {
    #[test]
    fn a_header_is_found_in_any_case(upper in proptest::collection::vec(proptest::bool::ANY, 5)) {
        let cased = |(c, upper): (char, &bool)| if *upper { c.to_ascii_uppercase() } else { c };
        let name: String = "x-foo".chars().zip(&upper).map(cased).collect();
        let scope = observed().with("h", name.as_str()).with("mark", Value::map([("headers".into(), Value::Null)]));
        for text in [
            format!("headers['{name}'] == 'a'"),
            format!("'{name}' in headers"),
            "headers[h] == 'a' && h in headers".to_string(),
            format!("[headers][0]['{name}'] == 'a'"),
            format!("headers == {{'{name}': 'a'}}"),
            format!("{{'{name}': 'a'}} == headers && !({{'{name}': 'a'}} != headers)"),
        ] {
            assert_eq!(compile(&text).unwrap().eval(&scope), Ok(Value::Bool(true)), "{text}");
        }
        assert_eq!(compile(&format!("headers['{name}']")).unwrap().eval(&scope), Ok(Value::text("a")));
        let other = compile(&format!("'{name}o' in headers || headers == {{'{name}': 'b'}}")).unwrap().eval(&scope);
        assert_eq!(other, Ok(Value::Bool(false)));
    }
}

#[test]
fn a_header_is_selected_in_any_case() {
    let headers = Map::from_iter([("foo".to_string(), Value::text("a"))]).any_case(true);
    let partial = Value::partial(Value::from(headers.clone()), "cut");
    let scope = Scope::default().with("headers", Value::from(headers)).with("partial", partial);
    for text in
        ["has(headers.Foo) && headers.FOO == 'a'", "!has(headers.Bar)", "partial.Foo == 'a' && 'FOO' in partial"]
    {
        assert_eq!(compile(text).unwrap().eval(&scope), Ok(Value::Bool(true)), "{text}");
    }
}

#[test]
fn an_error_contains_no_value() {
    let scope = Scope::default().with("token", "Zx8-kQ2v").with("list", Value::list(vec![Value::text("Zx8-kQ2v")]));
    for text in [
        "token.startsWith(1)",
        "{list: 1}",
        "{token: 1, token: 2}",
        "token.getFullYear() == 1",
        "token.all(x, true)",
        "list.matches('a')",
        "duration(list) == duration('1s')",
        "token - 1 == 0",
        "list < token",
        "-token == token",
        "[1][token]",
        "max(list, token) == 1",
    ] {
        let Ok(expression) = compile(text) else { continue };
        let e = expression.eval(&scope).expect_err(text).to_string();
        assert!(!e.contains("Zx8"), "{text}: {e}");
    }
}

#[test]
fn a_field_of_a_name_that_was_not_observed_was_not_observed() {
    let scope = Scope::default().with("body", Value::unset("it is cut")).with("x", "y");
    for text in ["body", "body.id", "body.id.deep", "body[0]", "body.id == 1", "body.id + x"] {
        let e = compile(text).unwrap().eval(&scope);
        assert_eq!(e, Err(EvalError::NotObserved("it is cut".into())), "{text}");
    }
}
