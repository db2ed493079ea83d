//! `doctor`: what a plan will do here, and whether it may.
use super::cluster::Cluster;
use crate::{
    executor::{Need, ProbeResult, ProbeStatus},
    executors::apiserver::probe::{Resource, Verbs, allowed, way},
};
use futures::{StreamExt, stream};
use std::collections::BTreeMap;

const SIDE_BY_SIDE: usize = 16;

pub async fn cluster(cluster: &Cluster, needs: &[Need]) -> Vec<ProbeResult> {
    let mut out = match way(&cluster.api).await {
        Ok(found) => found,
        Err(found) => return found,
    };
    let mut places: BTreeMap<(String, Option<String>), Verbs> = BTreeMap::new();
    for n in needs {
        places.entry((n.resource.clone(), n.namespace.clone())).or_default().insert((n.verb, n.essential));
    }
    let permissions: Vec<_> = places.into_iter().map(|(place, verbs)| permission(cluster, place, verbs)).collect();
    let found = stream::iter(permissions).buffered(SIDE_BY_SIDE).collect::<Vec<_>>().await;
    match &found[..] {
        // a server that does not know the question says the same each time
        [first, _, ..] if found.iter().all(|f| f.status == ProbeStatus::Warning && f.seen == first.seen) => {
            out.push(ProbeResult { tried: "ask what is allowed".into(), ..first.clone() });
        }
        _ => out.extend(found),
    }
    out
}

async fn permission(
    cluster: &Cluster,
    (resource, namespace): (String, Option<String>),
    mut verbs: Verbs,
) -> ProbeResult {
    // What is essential to one action is so to all.
    let essential: Vec<&str> = verbs.iter().filter(|(_, e)| *e).map(|(v, _)| *v).collect();
    let essential: Vec<String> = essential.into_iter().map(String::from).collect();
    verbs.retain(|(v, e)| *e || !essential.iter().any(|x| x == v));
    let place = namespace.as_deref().unwrap_or(&cluster.api.namespace);
    let names = verbs.iter().map(|(v, _)| *v).collect::<Vec<_>>().join(", ");
    let tried = format!("{names} {resource} in namespace `{place}`");
    if [&*resource, place].iter().any(|t| t.contains("${") || t.contains(' ')) {
        return ProbeResult::warning(tried, "it is known only in the run", "try it with a run of that case");
    }
    let (what, part) = resource.split_once('/').unwrap_or((&*resource, ""));
    let (group, plural, namespaced) = match what {
        "*" => ("*".to_string(), "*".to_string(), true),
        _ => match cluster.find(|c| c.find(what), |c| c.unknown(what)).await {
            Ok(kind) => (kind.group.clone(), kind.plural.clone(), kind.namespaced),
            Err(e) => {
                return ProbeResult::error(
                    tried,
                    e.to_string(),
                    "install what serves it, or mend the name in the plan",
                );
            }
        },
    };
    let namespace = if namespaced && place != "*" { place.to_string() } else { String::new() };
    let of = Resource { group, plural, part: part.to_string(), namespace };
    let without = if what == "*" {
        "what may not be listed is left out of `list: \"*\"`"
    } else {
        "without it short states can be missed"
    };
    allowed(&cluster.api, tried, &of, &verbs, without).await
}
