//! Secrets of an environment that are ordinary words, such as the password `streamspace` of the user `streamspace`.
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    expr::{Scope, Template},
    plan::{Environment, Plan, SecretSource},
    secrets::Secrets,
    source::Span,
    yaml::{Kind, Node},
};

/// The texts whose words are no secrets: the plan, and the names and addresses of the environment.
pub fn ordinary_texts(plan: &Plan, environment: &Environment) -> Vec<String> {
    let mut texts = vec![plan.span.source.text.clone(), environment.name.clone()];
    environment.written_targets.iter().for_each(|(name, node)| settings(&name.text, node, &mut texts));
    texts
}

/// Each setting with its name, which tells a credential from a name.
fn settings(name: &str, node: &Node, texts: &mut Vec<String>) {
    match &node.kind {
        Kind::Seq(items) => items.iter().for_each(|item| settings(name, item, texts)),
        Kind::Map(entries) => entries.iter().for_each(|(key, value)| settings(&key.key_text(), value, texts)),
        _ => texts.push(format!("{name}: {}", node.key_text())),
    }
}

/// Warns of each weak secret and URL password whose value is known in `scope`.
pub fn weak_secrets(plan: &Plan, environment: &Environment, scope: &Scope) -> Diagnostics {
    let secrets = Secrets::default();
    ordinary_texts(plan, environment).into_iter().for_each(|text| secrets.add_ordinary(text));
    let mut found: Vec<(&Span, String, String)> = vec![];
    for (name, source) in &environment.secrets {
        if let SecretSource::Text(tree) = source
            && let Ok(value) = tree.render(scope)
        {
            found.push((&name.span, format!("the secret `{}`", name.text), value.to_string()));
        }
    }
    environment.written_targets.iter().for_each(|(_, node)| url_passwords(node, scope, &mut found));
    let mut problems = Diagnostics::default();
    for (span, what, value) in found {
        if secrets.is_weak(&value) {
            let message = format!("{what} is weak: it is an ordinary word, or a short one");
            let d = Diagnostic::warning("weak-secret", span, message);
            problems.push(d.help("use a random value: a weak secret is masked and found only as a credential"));
        }
    }
    problems
}

fn url_passwords<'n>(node: &'n Node, scope: &Scope, found: &mut Vec<(&'n Span, String, String)>) {
    match &node.kind {
        Kind::Str(text) if text.contains("://") || text.contains("${") => {
            let url = Template::compile(node, &mut Diagnostics::default()).render_text(scope).unwrap_or_default();
            let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
            let user = authority.and_then(|a| Some(a.rsplit_once('@')?.0));
            if let Some((_, password)) = user.and_then(|user| user.split_once(':')) {
                found.push((&node.span, "the password in this URL".into(), password.to_string()));
            }
        }
        Kind::Seq(items) => items.iter().for_each(|item| url_passwords(item, scope, found)),
        Kind::Map(entries) => entries.iter().for_each(|(_, value)| url_passwords(value, scope, found)),
        _ => {}
    }
}
