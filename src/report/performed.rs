//! What an action did: its summary with the placeholders filled in, as its request shows them.
use percent_encoding::percent_decode_str;

/// The summary of an action whose placeholders the text of its request shows. `None` if it has none, or the request does not show them.
pub fn filled_in(summary: &str, request: &str) -> Option<String> {
    if !summary.contains("${") {
        return None;
    }
    let line = request.lines().next()?;
    match summary.split_once(' ')? {
        ("http", _) => http(summary, line),
        ("k8s", _) => k8s(summary, line, request),
        _ => None,
    }
}

/// A summary like `http GET /orders/${id}`, with the placeholders as the line `GET http://host/orders/7?full=1` has them.
fn http(summary: &str, line: &str) -> Option<String> {
    let (verb, wanted) = summary.split_once(' ')?;
    let (method, url) = line.split_once(' ')?;
    let path = match url.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => url,
    };
    let sent = format!("{method} {path}");
    let mut rest = sent.as_str();
    // the literal parts occur in their order, the first at the beginning
    for (i, part) in wanted.split("${").enumerate() {
        let literal = if i == 0 { part } else { part.split_once('}')?.1 };
        let at = rest.find(literal)?;
        if i == 0 && at > 0 {
            return None;
        }
        rest = &rest[at + literal.len()..];
    }
    Some(format!("{verb} {sent}"))
}

/// A summary like `k8s get pods/${name}` or `k8s create Pod ${name}`, whose placeholder is the name of an object.
fn k8s(summary: &str, line: &str, request: &str) -> Option<String> {
    let start = summary.find("${")?;
    let is_name =
        summary[..start].ends_with(['/', ' ']) && summary[start..].find('}') == Some(summary.len() - start - 1);
    let (path, query) = line.split_once(' ')?.1.split_once('?').unwrap_or((line.split_once(' ')?.1, ""));
    let selected = || query.split('&').find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
    // the last segment of `…/pods/NAME` and `…/deployments/NAME/scale`
    let kind = summary[..start].rsplit(' ').next()?.split(['/', '.']).next()?.to_lowercase();
    let in_path = || {
        let mut segments = path.split('/').skip_while(|segment| kind.is_empty() || !segment.starts_with(&kind)).skip(1);
        segments.next().filter(|name| !name.is_empty())
    };
    let name = selected().or_else(in_path).map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned());
    let name = name.or_else(|| created_name(request))?;
    is_name.then(|| format!("{}{name}", &summary[..start]))
}

/// The name in the manifest of a request.
fn created_name(request: &str) -> Option<String> {
    let body = &request[request.find("\n{")?..];
    let manifest: serde_json::Value = serde_json::from_str(body).ok()?;
    manifest.pointer("/metadata/name")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_http_are_filled_in_from_the_request() {
        for (summary, line, expected) in [
            ("http GET /orders/${id}", "GET http://h:1/orders/7", Some("http GET /orders/7")),
            ("http PUT /a/${x}/b/${y}?c=${z}", "PUT https://h/a/1/b/2?c=3&d=4", Some("http PUT /a/1/b/2?c=3&d=4")),
            ("http GET /orders", "GET http://h/orders", None),
            ("http GET /orders/${id}", "POST http://h/orders/7", None),
            ("http GET ${link}", "GET http://h", None),
            ("k8s get pods ${name}", "GET /api/v1/pods/a", None),
            ("http GET /a/${x", "GET http://h/a/1", None),
        ] {
            assert_eq!(filled_in(summary, line).as_deref(), expected, "{summary}");
        }
    }

    #[test]
    fn names_of_objects_are_filled_in_from_path_query_or_manifest() {
        for (summary, request, expected) in [
            (
                "k8s get sessions.stream.space/${inputs.name}",
                "GET /apis/stream.space/v1/namespaces/n/sessions?fieldSelector=metadata.name%3Da-1",
                Some("k8s get sessions.stream.space/a-1"),
            ),
            ("k8s delete pods/${name}", "DELETE /api/v1/namespaces/n/pods/a%201", Some("k8s delete pods/a 1")),
            (
                "k8s patch deployments.apps/${n}",
                "PATCH /apis/apps/v1/namespaces/n/deployments/web/scale?fieldManager=x",
                Some("k8s patch deployments.apps/web"),
            ),
            (
                "k8s create Pod ${name}",
                "POST /api/v1/namespaces/n/pods\ncontent-type: application/json\n\n{\"metadata\": {\"name\": \"p-1\"}}",
                Some("k8s create Pod p-1"),
            ),
            ("k8s create Pod ${name}", "POST /api/v1/namespaces/n/pods\n\n{\"metadata\": {\"generateName", None),
            ("k8s get pods/${a}-${b}", "GET /api/v1/namespaces/n/pods/a-b", None),
            ("k8s list pods", "GET /api/v1/namespaces/n/pods", None),
        ] {
            assert_eq!(filled_in(summary, request).as_deref(), expected, "{summary}");
        }
    }
}
