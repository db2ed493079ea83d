//! The plan for a service that an OpenAPI document describes: one case for each operation.
//!
//! Operations that only read are performed. The others, and those that lack a value, are drafts: their actions are in a
//! comment, and `check` lists their steps. See [`Findings`] for what happens when the first run of a plan does not pass.
mod action;
mod case;
mod chain;
mod operation;
mod options;
mod path;

pub use action::content_type;
pub use case::{Case, Content, Drafts, Part, Plan, Sentence, Tier, Written, WrittenCase, write};
pub use options::{Findings, Options, Variables};
pub use path::{Segment, request};

use super::{openapi::Api, words, yaml::Yaml};
use chain::{Index, Lists};
use std::collections::HashSet;

/// Writes the plan for the operations of a document.
pub fn plan(api: &Api, options: &Options, findings: &Findings) -> Written {
    let is_allowed = |o: &super::openapi::Operation| operation::is_safe(o) && operation::is_open(o, findings, options);
    let variables = Variables::new(&options.values);
    let api = &with_values(api, &variables);
    let lists = Lists { index: Index::new(api), findings, variables: &variables, is_allowed: &is_allowed };
    let mut seen = HashSet::new();
    let operations = api.operations.iter().filter(|o| seen.insert(o.key.clone()));
    let cases: Vec<Case> = operations.map(|o| operation::case(o, &lists, options)).collect();
    let drafts = cases.iter().filter(|c| !c.is_running()).count();
    let mut comments = vec![format!(
        "Written by `tp-runner init` from {}.",
        words::sentence(options.document.as_deref().unwrap_or("the service"))
    )];
    if drafts > 0 {
        let running = format!("{} of {} cases run.", cases.len() - drafts, cases.len());
        comments.push(format!("{running} The others are drafts: they change data, or lack a value."));
        comments.push(
            "To finish a draft: uncomment `do` below its step, correct the values, and replace `unproven`".into(),
        );
        comments.push("by the `expect` below it.".into());
        if options.drafts == Drafts::Cases {
            comments.push("`tp-runner check` lists the steps without actions.".into());
        }
    }
    let name = match api.version.as_str() {
        "" => api.title.clone(),
        version => format!("{} {version}", api.title),
    };
    let variables = variables.0.into_values().collect();
    write(&Plan {
        id: options.id.clone(),
        title: words::sentence(&name),
        comments,
        variables,
        cases,
        drafts: options.drafts,
    })
}

/// The document with variables in place of required parameters that have no value.
fn with_values(api: &Api, variables: &Variables) -> Api {
    let mut api = api.clone();
    for inputs in api.operations.iter_mut().map(|o| &mut o.inputs) {
        for missing in std::mem::take(&mut inputs.missing) {
            let value = variables.of(&missing.name).map(|name| Yaml::Template(format!("${{{name}}}")));
            match (value, missing.place.as_str()) {
                (Some(value), "query") => inputs.query.push((missing.name, value)),
                (Some(value), "header") => inputs.headers.push((missing.name, value)),
                _ => inputs.missing.push(missing),
            }
        }
    }
    api
}

#[cfg(test)]
mod tests;
