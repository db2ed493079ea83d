//! Evaluates patterns against values: one result for each assertion, passed or failed.
use super::{
    assertion::AssertionResult,
    assignment::assign,
    cel::{EvalError, cut, difference, show},
    elements::{Steps, evaluate_each, has_all, is_same_set, run_over},
    pattern::{Matcher, Pattern},
    regex::{depends_on_end, matches_everything, reason},
    schema::{Document, Schema, build},
    scope::Scope,
    template::{Template, Tree},
};
use crate::{
    source::Span,
    value::{Partial, Value, is_rfc3339},
};
use std::sync::Arc;

/// How many elements are compared to find the one that is most similar to a missing one.
const MAX_COMPARED: usize = 10_000;
/// How many unexpected elements of a list are reported.
const MAX_UNEXPECTED: usize = 1000;

/// Matches a value, or `None` for an absent one. The results name the value by `path`.
pub fn match_pattern(p: &Pattern, path: &str, actual: Option<&Value>, scope: &Scope, out: &mut Vec<AssertionResult>) {
    Match { pattern: p, path, actual, scope }.evaluate(out);
}

/// Whether the value matches.
pub fn fits(p: &Pattern, actual: Option<&Value>, scope: &Scope) -> bool {
    let mut out = vec![];
    match_pattern(p, "", actual, scope, &mut out);
    out.iter().all(|r| r.holds)
}

/// Whether a pattern without placeholders matches whatever is present: every kind of value, and values that no plan names.
pub fn accepts_everything(p: &Pattern) -> bool {
    let text = ["", " ", "0", "true", "null", "Zq-7 ünïcode\n", "2026-01-02T03:04:05Z"].map(Value::text);
    let number = ["0", "1", "-1", "918273645546372", "-0.7182818284590452", "1e300", "1e400"].map(Value::number);
    let list = [vec![], vec![Value::Null], vec![Value::text("Zq-7"), Value::Int(918_273)]].map(Value::list);
    let map = [Value::map([]), Value::map([("Zq-7".to_string(), Value::Int(918_273))])];
    let other = [Value::Null, Value::Bool(true), Value::Bool(false)];
    let mut samples = text.into_iter().chain(number.into_iter().flatten()).chain(list).chain(map).chain(other);
    let scope = Scope::default();
    samples.all(|value| fits(p, Some(&value), &scope))
}

/// One pattern with the value it is matched against.
struct Match<'a> {
    pattern: &'a Pattern,
    path: &'a str,
    actual: Option<&'a Value>,
    scope: &'a Scope,
}

