//! Performs an action: dispatches to its operation, and follows a watch for the next observation.
use super::{
    cursor::{self, Cursor},
    output::FIELDS,
    permissions,
    request::Call,
    types::{K8sAction, Operation},
};
use crate::{
    executor::{Action, ActionContext, ActionError, Output, Permission, Started},
    expr::Scope,
    value::Value,
};
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl Action for K8sAction {
    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn changes(&self) -> bool {
        !matches!(self.operation, Operation::Get { .. } | Operation::List(_) | Operation::Events(_))
    }

    fn permissions(&self, known: &Scope) -> Vec<Permission> {
        permissions::of_action(self, known)
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let call = Call { action: self, cx, cluster: cx.target()?, started: Started::now() };
        let value = match &self.operation {
            Operation::Get { object, subresource } => return call.get(object, *subresource).await,
            Operation::List(query) => return call.list(query).await,
            Operation::Events(object) => call.events(object.as_ref()).await?,
            Operation::Create(manifests) => call.create(manifests).await?,
            Operation::Apply { manifests, manager, force, subresource } => {
                call.apply(manifests, manager.as_ref(), *force, *subresource).await?
            }
            Operation::Patch { object, patch_type, patch, subresource } => {
                call.patch(object, patch_type, patch, *subresource).await?
            }
            Operation::Delete { target, propagation, grace } => {
                call.delete(target, propagation, grace.as_ref()).await?
            }
        };
        Ok(Output::new(value, call.started))
    }

    fn can_miss_changes(&self) -> bool {
        true
    }

    fn without_object(&self, output: &Value) -> Option<Value> {
        let mut map = output.as_map()?.clone();
        if map.get("found") != Some(&Value::Bool(true)) {
            return None;
        }
        map.insert("found".into(), false.into());
        map.insert("object".into(), Value::Null);
        Some(Value::from(map))
    }

    async fn next(&self, cx: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        match last.cursor::<Cursor>() {
            Some(cursor) => cursor::next_observation(self, cx, last, cursor, pace).await,
            None => {
                tokio::time::sleep(pace).await;
                self.perform(cx).await
            }
        }
    }
}
