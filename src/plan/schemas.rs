//! Loads the schema files that patterns name.
use super::reader::Reader;
use crate::{
    diagnostic::Diagnostic,
    expr::schema::{Document, Schema},
    source::Source,
    value::{Value, json},
    yaml::parse,
};
use std::{path::Path, sync::Arc};

/// One of them is in every schema and every OpenAPI document.
const SCHEMA_KEYS: &[&str] = &[
    "$schema",
    "$ref",
    "$defs",
    "definitions",
    "type",
    "properties",
    "required",
    "items",
    "prefixItems",
    "enum",
    "const",
    "format",
    "pattern",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "additionalProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "openapi",
    "swagger",
    "components",
    "paths",
];

fn is_schema(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::Map(entries) => SCHEMA_KEYS.iter().any(|key| entries.contains_key(key)),
        _ => false,
    }
}

impl Reader<'_> {
    /// Completes a schema that names a file. The path is relative to the file that contains it.
    pub(super) fn load_schema(&mut self, schema: &mut Schema) {
        let Schema::File(file) = schema else { return };
        let path = Path::new(&file.span.source.name).parent().unwrap_or(Path::new("")).join(&file.file);
        if let Some(refused) = self.files.refusal(&path) {
            self.error("not-allowed", &file.span, refused.message, refused.help);
            return;
        }
        if !self.documents.contains_key(&path) {
            match self.document(&path) {
                Ok(json) => drop(self.documents.insert(path.clone(), json)),
                Err(e) => {
                    let help = "correct the path: it is relative to the file that contains it";
                    self.error("schema-not-found", &file.span, e, help);
                    return;
                }
            }
        }
        schema.bind(&self.documents[&path], &mut self.problems);
    }

    fn document(&self, path: &Path) -> Result<Document, String> {
        let name = path.display().to_string();
        let text = self.files.read(path).map_err(|e| format!("cannot read `{name}`: {e}"))?;
        // the file may be a secret: no message quotes it
        let value = json::read(&text).or_else(|_| {
            let invalid = |d: Box<Diagnostic>| {
                format!("expected JSON or YAML in `{name}`, found a syntax error in line {}", d.span.location().line)
            };
            parse(&Arc::new(Source::new(name.clone(), text))).map(|node| node.to_value()).map_err(invalid)
        })?;
        match is_schema(&value) {
            true => Ok(Document::from(&value)),
            false => Err(format!("expected a JSON Schema or an OpenAPI document in `{name}`, found neither")),
        }
    }
}
