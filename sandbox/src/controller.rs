//! The controller: reconciles Sessions and Templates.
//!
//! The controller manages a session's Deployment and Service and the status of both kinds. It knows only the cluster,
//! not the database or the API.
mod child_defects;

use super::{
    background::Background,
    defect::{Defect, Defects},
    kinds::{APP, Condition, SESSION_LABEL, Session, SessionStatus, Template, TemplateStatus},
    link::{Backoff, ClusterError, create_if_absent, found},
};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    runtime::{
        Controller, controller,
        controller::Action,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use serde_json::{Value as Json, json};
use std::{sync::Arc, time::Duration};

const DOMAIN: &str = "streamspace.local";
/// Delay before an operation is retried.
const RETRY_DELAY: Duration = Duration::from_millis(250);
/// A delay longer than every timeout of the clients.
const LATE_DELAY: Duration = Duration::from_secs(6);
/// Start-up time of a simulated pod.
const POD_START_DELAY: Duration = Duration::from_millis(500);

/// Starts the watches. The returned store of templates is filled as soon as the cluster responds.
pub fn start(background: &Background) -> Store<Template> {
    let (client, namespace) = (background.client.clone(), background.namespace.as_str());
    let context = Arc::new(background.clone());
    let everything = watcher::Config::default;

    let templates = Controller::new(Api::<Template>::namespaced(client.clone(), namespace), everything())
        .trigger_backoff(Backoff::default());
    let template_store = templates.store();
    let run = templates.run(reconcile_template, on_error::<Template>, context.clone()).for_each(|_| async {});
    background.spawn(run);

    let sessions = Controller::new(Api::<Session>::namespaced(client.clone(), namespace), everything());
    let known = sessions.store();
    // changes within this interval are reconciled together
    let debounce = if background.defects.has(Defect::ReconcileLate) { LATE_DELAY } else { Duration::ZERO };
    let run = sessions
        .owns(Api::<Deployment>::namespaced(client.clone(), namespace), everything())
        .owns(Api::<Service>::namespaced(client.clone(), namespace), everything())
        // a session may have been created before its template existed or was validated
        .watches(Api::<Template>::namespaced(client, namespace), everything(), move |template| {
            let name = template.metadata.name.unwrap_or_default();
            let waiting = known.state().into_iter().filter(move |s| s.spec.template == name && s.phase() != "Running");
            waiting.map(|session| ObjectRef::from_obj(&*session)).collect::<Vec<_>>()
        })
        .trigger_backoff(Backoff::default())
        .with_config(controller::Config::default().debounce(debounce))
        .run(reconcile_session, on_error::<Session>, context)
        .for_each(|_| async {});
    background.spawn(run);

    template_store
}

fn on_error<K: kube::Resource<DynamicType = ()>>(
    object: Arc<K>,
    error: &ClusterError,
    context: Arc<Background>,
) -> Action {
    let name = object.meta().name.clone().unwrap_or_default();
    let kind = K::kind(&());
    context
        .log
        .warn("cluster: reconcile failed, will be retried", &[("kind", &kind), ("name", &name), ("cause", error)]);
    Action::requeue(RETRY_DELAY)
}

async fn reconcile_template(template: Arc<Template>, context: Arc<Background>) -> Result<Action, ClusterError> {
    context.delays.wait().await;
    let image = template.spec.base_image.trim();
    let status = if image.is_empty() || image.contains(char::is_whitespace) {
        TemplateStatus { valid: Some(false), message: Some(format!("baseImage {image:?} is not the name of an image")) }
    } else {
        TemplateStatus { valid: Some(true), message: Some("Template is valid".into()) }
    };
    if template.metadata.deletion_timestamp.is_none() && template.status.as_ref() != Some(&status) {
        let api = Api::<Template>::namespaced(context.client.clone(), &context.namespace);
        let name = template.metadata.name.as_deref().unwrap_or_default();
        let patch = Patch::Merge(json!({ "status": status }));
        found(api.patch_status(name, &PatchParams::default(), &patch)).await?;
    }
    Ok(Action::await_change())
}

async fn reconcile_session(session: Arc<Session>, context: Arc<Background>) -> Result<Action, ClusterError> {
    context.delays.wait().await;
    if session.is_deleting() {
        return Ok(Action::await_change());
    }
    if let Some(early) = assumed_status(&session, context.defects)
        && early.ready
        && session.phase() != early.phase
    {
        write_status(&session, early, &context).await?;
        tokio::time::sleep(POD_START_DELAY).await;
    }
    let templates = Api::<Template>::namespaced(context.client.clone(), &context.namespace);
    let template = found(templates.get(&session.spec.template)).await?;
    let valid = template.as_ref().and_then(|template| template.status.as_ref()?.valid);
    let status = match (&template, valid) {
        (None, _) => waiting(&session, "TemplateMissing", format!("Template {} does not exist", session.spec.template)),
        (Some(_), None) => waiting(&session, "TemplateNotChecked", "The template has not been checked yet".into()),
        (Some(_), Some(false)) => Status {
            phase: "Failed",
            reason: "TemplateInvalid",
            message: format!("Template {} is not valid", session.spec.template),
            ready: false,
        },
        (Some(template), Some(true)) => match reconcile_children(&session, template, &context).await {
            // a retry cannot succeed
            Err(error) if matches!(error.status(), Some(400 | 422)) => {
                Status { phase: "Failed", reason: "Rejected", message: error.to_string(), ready: false }
            }
            children => children?,
        },
    };
    let unready = !status.ready;
    write_status(&session, assumed_status(&session, context.defects).unwrap_or(status), &context).await?;
    // a Deployment without owner reference triggers no reconcile
    let requeue = unready && context.defects.has(Defect::OrphansDeployment);
    Ok(if requeue { Action::requeue(RETRY_DELAY) } else { Action::await_change() })
}

/// Defects that report a phase without observing the pod.
fn assumed_status(session: &Session, defects: Defects) -> Option<Status> {
    match session.spec.state.as_str() {
        "running" if defects.has(Defect::RunningBeforePod) => {
            Some(Status { phase: "Running", reason: "Asked", message: "Session is running".into(), ready: true })
        }
        "hibernated" if defects.has(Defect::HibernatedKeepsPod) => {
            let message = "Session is hibernated".into();
            Some(Status { phase: "Hibernated", reason: "Asked", message, ready: false })
        }
        _ => None,
    }
}

struct Status {
    phase: &'static str,
    reason: &'static str,
    message: String,
    ready: bool,
}

fn waiting(session: &Session, reason: &'static str, message: String) -> Status {
    let phase = if session.spec.state == "hibernated" { "Hibernated" } else { "Pending" };
    Status { phase, reason, message, ready: false }
}

async fn reconcile_children(
    session: &Session,
    template: &Template,
    context: &Background,
) -> Result<Status, ClusterError> {
    let deployments = Api::<Deployment>::namespaced(context.client.clone(), &context.namespace);
    let services = Api::<Service>::namespaced(context.client.clone(), &context.namespace);
    let name = session.name();
    let keeps_pod = context.defects.has(Defect::HibernatedKeepsPod);
    let replicas = i32::from(keeps_pod || session.spec.state == "running");

    let mut made = false;
    let deployment =
        match found(deployments.get(name)).await? {
            None => {
                made = true;
                create_if_absent(deployments.create(
                    &PostParams::default(),
                    &from_json(deployment(session, template, replicas, context.defects)),
                ))
                .await?
            }
            Some(existing) => {
                let only_down = context.defects.has(Defect::WakeWithoutPod);
                let replicas = if only_down { existing.spec.replicas.unwrap_or(1).min(replicas) } else { replicas };
                let wanted = container(session, template, context.defects);
                let pod = existing.spec.template.spec.as_ref();
                let current = pod.and_then(|pod| pod.containers.first()?.resources.clone());
                let stale = serde_json::to_value(current).unwrap_or_default() != wanted["resources"];
                if existing.spec.replicas != Some(replicas) || stale {
                    let patch =
                        json!({ "spec": { "replicas": replicas, "template": { "spec": { "containers": [wanted] } } } });
                    found(deployments.patch(name, &PatchParams::default(), &Patch::Merge(patch))).await?
                } else {
                    Some(existing)
                }
            }
        };
    let service = format!("ss-{name}");
    let belonging = json!({ "labels": labels(session), "ownerReferences": owner(session, false) });
    child_defects::add_children(session, made, belonging, context).await?;
    let omitted = child_defects::omits_service(session, made, &services, context).await?;
    if !omitted && found(services.get(&service)).await?.is_none() {
        made = true;
        create_if_absent(
            services.create(&PostParams::default(), &from_json(self::service(session, &service, context.defects))),
        )
        .await?;
    }
    if made {
        delete_orphans(session, &deployments, &services, &service, context).await?;
    }
    Ok(progress(session, deployment.as_ref()))
}

/// Deletes the children if the session was deleted meanwhile: the garbage collector may have run before they were
/// created.
async fn delete_orphans(
    session: &Session,
    deployments: &Api<Deployment>,
    services: &Api<Service>,
    service: &str,
    context: &Background,
) -> Result<(), ClusterError> {
    let sessions = Api::<Session>::namespaced(context.client.clone(), &context.namespace);
    let owner = found(sessions.get(session.name())).await?;
    if owner.is_some_and(|owner| owner.uid() == session.uid()) {
        return Ok(());
    }
    let ours = |owners: &Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>>| {
        owners.as_ref().is_some_and(|owners| owners.iter().any(|owner| owner.uid == session.uid()))
    };
    let only = |uid: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version: None }),
        ..DeleteParams::background()
    };
    if let Some(left) = found(deployments.get(session.name())).await?
        && ours(&left.metadata.owner_references)
    {
        found(deployments.delete(session.name(), &only(left.metadata.uid))).await?;
    }
    if let Some(left) = found(services.get(service)).await?
        && ours(&left.metadata.owner_references)
    {
        found(services.delete(service, &only(left.metadata.uid))).await?;
    }
    Ok(())
}

