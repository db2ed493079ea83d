//! The table `sessions`: the requested and the observed state of each session.
//!
//! `requested` counts requests by the API, `applied` how many of them the cluster has received. Only while both are equal
//! may the cluster's state overwrite the row.
use super::{
    audit::{Entry, append},
    open::Store,
    row_defects::change_times,
    session::{COLUMNS, DELETED, NewSession, ObservedSession, Session, session_from_row},
    sql::{StoreError, Value, Work},
    users::SERVICE_USER,
    webhooks::{Delivery, emit},
};
use crate::defect::Defect;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

/// The result of requesting a change.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionChange {
    Recorded(Box<Session>),
    /// The session has the requested value already.
    Unchanged(Box<Session>),
    /// Its object is missing in the cluster; it can only be deleted.
    Missing,
    NotFound,
}

async fn find(work: &mut Work, name: &str) -> Result<Option<Session>, StoreError> {
    let row = work.row(&format!("select {COLUMNS} from sessions where id = $1"), vec![name.into()]).await?;
    row.as_ref().map(session_from_row).transpose()
}

/// The data of a webhook event about a session.
fn webhook_data(session: &Session) -> Json {
    json!({
        "name": session.name,
        "namespace": session.namespace,
        "user": session.user,
        "template": session.template,
        "state": session.state,
        "phase": session.phase,
        "resources": { "cpu": session.cpu, "memory": session.memory },
    })
}

fn audit_entry(action: &str, name: &str, changes: Json) -> Entry {
    Entry {
        user_id: "system".into(),
        action: action.into(),
        resource_type: "session".into(),
        resource_id: name.into(),
        changes,
        timestamp: Timestamp::now(),
        ip_address: String::new(),
    }
}

impl Store {
    /// Inserts a session and emits `session.created`.
    ///
    /// # Errors
    /// `Duplicate` for an existing name, `MissingReference` for an unknown user.
    pub async fn create_session(&self, new: &NewSession) -> Result<(Session, Vec<Delivery>), StoreError> {
        let created = Session::new(new);
        let mut work = self.db.write().await?;
        insert(&mut work, &created).await?;
        if self.defects.has(Defect::StatusAssumed) {
            assume_state(&mut work, &new.name).await?;
        }
        if self.defects.has(Defect::RowWrongUser) {
            let sql = "update sessions set user_id = $2 where id = $1";
            work.execute(sql, vec![(&new.name).into(), SERVICE_USER.into()]).await?;
        }
        let deliveries = emit(&mut work, self.defects, "session.created", webhook_data(&created)).await?;
        work.commit().await?;
        Ok((created, deliveries))
    }

    pub async fn session(&self, name: &str) -> Result<Option<Session>, StoreError> {
        find(&mut self.db.read().await?, name).await
    }

    /// The sessions of one user or of all, newest first.
    pub async fn sessions(&self, user: Option<&str>) -> Result<Vec<Session>, StoreError> {
        let mut work = self.db.read().await?;
        let rows = match user {
            Some(user) => {
                let sql =
                    format!("select {COLUMNS} from sessions where user_id = $1 order by created_at desc, id desc");
                work.rows(&sql, vec![user.into()]).await?
            }
            None => {
                work.rows(&format!("select {COLUMNS} from sessions order by created_at desc, id desc"), vec![]).await?
            }
        };
        rows.iter().map(session_from_row).collect()
    }

    /// Requests another state. With `owner` only a session of that user is changed.
    pub async fn request_state(
        &self,
        name: &str,
        state: &str,
        owner: Option<&str>,
    ) -> Result<SessionChange, StoreError> {
        let values = vec![name.into(), state.into(), Timestamp::now().into(), owner.into()];
        let change = "update sessions set desired = $2, requested = requested + 1, updated_at = $3
                      where id = $1 and desired <> $2 and desired <> 'deleted' and phase <> 'Missing'
                      and (cast($4 as text) is null or user_id = $4)";
        self.request(name, owner, change, values).await
    }

    /// Requests deletion. A second request returns `NotFound`.
    pub async fn request_delete(&self, name: &str, owner: Option<&str>) -> Result<SessionChange, StoreError> {
        let values = vec![name.into(), Timestamp::now().into(), owner.into()];
        let set = if self.defects.has(Defect::DeleteOnlyAnswers) {
            "updated_at = $2"
        } else if self.defects.has(Defect::DeleteHides) || self.defects.has(Defect::DeleteKeepsRow) {
            "desired = 'deleted', requested = requested + 1, updated_at = $2"
        } else {
            "desired = 'deleted', state = 'terminating', requested = requested + 1, updated_at = $2"
        };
        let change = format!(
            "update sessions set {set}
             where id = $1 and desired <> 'deleted' and (cast($3 as text) is null or user_id = $3)"
        );
        self.request(name, owner, &change, values).await
    }

