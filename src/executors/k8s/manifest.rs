//! Manifests: written in the plan, or in a file of any number of documents.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body},
    expr::{Template, Tree},
    yaml::{Kind as NodeKind, Node},
};
use serde_json::Value as Json;
use std::path::PathBuf;

pub enum Manifests {
    Inline {
        tree: Tree,
        summary: String,
        /// Of each manifest that says so before it is rendered: `apiVersion` and `kind`.
        kinds: Vec<(String, String)>,
    },
    /// Taken as it stands: what looks like a hole in it is none.
    File(Template),
}

impl Manifests {
    /// `nameless`: whether `generateName` will do for a name.
    pub fn compile(body: &mut Body<'_>, node: &Node, nameless: bool) -> Option<Manifests> {
        if let (NodeKind::Map(entries), Some(file)) = (&node.kind, node.get("file"))
            && entries.len() == 1
        {
            return Some(Manifests::File(body.template_of(file)?));
        }
        let all: Vec<&Node> = match &node.kind {
            // The whole manifest comes from a name in scope.
            NodeKind::Str(s) if s.contains("${") => vec![],
            NodeKind::Seq(all) if !all.is_empty() => all.iter().collect(),
            _ => vec![node],
        };
        let checked: Vec<Option<Named>> = all.iter().map(|n| named(body, n, nameless)).collect();
        let named: Vec<Named> = checked.into_iter().collect::<Option<_>>()?;
        let summary = match &named[..] {
            [] => node.to_value().to_string(),
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        let kinds = named.into_iter().map(|n| (n.api, n.kind)).collect();
        Some(Manifests::Inline { tree: body.tree_of(node), summary, kinds })
    }

    pub fn summary(&self) -> String {
        match self {
            Manifests::Inline { summary, .. } => summary.clone(),
            Manifests::File(path) => format!("what is in {}", path.source()),
        }
    }

    /// The path of the file, where it is one.
    pub fn path(&self, cx: &ActionContext<'_>) -> Result<Option<PathBuf>, ActionError> {
        match self {
            Manifests::Inline { .. } => Ok(None),
            Manifests::File(path) => Ok(Some(cx.run.dir.join(cx.render_text(path)?))),
        }
    }

    /// Each object, in order; the items of a `List` stand for themselves. At least one.
    ///
    /// # Errors
    /// `Invalid`: a file that cannot be read, what is no manifest, or none at all.
    pub async fn read(&self, cx: &ActionContext<'_>) -> Result<Vec<Json>, ActionError> {
        let (documents, place) = match self {
            Manifests::Inline { tree, .. } => match cx.render_tree(tree)?.to_json() {
                Json::Array(all) => (all, String::new()),
                one => (vec![one], String::new()),
            },
            Manifests::File(path) => {
                let path = cx.run.dir.join(cx.render_text(path)?);
                let shown = format!(" in `{}`", path.display());
                let text = tokio::fs::read_to_string(&path).await.map_err(|e| match e.kind() {
                    std::io::ErrorKind::NotFound => {
                        ActionError::Invalid(format!("there is no file `{}`", path.display()))
                    }
                    _ => ActionError::Invalid(format!("the file `{}` cannot be read: {e}", path.display())),
                })?;
                (documents(&text).map_err(|e| ActionError::Invalid(format!("no manifest{shown}: {e}")))?, shown)
            }
        };
        let mut out = vec![];
        for document in documents {
            if document.is_null() {
                continue;
            }
            for (key, example) in [("apiVersion", "v1"), ("kind", "ConfigMap")] {
                if document[key].as_str().is_none_or(str::is_empty) {
                    return Err(ActionError::Invalid(format!(
                        "the manifest{place} lacks `{key}` (`{key}: {example}`)"
                    )));
                }
            }
            match document.get("items").and_then(Json::as_array) {
                Some(items) if document["kind"].as_str().is_some_and(|k| k.ends_with("List")) => {
                    out.extend(items.clone())
                }
                _ => out.push(document),
            }
        }
        if out.is_empty() { Err(ActionError::Invalid(format!("there is no manifest{place}"))) } else { Ok(out) }
    }
}

/// The documents of a YAML or JSON text. A key that stands twice is an error, as it is to kubectl.
fn documents(text: &str) -> Result<Vec<Json>, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        with_snippet: false,
    };
    let first_line = |e: serde_saphyr::Error| e.to_string().lines().next().unwrap_or_default().to_string();
    serde_saphyr::from_multiple_with_options::<Json>(text, options).map_err(first_line)
}

struct Named {
    api: String,
    kind: String,
    name: String,
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Checks what can be told of a manifest before it is rendered.
fn named(body: &mut Body<'_>, node: &Node, nameless: bool) -> Option<Named> {
    if !matches!(node.kind, NodeKind::Map(_)) {
        let d = Diagnostic::error("wrong-type", &node.span, format!("a manifest is a map, not {}", node.what()))
            .help("write it here, or `{ file: PATH }`");
        body.problem(d);
        return None;
    }
    let mut whole = true;
    for key in ["apiVersion", "kind", "metadata"] {
        if node.get(key).is_none() {
            body.problem(Diagnostic::error("missing-key", &node.span, format!("the manifest lacks `{key}`")));
            whole = false;
        }
    }
    let metadata = node.get("metadata")?;
    let name = metadata.get("name").or_else(|| metadata.get("generateName").filter(|_| nameless));
    if matches!(metadata.kind, NodeKind::Map(_)) && name.is_none() {
        let or = if nameless { ", or `generateName`" } else { "" };
        let message = format!("the manifest's `metadata` lacks `name`{or}");
        body.problem(Diagnostic::error("missing-key", &metadata.span, message));
        whole = false;
    }
    let word = |n: Option<&Node>| n.map(|n| n.to_value().to_string()).unwrap_or_default();
    whole.then(|| Named { api: word(node.get("apiVersion")), kind: word(node.get("kind")), name: word(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_any_number_of_documents() {
        let text = "# a comment\n---\na: 1\n---\n---\nb: yes\nc: |\n  ---\n  x\n";
        let read = documents(text).unwrap();
        let there: Vec<&Json> = read.iter().filter(|d| !d.is_null()).collect();
        assert_eq!(there, [&serde_json::json!({ "a": 1 }), &serde_json::json!({ "b": "yes", "c": "---\nx\n" })]);
        assert!(documents("a: 1\na: 2\n").unwrap_err().contains("duplicate"));
        assert!(documents("a: [\n").is_err());
        assert_eq!(documents("{\"a\": {\"b\": null}}").unwrap(), [serde_json::json!({ "a": { "b": null } })]);
    }
}