/// The status that follows from the Deployment. A Deployment status of an older generation is ignored.
fn progress(session: &Session, deployment: Option<&Deployment>) -> Status {
    let status = deployment.and_then(|deployment| deployment.status.as_ref());
    let current = deployment.is_some_and(|deployment| {
        status.and_then(|status| status.observed_generation) >= deployment.metadata.generation
    });
    let available = status.and_then(|status| status.available_replicas).unwrap_or_default();
    let total = status.and_then(|status| status.replicas).unwrap_or_default();
    match session.spec.state.as_str() {
        "running" if current && available >= 1 => {
            Status { phase: "Running", reason: "PodAvailable", message: "Session is running".into(), ready: true }
        }
        "running" => {
            Status { phase: "Pending", reason: "PodPending", message: "Waiting for the pod".into(), ready: false }
        }
        state => {
            let (ended, message) = if state == "hibernated" {
                ("Hibernated", "Session is hibernated")
            } else {
                ("Terminated", "Session is terminated")
            };
            if current && total == 0 && available == 0 {
                Status { phase: ended, reason: "NoPod", message: message.into(), ready: false }
            } else {
                let phase = if session.phase() == "Running" { "Running" } else { "Pending" };
                Status { phase, reason: "PodStopping", message: "Waiting for the pod to stop".into(), ready: false }
            }
        }
    }
}

