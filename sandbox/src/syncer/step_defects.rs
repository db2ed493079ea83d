//! Defects of the syncer's steps.
use super::{
    convert::{blank, new_session_from, object_for},
    decide::{Step, observe, recorded},
    steps::{SyncError, Syncer},
};
use crate::{
    defect::Defect,
    kinds::Session as Object,
    link::{Backoff, found, with_timeout},
    store::{NewSession, ObservedSession, Session as Row},
};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

/// A delay longer than every timeout of the clients.
const LATE_DELAY: Duration = Duration::from_secs(6);
/// Delay after which an operation is expected to be complete.
const AFTERWARDS_DELAY: Duration = Duration::from_millis(600);
/// How long a race is kept open.
const RACE_WINDOW: Duration = Duration::from_millis(150);

impl Syncer {
    fn has(&self, defect: Defect) -> bool {
        self.background.defects.has(defect)
    }

    /// Replaces a step. Returns whether further steps are possible, as `take_step` does; `None` if the step is not
    /// replaced.
    pub async fn defective_step(
        &self,
        name: &str,
        step: &Step,
        row: Option<&Row>,
        object: Option<&Object>,
    ) -> Result<Option<bool>, SyncError> {
        match (step, row, object) {
            (Step::Create, Some(row), _) => self.defective_create(row).await,
            (Step::PatchObject, Some(row), _) => self.defective_change(row).await,
            (Step::DeleteObject, ..) => self.defective_delete(name, object).await,
            (Step::DeleteRow, Some(row), _) => self.defective_remove(row).await,
            (Step::UpdateRow(seen), Some(row), _) => self.defective_row_update(row, seen).await,
            (Step::MarkMissing, Some(row), _) => self.defective_missing(row).await,
            (Step::Adopt, _, Some(object)) => self.defective_adopt(object).await,
            _ => Ok(None),
        }
    }

    async fn defective_create(&self, row: &Row) -> Result<Option<bool>, SyncError> {
        if self.has(Defect::CreateOnlyRow) {
            return Ok(Some(false));
        }
        if self.has(Defect::ObjectTwice) {
            // like a retry after a lost response; another name prevents a conflict
            let again = object_for(&Row { name: format!("{}-2", row.name), ..row.clone() });
            with_timeout(self.api.create(&PostParams::default(), &again)).await?;
        }
        Ok(None)
    }

    async fn defective_change(&self, row: &Row) -> Result<Option<bool>, SyncError> {
        if self.has(Defect::UpdateOnlyRow) {
            self.store.assume_applied(&row.name).await?;
            return Ok(Some(false));
        }
        let existing = found(self.api.get(&row.name)).await?;
        if let (true, Some(existing)) = (self.has(Defect::UpdateReplaces), &existing) {
            return self.replace(row, existing).await.map(Some);
        }
        if let (true, Some(existing)) = (self.has(Defect::UpdateReverts), &existing) {
            // a stale reader writes the whole object back
            let (api, old) = (self.api.clone(), json!({ "spec": { "state": existing.spec.state } }));
            let name = row.name.clone();
            self.background.spawn(async move {
                tokio::time::sleep(AFTERWARDS_DELAY).await;
                let _ = found(api.patch(&name, &PatchParams::default(), &Patch::Merge(old))).await;
            });
        }
        if let (true, Some(existing)) = (self.has(Defect::ManualDisobeys), &existing) {
            // the defect finds objects by label, and a manually created one has none
            if existing.metadata.labels.is_none() {
                self.record_applied(row, existing).await?;
                return Ok(Some(true));
            }
        }
        if self.acts_after_updates() {
            self.before_change(row).await?;
            self.change(row).await?;
            self.after_change(row, existing.as_ref()).await;
            return Ok(Some(true));
        }
        if self.has(Defect::UpdateResets) {
            self.change(&Row { cpu: "1000m".into(), memory: "2Gi".into(), ..row.clone() }).await?;
            return Ok(Some(true));
        }
        if self.has(Defect::UpdateOnlyObject) {
            self.change(row).await?;
            self.store.skip_generations(&row.name, 1).await?;
            return Ok(Some(false));
        }
        Ok(None)
    }

    async fn replace(&self, row: &Row, old: &Object) -> Result<bool, SyncError> {
        found(self.api.delete(&row.name, &DeleteParams::background())).await?;
        let new = object_for(row);
        for tries in 0..20 {
            match with_timeout(self.api.create(&PostParams::default(), &new)).await {
                Ok(made) => {
                    self.record_applied(row, &made).await?;
                    return Ok(true);
                }
                // the old object is still being deleted
                Err(error) if error.status() == Some(409) => tokio::time::sleep(Backoff::after(tries)).await,
                Err(error) => return Err(error.into()),
            }
        }
        self.record_applied(row, old).await.map(|()| true)
    }

    async fn defective_delete(&self, name: &str, object: Option<&Object>) -> Result<Option<bool>, SyncError> {
        if self.has(Defect::DeleteHides) {
            return Ok(Some(false));
        }
        if let (true, Some(object)) = (self.has(Defect::DeleteKeepsObject), object) {
            self.removals.kept_objects.lock().unwrap_or_else(PoisonError::into_inner).insert(object.uid().to_owned());
            self.remove(name).await?;
            return Ok(Some(false));
        }
        if self.has(Defect::DeleteLate) {
            tokio::time::sleep(LATE_DELAY).await;
        }
        Ok(None)
    }

