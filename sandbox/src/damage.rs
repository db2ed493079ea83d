//! What defects do to sessions that an operation does not name. Failures are ignored: the defect is then missing.
use super::{
    kinds::{SESSION_LABEL, Session as Object},
    link::{found, with_timeout},
    store::{Session as Row, Store},
};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use std::time::Duration;

/// A delay longer than every interval at which the platform acts on its own.
pub const LATER: Duration = Duration::from_millis(2500);

/// The other sessions of this user, newest first.
pub async fn others(store: &Store, user: &str, named: &[String]) -> Vec<Row> {
    let all = store.sessions(Some(user)).await.unwrap_or_default();
    all.into_iter().filter(|row| !named.contains(&row.name)).collect()
}

/// Deletes the pods of a session; its Deployment replaces them.
pub async fn restart(client: &Client, namespace: &str, session: &str) {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    let ours = ListParams::default().labels(&format!("{SESSION_LABEL}={session}"));
    let Ok(listed) = with_timeout(pods.list(&ours)).await else { return };
    for name in listed.items.into_iter().filter_map(|pod| pod.metadata.name) {
        let _ = found(pods.delete(&name, &DeleteParams::default().grace_period(0))).await;
    }
}

/// Adds a label, which leaves the generation as it is.
pub async fn label(client: &Client, namespace: &str, session: &str) {
    let change = Patch::Merge(json!({ "metadata": { "labels": { "touched": "true" } } }));
    let objects = Api::<Object>::namespaced(client.clone(), namespace);
    let _ = found(objects.patch(session, &PatchParams::default(), &change)).await;
}

/// Deletes the Service of a session; the controller creates another one.
pub async fn delete_service(client: &Client, namespace: &str, session: &str) {
    let services = Api::<Service>::namespaced(client.clone(), namespace);
    let _ = found(services.delete(&format!("ss-{session}"), &DeleteParams::default())).await;
}

/// Removes owner and labels of the Service of a session, so that it stays.
pub async fn abandon_service(client: &Client, namespace: &str, session: &str) {
    let services = Api::<Service>::namespaced(client.clone(), namespace);
    let change = Patch::Merge(json!({ "metadata": { "ownerReferences": null, "labels": null } }));
    let _ = found(services.patch(&format!("ss-{session}"), &PatchParams::default(), &change)).await;
}

pub async fn untag(store: &Store, rows: &[Row]) {
    for row in rows {
        let _ = store.set_tags(&row.name, &json!([]), None).await;
    }
}