impl Match<'_> {
    fn evaluate(&self, out: &mut Vec<AssertionResult>) {
        match self.actual {
            Some(Value::Unset(reason)) => self.unset(reason, out),
            Some(Value::Partial(partial)) => self.partial(partial, out),
            _ => self.complete(out),
        }
    }

    /// What was not observed satisfies no assertion, not even `$absent`.
    fn unset(&self, reason: &Arc<str>, out: &mut Vec<AssertionResult>) {
        match &self.pattern.matcher {
            Matcher::Map(entries) if !entries.is_empty() => self.entries(entries, out, |_| self.actual),
            Matcher::All(patterns) => self.all(patterns, out),
            _ => self.undecided(None, &EvalError::NotObserved(reason.clone()), out),
        }
    }

    /// What was received of a value can satisfy an assertion only if nothing in the missing part could change that.
    fn partial(&self, partial: &Partial, out: &mut Vec<AssertionResult>) {
        let error = EvalError::Incomplete(partial.reason.clone());
        let received = Some(&partial.value);
        match &self.pattern.matcher {
            Matcher::All(patterns) => self.all(patterns, out),
            // the expression finds out what it depends on
            Matcher::That(_) => self.complete(out),
            // the received elements can show only that one does not match
            Matcher::Each(_) => {
                let results = self.results(received);
                let failed = results.iter().any(|r| !r.holds);
                out.extend(results.into_iter().map(|r| if failed { r } else { r.undecided(&error) }));
            }
            // nothing was received, not even the type
            _ if partial.value == Value::Null => self.undecided(received, &error, out),
            Matcher::Type(_) => out.extend(self.results(received)),
            Matcher::Nonempty | Matcher::Contains(_) | Matcher::ContainsRendered(_) => {
                self.found(received, &error, out)
            }
            Matcher::Regex(t) if !t.render_regex(self.scope).is_ok_and(|r| depends_on_end(&r)) => {
                self.found(received, &error, out);
            }
            _ => self.undecided(received, &error, out),
        }
    }

    /// The results for what was received; one that does not hold is inconclusive.
    fn found(&self, received: Option<&Value>, error: &EvalError, out: &mut Vec<AssertionResult>) {
        out.extend(self.results(received).into_iter().map(|r| if r.holds { r } else { r.undecided(error) }));
    }

    /// The results for `substitute`, none of which holds because of `error`.
    fn undecided(&self, substitute: Option<&Value>, error: &EvalError, out: &mut Vec<AssertionResult>) {
        out.extend(self.results(substitute).into_iter().map(|r| r.undecided(error)));
    }

    /// The results for another value.
    fn results(&self, actual: Option<&Value>) -> Vec<AssertionResult> {
        let mut results = vec![];
        Match { actual, ..*self }.complete(&mut results);
        results
    }

    fn all(&self, patterns: &[Pattern], out: &mut Vec<AssertionResult>) {
        patterns.iter().for_each(|p| match_pattern(p, self.path, self.actual, self.scope, out));
    }

    fn complete(&self, out: &mut Vec<AssertionResult>) {
        let Match { actual, scope, path, .. } = *self;
        match &self.pattern.matcher {
            Matcher::Equal(want) => self.equal(want, path, actual, out),
            Matcher::Rendered(t) => match t.render(scope) {
                Ok(want) => self.equal(&want, path, actual, out),
                Err(e) => self.unevaluated(&e, out),
            },
            Matcher::Map(entries) => self.map(entries, out),
            Matcher::List(patterns) => self.list(patterns, out),
            Matcher::All(patterns) => self.all(patterns, out),
            Matcher::Set(patterns) => self.set(patterns, out),
            Matcher::SetRendered(t) => self.rendered(t, "in any order ", out, |want| {
                let (Some(want), Some(have)) = (want.as_list(), actual.and_then(Value::as_list)) else {
                    return Ok(false);
                };
                is_same_set(want, have, scope)
            }),
            Matcher::Contains(patterns) => self.contains(patterns, out),
            Matcher::ContainsRendered(t) if t.render(scope).is_ok_and(|want| is_empty(&want)) => {
                self.report_unless(true, false, "contains nothing".into(), out);
            }
            Matcher::ContainsRendered(t) => self.rendered(t, "contains ", out, |want| match (actual, want) {
                (Some(Value::Text(text)), Value::Text(w)) => Ok(text.contains(&**w)),
                (Some(Value::List(have)), Value::List(want)) => has_all(want, have, scope),
                (Some(Value::List(have)), w) => has_all(std::slice::from_ref(w), have, scope),
                _ => Ok(false),
            }),
            Matcher::Each(inner) => match actual.and_then(Value::as_list) {
                // an empty list would match any pattern
                None | Some([]) => self.report(false, "at least one element".into(), out),
                Some(items) => {
                    let rest = |i: usize| format!("{path}[{i}…]");
                    evaluate_each(items.len(), scope, &inner.span, rest, out, |i, out| {
                        match_pattern(inner, &format!("{path}[{i}]"), Some(&items[i]), scope, out);
                    });
                }
            },
            Matcher::In(patterns) => {
                let holds = actual.is_some() && patterns.iter().any(|p| fits(p, actual, scope));
                let any = patterns.iter().map(|p| literal(p, scope).map_or("…".into(), |v| self.show(&v)));
                self.report(holds, format!("one of {}", any.collect::<Vec<_>>().join(", ")), out);
            }
            Matcher::InRendered(t) => self.rendered(t, "one of ", out, |want| {
                want.as_list().zip(actual).map_or(Ok(false), |(l, a)| has_all(std::slice::from_ref(a), l, scope))
            }),
            Matcher::Regex(t) => self.regex(t, out),
            Matcher::Type(name) => {
                let holds = actual.is_some_and(|a| match name.as_str() {
                    "number" => matches!(a.kind(), "int" | "float"),
                    // outside this process a time is a string
                    "time" => is_time(a),
                    n => a.kind() == n,
                });
                self.report(holds, format!("of type {name}"), out);
            }
            Matcher::Time => self.report(actual.is_some_and(is_time), "a time in RFC 3339".into(), out),
            Matcher::Absent => self.report(actual.is_none(), "absent".into(), out),
            Matcher::Nonempty => {
                let holds = match actual {
                    None | Some(Value::Null) => false,
                    Some(Value::Text(s)) => !s.is_empty(),
                    Some(Value::List(l)) => !l.is_empty(),
                    Some(Value::Map(m)) => !m.is_empty(),
                    Some(_) => true,
                };
                self.report(holds, "not empty".into(), out);
            }
            Matcher::Schema(s) => self.schema(s, out),
            Matcher::That(e) => {
                let Some(a) = actual else { return self.report(false, e.text().to_string(), out) };
                match e.asserts(&scope.with("it", a.clone())) {
                    Ok(b) => self.report(b, e.text().to_string(), out),
                    Err(error @ (EvalError::NotObserved(_) | EvalError::Incomplete(_) | EvalError::Stopped(_))) => {
                        let result = self.result(false, path, e.text().to_string(), String::new());
                        out.push(result.undecided(&error));
                    }
                    Err(error) => self.report(false, format!("{} ({error})", e.text()), out),
                }
            }
        }
    }

    /// Adds the result for this value as a whole.
    fn report(&self, holds: bool, expected: String, out: &mut Vec<AssertionResult>) {
        out.push(self.result(holds, self.path, expected, self.show_actual()));
    }

    /// The result of an assertion that does not hold if it is vacuous with the values of this run.
    fn report_unless(&self, vacuous: bool, holds: bool, expected: String, out: &mut Vec<AssertionResult>) {
        let expected = if vacuous { format!("{expected} (vacuous: every value satisfies it)") } else { expected };
        self.report(holds && !vacuous, expected, out);
    }

    fn result(&self, holds: bool, subject: &str, expected: String, actual: String) -> AssertionResult {
        AssertionResult::new(holds, subject, expected, actual, &self.pattern.span)
    }

    fn show(&self, v: &Value) -> String {
        show(v, self.scope.secrets())
    }

    fn show_actual(&self) -> String {
        self.actual.map_or_else(|| "absent".into(), |v| self.show(v))
    }

    /// A matcher whose argument a placeholder computes.
    fn rendered(
        &self,
        t: &Tree,
        expected: &str,
        out: &mut Vec<AssertionResult>,
        holds: impl FnOnce(&Value) -> Result<bool, EvalError>,
    ) {
        match t.render(self.scope).and_then(|want| Ok((holds(&want)?, want))) {
            Ok((holds, want)) => self.report(holds, format!("{expected}{}", self.show(&want)), out),
            Err(e @ EvalError::Stopped(_)) => self.stopped(&e, out),
            Err(e) => self.unevaluated(&e, out),
        }
    }

    /// The result of an assertion over too many elements for the time.
    fn stopped(&self, e: &EvalError, out: &mut Vec<AssertionResult>) {
        out.push(self.result(false, self.path, "evaluated in time".into(), String::new()).undecided(e));
    }

    fn unevaluated(&self, e: &EvalError, out: &mut Vec<AssertionResult>) {
        let result = self.result(false, self.path, unevaluated(e), self.show_actual());
        let inconclusive = matches!(e, EvalError::Stopped(_));
        out.push(AssertionResult { inconclusive, ..result });
    }

    /// A literal or rendered value; maps in it are subsets.
    fn equal(&self, want: &Value, path: &str, actual: Option<&Value>, out: &mut Vec<AssertionResult>) {
        match (want, actual) {
            (Value::Map(m), Some(Value::Map(_))) if !m.is_empty() => {
                let rest = |i: usize| format!("{path} (from entry {} on)", i + 1);
                evaluate_each(m.len(), self.scope, &self.pattern.span, rest, out, |i, out| {
                    if let Some((k, v)) = m.get_index(i) {
                        self.equal(v, &join(path, k), actual.and_then(|a| a.get(k)), out);
                    }
                });
            }
            (Value::List(ws), Some(Value::List(have))) if ws.len() == have.len() && !ws.is_empty() => {
                let rest = |i: usize| format!("{path}[{i}…]");
                evaluate_each(ws.len(), self.scope, &self.pattern.span, rest, out, |i, out| {
                    self.equal(&ws[i], &format!("{path}[{i}]"), Some(&have[i]), out);
                });
            }
            _ => {
                let holds = actual.is_some_and(|a| a.same(want));
                let (expected, shown) = match actual {
                    Some(a) if !holds => difference(want, a, self.scope.secrets()),
                    _ => (self.show(want), actual.map_or_else(|| "absent".into(), |a| self.show(a))),
                };
                out.push(self.result(holds, path, expected, shown));
            }
        }
    }

    fn map(&self, entries: &[(Template, Span, Pattern)], out: &mut Vec<AssertionResult>) {
        // in an absent map every entry is absent, and each reports that
        if self.actual.is_some_and(|a| a.as_map().is_none()) {
            return self.report(false, "a map".into(), out);
        }
        if entries.is_empty() {
            return self.report(self.actual.is_some(), "a map".into(), out);
        }
        let before = out.len();
        self.entries(entries, out, |key| self.actual.and_then(|a| a.get(key)));
        // an absent map does not satisfy `$absent` for its fields
        if self.actual.is_none() && out[before..].iter().all(|r| r.holds) {
            out.truncate(before);
            self.report(false, "a map".into(), out);
        }
    }

    /// Matches the value of each key, given by `value`.
    fn entries<'b>(
        &self,
        entries: &[(Template, Span, Pattern)],
        out: &mut Vec<AssertionResult>,
        value: impl Fn(&str) -> Option<&'b Value>,
    ) {
        for (key, _, inner) in entries {
            match key.render_text(self.scope) {
                Ok(key) => {
                    let key = key.strip_prefix("$$").map(|k| format!("${k}")).unwrap_or(key);
                    match_pattern(inner, &join(self.path, &key), value(&key), self.scope, out);
                }
                Err(e) => {
                    let result = AssertionResult::new(false, self.path, unevaluated(&e), String::new(), &inner.span);
                    out.push(AssertionResult { inconclusive: matches!(e, EvalError::Stopped(_)), ..result });
                }
            }
        }
    }

    fn list(&self, patterns: &[Pattern], out: &mut Vec<AssertionResult>) {
        let Some(items) = self.actual.and_then(Value::as_list) else {
            return self.report(false, format!("a list of {}", patterns.len()), out);
        };
        if patterns.is_empty() {
            self.report(items.is_empty(), "an empty list".into(), out);
        } else if items.len() != patterns.len() {
            self.report(false, format!("a list of {}", patterns.len()), out);
        }
        for (i, p) in patterns.iter().enumerate() {
            match_pattern(p, &format!("{}[{i}]", self.path), items.get(i), self.scope, out);
        }
    }

    fn set(&self, patterns: &[Pattern], out: &mut Vec<AssertionResult>) {
        let Some(items) = self.actual.and_then(Value::as_list) else {
            return self.report(false, format!("a list of {} in any order", patterns.len()), out);
        };
        let fitting = match self.fitting(patterns, items) {
            Ok(fitting) => fitting,
            Err(e) => return self.stopped(&e, out),
        };
        let left = assign(&fitting, items.len());
        if left.patterns.is_empty() && left.elements.is_empty() {
            return self.report(true, format!("these {} in any order", patterns.len()), out);
        }
        left.patterns.into_iter().for_each(|i| self.missing(&patterns[i], items, out));
        for i in left.elements.into_iter().take(MAX_UNEXPECTED) {
            let subject = format!("{}[{i}]", self.path);
            out.push(self.result(false, &subject, "absent: an unexpected element".into(), self.show(&items[i])));
        }
    }

    fn contains(&self, patterns: &[Pattern], out: &mut Vec<AssertionResult>) {
        match self.actual {
            Some(Value::Text(text)) => {
                for inner in patterns {
                    let want = literal(inner, self.scope);
                    let holds = want.as_ref().is_some_and(|w| w.as_str().is_some_and(|w| text.contains(w)));
                    let vacuous = want.as_ref().is_some_and(is_empty);
                    let want = want.map_or_else(|| "a string".into(), |w| self.show(&w));
                    self.report_unless(vacuous, holds, format!("contains {want}"), out);
                }
            }
            Some(Value::List(items)) => {
                let fitting = match self.fitting(patterns, items) {
                    Ok(fitting) => fitting,
                    Err(e) => return self.stopped(&e, out),
                };
                let left = assign(&fitting, items.len());
                if left.patterns.is_empty() {
                    return self.report(true, format!("contains these {}", patterns.len()), out);
                }
                left.patterns.into_iter().for_each(|i| self.missing(&patterns[i], items, out));
            }
            _ => self.report(false, "a list or a string".into(), out),
        }
    }

    /// For each pattern the elements it matches.
    fn fitting(&self, patterns: &[Pattern], items: &[Value]) -> Result<Vec<Vec<usize>>, EvalError> {
        let mut steps = Steps::new(self.scope);
        let mut of_pattern = |p: &Pattern| -> Result<Vec<usize>, EvalError> {
            let mut elements = vec![];
            for (i, item) in items.iter().enumerate() {
                steps.step()?;
                if fits(p, Some(item), self.scope) {
                    elements.push(i);
                }
            }
            Ok(elements)
        };
        run_over(items.len(), self.scope, || patterns.iter().map(&mut of_pattern).collect())
    }

    /// Reports an element that the list lacks: how the most similar one differs.
    fn missing(&self, p: &Pattern, items: &[Value], out: &mut Vec<AssertionResult>) {
        let path = format!("{}[any]", self.path);
        let nearest = items
            .iter()
            .take(MAX_COMPARED)
            .map(|v| {
                let mut results = vec![];
                match_pattern(p, &path, Some(v), self.scope, &mut results);
                results
            })
            .max_by_key(|results| results.iter().filter(|r| r.holds).count());
        match nearest {
            Some(results) if results.iter().any(|r| !r.holds) => out.extend(results.into_iter().filter(|r| !r.holds)),
            _ => {
                let expected = literal(p, self.scope).map_or("an element".into(), |v| self.show(&v));
                let actual = if items.is_empty() { "an empty list" } else { "no further matching element" };
                out.push(AssertionResult::new(false, &path, expected, actual.into(), &p.span));
            }
        }
    }

    fn regex(&self, t: &Template, out: &mut Vec<AssertionResult>) {
        let text = match t.render_regex(self.scope) {
            Ok(text) => text,
            Err(e) => return self.unevaluated(&e, out),
        };
        match regex::Regex::new(&text) {
            Err(e) => self.report(false, reason(&e), out),
            Ok(r) => {
                let holds = self.actual.and_then(Value::as_str).is_some_and(|s| r.is_match(s));
                let vacuous = matches_everything(r.as_str());
                self.report_unless(vacuous, holds, format!("matches /{r}/"), out);
            }
        }
    }

    fn schema(&self, schema: &Schema, out: &mut Vec<AssertionResult>) {
        const VALID: &str = "valid by the schema";
        let validator = match schema {
            Schema::Ready(v) => Ok(v.clone()),
            Schema::Rendered(t) => match t.render(self.scope) {
                Ok(s) => build(Document::from(&s), "", false).map(Arc::new).map_err(|refusal| refusal.message),
                Err(e) => return self.unevaluated(&e, out),
            },
            Schema::File(file) => Err(format!("schema file `{}` is not loaded", file.file)),
            Schema::Broken => Err("invalid JSON Schema".into()),
        };
        match (validator, self.actual) {
            (Err(e), _) => self.report(false, e, out),
            (Ok(_), None) => self.report(false, VALID.into(), out),
            (Ok(schema), Some(a)) => {
                if let Some(reason) = a.incomplete() {
                    return self.undecided(None, &EvalError::Incomplete(reason.clone()), out);
                }
                let errors = schema.errors(a);
                if errors.is_empty() {
                    return self.report(true, VALID.into(), out);
                }
                for (pointer, message) in errors {
                    let subject = format!("{}{pointer}", self.path).replace('/', ".");
                    out.push(self.result(false, &subject, VALID.into(), cut(message, self.scope.secrets())));
                }
            }
        }
    }
}

/// The value a pattern equals, for messages.
fn literal(p: &Pattern, scope: &Scope) -> Option<Value> {
    match &p.matcher {
        Matcher::Equal(v) => Some(v.clone()),
        Matcher::Rendered(t) => t.render(scope).ok(),
        Matcher::Map(entries) => entries
            .iter()
            .map(|(k, _, p)| Some((k.render_text(scope).ok()?, literal(p, scope).unwrap_or_else(|| Value::text("…")))))
            .collect::<Option<Vec<_>>>()
            .map(Value::map),
        _ => None,
    }
}

fn is_empty(v: &Value) -> bool {
    v.as_str().is_some_and(str::is_empty) || v.as_list().is_some_and(<[_]>::is_empty)
}

fn is_time(v: &Value) -> bool {
    match v {
        Value::Time(_) => true,
        Value::Text(s) => is_rfc3339(s),
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
mod tests;
