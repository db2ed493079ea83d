//! Assertions that cannot fail: by their text, or with the values of a run.
use super::{
    adapter::from_cel,
    ast::children,
    budget,
    error::EvalError,
    explain::is_true,
    expression::{Expression, resolve},
    functions::{self, SEARCHES},
    incomplete::watched,
};
use crate::{
    diagnostic::Diagnostic,
    expr::{regex::matches_everything, scope::Scope},
};
use cel::{
    Context,
    common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators as op},
};

impl Expression {
    /// Says that an assertion, or a part of it joined by `&&`, cannot fail.
    pub fn vacuous(&self) -> Option<Diagnostic> {
        let message = if self.references().is_empty() {
            format!("`{}` reads no name", self.text())
        } else {
            let certain = budget::limited(budget::CHECK, None, || Ok(self.certain(self.root()))).ok()?;
            format!("`{}` is always true", self.text_of(certain?))
        };
        let d = Diagnostic::error("vacuous-assertion", self.span(), message);
        Some(d.help("compare what an action returned with what you expect"))
    }

    /// Evaluates an assertion to a boolean.
    ///
    /// # Errors
    /// Those of [`Expression::holds`], or that every text would satisfy it.
    pub fn asserts(&self, scope: &Scope) -> Result<bool, EvalError> {
        self.limited(scope, || {
            let holds = self.holds(scope)?;
            if holds
                && self.searches()
                && let Ok(Some(part)) = watched(false, || Ok(self.empty_search(self.root(), &self.context(scope)?)))
            {
                return Err(EvalError::Other(format!("`{part}` is vacuous: every text satisfies it")));
            }
            Ok(holds)
        })
    }

    fn certain<'e>(&self, e: &'e IdedExpr) -> Option<&'e IdedExpr> {
        match &e.expr {
            Expr::Call(c) if c.func_name == op::LOGICAL_AND => c.args.iter().find_map(|a| self.certain(a)),
            _ => (truth(e) == Some(true)).then_some(e),
        }
    }

    /// The text of the search on which the truth of `e` rests, if every text satisfies that.
    fn empty_search(&self, e: &IdedExpr, context: &Context) -> Option<String> {
        let find = |e: &IdedExpr| self.empty_search(e, context);
        match &e.expr {
            Expr::Call(c) if SEARCHES.contains(&c.func_name.as_str()) => {
                let argument = from_cel(&*resolve(c.args.last()?, context).ok()?).ok()?;
                satisfied_by_all(&c.func_name, argument.as_str()?).then(|| self.text_of(e).to_string())
            }
            Expr::Call(c) if c.func_name == op::LOGICAL_OR => {
                let found: Option<Vec<_>> = c.args.iter().filter(|a| is_true(a, context)).map(find).collect();
                found?.into_iter().next()
            }
            Expr::Call(c) if c.func_name == op::CONDITIONAL => {
                let [condition, yes, no] = &c.args[..] else { return None };
                find(if is_true(condition, context) { yes } else { no })
            }
            // what is false does not hold for every text
            Expr::Call(c) if c.func_name == op::LOGICAL_NOT => None,
            Expr::Comprehension(c) => find(&c.iter_range).or_else(|| {
                let Some((operator, predicate)) = quantified(c) else {
                    return children(&c.loop_step.expr).into_iter().find_map(find);
                };
                let range = resolve(&c.iter_range, context).ok()?;
                let mut items = range.as_iterable()?.iter();
                let mut found = vec![];
                while let Some(item) = items.next() {
                    budget::charge(1, 0).ok()?;
                    let mut inner = context.new_inner_scope();
                    inner.add_variable_as_val(c.iter_var.as_str(), item.clone_as_boxed());
                    if operator == op::LOGICAL_AND || is_true(predicate, &inner) {
                        found.push(self.empty_search(predicate, &inner));
                    }
                }
                match operator {
                    op::LOGICAL_AND => found.into_iter().flatten().next(),
                    _ => found.into_iter().collect::<Option<Vec<_>>>()?.into_iter().next(),
                }
            }),
            other => children(other).into_iter().find_map(find),
        }
    }
}

fn satisfied_by_all(function: &str, argument: &str) -> bool {
    argument.is_empty() || function == "matches" && matches_everything(argument)
}

/// The operator of `all` or `exists`, with the predicate.
fn quantified(c: &ComprehensionExpr) -> Option<(&str, &IdedExpr)> {
    match &c.loop_step.expr {
        Expr::Call(step) if [op::LOGICAL_AND, op::LOGICAL_OR].contains(&step.func_name.as_str()) => {
            Some((&step.func_name, step.args.get(1)?))
        }
        _ => None,
    }
}

