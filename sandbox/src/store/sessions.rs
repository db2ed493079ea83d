//! The table `sessions`: what was asked of a session and what was last seen of it.
//!
//! `asked` and `applied` are the whole of the agreement between API and cluster. Asking adds one to `asked`; when the
//! cluster has been told, `applied` catches up; only then may what the cluster says overwrite the row.
use super::{
    Delivery, SERVICE_USER, Store, StoreError,
    audit::{Entry, append},
    sql::{Row, Value, Work},
    webhooks::emit,
};
use crate::defect::Defect;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

/// The wish that a session be gone.
pub const DELETED: &str = "deleted";
const MISSING: &str = "Missing";

#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    pub name: String,
    pub user: String,
    pub template: String,
    pub namespace: String,
    pub platform: String,
    pub state: String,
    pub phase: String,
    pub message: String,
    /// What was last asked: running, hibernated, terminated, or deleted.
    pub desired: String,
    pub asked: i64,
    pub applied: i64,
    pub object_uid: Option<String>,
    pub object_generation: i64,
    pub cpu: String,
    pub memory: String,
    pub persistent_home: bool,
    pub idle_timeout: Option<String>,
    pub max_session_duration: Option<String>,
    pub tags: Json,
    pub url: Option<String>,
    pub pod_name: Option<String>,
    pub active_connections: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Session {
    /// As it is when nothing has been done for it yet.
    pub fn asked_for(new: &NewSession) -> Session {
        let now = Timestamp::now();
        Session {
            name: new.name.clone(),
            user: new.user.clone(),
            template: new.template.clone(),
            namespace: new.namespace.clone(),
            platform: "kubernetes".into(),
            state: "pending".into(),
            phase: "Pending".into(),
            message: "Session creation requested, waiting for controller".into(),
            desired: "running".into(),
            asked: 1,
            applied: 0,
            object_uid: None,
            object_generation: 0,
            cpu: new.cpu.clone(),
            memory: new.memory.clone(),
            persistent_home: new.persistent_home,
            idle_timeout: new.idle_timeout.clone(),
            max_session_duration: new.max_session_duration.clone(),
            tags: new.tags.clone(),
            url: None,
            pod_name: None,
            active_connections: 0,
            created_at: now,
            updated_at: now,
        }
    }

    pub fn missing(&self) -> bool {
        self.phase == MISSING
    }
}

#[derive(Debug, Clone)]
pub struct NewSession {
    pub name: String,
    pub user: String,
    pub template: String,
    pub namespace: String,
    pub cpu: String,
    pub memory: String,
    pub persistent_home: bool,
    pub idle_timeout: Option<String>,
    pub max_session_duration: Option<String>,
    pub tags: Json,
}

/// What the cluster's object says of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub uid: String,
    pub generation: i64,
    pub desired: String,
    pub state: String,
    pub phase: String,
    pub message: String,
    pub cpu: String,
    pub memory: String,
    pub url: Option<String>,
    pub pod_name: Option<String>,
}

/// How the store took a wish.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Noted(Box<Session>),
    /// It has that wish already.
    Already(Box<Session>),
    /// Its object vanished from the cluster; it can only be deleted.
    Missing,
    NotFound,
}

const COLUMNS: &str = "id, user_id, template_name, namespace, platform, state, phase, message, desired, asked, applied,
    object_uid, object_generation, cpu, memory, persistent_home, idle_timeout, max_session_duration, tags, url, pod_name,
    active_connections, created_at, updated_at";

