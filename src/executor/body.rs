//! Reads the parts of a verb's body.
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    expr::{Expression, Reference, Template, Tree},
    source::Span,
    yaml::{Kind, Node, check_keys, missing_key, wrong_type},
};

/// The body of a verb. Its methods read parts, and collect the referenced names and the problems.
pub struct Body<'a> {
    pub node: &'a Node,
    pub references: &'a mut Vec<Reference>,
    pub problems: &'a mut Diagnostics,
}

impl<'a> Body<'a> {
    pub fn error(&mut self, code: &'static str, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.problem(Diagnostic::error(code, span, message).help(help));
    }

    pub fn problem(&mut self, d: Diagnostic) {
        self.problems.push(d);
    }

    /// The body `node`, a part of this one.
    pub fn part<'b>(&'b mut self, node: &'b Node) -> Body<'b> {
        Body { node, references: self.references, problems: self.problems }
    }

    /// Whether it is a map with only these keys. Reports other keys and duplicates.
    pub fn keys(&mut self, known: &[&str]) -> bool {
        let before = self.problems.errors();
        check_keys(self.node, known, |_| false, self.problems);
        self.problems.errors() == before
    }

    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key)
    }

    /// The first of `keys` that is present.
    pub fn key_of(&self, keys: &[&'static str]) -> Option<&'static str> {
        keys.iter().copied().find(|k| self.node.get(k).is_some())
    }

    pub fn missing(&mut self, key: &str) {
        self.problem(missing_key(key, &self.node.span));
    }

    /// A string with placeholders.
    pub fn template(&mut self, key: &str) -> Option<Template> {
        let node = self.node.get(key)?;
        self.template_of(node)
    }

    pub fn template_of(&mut self, node: &Node) -> Option<Template> {
        if matches!(node.kind, Kind::Seq(_) | Kind::Map(_) | Kind::Null) {
            self.problem(wrong_type(node, "a string"));
            return None;
        }
        let t = Template::compile(node, self.problems);
        self.references.extend(t.references().cloned());
        Some(t)
    }

    /// Any value with placeholders.
    pub fn tree(&mut self, key: &str) -> Option<Tree> {
        let node = self.node.get(key)?;
        Some(self.tree_of(node))
    }

    pub fn tree_of(&mut self, node: &Node) -> Tree {
        let t = Tree::compile(node, self.problems);
        self.references.extend(t.references());
        t
    }

    /// A map of names to values with placeholders: headers, query parameters.
    pub fn pairs(&mut self, key: &str) -> Vec<(String, Tree)> {
        let Some(node) = self.node.get(key) else { return vec![] };
        if !matches!(node.kind, Kind::Map(_)) {
            self.problem(wrong_type(node, "a map"));
        }
        node.entries().iter().map(|(k, v)| (k.key_text(), self.tree_of(v))).collect()
    }

    /// An expression. The executor binds the names `own` itself.
    pub fn expression(&mut self, key: &str, own: &[&str]) -> Option<Expression> {
        let node = self.node.get(key)?;
        let length = node.as_str().map_or_else(|| node.span.text().len(), str::len);
        match Expression::compile(node, 0..length) {
            Ok(e) => {
                self.references.extend(e.references().iter().filter(|r| !own.contains(&r.root.as_str())).cloned());
                Some(e)
            }
            Err(all) => {
                all.into_iter().for_each(|d| self.problems.push(d));
                None
            }
        }
    }

    /// A word or a number without placeholders. `what` completes the message: "a positive number".
    pub fn literal<T: std::str::FromStr>(&mut self, key: &str, what: &str) -> Option<T> {
        let node = self.node.get(key)?;
        let parsed = node.to_value().to_string().parse().ok();
        if parsed.is_none() {
            let message = format!("expected {what} under `{key}`, found `{}`", node.key_text());
            self.problem(Diagnostic::error("wrong-type", &node.span, message).help(format!("write {what}")));
        }
        parsed
    }

    pub fn span(&self) -> &'a Span {
        &self.node.span
    }
}
