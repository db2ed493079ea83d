//! `expect`: a partial picture of a value. Maps are subsets, literals are typed equality, lists are exact, unless a matcher says
//! otherwise. Read when the plan is read; judged in `judge`.
use super::{
    cel::{Expression, Read},
    schema::Schema,
    template::{Template, Tree},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    source::Span,
    value::Value,
    yaml::{Kind, Node},
};

/// Every matcher, as `explain` and diagnostics list them.
pub const MATCHERS: &[&str] =
    &["$set", "$contains", "$each", "$in", "$regex", "$type", "$time", "$absent", "$nonempty", "$schema", "$that"];
pub const TYPES: &[&str] = &["string", "int", "float", "number", "bool", "null", "list", "map", "time", "duration"];

#[derive(Clone, Debug)]
pub struct Picture {
    pub shape: Shape,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Shape {
    Equal(Value),
    Rendered(Template),
    /// Each key with its place.
    Map(Vec<(Template, Span, Picture)>),
    List(Vec<Picture>),
    /// All must hold: several matchers side by side.
    All(Vec<Picture>),
    Set(Vec<Picture>),
    Contains(Vec<Picture>),
    Each(Box<Picture>),
    In(Vec<Picture>),
    /// A list that is known only later: one of its elements, all of them in any order, some of them.
    InRendered(Tree),
    SetRendered(Tree),
    ContainsRendered(Tree),
    Regex(Template),
    Type(String),
    Time,
    Absent,
    Nonempty,
    Schema(Schema),
    That(Expression),
}

impl Picture {
    pub fn compile(node: &Node, problems: &mut Diagnostics) -> Picture {
        let span = node.span.clone();
        let shape = match &node.kind {
            Kind::Str(s) if is_matcher_word(s) => match s.as_str() {
                "$nonempty" => Shape::Nonempty,
                "$absent" => Shape::Absent,
                "$time" => Shape::Time,
                word if MATCHERS.contains(&word) => {
                    let d =
                        Diagnostic::error("matcher-argument", &span, format!("`{word}` needs something to match with"));
                    problems.push(d.help(format!("write `{{ {word}: … }}`")));
                    Shape::All(vec![])
                }
                word => {
                    problems.push(unknown(word, &span));
                    Shape::All(vec![])
                }
            },
            Kind::Str(s) if s.starts_with("$$") && is_matcher_word(&s[1..]) => Shape::Equal(Value::text(&s[1..])),
            Kind::Str(_) => {
                let t = Template::compile(node, problems);
                match t.as_literal() {
                    Some(text) => Shape::Equal(Value::text(text)),
                    None => Shape::Rendered(t),
                }
            }
            Kind::Seq(items) => Shape::List(items.iter().map(|n| Picture::compile(n, problems)).collect()),
            Kind::Map(entries) => {
                let matchers = entries.iter().filter(|(k, _)| k.as_str().is_some_and(is_matcher_word)).count();
                if matchers == 0 {
                    for (i, (k, _)) in entries.iter().enumerate() {
                        if entries[..i].iter().any(|(j, _)| j.key_text() == k.key_text()) {
                            let d = Diagnostic::error(
                                "duplicate-key",
                                &k.span,
                                format!("`{}` stands here twice", k.key_text()),
                            );
                            problems.push(d);
                        }
                    }
                    Shape::Map(
                        entries
                            .iter()
                            .map(|(k, v)| {
                                (Template::compile(k, problems), k.span.clone(), Picture::compile(v, problems))
                            })
                            .collect(),
                    )
                } else if matchers < entries.len() {
                    let d =
                        Diagnostic::error("matcher-and-key", &span, "a matcher cannot stand beside an ordinary key");
                    problems.push(d.help("a key that really begins with `$` is written `$$key`"));
                    Shape::All(vec![])
                } else {
                    let mut all: Vec<Picture> = entries.iter().filter_map(|(k, v)| matcher(k, v, problems)).collect();
                    if all.len() == 1 { all.remove(0).shape } else { Shape::All(all) }
                }
            }
            _ => Shape::Equal(node.to_value()),
        };
        Picture { shape, span }
    }

    /// Every schema in it, for whoever reads the files that some of them name.
    pub fn schemas(&mut self, each: &mut dyn FnMut(&mut Schema)) {
        match &mut self.shape {
            Shape::Schema(s) => each(s),
            Shape::Each(p) => p.schemas(each),
            Shape::Map(entries) => entries.iter_mut().for_each(|(_, _, p)| p.schemas(each)),
            Shape::List(ps) | Shape::All(ps) | Shape::Set(ps) | Shape::Contains(ps) | Shape::In(ps) => {
                ps.iter_mut().for_each(|p| p.schemas(each));
            }
            _ => {}
        }
    }

