//! The open target: a client, what the cluster serves, and the watches that all cases share. Owns the difference between an answer
//! (also a refusal, which a plan may expect) and no answer (no connection, no credentials, a server that is down).
use super::{
    kinds::{Catalog, Kind},
    target::chain,
    watch::Watch,
};
use crate::executor::{StepError, Target};
use async_trait::async_trait;
use futures::future::join_all;
use http::{Method, Request, header};
use kube::client::{Body, Client};
use serde_json::Value as Json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

pub struct Cluster {
    pub client: Client,
    /// Where objects are looked for when the plan does not say.
    pub namespace: String,
    pub address: String,
    /// What a line of kubectl needs in order to reach the same cluster.
    pub flags: Vec<String>,
    catalog: tokio::sync::Mutex<Option<Arc<Catalog>>>,
    /// By the path that is watched, with its field selector.
    watches: Mutex<HashMap<(String, String), Arc<Watch>>>,
}

/// What the server said. A code of 400 and above is a refusal, and `json` a `Status`.
pub struct Answer {
    pub code: u16,
    pub json: Json,
}

impl Answer {
    pub fn refused(&self) -> bool {
        self.code >= 400
    }
}

#[async_trait]
impl Target for Cluster {
    async fn close(&self) {
        self.end();
    }

