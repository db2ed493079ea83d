//! Performs an action: dispatches to its operation, and follows a watch for the next observation.
use super::{
    cluster::Cluster,
    cursor::{self, Cursor},
    output::FIELDS,
    permissions,
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
        let (started, cluster) = (Started::now(), cx.target::<Cluster>()?);
        let value = match &self.operation {
            Operation::Get { object, subresource } => {
                return self.get(cx, cluster, object, *subresource, started).await;
            }
            Operation::List(query) => return self.list(cx, cluster, query, started).await,
            Operation::Events(object) => self.events(cx, cluster, object.as_ref()).await?,
            Operation::Create(manifests) => self.create(cx, cluster, manifests).await?,
            Operation::Apply(options) => self.apply(cx, cluster, options).await?,
            Operation::Patch { object, patch_type, patch, subresource } => {
                self.patch(cx, cluster, object, (*patch_type, patch), *subresource).await?
            }
            Operation::Delete { target, propagation, grace } => {
                self.delete(cx, cluster, target, *propagation, grace.as_ref()).await?
            }
        };
        Ok(Output::new(value, started))
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
