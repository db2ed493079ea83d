//! For `doctor`: reach the cluster, log in, ask whether something is allowed, compare clocks. Changes nothing: a review is asked of the
//! server and not kept by it.
use super::Api;
use crate::{
    executor::{ActionError, ProbeResult},
    executors::clock,
};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is asked for, as the server knows it.
pub struct Resource {
    pub group: String,
    pub plural: String,
    /// Empty for the resource itself.
    pub part: String,
    /// Empty for all namespaces, and where there are none.
    pub namespace: String,
}

/// Each verb with whether it is essential.
pub type Verbs = BTreeSet<(&'static str, bool)>;

/// The way to the cluster. `Err` where it ends before anything else can be asked.
pub async fn way(api: &Api) -> Result<Vec<ProbeResult>, Vec<ProbeResult>> {
    let reached = match api.ask(&Method::GET, "/version", None).await {
        Ok(answer) => answer,
        Err(e) => return Err(vec![unreached(api, &e)]),
    };
    let version = reached.json["gitVersion"].as_str().map(|v| format!("Kubernetes {v}"));
    let mut out =
        vec![ProbeResult::ok(format!("reach {}", api.address), version.unwrap_or_else(|| "it answers".into()))];
    match user(api).await {
        Ok(found) => out.push(found),
        Err(e) => {
            out.push(unreached(api, &e));
            return Err(out);
        }
    }
    out.extend(namespace(api).await);
    out.extend(clock::compared(&reached.headers, Timestamp::now(), "the cluster"));
    Ok(out)
}

fn unreached(api: &Api, error: &ActionError) -> ProbeResult {
    let said = error.to_string();
    if said.contains("(401)") {
        return ProbeResult::error("log in", said, "renew the credentials, or choose another context");
    }
    let remedy = "see that the server runs, and that the kubeconfig names it rightly";
    ProbeResult::error(format!("reach {}", api.address), said, remedy)
}

async fn user(api: &Api) -> Result<ProbeResult, ActionError> {
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    match api.ask(&Method::POST, path, Some(("application/json", &review))).await {
        Ok(answer) if !answer.refused() => {
            let name = answer.json["status"]["userInfo"]["username"].as_str().unwrap_or("somebody");
            Ok(match name {
                "system:anonymous" => ProbeResult::warning(
                    "log in",
                    "as nobody: the kubeconfig carries no credentials",
                    "give its user a token, a certificate or a credential plugin",
                ),
                name => ProbeResult::ok("log in", format!("as `{name}`")),
            })
        }
        // Servers before 1.28 do not say; but they have accepted the credentials.
        Ok(_) | Err(ActionError::Invalid(_)) => Ok(ProbeResult::ok("log in", "the credentials are accepted")),
        Err(e) => Err(e),
    }
}

async fn namespace(api: &Api) -> Option<ProbeResult> {
    let name = &api.namespace;
    let answer = api.ask(&Method::GET, &format!("/api/v1/namespaces/{name}"), None).await.ok()?;
    let tried = format!("find namespace `{name}`");
    match answer.code {
        404 => Some(ProbeResult::error(
            tried,
            "it is not there",
            format!("`kubectl create namespace {name}`, or another `namespace:` in the target"),
        )),
        200 if answer.json["status"]["phase"] == "Terminating" => {
            Some(ProbeResult::error(tried, "it is being deleted", "wait until it is gone, and make it anew"))
        }
        // Who may not look at namespaces may still work in one.
        _ => None,
    }
}

/// Whether we may. `without`: what goes less well where only what is not essential is refused.
pub async fn allowed(api: &Api, tried: String, of: &Resource, verbs: &Verbs, without: &str) -> ProbeResult {
    let mut refused: BTreeMap<&str, String> = BTreeMap::new();
    for (verb, _) in verbs {
        match review(api, verb, of).await {
            Ok(None) => {}
            Ok(Some(why)) => drop(refused.insert(verb, why)),
            Err(e) => {
                let remedy = "ask by hand: `kubectl auth can-i`";
                return ProbeResult::warning(tried, format!("the server does not say what is allowed: {e}"), remedy);
            }
        }
    }
    if refused.is_empty() {
        return ProbeResult::ok(tried, "allowed");
    }
    let essential = verbs.iter().any(|(v, essential)| *essential && refused.contains_key(v));
    let names = refused.keys().copied().collect::<Vec<_>>().join(", ");
    let why = refused.values().find(|w| !w.is_empty()).map(|w| format!(" ({w})")).unwrap_or_default();
    let seen = format!("not allowed: {names}{why}");
    let Resource { group, plural, part, .. } = of;
    let target = if part.is_empty() { plural.clone() } else { format!("{plural}/{part}") };
    let role = format!("grant a role with apiGroups: [\"{group}\"], resources: [{target}], verbs: [{names}]");
    if essential {
        ProbeResult::error(tried, seen, role)
    } else {
        ProbeResult::warning(tried, seen, format!("{without}; {role}"))
    }
}

/// Why it is not allowed; `None` where it is.
async fn review(api: &Api, verb: &str, of: &Resource) -> Result<Option<String>, ActionError> {
    let mut attributes = json!({ "verb": verb, "group": of.group, "resource": of.plural, "namespace": of.namespace });
    if !of.part.is_empty() {
        attributes["subresource"] = of.part.as_str().into();
    }
    let review = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": attributes } });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = api.ask(&Method::POST, path, Some(("application/json", &review))).await?;
    if answer.refused() {
        return Err(ActionError::Invalid(answer.message().to_string()));
    }
    let status: &Json = &answer.json["status"];
    let allowed = status["allowed"].as_bool().unwrap_or_default();
    Ok((!allowed).then(|| status["reason"].as_str().unwrap_or_default().to_string()))
}
