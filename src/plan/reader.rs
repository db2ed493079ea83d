//! Reads the parts common to plans and environment files: names, texts, lists, maps, durations and expressions.
//! Collects problems.
use super::model::Spanned;
use crate::{
    access::Refused,
    diagnostic::{Diagnostic, Diagnostics},
    expr::{Expression, Scope, Template, Tree, schema::Document},
    language::{Key, slips},
    source::{Source, Span},
    yaml::{Kind, Node, check_keys, check_numbers, duplicate_key, missing_key, parse, wrong_type},
};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Loads the files a plan names: includes and schemas.
pub trait FileLoader {
    fn read(&self, path: &Path) -> std::io::Result<String>;

    /// Why the plan may not use this file.
    fn refusal(&self, _path: &Path) -> Option<Refused> {
        None
    }
}

pub struct Reader<'a> {
    /// The executors' verbs.
    pub verbs: Vec<&'static str>,
    pub files: &'a dyn FileLoader,
    pub problems: Diagnostics,
    /// Nesting depth of lists of actions.
    pub(super) depth: usize,
    /// Start offsets of expressions that a comma in a flow map cut in two; already reported.
    cut: Vec<usize>,
    /// The names of an environment file: `env`, the variables of the process. `None`: they are not known.
    pub variables: Option<Scope>,
    /// Schema files, each loaded once.
    pub(super) documents: HashMap<PathBuf, Document>,
}

impl<'a> Reader<'a> {
    pub fn new(verbs: Vec<&'static str>, files: &'a dyn FileLoader) -> Self {
        Reader {
            verbs,
            files,
            problems: Diagnostics::default(),
            depth: 0,
            cut: vec![],
            variables: None,
            documents: HashMap::new(),
        }
    }

    /// Parses a file. Reports a YAML error.
    pub(super) fn parse(&mut self, source: &Arc<Source>) -> Option<Node> {
        parse(source).map_err(|d| self.problems.push(*d)).ok()
    }

