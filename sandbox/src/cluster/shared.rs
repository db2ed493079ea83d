//! The state that all requests share: the store behind a lock, and a notification of its changes.
use super::store::Store;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// The first segment of a path that carries the token: kubectl sends no credentials over plain HTTP.
pub(super) const TOKEN_PREFIX: &str = "bearer";

pub(super) struct Shared {
    pub store: Mutex<Store>,
    /// The version of the latest change.
    pub versions: tokio::sync::watch::Sender<u64>,
    pub closing: CancellationToken,
    pub token: String,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the store and notifies all watches.
    pub fn write<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let (result, version) = {
            let mut store = self.lock();
            let result = change(&mut store);
            (result, store.version())
        };
        self.versions.send_if_modified(|latest| {
            let newer = version > *latest;
            *latest = version.max(*latest);
            newer
        });
        result
    }
}
