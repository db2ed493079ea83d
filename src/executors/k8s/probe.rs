//! `doctor`: reach the cluster, log in, ask for each thing that a plan will do whether it is allowed, compare clocks. Changes nothing:
//! a review is asked of the server and not kept by it.
use super::cluster::Cluster;
use crate::executor::{Finding, Need, StepError};
use futures::{StreamExt, stream};
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

const SIDE_BY_SIDE: usize = 16;
/// A `Date` is written to the second, and an answer takes its time.
const SKEW: SignedDuration = SignedDuration::from_secs(3);

/// Each with whether it is essential.
type Verbs = BTreeSet<(&'static str, bool)>;

pub async fn cluster(cluster: &Cluster, needs: &[Need]) -> Vec<Finding> {
    let address = &cluster.api.address;
    let answer = match cluster.api.ask(&Method::GET, "/version", None).await {
        Ok(answer) => answer,
        Err(e) => return vec![unreached(address, e)],
    };
    let version = answer.json["gitVersion"].as_str().map(|v| format!("Kubernetes {v}"));
    let mut out = vec![Finding::well(format!("reach {address}"), version.unwrap_or_else(|| "it answers".into()))];
    match user(cluster).await {
        Ok(found) => out.push(found),
        Err(e) => {
            out.push(unreached(address, e));
            return out;
        }
    }
    out.extend(namespace(cluster).await);
    let mut places: BTreeMap<(String, Option<String>), Verbs> = BTreeMap::new();
    for n in needs {
        places.entry((n.resource.clone(), n.namespace.clone())).or_default().insert((n.verb, n.essential));
    }
    let allowed: Vec<_> = places.into_iter().map(|(place, verbs)| permissions(cluster, place, verbs)).collect();
    out.extend(stream::iter(allowed).buffered(SIDE_BY_SIDE).collect::<Vec<_>>().await);
    out.extend(clock(&answer.headers, Timestamp::now()));
    out
}

fn unreached(address: &str, error: StepError) -> Finding {
    let said = error.to_string();
    if said.contains("(401)") {
        return Finding::wrong("log in", said, "renew the credentials, or choose another context");
    }
    Finding::wrong(format!("reach {address}"), said, "see that the server runs, and that the kubeconfig names it rightly")
}

async fn user(cluster: &Cluster) -> Result<Finding, StepError> {
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    match cluster.api.ask(&Method::POST, path, Some(("application/json", &review))).await {
        Ok(answer) if !answer.refused() => {
            let name = answer.json["status"]["userInfo"]["username"].as_str().unwrap_or("somebody");
            Ok(match name {
                "system:anonymous" => Finding::doubtful(
                    "log in",
                    "as nobody: the kubeconfig carries no credentials",
                    "give its user a token, a certificate or a credential plugin",
                ),
                name => Finding::well("log in", format!("as `{name}`")),
            })
        }
        // Servers before 1.28 do not say; but they have accepted the credentials.
        Ok(_) | Err(StepError::Invalid(_)) => Ok(Finding::well("log in", "the credentials are accepted")),
        Err(e) => Err(e),
    }
}

async fn namespace(cluster: &Cluster) -> Option<Finding> {
    let name = &cluster.api.namespace;
    let answer = cluster.api.ask(&Method::GET, &format!("/api/v1/namespaces/{name}"), None).await.ok()?;
    let tried = format!("find namespace `{name}`");
    match answer.code {
        404 => Some(Finding::wrong(
            tried,
            "it is not there",
            format!("`kubectl create namespace {name}`, or another `namespace:` in the target"),
        )),
        200 if answer.json["status"]["phase"] == "Terminating" => {
            Some(Finding::wrong(tried, "it is being deleted", "wait until it is gone, and make it anew"))
        }
        // Who may not look at namespaces may still work in one.
        _ => None,
    }
}

async fn permissions(
    cluster: &Cluster,
    (resource, namespace): (String, Option<String>),
    verbs: Verbs,
) -> Finding {
    let names: BTreeSet<&str> = verbs.iter().map(|(v, _)| *v).collect();
    let place = namespace.as_deref().unwrap_or(&cluster.api.namespace);
    let listed = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    let tried = format!("{} {resource} in namespace `{place}`", listed(&names));
    if [&*resource, place].iter().any(|t| t.contains("${") || t.contains(' ')) {
        return Finding::doubtful(tried, "it is known only in the run", "try it with a run of that case");
    }
    let (what, part) = resource.split_once('/').unwrap_or((&*resource, ""));
    let (group, plural, namespaced) = match what {
        "*" => ("*".to_string(), "*".to_string(), true),
        _ => match cluster.find(|c| c.find(what), |c| c.unknown(what)).await {
            Ok(kind) => (kind.group.clone(), kind.plural.clone(), kind.namespaced),
            Err(e) => return Finding::wrong(tried, e.to_string(), "install what serves it, or mend the name in the plan"),
        },
    };
    let mut refused: BTreeMap<&str, String> = BTreeMap::new();
    let place = if namespaced && place != "*" { place } else { "" };
    for verb in &names {
        match review(cluster, (verb, &group, &plural, part), place).await {
            Ok(None) => {}
            Ok(Some(why)) => drop(refused.insert(verb, why)),
            Err(e) => {
                let remedy = "ask by hand: `kubectl auth can-i`";
                return Finding::doubtful(tried, format!("the server does not say what is allowed: {e}"), remedy);
            }
        }
    }
    if refused.is_empty() {
        return Finding::well(tried, "allowed");
    }
    let essential = verbs.iter().any(|(v, essential)| *essential && refused.contains_key(v));
    let all: BTreeSet<&str> = refused.keys().copied().collect();
    let why = refused.values().find(|w| !w.is_empty()).map(|w| format!(" ({w})")).unwrap_or_default();
    let seen = format!("not allowed: {}{why}", listed(&all));
    let target = if part.is_empty() { plural } else { format!("{plural}/{part}") };
    let role = format!("a role with apiGroups: [\"{group}\"], resources: [{target}], verbs: [{}]", listed(&all));
    if essential {
        Finding::wrong(tried, seen, format!("grant {role}"))
    } else {
        Finding::doubtful(tried, seen, format!("without it short states can be missed; grant {role}"))
    }
}

/// Why it is not allowed; `None` where it is.
async fn review(
    cluster: &Cluster,
    (verb, group, plural, part): (&str, &str, &str, &str),
    namespace: &str,
) -> Result<Option<String>, StepError> {
    let mut attributes = json!({ "verb": verb, "group": group, "resource": plural, "namespace": namespace });
    if !part.is_empty() {
        attributes["subresource"] = part.into();
    }
    let review = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": attributes } });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = cluster.api.ask(&Method::POST, path, Some(("application/json", &review))).await?;
    if answer.refused() {
        return Err(StepError::Invalid(answer.message().to_string()));
    }
    let status: &Json = &answer.json["status"];
    let allowed = status["allowed"].as_bool().unwrap_or_default();
    Ok((!allowed).then(|| status["reason"].as_str().unwrap_or_default().to_string()))
}

fn clock(headers: &HeaderMap, now: Timestamp) -> Option<Finding> {
    let date = headers.get(http::header::DATE)?.to_str().ok()?;
    let theirs = rfc2822::parse(date).ok()?.timestamp();
    let ahead = now.duration_since(theirs);
    Some(if ahead.abs() > SKEW {
        let which = if ahead.is_positive() { "ahead of" } else { "behind" };
        let seen = format!("this machine is {} s {which} the cluster", ahead.abs().as_secs());
        Finding::doubtful("compare clocks", seen, "set both by NTP: times in the report and in logs do not fit together")
    } else {
        Finding::well("compare clocks", format!("within {} s", SKEW.as_secs()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Health;

    #[test]
    fn clocks_that_differ_are_said_to() {
        let headers = HeaderMap::from_iter([(http::header::DATE, "Mon, 23 Nov 2026 04:05:22 GMT".parse().unwrap())]);
        let found = |now: &str| clock(&headers, now.parse().unwrap()).unwrap();
        assert_eq!(found("2026-11-23T04:05:23.9Z").health, Health::Well);
        let late = found("2026-11-23T04:06:22Z");
        assert_eq!((late.health, &*late.seen), (Health::Doubtful, "this machine is 60 s ahead of the cluster"));
        assert_eq!(found("2026-11-23T04:05:02Z").seen, "this machine is 20 s behind the cluster");
        assert!(clock(&HeaderMap::new(), Timestamp::now()).is_none());
    }
}