async fn write_status(session: &Session, status: Status, context: &Background) -> Result<(), ClusterError> {
    let running = status.phase == "Running";
    let old = session.status.clone().unwrap_or_default();
    let ready = if status.ready { "True" } else { "False" };
    let since = old.conditions.iter().find(|c| c.kind == "Ready" && c.status == ready);
    let since =
        since.and_then(|c| c.last_transition_time.clone()).unwrap_or_else(|| format!("{:.0}", Timestamp::now()));
    let new = SessionStatus {
        phase: Some(status.phase.into()),
        pod_name: running.then(|| session.name().to_owned()),
        url: running.then(|| format!("https://{}.{DOMAIN}", child_defects::host(session, context.defects))),
        conditions: vec![Condition {
            kind: "Ready".into(),
            status: ready.into(),
            reason: status.reason.into(),
            message: status.message,
            last_transition_time: Some(since),
        }],
    };
    if new == old {
        return Ok(());
    }
    // null removes a field; omitting it would keep it
    let patch = json!({ "status": {
        "phase": new.phase, "podName": new.pod_name, "url": new.url, "conditions": new.conditions,
    } });
    let sessions = Api::<Session>::namespaced(context.client.clone(), &context.namespace);
    found(sessions.patch_status(session.name(), &PatchParams::default(), &Patch::Merge(patch))).await?;
    Ok(())
}

fn from_json<T: serde::de::DeserializeOwned>(json: Json) -> T {
    serde_json::from_value(json).expect("written here, by the kind's own schema")
}

fn owner(session: &Session, omitted: bool) -> Json {
    if omitted {
        return Json::Null;
    }
    json!([{
        "apiVersion": format!("{}/{}", crate::kinds::GROUP, crate::kinds::VERSION),
        "kind": "Session", "name": session.name(), "uid": session.uid(), "controller": true, "blockOwnerDeletion": true,
    }])
}

fn labels(session: &Session) -> Json {
    let label = crate::kinds::label;
    json!({
        "app": APP, SESSION_LABEL: session.name(),
        "user": label(&session.spec.user), "template": label(&session.spec.template),
    })
}

