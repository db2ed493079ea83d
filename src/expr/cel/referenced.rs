//! Collects what an expression mentions: literals, values of parts that need no list element, strings its regular
//! expressions match, fields it tests for presence, and what it reads from list elements.
use super::{adapter::from_cel, ast::children, expression::Expression};
use crate::{
    expr::{referenced::ReferencedLiterals, scope::Scope},
    value::Value,
};
use cel::{
    Context,
    common::ast::{ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators as op},
};

impl Expression {
    pub fn collect_literals(&self, scope: &Scope, into: &mut ReferencedLiterals) {
        let context = self.context(scope).ok();
        let _ = self.limited(scope, || {
            Collector { context: context.as_ref(), into }.visit(self.root(), &mut vec![]);
            Ok(())
        });
    }
}

struct Collector<'a, 'c> {
    /// `None` if a name is not bound: then only literals are collected.
    context: Option<&'a Context<'c, 'c>>,
    into: &'a mut ReferencedLiterals,
}

impl Collector<'_, '_> {
    /// `bound` holds the variables of the enclosing macros.
    fn visit<'e>(&mut self, e: &'e IdedExpr, bound: &mut Vec<&'e str>) {
        match &e.expr {
            Expr::Literal(LiteralValue::String(s)) => self.into.literal(s.inner()),
            Expr::Literal(LiteralValue::Int(n)) => self.into.number(*n.inner()),
            Expr::Call(c) if c.func_name == "matches" => {
                if let Some(pattern) = c.args.last() {
                    match &pattern.expr {
                        Expr::Literal(LiteralValue::String(s)) => self.into.pattern(s.inner()),
                        _ => {
                            if let Some(Value::Text(s)) = self.value(pattern, bound) {
                                self.into.pattern(&s);
                            }
                        }
                    }
                }
                let subject = c.args.split_last().map_or(&[][..], |(_, rest)| rest);
                c.target.iter().map(|t| &**t).chain(subject).for_each(|a| self.visit(a, bound));
                return;
            }
            Expr::Call(c) if c.func_name == op::IN => {
                if let Some(Expr::Literal(LiteralValue::String(s))) = c.args.first().map(|a| &a.expr) {
                    self.into.fields.insert(s.inner().to_string());
                }
            }
            Expr::Select(s) if s.test => {
                self.into.fields.insert(s.field.clone());
            }
            Expr::Comprehension(c) => {
                let body = [&c.loop_cond, &c.loop_step, &c.result];
                self.into.elements.insert(element_paths(c));
                self.visit(&c.iter_range, bound);
                let depth = bound.len();
                bound.push(&c.iter_var);
                bound.push(&c.accu_var);
                bound.extend(c.iter_var2.as_deref());
                body.into_iter().for_each(|e| self.visit(e, bound));
                bound.truncate(depth);
                return;
            }
            _ => {}
        }
        match self.value(e, bound) {
            Some(Value::Text(s)) => self.into.text(&s),
            Some(Value::Int(n)) => self.into.number(n),
            Some(Value::List(l)) if l.iter().all(|v| v.as_str().is_some()) => {
                l.iter().filter_map(Value::as_str).for_each(|s| self.into.text(s));
            }
            _ => {}
        }
        children(&e.expr).into_iter().for_each(|c| self.visit(c, bound));
    }

    /// The value of a part that depends on no list element.
    fn value(&self, e: &IdedExpr, bound: &[&str]) -> Option<Value> {
        if matches!(e.expr, Expr::Literal(_)) || !is_closed(e, bound) {
            return None;
        }
        from_cel(&*cel::Value::resolve_val(e, self.context?).ok()?).ok()
    }
}

/// Whether the expression uses none of the `bound` variables.
fn is_closed(e: &IdedExpr, bound: &[&str]) -> bool {
    match &e.expr {
        Expr::Ident(name) => !bound.contains(&name.as_str()) && !name.starts_with('@'),
        other => children(other).into_iter().all(|c| is_closed(c, bound)),
    }
}

/// What a macro reads from the elements of its list, as field paths: `exists(e, e.a == 1 && e.b.c == 2)` reads `a` and `b.c`, but not `b`
/// alone.
pub(super) fn element_paths(c: &ComprehensionExpr) -> Vec<Vec<String>> {
    let mut paths = vec![];
    [&c.loop_cond, &c.loop_step, &c.result].into_iter().for_each(|e| paths_from(e, &c.iter_var, &mut paths));
    paths.sort();
    paths.dedup();
    let all: Vec<Vec<String>> = paths.clone();
    paths.retain(|p| !all.iter().any(|longer| longer.len() > p.len() && longer.starts_with(p)));
    paths
}

/// The longest field paths taken from `name`.
fn paths_from(e: &IdedExpr, name: &str, out: &mut Vec<Vec<String>>) {
    fn path(e: &IdedExpr, name: &str) -> Option<Vec<String>> {
        match &e.expr {
            Expr::Ident(n) if n == name => Some(vec![]),
            Expr::Select(s) if !s.test => {
                let mut p = path(&s.operand, name)?;
                p.push(s.field.clone());
                Some(p)
            }
            _ => None,
        }
    }
    match path(e, name) {
        Some(p) => out.push(p),
        None => children(&e.expr).into_iter().for_each(|c| paths_from(c, name, out)),
    }
}
