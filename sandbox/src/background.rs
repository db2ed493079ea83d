//! What those who work in the background share: their way to the cluster, where they write what happened, what they get wrong,
//! how slow they are, and when they stop. It must not know who they are.
use super::{defect::Defects, delays::Delays, log::Log};
use kube::Client;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[derive(Clone)]
pub struct Background {
    pub client: Client,
    /// Where sessions and templates live.
    pub namespace: String,
    pub defects: Defects,
    pub delays: Delays,
    pub log: Log,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

impl Background {
    /// Until it ends, or until the platform stops.
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
