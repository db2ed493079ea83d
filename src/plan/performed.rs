//! What the actions of a plan perform, without what is asserted about it: whether a recorded run performed the same.
use super::model::{ActionDefinition, ActionSpec, Case, Foreach, Plan, Verb};
use crate::{address::Address, expr::Tree};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

/// How deep definitions are followed. A deeper plan is refused by the compiler.
const MAX_DEPTH: usize = 40;

/// For each action of a sentence what it performs, by its address: `TC-1/steps/2/do/0`. The texts of two plans are equal
/// if their actions perform the same; they are not meant for people.
pub fn performed(plan: &Plan, replaced: &[ActionDefinition]) -> BTreeMap<Address, String> {
    let definitions = plan.actions.iter().chain(replaced).map(|d| (d.name.text.as_str(), d)).collect();
    let writer = Writer { definitions };
    plan.cases.iter().flat_map(|case| writer.case(case)).collect()
}

/// A variable of two plans has the same value if these texts are equal.
pub fn variables(plan: &Plan) -> BTreeMap<String, String> {
    let text = |tree: &Tree| {
        let mut text = String::new();
        write_tree(tree, &mut text);
        text
    };
    plan.vars.iter().map(|(name, tree)| (name.text.clone(), text(tree))).collect()
}

struct Writer<'p> {
    definitions: HashMap<&'p str, &'p ActionDefinition>,
}

impl Writer<'_> {
    fn case(&self, case: &Case) -> Vec<(Address, String)> {
        let lists = [("preconditions", &case.preconditions), ("steps", &case.steps), ("expected", &case.expected)];
        let mut all = vec![];
        for (list, sentences) in lists {
            for (i, sentence) in sentences.iter().enumerate() {
                for (k, action) in sentence.actions.iter().enumerate() {
                    let mut text = String::new();
                    self.action(action, 0, &mut text);
                    let sentence = Address::of_case(&case.id.text).child(list).child(i + 1);
                    all.push((sentence.child("do").child(k), text));
                }
            }
        }
        all
    }

    fn action(&self, action: &ActionSpec, depth: usize, out: &mut String) {
        if let Some(target) = &action.target {
            let _ = write!(out, "target {} ", target.text);
        }
        match &action.foreach {
            Some((Foreach::List(_) | Foreach::Map(_), span)) => drop(write!(out, "foreach {} ", span.text())),
            None => {}
        }
        match &action.verb {
            Verb::Executor { name, body } => drop(write!(out, "{} {}", name.text, body.to_value().to_json())),
            Verb::Use { action, inputs } => {
                let _ = write!(out, "use {} (", action.text);
                for (name, tree) in inputs {
                    let _ = write!(out, "{}=", name.text);
                    write_tree(tree, out);
                }
                let inner = self.definitions.get(action.text.as_str()).filter(|_| depth < MAX_DEPTH);
                for action in inner.iter().flat_map(|d| &d.actions) {
                    self.action(action, depth + 1, out);
                }
                out.push(')');
            }
            Verb::Parallel { branches, .. } => {
                for branch in branches {
                    out.push('[');
                    branch.iter().for_each(|action| self.action(action, depth + 1, out));
                    out.push(']');
                }
            }
            Verb::Fault { breaks, name } => drop(write!(out, "fault {breaks} {}", name.text)),
            Verb::EveryObservation { .. } | Verb::None | Verb::Broken => {}
        }
        out.push(';');
    }
}

fn write_tree(tree: &Tree, out: &mut String) {
    match tree {
        Tree::Value(value) => out.push_str(&value.to_json().to_string()),
        Tree::Template(template) => drop(write!(out, "{:?}", template.source())),
        Tree::List(items) => {
            out.push('[');
            items.iter().for_each(|item| write_tree(item, out));
            out.push(']');
        }
        Tree::Map(entries) => {
            for (key, value) in entries {
                let _ = write!(out, "{{{:?}: ", key.source());
                write_tree(value, out);
                out.push('}');
            }
        }
    }
    out.push(' ');
}
