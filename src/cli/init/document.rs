//! Reads the OpenAPI document that a plan is written from.
use crate::{
    cli::failure::Failure,
    file,
    init::openapi::{self, Api},
    source::Source,
    yaml,
};
use std::{path::Path, sync::Arc};

/// An OpenAPI document.
pub struct Document {
    /// Its file name beside the plan.
    pub name: String,
    /// As it is written beside the plan: version 2 becomes version 3.
    pub text: String,
    pub api: Api,
}

impl Document {
    pub fn read(path: &Path) -> Result<Document, Failure> {
        let text = file::read_text(path).map_err(|e| Failure::not_read(path, e))?;
        let invalid = |why: String| Failure::usage(format!("error: `{}`: {why}", path.display()));
        let source = Arc::new(Source::new(path.display().to_string(), text.clone()));
        let json = match serde_json::from_str(&text) {
            Ok(json) => json,
            Err(_) => match yaml::parse(&source) {
                Ok(node) => node.to_value().to_json(),
                Err(d) => return Err(Failure::usage(d.render(true))),
            },
        };
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("openapi.yaml").to_string();
        let (json, name, text) = match openapi::upgraded(&json) {
            Some(new) => {
                let text = format!("{new:#}\n");
                (new, "openapi.json".to_string(), text)
            }
            None => (json, name, text),
        };
        let api = openapi::read(&json).map_err(invalid)?;
        Ok(Document { name, text, api })
    }
}