    async fn defective_remove(&self, row: &Row) -> Result<Option<bool>, SyncError> {
        if self.has(Defect::DeleteKeepsRow) {
            return Ok(Some(false));
        }
        self.before_removal(row).await?;
        if self.has(Defect::DeleteComesBack) {
            let mut known = self.removals.recreated.lock().unwrap_or_else(PoisonError::into_inner);
            // once only, as if a single create was still in flight
            if known.insert(row.name.clone()) {
                let (api, new) = (self.api.clone(), object_for(&Row { desired: "running".into(), ..row.clone() }));
                self.background.spawn(async move {
                    tokio::time::sleep(AFTERWARDS_DELAY).await;
                    let _ = with_timeout(api.create(&PostParams::default(), &new)).await;
                });
            }
        }
        if self.has(Defect::DeleteResurrects) {
            let others = self.removals.in_progress.fetch_add(1, Ordering::SeqCst) > 0;
            let removed = self.remove(&row.name).await;
            tokio::time::sleep(RACE_WINDOW).await;
            let others = self.removals.in_progress.fetch_sub(1, Ordering::SeqCst) > 1 || others;
            removed?;
            if others {
                self.store.restore(row).await?;
            }
            return Ok(Some(false));
        }
        Ok(None)
    }

    async fn defective_row_update(&self, row: &Row, seen: &ObservedSession) -> Result<Option<bool>, SyncError> {
        if self.has(Defect::StatusNeverFlowsBack) || self.has(Defect::StatusAssumed) {
            return Ok(Some(false));
        }
        if self.has(Defect::StatusFlowsLate) {
            let (store, dispatcher) = (self.store.clone(), self.dispatcher.clone());
            let (row, seen) = (row.clone(), seen.clone());
            self.background.spawn(async move {
                tokio::time::sleep(LATE_DELAY).await;
                if let Ok(Some(deliveries)) = store.record_observed(&row, &seen).await {
                    dispatcher.send(deliveries);
                }
            });
            return Ok(Some(false));
        }
        if self.has(Defect::ManualDefaultResources) || self.has(Defect::ManualStateOnly) {
            // the object's resources are never read
            let seen = ObservedSession { cpu: row.cpu.clone(), memory: row.memory.clone(), ..seen.clone() };
            self.dispatcher.send(self.store.record_observed(row, &seen).await?.unwrap_or_default());
            return Ok(Some(false));
        }
        if self.has(Defect::ManualWithoutAddress) && self.was_adopted(&row.name) {
            let seen = ObservedSession { url: None, pod_name: None, ..seen.clone() };
            if seen != recorded(row) {
                self.dispatcher.send(self.store.record_observed(row, &seen).await?.unwrap_or_default());
            }
            return Ok(Some(false));
        }
        if self.has(Defect::StatusOfOther) {
            // finds the session by user and takes the newest
            let newest = self.store.sessions(Some(&row.user)).await?.into_iter().next();
            if let Some(newest) = newest.filter(|newest| newest.name != row.name) {
                let status = ObservedSession {
                    state: seen.state.clone(),
                    phase: seen.phase.clone(),
                    message: seen.message.clone(),
                    url: seen.url.clone(),
                    ..recorded(&newest)
                };
                self.store.record_observed(&newest, &status).await?;
                return Ok(Some(false));
            }
        }
        Ok(None)
    }

    async fn defective_missing(&self, row: &Row) -> Result<Option<bool>, SyncError> {
        if self.has(Defect::MissingUnnoticed) {
            return Ok(Some(false));
        }
        if self.before_missing(row).await {
            return Ok(Some(false));
        }
        if self.has(Defect::MissingMarksOther) {
            // finds the session by user and takes the newest
            let newest = self.store.sessions(Some(&row.user)).await?.into_iter().next();
            if let Some(newest) = newest.filter(|newest| newest.name != row.name) {
                self.mark_missing(&newest.name).await?;
                return Ok(Some(false));
            }
        }
        if self.has(Defect::MissingReportsAll) {
            for other in self.store.sessions(None).await? {
                self.report_missing(&other.name);
            }
        }
        Ok(None)
    }

    async fn defective_adopt(&self, object: &Object) -> Result<Option<bool>, SyncError> {
        let keep_object =
            self.removals.kept_objects.lock().unwrap_or_else(PoisonError::into_inner).contains(object.uid());
        if keep_object || self.has(Defect::ManualIgnored) || self.has(Defect::ManualReadOnly) {
            return Ok(Some(false));
        }
        self.before_adoption(object).await?;
        if self.has(Defect::ManualTwice) {
            // two watchers, each with its own name for the object
            let twin = NewSession {
                name: format!("{}-{}", object.name(), object.uid().get(..8).unwrap_or_default()),
                ..new_session_from(object, &self.background.namespace)
            };
            let row = Row { state: "pending".into(), ..blank(&twin.name) };
            self.dispatcher.send(self.store.adopt(&twin, &observe(&row, object)).await?);
        }
        Ok(None)
    }
}