    pub async fn request_resources(
        &self,
        name: &str,
        cpu: &str,
        memory: &str,
        owner: Option<&str>,
    ) -> Result<SessionChange, StoreError> {
        let values = vec![name.into(), cpu.into(), memory.into(), Timestamp::now().into(), owner.into()];
        let change = "update sessions set cpu = $2, memory = $3, requested = requested + 1, updated_at = $4
                      where id = $1 and (cpu <> $2 or memory <> $3) and desired <> 'deleted' and phase <> 'Missing'
                      and (cast($5 as text) is null or user_id = $5)";
        self.request(name, owner, change, values).await
    }

    /// Tags are stored here only, not in the cluster.
    pub async fn set_tags(&self, name: &str, tags: &Json, owner: Option<&str>) -> Result<SessionChange, StoreError> {
        let values = vec![name.into(), tags.clone().into(), Timestamp::now().into(), owner.into()];
        let change = "update sessions set tags = $2, updated_at = $3 where id = $1 and desired <> 'deleted'
                      and (cast($4 as text) is null or user_id = $4)";
        self.request(name, owner, change, values).await
    }

    async fn request(
        &self,
        name: &str,
        owner: Option<&str>,
        change: &str,
        values: Vec<Value>,
    ) -> Result<SessionChange, StoreError> {
        let mut work = self.db.write().await?;
        let touched = work.execute(change, values).await?;
        if touched > 0 && self.defects.has(Defect::StatusAssumed) {
            assume_state(&mut work, name).await?;
        }
        if touched > 0 {
            change_times(&mut work, self.defects, name).await?;
        }
        let now = find(&mut work, name).await?;
        work.commit().await?;
        Ok(match now {
            Some(now) if touched > 0 => SessionChange::Recorded(Box::new(now)),
            Some(now) if now.desired == DELETED || owner.is_some_and(|owner| owner != now.user) => {
                SessionChange::NotFound
            }
            Some(now) if now.is_missing() => SessionChange::Missing,
            Some(now) => SessionChange::Unchanged(Box::new(now)),
            None => SessionChange::NotFound,
        })
    }

