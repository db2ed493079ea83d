//! `expect`: a partial picture of a value. Maps are subsets, literals are typed equality, lists are exact, unless a matcher says
//! otherwise. Read when the plan is read; judged in `judge`.
use super::{
    cel::{Expression, Reference},
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
pub struct Pattern {
    pub matcher: Matcher,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Matcher {
    Equal(Value),
    Rendered(Template),
    /// Each key with its place.
    Map(Vec<(Template, Span, Pattern)>),
    List(Vec<Pattern>),
    /// All must hold: several matchers side by side.
    All(Vec<Pattern>),
    Set(Vec<Pattern>),
    Contains(Vec<Pattern>),
    Each(Box<Pattern>),
    In(Vec<Pattern>),
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

impl Pattern {
    pub fn compile(node: &Node, problems: &mut Diagnostics) -> Pattern {
        let span = node.span.clone();
        let matcher = match &node.kind {
            Kind::Str(s) if is_matcher_word(s) => match s.as_str() {
                "$nonempty" => Matcher::Nonempty,
                "$absent" => Matcher::Absent,
                "$time" => Matcher::Time,
                word if MATCHERS.contains(&word) => {
                    let d =
                        Diagnostic::error("matcher-argument", &span, format!("`{word}` needs something to match with"));
                    problems.push(d.help(format!("write `{{ {word}: … }}`")));
                    Matcher::All(vec![])
                }
                word => {
                    problems.push(unknown(word, &span));
                    Matcher::All(vec![])
                }
            },
            Kind::Str(s) if s.starts_with("$$") && is_matcher_word(&s[1..]) => Matcher::Equal(Value::text(&s[1..])),
            Kind::Str(_) => {
                let t = Template::compile(node, problems);
                match t.as_literal() {
                    Some(text) => Matcher::Equal(Value::text(text)),
                    None => Matcher::Rendered(t),
                }
            }
            Kind::Seq(items) => Matcher::List(items.iter().map(|n| Pattern::compile(n, problems)).collect()),
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
                    Matcher::Map(
                        entries
                            .iter()
                            .map(|(k, v)| {
                                (Template::compile(k, problems), k.span.clone(), Pattern::compile(v, problems))
                            })
                            .collect(),
                    )
                } else if matchers < entries.len() {
                    let d =
                        Diagnostic::error("matcher-and-key", &span, "a matcher cannot stand beside an ordinary key");
                    problems.push(d.help("a key that really begins with `$` is written `$$key`"));
                    Matcher::All(vec![])
                } else {
                    let mut all: Vec<Pattern> = entries.iter().filter_map(|(k, v)| matcher(k, v, problems)).collect();
                    if all.len() == 1 { all.remove(0).matcher } else { Matcher::All(all) }
                }
            }
            _ => Matcher::Equal(node.to_value()),
        };
        Pattern { matcher, span }
    }

    /// Every schema in it, for whoever reads the files that some of them name.
    pub fn schemas(&mut self, each: &mut dyn FnMut(&mut Schema)) {
        match &mut self.matcher {
            Matcher::Schema(s) => each(s),
            Matcher::Each(p) => p.schemas(each),
            Matcher::Map(entries) => entries.iter_mut().for_each(|(_, _, p)| p.schemas(each)),
            Matcher::List(ps) | Matcher::All(ps) | Matcher::Set(ps) | Matcher::Contains(ps) | Matcher::In(ps) => {
                ps.iter_mut().for_each(|p| p.schemas(each));
            }
            _ => {}
        }
    }

    pub fn references(&self) -> Vec<Reference> {
        let all = |ps: &[Pattern]| ps.iter().flat_map(Pattern::references).collect();
        match &self.matcher {
            Matcher::Rendered(t) | Matcher::Regex(t) => t.references().cloned().collect(),
            Matcher::Map(entries) => entries
                .iter()
                .flat_map(|(k, _, p)| k.references().cloned().chain(p.references()).collect::<Vec<_>>())
                .collect(),
            Matcher::List(ps) | Matcher::All(ps) | Matcher::Set(ps) | Matcher::Contains(ps) | Matcher::In(ps) => {
                all(ps)
            }
            Matcher::Each(p) => p.references(),
            Matcher::InRendered(t) | Matcher::SetRendered(t) | Matcher::ContainsRendered(t) => t.references(),
            Matcher::Schema(Schema::Rendered(t)) => t.references(),
            Matcher::That(e) => e.references().iter().filter(|r| r.root != "it").cloned().collect(),
            _ => vec![],
        }
    }
}

fn matcher(key: &Node, node: &Node, problems: &mut Diagnostics) -> Option<Pattern> {
    let word = key.as_str()?;
    let mut list = |what: fn(Vec<Pattern>) -> Matcher, rendered: fn(Tree) -> Matcher, alone: bool| match &node.kind {
        Kind::Seq(items) => Some(what(items.iter().map(|n| Pattern::compile(n, problems)).collect())),
        Kind::Str(s) if s.starts_with("${") => Some(rendered(Tree::compile(node, problems))),
        _ if alone => Some(what(vec![Pattern::compile(node, problems)])),
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
    let flag = |matcher: Matcher, problems: &mut Diagnostics| match node.kind {
        Kind::Bool(true) | Kind::Null => Some(matcher),
        _ => {
            problems.push(Diagnostic::error(
                "matcher-argument",
                &node.span,
                format!("`{word}` takes nothing: write `{word}` alone"),
            ));
            None
        }
    };
    let matcher = match word {
        "$set" => list(Matcher::Set, Matcher::SetRendered, false)?,
        "$in" => list(Matcher::In, Matcher::InRendered, false)?,
        "$contains" => list(Matcher::Contains, Matcher::ContainsRendered, true)?,
        "$each" => Matcher::Each(Box::new(Pattern::compile(node, problems))),
        "$regex" => {
            let t = Template::compile(node, problems);
            if let Some(text) = t.as_literal()
                && let Err(e) = regex::Regex::new(text)
            {
                let why = e.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
                problems.push(Diagnostic::error(
                    "invalid-regex",
                    &node.span,
                    format!("this is no regular expression: {why}"),
                ));
            }
            Matcher::Regex(t)
        }
        "$type" => {
            let name = node.key_text();
            if !TYPES.contains(&name.as_str()) {
                let d = Diagnostic::error("unknown-type", &node.span, format!("unknown type `{name}`"));
                problems.push(d.meant(&name, TYPES.iter().copied()));
                return None;
            }
            Matcher::Type(name)
        }
        "$time" => flag(Matcher::Time, problems)?,
        "$absent" => flag(Matcher::Absent, problems)?,
        "$nonempty" => flag(Matcher::Nonempty, problems)?,
        "$schema" => Matcher::Schema(Schema::compile(node, problems)),
        "$that" => {
            let len = node.as_str().map_or_else(|| node.span.text().len(), str::len);
            match Expression::compile(node, 0..len) {
                Ok(e) => Matcher::That(e),
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
    Some(Pattern { matcher, span: key.span.clone() })
}

fn unknown(word: &str, span: &Span) -> Diagnostic {
    Diagnostic::error("unknown-matcher", span, format!("unknown matcher `{word}`"))
        .meant(word, MATCHERS.iter().copied())
}

/// `$word`: a matcher or a slip for one; `${…}` and `$5.00` are not.
fn is_matcher_word(s: &str) -> bool {
    s.strip_prefix('$').is_some_and(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}
