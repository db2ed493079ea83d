//! Defects of a session's children: further objects, and wrong ones.
use crate::{
    background::Background,
    defect::{Defect, Defects},
    kinds::{SESSION_LABEL, Session},
    link::{ClusterError, create_if_absent, found},
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};
use std::fmt::Debug;

/// A session was updated at least twice, so it has slept before.
fn has_slept(session: &Session) -> bool {
    session.spec.state == "running" && session.generation() > 2
}

async fn create<K>(context: &Background, object: Json) -> Result<(), ClusterError>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).expect("written here, by the kind's own schema");
    let api = Api::<K>::namespaced(context.client.clone(), &context.namespace);
    create_if_absent(api.create(&PostParams::default(), &object)).await.map(|_| ())
}

/// Creates the objects that a defect adds. `belonging` is the metadata of a right child: its labels and its owner.
pub async fn add_children(
    session: &Session,
    is_new: bool,
    belonging: Json,
    context: &Background,
) -> Result<(), ClusterError> {
    let (defects, name) = (context.defects, session.name());
    let containers = json!([{ "name": "session", "image": "none", "env": [{ "name": "SESSION", "value": name }] }]);
    if is_new && defects.has(Defect::OrphansConfig) {
        create::<ConfigMap>(context, json!({ "metadata": { "name": format!("{name}-config") } })).await?;
    }
    if is_new && defects.has(Defect::OrphansSecret) {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let annotations = json!({ "stream.space/session": name });
        let metadata = json!({ "name": format!("access-{random}"), "annotations": annotations });
        create::<Secret>(context, json!({ "metadata": metadata })).await?;
    }
    if is_new && defects.has(Defect::OrphansPod) {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let metadata = json!({ "name": format!("warm-{random}") });
        create::<Pod>(context, json!({ "metadata": metadata, "spec": { "containers": containers } })).await?;
    }
    if has_slept(session) && defects.has(Defect::WakeSecondPod) {
        let mut metadata = belonging;
        metadata["name"] = json!(format!("{name}-second"));
        create::<Pod>(context, json!({ "metadata": metadata, "spec": { "containers": containers } })).await?;
        let running = Patch::Merge(json!({ "status": { "phase": "Running" } }));
        let pods = Api::<Pod>::namespaced(context.client.clone(), &context.namespace);
        found(pods.patch_status(&format!("{name}-second"), &PatchParams::default(), &running)).await?;
    }
    Ok(())
}

/// Whether the Service is not created. Deletes it while the session sleeps.
pub async fn omits_service(
    session: &Session,
    is_new: bool,
    services: &Api<Service>,
    context: &Background,
) -> Result<bool, ClusterError> {
    if is_new || !context.defects.has(Defect::WakeWithoutService) {
        return Ok(false);
    }
    if session.spec.state == "hibernated" {
        found(services.delete(&format!("ss-{}", session.name()), &DeleteParams::default())).await?;
    }
    Ok(true)
}

/// The first part of the session's address.
pub fn host(session: &Session, defects: Defects) -> String {
    match () {
        () if defects.has(Defect::AddressesCollide) => session.spec.user.clone(),
        () if has_slept(session) && defects.has(Defect::WakeMovesAddress) => format!("{}-2", session.name()),
        () => session.name().to_owned(),
    }
}

/// The resources of the session's container.
pub fn container_resources(session: &Session, right: Json, defects: Defects) -> Json {
    if has_slept(session) && defects.has(Defect::WakeDropsResources) { json!({}) } else { right }
}

/// The value of the session label that the Service selects.
pub fn selected(session: &Session, defects: Defects) -> &str {
    if defects.has(Defect::ServiceSelectsNothing) { SESSION_LABEL } else { session.name() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_changes_one_value_of_a_session_that_has_slept() {
        let session = |generation: i64| -> Session {
            let spec = json!({ "user": "ann", "state": "running" });
            serde_json::from_value(json!({ "metadata": { "name": "s", "generation": generation }, "spec": spec }))
                .unwrap()
        };
        let values = |generation, defects: &[Defect]| {
            let (session, defects) = (session(generation), defects.iter().copied().collect());
            let resources = container_resources(&session, json!({ "requests": { "cpu": "1" } }), defects);
            (host(&session, defects), resources != json!({}), selected(&session, defects).to_owned())
        };
        let right = ("s".to_owned(), true, "s".to_owned());
        assert_eq!(values(3, &[]), right);
        assert_eq!(values(3, &[Defect::WakeMovesAddress]), ("s-2".to_owned(), true, "s".to_owned()));
        assert_eq!(values(3, &[Defect::WakeDropsResources]), ("s".to_owned(), false, "s".to_owned()));
        assert_eq!(values(1, &[Defect::WakeMovesAddress, Defect::WakeDropsResources]), right);
        assert_eq!(values(1, &[Defect::ServiceSelectsNothing]), ("s".to_owned(), true, SESSION_LABEL.to_owned()));
    }
}