    /// Defect: marks the request as applied although the cluster never received it.
    pub async fn assume_applied(&self, name: &str) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        assume_state(&mut work, name).await?;
        let sql = "update sessions set applied = requested, object_generation = object_generation + 1 where id = $1";
        work.execute(sql, vec![name.into()]).await?;
        work.commit().await
    }

    /// Defect: ignores the object until its generation has grown by `changes`.
    pub async fn skip_generations(&self, name: &str, changes: i64) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        let sql = "update sessions set object_generation = object_generation + $2 where id = $1";
        work.execute(sql, vec![name.into(), changes.into()]).await?;
        work.commit().await
    }

    /// Defect: inserts a deleted session again.
    pub async fn restore(&self, session: &Session) -> Result<(), StoreError> {
        let before = Session { state: "running".into(), desired: "running".into(), ..session.clone() };
        let mut work = self.db.write().await?;
        insert(&mut work, &before).await?;
        work.commit().await
    }

    /// Records that the cluster has received all requests up to `requested`, and the resulting object.
    pub async fn record_applied(
        &self,
        name: &str,
        requested: i64,
        uid: &str,
        generation: i64,
    ) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        work.execute(
            "update sessions set applied = $2, object_uid = $3, object_generation = $4 where id = $1 and applied < $2",
            vec![name.into(), requested.into(), uid.into(), generation.into()],
        )
        .await?;
        work.commit().await
    }

    /// Records the observed state unless the API has requested a change since; `None` if it has.
    pub async fn record_observed(
        &self,
        row: &Session,
        observed: &ObservedSession,
    ) -> Result<Option<Vec<Delivery>>, StoreError> {
        let mut work = self.db.write().await?;
        let touched = work
            .execute(
                "update sessions set desired = $3, state = $4, phase = $5, message = $6, cpu = $7, memory = $8, url = $9,
                        pod_name = $10, object_uid = $11, object_generation = $12, updated_at = $13
                 where id = $1 and requested = $2 and applied = $2 and desired <> 'deleted'",
                vec![
                    (&row.name).into(),
                    row.requested.into(),
                    (&observed.desired).into(),
                    (&observed.state).into(),
                    (&observed.phase).into(),
                    (&observed.message).into(),
                    (&observed.cpu).into(),
                    (&observed.memory).into(),
                    observed.url.as_deref().into(),
                    observed.pod_name.as_deref().into(),
                    (&observed.uid).into(),
                    observed.generation.into(),
                    Timestamp::now().into(),
                ],
            )
            .await?;
        if touched == 0 {
            return Ok(None);
        }
        if self.defects.has(Defect::UpdateKeepsTime) {
            change_times(&mut work, self.defects, &row.name).await?;
        }
        let mut deliveries = vec![];
        if observed.state != row.state {
            let event = match observed.state.as_str() {
                "running" => Some("session.started"),
                "hibernated" => Some("session.hibernated"),
                "failed" => Some("session.failed"),
                _ => None,
            };
            if let (Some(event), Some(now)) = (event, find(&mut work, &row.name).await?) {
                deliveries = emit(&mut work, self.defects, event, webhook_data(&now)).await?;
            }
        }
        work.commit().await?;
        Ok(Some(deliveries))
    }

    /// Marks a session whose object vanished without a request; `None` if it is marked already.
    pub async fn mark_missing(&self, name: &str) -> Result<Option<Vec<Delivery>>, StoreError> {
        let mut work = self.db.write().await?;
        let touched = work
            .execute(
                "update sessions set state = 'failed', phase = 'Missing', applied = requested, url = null, pod_name = null,
                        message = 'The Session object is missing in the cluster: it was deleted from outside', updated_at = $2
                 where id = $1 and phase <> 'Missing' and desired <> 'deleted'",
                vec![name.into(), Timestamp::now().into()],
            )
            .await?;
        if touched == 0 {
            return Ok(None);
        }
        let Some(now) = find(&mut work, name).await? else { return Ok(None) };
        append(&mut work, &audit_entry("session_missing", name, json!({ "object_uid": now.object_uid }))).await?;
        let deliveries = emit(&mut work, self.defects, "session.failed", webhook_data(&now)).await?;
        work.commit().await?;
        Ok(Some(deliveries))
    }

    /// Takes over a session that was created in the cluster, or recreated there after it was missing.
    pub async fn adopt(&self, new: &NewSession, observed: &ObservedSession) -> Result<Vec<Delivery>, StoreError> {
        let now = Timestamp::now();
        let adopted = Session {
            name: new.name.clone(),
            user: new.user.clone(),
            template: new.template.clone(),
            namespace: new.namespace.clone(),
            platform: "kubernetes".into(),
            state: observed.state.clone(),
            phase: observed.phase.clone(),
            message: observed.message.clone(),
            desired: observed.desired.clone(),
            requested: 1,
            applied: 1,
            object_uid: Some(observed.uid.clone()),
            object_generation: observed.generation,
            cpu: new.cpu.clone(),
            memory: new.memory.clone(),
            persistent_home: new.persistent_home,
            idle_timeout: new.idle_timeout.clone(),
            max_session_duration: new.max_session_duration.clone(),
            tags: json!([]),
            url: observed.url.clone(),
            pod_name: observed.pod_name.clone(),
            active_connections: 0,
            created_at: now,
            updated_at: now,
        };
        let mut work = self.db.write().await?;
        work.execute("delete from sessions where id = $1 and phase = 'Missing'", vec![(&new.name).into()]).await?;
        insert(&mut work, &adopted).await?;
        append(&mut work, &audit_entry("session_adopted", &new.name, json!({ "object_uid": observed.uid }))).await?;
        let deliveries = emit(&mut work, self.defects, "session.created", webhook_data(&adopted)).await?;
        work.commit().await?;
        Ok(deliveries)
    }

    /// Deletes the row and the connections of a session whose object was deleted as requested.
    pub async fn remove_session(&self, name: &str) -> Result<Vec<Delivery>, StoreError> {
        let mut work = self.db.write().await?;
        let Some(last) = find(&mut work, name).await? else { return Ok(vec![]) };
        let sql = "delete from sessions where id = $1 and desired = 'deleted'";
        if work.execute(sql, vec![name.into()]).await? == 0 {
            return Ok(vec![]);
        }
        let last = Session { state: "terminated".into(), phase: "Terminated".into(), ..last };
        let deliveries = emit(&mut work, self.defects, "session.terminated", webhook_data(&last)).await?;
        work.commit().await?;
        Ok(deliveries)
    }
}

/// Writes the requested state as the observed one.
async fn assume_state(work: &mut Work, name: &str) -> Result<(), StoreError> {
    let sql = "update sessions set state = desired, phase = upper(substr(desired, 1, 1)) || substr(desired, 2)
               where id = $1 and desired <> 'deleted'";
    work.execute(sql, vec![name.into()]).await.map(|_| ())
}

async fn insert(work: &mut Work, new: &Session) -> Result<(), StoreError> {
    let sql = format!(
        "insert into sessions ({COLUMNS}) values
         ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)"
    );
    let values = vec![
        (&new.name).into(),
        (&new.user).into(),
        (&new.template).into(),
        (&new.namespace).into(),
        (&new.platform).into(),
        (&new.state).into(),
        (&new.phase).into(),
        (&new.message).into(),
        (&new.desired).into(),
        new.requested.into(),
        new.applied.into(),
        new.object_uid.as_deref().into(),
        new.object_generation.into(),
        (&new.cpu).into(),
        (&new.memory).into(),
        new.persistent_home.into(),
        new.idle_timeout.as_deref().into(),
        new.max_session_duration.as_deref().into(),
        new.tags.clone().into(),
        new.url.as_deref().into(),
        new.pod_name.as_deref().into(),
        new.active_connections.into(),
        new.created_at.into(),
        new.updated_at.into(),
    ];
    work.execute(&sql, values).await.map(|_| ())
}
