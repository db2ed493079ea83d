//! Manifests: in the plan, or in a file with any number of documents.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body, FilePath},
    executors::processing::read_text,
    expr::Tree,
    value::Value,
    yaml::{Kind as NodeKind, Node, wrong_type},
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
    File(FilePath),
}

/// Manifests with all values.
pub struct RenderedManifests {
    /// In order, with those of a `List` expanded. At least one.
    pub objects: Vec<Json>,
    /// The file they were read from.
    pub path: Option<PathBuf>,
}

impl Manifests {
    /// `generate_name`: whether `generateName` is accepted instead of `name`.
    pub fn compile(body: &mut Body<'_>, node: &Node, generate_name: bool) -> Option<Manifests> {
        if let (NodeKind::Map(entries), Some(file)) = (&node.kind, node.get("file"))
            && entries.len() == 1
        {
            return Some(Manifests::File(body.file_of(file)?));
        }
        let nodes: Vec<&Node> = match &node.kind {
            // The value of the placeholder is checked during the run.
            NodeKind::Str(s) if s.contains("${") => vec![],
            NodeKind::Seq(items) if !items.is_empty() => items.iter().collect(),
            _ => vec![node],
        };
        let checked: Vec<_> = nodes.iter().map(|n| check_manifest(body, n, generate_name)).collect();
        let (kinds, names): (Vec<(String, String)>, Vec<String>) = checked.into_iter().collect::<Option<_>>()?;
        let summary = match &names[..] {
            [] => node.to_value().to_string(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        Some(Manifests::Inline { tree: body.tree_of(&spelled_labels(node)), summary, kinds })
    }

    pub fn summary(&self) -> String {
        match self {
            Manifests::Inline { summary, .. } => summary.clone(),
            Manifests::File(path) => format!("objects in {}", path.template().source()),
        }
    }

    /// # Errors
    /// `Invalid`: the file cannot be read, a manifest is invalid, or there is none.
    pub async fn render(&self, cx: &ActionContext<'_>) -> Result<RenderedManifests, ActionError> {
        match self {
            Manifests::Inline { tree, .. } => RenderedManifests::inline(&cx.render_tree(tree)?),
            Manifests::File(path) => {
                let path = path.render(cx)?;
                let objects = expand(read_documents(&path).await?, &format!(" in `{}`", path.display()))?;
                Ok(RenderedManifests { objects, path: Some(path) })
            }
        }
    }
}

impl RenderedManifests {
    /// A manifest or a list of manifests.
    pub fn inline(value: &Value) -> Result<Self, ActionError> {
        let documents = match value.to_json() {
            Json::Array(items) => items,
            single => vec![single],
        };
        Ok(RenderedManifests { objects: expand(documents, "")?, path: None })
    }
}

async fn read_documents(path: &Path) -> Result<Vec<Json>, ActionError> {
    let name = path.display();
    let text = read_text(path).await.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => ActionError::Invalid(format!("manifest file `{name}` does not exist")),
        _ => ActionError::Invalid(format!("cannot read manifest file `{name}`: {e}")),
    })?;
    parse_documents(&text).map_err(|e| {
        let first = e.to_string().lines().next().unwrap_or_default().to_string();
        ActionError::Invalid(format!("invalid manifest in `{name}`: {first}"))
    })
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
fn expand(documents: Vec<Json>, origin: &str) -> Result<Vec<Json>, ActionError> {
    let mut objects = vec![];
    for document in documents.into_iter().filter(|d| !d.is_null()) {
        for (key, example) in [("apiVersion", "v1"), ("kind", "ConfigMap")] {
            if document[key].as_str().is_none_or(str::is_empty) {
                let message = format!("missing `{key}` in the manifest{origin} (for example `{key}: {example}`)");
                return Err(ActionError::Invalid(message));
            }
        }
        match document.get("items").and_then(Json::as_array) {
            Some(items) if document["kind"].as_str().is_some_and(|k| k.ends_with("List")) => {
                objects.extend(items.clone())
            }
            _ => objects.push(document),
        }
    }
    if objects.is_empty() {
        return Err(ActionError::Invalid(format!("expected a manifest{origin}, found none")));
    }
    Ok(objects)
}

/// Keys with a map of texts under them.
const TEXT_MAPS: [&str; 4] = ["labels", "annotations", "matchLabels", "nodeSelector"];

/// The node, with labels and annotations as they are spelled: `1.10` and `on` without quotes are texts there.
pub fn spelled_labels(node: &Node) -> Node {
    let kind = match &node.kind {
        NodeKind::Seq(items) => NodeKind::Seq(items.iter().map(spelled_labels).collect()),
        NodeKind::Map(entries) => {
            let entry = |(k, v): &(Node, Node)| match k.as_str() {
                Some(key) if TEXT_MAPS.contains(&key) => (k.clone(), v.as_texts()),
                _ => (k.clone(), spelled_labels(v)),
            };
            NodeKind::Map(entries.iter().map(entry).collect())
        }
        _ => return node.clone(),
    };
    Node::new(kind, node.span.clone())
}

/// Checks a manifest as written, before its placeholders are rendered. Returns `apiVersion` and `kind`, and kind and name
/// for people.
fn check_manifest(body: &mut Body<'_>, node: &Node, generate_name: bool) -> Option<((String, String), String)> {
    if !matches!(node.kind, NodeKind::Map(_)) {
        body.problem(wrong_type(node, "a manifest").help("write the manifest as a map, or `{ file: PATH }`"));
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
    let (api_version, kind) = (text(node.get("apiVersion")), text(node.get("kind")));
    complete.then(|| {
        let name = format!("{kind} {}", text(name));
        ((api_version, kind), name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_spelled_as_written() {
        let text = "{ metadata: { labels: { v: 1.10, on: true }, annotations: { n: 010 } }, spec: { replicas: 1, \
                    selector: { matchLabels: { v: 1e3 } }, template: { metadata: { labels: { a: 0x1F } } } } }";
        let spelled = spelled_labels(&crate::testing::parse(text)).to_value().to_json();
        let expected = serde_json::json!({
            "metadata": { "labels": { "v": "1.10", "on": "true" }, "annotations": { "n": "010" } },
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": { "v": "1e3" } },
                "template": { "metadata": { "labels": { "a": "0x1F" } } },
            },
        });
        assert_eq!(spelled, expected);
    }

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
