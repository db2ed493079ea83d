//! Creates the namespace and the CustomResourceDefinitions if the cluster lacks them.
use super::{
    kinds::{Session, Template},
    link::{ClusterError, create_if_absent, found},
};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde_json::json;
use std::time::Duration;

/// The definitions of Session and Template.
pub(super) const DEFINITIONS: &str = include_str!("definitions.yaml");
/// Timeout from creating a definition until it is served.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns when the namespace exists and both kinds are served.
pub async fn install(client: &Client, namespace: &str) -> Result<(), ClusterError> {
    let served = are_served(client, namespace).await?;
    let namespaces = Api::<Namespace>::all(client.clone());
    if found(namespaces.get(namespace)).await?.is_none() {
        let new: Namespace = serde_json::from_value(json!({ "metadata": { "name": namespace } })).expect("plain");
        create_if_absent(namespaces.create(&PostParams::default(), &new)).await?;
    }
    if served {
        return Ok(());
    }
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let ours: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(DEFINITIONS).expect("written here");
    for definition in ours {
        create_if_absent(definitions.create(&PostParams::default(), &definition)).await?;
    }
    let until = tokio::time::Instant::now() + ESTABLISH_TIMEOUT;
    while !are_served(client, namespace).await? {
        if tokio::time::Instant::now() >= until {
            return Err(ClusterError::Timeout);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn are_served(client: &Client, namespace: &str) -> Result<bool, ClusterError> {
    let one = ListParams::default().limit(1);
    let sessions = found(Api::<Session>::namespaced(client.clone(), namespace).list(&one)).await?;
    let templates = found(Api::<Template>::namespaced(client.clone(), namespace).list(&one)).await?;
    Ok(sessions.is_some() && templates.is_some())
}
