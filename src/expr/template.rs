//! Placeholders `${…}` in YAML. A template keeps its parts, so that SQL can bind them and the compiler can list their
//! names. An expression alone in a scalar keeps its type. `$${` is a literal `${`.
use super::{
    cel::{EvalError, Expression, Reference},
    scope::Scope,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    source::{Source, Span},
    value::Value,
    yaml::{Kind, Node},
};
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug)]
pub enum Part {
    Text(String),
    Placeholder(Expression),
}

impl Template {
    /// Compiles a scalar. Problems are added to `problems`; an invalid placeholder is left out.
    pub fn compile(node: &Node, problems: &mut Diagnostics) -> Template {
        let Some(text) = node.as_str() else {
            return Template(vec![Part::Text(node.text())]);
        };
        let mut parts = vec![];
        let mut literal = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find("${") {
            let open = at + found;
            if open > at && text.as_bytes()[open - 1] == b'$' {
                literal.push_str(&text[at..open - 1]);
                literal.push_str("${");
                at = open + 2;
                continue;
            }
            literal.push_str(&text[at..open]);
            let Some(close) = closing(text, open + 2) else {
                problems.push(
                    Diagnostic::error("unclosed-placeholder", &node.inner(open..open + 2), "expected `}` after `${`")
                        .help("close the placeholder with `}`, or write `$${` for a literal `${`"),
                );
                return Template(vec![Part::Text(text.into())]);
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            match Expression::compile(node, open + 2..close) {
                Ok(e) => parts.push(Part::Placeholder(e)),
                Err(ds) => ds.into_iter().for_each(|d| problems.push(d)),
            }
            at = close + 1;
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Text(literal));
        }
        Template(parts)
    }

    /// A template from its text; a text with an invalid placeholder is literal.
    pub fn of_source(text: &str) -> Template {
        if !text.contains("${") {
            return Template::literal(text);
        }
        let source = Arc::new(Source::new(String::new(), text));
        let (node, mut problems) =
            (Node::new(Kind::Str(text.into()), Span { range: 0..text.len(), source }), Diagnostics::default());
        let template = Template::compile(&node, &mut problems);
        if problems.errors() == 0 { template } else { Template::literal(text) }
    }

    pub fn literal(text: impl Into<String>) -> Template {
        Template(vec![Part::Text(text.into())])
    }

    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter().filter_map(|p| if let Part::Placeholder(e) = p { Some(e.references()) } else { None }).flatten()
    }

    /// The text, if there are no placeholders.
    pub fn as_literal(&self) -> Option<&str> {
        if let [Part::Text(t)] = &self.0[..] { Some(t) } else { None }
    }

    pub fn render(&self, scope: &Scope) -> Result<Value, EvalError> {
        if let [Part::Placeholder(e)] = &self.0[..] {
            return complete(e.eval(scope)?);
        }
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(t) => out.push_str(t),
                Part::Placeholder(e) => out.push_str(&complete(e.eval(scope)?)?.to_string()),
            }
        }
        Ok(Value::from(out))
    }

    /// The parts with their values, and the expression of each placeholder.
    pub fn evaluate(&self, scope: &Scope) -> Result<Vec<(Option<&Expression>, Value)>, EvalError> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => Ok((None, Value::text(text))),
                Part::Placeholder(e) => Ok((Some(e), complete(e.eval(scope)?)?)),
            })
            .collect()
    }

    pub fn render_text(&self, scope: &Scope) -> Result<String, EvalError> {
        self.render(scope).map(|v| v.to_string())
    }

    /// The text, as far as `scope` can fill its placeholders: others stay as they are written.
    pub fn render_known(&self, scope: &Scope) -> String {
        let part = |part: &Part| match part {
            Part::Text(t) => t.clone(),
            Part::Placeholder(e) => match e.eval(scope).and_then(complete) {
                Ok(value) => value.to_string(),
                Err(_) => format!("${{{}}}", e.text()),
            },
        };
        self.0.iter().map(part).collect()
    }

    /// A regular expression in which placeholders are literal text, except those of `raw(…)`.
    pub fn render_regex(&self, scope: &Scope) -> Result<String, EvalError> {
        let part = |part: &Part| match part {
            Part::Text(t) => Ok(t.clone()),
            Part::Placeholder(e) => {
                let text = complete(e.eval(scope)?)?.to_string();
                Ok(if e.is_raw() { text } else { regex::escape(&text) })
            }
        };
        self.0.iter().map(part).collect()
    }

    /// The template as written.
    pub fn source(&self) -> String {
        self.0
            .iter()
            .map(|p| match p {
                Part::Text(t) => t.replace("${", "$${"),
                Part::Placeholder(e) => format!("${{{}}}", e.text()),
            })
            .collect()
    }
}

