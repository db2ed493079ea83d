//! Converts between session rows and Session objects.
use crate::{
    kinds::{Resources, Session as Object, SessionSpec},
    store::{NewSession, Session as Row},
};
use serde_json::json;

/// The object for a session row.
pub fn object_for(row: &Row) -> Object {
    let spec = SessionSpec {
        user: row.user.clone(),
        template: row.template.clone(),
        state: row.desired.clone(),
        resources: Some(Resources::equal(&row.cpu, &row.memory)),
        persistent_home: Some(row.persistent_home),
        idle_timeout: row.idle_timeout.clone(),
        max_session_duration: row.max_session_duration.clone(),
    };
    Object::new(&row.name, spec)
}

/// The row data for an object that was created in the cluster.
pub fn new_session_from(object: &Object, namespace: &str) -> NewSession {
    NewSession {
        name: object.name().to_owned(),
        user: object.spec.user.clone(),
        template: object.spec.template.clone(),
        namespace: namespace.to_owned(),
        cpu: object.request("cpu").unwrap_or_default().to_owned(),
        memory: object.request("memory").unwrap_or_default().to_owned(),
        persistent_home: object.spec.persistent_home.unwrap_or(true),
        idle_timeout: object.spec.idle_timeout.clone(),
        max_session_duration: object.spec.max_session_duration.clone(),
        tags: json!([]),
    }
}

/// A row without values.
pub fn blank(name: &str) -> Row {
    Row {
        name: name.to_owned(),
        user: String::new(),
        template: String::new(),
        namespace: String::new(),
        platform: String::new(),
        state: String::new(),
        phase: String::new(),
        message: String::new(),
        desired: String::new(),
        requested: 0,
        applied: 0,
        object_uid: None,
        object_generation: 0,
        cpu: String::new(),
        memory: String::new(),
        persistent_home: true,
        idle_timeout: None,
        max_session_duration: None,
        tags: json!([]),
        url: None,
        pod_name: None,
        active_connections: 0,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        updated_at: jiff::Timestamp::UNIX_EPOCH,
    }
}
