//! Defects of new objects and adopted rows, and the state of the delete defects.
use crate::{
    defect::{Defect, Defects},
    kinds::{Resources, Session as Object},
    store::{NewSession, SERVICE_USER},
};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::{
    collections::HashSet,
    sync::{Mutex, atomic::AtomicUsize},
    time::Duration,
};

/// State of the delete defects.
#[derive(Default)]
pub struct Removals {
    /// Number of rows that are being deleted.
    pub in_progress: AtomicUsize,
    /// Names of sessions that were recreated.
    pub recreated: Mutex<HashSet<String>>,
    /// Names of the sessions whose objects other clients created.
    pub adopted: Mutex<HashSet<String>>,
    /// Uids of objects whose rows were deleted.
    pub kept_objects: Mutex<HashSet<String>>,
}

/// Changes the object of a new session.
pub fn change_object(defects: Defects, mut object: Object) -> Object {
    if defects.has(Defect::ObjectWithoutLabels) {
        object.metadata.labels = None;
    }
    if defects.has(Defect::ObjectDefaultResources) {
        object.spec.resources = Some(Resources::equal("1000m", "2Gi"));
    }
    if defects.has(Defect::ObjectWrongUser) {
        object.spec.user = SERVICE_USER.into();
    }
    object
}

/// Changes the row data of an adopted object.
pub fn change_row(defects: Defects, new: NewSession) -> NewSession {
    let user = if defects.has(Defect::ManualWrongUser) { SERVICE_USER.into() } else { new.user };
    let (cpu, memory) = match defects.has(Defect::ManualDefaultResources) {
        true => ("1000m".into(), "2Gi".into()),
        false => (new.cpu, new.memory),
    };
    let idle_timeout = new.idle_timeout.filter(|_| !defects.has(Defect::ManualDropsTimeouts));
    NewSession { user, cpu, memory, idle_timeout, ..new }
}

/// Hibernates all running sessions and wakes them again.
pub async fn restart_all(client: kube::Client, namespace: &str) {
    let objects = kube::Api::<Object>::namespaced(client, namespace);
    let Ok(listed) = objects.list(&Default::default()).await else { return };
    let running: Vec<_> = listed.into_iter().filter(|object| object.spec.state == "running").collect();
    for state in ["hibernated", "running"] {
        let patch = Patch::Merge(json!({ "spec": { "state": state } }));
        for object in &running {
            let _ = objects.patch(object.name(), &PatchParams::default(), &patch).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::Session as Row,
        syncer::convert::{blank, object_for},
    };

    #[test]
    fn an_adopted_row_lacks_its_timeouts() {
        let row = |defects: &[Defect]| {
            let object = object_for(&Row { idle_timeout: Some("5m".into()), ..blank("s") });
            change_row(defects.iter().copied().collect(), crate::syncer::new_session_from(&object, "here")).idle_timeout
        };
        assert_eq!((row(&[]).as_deref(), row(&[Defect::ManualDropsTimeouts])), (Some("5m"), None));
    }

    #[test]
    fn each_object_defect_changes_one_field() {
        let row = Row { user: "ann".into(), template: "firefox".into(), cpu: "100m".into(), ..blank("s") };
        let right = object_for(&row);
        let made = |defects: &[Defect]| change_object(defects.iter().copied().collect(), object_for(&row));
        assert_eq!((made(&[]).spec, made(&[]).metadata), (right.spec.clone(), right.metadata.clone()));
        let changed = |defect| {
            let made = made(&[defect]);
            (
                made.metadata.labels != right.metadata.labels,
                made.spec.user != right.spec.user,
                made.spec.resources != right.spec.resources,
            )
        };
        assert_eq!(changed(Defect::ObjectWithoutLabels), (true, false, false));
        assert_eq!(changed(Defect::ObjectWrongUser), (false, true, false));
        assert_eq!(changed(Defect::ObjectDefaultResources), (false, false, true));
    }
}
