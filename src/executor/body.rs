//! Reads the parts of a verb's body.
use super::{ActionContext, ActionError};
use crate::{
    access::AccessRules,
    diagnostic::{Diagnostic, Diagnostics},
    expr::{Expression, Reference, Template, Tree},
    language::{Key, slips::replaces},
    source::Span,
    yaml::{Kind, Node, check_keys, check_numbers, missing_key, wrong_type},
};
use std::{path::PathBuf, time::Duration};

/// The body of a verb. Its methods read parts, and collect the referenced names and the problems.
pub struct Body<'a> {
    pub node: &'a Node,
    pub references: &'a mut Vec<Reference>,
    pub problems: &'a mut Diagnostics,
    /// What the action may use.
    pub access: &'a AccessRules,
}

/// The path of a file, with placeholders.
pub struct FilePath {
    path: Template,
    access: AccessRules,
}

impl FilePath {
    pub fn template(&self) -> &Template {
        &self.path
    }

    /// # Errors
    /// `Undefined`: a placeholder reads a missing name. `Invalid`: the plan may not use the file.
    pub fn render(&self, cx: &ActionContext<'_>) -> Result<PathBuf, ActionError> {
        Ok(self.access.file(&cx.run.dir, &cx.render_text(&self.path)?)?)
    }
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
        Body { node, references: self.references, problems: self.problems, access: self.access }
    }

    /// Whether it is a map with only the keys of these groups. Reports other keys and duplicates.
    pub fn only(&mut self, groups: &[&[Key]]) -> bool {
        let known: Vec<_> = groups.iter().flat_map(|keys| keys.iter()).map(|key| key.name).collect();
        self.keys(&known)
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

    /// Reports that a key is missing, unless a word of another tool is there for it, which is reported itself.
    pub fn missing(&mut self, key: &str) {
        if !self.node.entries().iter().any(|(other, _)| replaces(&other.key_text(), key)) {
            self.problem(missing_key(key, &self.node.span));
        }
    }

    /// The value of `key`. Reports that it is missing.
    pub fn required(&mut self, key: &str) -> Option<&'a Node> {
        let node = self.node.get(key);
        if node.is_none() {
            self.missing(key);
        }
        node
    }

    /// A string with placeholders.
    pub fn template(&mut self, key: &str) -> Option<Template> {
        let node = self.node.get(key)?;
        self.template_of(node)
    }

    pub fn required_template(&mut self, key: &str) -> Option<Template> {
        let node = self.required(key)?;
        self.template_of(node)
    }

    /// A string with placeholders. Without them, `check` finds the problem in it, if any.
    pub fn checked_template(
        &mut self,
        key: &str,
        check: impl FnOnce(&str, &Span) -> Option<Diagnostic>,
    ) -> Option<Template> {
        let node = self.node.get(key)?;
        let template = self.template_of(node)?;
        let problem = template.as_literal().and_then(|text| check(text, &node.span));
        problem.into_iter().for_each(|d| self.problem(d));
        Some(template)
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

    /// The path of a file that the action reads.
    pub fn file_of(&mut self, node: &Node) -> Option<FilePath> {
        let path = self.template_of(node)?;
        self.check_path(node, path.as_literal());
        Some(FilePath { path, access: self.access.clone() })
    }

    /// Reports a path that is known before the run, and refused.
    pub fn check_path(&mut self, node: &Node, path: Option<&str>) {
        if let Some(Err(refused)) = path.map(|path| self.access.check_path(path)) {
            self.error("not-allowed", &node.span, refused.message, refused.help);
        }
    }

    /// Any value with placeholders.
    pub fn tree(&mut self, key: &str) -> Option<Tree> {
        let node = self.node.get(key)?;
        Some(self.tree_of(node))
    }

    pub fn tree_of(&mut self, node: &Node) -> Tree {
        check_numbers(node, true, self.problems);
        let t = Tree::compile(node, self.problems);
        self.references.extend(t.references());
        t
    }

    /// A text with placeholders, or a list of texts: a scalar without quotes is sent as it is spelled.
    pub fn texts_of(&mut self, node: &Node) -> Tree {
        let t = Tree::compile_texts(node, self.problems);
        self.references.extend(t.references());
        t
    }

    pub fn texts(&mut self, key: &str) -> Option<Tree> {
        let node = self.node.get(key)?;
        Some(self.texts_of(node))
    }

    /// A map of names to texts with placeholders: headers, query parameters.
    pub fn pairs(&mut self, key: &str) -> Vec<(String, Tree)> {
        let Some(node) = self.node.get(key) else { return vec![] };
        if !matches!(node.kind, Kind::Map(_)) {
            self.problem(wrong_type(node, "a map"));
        }
        node.entries().iter().map(|(k, v)| (k.key_text(), self.texts_of(v))).collect()
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
        self.parsed(key, what, |text| text.parse().ok())
    }

    /// One of these words, with its meaning.
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let words = choices.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        self.parsed(key, &words, |text| choices.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning))
    }

    fn parsed<T>(&mut self, key: &str, what: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let node = self.node.get(key)?;
        let parsed = parse(&node.to_value().to_string());
        if parsed.is_none() {
            let message = format!("expected {what} under `{key}`, found `{}`", node.key_text());
            self.problem(Diagnostic::error("wrong-type", &node.span, message).help(format!("write {what}")));
        }
        parsed
    }

    /// A duration; `examples` completes the message: "expected a duration like".
    pub fn duration(&mut self, key: &str, examples: &str) -> Option<Duration> {
        let node = self.node.get(key)?;
        let text = node.key_text();
        let duration = humantime::parse_duration(&text).ok();
        if duration.is_none() {
            let message = format!("expected a duration like {examples}, found `{text}`");
            self.problem(Diagnostic::error("invalid-duration", &node.span, message));
        }
        duration
    }

    /// Compiles a target with `compile`, which gets the key of its main setting: `verb: VALUE` with settings beside it,
    /// or `verb: { main: VALUE, … }`.
    pub fn settings<T>(
        &mut self,
        verb: &'static str,
        main: &'static str,
        compile: impl FnOnce(&mut Body<'_>, &'static str) -> Option<T>,
    ) -> Option<T> {
        match self.node.get(verb) {
            Some(node) if matches!(node.kind, Kind::Map(_)) => {
                self.keys(&[verb]);
                compile(&mut self.part(node), main)
            }
            _ => compile(self, verb),
        }
    }

    pub fn span(&self) -> &'a Span {
        &self.node.span
    }
}
