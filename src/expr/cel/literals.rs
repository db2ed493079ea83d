//! Literals that names are compared with: `status == "201"`. Whether such a comparison can hold depends on the kind of the
//! name's value.
use crate::value::ValueKind;
use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators as op};

/// The literals that an operand may be: one, or the elements of a list after `in`.
pub(super) fn literals<'e>(operator: &str, operand: &'e IdedExpr) -> Vec<(&'e IdedExpr, ValueKind)> {
    let of = |e: &'e IdedExpr| Some((e, kind(e)?));
    match &operand.expr {
        Expr::List(list) if operator == op::IN => list.elements.iter().filter_map(of).collect(),
        _ if operator == op::IN => vec![],
        _ => of(operand).into_iter().collect(),
    }
}

pub(super) fn is_comparison(operator: &str) -> bool {
    let comparing = [op::EQUALS, op::NOT_EQUALS, op::LESS, op::LESS_EQUALS, op::GREATER, op::GREATER_EQUALS, op::IN];
    comparing.contains(&operator)
}

/// The kind of a literal; `None` for `null` and for everything that is computed.
fn kind(e: &IdedExpr) -> Option<ValueKind> {
    match &e.expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(_) => Some(ValueKind::Bool),
            LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Some(ValueKind::Number),
            LiteralValue::String(_) => Some(ValueKind::Text),
            _ => None,
        },
        Expr::Call(c) if c.target.is_none() && c.func_name == "duration" => Some(ValueKind::Duration),
        Expr::Call(c) if c.target.is_none() && c.func_name == "timestamp" => Some(ValueKind::Time),
        Expr::List(_) => Some(ValueKind::List),
        Expr::Map(_) => Some(ValueKind::Map),
        _ => None,
    }
}
