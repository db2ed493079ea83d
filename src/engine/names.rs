//! The names in scope at each point of a plan, and the shapes of their values as far as they are known before the run.
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    expr::{Comparison, Reference, cel::Access},
    language::slips::help_for_name,
    source::Span,
    value::ValueKind,
};
use std::{
    cell::Cell,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What is known of a value before the run.
#[derive(Clone, Debug)]
pub enum Shape {
    Any,
    /// A map with these fields and no others.
    Fields(Vec<(String, Shape)>),
    List(Box<Shape>),
    /// A value of this kind.
    Of(ValueKind),
    /// Any value; notes that the plan reads it.
    Noted(Arc<AtomicBool>),
}

impl Shape {
    /// Notes that the plan reads this value, and `element_fields` of its elements.
    pub fn note_read(&self, element_fields: &[String]) {
        match self {
            Shape::Noted(read) => read.store(true, Ordering::Relaxed),
            Shape::List(element) => element.note_fields(element_fields),
            Shape::Any | Shape::Of(_) | Shape::Fields(_) => {}
        }
    }

    fn note_fields(&self, names: &[String]) {
        match self {
            Shape::Fields(fields) => {
                fields.iter().filter(|(f, _)| names.contains(f)).for_each(|(_, shape)| shape.note_read(&[]));
            }
            Shape::List(element) => element.note_fields(names),
            Shape::Any | Shape::Of(_) | Shape::Noted(_) => {}
        }
    }

    /// What is known of its kind.
    pub fn kind(&self) -> Option<ValueKind> {
        match self {
            Shape::Of(kind) => Some(*kind),
            Shape::Fields(_) => Some(ValueKind::Map),
            Shape::List(_) => Some(ValueKind::List),
            Shape::Any | Shape::Noted(_) => None,
        }
    }

    pub fn fields(names: &[&str]) -> Shape {
        Shape::Fields(names.iter().map(|n| (n.to_string(), Shape::Any)).collect())
    }
}

/// Says that a value of one kind is compared with a literal of another kind.
pub fn other_kind(kind: ValueKind, literal: ValueKind, text: &str, span: &Span) -> Diagnostic {
    let bare = text.trim_matches(['"', '\'']);
    let help = match (kind, literal) {
        (ValueKind::Number, ValueKind::Text) if bare.parse::<f64>().is_ok() => {
            format!("write `{bare}`, without quotes")
        }
        (ValueKind::Duration, ValueKind::Number) => format!("write `duration(\"{bare}s\")`"),
        (ValueKind::Duration, ValueKind::Text) => format!("write `duration(\"{bare}\")`"),
        (ValueKind::Time, ValueKind::Text) => format!("write `timestamp(\"{bare}\")`"),
        (ValueKind::List | ValueKind::Map | ValueKind::Text, ValueKind::Number) => {
            "write `size(x)` for the number of elements or characters".into()
        }
        (ValueKind::Bool, ValueKind::Text) if ["true", "false"].contains(&bare) => {
            format!("write `{bare}`, without quotes")
        }
        _ => format!("compare it with {kind}"),
    };
    let message = format!("expected {kind}, found {literal}: these are never equal");
    let d = Diagnostic::error("other-kind", span, message).help(help);
    let is_quoted = [ValueKind::Number, ValueKind::Bool].contains(&kind) && literal == ValueKind::Text;
    match is_quoted && (bare.parse::<f64>().is_ok() || ["true", "false"].contains(&bare)) {
        true => d.replace_with(bare),
        false => d,
    }
}

#[derive(Default)]
pub struct Names {
    known: Vec<Name>,
    /// The positions in `known` of each name, innermost last.
    positions: HashMap<String, Vec<usize>>,
}

struct Name {
    name: String,
    shape: Shape,
    /// Where the plan binds it; `None` for built-in names and the fields of an output, which may shadow another name.
    span: Option<Span>,
    used: Cell<bool>,
}

impl Names {
    pub fn depth(&self) -> usize {
        self.known.len()
    }

    pub fn built_in(&mut self, name: &str, shape: Shape) {
        self.push(Name { name: name.into(), shape, span: None, used: Cell::new(true) });
    }

    fn push(&mut self, name: Name) {
        self.positions.entry(name.name.clone()).or_default().push(self.known.len());
        self.known.push(name);
    }

    /// The innermost name.
    fn find(&self, name: &str) -> Option<&Name> {
        self.positions.get(name)?.last().map(|at| &self.known[*at])
    }

    /// Binds a name that the plan chose. It must not shadow another.
    pub fn bind(&mut self, name: &str, shape: Shape, span: &Span, problems: &mut Diagnostics) {
        let mut wrong = false;
        if !crate::plan::is_name(name) {
            let d = Diagnostic::error("invalid-name", span, format!("expected a name, found `{name}`"));
            problems.push(d.help("use letters, digits and `_`, and no digit at the start"));
            wrong = true;
        } else if self.is_taken(name) {
            let d = Diagnostic::error("shadowing-name", span, format!("`{name}` is already bound"));
            problems.push(d.help("choose another name: no name may shadow another"));
            self.touch(name);
            wrong = true;
        }
        self.push(Name { name: name.into(), shape, span: Some(span.clone()), used: Cell::new(wrong) });
    }

    /// Whether the plan may not bind this name. A built-in `item` may be shadowed.
    fn is_taken(&self, name: &str) -> bool {
        let positions = self.positions.get(name).map_or(&[][..], Vec::as_slice);
        positions.iter().any(|at| name != "item" || self.known[*at].span.is_some())
    }

    /// Removes the names bound since `depth`, with a warning for each that was never read.
    pub fn leave(&mut self, depth: usize, problems: &mut Diagnostics) {
        for n in self.truncate(depth) {
            if let Some(span) = n.span.filter(|_| !n.used.get()) {
                let d = Diagnostic::warning("unused-name", &span, format!("unused name `{}`", n.name));
                problems.push(d.help("add an assertion that uses it, or remove it"));
            }
        }
    }

    /// Removes the names bound since `depth` without a warning.
    pub fn drop_to(&mut self, depth: usize) {
        self.truncate(depth);
    }

    fn truncate(&mut self, depth: usize) -> Vec<Name> {
        let removed = self.known.split_off(depth);
        for name in &removed {
            if let Some(positions) = self.positions.get_mut(&name.name) {
                positions.pop();
                if positions.is_empty() {
                    self.positions.remove(&name.name);
                }
            }
        }
        removed
    }

    pub fn touch(&self, name: &str) {
        if let Some(n) = self.find(name) {
            n.used.set(true);
        }
    }

    /// Whether an action or a sentence before binds this name.
    pub fn is_bound_by_action(&self, name: &str) -> bool {
        self.find(name).is_some_and(|n| n.span.is_some())
    }

    pub fn has(&self, name: &str) -> bool {
        self.positions.contains_key(name)
    }

    /// Whether `path` is a name in scope with fields that it has, as far as they are known: `run.id`. Does not mark it
    /// as used.
    pub fn reads(&self, path: &str) -> bool {
        let mut words = path.split('.').peekable();
        let found = words.peek().and_then(|root| self.find(root));
        let Some(Shape::Fields(fields)) = found.map(|n| &n.shape) else { return false };
        words.nth(1).is_some_and(|field| fields.iter().any(|(f, _)| f == field))
    }

    /// Reports a name that is compared with a literal of another kind, and `length`, which no value has.
    pub fn check_comparison(&self, c: &Comparison, problems: &mut Diagnostics) {
        let Some(found) = self.find(&c.root) else { return };
        let mut shape = &found.shape;
        for access in &c.path {
            shape = match (shape, access) {
                (Shape::Fields(fields), Access::Field(name, _)) => match fields.iter().find(|(f, _)| f == name) {
                    Some((_, inner)) => inner,
                    None => return,
                },
                (Shape::List(inner), Access::Index(_) | Access::Any) => inner,
                // nothing is known of the rest
                _ => {
                    if let Some(Access::Field(name, span)) = c.path.last()
                        && (name.as_str(), c.literal) == ("length", ValueKind::Number)
                        && span.text() == name
                    {
                        let message = "reads a field `length`: texts, lists and maps have none";
                        let d = Diagnostic::warning("length-field", span, message);
                        problems.push(d.help("write `size(x)`; for a field of this name, `x[\"length\"]`"));
                    }
                    return;
                }
            };
        }
        if let Some(kind) = shape.kind().filter(|kind| *kind != c.literal) {
            problems.push(other_kind(kind, c.literal, &c.text, &c.span));
        }
    }

    /// Checks a reference against the names in scope, and marks its name as used.
    pub fn check(&self, read: &Reference, problems: &mut Diagnostics) -> Shape {
        let Some(found) = self.find(&read.root) else {
            let d = Diagnostic::error("undefined-name", &read.span, format!("undefined name `{}`", read.root));
            problems.push(match help_for_name(&read.root) {
                Some(help) => d.help(help),
                None => d.suggest(&read.root, self.known.iter().map(|n| n.name.as_str())),
            });
            return Shape::Any;
        };
        found.used.set(true);
        let mut shape = found.shape.clone();
        for access in &read.path {
            shape = match (shape, access) {
                (Shape::Fields(fields), Access::Field(name, span)) => match fields.iter().find(|(f, _)| f == name) {
                    Some((_, inner)) => inner.clone(),
                    None => {
                        let message = format!("unknown field `{name}` of `{}`", read.root);
                        let d = Diagnostic::error("unknown-field", span, message);
                        problems.push(d.suggest(name, fields.iter().map(|(f, _)| f.as_str())));
                        return Shape::Any;
                    }
                },
                (Shape::List(inner), Access::Index(_) | Access::Any) => *inner,
                _ => return Shape::Any,
            };
        }
        shape.note_read(&read.element_fields);
        shape
    }
}
