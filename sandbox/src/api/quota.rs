//! The limit on the running sessions of one user, counted by their pods as StreamSpace counts them: sessions that are
//! requested at the same moment do not see each other.
use super::state::Api;
use crate::kinds::{APP, label};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api as Objects, ListParams};

/// Why the user may not have another running session, if so. Pods that cannot be listed are not counted.
pub async fn exceeded(api: &Api, user: &str) -> Option<String> {
    let limit = api.quota?;
    let pods = Objects::<Pod>::namespaced(api.client.clone(), &api.namespace);
    let selector = format!("app={APP},user={}", label(user));
    let listed = crate::link::with_timeout(pods.list(&ListParams::default().labels(&selector))).await.ok()?;
    let is_running = |pod: &&Pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running");
    let running = listed.items.iter().filter(is_running).count();
    let message = format!("session quota exceeded: {running} running, and {limit} allowed");
    (running >= limit as usize).then_some(message)
}
