//! Checks assertions against the names in scope and the fields of an output.
use super::compiler::Compiler;
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    engine::names::{Names, Shape},
    expr::{Pattern, Reference, pattern},
    plan::Assertions,
    source::Span,
};

impl Compiler<'_> {
    /// Checks assertions and returns the names that they need. With `fields`, the pattern is for an output that has those.
    pub(super) fn assertions(
        &mut self,
        assertions: &Assertions,
        fields: Option<&[String]>,
        names: &Names,
    ) -> Vec<String> {
        let mut needs = vec![];
        if let Some(p) = &assertions.pattern {
            let reads = p.references();
            need(&mut needs, &reads);
            self.check_references(&reads, names);
            match (&p.matcher, fields) {
                (pattern::Matcher::Map(entries), _) => {
                    for (key, at, inner) in entries {
                        let Some(name) = key.as_literal() else { continue };
                        match fields {
                            Some(known) => {
                                names.touch(name);
                                if !known.iter().any(|k| k == name) && !known.is_empty() {
                                    self.unknown_output(name, at, known);
                                }
                            }
                            None => {
                                let read = Reference { root: name.to_string(), path: vec![], span: at.clone() };
                                if !names.has(name) {
                                    names.check(&read, &mut self.problems);
                                } else {
                                    names.touch(name);
                                    self.used_vars.insert(name.to_string());
                                    self.pattern_fields(name, inner, names);
                                }
                                need_names(&mut needs, &[name.to_string()]);
                            }
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
        for (e, _) in &assertions.checks {
            need(&mut needs, e.references());
            self.check_references(e.references(), names);
        }
        needs
    }

    /// Checks the fields of a name in scope, where they are known: `expect: { batch: { stauts: 200 } }`.
    pub(super) fn pattern_fields(&mut self, name: &str, inner: &Pattern, names: &Names) {
        let pattern::Matcher::Map(entries) = &inner.matcher else { return };
        let read = Reference { root: name.to_string(), path: vec![], span: inner.span.clone() };
        if let Shape::Fields(fields) = names.check(&read, &mut Diagnostics::default()) {
            let known: Vec<String> = fields.into_iter().map(|(f, _)| f).collect();
            for (key, at, _) in entries {
                if let Some(k) = key.as_literal()
                    && !known.iter().any(|f| f == k)
                {
                    self.unknown_output(k, at, &known);
                }
            }
        }
    }

    pub(super) fn unknown_output(&mut self, name: &str, at: &Span, known: &[String]) {
        let d = Diagnostic::error("unknown-field", at, format!("unknown field `{name}` of this output"));
        self.problems.push(d.suggest(name, known.iter().map(String::as_str)));
    }
}

pub(super) fn need(needs: &mut Vec<String>, reads: &[Reference]) {
    need_names(needs, &reads.iter().map(|r| r.root.clone()).collect::<Vec<_>>());
}

pub(super) fn need_names(needs: &mut Vec<String>, names: &[String]) {
    for n in names {
        if !needs.contains(n) {
            needs.push(n.clone());
        }
    }
}
