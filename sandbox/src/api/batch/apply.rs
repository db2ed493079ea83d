//! Applies a batch operation to one session.
use super::{item_defects, result::BatchOperation};
use crate::{
    api::{auth::Caller, sessions::is_valid_name, state::Api},
    store::{SessionChange, StoreError},
};

pub async fn apply(
    api: &Api,
    caller: &Caller,
    name: &str,
    operation: BatchOperation,
) -> Result<SessionChange, StoreError> {
    if !is_valid_name(name) {
        return Ok(SessionChange::NotFound);
    }
    if let Some(change) = item_defects::apply(api, caller, name, operation).await {
        return change;
    }
    match operation {
        BatchOperation::Hibernate => api.store.request_state(name, "hibernated", caller.owner()).await,
        BatchOperation::Wake => api.store.request_state(name, "running", caller.owner()).await,
        BatchOperation::Delete => api.store.request_delete(name, caller.owner()).await,
    }
}
