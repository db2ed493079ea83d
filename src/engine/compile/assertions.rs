//! Checks assertions against the names in scope and the fields of an output.
use super::compiler::Compiler;
use crate::{
    diagnostic::Diagnostic,
    engine::{
        names::{Names, Shape},
        schedule::Needs,
    },
    expr::{Pattern, Reference, Template, matching::accepts_everything, pattern::Matcher},
    plan::Assertions,
    source::Span,
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
                (_, None) => {
                    let message = "expected a map of names in scope, found another pattern";
                    let d = Diagnostic::error("wrong-type", &p.span, message);
                    self.problems.push(d.help("write `expect: { name: … }`, or add a verb"));
                }
                _ => {}
            }
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

    /// Reports the keys of a pattern that are not among the fields of an output: `expect: { batch: { stauts: 200 } }`.
    fn check_keys(&mut self, entries: &[(Template, Span, Pattern)], known: &[(String, Shape)], names: &Names) {
        for (name, span) in entries.iter().filter_map(|(key, span, _)| Some((key.as_literal()?, span))) {
            if let Some((_, shape)) = known.iter().find(|(k, _)| k == name) {
                shape.note_read(&[]);
                continue;
            }
            names.touch(name);
            let d = Diagnostic::error("unknown-field", span, format!("unknown field `{name}` of this output"));
            let d = d.suggest(name, known.iter().map(|(k, _)| k.as_str()));
            let is_similar = d.help.as_ref().is_some_and(|help| help.starts_with("did you mean"));
            self.problems.push(match name.split_once(':') {
                Some((field, value)) => d.help(format!("write a space after the colon: `{field}: {value}`")),
                None if !is_similar && known.iter().any(|(k, _)| k == "body") => {
                    d.help(format!("fields of the product's response are under `body`: `body: {{ {name}: … }}`"))
                }
                None => d,
            });
        }
    }
}
