//! One request and its answer. Owns the difference between an answer (also a refusal, which a plan may expect) and no answer (no
//! connection, no credentials, a server that is down).
use super::failure;
use crate::executor::ActionError;
use http::{HeaderMap, Method, Request, header};
use kube::client::{Body, Client};
use serde_json::Value as Json;

const JSON: &str = "application/json, */*";
/// All groups in one answer, where the server knows how (since Kubernetes 1.27); else what it has always said.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// The way to one API server as one user.
pub struct Api {
    pub client: Client,
    /// Where objects are looked for when nobody says.
    pub namespace: String,
    /// Without credentials.
    pub address: String,
    /// What a line of kubectl needs in order to reach the same cluster.
    pub flags: Vec<String>,
}

/// What the server said. A code of 400 and above is a refusal, and `json` a `Status`.
pub struct Answer {
    pub code: u16,
    pub json: Json,
    pub headers: HeaderMap,
}

impl Answer {
    pub fn refused(&self) -> bool {
        self.code >= 400
    }

    /// What a refusal says.
    pub fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }
}

impl Api {
    /// Sends one request. `body` comes with its content type.
    ///
    /// # Errors
    /// `Unreachable` where there is no answer to judge: no connection, 401, 429, 5xx, or a server that is no Kubernetes API.
    /// `Invalid` where the path is not served.
    pub async fn ask(&self, method: &Method, path: &str, body: Option<(&str, &Json)>) -> Result<Answer, ActionError> {
        self.answer(method, path, body, JSON).await
    }

    /// What is served below `/api` or `/apis`: an `APIGroupDiscoveryList`, or from old servers the list of versions or groups.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn served(&self, path: &str) -> Result<Answer, ActionError> {
        self.answer(&Method::GET, path, None, AGGREGATED).await
    }

    async fn answer(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&str, &Json)>,
        accept: &str,
    ) -> Result<Answer, ActionError> {
        let (code, headers, bytes) = self.send(method, path, body, accept).await?;
        let json: Option<Json> = serde_json::from_slice(&bytes).ok();
        match (code, json) {
            (200..300, Some(json)) => Ok(Answer { code, json, headers }),
            (_, json) => self.refusal(path, code, json, headers, &bytes),
        }
    }

    /// Gets what is no JSON: the lines of a log.
    ///
    /// # Errors
    /// As `ask`. A refusal is the inner error.
    pub async fn text(&self, path: &str) -> Result<Result<Vec<u8>, Answer>, ActionError> {
        let (code, headers, bytes) = self.send(&Method::GET, path, None, JSON).await?;
        if (200..300).contains(&code) {
            return Ok(Ok(bytes));
        }
        let json = serde_json::from_slice(&bytes).ok();
        self.refusal(path, code, json, headers, &bytes).map(Err)
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&str, &Json)>,
        accept: &str,
    ) -> Result<(u16, HeaderMap, Vec<u8>), ActionError> {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
        let mut bytes = vec![];
        if let Some((kind, json)) = body {
            request = request.header(header::CONTENT_TYPE, kind);
            bytes = serde_json::to_vec(json).unwrap_or_default();
        }
        let request = request
            .body(Body::from(bytes))
            .map_err(|e| ActionError::Invalid(format!("`{path}` is no path of an API: {e}")))?;
        let lost = |e: kube::Error| {
            let why = failure::of_request(&e);
            ActionError::Unreachable(format!("no answer from the cluster at {}: {why}", self.address))
        };
        let response = self.client.send(request).await.map_err(lost)?;
        let (head, body) = response.into_parts();
        let bytes = body.collect_bytes().await.map_err(lost)?;
        Ok((head.status.as_u16(), head.headers, bytes.to_vec()))
    }

    fn refusal(
        &self,
        path: &str,
        code: u16,
        json: Option<Json>,
        headers: HeaderMap,
        bytes: &[u8],
    ) -> Result<Answer, ActionError> {
        let message = json.as_ref().and_then(|j| j["message"].as_str()).map(str::to_string);
        let said = message.unwrap_or_else(|| String::from_utf8_lossy(bytes).chars().take(200).collect());
        let address = &self.address;
        match (code, json) {
            (401, _) => Err(ActionError::Unreachable(format!(
                "the cluster at {address} does not accept our credentials (401): {said}; renew those of the kubeconfig"
            ))),
            (429 | 500.., _) => {
                Err(ActionError::Unreachable(format!("the cluster at {address} cannot answer now ({code}): {said}")))
            }
            (400.., Some(json)) if json["kind"] == "Status" => Ok(Answer { code, json, headers }),
            (404, _) => Err(ActionError::Invalid(format!("the cluster at {address} does not serve `{path}`"))),
            _ => Err(ActionError::Unreachable(format!(
                "the answer from {address} ({code}) is not that of a Kubernetes API: {said}"
            ))),
        }
    }
}

/// A part of a path. Anything else than what Kubernetes allows in names would ask for something else than it says.
///
/// # Errors
/// `Invalid`, with what it was to be.
pub fn word(text: &str, what: &str) -> Result<String, ActionError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:@~".contains(c);
    if text.is_empty() || text == "." || text == ".." || !text.chars().all(plain) {
        return Err(ActionError::Invalid(format!("`{text}` cannot be {what}")));
    }
    Ok(text.to_string())
}

/// For a query.
pub fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}