/// What an expression evaluates to whatever the names in it are bound to, unless that is an error.
fn truth(e: &IdedExpr) -> Option<bool> {
    if !has_names(e, &mut vec![]) {
        let context = Context::with_env(functions::ENV.clone());
        return watched(false, || from_cel(&*resolve(e, &context)?)).ok()?.as_bool();
    }
    match &e.expr {
        Expr::Call(c) => match (c.func_name.as_str(), &c.args[..]) {
            (op::LOGICAL_NOT, [a]) => truth(a).map(|t| !t),
            (op::LOGICAL_AND, [a, b]) => match (truth(a), truth(b)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                _ if any_pair(e, op::LOGICAL_AND, excludes) => Some(false),
                (a, b) => a.and(b),
            },
            (op::LOGICAL_OR, [a, b]) => match (truth(a), truth(b)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                _ if any_pair(e, op::LOGICAL_OR, |a, b| opposite(a, b) || differ_from_two(a, b)) => Some(true),
                (a, b) => a.and(b),
            },
            (op::CONDITIONAL, [condition, yes, no]) => match truth(condition) {
                Some(condition) => truth(if condition { yes } else { no }),
                None => truth(yes).filter(|yes| truth(no) == Some(*yes)),
            },
            (name, [a, b]) if comparison(name).is_some() => {
                let holds = comparison(name)?;
                if same(a, b) {
                    return Some(holds(0));
                }
                // at least, at most
                let ((a, b), (c, d)) = (range(a)?, range(b)?);
                let signs = [(a < d, -1), (b > c, 1), (a <= d && c <= b, 0)];
                let mut possible = signs.into_iter().filter(|(possible, _)| *possible).map(|(_, sign)| holds(sign));
                possible.next().filter(|first| possible.all(|other| other == *first))
            }
            (name, args) if SEARCHES.contains(&name) => match &args.last()?.expr {
                Expr::Literal(LiteralValue::String(s)) => satisfied_by_all(name, s.inner()).then_some(true),
                _ => None,
            },
            _ => None,
        },
        // `all` is true of no elements, and `exists` false
        Expr::Comprehension(c) => match quantified(c)? {
            (op::LOGICAL_AND, predicate) => truth(predicate).filter(|t| *t),
            (_, predicate) => truth(predicate).filter(|t| !*t),
        },
        _ => None,
    }
}

/// Whether an operator holds for a sign: of two values, less is -1.
fn comparison(name: &str) -> Option<fn(i8) -> bool> {
    Some(match name {
        op::EQUALS => |sign| sign == 0,
        op::NOT_EQUALS => |sign| sign != 0,
        op::LESS => |sign| sign < 0,
        op::LESS_EQUALS => |sign| sign <= 0,
        op::GREATER => |sign| sign > 0,
        op::GREATER_EQUALS => |sign| sign >= 0,
        _ => return None,
    })
}

