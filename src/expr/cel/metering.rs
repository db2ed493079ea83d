//! Puts functions that charge the budget into an expression: at each step of a loop, and where a value is created or
//! copied.
use super::metered_functions::{CHARGE, STEP, is_replaced, replacement};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators as op};

/// Functions whose result is charged: a list, or a string that can be longer than their arguments.
const CREATE: [&str; 15] = [
    op::ADD,
    "range",
    "flatten",
    "slice",
    "sort",
    "@sortByAssociatedKeys",
    "reverse",
    "format",
    "substring",
    "lowerAscii",
    "upperAscii",
    "string",
    "bytes",
    "quote",
    "json",
];

/// Functions that can take long without a loop around them.
const SLOW: [&str; 5] = ["range", "flatten", "sort", "@sortByAssociatedKeys", "matches"];

/// Changes `e` in place. Returns whether its evaluation can take long.
pub(super) fn meter(e: &mut IdedExpr) -> bool {
    match &mut e.expr {
        Expr::Call(call) => {
            let mut slow = call.target.as_deref_mut().is_some_and(meter);
            call.args.iter_mut().for_each(|arg| slow |= meter(arg));
            let name = call.func_name.as_str();
            slow |= SLOW.contains(&name) || call.target.is_some() && is_replaced(name);
            if call.target.is_some() && is_replaced(name) {
                call.func_name = replacement(name);
            } else if CREATE.contains(&name) {
                wrap(e);
            }
            slow
        }
        Expr::Select(select) => meter(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().fold(false, |slow, element| {
            let slow = meter(element) | slow;
            wrap(element);
            slow
        }),
        Expr::Map(map) => map.entries.iter_mut().fold(false, |slow, entry| match &mut entry.expr {
            EntryExpr::MapEntry(entry) => {
                let slow = meter(&mut entry.key) | meter(&mut entry.value) | slow;
                wrap(&mut entry.value);
                slow
            }
            EntryExpr::StructField(_) => slow,
        }),
        Expr::Comprehension(c) => {
            let ComprehensionExpr { iter_range, accu_init, loop_cond, loop_step, result, .. } = &mut **c;
            [iter_range, accu_init, result].into_iter().for_each(|part| _ = meter(part));
            // The library appends in place, and not to a copy, only where the condition is a literal.
            if !matches!(loop_cond.expr, Expr::Literal(_)) || !meter_append(loop_step) {
                meter(loop_step);
                after_a_step(loop_cond);
            }
            true
        }
        _ => false,
    }
}

/// Meters the step of a `map` or `filter`: `@result + [element]`, or `guard ? @result + [element] : @result`. Returns
/// whether it is one.
fn meter_append(step: &mut IdedExpr) -> bool {
    let Expr::Call(call) = &mut step.expr else { return false };
    match (call.func_name.as_str(), &mut call.args[..]) {
        // each element is charged
        (op::ADD, [_, list]) if matches!(list.expr, Expr::List(_)) => {
            meter(list);
            true
        }
        (op::CONDITIONAL, [guard, append, _]) => {
            let is_append = meter_append(append);
            if is_append {
                meter(guard);
                after_a_step(guard);
            }
            is_append
        }
        _ => false,
    }
}

/// `e` becomes `@charge(e)`, which returns its argument.
fn wrap(e: &mut IdedExpr) {
    let inner = std::mem::take(e);
    let id = inner.id;
    *e = call(id, CHARGE, vec![inner]);
}

/// `e` becomes `@step() ? e : false`.
fn after_a_step(e: &mut IdedExpr) {
    let condition = std::mem::take(e);
    let id = condition.id;
    let no = IdedExpr { id, expr: Expr::Literal(LiteralValue::Boolean(false.into())) };
    *e = call(id, op::CONDITIONAL, vec![call(id, STEP, vec![]), condition, no]);
}

fn call(id: u64, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr { id, expr: Expr::Call(CallExpr { func_name: name.to_string(), target: None, args }) }
}
