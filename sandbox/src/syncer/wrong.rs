//! The syncer's steps as they are taken with a defect switched on. Without one this file does nothing.
use super::{Step, SyncError, Syncer, blank, object as right_object, seen, taken_over as rightly_taken_over};
use crate::{
    defect::{Defect, Defects},
    kinds::{Resources, Session as Object},
    link::{Patience, found, soon},
    store::{NewSession, ObservedSession, SERVICE_USER, Session as Row},
};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Later than any limit of those who wait.
const LATE: Duration = Duration::from_secs(6);
/// When what was done is thought to be over.
const MOMENT: Duration = Duration::from_millis(600);
/// How long a race is kept open.
const WINDOW: Duration = Duration::from_millis(150);

/// What is remembered of sessions that were removed.
#[derive(Default)]
pub struct Removals {
    under_way: AtomicUsize,
    /// Sessions that came back, by name.
    brought_back: Mutex<HashSet<String>>,
    /// Objects whose rows are gone, by uid.
    kept: Mutex<HashSet<String>>,
}

/// What the cluster is told of a new session.
pub fn object(defects: Defects, mut object: Object) -> Object {
    if defects.has(Defect::ObjectWithoutLabels) {
        object.metadata.labels = None;
    }
    if defects.has(Defect::ObjectDefaultResources) {
        object.spec.resources = Some(Resources::exactly("1000m", "2Gi"));
    }
    if defects.has(Defect::ObjectWrongUser) {
        // The platform's own, in place of the one it acts for.
        object.spec.user = SERVICE_USER.into();
    }
    object
}

/// What the store is told of an object that somebody else made.
pub fn taken_over(defects: Defects, new: NewSession) -> NewSession {
    let user = if defects.has(Defect::ManualWrongUser) { SERVICE_USER.into() } else { new.user };
    let (cpu, memory) = match defects.has(Defect::ManualDefaultResources) {
        true => ("1000m".into(), "2Gi".into()),
        false => (new.cpu, new.memory),
    };
    NewSession { user, cpu, memory, ..new }
}

impl Syncer {
    fn wrong(&self, defect: Defect) -> bool {
        self.background.defects.has(defect)
    }

    /// Takes the place of a step, and says as `take` does whether there is more to do. None: the step is to be taken.
    pub async fn wrongly(
        &self,
        name: &str,
        step: &Step,
        row: Option<&Row>,
        object: Option<&Object>,
    ) -> Result<Option<bool>, SyncError> {
        match (step, row, object) {
            (Step::Create, Some(row), _) => self.create_wrongly(row).await,
            (Step::Change, Some(row), _) => self.change_wrongly(row).await,
            (Step::Delete, ..) => self.delete_wrongly(name, object).await,
            (Step::Remove, Some(row), _) => self.remove_wrongly(row).await,
            (Step::Follow(seen), Some(row), _) => self.follow_wrongly(row, seen).await,
            (Step::Missing, Some(row), _) => self.missing_wrongly(row).await,
            (Step::Adopt, _, Some(object)) => self.adopt_wrongly(object).await,
            _ => Ok(None),
        }
    }

    async fn create_wrongly(&self, row: &Row) -> Result<Option<bool>, SyncError> {
        if self.wrong(Defect::CreateOnlyRow) {
            return Ok(Some(false));
        }
        if self.wrong(Defect::ObjectTwice) {
            // As if the first attempt had not been answered, and under a name of its own, so that nothing stops it.
            let again = right_object(&Row { name: format!("{}-2", row.name), ..row.clone() });
            soon(self.api.create(&PostParams::default(), &again)).await?;
        }
        Ok(None)
    }

    async fn change_wrongly(&self, row: &Row) -> Result<Option<bool>, SyncError> {
        if self.wrong(Defect::UpdateOnlyRow) {
            self.store.assume_applied(&row.name).await?;
            return Ok(Some(false));
        }
        let there = found(self.api.get(&row.name)).await?;
        if let (true, Some(there)) = (self.wrong(Defect::UpdateReplaces), &there) {
            return self.replace(row, there).await.map(Some);
        }
        if let (true, Some(there)) = (self.wrong(Defect::UpdateReverts), &there) {
            // Somebody read the object before, and writes back the whole of it.
            let (api, old) = (self.api.clone(), json!({ "spec": { "state": there.spec.state } }));
            let name = row.name.clone();
            self.background.spawn(async move {
                tokio::time::sleep(MOMENT).await;
                let _ = found(api.patch(&name, &PatchParams::default(), &Patch::Merge(old))).await;
            });
        }
        if let (true, Some(there)) = (self.wrong(Defect::ManualDisobeys), &there) {
            // It looks for the object by its labels, and one made by hand carries none.
            if there.metadata.labels.is_none() {
                self.told(row, there).await?;
                return Ok(Some(true));
            }
        }
        if self.wrong(Defect::UpdateResets) {
            self.change(&Row { cpu: "1000m".into(), memory: "2Gi".into(), ..row.clone() }).await?;
            return Ok(Some(true));
        }
        if self.wrong(Defect::UpdateOnlyObject) {
            self.change(row).await?;
            self.store.skip_generations(&row.name, 1).await?;
            return Ok(Some(false));
        }
        Ok(None)
    }

    async fn replace(&self, row: &Row, old: &Object) -> Result<bool, SyncError> {
        found(self.api.delete(&row.name, &DeleteParams::background())).await?;
        let new = right_object(row);
        for tries in 0..20 {
            match soon(self.api.create(&PostParams::default(), &new)).await {
                Ok(made) => {
                    self.told(row, &made).await?;
                    return Ok(true);
                }
                // The old one takes its time.
                Err(error) if error.status() == Some(409) => tokio::time::sleep(Patience::after(tries)).await,
                Err(error) => return Err(error.into()),
            }
        }
        self.told(row, old).await.map(|()| true)
    }

