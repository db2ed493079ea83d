//! Explains a check that failed: the parts that decided the result, each with its value.
use super::{
    adapter::from_cel,
    budget,
    display::{difference, show},
    error::EvalError,
    expression::{Expression, resolve},
    incomplete::watched,
    metered_functions::CHARGE,
    referenced::element_paths,
};
use crate::{expr::scope::Scope, secrets::Secrets, value::Value};
use cel::{
    Context,
    common::{
        ast::{Expr, IdedExpr, operators as op},
        value::Val,
    },
};

const MAX_DEPTH: usize = 8;
const MAX_OPERANDS: usize = 12;

impl Expression {
    /// Source text and value of each operand that made the check fail.
    pub fn explain(&self, scope: &Scope) -> Vec<(String, String)> {
        let Ok(context) = self.context(scope) else { return vec![] };
        let mut explanation = Explanation { expression: self, secrets: scope.secrets(), operands: vec![] };
        // what was found before the budget ran out explains something
        let _ = self.limited(scope, || {
            explanation.visit(self.root(), &context, 0);
            Ok(())
        });
        explanation.operands.dedup();
        explanation.operands
    }
}

struct Explanation<'a> {
    expression: &'a Expression,
    secrets: &'a Secrets,
    operands: Vec<(String, String)>,
}

impl Explanation<'_> {
    fn visit(&mut self, e: &IdedExpr, context: &Context, depth: usize) {
        if depth > MAX_DEPTH || self.operands.len() > MAX_OPERANDS {
            return;
        }
        match &e.expr {
            Expr::Call(call) => match call.func_name.as_str() {
                op::LOGICAL_AND => {
                    for arg in call.args.iter().filter(|arg| !is_true(arg, context)) {
                        self.visit(arg, context, depth + 1);
                    }
                }
                op::LOGICAL_OR | op::LOGICAL_NOT | op::CONDITIONAL => {
                    call.args.iter().for_each(|a| self.visit(a, context, depth + 1));
                }
                op::EQUALS => self.compare(&call.args, context),
                op::NOT_EQUALS | op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS | op::IN => {
                    call.args.iter().for_each(|a| self.add(a, context))
                }
                CHARGE => call.args.iter().for_each(|a| self.visit(a, context, depth)),
                _ => call.target.iter().map(|t| &**t).chain(&call.args).for_each(|a| self.add(a, context)),
            },
            Expr::Comprehension(c) => {
                let paths = element_paths(c);
                self.add_elements(&c.iter_range, &paths, context);
                // `all` compiles to `accumulator && predicate`: name the first element that fails the predicate
                if let (Expr::Call(step), Ok(range)) = (&c.loop_step.expr, resolve(&c.iter_range, context))
                    && step.func_name == op::LOGICAL_AND
                    && let Some(predicate) = step.args.get(1)
                    && let Some(items) = range.as_iterable()
                {
                    let mut items = items.iter();
                    for i in 0.. {
                        let Some(item) = items.next().filter(|_| budget::charge(1, 0).is_ok()) else { break };
                        let mut inner = context.new_inner_scope();
                        inner.add_variable_as_val(c.iter_var.as_str(), item.clone_as_boxed());
                        if !is_true(predicate, &inner) {
                            let shown = from_cel(item).map_or_else(
                                |e: EvalError| e.to_string(),
                                |item| show(&fields_of(&item, &paths), self.secrets),
                            );
                            self.operands.push((format!("{} (element {i})", c.iter_var), shown));
                            self.visit(predicate, &inner, depth + 1);
                            break;
                        }
                    }
                }
            }
            _ => self.add(e, context),
        }
    }

    /// Adds both sides, with what makes them different.
    fn compare(&mut self, sides: &[IdedExpr], context: &Context) {
        let value = |e: &IdedExpr| watched(false, || from_cel(&*resolve(e, context)?)).ok();
        let [left, right] = sides else { return };
        let (Some(a), Some(b)) = (value(left), value(right)) else {
            return sides.iter().for_each(|side| self.add(side, context));
        };
        let is_literal = |e: &IdedExpr| matches!(e.expr, Expr::Literal(_));
        let shown = match (a.same(&b), is_literal(left)) {
            (true, _) => [show(&a, self.secrets), show(&b, self.secrets)],
            (_, true) => <[_; 2]>::from(difference(&a, &b, self.secrets)),
            _ => {
                let (right, left) = difference(&b, &a, self.secrets);
                [left, right]
            }
        };
        for (side, shown) in sides.iter().zip(shown).filter(|(side, _)| !is_literal(side)) {
            self.operands.push((self.expression.text_of(side).to_string(), shown));
        }
    }

    /// Adds a list, with what a macro reads from its elements.
    fn add_elements(&mut self, list: &IdedExpr, paths: &[Vec<String>], context: &Context) {
        let value = watched(false, || from_cel(&*resolve(list, context)?)).ok();
        let Some(Value::List(items)) = value else { return self.add(list, context) };
        let items = items.iter().map(|item| fields_of(item, paths)).collect();
        self.operands.push((self.expression.text_of(list).to_string(), show(&Value::list(items), self.secrets)));
    }

    fn add(&mut self, e: &IdedExpr, context: &Context) {
        if matches!(e.expr, Expr::Literal(_)) {
            return;
        }
        let value = watched(false, || Ok(self.show(&*resolve(e, context)?)));
        let value = value.unwrap_or_else(|error| format!("error: {error}"));
        self.operands.push((self.expression.text_of(e).to_string(), value));
    }

    fn show(&self, v: &dyn Val) -> String {
        from_cel(v).map_or_else(|e: EvalError| e.to_string(), |v| show(&v, self.secrets))
    }
}

/// The fields of an element that are read, each under its path, and why something is not `valid`; the element itself if it is not a map,
/// or read as a whole.
fn fields_of(element: &Value, paths: &[Vec<String>]) -> Value {
    let of = |path: &[String]| path.iter().try_fold(element, |value, field| value.get(field)).cloned();
    if element.as_map().is_none() || paths.is_empty() || paths.iter().any(Vec::is_empty) {
        return element.clone();
    }
    let why = paths.iter().filter_map(|path| match &path[..] {
        [parent @ .., last] if last == "valid" => Some([parent, &["why".to_owned()]].concat()),
        _ => None,
    });
    let why: Vec<Vec<String>> = why.filter(|path| of(path).is_some_and(|why| why != Value::Null)).collect();
    let fields = paths.iter().chain(&why).filter_map(|path| Some((path.join("."), of(path)?)));
    Value::map(fields)
}

pub(super) fn is_true(e: &IdedExpr, context: &Context) -> bool {
    resolve(e, context).is_ok_and(|v| from_cel(&*v) == Ok(Value::Bool(true)))
}