    pub fn expression(&mut self, node: &Node) -> Option<Expression> {
        if self.cut.contains(&node.span.range.start) {
            return None;
        }
        let length = match &node.kind {
            Kind::Str(s) => s.len(),
            Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) | Kind::Decimal(_) | Kind::Bool(_) => node.span.text().len(),
            _ => {
                let message = format!("expected an expression, found {}", node.what());
                self.error("unquoted-expression", &node.span, message, "quote the expression: `'a ? b : c'`");
                return None;
            }
        };
        match Expression::compile(node, 0..length) {
            Ok(e) => Some(e),
            Err(ds) => {
                ds.into_iter().for_each(|d| self.problems.push(d));
                None
            }
        }
    }

    /// An expression with a name. An invalid one is reported and replaced by `null`, so that its name counts as bound.
    pub(super) fn named_expression(&mut self, node: &Node) -> Option<Expression> {
        let null = || Node::new(Kind::Str("null".into()), node.span.clone());
        self.expression(node).or_else(|| Expression::compile(&null(), 0..4).ok())
    }

    pub fn named_trees(&mut self, node: Option<&Node>) -> Vec<(Spanned, Tree)> {
        self.read_entries(node, |reader, value| Some(reader.tree(value)))
    }

    pub(super) fn tree(&mut self, node: &Node) -> Tree {
        check_numbers(node, false, &mut self.problems);
        Tree::compile(node, &mut self.problems)
    }

    pub(super) fn template(&mut self, node: &Node) -> Template {
        Template::compile(node, &mut self.problems)
    }

    /// A duration like `1m30s`, or a template for one.
    pub(super) fn duration(&mut self, node: &Node) -> Option<(Template, Span)> {
        let t = self.template(node);
        if let Some(text) = t.as_literal()
            && humantime::parse_duration(text).is_err()
        {
            self.problems.push(invalid_duration(text, &node.span));
            return None;
        }
        Some((t, node.span.clone()))
    }

    /// The value of `key` as the name of a variable.
    pub(super) fn name(&mut self, node: &Node, key: &str) -> Option<Spanned> {
        let name = self.named(node, key)?;
        if !is_name(&name.text) {
            let message = format!("expected a name, found `{}`", name.text);
            self.error("invalid-name", &name.span, message, "use letters, digits and `_`, and no digit at the start");
            return None;
        }
        Some(name)
    }

    /// The value of `key` as text.
    pub fn named(&mut self, node: &Node, key: &str) -> Option<Spanned> {
        node.get(key).map(|n| self.spanned(n))
    }

    pub(super) fn spanned(&mut self, node: &Node) -> Spanned {
        Spanned { text: self.text(node), span: node.span.clone() }
    }

    pub fn text(&mut self, node: &Node) -> String {
        if matches!(node.kind, Kind::Seq(_) | Kind::Map(_) | Kind::Null) {
            self.problems.push(wrong_type(node, "a string"));
            return String::new();
        }
        node.text()
    }

    /// The text under `key`; `None` if it is missing.
    pub(super) fn text_at(&mut self, node: &Node, key: &str) -> Option<String> {
        node.get(key).map(|n| self.text(n))
    }

    pub(super) fn texts(&mut self, node: &Node) -> Vec<String> {
        self.list(node).into_iter().map(|n| self.text(n)).collect()
    }

    /// The boolean under `key`; false if it is missing.
    pub(super) fn flag(&mut self, node: &Node, key: &str) -> bool {
        match node.get(key) {
            None => false,
            Some(Node { kind: Kind::Bool(b), .. }) => *b,
            Some(other) => {
                self.problems.push(wrong_type(other, "`true` or `false`"));
                false
            }
        }
    }

    pub fn list<'n>(&mut self, node: &'n Node) -> Vec<&'n Node> {
        match &node.kind {
            Kind::Seq(items) => items.iter().collect(),
            _ => {
                self.problems.push(wrong_type(node, "a list"));
                vec![]
            }
        }
    }

    /// The items of a list, or the node itself if it is something else.
    pub(super) fn one_or_many<'n>(&self, node: &'n Node) -> Vec<&'n Node> {
        if let Kind::Seq(items) = &node.kind { items.iter().collect() } else { vec![node] }
    }

    /// The entries of a map, without duplicates.
    pub fn entries<'n>(&mut self, node: &'n Node) -> Vec<(Spanned, &'n Node)> {
        if !matches!(node.kind, Kind::Map(_)) {
            self.problems.push(wrong_type(node, "a map"));
        }
        let (mut out, mut names) = (vec![], HashSet::new());
        for (k, v) in node.entries() {
            let text = k.key_text();
            if !names.insert(text.clone()) {
                self.problems.push(duplicate_key(k));
            } else {
                out.push((Spanned { text, span: k.span.clone() }, v));
            }
        }
        out
    }

    /// Reads the value of each entry of a map, if there is one.
    pub(super) fn read_entries<T>(
        &mut self,
        node: Option<&Node>,
        read: impl Fn(&mut Self, &Node) -> Option<T>,
    ) -> Vec<(Spanned, T)> {
        let entries = node.map(|n| self.entries(n)).unwrap_or_default();
        entries.into_iter().filter_map(|(name, value)| Some((name, read(self, value)?))).collect()
    }

    /// Reports unknown, duplicate and missing keys. `None` unless the node is a map.
    pub fn keys(&mut self, node: &Node, keys: &[Key]) -> Option<()> {
        let known: Vec<&str> = keys.iter().map(|k| k.name).collect();
        let cut: Vec<bool> = (0..node.entries().len()).map(|i| self.is_rest_of_expression(node, i)).collect();
        if !check_keys(node, &known, |i| cut[i], &mut self.problems) {
            return None;
        }
        let is_meant = |key: &Key| node.entries().iter().any(|(other, _)| slips::replaces(&other.key_text(), key.name));
        for key in keys.iter().filter(|k| k.required && !is_meant(k)) {
            let at = node.entries().first().map_or(&node.span, |(k, _)| &k.span);
            self.problems.push(missing_key(key.name, at));
        }
        Some(())
    }

    /// Whether the `i`th key is the second half of an expression that a comma in a flow map has cut in two. Reports it.
    pub(super) fn is_rest_of_expression(&mut self, node: &Node, i: usize) -> bool {
        let (key, value) = &node.entries()[i];
        let Some((_, before)) = i.checked_sub(1).and_then(|i| node.entries().get(i)) else { return false };
        let open = |s: &str| s.matches(['(', '[', '{']).count() > s.matches([')', ']', '}']).count();
        if !matches!(value.kind, Kind::Null)
            || !before.as_str().is_some_and(open)
            || !key.key_text().contains([')', ']', '}'])
        {
            return false;
        }
        let message = "expected a key, found the rest of an expression: a comma inside `{ }` ends a value";
        self.error("unquoted-expression", &key.span, message, "quote the whole expression");
        self.cut.push(before.span.range.start);
        true
    }

    pub fn error(&mut self, code: &'static str, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Diagnostic::error(code, span, message).help(help));
    }
}

pub(super) fn invalid_duration(text: &str, span: &Span) -> Diagnostic {
    Diagnostic::error("invalid-duration", span, format!("expected a duration like `30s`, found `{text}`"))
        .help("write it like `500ms`, `30s` or `1m30s`")
}

pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
