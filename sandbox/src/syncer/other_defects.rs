//! Defects of the syncer beside the step that it takes: on other fields, on other objects, or later.
use super::{convert::object_for, steps::Syncer};
use crate::{
    damage,
    defect::Defect,
    kinds::{Session as Object, Template},
    link::{ClusterError, found, with_timeout},
    store::{DELETED, Session as Row, StoreError},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::sync::PoisonError;

impl Syncer {
    fn is_on(&self, defect: Defect) -> bool {
        self.background.defects.has(defect)
    }

    async fn patch(&self, name: &str, change: serde_json::Value) -> Result<(), ClusterError> {
        found(self.api.patch(name, &PatchParams::default(), &Patch::Merge(change))).await.map(|_| ())
    }

    pub fn acts_after_updates(&self) -> bool {
        let all = [
            Defect::UpdateDropsLabels,
            Defect::UpdateDropsTimeouts,
            Defect::UpdateDropsTags,
            Defect::UpdateUndoneLater,
            Defect::UpdateRestartsOthers,
            Defect::UpdateLabelsOthers,
            Defect::UpdateUntagsOthers,
        ];
        all.into_iter().any(|defect| self.is_on(defect))
    }

    /// Before an update is sent to the object.
    pub async fn before_change(&self, row: &Row) -> Result<(), ClusterError> {
        if self.is_on(Defect::UpdateDropsLabels) {
            self.patch(&row.name, json!({ "metadata": { "labels": null } })).await?;
        }
        if self.is_on(Defect::UpdateDropsTimeouts) {
            self.patch(&row.name, json!({ "spec": { "idleTimeout": null, "maxSessionDuration": null } })).await?;
        }
        Ok(())
    }

    /// After an update was sent to the object; `old` is the object before.
    pub async fn after_change(&self, row: &Row, old: Option<&Object>) {
        let (client, namespace) = (&self.background.client, &self.background.namespace);
        if self.is_on(Defect::UpdateDropsTags) {
            damage::untag(&self.store, std::slice::from_ref(row)).await;
        }
        if let (true, Some(old)) = (self.is_on(Defect::UpdateUndoneLater), old) {
            let (syncer_api, name) = (self.api.clone(), row.name.clone());
            let change = Patch::Merge(json!({ "spec": { "state": old.spec.state } }));
            self.background.spawn(async move {
                tokio::time::sleep(damage::LATER).await;
                let _ = found(syncer_api.patch(&name, &PatchParams::default(), &change)).await;
            });
        }
        let on_others = [Defect::UpdateRestartsOthers, Defect::UpdateLabelsOthers, Defect::UpdateUntagsOthers];
        if on_others.into_iter().any(|defect| self.is_on(defect)) {
            let others = damage::others(&self.store, &row.user, std::slice::from_ref(&row.name)).await;
            if self.is_on(Defect::UpdateUntagsOthers) {
                damage::untag(&self.store, &others).await;
            }
            for other in others {
                if self.is_on(Defect::UpdateRestartsOthers) {
                    damage::restart(client, namespace, &other.name).await;
                }
                if self.is_on(Defect::UpdateLabelsOthers) {
                    damage::label(client, namespace, &other.name).await;
                }
            }
        }
    }

    /// Before the row of a deleted session is removed.
    pub async fn before_removal(&self, row: &Row) -> Result<(), StoreError> {
        let (client, namespace) = (&self.background.client, &self.background.namespace);
        if self.is_on(Defect::DeleteTakesTemplate) {
            let templates = Api::<Template>::namespaced(client.clone(), namespace);
            let _ = found(templates.delete(&row.template, &DeleteParams::default())).await;
        }
        if self.is_on(Defect::DeleteTakesService) || self.is_on(Defect::DeleteUntagsOthers) {
            let others = damage::others(&self.store, &row.user, std::slice::from_ref(&row.name)).await;
            if self.is_on(Defect::DeleteUntagsOthers) {
                damage::untag(&self.store, &others).await;
            } else if let Some(newest) = others.iter().find(|other| other.desired != DELETED) {
                damage::delete_service(client, namespace, &newest.name).await;
            }
        }
        if self.is_on(Defect::DeleteTakesConnections) {
            self.store.disconnect(&row.user).await?;
        }
        if self.is_on(Defect::DeleteTakesAudit) {
            self.store.forget_audit(&row.name).await?;
        }
        if self.is_on(Defect::DeleteUndoneLater) {
            let mut known = self.removals.recreated.lock().unwrap_or_else(PoisonError::into_inner);
            if known.insert(row.name.clone()) {
                let (api, new) = (self.api.clone(), object_for(&Row { desired: "running".into(), ..row.clone() }));
                self.background.spawn(async move {
                    tokio::time::sleep(damage::LATER).await;
                    let _ = with_timeout(api.create(&PostParams::default(), &new)).await;
                });
            }
        }
        Ok(())
    }

    /// Before a vanished object is noticed. Returns whether it is ignored.
    pub async fn before_missing(&self, row: &Row) -> bool {
        if self.is_on(Defect::MissingUntagsOthers) {
            let others = damage::others(&self.store, &row.user, std::slice::from_ref(&row.name)).await;
            damage::untag(&self.store, &others).await;
        }
        if !self.is_on(Defect::MissingUndoneLater) {
            return false;
        }
        // noticed once; the stale write makes the row as it was
        let is_first = self.removals.recreated.lock().unwrap_or_else(PoisonError::into_inner).insert(row.name.clone());
        if is_first {
            let (store, row) = (self.store.clone(), row.clone());
            self.background.spawn(async move {
                tokio::time::sleep(damage::LATER).await;
                let _ = store.overwrite_row(&row).await;
            });
        }
        !is_first
    }

    /// Before an object is adopted.
    pub async fn before_adoption(&self, object: &Object) -> Result<(), ClusterError> {
        let names = || self.removals.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        names().insert(object.name().to_owned());
        if self.is_on(Defect::ManualOverwritten) {
            let defaults = crate::kinds::Resources::equal("1000m", "2Gi");
            self.patch(object.name(), json!({ "spec": { "resources": defaults } })).await?;
        }
        if self.is_on(Defect::ManualForgotten) {
            self.removals.kept_objects.lock().unwrap_or_else(PoisonError::into_inner).insert(object.uid().to_owned());
            let (store, name) = (self.store.clone(), object.name().to_owned());
            self.background.spawn(async move {
                tokio::time::sleep(damage::LATER).await;
                let _ = store.delete_row(&name).await;
            });
        }
        Ok(())
    }

    /// Whether the row was made for an object that another client created.
    pub fn was_adopted(&self, name: &str) -> bool {
        self.removals.adopted.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}
