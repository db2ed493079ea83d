//! Decides the next step for a session from its row and its object. Pure.
use crate::{
    kinds::Session as Object,
    store::{DELETED, ObservedSession, Session as Row},
};

/// The next step to bring row and object into agreement.
#[derive(Debug, PartialEq)]
pub enum Step {
    Nothing,
    /// Read the object from the cluster, because the watch may be behind.
    Read,
    Create,
    PatchObject,
    DeleteObject,
    DeleteRow,
    UpdateRow(Box<ObservedSession>),
    MarkMissing,
    Adopt,
}

/// `live`: the object was read from the cluster and not from the watch's cache.
pub fn decide(row: Option<&Row>, object: Option<&Object>, live: bool) -> Step {
    let if_live = |step: Step| if live { step } else { Step::Read };
    let Some(row) = row else {
        return match object {
            Some(object) if !object.is_deleting() => if_live(Step::Adopt),
            _ => Step::Nothing,
        };
    };
    if row.desired == DELETED {
        return match object {
            Some(object) if object.is_deleting() => Step::Nothing,
            Some(_) => Step::DeleteObject,
            None => if_live(Step::DeleteRow),
        };
    }
    if row.is_missing() {
        return match object {
            Some(object) if !object.is_deleting() => if_live(Step::Adopt),
            _ => Step::Nothing,
        };
    }
    if row.applied < row.requested {
        return if row.object_uid.is_none() { Step::Create } else { Step::PatchObject };
    }
    let Some(object) = object else { return if_live(Step::MarkMissing) };
    if object.is_deleting() {
        return Step::Nothing;
    }
    if row.object_uid.as_deref() != Some(object.uid()) {
        // another object of this name: the recorded one was deleted, and another client created this one
        return if_live(Step::MarkMissing);
    }
    if object.generation() < row.object_generation {
        return Step::Nothing;
    }
    let observed = observe(row, object);
    if observed == recorded(row) { Step::Nothing } else { Step::UpdateRow(Box::new(observed)) }
}

/// The object's state in the row's terms. Values that the object does not define are taken from the row.
pub fn observe(row: &Row, object: &Object) -> ObservedSession {
    let phase = if object.phase().is_empty() { "Pending" } else { object.phase() };
    let state = match (object.spec.state.as_str(), phase) {
        ("running", "Running") => "running",
        ("hibernated", "Hibernated") => "hibernated",
        ("terminated", "Terminated") => "terminated",
        (_, "Failed") => "failed",
        _ => row.state.as_str(),
    };
    let status = object.status.as_ref();
    let message = status.and_then(|status| status.conditions.iter().find(|c| c.kind == "Ready"));
    ObservedSession {
        uid: object.uid().to_owned(),
        generation: object.generation(),
        desired: object.spec.state.clone(),
        state: state.to_owned(),
        phase: phase.to_owned(),
        message: message.map_or_else(|| row.message.clone(), |condition| condition.message.clone()),
        cpu: object.request("cpu").unwrap_or(&row.cpu).to_owned(),
        memory: object.request("memory").unwrap_or(&row.memory).to_owned(),
        url: status.and_then(|status| status.url.clone()),
        pod_name: status.and_then(|status| status.pod_name.clone()),
    }
}

/// The recorded state, for comparison with the observed one.
pub fn recorded(row: &Row) -> ObservedSession {
    ObservedSession {
        uid: row.object_uid.clone().unwrap_or_default(),
        generation: row.object_generation,
        desired: row.desired.clone(),
        state: row.state.clone(),
        phase: row.phase.clone(),
        message: row.message.clone(),
        cpu: row.cpu.clone(),
        memory: row.memory.clone(),
        url: row.url.clone(),
        pod_name: row.pod_name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syncer::convert::blank;
    use serde_json::json;

    fn row(state: &str, desired: &str, requested: i64, applied: i64) -> Row {
        Row {
            state: state.into(),
            phase: "Running".into(),
            desired: desired.into(),
            requested,
            applied,
            object_uid: (applied > 0).then(|| "u1".into()),
            object_generation: applied,
            ..blank("s")
        }
    }

    fn object(uid: &str, generation: i64, state: &str, phase: &str) -> Object {
        serde_json::from_value(json!({
            "metadata": { "name": "s", "uid": uid, "generation": generation },
            "spec": { "user": "a", "template": "t", "state": state },
            "status": { "phase": phase },
        }))
        .unwrap()
    }

    #[test]
    fn sends_api_requests_to_the_cluster() {
        assert_eq!(decide(Some(&row("pending", "running", 1, 0)), None, false), Step::Create);
        let old = object("u1", 1, "running", "Running");
        assert_eq!(decide(Some(&row("running", "hibernated", 2, 1)), Some(&old), false), Step::PatchObject);
    }

    #[test]
    fn records_the_object_once_requests_are_applied() {
        let by_hand = object("u1", 2, "hibernated", "Hibernated");
        let Step::UpdateRow(seen) = decide(Some(&row("running", "running", 1, 1)), Some(&by_hand), false) else {
            panic!()
        };
        assert_eq!((seen.desired.as_str(), seen.state.as_str(), seen.generation), ("hibernated", "hibernated", 2));
    }

    #[test]
    fn ignores_objects_older_than_the_last_change() {
        let old = object("u1", 1, "running", "Running");
        let applied_row = Row { phase: "Running".into(), ..row("running", "hibernated", 2, 2) };
        assert_eq!(decide(Some(&applied_row), Some(&old), false), Step::Nothing);
    }

    #[test]
    fn reports_a_state_only_with_the_matching_phase() {
        let hibernating = object("u1", 2, "hibernated", "Running");
        assert_eq!(observe(&row("running", "hibernated", 2, 2), &hibernating).state, "running");
        assert_eq!(observe(&row("pending", "running", 1, 1), &object("u1", 1, "running", "Failed")).state, "failed");
    }

    #[test]
    fn reads_the_object_before_concluding_that_it_is_missing() {
        let running = row("running", "running", 1, 1);
        assert_eq!(decide(Some(&running), None, false), Step::Read);
        assert_eq!(decide(Some(&running), None, true), Step::MarkMissing);
        let other = object("u2", 1, "running", "Running");
        assert_eq!(decide(Some(&running), Some(&other), false), Step::Read);
        assert_eq!(decide(Some(&running), Some(&other), true), Step::MarkMissing);
        assert_eq!(decide(None, Some(&other), false), Step::Read);
        assert_eq!(decide(None, Some(&other), true), Step::Adopt);
    }

    #[test]
    fn deletes_the_row_only_after_the_object_is_gone() {
        let deleted = row("terminating", DELETED, 2, 1);
        let there = object("u1", 1, "running", "Running");
        assert_eq!(decide(Some(&deleted), Some(&there), false), Step::DeleteObject);
        let mut deleting = there.clone();
        deleting.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::now()));
        assert_eq!(decide(Some(&deleted), Some(&deleting), true), Step::Nothing);
        assert_eq!(decide(Some(&deleted), None, false), Step::Read);
        assert_eq!(decide(Some(&deleted), None, true), Step::DeleteRow);
    }

    #[test]
    fn a_missing_session_is_not_recreated_but_adopted() {
        let lost = Row { phase: "Missing".into(), ..row("failed", "running", 1, 1) };
        assert_eq!(decide(Some(&lost), None, true), Step::Nothing);
        assert_eq!(decide(Some(&lost), Some(&object("u2", 1, "running", "")), true), Step::Adopt);
    }
}
