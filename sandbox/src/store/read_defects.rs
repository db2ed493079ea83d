//! Defects of reading sessions: stale copies, torn lists, hidden rows. Without a defect the rows are returned
//! unchanged.
use super::{
    open::Store,
    session::{DELETED, Session},
    sql::StoreError,
};
use crate::defect::Defect;
use std::time::Duration;

const PAGE_SIZE: usize = 2;
/// Pause between two pages.
const PAGE_INTERVAL: Duration = Duration::from_millis(100);

impl Store {
    /// A session as the API returns it.
    pub async fn visible_session(&self, name: &str) -> Result<Option<Session>, StoreError> {
        if self.defects.has(Defect::ReadsStale)
            && let Some(copy) = self.cache.get(name)
        {
            return Ok(Some(copy));
        }
        let session = self.session(name).await?.filter(|session| !self.is_hidden(session));
        if let (true, Some(session)) = (self.defects.has(Defect::ReadsStale), &session) {
            self.cache.put(session);
        }
        Ok(session)
    }

    /// The sessions of a user, or all, as the API returns them.
    pub async fn visible_sessions(&self, user: Option<&str>) -> Result<Vec<Session>, StoreError> {
        let mut sessions = self.sessions(user).await?;
        if self.defects.has(Defect::ReadsTorn) {
            // paging by offset: rows that move between two pages are skipped or repeated
            let mut pages: Vec<Session> = vec![];
            while pages.len() < sessions.len() {
                pages.extend(sessions.iter().skip(pages.len()).take(PAGE_SIZE).cloned());
                tokio::time::sleep(PAGE_INTERVAL).await;
                sessions = self.sessions(user).await?;
            }
            sessions = pages;
        }
        sessions.retain(|session| !self.is_hidden(session));
        Ok(sessions)
    }

    fn is_hidden(&self, session: &Session) -> bool {
        self.defects.has(Defect::DeleteHides) && session.desired == DELETED
    }
}