/// Refuses a value that is not completely observed: what it would be used for needs all of it.
fn complete(value: Value) -> Result<Value, EvalError> {
    match value.incomplete() {
        Some(reason) => Err(EvalError::Incomplete(reason.clone())),
        None => Ok(value),
    }
}

/// The `}` that closes a placeholder whose content starts at `from`. Skips braces and strings of the expression.
fn closing(text: &str, from: usize) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0usize, None, false);
    for (i, c) in text[from..].char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(from + i),
            (None, '}') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A YAML value that contains templates.
#[derive(Clone, Debug)]
pub enum Tree {
    Value(Value),
    Template(Template),
    List(Vec<Tree>),
    Map(Vec<(Template, Tree)>),
}

impl Tree {
    pub fn compile(node: &Node, problems: &mut Diagnostics) -> Tree {
        match &node.kind {
            Kind::Str(_) => {
                let t = Template::compile(node, problems);
                match t.as_literal() {
                    Some(text) => Tree::Value(Value::text(text)),
                    None => Tree::Template(t),
                }
            }
            Kind::Seq(items) => Tree::List(items.iter().map(|n| Tree::compile(n, problems)).collect()),
            Kind::Map(entries) => Tree::Map(
                entries.iter().map(|(k, v)| (Template::compile(k, problems), Tree::compile(v, problems))).collect(),
            ),
            _ => Tree::Value(node.to_value()),
        }
    }

    /// Like [`Tree::compile`], where text is needed: a scalar is the text that is written.
    pub fn compile_texts(node: &Node, problems: &mut Diagnostics) -> Tree {
        match &node.kind {
            Kind::Seq(items) => Tree::List(items.iter().map(|n| Tree::compile_texts(n, problems)).collect()),
            Kind::Null | Kind::Str(_) | Kind::Map(_) => Tree::compile(node, problems),
            _ => Tree::Value(Value::from(node.text())),
        }
    }

    pub fn render(&self, scope: &Scope) -> Result<Value, EvalError> {
        Ok(match self {
            Tree::Value(v) => v.clone(),
            Tree::Template(t) => t.render(scope)?,
            Tree::List(items) => Value::list(items.iter().map(|t| t.render(scope)).collect::<Result<_, _>>()?),
            Tree::Map(entries) => Value::from(
                entries
                    .iter()
                    .map(|(k, v)| Ok((k.render_text(scope)?, v.render(scope)?)))
                    .collect::<Result<crate::value::Map, EvalError>>()?,
            ),
        })
    }

    /// The scalars with placeholders, without keys.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Tree::Value(_) => vec![],
            Tree::Template(t) => vec![t],
            Tree::List(items) => items.iter().flat_map(Tree::templates).collect(),
            Tree::Map(entries) => entries.iter().flat_map(|(_, v)| v.templates()).collect(),
        }
    }

    pub fn references(&self) -> Vec<Reference> {
        match self {
            Tree::Value(_) => vec![],
            Tree::Template(t) => t.references().cloned().collect(),
            Tree::List(items) => items.iter().flat_map(Tree::references).collect(),
            Tree::Map(entries) => entries
                .iter()
                .flat_map(|(k, v)| k.references().cloned().chain(v.references()).collect::<Vec<_>>())
                .collect(),
        }
    }
}
