//! `doctor`: checks connection, login, namespace, permissions and clocks. Changes nothing: access reviews are not
//! stored.
use super::ApiClient;
use crate::{
    executor::{ActionError, ProbeResult},
    executors::clock,
};
use http::Method;
use jiff::Timestamp;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A resource as a `SelfSubjectAccessReview` names it.
pub struct ResourceAttributes {
    pub group: String,
    pub plural: String,
    /// Empty for the resource itself.
    pub subresource: String,
    /// Empty for all namespaces, and for resources without namespaces.
    pub namespace: String,
}

/// API verbs (`get`, `list`), each with whether the action fails without it.
pub type Verbs = BTreeSet<(&'static str, bool)>;

/// Checks connection, login, namespace and clock. `Err`: the results so far, if nothing more can be checked.
pub async fn check_connection(api: &ApiClient) -> Result<Vec<ProbeResult>, Vec<ProbeResult>> {
    let response = match api.request(&Method::GET, "/version", None).await {
        Ok(response) => response,
        Err(e) => return Err(vec![connection_error(api, &e)]),
    };
    let version = response.json["gitVersion"].as_str().map(|v| format!("Kubernetes {v}"));
    let mut results =
        vec![ProbeResult::ok(format!("reach {}", api.address), version.unwrap_or_else(|| "it responds".into()))];
    match check_login(api).await {
        Ok(result) => results.push(result),
        Err(e) => {
            results.push(connection_error(api, &e));
            return Err(results);
        }
    }
    results.extend(check_namespace(api).await);
    results.extend(clock::compare_clocks(&response.headers, Timestamp::now(), "the cluster"));
    Ok(results)
}

fn connection_error(api: &ApiClient, error: &ActionError) -> ProbeResult {
    let message = error.to_string();
    if message.contains("(401)") {
        return ProbeResult::error("log in", message, "renew the credentials, or choose another context");
    }
    let remedy = "check that the server runs, and its address in the kubeconfig";
    ProbeResult::error(format!("reach {}", api.address), message, remedy)
}

async fn check_login(api: &ApiClient) -> Result<ProbeResult, ActionError> {
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    match api.request(&Method::POST, path, Some(("application/json", &review))).await {
        Ok(response) if !response.is_error() => {
            let name = response.json["status"]["userInfo"]["username"].as_str().unwrap_or("an unnamed user");
            Ok(match name {
                "system:anonymous" => ProbeResult::warning(
                    "log in",
                    "as an anonymous user: the kubeconfig has no credentials",
                    "give its user a token, a certificate or a credential plugin",
                ),
                name => ProbeResult::ok("log in", format!("as `{name}`")),
            })
        }
        // Servers before 1.28 do not support the review, but they accepted the credentials.
        Ok(_) | Err(ActionError::Invalid(_)) => Ok(ProbeResult::ok("log in", "credentials accepted")),
        Err(e) => Err(e),
    }
}

async fn check_namespace(api: &ApiClient) -> Option<ProbeResult> {
    let name = &api.namespace;
    let response = api.request(&Method::GET, &format!("/api/v1/namespaces/{name}"), None).await.ok()?;
    let check = format!("find namespace `{name}`");
    match response.status {
        404 => Some(ProbeResult::error(
            check,
            "not found",
            format!("run `kubectl create namespace {name}`, or set another `namespace:` in the target"),
        )),
        200 if response.json["status"]["phase"] == "Terminating" => {
            Some(ProbeResult::error(check, "it is being deleted", "wait until it is deleted, then create it again"))
        }
        // A user without permission to read namespaces may still work in one.
        _ => None,
    }
}

/// Checks whether each verb is allowed. `consequence`: the effect if only non-essential verbs are denied.
pub async fn check_permission(
    api: &ApiClient,
    check: String,
    resource: &ResourceAttributes,
    verbs: &Verbs,
    consequence: &str,
) -> ProbeResult {
    let mut denied: BTreeMap<&str, String> = BTreeMap::new();
    for (verb, _) in verbs {
        match denial(api, verb, resource).await {
            Ok(None) => {}
            Ok(Some(reason)) => drop(denied.insert(verb, reason)),
            Err(e) => {
                let remedy = "check with `kubectl auth can-i`";
                return ProbeResult::warning(check, format!("the server does not report permissions: {e}"), remedy);
            }
        }
    }
    if denied.is_empty() {
        return ProbeResult::ok(check, "allowed");
    }
    let essential = verbs.iter().any(|(v, essential)| *essential && denied.contains_key(v));
    let names = denied.keys().copied().collect::<Vec<_>>().join(", ");
    let reason = denied.values().find(|r| !r.is_empty()).map(|r| format!(" ({r})")).unwrap_or_default();
    let found = format!("not allowed: {names}{reason}");
    let ResourceAttributes { group, plural, subresource, .. } = resource;
    let name = if subresource.is_empty() { plural.clone() } else { format!("{plural}/{subresource}") };
    let remedy = format!("grant a role with apiGroups: [\"{group}\"], resources: [{name}], verbs: [{names}]");
    if essential {
        ProbeResult::error(check, found, remedy)
    } else {
        ProbeResult::warning(check, found, format!("{consequence}; {remedy}"))
    }
}

/// Why a verb is denied; `None` if it is allowed.
async fn denial(api: &ApiClient, verb: &str, resource: &ResourceAttributes) -> Result<Option<String>, ActionError> {
    let mut attributes = json!({ "verb": verb, "group": resource.group, "resource": resource.plural,
        "namespace": resource.namespace });
    if !resource.subresource.is_empty() {
        attributes["subresource"] = resource.subresource.as_str().into();
    }
    let review = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": attributes } });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let response = api.request(&Method::POST, path, Some(("application/json", &review))).await?;
    if response.is_error() {
        return Err(ActionError::Invalid(response.message().to_string()));
    }
    let status = &response.json["status"];
    let allowed = status["allowed"].as_bool().unwrap_or_default();
    Ok((!allowed).then(|| status["reason"].as_str().unwrap_or_default().to_string()))
}
