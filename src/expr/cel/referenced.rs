//! What an expression speaks of: its literals, the values of its parts that do not depend on an element, texts that its regular
//! expressions match, the fields whose absence it asks for, and what it reads of the elements of a list.
use super::{Expression, children, from_cel, op};
use crate::{
    expr::{referenced::ReferencedLiterals, scope::Scope},
    value::Value,
};
use cel::{
    Context,
    common::ast::{Expr, IdedExpr, LiteralValue},
};

impl Expression {
    pub fn collect_literals(&self, scope: &Scope, into: &mut ReferencedLiterals) {
        let context = self.context(scope).ok();
        Walk { context: context.as_ref(), into }.expr(self.0.program.expression(), &mut vec![]);
    }
}

struct Walk<'a, 'c> {
    /// None where a name is not bound: then only what stands there is referenced of.
    context: Option<&'a Context<'c, 'c>>,
    into: &'a mut ReferencedLiterals,
}

impl Walk<'_, '_> {
    fn expr<'e>(&mut self, e: &'e IdedExpr, bound: &mut Vec<&'e str>) {
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
                c.target
                    .iter()
                    .map(|t| &**t)
                    .chain(c.args.split_last().map_or(&[][..], |(_, rest)| rest))
                    .for_each(|a| self.expr(a, bound));
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
                let mut read = vec![];
                [&c.loop_cond, &c.loop_step, &c.result].into_iter().for_each(|e| reads_of(e, &c.iter_var, &mut read));
                read.sort();
                read.dedup();
                // `exists(e, e.a == 1 && e.b.c == 2)` reads `a` and `b.c`, and not `b` for its own sake
                let longer: Vec<Vec<String>> = read.clone();
                read.retain(|p| !longer.iter().any(|l| l.len() > p.len() && l.starts_with(p)));
                self.into.elements.insert(read);
                self.expr(&c.iter_range, bound);
                let depth = bound.len();
                bound.push(&c.iter_var);
                bound.push(&c.accu_var);
                bound.extend(c.iter_var2.as_deref());
                [&c.loop_cond, &c.loop_step, &c.result].into_iter().for_each(|e| self.expr(e, bound));
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
        children(&e.expr).into_iter().for_each(|c| self.expr(c, bound));
    }

    /// Where it depends on no element of a list.
    fn value(&self, e: &IdedExpr, bound: &[&str]) -> Option<Value> {
        if matches!(e.expr, Expr::Literal(_)) || !closed(e, bound) {
            return None;
        }
        from_cel(&*cel::Value::resolve_val(e, self.context?).ok()?).ok()
    }
}

fn closed(e: &IdedExpr, bound: &[&str]) -> bool {
    match &e.expr {
        Expr::Ident(name) => !bound.contains(&name.as_str()) && !name.starts_with('@'),
        other => children(other).into_iter().all(|c| closed(c, bound)),
    }
}

/// The fields taken from `name`, as far as they go.
fn reads_of(e: &IdedExpr, name: &str, out: &mut Vec<Vec<String>>) {
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
        None => children(&e.expr).into_iter().for_each(|c| reads_of(c, name, out)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{source::Source, value::Value, yaml};
    use serde_json::json;
    use std::sync::Arc;

    fn referenced(text: &str) -> ReferencedLiterals {
        let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: format!("|-\n  {text}") })).unwrap();
        let e = Expression::compile(&node, 0..text.len()).unwrap();
        let scope = Scope::default()
            .with("bait", "b4it")
            .with("names", Value::from(json!(["ann", "bob"])))
            .with("body", Value::from(json!({"n": 3})));
        let mut out = ReferencedLiterals::default();
        e.collect_literals(&scope, &mut out);
        out
    }

    #[test]
    fn literals_and_the_values_of_parts() {
        let s = referenced("!body.text.contains(bait) && body.kind != \"Secret\" && body.n == 3");
        assert!(["b4it", "Secret"].iter().all(|t| s.texts.contains(*t)), "{s:?}");
        assert!(s.numbers.contains(&3));
    }

    #[test]
    fn what_is_read_of_an_element() {
        let s = referenced("!names.exists(n, body.items.exists(o, o.metadata.name == n && o.kind == \"X\"))");
        assert!(s.texts.contains("ann") && s.texts.contains("X"), "{s:?}");
        let read: Vec<Vec<String>> = vec![vec!["kind".into()], vec!["metadata".into(), "name".into()]];
        assert!(s.elements.contains(&read), "{s:?}");
    }

    #[test]
    fn what_may_be_absent_and_what_matches() {
        let s = referenced("!has(body.token) && !(\"key\" in body) && !body.text.matches(\"(?i)(sql|store)\")");
        assert!(s.fields.contains("token") && s.fields.contains("key"));
        assert!(s.matching.contains("sql") && s.matching.contains("store"));
    }
}