    async fn delete_wrongly(&self, name: &str, object: Option<&Object>) -> Result<Option<bool>, SyncError> {
        if self.wrong(Defect::DeleteHides) {
            return Ok(Some(false));
        }
        if let (true, Some(object)) = (self.wrong(Defect::DeleteKeepsObject), object) {
            self.removals.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(object.uid().to_owned());
            self.remove(name).await?;
            return Ok(Some(false));
        }
        if self.wrong(Defect::DeleteLate) {
            tokio::time::sleep(LATE).await;
        }
        Ok(None)
    }

    async fn remove_wrongly(&self, row: &Row) -> Result<Option<bool>, SyncError> {
        if self.wrong(Defect::DeleteKeepsRow) {
            return Ok(Some(false));
        }
        if self.wrong(Defect::DeleteComesBack) {
            let mut known = self.removals.brought_back.lock().unwrap_or_else(PoisonError::into_inner);
            // Once: what made it was one order that was still on its way.
            if known.insert(row.name.clone()) {
                let (api, new) = (self.api.clone(), right_object(&Row { desired: "running".into(), ..row.clone() }));
                self.background.spawn(async move {
                    tokio::time::sleep(MOMENT).await;
                    let _ = soon(api.create(&PostParams::default(), &new)).await;
                });
            }
        }
        if self.wrong(Defect::DeleteResurrects) {
            let others = self.removals.under_way.fetch_add(1, Ordering::SeqCst) > 0;
            let removed = self.remove(&row.name).await;
            tokio::time::sleep(WINDOW).await;
            let others = self.removals.under_way.fetch_sub(1, Ordering::SeqCst) > 1 || others;
            removed?;
            if others {
                self.store.restore(row).await?;
            }
            return Ok(Some(false));
        }
        Ok(None)
    }

    async fn follow_wrongly(&self, row: &Row, seen: &ObservedSession) -> Result<Option<bool>, SyncError> {
        if self.wrong(Defect::StatusNeverFlowsBack) || self.wrong(Defect::StatusAssumed) {
            return Ok(Some(false));
        }
        if self.wrong(Defect::StatusFlowsLate) {
            let (store, dispatcher) = (self.store.clone(), self.dispatcher.clone());
            let (row, seen) = (row.clone(), seen.clone());
            self.background.spawn(async move {
                tokio::time::sleep(LATE).await;
                if let Ok(Some(deliveries)) = store.record_observed(&row, &seen).await {
                    dispatcher.send(deliveries);
                }
            });
            return Ok(Some(false));
        }
        if self.wrong(Defect::ManualDefaultResources) {
            // What an object asks for is never read.
            let seen = ObservedSession { cpu: row.cpu.clone(), memory: row.memory.clone(), ..seen.clone() };
            self.dispatcher.send(self.store.record_observed(row, &seen).await?.unwrap_or_default());
            return Ok(Some(false));
        }
        if self.wrong(Defect::StatusOfOther) {
            // It looks for whose status this is by the user, who has a newer one.
            let newest = self.store.sessions(Some(&row.user)).await?.into_iter().next();
            if let Some(newest) = newest.filter(|newest| newest.name != row.name) {
                let status = ObservedSession {
                    state: seen.state.clone(),
                    phase: seen.phase.clone(),
                    message: seen.message.clone(),
                    url: seen.url.clone(),
                    ..super::known(&newest)
                };
                self.store.record_observed(&newest, &status).await?;
                return Ok(Some(false));
            }
        }
        Ok(None)
    }

    async fn missing_wrongly(&self, row: &Row) -> Result<Option<bool>, SyncError> {
        if self.wrong(Defect::MissingUnnoticed) {
            return Ok(Some(false));
        }
        if self.wrong(Defect::MissingMarksOther) {
            // It looks for it by the user, and takes the newest.
            let newest = self.store.sessions(Some(&row.user)).await?.into_iter().next();
            if let Some(newest) = newest.filter(|newest| newest.name != row.name) {
                self.missing(&newest.name).await?;
                return Ok(Some(false));
            }
        }
        if self.wrong(Defect::MissingReportsAll) {
            for other in self.store.sessions(None).await? {
                self.report_missing(&other.name);
            }
        }
        Ok(None)
    }

    async fn adopt_wrongly(&self, object: &Object) -> Result<Option<bool>, SyncError> {
        let kept = self.removals.kept.lock().unwrap_or_else(PoisonError::into_inner).contains(object.uid());
        if kept || self.wrong(Defect::ManualIgnored) || self.wrong(Defect::ManualReadOnly) {
            return Ok(Some(false));
        }
        if self.wrong(Defect::ManualTwice) {
            // Two who watch, each with a name of its own for it.
            let twin = NewSession {
                name: format!("{}-{}", object.name(), object.uid().get(..8).unwrap_or_default()),
                ..rightly_taken_over(object, &self.background.namespace)
            };
            let row = Row { state: "pending".into(), ..blank(&twin.name) };
            self.dispatcher.send(self.store.adopt(&twin, &seen(&row, object)).await?);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_of_the_object_changes_one_thing_and_none_changes_nothing() {
        let row = Row { user: "ann".into(), template: "firefox".into(), cpu: "100m".into(), ..blank("s") };
        let right = right_object(&row);
        let made = |defects: &[Defect]| object(defects.iter().copied().collect(), right_object(&row));
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
