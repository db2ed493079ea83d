//! Loads the schema files that patterns name.
use super::reader::Reader;
use crate::{
    expr::schema::{Document, Schema},
    source::Source,
    value::json,
    yaml::parse,
};
use std::{path::Path, sync::Arc};

impl Reader<'_> {
    /// Completes a schema that names a file. The path is relative to the file that contains it.
    pub(super) fn load_schema(&mut self, schema: &mut Schema) {
        let Schema::File(file) = schema else { return };
        let path = Path::new(&file.span.source.name).parent().unwrap_or(Path::new("")).join(&file.file);
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
        if let Ok(value) = json::read(&text) {
            return Ok(Document::from(&value));
        }
        let node = parse(&Arc::new(Source { name: name.clone(), text }));
        node.map(|n| Document::from(&n.to_value()))
            .map_err(|d| format!("expected JSON or YAML in `{name}`: {}", d.message))
    }
}
