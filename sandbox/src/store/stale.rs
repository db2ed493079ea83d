//! What readers are shown of sessions when one of the defects of reading is on: a copy that is too old, a list in pieces, rows
//! that are hidden. It only reads, and without a defect it adds nothing.
use super::{DELETED, Session, Store, StoreError};
use crate::defect::Defect;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a copy is kept after somebody last asked for it.
const KEPT: Duration = Duration::from_secs(10);
const PAGE: usize = 2;
/// Between two pages.
const PAUSE: Duration = Duration::from_millis(100);

/// Sessions as they were when they were first asked for, and when they were last.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<String, (Instant, Session)>>);

impl Store {
    /// A session as it is shown to those who ask for it.
    pub async fn shown(&self, name: &str) -> Result<Option<Session>, StoreError> {
        if self.defects.has(Defect::ReadsStale)
            && let Some(copy) = self.cache.get(name)
        {
            return Ok(Some(copy));
        }
        let session = self.session(name).await?.filter(|session| !self.hidden(session));
        if let (true, Some(session)) = (self.defects.has(Defect::ReadsStale), &session) {
            self.cache.put(session);
        }
        Ok(session)
    }

    /// All of a user, or all, as they are shown.
    pub async fn listed(&self, user: Option<&str>) -> Result<Vec<Session>, StoreError> {
        let mut sessions = self.sessions(user).await?;
        if self.defects.has(Defect::ReadsTorn) {
            // Page by page, and by position: what moves between two pages is left out, or comes twice.
            let mut shown: Vec<Session> = vec![];
            while shown.len() < sessions.len() {
                shown.extend(sessions.iter().skip(shown.len()).take(PAGE).cloned());
                tokio::time::sleep(PAUSE).await;
                sessions = self.sessions(user).await?;
            }
            sessions = shown;
        }
        sessions.retain(|session| !self.hidden(session));
        Ok(sessions)
    }

    fn hidden(&self, session: &Session) -> bool {
        self.defects.has(Defect::DeleteHides) && session.desired == DELETED
    }
}

impl Cache {
    /// Whoever asks keeps it fresh, and so as it was.
    fn get(&self, name: &str) -> Option<Session> {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, copy) = copies.get_mut(name).filter(|(asked, _)| asked.elapsed() < KEPT)?;
        *asked = Instant::now();
        Some(copy.clone())
    }

    fn put(&self, session: &Session) {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        copies.insert(session.name.clone(), (Instant::now(), session.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NewSession;

    #[test]
    fn a_copy_stays_as_it_was_first_for_as_long_as_somebody_asks() {
        let new = NewSession {
            name: "s".into(),
            user: "ann".into(),
            template: "firefox".into(),
            namespace: "streamspace".into(),
            cpu: "100m".into(),
            memory: "128Mi".into(),
            persistent_home: true,
            idle_timeout: None,
            max_session_duration: None,
            tags: serde_json::json!([]),
        };
        let cache = Cache::default();
        assert_eq!(cache.get("s"), None);
        let first = Session::asked_for(&new);
        cache.put(&first);
        assert_eq!(cache.get("s"), Some(first.clone()));
        assert_eq!(cache.get("other"), None);
        let long_ago = Instant::now().checked_sub(KEPT).unwrap();
        cache.0.lock().unwrap().insert("s".into(), (long_ago, first));
        assert_eq!(cache.get("s"), None);
    }
}
