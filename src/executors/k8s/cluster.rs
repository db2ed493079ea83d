//! The open target: the way to the server, what it serves, and the watches that all cases share.
use super::{
    kinds::{Catalog, Kind},
    probe,
    watch::Watch,
};
use crate::{
    executor::{ActionError, Need, ProbeResult, Target},
    executors::apiserver::{Answer, Api},
    expr::Scope,
};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use http::Method;
use serde_json::Value as Json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// How many groups of an old server are asked about at once.
const SIDE_BY_SIDE: usize = 16;

pub struct Cluster {
    pub api: Api,
    catalog: tokio::sync::Mutex<Option<Arc<Catalog>>>,
    /// By the path that is watched, with its field selector.
    watches: Mutex<HashMap<(String, String), Arc<Watch>>>,
}

#[async_trait]
impl Target for Cluster {
    async fn close(&self) {
        self.end();
    }

    async fn version(&self) -> Option<String> {
        let answer = self.api.ask(&Method::GET, "/version", None).await.ok()?;
        answer.json["gitVersion"].as_str().map(|v| format!("Kubernetes {v}"))
    }

    async fn probe(&self, needs: &[Need], _: &Scope) -> Vec<ProbeResult> {
        probe::cluster(self, needs).await
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

    pub fn new(api: Api) -> Self {
        Cluster { api, catalog: tokio::sync::Mutex::default(), watches: Mutex::default() }
    }

    /// What the cluster serves: asked at the first use, kept for the run.
    pub async fn catalog(&self) -> Result<Arc<Catalog>, ActionError> {
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
    ) -> Result<Arc<Kind>, ActionError> {
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
        look(&fresh).ok_or_else(|| ActionError::Invalid(unknown(&fresh)))
    }

    /// From now on the catalogue is asked for anew: something that it names is no longer served.
    pub async fn forget(&self) {
        *self.catalog.lock().await = None;
    }

    async fn discover(&self) -> Result<Catalog, ActionError> {
        let (core, groups) = futures::join!(self.api.served("/api"), self.api.served("/apis"));
        let (core, groups) = (core?, groups?);
        for answer in [&core, &groups] {
            if answer.refused() {
                let why = answer.message();
                return Err(ActionError::Unreachable(format!("the cluster does not say what it serves: {why}")));
            }
        }
        let mut catalog = Catalog::default();
        if [&core, &groups].iter().all(|a| a.json["kind"] == "APIGroupDiscoveryList") {
            for answer in [&core, &groups] {
                answer.json["items"].as_array().into_iter().flatten().for_each(|g| catalog.add_group(g));
            }
            return Ok(catalog);
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
        let asked: Vec<_> = wanted.iter().map(|(group, version, _)| self.resources(group, version)).collect();
        let asked: Vec<_> = stream::iter(asked).buffered(SIDE_BY_SIDE).collect().await;
        for ((group, version, preferred), answer) in wanted.iter().zip(asked) {
            match answer {
                Ok(a) if !a.refused() => catalog.add(&a.json, group, version, *preferred),
                // One broken extension does not hide the rest of a cluster.
                _ => catalog.silent.push(format!("{group}/{version}")),
            }
        }
        Ok(catalog)
    }

    async fn resources(&self, group: &str, version: &str) -> Result<Answer, ActionError> {
        let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        self.api.ask(&Method::GET, &path, None).await
    }

    /// The watch that everyone shares who waits on this resource. It does not run before somebody waits.
    pub fn watch(&self, path: &str, fields: &str) -> Arc<Watch> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (path.to_string(), fields.to_string());
        watches.entry(key).or_insert_with(|| Watch::new(self.api.client.clone(), path, fields)).clone()
    }
}
