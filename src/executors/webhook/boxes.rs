//! The boxes of an inbox, by path and by name; and counts of the requests that reached them or did not.
use super::mailbox::Mailbox;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicU64},
};

pub(super) struct Boxes {
    index: Mutex<Index>,
    /// How many requests reached no box, and the reason of the last one.
    pub unrouted: Mutex<(usize, String)>,
    /// How many requests reached a box.
    pub reached: AtomicU64,
    pub self_check: SelfCheck,
}

#[derive(Default)]
struct Index {
    by_path: HashMap<String, Arc<Mailbox>>,
    /// By case and name.
    by_name: HashMap<(String, String), Arc<Mailbox>>,
}

/// A path segment that only this inbox replies to, and the reply. `doctor` checks with them where a public URL leads.
pub(super) struct SelfCheck {
    pub path: String,
    pub reply: String,
}

impl Boxes {
    pub fn new() -> Boxes {
        let unique = || uuid::Uuid::new_v4().simple().to_string();
        Boxes {
            index: Mutex::default(),
            unrouted: Mutex::default(),
            reached: AtomicU64::new(0),
            self_check: SelfCheck { path: unique(), reply: unique() },
        }
    }

    /// `false`: another action of the case has opened a box of this name.
    pub fn insert(&self, case: &str, name: &str, mailbox: Mailbox) -> bool {
        let mut index = self.index.lock();
        let key = (case.to_string(), name.to_string());
        if index.by_name.get(&key).is_some_and(|m| m.opened_by != mailbox.opened_by) {
            return false;
        }
        let mailbox = Arc::new(mailbox);
        index.by_path.insert(mailbox.path.clone(), mailbox.clone());
        index.by_name.insert(key, mailbox);
        true
    }

    pub fn find(&self, case: &str, name: &str) -> Option<Arc<Mailbox>> {
        self.index.lock().by_name.get(&(case.to_string(), name.to_string())).cloned()
    }

    /// The names of the boxes of a case, sorted.
    pub fn names(&self, case: &str) -> Vec<String> {
        let index = self.index.lock();
        let mut names: Vec<_> = index.by_name.keys().filter(|(c, _)| c == case).map(|(_, n)| n.clone()).collect();
        names.sort();
        names
    }

    /// The box of a path, and the rest of the path behind it. A proxy may put segments before it.
    pub fn route<'p>(&self, path: &'p str) -> Option<(Arc<Mailbox>, &'p str)> {
        let index = self.index.lock();
        let mut rest = path;
        while let Some(start) = rest.find(|c| c != '/') {
            let segments = &rest[start..];
            let (segment, behind) = segments.split_at(segments.find('/').unwrap_or(segments.len()));
            if let Some(mailbox) = index.by_path.get(segment) {
                return Some((mailbox.clone(), behind));
            }
            rest = behind;
        }
        None
    }

    /// The reply to a request of the self-check.
    pub fn self_check_reply(&self, path: &str) -> Option<String> {
        path.split('/').any(|segment| segment == self.self_check.path).then(|| self.self_check.reply.clone())
    }

    pub fn record_unrouted(&self, reason: String) {
        let mut unrouted = self.unrouted.lock();
        *unrouted = (unrouted.0 + 1, reason);
    }
}