fn container(session: &Session, template: &Template, defects: Defects) -> Json {
    let resources = session.spec.resources.clone().unwrap_or_default();
    let limits = if resources.limits.is_empty() { &resources.requests } else { &resources.limits };
    let resources = if resources.requests.is_empty() {
        json!({})
    } else {
        json!({ "limits": limits, "requests": resources.requests })
    };
    let resources = child_defects::container_resources(session, resources, defects);
    json!({
        "name": "session", "image": template.spec.base_image, "resources": resources,
        "ports": [{ "name": "vnc", "containerPort": 3000, "protocol": "TCP" }],
    })
}

fn deployment(session: &Session, template: &Template, replicas: i32, defects: Defects) -> Json {
    let owner = owner(session, defects.has(Defect::OrphansDeployment));
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": session.name(), "labels": labels(session), "ownerReferences": owner },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": APP, SESSION_LABEL: session.name() } },
            "template": {
                "metadata": { "labels": labels(session) },
                "spec": { "containers": [container(session, template, defects)] },
            },
        },
    })
}

fn service(session: &Session, name: &str, defects: Defects) -> Json {
    let owner = owner(session, defects.has(Defect::OrphansService));
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "labels": labels(session), "ownerReferences": owner },
        "spec": {
            "type": "ClusterIP",
            "selector": { "app": APP, SESSION_LABEL: child_defects::selected(session, defects) },
            "ports": [{ "name": "vnc", "port": 3000, "targetPort": 3000, "protocol": "TCP" }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(state: &str, before: &str, generation: i64, observed: i64, replicas: i32) -> &'static str {
        let session: Session = from_json(
            json!({ "metadata": { "name": "s" }, "spec": { "state": state }, "status": { "phase": before } }),
        );
        let deployment: Deployment = from_json(json!({
            "metadata": { "generation": generation },
            "spec": { "selector": {}, "template": {} },
            "status": { "observedGeneration": observed, "replicas": replicas, "availableReplicas": replicas },
        }));
        progress(&session, Some(&deployment)).phase
    }

    #[test]
    fn reports_running_only_for_a_pod_of_the_current_generation() {
        assert_eq!(phase("running", "", 1, 1, 1), "Running");
        assert_eq!(phase("running", "", 1, 1, 0), "Pending");
        assert_eq!(phase("running", "Hibernated", 2, 1, 1), "Pending", "a pod of an older generation");
    }

    #[test]
    fn reports_hibernated_only_after_the_pod_is_gone() {
        assert_eq!(phase("hibernated", "Running", 2, 1, 1), "Running");
        assert_eq!(phase("hibernated", "Running", 2, 2, 1), "Running");
        assert_eq!(phase("hibernated", "Running", 2, 2, 0), "Hibernated");
        assert_eq!(phase("terminated", "Running", 2, 2, 0), "Terminated");
    }

    #[test]
    fn status_defects_affect_only_their_phase() {
        let assumed_phase = |state: &str, defects: &[Defect]| {
            let session: Session = from_json(json!({ "metadata": { "name": "s" }, "spec": { "state": state } }));
            assumed_status(&session, defects.iter().copied().collect()).map(|status| status.phase)
        };
        for state in ["running", "hibernated", "terminated"] {
            assert_eq!(assumed_phase(state, &[]), None);
        }
        assert_eq!(assumed_phase("running", &[Defect::RunningBeforePod]), Some("Running"));
        assert_eq!(assumed_phase("hibernated", &[Defect::RunningBeforePod]), None);
        assert_eq!(assumed_phase("hibernated", &[Defect::HibernatedKeepsPod]), Some("Hibernated"));
        assert_eq!(assumed_phase("running", &[Defect::HibernatedKeepsPod]), None);
    }

    #[test]
    fn children_have_owner_references_unless_a_defect_is_on() {
        let session: Session =
            from_json(json!({ "metadata": { "name": "s", "uid": "u1" }, "spec": { "state": "running" } }));
        let owned = |defects: &[Defect]| {
            let defects: Defects = defects.iter().copied().collect();
            [deployment(&session, &Template::default(), 1, defects), service(&session, "ss-s", defects)]
                .map(|child| child["metadata"]["ownerReferences"][0]["uid"] == "u1")
        };
        assert_eq!(owned(&[]), [true, true]);
        assert_eq!(owned(&[Defect::OrphansDeployment]), [false, true]);
        assert_eq!(owned(&[Defect::OrphansService]), [true, false]);
    }

    #[test]
    fn is_pending_without_a_deployment() {
        let session: Session = from_json(json!({ "metadata": { "name": "s" }, "spec": { "state": "hibernated" } }));
        assert_eq!(progress(&session, None).phase, "Pending");
    }
}
