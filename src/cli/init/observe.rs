//! Looks at a system without a document, with the runner's own verbs, and writes the plan for what was observed.
use super::{
    answers::{Answers, System},
    trial::Trial,
};
use crate::{
    cli::failure::Failure,
    init::{
        plan::Written,
        service::{
            self, DatabaseKind, DatabaseObservation, HttpObservation, KubernetesObject, KubernetesObservation, Table,
        },
    },
    value::Value,
};
use std::time::Duration;

/// Two observations, this long apart, tell which values change.
const PAUSE: Duration = Duration::from_millis(1200);
/// Resources of a namespace to look for.
const RESOURCES: &[(&str, &str)] =
    &[("deployments.apps", "Deployment"), ("statefulsets.apps", "StatefulSet"), ("services", "Service")];

pub async fn plan(trial: &Trial<'_>, answers: &Answers) -> Result<Written, Failure> {
    let written = match &answers.system {
        System::Http(_) | System::Sandbox => {
            let title = format!("First plan of {}", answers.shown());
            service::http(&answers.id, &title, &http(trial).await?)
        }
        System::Database(url) => {
            service::database(&answers.id, "First plan of the database", &database(trial, url).await?)
        }
        System::Kubernetes => service::kubernetes(&answers.id, &kubernetes(trial).await?),
    };
    let nothing =
        || Failure::unreachable(format!("error: nothing was found in {} that a plan could assert", answers.shown()));
    written.ok_or_else(nothing)
}

async fn http(trial: &Trial<'_>) -> Result<Vec<HttpObservation>, Failure> {
    let mut all: Vec<HttpObservation> = vec![];
    for round in 0..2 {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        for path in service::PROBES.iter().chain([&service::UNKNOWN_PATH]) {
            let action = format!("http: {{ request: 'GET {path}' }}");
            let Some(output) = trial.observe(&action).await? else { continue };
            let Some(status) = output.get("status").and_then(Value::as_i64).and_then(|s| u16::try_from(s).ok()) else {
                continue;
            };
            if status == 404 && *path != service::UNKNOWN_PATH {
                continue;
            }
            let of = |name: &str| output.get(name).filter(|v| v.incomplete().is_none());
            let body = of("body").map(Value::to_json);
            match all.iter_mut().find(|o| o.path == *path) {
                Some(first) => first.bodies.extend(body),
                None if round == 0 => all.push(HttpObservation {
                    path: (*path).into(),
                    status,
                    content_type: of("headers").and_then(|h| h.get("content-type")).map(Value::to_string),
                    text: if body.is_some() { None } else { of("text").map(Value::to_string) },
                    bodies: body.into_iter().collect(),
                }),
                None => {}
            }
        }
    }
    Ok(all)
}

async fn database(trial: &Trial<'_>, url: &str) -> Result<DatabaseObservation, Failure> {
    let kind = match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => DatabaseKind::Postgres,
        Some("mysql" | "mariadb") => DatabaseKind::Mysql,
        _ => DatabaseKind::Sqlite,
    };
    let sql = serde_json::Value::from(kind.observe()).to_string();
    let output = trial.observe(&format!("db: {{ sql: {sql} }}")).await?.unwrap_or_default();
    let mut tables: Vec<Table> = vec![];
    for row in output.get("rows").map(Value::items).unwrap_or_default() {
        let text = |name: &str| row.get(name).map(Value::to_string).unwrap_or_default();
        let (name, column) = (text("table_name"), text("column_name"));
        match tables.last_mut().filter(|t| t.name == name) {
            Some(table) => table.columns.push(column),
            None => tables.push(Table { name, columns: vec![column] }),
        }
    }
    let schema = match kind {
        DatabaseKind::Postgres => {
            let output = trial.observe("db: { sql: select current_schema() as name }").await?.unwrap_or_default();
            let rows = output.get("rows").map(Value::items).unwrap_or_default();
            rows.first().and_then(|row| row.get("name")).map(Value::to_string).unwrap_or_default()
        }
        _ => String::new(),
    };
    Ok(DatabaseObservation { kind, schema, tables })
}

async fn kubernetes(trial: &Trial<'_>) -> Result<KubernetesObservation, Failure> {
    let mut objects = vec![];
    for (resource, kind) in RESOURCES {
        let Some(output) = trial.observe(&format!("k8s: {{ list: {resource} }}")).await? else { continue };
        for item in output.get("items").map(Value::items).unwrap_or_default() {
            let Some(name) = item.get("metadata").and_then(|m| m.get("name")).and_then(Value::as_str) else { continue };
            let replicas = item.get("spec").and_then(|s| s.get("replicas")).and_then(Value::as_i64);
            objects.push(KubernetesObject {
                resource: (*resource).into(),
                kind: (*kind).into(),
                name: name.into(),
                replicas: replicas.and_then(|n| u64::try_from(n).ok()),
            });
        }
    }
    Ok(KubernetesObservation { namespace: "default".into(), objects })
}
