//! Static analysis of an expression: the names and fields it reads and the functions it calls.
use super::{
    ast::{children, extent, is_path, token},
    literals::{is_comparison, literals},
};
use crate::{
    language::{is_cel_function, runner_function},
    source::Span,
    value::{Value, ValueKind},
};
use cel::{
    Program,
    common::ast::{Expr, IdedExpr, LiteralValue, operators as op},
};
use std::{ops::Range, sync::Arc};

/// Names before a `.` that qualify a function: `math.greatest(…)`.
const NAMESPACES: [&str; 4] = ["math", "lists", "optional", "base64"];

/// Functions that belong to a value: `text.contains("x")`.
const METHODS: [&str; 10] =
    ["contains", "startsWith", "endsWith", "lowerAscii", "upperAscii", "trim", "split", "join", "indexOf", "substring"];

/// A name an expression reads, with the fields and indices it takes from it.
#[derive(Clone, Debug)]
pub struct Reference {
    pub root: String,
    pub path: Vec<Access>,
    pub span: Span,
    /// The fields that the expression takes from the elements of lists: `status` in `all.exists(a, a.status == 201)`.
    pub element_fields: Arc<[String]>,
}

#[derive(Clone, Debug)]
pub enum Access {
    Field(String, Span),
    Index(usize),
    /// An index computed during evaluation.
    Any,
}

/// A name that is compared with a literal.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The name, with the fields taken from it.
    pub root: String,
    pub path: Vec<Access>,
    /// What it is compared with.
    pub literal: ValueKind,
    /// The literal as it is written.
    pub text: String,
    pub span: Span,
}

/// Walks a compiled expression and collects what it uses.
pub(super) struct Analysis<'a> {
    text: &'a str,
    program: &'a Program,
    /// Maps bytes of the expression to a place in the file.
    locate: &'a dyn Fn(Range<usize>) -> Span,
    /// Variables of the enclosing macros.
    bound: Vec<String>,
    /// Fields taken from such variables.
    element_fields: Vec<String>,
    pub(super) references: Vec<Reference>,
    /// Names of called functions, each with its bytes.
    pub(super) calls: Vec<(String, Range<usize>)>,
    /// Functions that are called without the value they belong to: `contains(text, "x")`.
    pub(super) loose_methods: Vec<(String, Range<usize>)>,
    pub(super) comparisons: Vec<Comparison>,
    /// Where string literals contain `${`.
    pub(super) placeholders: Vec<Range<usize>>,
    /// Literals that no double holds exactly.
    pub(super) inexact: Vec<Range<usize>>,
}

impl<'a> Analysis<'a> {
    pub(super) fn of(program: &'a Program, text: &'a str, locate: &'a dyn Fn(Range<usize>) -> Span) -> Self {
        let (bound, references, calls, placeholders) = (vec![], vec![], vec![], vec![]);
        let element_fields = vec![];
        let inexact = vec![];
        let mut analysis = Analysis {
            text,
            program,
            locate,
            bound,
            element_fields,
            references,
            calls,
            loose_methods: vec![],
            comparisons: vec![],
            placeholders,
            inexact,
        };
        analysis.visit(program.expression());
        let element_fields: Arc<[String]> = analysis.element_fields.drain(..).collect();
        analysis.references.iter_mut().for_each(|r| r.element_fields = element_fields.clone());
        analysis
    }

    fn token(&self, e: &IdedExpr) -> Range<usize> {
        token(self.program, self.text, e)
    }