    async fn version(&self) -> Option<String> {
        let answer = self.ask(&Method::GET, "/version", None).await.ok()?;
        answer.json["gitVersion"].as_str().map(|v| format!("Kubernetes {v}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

impl Cluster {
    fn end(&self) {
        let watches = std::mem::take(&mut *self.watches.lock().unwrap_or_else(PoisonError::into_inner));
        watches.into_values().for_each(|w| w.stop());
    }

    pub fn new(client: Client, namespace: String, address: String, flags: Vec<String>) -> Self {
        let (catalog, watches) = (tokio::sync::Mutex::default(), Mutex::default());
        Cluster { client, namespace, address, flags, catalog, watches }
    }

    /// Sends one request. `body` comes with its content type.
    ///
    /// # Errors
    /// `Unreachable` where there is no answer to judge: no connection, 401, 429, 5xx, or a server that is no Kubernetes API.
    pub async fn ask(&self, method: &Method, path: &str, body: Option<(&str, &Json)>) -> Result<Answer, StepError> {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, "application/json");
        let mut bytes = vec![];
        if let Some((kind, json)) = body {
            request = request.header(header::CONTENT_TYPE, kind);
            bytes = serde_json::to_vec(json).unwrap_or_default();
        }
        let request = request
            .body(Body::from(bytes))
            .map_err(|e| StepError::Invalid(format!("`{path}` is no path of an API: {e}")))?;
        let lost = |e: kube::Error| {
            StepError::Unreachable(format!("no answer from the cluster at {}: {}", self.address, chain(&e)))
        };
        let response = self.client.send(request).await.map_err(lost)?;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect_bytes().await.map_err(lost)?;
        let json: Option<Json> = serde_json::from_slice(&bytes).ok();
        let said = |json: &Option<Json>| {
            let message = json.as_ref().and_then(|j| j["message"].as_str()).map(str::to_string);
            message.unwrap_or_else(|| String::from_utf8_lossy(&bytes).chars().take(200).collect())
        };
        match (code, json) {
            (401, json) => Err(StepError::Unreachable(format!(
                "the cluster at {} does not accept our credentials (401): {}; renew those of the kubeconfig",
                self.address,
                said(&json)
            ))),
            (429 | 500.., json) => Err(StepError::Unreachable(format!(
                "the cluster at {} cannot answer now ({code}): {}",
                self.address,
                said(&json)
            ))),
            (200..300, Some(json)) => Ok(Answer { code, json }),
            (400.., Some(json)) if json["kind"] == "Status" => Ok(Answer { code, json }),
            (404, _) => Err(StepError::Invalid(format!("the cluster at {} does not serve `{path}`", self.address))),
            (_, json) => Err(StepError::Unreachable(format!(
                "the answer from {} ({code}) is not that of a Kubernetes API: {}",
                self.address,
                said(&json)
            ))),
        }
    }

    /// What the cluster serves: asked at the first use, kept for the run.
    pub async fn catalog(&self) -> Result<Arc<Catalog>, StepError> {
        let mut kept = self.catalog.lock().await;
        if let Some(catalog) = &*kept {
            return Ok(catalog.clone());
        }
        let fresh = Arc::new(self.discover().await?);
        *kept = Some(fresh.clone());
        Ok(fresh)
    }

    /// Looks a resource up; where it is unknown, asks the cluster once more, because definitions come while a plan runs.
    ///
    /// # Errors
    /// `Invalid` with the sentence of `unknown` when it is still not there.
    pub async fn find(
        &self,
        look: impl Fn(&Catalog) -> Option<Arc<Kind>>,
        unknown: impl Fn(&Catalog) -> String,
    ) -> Result<Arc<Kind>, StepError> {
        let known = self.catalog().await?;
        if let Some(kind) = look(&known) {
            return Ok(kind);
        }
        let fresh = {
            let mut kept = self.catalog.lock().await;
            // Somebody who waited for the same lock may have asked in the meantime.
            if kept.as_ref().is_none_or(|k| Arc::ptr_eq(k, &known)) {
                *kept = Some(Arc::new(self.discover().await?));
            }
            kept.clone().unwrap_or_default()
        };
        look(&fresh).ok_or_else(|| StepError::Invalid(unknown(&fresh)))
    }

    /// From now on the catalogue is asked for anew: something that it names is no longer served.
    pub async fn forget(&self) {
        *self.catalog.lock().await = None;
    }

    async fn discover(&self) -> Result<Catalog, StepError> {
        let (core, groups) =
            futures::join!(self.ask(&Method::GET, "/api", None), self.ask(&Method::GET, "/apis", None));
        let (core, groups) = (core?, groups?);
        for answer in [&core, &groups] {
            if answer.refused() {
                let why = answer.json["message"].as_str().unwrap_or_default();
                return Err(StepError::Unreachable(format!("the cluster does not say what it serves: {why}")));
            }
        }
        let mut wanted: Vec<(String, String, bool)> = vec![];
        for v in core.json["versions"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            wanted.push((String::new(), v.into(), true));
        }
        for g in groups.json["groups"].as_array().into_iter().flatten() {
            let preferred = g["preferredVersion"]["version"].as_str();
            let mut versions: Vec<&str> =
                g["versions"].as_array().into_iter().flatten().filter_map(|v| v["version"].as_str()).collect();
            versions.sort_by_key(|v| Some(*v) != preferred);
            let name = g["name"].as_str().unwrap_or_default();
            wanted.extend(versions.into_iter().enumerate().map(|(i, v)| (name.to_string(), v.to_string(), i == 0)));
        }
        let asked = join_all(wanted.iter().map(async |(group, version, _)| {
            let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
            self.ask(&Method::GET, &path, None).await
        }));
        let mut catalog = Catalog::default();
        for ((group, version, preferred), answer) in wanted.iter().zip(asked.await) {
            match answer {
                Ok(a) if !a.refused() => catalog.add(&a.json, group, version, *preferred),
                // One broken extension does not hide the rest of a cluster.
                _ => catalog.silent.push(format!("{group}/{version}")),
            }
        }
        Ok(catalog)
    }

    /// The watch that everyone shares who waits on this resource. It does not run before somebody waits.
    pub fn watch(&self, path: &str, fields: &str) -> Arc<Watch> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (path.to_string(), fields.to_string());
        watches.entry(key).or_insert_with(|| Watch::new(self.client.clone(), path, fields)).clone()
    }
}