fn session(row: &Row) -> Result<Session, StoreError> {
    Ok(Session {
        name: row.word("id")?,
        user: row.word("user_id")?,
        template: row.word("template_name")?,
        namespace: row.word("namespace")?,
        platform: row.word("platform")?,
        state: row.word("state")?,
        phase: row.word("phase")?,
        message: row.word("message")?,
        desired: row.word("desired")?,
        asked: row.number("asked")?,
        applied: row.number("applied")?,
        object_uid: row.text("object_uid")?,
        object_generation: row.number("object_generation")?,
        cpu: row.word("cpu")?,
        memory: row.word("memory")?,
        persistent_home: row.truth("persistent_home")?,
        idle_timeout: row.text("idle_timeout")?,
        max_session_duration: row.text("max_session_duration")?,
        tags: row.json("tags")?,
        url: row.text("url")?,
        pod_name: row.text("pod_name")?,
        active_connections: row.number("active_connections")?,
        created_at: row.time("created_at")?.unwrap_or_default(),
        updated_at: row.time("updated_at")?.unwrap_or_default(),
    })
}

async fn find(work: &mut Work, name: &str) -> Result<Option<Session>, StoreError> {
    let row = work.row(&format!("select {COLUMNS} from sessions where id = $1"), vec![name.into()]).await?;
    row.as_ref().map(session).transpose()
}

