//! How clients of a service log in.
use super::refs::resolve;
use indexmap::IndexMap;
use serde_json::Value as Json;

/// One way to log in.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheme {
    Bearer,
    Basic,
    Digest,
    /// A header with a key.
    Header(String),
    Cookie(String),
    /// A parameter of the query with a key: a target cannot add it to each request.
    Query(String),
    /// OAuth 2.0 client credentials.
    ClientCredentials {
        token_url: String,
        scopes: Vec<String>,
    },
    /// A client certificate.
    Certificate,
    Other(String),
}

/// The schemes of a document, by name.
pub fn schemes(document: &Json) -> IndexMap<String, Scheme> {
    let all = document["components"]["securitySchemes"].as_object().into_iter().flatten();
    all.filter_map(|(name, s)| Some((name.clone(), scheme(resolve(document, s)?)))).collect()
}

fn scheme(json: &Json) -> Scheme {
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_string();
    match text("type").as_str() {
        "http" => match text("scheme").to_ascii_lowercase().as_str() {
            "bearer" => Scheme::Bearer,
            "basic" => Scheme::Basic,
            "digest" => Scheme::Digest,
            other => Scheme::Other(other.into()),
        },
        "apiKey" => match text("in").as_str() {
            "header" => Scheme::Header(text("name")),
            "cookie" => Scheme::Cookie(text("name")),
            _ => Scheme::Query(text("name")),
        },
        "oauth2" => match json["flows"]["clientCredentials"]["tokenUrl"].as_str() {
            Some(url) => {
                let scopes = json["flows"]["clientCredentials"]["scopes"].as_object();
                let scopes = scopes.into_iter().flatten().map(|(name, _)| name.clone()).collect();
                Scheme::ClientCredentials { token_url: url.into(), scopes }
            }
            // a token of another flow is fetched elsewhere
            None => Scheme::Bearer,
        },
        "openIdConnect" => Scheme::Bearer,
        "mutualTLS" => Scheme::Certificate,
        other => Scheme::Other(other.into()),
    }
}

/// The alternatives of an operation. Empty if one of them needs no login.
pub fn needed(document: &Json, operation: &Json) -> Vec<Vec<String>> {
    let list = operation["security"].as_array().or_else(|| document["security"].as_array());
    let alternatives = list.into_iter().flatten().filter_map(Json::as_object);
    let alternatives: Vec<Vec<String>> = alternatives.map(|names| names.keys().cloned().collect()).collect();
    if alternatives.iter().any(Vec::is_empty) { vec![] } else { alternatives }
}
