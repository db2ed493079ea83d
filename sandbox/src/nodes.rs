//! Simulates nodes: creates the pods of session Deployments and sets the Deployments' status.
//!
//! The simulation is needed in a cluster without kubelets, and not started if there are real nodes. It handles only
//! Deployments with the platform's `app` label.
use super::{
    background::Background,
    defect::Defect,
    kinds::APP,
    link::{Backoff, ClusterError, found, with_timeout},
};
use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Node, Pod},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{Controller, controller::Action, watcher},
};
use serde_json::{Value as Json, json};
use std::{sync::Arc, time::Duration};

const POD_START_DELAY: Duration = Duration::from_millis(500);

/// Whether the cluster has real nodes.
pub async fn has_nodes(client: &Client) -> Result<bool, ClusterError> {
    let nodes = found(Api::<Node>::all(client.clone()).list(&ListParams::default().limit(1))).await?;
    Ok(nodes.is_some_and(|nodes| !nodes.items.is_empty()))
}

pub fn start(background: &Background) {
    let (client, namespace) = (background.client.clone(), background.namespace.as_str());
    let context = Arc::new(background.clone());
    let ours = watcher::Config::default().labels(&format!("app={APP}"));
    let run = Controller::new(Api::<Deployment>::namespaced(client.clone(), namespace), ours.clone())
        .owns(Api::<Pod>::namespaced(client, namespace), ours)
        .trigger_backoff(Backoff::default())
        .run(reconcile_deployment, on_error, context)
        .for_each(|_| async {});
    background.spawn(run);
}

fn on_error(deployment: Arc<Deployment>, error: &ClusterError, context: Arc<Background>) -> Action {
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    context
        .log
        .warn("cluster: pods could not be reconciled, will be retried", &[("deployment", &name), ("cause", error)]);
    Action::requeue(Duration::from_millis(250))
}

async fn reconcile_deployment(deployment: Arc<Deployment>, context: Arc<Background>) -> Result<Action, ClusterError> {
    context.delays.wait().await;
    let (Some(name), Some(uid)) = (&deployment.metadata.name, &deployment.metadata.uid) else {
        return Ok(Action::await_change());
    };
    let spec = &deployment.spec;
    if deployment.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let pods = Api::<Pod>::namespaced(context.client.clone(), &context.namespace);
    let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default();
    let labels = spec.selector.match_labels.clone().unwrap_or_default();
    let selector = labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let owned = |pod: &Pod| pod.metadata.owner_references.iter().flatten().any(|owner| owner.uid == *uid);
    let mut existing: Vec<Pod> = with_timeout(pods.list(&ListParams::default().labels(&selector))).await?.items;
    existing.retain(|pod| owned(pod) && pod.metadata.deletion_timestamp.is_none());

    if context.defects.has(Defect::HibernatedPodLingers) {
        existing.truncate(wanted);
    }
    while existing.len() > wanted {
        let Some(pod) = existing.pop().and_then(|pod| pod.metadata.name) else { continue };
        // no kubelet has to stop a container first, so the grace period is 0
        found(pods.delete(&pod, &DeleteParams::default().grace_period(0))).await?;
    }
    if existing.len() < wanted && (context.slow_pods || context.defects.has(Defect::RunningBeforePod)) {
        // pods start slowly on real nodes; this exposes code that does not wait for them
        tokio::time::sleep(POD_START_DELAY).await;
    }
    while existing.len() < wanted {
        let pod = pod(name, uid, &deployment);
        existing.push(with_timeout(pods.create(&PostParams::default(), &pod)).await?);
    }
    for pod in &existing {
        let running = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        if let (false, Some(pod)) = (running, &pod.metadata.name) {
            let status =
                json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] } });
            found(pods.patch_status(pod, &PatchParams::default(), &Patch::Merge(status))).await?;
        }
    }

    let count = i32::try_from(existing.len()).unwrap_or(i32::MAX);
    let old = deployment.status.clone().unwrap_or_default();
    let up_to_date = old.observed_generation == deployment.metadata.generation
        && [old.replicas, old.available_replicas, old.ready_replicas].map(Option::unwrap_or_default) == [count; 3];
    if !up_to_date {
        let deployments = Api::<Deployment>::namespaced(context.client.clone(), &context.namespace);
        let status = json!({ "status": {
            "observedGeneration": deployment.metadata.generation, "replicas": count, "updatedReplicas": count,
            "readyReplicas": count, "availableReplicas": count,
        } });
        let updated = found(deployments.patch_status(name, &PatchParams::default(), &Patch::Merge(status))).await?;
        if updated.is_none_or(|updated| updated.metadata.uid.as_ref() != Some(uid)) {
            // the Deployment was deleted while its pods were being created
            for pod in existing.iter().filter_map(|pod| pod.metadata.name.as_deref()) {
                found(pods.delete(pod, &DeleteParams::default().grace_period(0))).await?;
            }
        }
    }
    Ok(Action::await_change())
}

fn pod(deployment: &str, uid: &str, of: &Deployment) -> Pod {
    let template = &of.spec.template;
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    let mut spec: Json = serde_json::to_value(template.spec.clone().unwrap_or_default()).unwrap_or_default();
    spec["automountServiceAccountToken"] = json!(false);
    let random = uuid::Uuid::new_v4().simple().to_string();
    serde_json::from_value(json!({
        "metadata": {
            "name": format!("{deployment}-{}", &random[..8]), "labels": labels,
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": deployment, "uid": uid,
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    }))
    .expect("written here, by the kind's own schema")
}