/// The least and greatest value of a number.
fn range(e: &IdedExpr) -> Option<(i64, i64)> {
    match &e.expr {
        Expr::Literal(LiteralValue::Int(n)) => Some((*n.inner(), *n.inner())),
        Expr::Call(c) => match c.func_name.trim_start_matches('@') {
            "size" => Some((0, i64::MAX)),
            "indexOf" | "lastIndexOf" => Some((-1, i64::MAX)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a relation holds between two of the operands that an operator joins: `a || b || c`.
fn any_pair(e: &IdedExpr, operator: &str, relation: impl Fn(&IdedExpr, &IdedExpr) -> bool) -> bool {
    fn operands<'e>(e: &'e IdedExpr, operator: &str, out: &mut Vec<&'e IdedExpr>) {
        match &e.expr {
            Expr::Call(c) if c.func_name == operator => c.args.iter().for_each(|a| operands(a, operator, out)),
            _ => out.push(e),
        }
    }
    let mut all = vec![];
    operands(e, operator, &mut all);
    all.iter().enumerate().any(|(i, a)| all[..i].iter().any(|b| relation(a, b)))
}

/// Whether both cannot be true: `x == 1` and `x == 2`.
fn excludes(a: &IdedExpr, b: &IdedExpr) -> bool {
    compare_one_with_two(op::EQUALS, a, b)
}

/// Whether one of both is true: `x != 1` or `x != 2`.
fn differ_from_two(a: &IdedExpr, b: &IdedExpr) -> bool {
    compare_one_with_two(op::NOT_EQUALS, a, b)
}

fn compare_one_with_two(operator: &str, a: &IdedExpr, b: &IdedExpr) -> bool {
    let differ = |a: &IdedExpr, b: &IdedExpr| match (&a.expr, &b.expr) {
        // numbers of two types can be equal
        (Expr::Literal(LiteralValue::Int(a)), Expr::Literal(LiteralValue::Int(b))) => a.inner() != b.inner(),
        (Expr::Literal(LiteralValue::String(a)), Expr::Literal(LiteralValue::String(b))) => a.inner() != b.inner(),
        (Expr::Literal(LiteralValue::Boolean(a)), Expr::Literal(LiteralValue::Boolean(b))) => a.inner() != b.inner(),
        _ => false,
    };
    match (&a.expr, &b.expr) {
        (Expr::Call(a), Expr::Call(b)) if a.func_name == operator && b.func_name == operator => {
            let sides = |c: &CallExpr, i: usize| (c.args[i].clone(), c.args[1 - i].clone());
            let pairs = [(0, 0), (0, 1), (1, 0), (1, 1)];
            a.args.len() == 2
                && b.args.len() == 2
                && pairs.into_iter().any(|(i, j)| {
                    let ((x, v), (y, w)) = (sides(a, i), sides(b, j));
                    same(&x, &y) && differ(&v, &w)
                })
        }
        _ => false,
    }
}

/// Whether one of two expressions is true if the other is false.
fn opposite(a: &IdedExpr, b: &IdedExpr) -> bool {
    let negated = |a: &IdedExpr, b: &IdedExpr| matches!(&a.expr, Expr::Call(c) if c.func_name == op::LOGICAL_NOT && c.args.iter().all(|a| same(a, b)));
    let compared = match (&a.expr, &b.expr) {
        (Expr::Call(a), Expr::Call(b)) => match (comparison(&a.func_name), comparison(&b.func_name)) {
            (Some(f), Some(g)) => [-1, 0, 1].into_iter().all(|sign| f(sign) || g(sign)) && all_same(&a.args, &b.args),
            _ => false,
        },
        _ => false,
    };
    compared || negated(a, b) || negated(b, a)
}

/// Whether two expressions are written alike.
fn same(a: &IdedExpr, b: &IdedExpr) -> bool {
    let calls = |a: &CallExpr, b: &CallExpr| {
        let targets = match (&a.target, &b.target) {
            (Some(a), Some(b)) => same(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        a.func_name == b.func_name && targets && all_same(&a.args, &b.args)
    };
    match (&a.expr, &b.expr) {
        (Expr::Ident(a), Expr::Ident(b)) => a == b,
        (Expr::Select(a), Expr::Select(b)) => a.field == b.field && a.test == b.test && same(&a.operand, &b.operand),
        (Expr::Call(a), Expr::Call(b)) => calls(a, b),
        (Expr::Literal(a), Expr::Literal(b)) => a == b,
        (Expr::List(a), Expr::List(b)) => all_same(&a.elements, &b.elements),
        _ => false,
    }
}

fn all_same(a: &[IdedExpr], b: &[IdedExpr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Whether an expression reads names other than the `bound` variables of macros.
fn has_names<'e>(e: &'e IdedExpr, bound: &mut Vec<&'e str>) -> bool {
    match &e.expr {
        Expr::Ident(name) => !name.starts_with('@') && !bound.contains(&name.as_str()),
        Expr::Comprehension(c) => {
            if has_names(&c.iter_range, bound) || has_names(&c.accu_init, bound) {
                return true;
            }
            let depth = bound.len();
            bound.push(&c.iter_var);
            bound.push(&c.accu_var);
            bound.extend(c.iter_var2.as_deref());
            let found = [&c.loop_cond, &c.loop_step, &c.result].into_iter().any(|e| has_names(e, bound));
            bound.truncate(depth);
            found
        }
        other => children(other).into_iter().any(|c| has_names(c, bound)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{source::Source, value::Value, yaml};
    use serde_json::json;
    use std::sync::Arc;

    fn compile(text: &str) -> Expression {
        let node = yaml::parse(&Arc::new(Source::new("t", format!("|-\n  {text}")))).unwrap();
        Expression::compile(&node, 0..text.len()).unwrap()
    }

    #[test]
    fn refuses_what_is_true_whatever_the_names_are() {
        for text in [
            "true",
            "1 == 1",
            "!false",
            "'a' == 'a'",
            "[1].all(x, x == 1)",
            "now() > timestamp('2020-01-01T00:00:00Z')",
            "x == x",
            "x.a == x.a",
            "x[0].a == x[0].a",
            "x <= x",
            "size(x) == size(x)",
            "x == 1 && true",
            "x == 1 || true",
            "x == 1 && 1 == 1",
            "x == 1 && x == x",
            "size(x) >= 0",
            "0 <= size(x)",
            "size(x) > -1",
            "size(x) != -1",
            "x.size() >= 0",
            "!(size(x) < 0)",
            "x.indexOf('a') >= -1",
            "x == 1 || x != 1",
            "x > 1 || x <= 1",
            "x >= 1 || x <= 1",
            "x || !x",
            "x != 1 || x != 2",
            "x.s != 'a' || y == 1 || 'b' != x.s",
            "!(x == 1 && x == 2)",
            "!(x == 1 && y == 1 && 2 == x)",
            "x == true || y || !x && x == x || x != 1 || x != 3",
            "has(x.a) || !has(x.a)",
            "x.contains('')",
            "x.startsWith('')",
            "x.endsWith('')",
            "x.matches('')",
            "x.matches('.*')",
            "x.matches('^')",
            "x.all(e, true)",
            "!x.exists(e, false)",
            "x.all(e, e.contains(''))",
            "x ? true : true",
            "true ? size(x) >= 0 : x",
            "x == 2 && (x == 1 || size(x) >= 0)",
        ] {
            assert_eq!(compile(text).vacuous().map(|d| d.code), Some("vacuous-assertion"), "{text}");
        }
        for text in [
            "x",
            "x == 1",
            "x == y",
            "x.a == x.b",
            "x[0] == x[1]",
            "x != x",
            "size(x) > 0",
            "size(x) >= 1",
            "size(x) == 0",
            "x.contains('a')",
            "x.contains(y)",
            "x.matches('a+')",
            "x.matches('^$')",
            "x.all(e, e > 0)",
            "!x.exists(e, e == 1)",
            "x == 1 || y == 1",
            "x > 1 || x < 1",
            "x != 1 || x != 1.0",
            "x != 1 || y != 2",
            "x != 1 || x == 1 && y == 2",
            "!(x == 1 && y == 2)",
            "x != 1 && x != 2",
            "has(x.a)",
            "size(x) <= 5",
            "secrets_in(x) == []",
            "x.indexOf('a') >= 0",
            "!x.contains('')",
            "x ? true : y",
            "size(x) == size(y)",
            "x.a.size() == x.b.size()",
            "x - 1 >= 0",
        ] {
            assert!(compile(text).vacuous().is_none(), "{text}");
        }
    }

    #[test]
    fn the_message_quotes_the_whole_part() {
        for (text, part) in [
            ("a.b == a.b", "a.b == a.b"),
            ("x == 1 && a.b.c == a.b.c", "a.b.c == a.b.c"),
            ("x == 1 && size(a.items) >= 0 && y == 2", "size(a.items) >= 0"),
            ("x == 1 && 0 <= a.items.size()", "0 <= a.items.size()"),
            ("(a[0].long_name == a[0].long_name) && x == 1", "a[0].long_name == a[0].long_name"),
            ("x == 1 && !has(a.b) || has(a.b)", "x == 1 && !has(a.b) || has(a.b)"),
            ("x == 1 && (a.b != 1 || a.b != 2)", "a.b != 1 || a.b != 2"),
        ] {
            let message = compile(text).vacuous().map(|d| d.message);
            let expected = format!("`{part}` is always true");
            assert!(message.is_none() && part == text && text.contains("has") || message == Some(expected), "{text}");
        }
    }

    #[test]
    fn an_empty_argument_makes_a_search_vacuous() {
        let scope = Scope::default()
            .with("t", "text")
            .with("none", "")
            .with("any", ".*")
            .with("some", Value::from(json!(["t", "e"])))
            .with("holes", Value::from(json!(["t", ""])))
            .with("nothing", Value::from(json!([])));
        for function in SEARCHES {
            for (text, expected) in [
                ("t.F(none)", None),
                ("t.F(none) && t == 'text'", None),
                ("t == 'text' && t.F(none)", None),
                ("t.F(none) || t == 'other'", None),
                ("t.F(none) || t == 'text'", Some(true)),
                ("t.F(none) == true", None),
                ("!t.F(none)", Some(false)),
                ("t == 'text' ? t.F(none) : false", None),
                ("t != 'text' ? t.F(none) : true", Some(true)),
                ("holes.all(h, t.F(h) || h == '')", Some(true)),
                ("holes.exists(h, t.F(h) && h == '')", None),
                ("some.exists(s, s.F(none))", None),
                ("size(some.filter(s, s.F(none))) == 2", None),
                ("nothing.all(s, s.F(none))", Some(true)),
            ] {
                let e = compile(&text.replace('F', function));
                assert_eq!(e.asserts(&scope).ok(), expected, "{}", e.text());
                assert!(e.holds(&scope).is_ok(), "outside an assertion nothing changes");
            }
        }
        assert_eq!(compile("holes.all(h, t.contains(h))").asserts(&scope).ok(), None);
        assert_eq!(compile("some.all(s, t.contains(s))").asserts(&scope).ok(), Some(true));
        assert_eq!(compile("t.matches(any)").asserts(&scope).ok(), None);
        let error = compile("t.contains(none)").asserts(&scope).unwrap_err();
        assert_eq!(error.to_string(), "`t.contains(none)` is vacuous: every text satisfies it");
    }
}
