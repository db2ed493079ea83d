//! The copies of sessions that the defect `reads-stale` returns.
use super::session::Session;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a copy is kept after it was last read.
const CACHE_LIFETIME: Duration = Duration::from_secs(10);

/// Copies of sessions as they were first read, with the time of the last read.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<String, (Instant, Session)>>);

impl Cache {
    /// The copy of a session. Reading extends its lifetime, so that it stays stale.
    pub fn get(&self, name: &str) -> Option<Session> {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, copy) = copies.get_mut(name).filter(|(read_at, _)| read_at.elapsed() < CACHE_LIFETIME)?;
        *read_at = Instant::now();
        Some(copy.clone())
    }

    pub fn put(&self, session: &Session) {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        copies.insert(session.name.clone(), (Instant::now(), session.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NewSession;

    #[test]
    fn returns_the_first_copy_until_it_expires() {
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
        let first = Session::new(&new);
        cache.put(&first);
        assert_eq!(cache.get("s"), Some(first.clone()));
        assert_eq!(cache.get("other"), None);
        let long_ago = Instant::now().checked_sub(CACHE_LIFETIME).unwrap();
        cache.0.lock().unwrap().insert("s".into(), (long_ago, first));
        assert_eq!(cache.get("s"), None);
    }
}
