//! The open target: the client, the catalog of resource types, and the watches that all cases share.
use super::{
    catalog::{Catalog, ResourceType},
    watch::Watch,
};
use crate::{
    executor::ActionError,
    executors::apiserver::{ApiClient, Response},
};
use futures::{StreamExt, stream};
use http::Method;
use parking_lot::Mutex;
use serde_json::Value as Json;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// For servers without aggregated discovery.
const MAX_PARALLEL_DISCOVERY_REQUESTS: usize = 16;

pub struct Cluster {
    pub api: ApiClient,
    catalog: tokio::sync::Mutex<Option<Arc<Catalog>>>,
    /// By path and field selector.
    watches: Mutex<HashMap<(String, String), Arc<Watch>>>,
    /// Those that exist, or may exist, as far as this user can tell.
    namespaces: Mutex<HashSet<String>>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop_watches();
    }
}

impl Cluster {
    pub fn new(api: ApiClient) -> Self {
        Cluster { api, catalog: tokio::sync::Mutex::default(), watches: Mutex::default(), namespaces: Mutex::default() }
    }

    pub fn stop_watches(&self) {
        let watches = std::mem::take(&mut *self.watches.lock());
        watches.into_values().for_each(|w| w.stop());
    }

    /// The resource types that the cluster serves: discovered at the first use, cached for the run.
    pub async fn catalog(&self) -> Result<Arc<Catalog>, ActionError> {
        let mut cached = self.catalog.lock().await;
        if let Some(catalog) = &*cached {
            return Ok(catalog.clone());
        }
        let catalog = Arc::new(self.discover().await?);
        *cached = Some(catalog.clone());
        Ok(catalog)
    }

    /// Finds a resource type by a name of the plan.
    ///
    /// # Errors
    /// `Invalid` if it is unknown, even after a new discovery.
    pub async fn resource(&self, name: &str) -> Result<Arc<ResourceType>, ActionError> {
        self.find(|catalog| catalog.find(name)).await
    }

    /// Finds the resource type of a manifest.
    ///
    /// # Errors
    /// As `resource`.
    pub async fn resource_of_kind(&self, api_version: &str, kind: &str) -> Result<Arc<ResourceType>, ActionError> {
        self.find(|catalog| catalog.find_kind(api_version, kind)).await
    }

    /// Discovers again if `find` fails, because definitions can be created during a run.
    async fn find(
        &self,
        find: impl Fn(&Catalog) -> Result<Arc<ResourceType>, ActionError>,
    ) -> Result<Arc<ResourceType>, ActionError> {
        let old = self.catalog().await?;
        if let Ok(resource) = find(&old) {
            return Ok(resource);
        }
        let mut cached = self.catalog.lock().await;
        // Another task may have discovered while this one waited for the lock.
        let catalog = match &*cached {
            Some(catalog) if !Arc::ptr_eq(catalog, &old) => catalog.clone(),
            _ => cached.insert(Arc::new(self.discover().await?)).clone(),
        };
        find(&catalog)
    }

    /// Makes the next use discover again.
    pub async fn forget_catalog(&self) {
        *self.catalog.lock().await = None;
    }

    /// Whether a namespace exists; true if the server does not tell this user. One that has existed in this run may be
    /// gone.
    pub async fn has_namespace(&self, name: &str) -> Result<bool, ActionError> {
        if self.namespaces.lock().contains(name) {
            return Ok(true);
        }
        let exists = match self.api.request(&Method::GET, &format!("/api/v1/namespaces/{name}"), None).await {
            Ok(response) => response.status != 404 || response.json["details"]["kind"] != "namespaces",
            // a gateway that serves no namespaces
            Err(ActionError::Invalid(_)) => true,
            Err(e) => return Err(e),
        };
        if exists {
            self.namespaces.lock().insert(name.to_string());
        }
        Ok(exists)
    }

    async fn discover(&self) -> Result<Catalog, ActionError> {
        let (core, groups) = futures::join!(self.api.discover("/api"), self.api.discover("/apis"));
        let (core, groups) = (core?, groups?);
        for response in [&core, &groups] {
            if response.is_error() {
                let why = response.message();
                return Err(ActionError::Unreachable(format!("cannot discover the cluster's resources: {why}")));
            }
        }
        let mut catalog = Catalog::default();
        if [&core, &groups].iter().all(|r| r.json["kind"] == "APIGroupDiscoveryList") {
            for response in [&core, &groups] {
                response.json["items"].as_array().into_iter().flatten().for_each(|g| catalog.add_group(g));
            }
            return Ok(catalog);
        }
        let versions = group_versions(&core.json, &groups.json);
        let requests: Vec<_> = versions.iter().map(|(group, version, _)| self.resource_list(group, version)).collect();
        let responses: Vec<_> = stream::iter(requests).buffered(MAX_PARALLEL_DISCOVERY_REQUESTS).collect().await;
        for ((group, version, preferred), response) in versions.iter().zip(responses) {
            match response {
                Ok(r) if !r.is_error() => catalog.add_resource_list(&r.json, group, version, *preferred),
                // A broken extension server must not hide the other groups.
                _ => catalog.unavailable.push(format!("{group}/{version}")),
            }
        }
        Ok(catalog)
    }

    async fn resource_list(&self, group: &str, version: &str) -> Result<Response, ActionError> {
        let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        self.api.request(&Method::GET, &path, None).await
    }

    /// The shared watch of a collection. It starts when an action waits for it.
    pub fn watch(&self, path: &str, field_selector: &str) -> Arc<Watch> {
        let mut watches = self.watches.lock();
        let key = (path.to_string(), field_selector.to_string());
        watches
            .entry(key)
            .or_insert_with(|| Watch::new(self.api.client.clone(), path, field_selector, self.api.limit))
            .clone()
    }
}

/// Group, version, and whether the group prefers it, from an `APIVersions` and an `APIGroupList`; preferred versions
/// come first.
fn group_versions(core: &Json, groups: &Json) -> Vec<(String, String, bool)> {
    let core_versions = core["versions"].as_array().into_iter().flatten().filter_map(Json::as_str);
    let mut all: Vec<_> = core_versions.map(|v| (String::new(), v.to_string(), true)).collect();
    for group in groups["groups"].as_array().into_iter().flatten() {
        let preferred = group["preferredVersion"]["version"].as_str();
        let mut versions: Vec<&str> =
            group["versions"].as_array().into_iter().flatten().filter_map(|v| v["version"].as_str()).collect();
        versions.sort_by_key(|v| Some(*v) != preferred);
        let name = group["name"].as_str().unwrap_or_default();
        all.extend(versions.into_iter().enumerate().map(|(i, v)| (name.to_string(), v.to_string(), i == 0)));
    }
    all
}