/// What webhooks are told of a session.
fn told(session: &Session) -> Json {
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

fn drift(action: &str, name: &str, changes: Json) -> Entry {
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
    /// Refuses a name that is taken and a user that does not exist.
    pub async fn create_session(&self, new: &NewSession) -> Result<(Session, Vec<Delivery>), StoreError> {
        let created = Session::asked_for(new);
        let mut work = self.db.write().await?;
        insert(&mut work, &created).await?;
        if self.defects.has(Defect::StatusAssumed) {
            assume(&mut work, &new.name).await?;
        }
        if self.defects.has(Defect::RowWrongUser) {
            let sql = "update sessions set user_id = $2 where id = $1";
            work.execute(sql, vec![(&new.name).into(), SERVICE_USER.into()]).await?;
        }
        let deliveries = emit(&mut work, self.defects, "session.created", told(&created)).await?;
        work.commit().await?;
        Ok((created, deliveries))
    }

    pub async fn session(&self, name: &str) -> Result<Option<Session>, StoreError> {
        find(&mut self.db.read().await?, name).await
    }

    /// Newest first; of one user or of all.
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
        rows.iter().map(session).collect()
    }

    /// Wishes another state; `owner` limits whose sessions may be asked.
    pub async fn ask_state(&self, name: &str, state: &str, owner: Option<&str>) -> Result<Asked, StoreError> {
        let values = vec![name.into(), state.into(), Timestamp::now().into(), owner.into()];
        let change = "update sessions set desired = $2, asked = asked + 1, updated_at = $3
                      where id = $1 and desired <> $2 and desired <> 'deleted' and phase <> 'Missing'
                      and (cast($4 as text) is null or user_id = $4)";
        self.ask(name, owner, change, values).await
    }

    /// Wishes it gone. Asking again finds nothing.
    pub async fn ask_delete(&self, name: &str, owner: Option<&str>) -> Result<Asked, StoreError> {
        let values = vec![name.into(), Timestamp::now().into(), owner.into()];
        let set = if self.defects.has(Defect::DeleteOnlyAnswers) {
            "updated_at = $2"
        } else if self.defects.has(Defect::DeleteHides) || self.defects.has(Defect::DeleteKeepsRow) {
            "desired = 'deleted', asked = asked + 1, updated_at = $2"
        } else {
            "desired = 'deleted', state = 'terminating', asked = asked + 1, updated_at = $2"
        };
        let change = format!(
            "update sessions set {set}
             where id = $1 and desired <> 'deleted' and (cast($3 as text) is null or user_id = $3)"
        );
        self.ask(name, owner, &change, values).await
    }

    pub async fn ask_resources(
        &self,
        name: &str,
        cpu: &str,
        memory: &str,
        owner: Option<&str>,
    ) -> Result<Asked, StoreError> {
        let values = vec![name.into(), cpu.into(), memory.into(), Timestamp::now().into(), owner.into()];
        let change = "update sessions set cpu = $2, memory = $3, asked = asked + 1, updated_at = $4
                      where id = $1 and (cpu <> $2 or memory <> $3) and desired <> 'deleted' and phase <> 'Missing'
                      and (cast($5 as text) is null or user_id = $5)";
        self.ask(name, owner, change, values).await
    }

    /// Tags are the store's alone; the cluster does not hear of them.
    pub async fn set_tags(&self, name: &str, tags: &Json, owner: Option<&str>) -> Result<Asked, StoreError> {
        let values = vec![name.into(), tags.clone().into(), Timestamp::now().into(), owner.into()];
        let change = "update sessions set tags = $2, updated_at = $3 where id = $1 and desired <> 'deleted'
                      and (cast($4 as text) is null or user_id = $4)";
        self.ask(name, owner, change, values).await
    }

    async fn ask(
        &self,
        name: &str,
        owner: Option<&str>,
        change: &str,
        values: Vec<Value>,
    ) -> Result<Asked, StoreError> {
        let mut work = self.db.write().await?;
        let touched = work.execute(change, values).await?;
        if touched > 0 && self.defects.has(Defect::StatusAssumed) {
            assume(&mut work, name).await?;
        }
        let now = find(&mut work, name).await?;
        work.commit().await?;
        Ok(match now {
            Some(now) if touched > 0 => Asked::Noted(Box::new(now)),
            Some(now) if now.desired == DELETED || owner.is_some_and(|owner| owner != now.user) => Asked::NotFound,
            Some(now) if now.missing() => Asked::Missing,
            Some(now) => Asked::Already(Box::new(now)),
            None => Asked::NotFound,
        })
    }

    /// Takes what was asked for done, and the cluster for told, though nobody told it.
    pub async fn assume(&self, name: &str) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        assume(&mut work, name).await?;
        let sql = "update sessions set applied = asked, object_generation = object_generation + 1 where id = $1";
        work.execute(sql, vec![name.into()]).await?;
        work.commit().await
    }

    /// Hears nothing more of the object until it has changed so many times.
    pub async fn deafen(&self, name: &str, changes: i64) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        let sql = "update sessions set object_generation = object_generation + $2 where id = $1";
        work.execute(sql, vec![name.into(), changes.into()]).await?;
        work.commit().await
    }

    /// Writes a session that was removed once more.
    pub async fn put_back(&self, session: &Session) -> Result<(), StoreError> {
        let before = Session { state: "running".into(), desired: "running".into(), ..session.clone() };
        let mut work = self.db.write().await?;
        insert(&mut work, &before).await?;
        work.commit().await
    }

    /// The cluster has been told of everything up to `asked`, and this is the object that it made of it.
    pub async fn applied(&self, name: &str, asked: i64, uid: &str, generation: i64) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        work.execute(
            "update sessions set applied = $2, object_uid = $3, object_generation = $4 where id = $1 and applied < $2",
            vec![name.into(), asked.into(), uid.into(), generation.into()],
        )
        .await?;
        work.commit().await
    }

    /// What the cluster says, unless the API was asked for something since. None if it was.
    pub async fn seen(&self, row: &Session, seen: &Seen) -> Result<Option<Vec<Delivery>>, StoreError> {
        let mut work = self.db.write().await?;
        let touched = work
            .execute(
                "update sessions set desired = $3, state = $4, phase = $5, message = $6, cpu = $7, memory = $8, url = $9,
                        pod_name = $10, object_uid = $11, object_generation = $12, updated_at = $13
                 where id = $1 and asked = $2 and applied = $2 and desired <> 'deleted'",
                vec![
                    (&row.name).into(),
                    row.asked.into(),
                    (&seen.desired).into(),
                    (&seen.state).into(),
                    (&seen.phase).into(),
                    (&seen.message).into(),
                    (&seen.cpu).into(),
                    (&seen.memory).into(),
                    seen.url.as_deref().into(),
                    seen.pod_name.as_deref().into(),
                    (&seen.uid).into(),
                    seen.generation.into(),
                    Timestamp::now().into(),
                ],
            )
            .await?;
        if touched == 0 {
            return Ok(None);
        }
        let mut deliveries = vec![];
        if seen.state != row.state {
            let event = match seen.state.as_str() {
                "running" => Some("session.started"),
                "hibernated" => Some("session.hibernated"),
                "failed" => Some("session.failed"),
                _ => None,
            };
            if let (Some(event), Some(now)) = (event, find(&mut work, &row.name).await?) {
                deliveries = emit(&mut work, self.defects, event, told(&now)).await?;
            }
        }
        work.commit().await?;
        Ok(Some(deliveries))
    }

    /// Its object vanished though nobody asked for that. None if that is known already.
    pub async fn mark_missing(&self, name: &str) -> Result<Option<Vec<Delivery>>, StoreError> {
        let mut work = self.db.write().await?;
        let touched = work
            .execute(
                "update sessions set state = 'failed', phase = 'Missing', applied = asked, url = null, pod_name = null,
                        message = 'The Session object is missing in the cluster: it was deleted from outside', updated_at = $2
                 where id = $1 and phase <> 'Missing' and desired <> 'deleted'",
                vec![name.into(), Timestamp::now().into()],
            )
            .await?;
        if touched == 0 {
            return Ok(None);
        }
        let Some(now) = find(&mut work, name).await? else { return Ok(None) };
        append(&mut work, &drift("session_missing", name, json!({ "object_uid": now.object_uid }))).await?;
        let deliveries = emit(&mut work, self.defects, "session.failed", told(&now)).await?;
        work.commit().await?;
        Ok(Some(deliveries))
    }

    /// Takes over a session that somebody made in the cluster, or made again in the place of one that was missing.
    pub async fn adopt(&self, new: &NewSession, seen: &Seen) -> Result<Vec<Delivery>, StoreError> {
        let now = Timestamp::now();
        let adopted = Session {
            name: new.name.clone(),
            user: new.user.clone(),
            template: new.template.clone(),
            namespace: new.namespace.clone(),
            platform: "kubernetes".into(),
            state: seen.state.clone(),
            phase: seen.phase.clone(),
            message: seen.message.clone(),
            desired: seen.desired.clone(),
            asked: 1,
            applied: 1,
            object_uid: Some(seen.uid.clone()),
            object_generation: seen.generation,
            cpu: new.cpu.clone(),
            memory: new.memory.clone(),
            persistent_home: new.persistent_home,
            idle_timeout: new.idle_timeout.clone(),
            max_session_duration: new.max_session_duration.clone(),
            tags: json!([]),
            url: seen.url.clone(),
            pod_name: seen.pod_name.clone(),
            active_connections: 0,
            created_at: now,
            updated_at: now,
        };
        let mut work = self.db.write().await?;
        work.execute("delete from sessions where id = $1 and phase = 'Missing'", vec![(&new.name).into()]).await?;
        insert(&mut work, &adopted).await?;
        append(&mut work, &drift("session_adopted", &new.name, json!({ "object_uid": seen.uid }))).await?;
        let deliveries = emit(&mut work, self.defects, "session.created", told(&adopted)).await?;
        work.commit().await?;
        Ok(deliveries)
    }

    /// Its object is gone, as was asked: so goes the row, and its connections with it.
    pub async fn remove_session(&self, name: &str) -> Result<Vec<Delivery>, StoreError> {
        let mut work = self.db.write().await?;
        let Some(last) = find(&mut work, name).await? else { return Ok(vec![]) };
        let sql = "delete from sessions where id = $1 and desired = 'deleted'";
        if work.execute(sql, vec![name.into()]).await? == 0 {
            return Ok(vec![]);
        }
        let last = Session { state: "terminated".into(), phase: "Terminated".into(), ..last };
        let deliveries = emit(&mut work, self.defects, "session.terminated", told(&last)).await?;
        work.commit().await?;
        Ok(deliveries)
    }
}

/// Writes that what was asked has come about.
async fn assume(work: &mut Work, name: &str) -> Result<(), StoreError> {
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
        new.asked.into(),
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
