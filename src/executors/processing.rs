//! Reads and converts large inputs on a thread of its own, so that timers, other actions and Ctrl-C are not held up.
use crate::{executor::ActionContext, file};
use std::{io, panic::resume_unwind, path::Path, sync::atomic::Ordering};

/// Below it, the work takes less time than the change of threads.
const SMALL_INPUT_BYTES: usize = 128 << 10;

/// Does `work` on an input of this size, which was received completely.
pub(super) async fn process<T: Send + 'static>(
    cx: &ActionContext<'_>,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    cx.processing.store(true, Ordering::SeqCst);
    let done = off_thread(bytes, work).await;
    cx.processing.store(false, Ordering::SeqCst);
    done
}

/// Like [`process`], where the state of the request is not known.
///
/// # Panics
/// If `work` does.
pub(super) async fn off_thread<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < SMALL_INPUT_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => match e.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            // the runtime shuts down
            Err(_) => std::future::pending().await,
        },
    }
}

/// Reads a file that a user wrote, in UTF-8.
pub(super) async fn read_text(path: &Path) -> io::Result<String> {
    let path = path.to_path_buf();
    off_thread(usize::MAX, move || file::read_text(&path)).await
}

/// Reads a file of at most `max_bytes`.
pub(super) async fn read_file_up_to(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let path = path.to_path_buf();
    off_thread(usize::MAX, move || file::read(&path, max_bytes)).await
}
