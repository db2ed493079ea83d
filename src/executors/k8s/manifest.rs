//! Manifests: in the plan, or in a file with any number of documents.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body},
    expr::{Template, Tree},
    yaml::{Kind as NodeKind, Node},
};
use serde_json::Value as Json;
use std::{
    io,
    path::{Path, PathBuf},
};

pub enum Manifests {
    Inline {
        tree: Tree,
        summary: String,
        /// `apiVersion` and `kind` of each manifest, as written; empty if the whole value is a placeholder.
        kinds: Vec<(String, String)>,
    },
    /// The path of a file. It is used as it is, without placeholders.
    File(Template),
}

#[derive(Debug, thiserror::Error)]
enum ManifestError {
    #[error("manifest file `{0}` does not exist")]
    NotFound(String),
    #[error("cannot read manifest file `{0}`: {1}")]
    Unreadable(String, io::Error),
    #[error("invalid manifest in `{0}`: {1}")]
    Syntax(String, String),
    #[error("missing `{key}` in the manifest{origin} (for example `{key}: {example}`)")]
    MissingKey { key: &'static str, example: &'static str, origin: String },
    #[error("expected a manifest{0}, found none")]
    Empty(String),
}

impl From<ManifestError> for ActionError {
    fn from(e: ManifestError) -> Self {
        ActionError::Invalid(e.to_string())
    }
}

impl Manifests {
    /// `generate_name`: whether `generateName` is accepted instead of `name`.
    pub fn compile(body: &mut Body<'_>, node: &Node, generate_name: bool) -> Option<Manifests> {
        if let (NodeKind::Map(entries), Some(file)) = (&node.kind, node.get("file"))
            && entries.len() == 1
        {
            return Some(Manifests::File(body.template_of(file)?));
        }
        let nodes: Vec<&Node> = match &node.kind {
            // The value of the placeholder is checked during the run.
            NodeKind::Str(s) if s.contains("${") => vec![],
            NodeKind::Seq(items) if !items.is_empty() => items.iter().collect(),
            _ => vec![node],
        };
        let checked: Vec<Option<ManifestId>> = nodes.iter().map(|n| check_manifest(body, n, generate_name)).collect();
        let ids: Vec<ManifestId> = checked.into_iter().collect::<Option<_>>()?;
        let summary = match &ids[..] {
            [] => node.to_value().to_string(),
            [only] => only.to_string(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        let kinds = ids.into_iter().map(|id| (id.api_version, id.kind)).collect();
        Some(Manifests::Inline { tree: body.tree_of(node), summary, kinds })
    }

    pub fn summary(&self) -> String {
        match self {
            Manifests::Inline { summary, .. } => summary.clone(),
            Manifests::File(path) => format!("objects in {}", path.source()),
        }
    }

    /// The path of the file; `None` for inline manifests.
    pub fn path(&self, cx: &ActionContext<'_>) -> Result<Option<PathBuf>, ActionError> {
        match self {
            Manifests::Inline { .. } => Ok(None),
            Manifests::File(path) => Ok(Some(cx.run.dir.join(cx.render_text(path)?))),
        }
    }

    /// All objects in order, with those of a `List` expanded. At least one.
    ///
    /// # Errors
    /// `Invalid`: the file cannot be read, a manifest is invalid, or there is none.
    pub async fn read(&self, cx: &ActionContext<'_>) -> Result<Vec<Json>, ActionError> {
        let (documents, origin) = match self {
            Manifests::Inline { tree, .. } => match cx.render_tree(tree)?.to_json() {
                Json::Array(items) => (items, String::new()),
                single => (vec![single], String::new()),
            },
            Manifests::File(path) => {
                let path = cx.run.dir.join(cx.render_text(path)?);
                (read_documents(&path).await?, format!(" in `{}`", path.display()))
            }
        };
        Ok(expand(documents, &origin)?)
    }
}

async fn read_documents(path: &Path) -> Result<Vec<Json>, ManifestError> {
    let name = path.display().to_string();
    let text = tokio::fs::read_to_string(path).await.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => ManifestError::NotFound(name.clone()),
        _ => ManifestError::Unreadable(name.clone(), e),
    })?;
    parse_documents(&text)
        .map_err(|e| ManifestError::Syntax(name, e.to_string().lines().next().unwrap_or_default().to_string()))
}

/// The documents of a YAML or JSON text. A duplicate key is an error, as in kubectl.
fn parse_documents(text: &str) -> Result<Vec<Json>, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options)
}

/// Checks the documents and expands lists. `origin` is for messages: " in `FILE`".
fn expand(documents: Vec<Json>, origin: &str) -> Result<Vec<Json>, ManifestError> {
    let mut objects = vec![];
    for document in documents.into_iter().filter(|d| !d.is_null()) {
        for (key, example) in [("apiVersion", "v1"), ("kind", "ConfigMap")] {
            if document[key].as_str().is_none_or(str::is_empty) {
                return Err(ManifestError::MissingKey { key, example, origin: origin.into() });
            }
        }
        match document.get("items").and_then(Json::as_array) {
            Some(items) if document["kind"].as_str().is_some_and(|k| k.ends_with("List")) => {
                objects.extend(items.clone())
            }
            _ => objects.push(document),
        }
    }
    if objects.is_empty() { Err(ManifestError::Empty(origin.into())) } else { Ok(objects) }
}

struct ManifestId {
    api_version: String,
    kind: String,
    name: String,
}

impl std::fmt::Display for ManifestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Checks a manifest as written, before its placeholders are rendered.
fn check_manifest(body: &mut Body<'_>, node: &Node, generate_name: bool) -> Option<ManifestId> {
    if !matches!(node.kind, NodeKind::Map(_)) {
        let d = Diagnostic::error("wrong-type", &node.span, format!("expected a manifest, found {}", node.what()))
            .help("write the manifest as a map, or `{ file: PATH }`");
        body.problem(d);
        return None;
    }
    let mut complete = true;
    for key in ["apiVersion", "kind", "metadata"] {
        if node.get(key).is_none() {
            body.problem(Diagnostic::error("missing-key", &node.span, format!("missing `{key}` in the manifest")));
            complete = false;
        }
    }
    let metadata = node.get("metadata")?;
    let name = metadata.get("name").or_else(|| metadata.get("generateName").filter(|_| generate_name));
    if matches!(metadata.kind, NodeKind::Map(_)) && name.is_none() {
        let or = if generate_name { " or `generateName`" } else { "" };
        let message = format!("missing `name`{or} in the manifest's `metadata`");
        body.problem(Diagnostic::error("missing-key", &metadata.span, message));
        complete = false;
    }
    let text = |n: Option<&Node>| n.map(|n| n.to_value().to_string()).unwrap_or_default();
    complete.then(|| ManifestId {
        api_version: text(node.get("apiVersion")),
        kind: text(node.get("kind")),
        name: text(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_any_number_of_documents() {
        let text = "# a comment\n---\na: 1\n---\n---\nb: yes\nc: |\n  ---\n  x\n";
        let parsed = parse_documents(text).unwrap();
        let documents: Vec<&Json> = parsed.iter().filter(|d| !d.is_null()).collect();
        assert_eq!(documents, [&serde_json::json!({ "a": 1 }), &serde_json::json!({ "b": "yes", "c": "---\nx\n" })]);
        assert!(parse_documents("a: 1\na: 2\n").unwrap_err().to_string().contains("duplicate"));
        assert!(parse_documents("a: [\n").is_err());
        assert_eq!(parse_documents("{\"a\": {\"b\": null}}").unwrap(), [serde_json::json!({ "a": { "b": null } })]);
    }
}
