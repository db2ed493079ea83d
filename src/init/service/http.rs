//! The plan for a service that responds to HTTP, without an OpenAPI document.
use super::pattern::pattern;
use crate::init::{
    plan::{Case, Content, Drafts, Part, Plan, Sentence, Tier, Written, content_type, request, write},
    words::sentence,
    yaml::{Yaml, map, text, word},
};
use serde_json::Value as Json;

/// Paths at which services say how they are, the most telling first. The caller requests each and passes those that
/// exist.
pub const PROBES: &[&str] = &[
    "/health",
    "/healthz",
    "/api/health",
    "/actuator/health",
    "/status",
    "/readyz",
    "/livez",
    "/ready",
    "/ping",
    "/version",
    "/",
];
/// A path that no service has: the response shows how it refuses.
pub const UNKNOWN_PATH: &str = "/tp-runner-no-such-path";
const MAX_TEXT_CHARS: usize = 60;

/// A response that was observed, once or several times.
#[derive(Clone, Debug, Default)]
pub struct HttpObservation {
    /// Method `GET` is meant.
    pub path: String,
    pub status: u16,
    pub content_type: Option<String>,
    /// The JSON of each response; two, some seconds apart, tell which values change.
    pub bodies: Vec<Json>,
    /// The text of a response that is not JSON.
    pub text: Option<String>,
}

/// Writes the plan; `None` if nothing can be asserted. Observations of statuses from 500 are left out: they are no behaviour to keep.
pub fn http(id: &str, title: &str, observations: &[HttpObservation]) -> Option<Written> {
    let mut cases: Vec<Case> = vec![];
    for observation in observations.iter().filter(|o| (200..500).contains(&o.status)) {
        let is_unknown = observation.path == UNKNOWN_PATH;
        // a service that responds alike to every path says nothing about this one
        if is_unknown && observation.status < 400 {
            continue;
        }
        cases.push(case(observation, is_unknown));
    }
    if let Some(first) = cases.iter_mut().find(|c| c.tier == Tier::Should) {
        first.tier = Tier::Must;
    }
    let comments = vec![
        "Written by `tp-runner init` from what the service responded. Values that change are asserted by their type;"
            .into(),
        "correct those that must be exact, and add the steps that your users depend on.".into(),
    ];
    (!cases.is_empty()).then(|| {
        write(&Plan {
            id: id.into(),
            title: sentence(title),
            comments,
            variables: vec![],
            cases,
            drafts: Drafts::default(),
        })
    })
}

fn case(observation: &HttpObservation, is_unknown: bool) -> Case {
    let action = map([("http", map([("request", request("GET", &observation.path, &[]))])), ("as", word("response"))]);
    let shown = sentence(&observation.path);
    let (title, step) = match is_unknown {
        true => ("A path that does not exist".into(), "Request a path that does not exist".to_string()),
        false => (format!("GET {shown}"), format!("Request {shown}")),
    };
    let mut expected = vec![];
    let mut result = |text: String, pattern: Yaml| {
        let content = Content::Expect(map([("response", pattern)]));
        expected.push(Sentence { text, part: Part::Response, content });
    };
    let mut pattern = vec![("status".to_string(), word(observation.status))];
    let media = observation.content_type.as_deref().map(|kind| kind.split(';').next().unwrap_or_default().trim());
    match media.filter(|kind| is_media(kind)) {
        Some(kind) => {
            pattern.push(("headers".into(), content_type(kind)));
            result(format!("The service responds with status {} and {kind}", observation.status), Yaml::Map(pattern));
        }
        None => result(format!("The service responds with status {}", observation.status), Yaml::Map(pattern)),
    }
    if let Some((text, pattern)) = content(observation) {
        result(text, pattern);
    }
    let steps = vec![Sentence { text: step, part: Part::Response, content: Content::Actions(vec![action]) }];
    let tier = if is_unknown || observation.status >= 300 { Tier::Nice } else { Tier::Should };
    Case { key: format!("GET {}", observation.path), title, tier, steps, expected }
}

fn is_media(kind: &str) -> bool {
    kind.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-._".contains(&b))
}

fn content(observation: &HttpObservation) -> Option<(String, Yaml)> {
    if !observation.bodies.is_empty() {
        let bodies: Vec<&Json> = observation.bodies.iter().collect();
        let pattern = fit(&bodies)?;
        return Some(("The body has the fields that it had at first".into(), map([("body", pattern)])));
    }
    let whole = observation.text.as_deref()?.trim();
    let title =
        whole.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map(|(title, _)| title.trim());
    let is_short = |text: &str| !text.is_empty() && text.chars().count() <= MAX_TEXT_CHARS && !text.contains('\n');
    if let Some(title) = title.filter(|t| is_short(t) && t.chars().any(char::is_alphabetic)) {
        let page = map([("text", map([("$contains", text(title))]))]);
        return Some((sentence(&format!("The page has the title {title}")), page));
    }
    let is_words =
        is_short(whole) && whole.chars().any(char::is_alphabetic) && !whole.chars().any(|c| c.is_ascii_digit());
    if is_words {
        return Some(("The text is the same as at first".into(), map([("text", map([("$contains", text(whole))]))])));
    }
    (!whole.is_empty()).then(|| ("The response has a text".into(), map([("text", word("$nonempty"))])))
}

/// A pattern for a body, unless nothing can be said about it.
fn fit(bodies: &[&Json]) -> Option<Yaml> {
    (!bodies.iter().any(|b| b.is_null())).then(|| pattern(bodies))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_case_for_each_response() {
        let json = |path: &str, status, body| HttpObservation {
            path: path.into(),
            status,
            content_type: Some("application/json; charset=utf-8".into()),
            bodies: vec![body],
            text: None,
        };
        let page = HttpObservation {
            path: "/".into(),
            status: 200,
            content_type: Some("text/html".into()),
            text: Some("<html><title>Orders ${x}</title>".into()),
            ..HttpObservation::default()
        };
        let observations = [
            json("/health", 200, json!({ "status": "ok" })),
            page,
            json("/broken", 500, json!({})),
            json(UNKNOWN_PATH, 404, json!({ "error": "not found" })),
        ];
        let written = http("ORDERS", "Orders", &observations).unwrap();
        assert!(http("ORDERS", "Orders", &observations[2..3]).is_none());
        assert_eq!(written.counts(), (3, 0));
        for part in [
            "id: ORDERS-001\n    title: GET /health\n    tier: must",
            r#"expect: { response: { status: 200, headers: { content-type: { $regex: "(?i)^application/json" } } } }"#,
            r#"expect: { response: { body: { status: "ok" } } }"#,
            r#"{ $contains: "Orders $${x}" }"#,
            "title: A path that does not exist\n    tier: nice",
        ] {
            assert!(written.yaml.contains(part), "{part}\n{}", written.yaml);
        }
    }
}
