//! Replaces `${env.NAME}` in the values of an environment that are read before a run: everything but actions, secrets and
//! variables, whose placeholders are rendered when they are needed.
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    expr::{Reference, Scope, Template, cel::Access},
    yaml::{Kind, Node},
};
use std::sync::Arc;

/// Which type the value of a variable gets.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Typing {
    /// A number or boolean if it is spelled like one: for settings of the environment itself.
    Plain,
    Text,
}

/// `node` with the variables of the process in place of `${env.NAME}`. A scalar that also reads other names stays as it
/// is, and so does one with a problem, such as an unset variable, which is added to `unset`.
pub(super) fn resolve(node: &Node, variables: &Scope, typing: Typing, unset: &mut Diagnostics) -> Node {
    let kind = match &node.kind {
        Kind::Seq(items) => Kind::Seq(items.iter().map(|item| resolve(item, variables, typing, unset)).collect()),
        Kind::Map(entries) => {
            let entry = |(k, v): &(Node, Node)| (k.clone(), resolve(v, variables, typing, unset));
            Kind::Map(entries.iter().map(entry).collect())
        }
        Kind::Str(text) if text.contains("${") => return resolve_scalar(node, variables, typing, unset),
        _ => return node.clone(),
    };
    node.with_kind(kind)
}

fn resolve_scalar(node: &Node, variables: &Scope, typing: Typing, unset: &mut Diagnostics) -> Node {
    let mut problems = Diagnostics::default();
    let template = Template::compile(node, &mut problems);
    let references: Vec<&Reference> = template.references().collect();
    let missing = unset_variables(&references, variables);
    let is_unset = !missing.0.is_empty();
    unset.extend(missing);
    let others = references.iter().filter(|r| r.root != "env");
    if typing == Typing::Plain {
        for other in others.clone() {
            let message = format!("undefined name `{}`", other.root);
            let help = "only environment variables are known here: `${env.NAME}`";
            problems.push(Diagnostic::error("undefined-name", &other.span, message).help(help));
        }
        unset.extend(problems.clone());
    }
    // the executor of a target reports its problems itself, and renders other names when it connects
    if is_unset || problems.errors() > 0 || references.is_empty() || others.count() > 0 {
        return node.clone();
    }
    let text = match template.render_text(variables) {
        Ok(text) => text,
        Err(e) => {
            let message = format!("`{}` cannot be evaluated: {e}", template.source());
            let help = "set the environment variable for the runner, or write a default";
            unset.push(Diagnostic::warning("unset-variable", &node.span, message).help(help));
            return node.clone();
        }
    };
    let kind = match (typing, text.parse(), text.parse()) {
        (Typing::Plain, Ok(number), _) => Kind::Int(number),
        (Typing::Plain, _, Ok(boolean)) => Kind::Bool(boolean),
        // the value is literal
        _ => Kind::Str(text.replace("${", "$${")),
    };
    let plain = (!matches!(kind, Kind::Str(_))).then(|| Arc::from(text));
    Node::spelled(kind, node.span.clone(), plain)
}

/// A warning for each variable of the process that `references` read and that is not set. An expression with `has(env.X)`
/// expects that one may be unset.
pub fn unset_variables(references: &[&Reference], variables: &Scope) -> Diagnostics {
    let of_process: Vec<&&Reference> = references.iter().filter(|r| r.root == "env").collect();
    let mut problems = Diagnostics::default();
    if of_process.iter().any(|r| r.path.is_empty()) {
        return problems;
    }
    for reference in of_process {
        if let Some(Access::Field(name, field)) = reference.path.first()
            && variables.get("env").is_some_and(|env| env.get(name).is_none())
        {
            let message = format!("the environment variable `{name}` is not set");
            let span = reference.span.with(reference.span.range.start..field.range.end);
            let d = Diagnostic::warning("unset-variable", &span, message);
            problems.push(d.help(format!("set it for the runner: `export {name}=…`")));
        }
    }
    problems
}
