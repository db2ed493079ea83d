//! Helpers over the library's syntax tree: children, depth, and the source text of a node.
use cel::{
    Program,
    common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators as op},
};
use std::ops::Range;

pub(super) fn children(e: &Expr) -> Vec<&IdedExpr> {
    match e {
        Expr::Call(c) => c.target.iter().map(|t| &**t).chain(&c.args).collect(),
        Expr::Select(s) => vec![&s.operand],
        Expr::List(l) => l.elements.iter().collect(),
        Expr::Map(m) => m.entries.iter().flat_map(|e| entry(&e.expr)).collect(),
        Expr::Struct(s) => s.entries.iter().flat_map(|e| entry(&e.expr)).collect(),
        Expr::Comprehension(c) => vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result],
        _ => vec![],
    }
}

/// Puts a literal map behind what it is compared with: equality is that of the left value, and headers compare without
/// regard to case.
pub(super) fn compare_with_literals(e: &mut IdedExpr) {
    if let Expr::Call(c) = &mut e.expr
        && [op::EQUALS, op::NOT_EQUALS].contains(&c.func_name.as_str())
        && let [a, b] = &mut c.args[..]
        && is_literal(&a.expr)
        && !is_literal(&b.expr)
    {
        std::mem::swap(a, b);
    }
    match &mut e.expr {
        Expr::Call(c) => c.target.iter_mut().map(|t| &mut **t).chain(&mut c.args).for_each(compare_with_literals),
        Expr::Select(s) => compare_with_literals(&mut s.operand),
        Expr::List(l) => l.elements.iter_mut().for_each(compare_with_literals),
        Expr::Comprehension(c) => {
            [&mut c.iter_range, &mut c.loop_step, &mut c.result].into_iter().for_each(compare_with_literals);
        }
        _ => {}
    }
}

fn is_literal(e: &Expr) -> bool {
    matches!(e, Expr::Map(_))
}

fn entry(e: &EntryExpr) -> Vec<&IdedExpr> {
    match e {
        EntryExpr::StructField(f) => vec![&f.value],
        EntryExpr::MapEntry(m) => vec![&m.key, &m.value],
    }
}

/// Depth of the tree, counted without recursion.
pub(super) fn levels(e: &IdedExpr) -> usize {
    let (mut level, mut count) = (vec![e], 0);
    while !level.is_empty() {
        level = level.into_iter().flat_map(|e| children(&e.expr)).collect();
        count += 1;
    }
    count
}

/// Nesting depth of brackets and unary operators, counted in the text before it is parsed.
pub(super) fn bracket_depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let unary = text.split(|c: char| c != '!' && c != '-').map(str::len).max().unwrap_or(0);
    deepest.max(unary)
}

/// Byte offset of a parser position, which counts lines and columns from 1.
pub(super) fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let before: usize = text.split_inclusive('\n').take((line - 1).max(0) as usize).map(str::len).sum();
    let line = &text[before.min(text.len())..];
    before + line.char_indices().nth((column - 1).max(0) as usize).map_or(line.len(), |(i, _)| i)
}

/// Whether the expression is a name with fields and constant indices.
pub(super) fn is_path(e: &Expr) -> bool {
    match e {
        Expr::Ident(_) => true,
        Expr::Select(s) => !s.test && is_path(&s.operand.expr),
        Expr::Call(c) if c.func_name == op::INDEX => {
            c.args.len() == 2 && is_path(&c.args[0].expr) && matches!(c.args[1].expr, Expr::Literal(_))
        }
        _ => false,
    }
}

/// Whether a field or index is optional: `a.?b`, `a[?0]`.
pub(super) fn uses_optional(e: &IdedExpr) -> bool {
    matches!(&e.expr, Expr::Call(c) if [op::OPT_SELECT, op::OPT_INDEX].contains(&c.func_name.as_str()))
        || children(&e.expr).into_iter().any(uses_optional)
}

/// The name under which `secret(…)` registers its argument: its last field, so `secret(body.token)` gives `token`.
pub(super) fn secret_name(e: &IdedExpr) -> String {
    fn last(e: &IdedExpr) -> Option<String> {
        match &e.expr {
            Expr::Ident(n) => Some(n.clone()),
            Expr::Select(s) => Some(s.field.clone()),
            Expr::Call(c) if c.func_name == op::INDEX => match &c.args.get(1)?.expr {
                Expr::Literal(LiteralValue::String(s)) => Some(s.inner().to_string()),
                _ => last(c.args.first()?),
            },
            _ => None,
        }
    }
    let found = match &e.expr {
        Expr::Call(c) if c.func_name == "secret" => c.args.first().and_then(last),
        Expr::Call(c) => c.args.iter().map(secret_name).find(|name| name != "secret"),
        _ => None,
    };
    found.unwrap_or_else(|| "secret".into())
}

/// The bytes of the token at which the library places a node; the whole text where it places none.
pub(super) fn token(program: &Program, text: &str, e: &IdedExpr) -> Range<usize> {
    let Some((start, stop)) = program.source_info().offset_for(e.id) else { return 0..text.len() };
    text.floor_char_boundary(start as usize)..text.ceil_char_boundary(stop as usize + 1)
}

/// The bytes from the first to the last token of a node, with its name or field, and with brackets balanced.
pub(super) fn extent(program: &Program, text: &str, e: &IdedExpr) -> Option<Range<usize>> {
    let own = program.source_info().offset_for(e.id);
    let own = own.map(|(start, stop)| {
        text.floor_char_boundary(start as usize)..text.ceil_char_boundary((stop as usize + 1).min(text.len()))
    });
    let parts = children(&e.expr).into_iter().filter_map(|c| extent(program, text, c));
    let Range { mut start, end: mut stop } =
        own.into_iter().chain(parts).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))?;
    if let Expr::Call(c) = &e.expr
        && c.target.is_none()
        && text[..start].ends_with(&c.func_name)
    {
        start -= c.func_name.len();
    }
    if let Expr::Select(s) = &e.expr
        && let Some(i) = text[stop..].find(&s.field)
        && text[stop..stop + i].trim_matches(['.', '?', ' ', '\n']).is_empty()
    {
        stop += i + s.field.len();
    }
    let open = |s: &str| s.matches(['(', '[', '{']).count() as isize - s.matches([')', ']', '}']).count() as isize;
    while open(&text[start..stop]) > 0 && stop < text.len() {
        stop += text[stop..].chars().next().map_or(1, char::len_utf8);
    }
    Some(start..stop)
}
