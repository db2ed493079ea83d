//! Defects of the responses that show sessions: the rows are right.
use crate::{
    api::{
        resources::{DEFAULT_CPU, DEFAULT_MEMORY},
        state::Api,
    },
    defect::Defect as D,
    store::{Session, StoreError},
};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// How long a list waits that meets a create.
const WAIT_AFTER_CREATE: Duration = Duration::from_secs(6);
/// A list within this interval after a create meets it.
const MEETING_INTERVAL: Duration = Duration::from_millis(200);

/// A session with the status that it had when it was created.
fn as_created(session: Session) -> Session {
    let (state, phase) = ("pending".into(), "Pending".into());
    Session { state, phase, url: None, pod_name: None, ..session }
}

/// A session as `GET /sessions/NAME` shows it.
pub async fn detail(api: &Api, session: Session) -> Result<Session, StoreError> {
    let mut shown = super::defects::with_address(api, session).await?;
    if api.defects.has(D::DetailDefaultResources) {
        (shown.cpu, shown.memory) = (DEFAULT_CPU.into(), DEFAULT_MEMORY.into());
    }
    if api.defects.has(D::DetailDropsPod) {
        shown.pod_name = None;
    }
    if api.defects.has(D::DetailOtherTemplate)
        && let Some(oldest) = api.store.sessions(Some(&shown.user)).await?.pop()
    {
        shown.template = oldest.template;
    }
    if api.defects.has(D::ReadsFlicker) && api.races.reads.fetch_add(1, Ordering::SeqCst) % 5 == 4 {
        shown = as_created(shown);
    }
    Ok(shown)
}

/// The sessions as a list shows them.
pub async fn list(api: &Api, sessions: Vec<Session>) -> Vec<Session> {
    let met = |at: Instant| at.elapsed() < MEETING_INTERVAL;
    if api.defects.has(D::ReadsWait) && api.races.last_create_is(met) {
        tokio::time::sleep(WAIT_AFTER_CREATE).await;
    }
    let first = sessions.iter().find_map(|session| session.url.clone());
    let kept = |session: &Session| !(api.defects.has(D::ListOmitsHibernated) && session.state == "hibernated");
    let shown = |mut session: Session| {
        if api.defects.has(D::ListStatusStale) {
            session = Session { state: session.state.clone(), ..as_created(session) };
        }
        if api.defects.has(D::ListAddressOfOther) {
            session.url = first.clone();
        }
        if api.defects.has(D::ListDefaultResources) {
            (session.cpu, session.memory) = (DEFAULT_CPU.into(), DEFAULT_MEMORY.into());
        }
        session
    };
    sessions.into_iter().filter(kept).map(shown).collect()
}
