//! Compiles the partial pattern under `expect`. Maps are subsets, literals compare by type and value, lists match
//! element by element, unless a matcher says otherwise. [`super::matching`] evaluates it.
use super::{
    cel::{Expression, Reference},
    regex::{matches_everything, reason},
    schema::Schema,
    template::{Template, Tree},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    language::{MATCHERS, TYPES, names},
    source::Span,
    value::Value,
    yaml::{Kind, Node, duplicate_key},
};
use std::collections::HashSet;

#[derive(Clone, Debug)]
pub struct Pattern {
    pub matcher: Matcher,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Matcher {
    Equal(Value),
    Rendered(Template),
    /// Each key with its span.
    Map(Vec<(Template, Span, Pattern)>),
    List(Vec<Pattern>),
    /// Several matchers that must all hold.
    All(Vec<Pattern>),
    Set(Vec<Pattern>),
    Contains(Vec<Pattern>),
    Each(Box<Pattern>),
    In(Vec<Pattern>),
    /// `$in`, `$set` and `$contains` with a list that a placeholder computes.
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
    /// Compiles a node. An invalid part matches everything; `problems` says so.
    pub fn compile(node: &Node, problems: &mut Diagnostics) -> Pattern {
        let span = node.span.clone();
        let matcher = match &node.kind {
            Kind::Str(s) if is_matcher_word(s) => bare_matcher(s, &span, problems),
            Kind::Str(s) if s.starts_with("$$") && is_matcher_word(&s[1..]) => Matcher::Equal(Value::text(&s[1..])),
            Kind::Str(_) => {
                let t = Template::compile(node, problems);
                match t.as_literal() {
                    Some(text) => {
                        problems.0.extend(looks_like_more(text, &span));
                        Matcher::Equal(Value::text(text))
                    }
                    None => Matcher::Rendered(t),
                }
            }
            Kind::Seq(items) => Matcher::List(compile_all(items, problems)),
            Kind::Map(entries) => {
                let matchers = entries.iter().filter(|(k, _)| k.as_str().is_some_and(is_matcher_word)).count();
                if entries.is_empty() {
                    let d = vacuous(&span, "an empty pattern accepts every map");
                    problems.push(d.help("name fields, or write `{ $type: map }`"));
                    Matcher::All(vec![])
                } else if matchers == 0 {
                    map(entries, problems)
                } else if matchers < entries.len() {
                    let message = "expected either matchers or ordinary keys, found both";
                    let d = Diagnostic::error("matcher-and-key", &span, message);
                    problems.push(d.help("remove one of them; a key that really starts with `$` is written `$$key`"));
                    Matcher::All(vec![])
                } else {
                    let mut all: Vec<Pattern> =
                        entries.iter().filter_map(|(k, v)| matcher_entry(k, v, problems)).collect();
                    if all.len() == 1 { all.remove(0).matcher } else { Matcher::All(all) }
                }
            }
            _ => Matcher::Equal(node.to_value()),
        };
        Pattern { matcher, span }
    }

    /// Calls `each` for every schema, so that the reader of the plan can load the files they name.
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

    /// The patterns directly inside this one.
    pub fn inner(&self) -> Vec<&Pattern> {
        match &self.matcher {
            Matcher::Map(entries) => entries.iter().map(|(_, _, p)| p).collect(),
            Matcher::List(ps) | Matcher::All(ps) | Matcher::Set(ps) | Matcher::Contains(ps) | Matcher::In(ps) => {
                ps.iter().collect()
            }
            Matcher::Each(p) => vec![p],
            _ => vec![],
        }
    }

    pub fn references(&self) -> Vec<Reference> {
        let mut all: Vec<Reference> = match &self.matcher {
            Matcher::Rendered(t) | Matcher::Regex(t) => t.references().cloned().collect(),
            Matcher::Map(entries) => entries.iter().flat_map(|(k, _, _)| k.references().cloned()).collect(),
            Matcher::InRendered(t) | Matcher::SetRendered(t) | Matcher::ContainsRendered(t) => t.references(),
            Matcher::Schema(Schema::Rendered(t)) => t.references(),
            Matcher::That(e) => e.references().iter().filter(|r| r.root != "it").cloned().collect(),
            _ => vec![],
        };
        all.extend(self.inner().into_iter().flat_map(Pattern::references));
        all
    }
}

fn compile_all(items: &[Node], problems: &mut Diagnostics) -> Vec<Pattern> {
    items.iter().map(|n| Pattern::compile(n, problems)).collect()
}

fn map(entries: &[(Node, Node)], problems: &mut Diagnostics) -> Matcher {
    let mut names = HashSet::new();
    for (key, _) in entries.iter().filter(|(key, _)| !names.insert(key.key_text())) {
        problems.push(duplicate_key(key));
    }
    let entry = |(k, v): &(Node, Node)| (Template::compile(k, problems), k.span.clone(), Pattern::compile(v, problems));
    Matcher::Map(entries.iter().map(entry).collect())
}

/// Warns of a text that is compared as it is, and looks like a comparison or a matcher with its argument.
fn looks_like_more(text: &str, span: &Span) -> Option<Diagnostic> {
    let operator = [">=", "<=", "!=", "==", ">", "<"].into_iter().find(|op| text.starts_with(op));
    let operand = operator.map(|op| text[op.len()..].trim()).filter(|rest| rest.parse::<f64>().is_ok());
    let word = text.split_once(' ').filter(|(word, _)| names(MATCHERS).any(|m| m == *word));
    let help = match (operator, operand, word) {
        (Some(op), Some(number), _) => format!("write `{{ $that: it {op} {number} }}`"),
        (_, _, Some((word, argument))) => format!("write `{{ {word}: {} }}`", argument.trim()),
        _ => return None,
    };
    let d = Diagnostic::warning("text-as-value", span, format!("compares with the text `{text}`"));
    Some(d.help(help))
}

/// A matcher without argument: `$nonempty`.
fn bare_matcher(word: &str, span: &Span, problems: &mut Diagnostics) -> Matcher {
    match word {
        "$nonempty" => return Matcher::Nonempty,
        "$absent" => return Matcher::Absent,
        "$time" => return Matcher::Time,
        _ if names(MATCHERS).any(|m| m == word) => {
            let d =
                Diagnostic::error("matcher-argument", span, format!("expected an argument for `{word}`, found none"));
            problems.push(d.help(format!("write `{{ {word}: … }}`")));
        }
        _ => problems.push(unknown(word, span)),
    }
    Matcher::All(vec![])
}

/// A matcher as the key of a map, with its argument.
fn matcher_entry(key: &Node, node: &Node, problems: &mut Diagnostics) -> Option<Pattern> {
    let word = key.as_str()?;
    let mut list = |patterns: fn(Vec<Pattern>) -> Matcher, rendered: fn(Tree) -> Matcher, single: bool| match &node.kind
    {
        Kind::Seq(items) => Some(patterns(compile_all(items, problems))),
        Kind::Str(s) if s.starts_with("${") => Some(rendered(Tree::compile(node, problems))),
        _ if single => Some(patterns(vec![Pattern::compile(node, problems)])),
        _ => {
            let message = format!("expected a list under `{word}`, found {}", node.what());
            let d = Diagnostic::error("matcher-argument", &node.span, message);
            problems.push(d.help(format!("write `{word}: [a, b]`")));
            None
        }
    };
    let flag = |matcher: Matcher, problems: &mut Diagnostics| match node.kind {
        Kind::Bool(true) | Kind::Null => Some(matcher),
        _ => {
            let message = format!("expected no argument for `{word}`, found {}", node.what());
            problems
                .push(Diagnostic::error("matcher-argument", &node.span, message).help(format!("write `{word}` alone")));
            None
        }
    };
    let matcher = match word {
        "$set" => list(Matcher::Set, Matcher::SetRendered, false)?,
        "$in" => list(Matcher::In, Matcher::InRendered, false)?,
        "$contains" if node.as_str() == Some("") || matches!(&node.kind, Kind::Seq(items) if items.is_empty()) => {
            problems.push(
                vacuous(&node.span, "every string and every list contains nothing")
                    .help("name what it contains; an empty string in a list is written `$contains: [\"\"]`"),
            );
            return None;
        }
        "$contains" => list(Matcher::Contains, Matcher::ContainsRendered, true)?,
        "$each" => Matcher::Each(Box::new(Pattern::compile(node, problems))),
        "$regex" => regex(node, problems),
        "$type" => {
            let name = node.key_text();
            if !TYPES.contains(&name.as_str()) {
                let d = Diagnostic::error("unknown-type", &node.span, format!("unknown type `{name}`"));
                problems.push(d.suggest(&name, TYPES.iter().copied()));
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
                Ok(e) => {
                    e.vacuous().into_iter().for_each(|d| problems.push(d));
                    Matcher::That(e)
                }
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

fn regex(node: &Node, problems: &mut Diagnostics) -> Matcher {
    let t = Template::compile(node, problems);
    match t.as_literal().map(|text| (text, regex::Regex::new(text))) {
        Some((_, Err(e))) => {
            let message = format!("invalid regular expression: {}", reason(&e));
            let d = Diagnostic::error("invalid-regex", &node.span, message);
            problems.push(d.help("escape a literal bracket, dot or star with `\\`: `\\(`"));
        }
        Some((text, Ok(_))) if matches_everything(text) => {
            let d = vacuous(&node.span, "this regular expression matches every string");
            problems.push(d.help("write `{ $type: string }` for any string, or `$nonempty`"));
        }
        _ => {}
    }
    Matcher::Regex(t)
}

fn vacuous(span: &Span, message: &str) -> Diagnostic {
    Diagnostic::error("vacuous-assertion", span, message)
}

fn unknown(word: &str, span: &Span) -> Diagnostic {
    Diagnostic::error("unknown-matcher", span, format!("unknown matcher `{word}`")).suggest(word, names(MATCHERS))
}

/// `$word`: a matcher, or a misspelt one. `${…}` and `$5.00` are not.
fn is_matcher_word(s: &str) -> bool {
    s.strip_prefix('$').is_some_and(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}