    fn visit(&mut self, e: &IdedExpr) {
        if let Some((root, span, path)) = self.path(e) {
            if self.bound.contains(&root) {
                self.element_fields.extend(path.into_iter().filter_map(|a| match a {
                    Access::Field(name, _) => Some(name),
                    _ => None,
                }));
            } else if !root.starts_with('@') {
                self.references.push(Reference { root, path, span, element_fields: Arc::default() });
            }
            return;
        }
        match &e.expr {
            Expr::Call(c) => {
                let is_known = is_cel_function(&c.func_name) || runner_function(&c.func_name).is_some();
                if is_known || !c.func_name.contains(['_', '@', '!', '-']) {
                    self.calls.push((c.func_name.clone(), self.function_name(e, &c.func_name)));
                }
                if c.target.is_none() && METHODS.contains(&c.func_name.as_str()) {
                    self.loose_methods.push((c.func_name.clone(), self.function_name(e, &c.func_name)));
                }
                if c.func_name == op::IN
                    && let Some(Expr::Literal(LiteralValue::String(_))) = c.args.get(1).map(|list| &list.expr)
                {
                    self.loose_methods.push(("in".into(), self.token(&c.args[1])));
                }
                if is_comparison(&c.func_name)
                    && let [a, b] = &c.args[..]
                {
                    self.compare(&c.func_name, a, b);
                    self.compare(&c.func_name, b, a);
                }
                let namespace = c.target.as_ref().is_some_and(|t| {
                    matches!(&t.expr, Expr::Ident(n) if NAMESPACES.contains(&n.as_str()) && !self.bound.contains(n))
                });
                c.target.iter().filter(|_| !namespace).for_each(|t| self.visit(t));
                c.args.iter().for_each(|a| self.visit(a));
            }
            Expr::Comprehension(c) => {
                self.visit(&c.iter_range);
                self.visit(&c.accu_init);
                let depth = self.bound.len();
                self.bound.push(c.iter_var.clone());
                self.bound.extend(c.iter_var2.clone());
                self.bound.push(c.accu_var.clone());
                [&c.loop_cond, &c.loop_step, &c.result].into_iter().for_each(|e| self.visit(e));
                self.bound.truncate(depth);
            }
            Expr::Literal(LiteralValue::String(text)) if text.inner().contains("${") => {
                let start = self.token(e).start;
                let open = self.text[start..].find("${").map_or(start, |i| start + i);
                self.placeholders.push(open..(open + 2).min(self.text.len()));
            }
            Expr::Literal(LiteralValue::Double(_)) => {
                let token = self.token(e);
                if !matches!(Value::number(self.text[token.clone()].trim()), None | Some(Value::Float(_))) {
                    self.inexact.push(token);
                }
            }
            other => children(other).into_iter().for_each(|c| self.visit(c)),
        }
    }

    /// Notes that a name is compared with a literal.
    fn compare(&mut self, operator: &str, name: &IdedExpr, operand: &IdedExpr) {
        let found = literals(operator, operand);
        if found.is_empty() || !is_path(&name.expr) {
            return;
        }
        let Some((root, _, path)) = self.path(name) else { return };
        if self.bound.contains(&root) {
            return;
        }
        for (literal, kind) in found {
            let range = extent(self.program, self.text, literal).unwrap_or_else(|| self.token(literal));
            let (text, span) = (self.text[range.clone()].to_string(), (self.locate)(range));
            self.comparisons.push(Comparison { root: root.clone(), path: path.clone(), literal: kind, text, span });
        }
    }

    /// The bytes of a call's function name. The library places a call at its bracket, which follows the name.
    fn function_name(&self, e: &IdedExpr, name: &str) -> Range<usize> {
        let token = self.token(e);
        match self.text[..token.end.min(self.text.len())].rfind(name) {
            Some(i) => i..i + name.len(),
            None => token,
        }
    }

    /// A name with the fields and indices taken from it; `None` for any other expression.
    fn path(&mut self, e: &IdedExpr) -> Option<(String, Span, Vec<Access>)> {
        match &e.expr {
            Expr::Ident(name) => Some((name.trim_start_matches('.').to_string(), (self.locate)(self.token(e)), vec![])),
            Expr::Select(s) => {
                let (root, span, mut path) = self.path(&s.operand)?;
                // `has(a.b)` accepts a missing `b`
                if !s.test {
                    let dot = self.token(e).start;
                    let field =
                        self.text[dot..].find(&s.field).map_or(dot..dot + 1, |i| dot + i..dot + i + s.field.len());
                    path.push(Access::Field(s.field.clone(), (self.locate)(field)));
                }
                Some((root, span, path))
            }
            Expr::Call(c) if c.func_name == op::INDEX && c.args.len() == 2 => {
                let (root, span, mut path) = self.path(&c.args[0])?;
                path.push(match &c.args[1].expr {
                    Expr::Literal(LiteralValue::Int(i)) => {
                        usize::try_from(*i.inner()).map_or(Access::Any, Access::Index)
                    }
                    Expr::Literal(LiteralValue::String(s)) => {
                        Access::Field(s.inner().to_string(), (self.locate)(self.token(&c.args[1])))
                    }
                    _ => {
                        self.visit(&c.args[1]);
                        Access::Any
                    }
                });
                Some((root, span, path))
            }
            _ => None,
        }
    }
}
