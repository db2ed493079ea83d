//! Checks assertions against the names in scope and the fields of an output.
use super::compiler::Compiler;
use crate::{
    diagnostic::Diagnostic,
    engine::{
        names::{Names, Shape, other_kind},
        schedule::Needs,
    },
    expr::{Pattern, Reference, Template, matching::accepts_everything, pattern::Matcher},
    plan::Assertions,
    source::Span,
    value::ValueKind,
};
use std::sync::Arc;

impl Compiler<'_> {
    /// Checks assertions and returns the names that they need. With `fields`, the pattern is for an output that has those; none if
    /// they are known only in the run.
    pub(super) fn assertions(
        &mut self,
        assertions: &Assertions,
        fields: Option<&[(String, Shape)]>,
        names: &Names,
    ) -> Needs {
        let mut needs = Needs::new();
        if let Some(p) = &assertions.pattern {
            self.refuse_vacuous_choices(p);
            self.require(&p.references(), names, &mut needs);
            match (&p.matcher, fields) {
                (Matcher::Map(entries), Some(known)) if !known.is_empty() => self.check_keys(entries, known, names),
                (Matcher::Map(entries), None) => {
                    for (name, span, inner) in entries.iter().filter_map(|(k, at, p)| Some((k.as_literal()?, at, p))) {
                        let read = Reference {
                            root: name.to_string(),
                            path: vec![],
                            span: span.clone(),
                            element_fields: Arc::default(),
                        };
                        let shape = self.require([&read], names, &mut needs).pop();
                        if let (Some(Shape::Fields(fields)), Matcher::Map(entries)) = (shape, &inner.matcher) {
                            self.check_keys(entries, &fields, names);
                        }
                    }
                }
                (Matcher::Equal(value), Some(known)) if !known.is_empty() => {
                    if let Some(literal) = ValueKind::of(value).filter(|literal| *literal != ValueKind::Map) {
                        let d = other_kind(ValueKind::Map, literal, p.span.text(), &p.span);
                        let field = known.first().map_or("status", |(name, _)| name);
                        let field = if known.iter().any(|(name, _)| name == "status") { "status" } else { field };
                        self.problems.push(d.help(format!("name the field: `{{ {field}: {} }}`", p.span.text())));
                    }
                }
                (_, None) => {
                    let message = "expected a map of names in scope, found another pattern";
                    let d = Diagnostic::error("wrong-type", &p.span, message);
                    self.problems.push(d.help("write `expect: { name: … }`, or add a verb"));
                }
                _ => {}
            }
        }
        for comparison in assertions.checks.iter().flat_map(|(e, _)| e.comparisons()) {
            names.check_comparison(comparison, &mut self.problems);
        }
        self.require(assertions.checks.iter().flat_map(|(e, _)| e.references()), names, &mut needs);
        needs
    }

    /// Reports each `$in` and `$that` that every value satisfies, though no part of it does.
    fn refuse_vacuous_choices(&mut self, p: &Pattern) {
        let is_choice = match &p.matcher {
            Matcher::In(_) => true,
            Matcher::That(e) => e.vacuous().is_none(),
            _ => false,
        };
        if is_choice && accepts_everything(p) {
            let d = Diagnostic::error("vacuous-assertion", &p.span, "every value satisfies this");
            self.problems.push(d.help("remove the alternatives that are not expected, or the assertion"));
        } else {
            p.inner().into_iter().for_each(|inner| self.refuse_vacuous_choices(inner));
        }
    }

    /// Reports literals of another kind than that of the field they are for: `status: "200"`.
    fn check_kind(&mut self, p: &Pattern, kind: ValueKind) {
        match &p.matcher {
            Matcher::Equal(value) => {
                if let Some(literal) = ValueKind::of(value).filter(|literal| *literal != kind) {
                    self.problems.push(other_kind(kind, literal, p.span.text(), &p.span));
                }
            }
            Matcher::In(alternatives) => alternatives.iter().for_each(|p| self.check_kind(p, kind)),
            Matcher::List(_) if kind != ValueKind::List => {
                let d = other_kind(kind, ValueKind::List, p.span.text(), &p.span);
                self.problems.push(d.help("write `{ $in: [ … ] }` for one of several values"));
            }
            Matcher::Map(_) if kind != ValueKind::Map => {
                self.problems.push(other_kind(kind, ValueKind::Map, p.span.text(), &p.span));
            }
            _ => {}
        }
    }

    /// Reports the keys of a pattern that are not among the fields of an output: `expect: { batch: { stauts: 200 } }`.
    fn check_keys(&mut self, entries: &[(Template, Span, Pattern)], known: &[(String, Shape)], names: &Names) {
        for (name, span, inner) in entries.iter().filter_map(|(key, span, p)| Some((key.as_literal()?, span, p))) {
            if let Some((_, shape)) = known.iter().find(|(k, _)| k == name) {
                shape.note_read(&[]);
                if let Some(kind) = shape.kind() {
                    self.check_kind(inner, kind);
                }
                continue;
            }
            names.touch(name);
            let d = Diagnostic::error("unknown-field", span, format!("unknown field `{name}` of this output"));
            let d = d.suggest(name, known.iter().map(|(k, _)| k.as_str()));
            // one letter, or two that changed places
            let is_typo = d.replacement.is_some() && known.iter().any(|(k, _)| k.len().abs_diff(name.len()) <= 1);
            let has_body = known.iter().any(|(k, _)| k == "body");
            let in_body =
                |name: &str| format!("fields of the product's response are under `body`: `body: {{ {name}: … }}`");
            self.problems.push(match (name.split_once(':'), name.split_once('.')) {
                (Some((field, value)), _) => {
                    let written = format!("{field}: {value}");
                    d.help(format!("write a space after the colon: `{written}`")).replace_with(written)
                }
                (_, Some((field, rest))) if known.iter().any(|(k, _)| k == field) => {
                    d.help(format!("write a map: `{field}: {{ {rest}: … }}`"))
                }
                _ if has_body && !d.help.as_ref().is_some_and(|help| help.starts_with("did you mean")) => {
                    d.help(in_body(name))
                }
                _ if has_body && !is_typo => {
                    let similar = d.help.clone().unwrap_or_default();
                    Diagnostic { replacement: None, ..d.help(format!("{similar} {}", in_body(name))) }
                }
                _ => d,
            });
        }
    }
}
