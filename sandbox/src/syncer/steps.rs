//! Carries out the steps for one session.
use super::{
    convert::{blank, new_session_from, object_for},
    decide::{Step, decide, observe},
    object_defects::{self, Removals},
};
use crate::{
    background::Background,
    defect::Defect,
    dispatcher::Dispatcher,
    kinds::{Resources, Session as Object},
    link::{ClusterError, found, with_timeout},
    store::{NewSession, Session as Row, Store, StoreError},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Limit of consecutive steps for one session, so that steps that revert each other end.
const MAX_STEPS: usize = 10;

#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error("cluster: {0}")]
    Cluster(#[from] ClusterError),
}

pub struct Syncer {
    pub store: Store,
    pub api: Api<Object>,
    pub dispatcher: Dispatcher,
    pub background: Background,
    /// The objects as last reported by the watch.
    pub objects: Mutex<HashMap<String, Object>>,
    /// For each object by name: its uid, and the newest version that was seen. The watch may be behind a read.
    pub newest: Mutex<HashMap<String, (String, u64)>>,
    /// Uids of objects that cannot be adopted; each is logged once.
    pub not_adoptable: Mutex<HashSet<String>>,
    pub removals: Removals,
    /// Used by the defects `cluster-down-stays` and `cluster-down-restarts`: the cluster was unreachable once.
    pub cluster_was_lost: AtomicBool,
}

impl Syncer {
    pub fn objects(&self) -> std::sync::MutexGuard<'_, HashMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of the sessions whose row and object disagree.
    pub async fn out_of_sync(&self) -> Vec<String> {
        let rows = match self.store.sessions(None).await {
            Ok(rows) => rows,
            Err(error) => {
                self.background.log.warn("database unavailable: sessions could not be compared", &[("cause", &error)]);
                vec![]
            }
        };
        let rows: HashMap<_, _> = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
        let objects = self.objects();
        let names: HashSet<_> = rows.keys().chain(objects.keys()).collect();
        let open = names.into_iter().filter(|name| decide(rows.get(*name), objects.get(*name), false) != Step::Nothing);
        open.cloned().collect()
    }

    pub async fn sync(&self, name: &str) -> Result<(), SyncError> {
        let mut read_live = false;
        for _ in 0..MAX_STEPS {
            // the object is read before the row, because a row is always created before its object
            let (object, live) = if std::mem::take(&mut read_live) {
                let read = found(self.api.get(name)).await?;
                if let Some(object) = &read {
                    self.is_outdated(name, object);
                }
                (read, true)
            } else {
                (self.objects().get(name).cloned(), false)
            };
            if object.as_ref().is_some_and(|object| !live && self.is_outdated(name, object)) {
                read_live = true;
                continue;
            }
            let row = self.store.session(name).await?;
            match decide(row.as_ref(), object.as_ref(), live) {
                Step::Nothing => return Ok(()),
                Step::Read => read_live = true,
                step => {
                    read_live = step == Step::DeleteObject;
                    if !self.take_step(name, step, row, object).await? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a newer version of the object was seen: its status must not replace the newer one. Remembers the version.
    fn is_outdated(&self, name: &str, object: &Object) -> bool {
        let Some(version) = object.version() else { return false };
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match newest.get(name) {
            Some((uid, seen)) if uid == object.uid() && version < *seen => true,
            _ => {
                newest.insert(name.to_string(), (object.uid().to_string(), version));
                false
            }
        }
    }

    /// Takes one step. False if no further step is possible now.
    pub async fn take_step(
        &self,
        name: &str,
        step: Step,
        row: Option<Row>,
        object: Option<Object>,
    ) -> Result<bool, SyncError> {
        self.background.delays.wait().await;
        if let Some(more) = self.defective_step(name, &step, row.as_ref(), object.as_ref()).await? {
            return Ok(more);
        }
        match (step, row, object) {
            (Step::Create, Some(row), _) => self.create(&row).await?,
            (Step::PatchObject, Some(row), _) => self.change(&row).await?,
            (Step::DeleteObject, ..) => {
                found(self.api.delete(name, &DeleteParams::background())).await?;
            }
            (Step::DeleteRow, ..) => self.remove(name).await?,
            (Step::UpdateRow(seen), Some(row), _) => {
                if let Some(deliveries) = self.store.record_observed(&row, &seen).await? {
                    self.dispatcher.send(deliveries);
                }
            }
            (Step::MarkMissing, ..) => self.mark_missing(name).await?,
            (Step::Adopt, row, Some(object)) => return self.adopt(row.as_ref(), &object).await,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub async fn create(&self, row: &Row) -> Result<(), SyncError> {
        if self.background.defects.has(Defect::ClusterDownStays) && self.cluster_was_lost.load(Ordering::SeqCst) {
            return Ok(());
        }
        let object = object_defects::change_object(self.background.defects, object_for(row));
        match with_timeout(self.api.create(&PostParams::default(), &object)).await {
            Ok(created) => {
                if self.background.defects.has(Defect::ClusterDownRestarts)
                    && self.cluster_was_lost.swap(false, Ordering::SeqCst)
                {
                    object_defects::restart_all(self.background.client.clone(), &self.background.namespace).await;
                }
                self.record_applied(row, &created).await
            }
            // an earlier attempt succeeded without a response; the next step updates the object
            Err(error) if error.status() == Some(409) => match found(self.api.get(&row.name)).await? {
                Some(existing) => self.record_applied(row, &existing).await,
                None => Ok(()),
            },
            Err(error) => {
                self.not_created(row).await?;
                Err(error.into())
            }
        }
    }

    /// Applies the defects of a failed create.
    pub async fn not_created(&self, row: &Row) -> Result<(), StoreError> {
        let remembers = [Defect::ClusterDownStays, Defect::ClusterDownRestarts];
        if remembers.into_iter().any(|defect| self.background.defects.has(defect)) {
            self.cluster_was_lost.store(true, Ordering::SeqCst);
        }
        if self.background.defects.has(Defect::ClusterDownForgets) {
            self.store.delete_row(&row.name).await?;
        }
        if self.background.defects.has(Defect::ClusterDownTwice) && !row.name.ends_with("-retry") {
            let new = NewSession {
                name: format!("{}-retry", row.name),
                user: row.user.clone(),
                template: row.template.clone(),
                namespace: row.namespace.clone(),
                cpu: row.cpu.clone(),
                memory: row.memory.clone(),
                persistent_home: row.persistent_home,
                idle_timeout: row.idle_timeout.clone(),
                max_session_duration: row.max_session_duration.clone(),
                tags: row.tags.clone(),
            };
            // fails if an earlier attempt has created it
            let _ = self.store.create_session(&new).await;
        }
        Ok(())
    }

    pub async fn change(&self, row: &Row) -> Result<(), SyncError> {
        let resources = Resources::equal(&row.cpu, &row.memory);
        let patch = Patch::Merge(json!({ "spec": { "state": row.desired, "resources": resources } }));
        match found(self.api.patch(&row.name, &PatchParams::default(), &patch)).await? {
            Some(changed) => self.record_applied(row, &changed).await,
            None => self.mark_missing(&row.name).await,
        }
    }

    pub async fn remove(&self, name: &str) -> Result<(), SyncError> {
        self.dispatcher.send(self.store.remove_session(name).await?);
        self.background.log.info("session removed", &[("session", &name)]);
        Ok(())
    }

    pub async fn record_applied(&self, row: &Row, object: &Object) -> Result<(), SyncError> {
        self.store.record_applied(&row.name, row.requested, object.uid(), object.generation()).await?;
        self.background.log.info(
            "session sent to the cluster",
            &[("session", &row.name), ("desired", &row.desired), ("generation", &object.generation())],
        );
        Ok(())
    }

    pub async fn mark_missing(&self, name: &str) -> Result<(), SyncError> {
        if let Some(deliveries) = self.store.mark_missing(name).await? {
            if !self.background.defects.has(Defect::MissingUnreported) {
                self.report_missing(name);
            }
            self.dispatcher.send(deliveries);
        }
        Ok(())
    }

    pub fn report_missing(&self, name: &str) {
        self.background.log.warn(
            "inconsistency: the Session object vanished from the cluster",
            &[("code", &"session_missing"), ("session", &name)],
        );
    }

    pub async fn adopt(&self, row: Option<&Row>, object: &Object) -> Result<bool, SyncError> {
        let name = object.name();
        let pending = Row { state: "pending".into(), ..row.cloned().unwrap_or_else(|| blank(name)) };
        let new =
            object_defects::change_row(self.background.defects, new_session_from(object, &self.background.namespace));
        match self.store.adopt(&new, &observe(&pending, object)).await {
            Ok(deliveries) => {
                if !self.background.defects.has(Defect::ManualUnreported) {
                    self.background.log.warn(
                        "inconsistency: a Session unknown to the store appeared in the cluster, adopted",
                        &[("code", &"session_adopted"), ("session", &name), ("user", &new.user)],
                    );
                }
                self.dispatcher.send(deliveries);
                Ok(true)
            }
            Err(StoreError::MissingReference(_)) => {
                let mut not_adoptable = self.not_adoptable.lock().unwrap_or_else(PoisonError::into_inner);
                if not_adoptable.insert(object.uid().to_owned()) {
                    self.background.log.warn(
                        "a Session of an unknown user appeared in the cluster, left alone",
                        &[("code", &"session_not_adopted"), ("session", &name), ("user", &new.user)],
                    );
                }
                Ok(false)
            }
            // the API created the row at the same time
            Err(StoreError::Duplicate(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}
