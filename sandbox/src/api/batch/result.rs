//! Operations and results of a batch.
use serde_json::{Value as Json_, json};

#[derive(Clone, Copy)]
pub enum BatchOperation {
    Hibernate,
    Wake,
    Delete,
}

impl BatchOperation {
    pub fn action(self) -> &'static str {
        match self {
            BatchOperation::Hibernate | BatchOperation::Wake => "update",
            BatchOperation::Delete => "delete",
        }
    }

    pub fn already(self) -> &'static str {
        match self {
            BatchOperation::Hibernate => "Session already hibernated",
            BatchOperation::Wake => "Session already running",
            BatchOperation::Delete => NOT_FOUND,
        }
    }
}

pub const NOT_FOUND: &str = "Session not found";

/// The result for one session of a batch.
pub struct ItemResult {
    pub name: String,
    pub error: Option<String>,
}

/// The body of the response.
pub fn result_json(total: usize, results: &[ItemResult]) -> Json_ {
    let errors: Vec<_> =
        results.iter().filter_map(|item| Some(error_json(&item.name, item.error.as_deref()?))).collect();
    json!({ "total": total, "succeeded": total - errors.len(), "failed": errors.len(), "errors": errors })
}

pub fn error_json(name: &str, error: &str) -> Json_ {
    json!({ "name": name, "error": error })
}
