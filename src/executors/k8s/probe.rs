//! `doctor`: checks whether the cluster can be reached, and whether the plan's actions are allowed.
use super::cluster::Cluster;
use crate::{
    executor::{Permission, ProbeResult, ProbeStatus},
    executors::apiserver::probe::{ResourceAttributes, Verbs, check_connection, check_permission},
};
use futures::{StreamExt, stream};
use std::collections::BTreeMap;

const MAX_PARALLEL_CHECKS: usize = 16;

pub async fn probe_cluster(cluster: &Cluster, permissions: &[Permission]) -> Vec<ProbeResult> {
    let mut results = match check_connection(&cluster.api).await {
        Ok(results) => results,
        Err(results) => return results,
    };
    let mut verbs: BTreeMap<(String, Option<String>), Verbs> = BTreeMap::new();
    for n in permissions {
        verbs.entry((n.resource.clone(), n.namespace.clone())).or_default().insert((n.verb, n.essential));
    }
    let checks: Vec<_> = verbs.into_iter().map(|(place, verbs)| check_needs(cluster, place, verbs)).collect();
    let checked = stream::iter(checks).buffered(MAX_PARALLEL_CHECKS).collect::<Vec<_>>().await;
    match &checked[..] {
        // A server without access reviews gives the same error each time.
        [first, _, ..] if checked.iter().all(|c| c.status == ProbeStatus::Warning && c.found == first.found) => {
            results.push(ProbeResult { check: "check permissions".into(), ..first.clone() });
        }
        _ => results.extend(checked),
    }
    results
}

async fn check_needs(
    cluster: &Cluster,
    (resource, namespace): (String, Option<String>),
    mut verbs: Verbs,
) -> ProbeResult {
    // A verb is essential if any action fails without it.
    let essential: Vec<&str> = verbs.iter().filter(|(_, e)| *e).map(|(v, _)| *v).collect();
    let essential: Vec<String> = essential.into_iter().map(String::from).collect();
    verbs.retain(|(v, e)| *e || !essential.iter().any(|x| x == v));
    let namespace = namespace.as_deref().unwrap_or(&cluster.api.namespace);
    let names = verbs.iter().map(|(v, _)| *v).collect::<Vec<_>>().join(", ");
    let check = format!("{names} {resource} in namespace `{namespace}`");
    if [&*resource, namespace].iter().any(|t| t.contains("${") || t.contains(' ')) {
        let remedy = "run that case to check it";
        return ProbeResult::warning(check, "known only during the run", remedy);
    }
    let (name, subresource) = resource.split_once('/').unwrap_or((&*resource, ""));
    let (group, plural, namespaced) = match name {
        "*" => ("*".to_string(), "*".to_string(), true),
        _ => match cluster.resource(name).await {
            Ok(r) => (r.group.clone(), r.plural.clone(), r.namespaced),
            Err(e) => {
                let remedy = "install its definition in the cluster, or correct the name in the plan";
                return ProbeResult::error(check, e.to_string(), remedy);
            }
        },
    };
    let namespace = if namespaced && namespace != "*" { namespace.to_string() } else { String::new() };
    let attributes = ResourceAttributes { group, plural, subresource: subresource.to_string(), namespace };
    let consequence = if name == "*" {
        "`list: \"*\"` leaves out what may not be listed"
    } else {
        "without it, short states can be missed"
    };
    check_permission(&cluster.api, check, &attributes, &verbs, consequence).await
}
