//! What background tasks share: client, log, defects, delays and the stop signal.
use super::{defect::Defects, delays::Delays, log::Log};
use kube::Client;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[derive(Clone)]
pub struct Background {
    pub client: Client,
    /// The namespace of sessions and templates.
    pub namespace: String,
    pub defects: Defects,
    /// Pods take a moment to start: else the quota would count those of requests that were sent together.
    pub slow_pods: bool,
    pub delays: Delays,
    pub log: Log,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

impl Background {
    /// Spawns a task, which is dropped when the platform stops.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}