    pub fn reads(&self) -> Vec<Read> {
        let all = |ps: &[Picture]| ps.iter().flat_map(Picture::reads).collect();
        match &self.shape {
            Shape::Rendered(t) | Shape::Regex(t) => t.reads().cloned().collect(),
            Shape::Map(entries) => {
                entries.iter().flat_map(|(k, _, p)| k.reads().cloned().chain(p.reads()).collect::<Vec<_>>()).collect()
            }
            Shape::List(ps) | Shape::All(ps) | Shape::Set(ps) | Shape::Contains(ps) | Shape::In(ps) => all(ps),
            Shape::Each(p) => p.reads(),
            Shape::InRendered(t) | Shape::SetRendered(t) | Shape::ContainsRendered(t) => t.reads(),
            Shape::Schema(Schema::Rendered(t)) => t.reads(),
            Shape::That(e) => e.reads().iter().filter(|r| r.root != "it").cloned().collect(),
            _ => vec![],
        }
    }
}

fn matcher(key: &Node, node: &Node, problems: &mut Diagnostics) -> Option<Picture> {
    let word = key.as_str()?;
    let mut list = |what: fn(Vec<Picture>) -> Shape, rendered: fn(Tree) -> Shape, alone: bool| match &node.kind {
        Kind::Seq(items) => Some(what(items.iter().map(|n| Picture::compile(n, problems)).collect())),
        Kind::Str(s) if s.starts_with("${") => Some(rendered(Tree::compile(node, problems))),
        _ if alone => Some(what(vec![Picture::compile(node, problems)])),
        _ => {
            let d = Diagnostic::error(
                "matcher-argument",
                &node.span,
                format!("`{word}` needs a list, not {}", node.what()),
            );
            problems.push(d);
            None
        }
    };
    let flag = |shape: Shape, problems: &mut Diagnostics| match node.kind {
        Kind::Bool(true) | Kind::Null => Some(shape),
        _ => {
            problems.push(Diagnostic::error(
                "matcher-argument",
                &node.span,
                format!("`{word}` takes nothing: write `{word}` alone"),
            ));
            None
        }
    };
    let shape = match word {
        "$set" => list(Shape::Set, Shape::SetRendered, false)?,
        "$in" => list(Shape::In, Shape::InRendered, false)?,
        "$contains" => list(Shape::Contains, Shape::ContainsRendered, true)?,
        "$each" => Shape::Each(Box::new(Picture::compile(node, problems))),
        "$regex" => {
            let t = Template::compile(node, problems);
            if let Some(text) = t.as_literal()
                && let Err(e) = regex::Regex::new(text)
            {
                let why = e.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
                problems.push(Diagnostic::error(
                    "bad-regex",
                    &node.span,
                    format!("this is no regular expression: {why}"),
                ));
            }
            Shape::Regex(t)
        }
        "$type" => {
            let name = node.key_text();
            if !TYPES.contains(&name.as_str()) {
                let d = Diagnostic::error("unknown-type", &node.span, format!("unknown type `{name}`"));
                problems.push(d.meant(&name, TYPES.iter().copied()));
                return None;
            }
            Shape::Type(name)
        }
        "$time" => flag(Shape::Time, problems)?,
        "$absent" => flag(Shape::Absent, problems)?,
        "$nonempty" => flag(Shape::Nonempty, problems)?,
        "$schema" => Shape::Schema(Schema::compile(node, problems)),
        "$that" => {
            let len = node.as_str().map_or_else(|| node.span.text().len(), str::len);
            match Expression::compile(node, 0..len) {
                Ok(e) => Shape::That(e),
                Err(ds) => {
                    ds.into_iter().for_each(|d| problems.push(d));
                    return None;
                }
            }
        }
        _ => {
            problems.push(unknown(word, &key.span));
            return None;
        }
    };
    Some(Picture { shape, span: key.span.clone() })
}

fn unknown(word: &str, span: &Span) -> Diagnostic {
    Diagnostic::error("unknown-matcher", span, format!("unknown matcher `{word}`"))
        .meant(word, MATCHERS.iter().copied())
}

/// `$word`: a matcher or a slip for one; `${…}` and `$5.00` are not.
fn is_matcher_word(s: &str) -> bool {
    s.strip_prefix('$').is_some_and(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}
