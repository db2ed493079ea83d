//! A session as the database holds it.
use super::sql::{Row, StoreError};
use jiff::Timestamp;
use serde_json::Value as Json;

/// The `desired` state of a deleted session.
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
    /// The requested state: running, hibernated, terminated or deleted.
    pub desired: String,
    /// The number of requests by the API.
    pub requested: i64,
    /// The number of these requests that the cluster has received.
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
    /// A session that was just requested.
    pub fn new(new: &NewSession) -> Session {
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
            requested: 1,
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

    pub fn is_missing(&self) -> bool {
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

/// A session as its object in the cluster reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedSession {
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

pub(super) const COLUMNS: &str = "id, user_id, template_name, namespace, platform, state, phase, message, desired, requested, applied,
    object_uid, object_generation, cpu, memory, persistent_home, idle_timeout, max_session_duration, tags, url, pod_name,
    active_connections, created_at, updated_at";

pub(super) fn session_from_row(row: &Row) -> Result<Session, StoreError> {
    Ok(Session {
        name: row.string("id")?,
        user: row.string("user_id")?,
        template: row.string("template_name")?,
        namespace: row.string("namespace")?,
        platform: row.string("platform")?,
        state: row.string("state")?,
        phase: row.string("phase")?,
        message: row.string("message")?,
        desired: row.string("desired")?,
        requested: row.int("requested")?,
        applied: row.int("applied")?,
        object_uid: row.optional_string("object_uid")?,
        object_generation: row.int("object_generation")?,
        cpu: row.string("cpu")?,
        memory: row.string("memory")?,
        persistent_home: row.bool("persistent_home")?,
        idle_timeout: row.optional_string("idle_timeout")?,
        max_session_duration: row.optional_string("max_session_duration")?,
        tags: row.json("tags")?,
        url: row.optional_string("url")?,
        pod_name: row.optional_string("pod_name")?,
        active_connections: row.int("active_connections")?,
        created_at: row.time("created_at")?.unwrap_or_default(),
        updated_at: row.time("updated_at")?.unwrap_or_default(),
    })
}
