//! Sends one request and reads its response. Separates error responses (4xx with a `Status`), which a plan may expect,
//! from no usable response (no connection, rejected credentials, an overloaded server), which is an error.
use super::{
    BodyError, BodyReader, connect_error,
    list_body::{ListBody, read_list},
};
use crate::{
    executor::{ActionError, limits::decoded_bytes},
    executors::processing::off_thread,
    secrets::Secrets,
    value::Value,
};
use http::{HeaderMap, Method, Request, header};
use kube::client::{Body, Client};
use serde_json::Value as Json;
use std::sync::Arc;

/// How much of a body that is not a `Status` an error quotes.
const MAX_QUOTED_BYTES: usize = 200;
const ACCEPT_JSON: &str = "application/json, */*";
/// Aggregated discovery: all groups in one response (since Kubernetes 1.27). Older servers send their plain lists.
const ACCEPT_DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// A client of one API server as one user.
pub struct ApiClient {
    pub client: Client,
    /// The default namespace.
    pub namespace: String,
    /// Without credentials.
    pub address: String,
    /// The flags with which kubectl reaches the same cluster.
    pub kubectl_flags: Vec<String>,
    /// How many bytes of a response are read.
    pub limit: usize,
    /// Masked in what an error quotes.
    pub secrets: Arc<Secrets>,
}

/// A response of the server. From status 400 on, `json` is a `Status` object.
pub struct Response {
    pub status: u16,
    pub json: Json,
    pub headers: HeaderMap,
    /// The size of its body.
    pub bytes: usize,
    /// The items of a list that was asked for with [`ApiClient::list`].
    pub items: Option<Vec<Value>>,
    /// Whether they are the first ones of a list that is longer than the limit.
    pub is_cut: bool,
}

impl Response {
    pub fn is_error(&self) -> bool {
        self.status >= 400
    }

    /// The message of an error response.
    pub fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }
}

impl ApiClient {
    /// Sends one request. `body` is a content type and JSON.
    ///
    /// # Errors
    /// `Unreachable` if there is no usable response: no connection, 401, 429, 5xx, or the server is not a Kubernetes
    /// API. `Invalid` if the path is not served.
    pub async fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&str, &Json)>,
    ) -> Result<Response, ActionError> {
        let response = self.send(method, path, body, ACCEPT_JSON).await?;
        self.parse(path, response, false).await
    }

    /// Gets a list. If it is longer than the limit, its first items.
    ///
    /// # Errors
    /// As `request`.
    pub async fn list(&self, path: &str) -> Result<Response, ActionError> {
        let response = self.send(&Method::GET, path, None, ACCEPT_JSON).await?;
        self.parse(path, response, true).await
    }

    /// Gets what is served below `/api` or `/apis`: an `APIGroupDiscoveryList`, or from old servers the list of
    /// versions or groups.
    ///
    /// # Errors
    /// As `request`.
    pub async fn discover(&self, path: &str) -> Result<Response, ActionError> {
        let response = self.send(&Method::GET, path, None, ACCEPT_DISCOVERY).await?;
        self.parse(path, response, false).await
    }

    /// Gets the beginning of a body that is not JSON, such as a log, up to the limit.
    ///
    /// # Errors
    /// As `request`. An error response is the inner error.
    pub async fn get_bytes(&self, path: &str) -> Result<Result<Vec<u8>, Response>, ActionError> {
        let response = self.send(&Method::GET, path, None, ACCEPT_JSON).await?;
        if response.status().is_success() {
            return match BodyReader::new(response.into_body(), self.limit).read().await {
                (bytes, None | Some(BodyError::TooLong(_))) => Ok(Ok(bytes)),
                (_, Some(broken)) => Err(self.no_response(&broken.to_string())),
            };
        }
        self.parse(path, response, false).await.map(Err)
    }

    fn no_response(&self, why: &str) -> ActionError {
        ActionError::Unreachable(format!("no response from the cluster at {}: {why}", self.address))
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&str, &Json)>,
        accept: &str,
    ) -> Result<http::Response<Body>, ActionError> {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
        let mut bytes = vec![];
        if let Some((content_type, json)) = body {
            request = request.header(header::CONTENT_TYPE, content_type);
            bytes = serde_json::to_vec(json).unwrap_or_default();
        }
        let request = request
            .body(Body::from(bytes))
            .map_err(|e| ActionError::Invalid(format!("invalid API path `{path}`: {e}")))?;
        self.client.send(request).await.map_err(|e| self.no_response(&connect_error::request_failed(&e)))
    }

    async fn parse(&self, path: &str, response: http::Response<Body>, is_list: bool) -> Result<Response, ActionError> {
        let (head, body) = response.into_parts();
        let (status, headers, address) = (head.status.as_u16(), head.headers, &self.address);
        let (bytes, too_long) = match BodyReader::new(body, self.limit).read().await {
            (bytes, None) => (bytes, None),
            (bytes, Some(long @ BodyError::TooLong(_))) => (bytes, Some(long)),
            (_, Some(broken)) => return Err(self.no_response(&broken.to_string())),
        };
        let (size, is_beginning, max_decoded) = (bytes.len(), too_long.is_some(), decoded_bytes(self.limit));
        let parse = move || {
            let whole = |json| ListBody { json, items: None, is_cut: false };
            let body = match is_list {
                true => read_list(&bytes, is_beginning, max_decoded),
                false => serde_json::from_slice(&bytes).ok().map(whole),
            };
            (body, bytes[..bytes.len().min(2 * MAX_QUOTED_BYTES)].to_vec())
        };
        let (body, beginning) = off_thread(size, parse).await;
        if let Some(long) = too_long
            && !((200..300).contains(&status) && body.as_ref().is_some_and(|body| body.is_cut))
        {
            let message = format!("the response of the cluster at {address} to `{path}` was not read: {long}");
            return Err(ActionError::Invalid(message));
        }
        let (json, items, is_cut) = body.map_or((None, None, false), |body| (Some(body.json), body.items, body.is_cut));
        // Every object has a kind, except what `/version` returns.
        let is_object = |json: &Json| json["kind"].is_string() || json["gitVersion"].is_string();
        let message = match json.as_ref().and_then(|j| j["message"].as_str()) {
            Some(message) => message.to_string(),
            None => self.secrets.mask_and_cut(String::from_utf8_lossy(&beginning).into_owned(), MAX_QUOTED_BYTES, "…"),
        };
        match (status, json) {
            (200..300, Some(json)) if is_object(&json) => {
                Ok(Response { status, json, headers, bytes: size, items, is_cut })
            }
            (401, _) => Err(ActionError::Unreachable(format!(
                "the cluster at {address} rejected the credentials (401): {message}; renew them in the kubeconfig"
            ))),
            (429 | 500.., _) => Err(ActionError::Unreachable(format!(
                "the cluster at {address} is overloaded or broken ({status}): {message}"
            ))),
            (400.., Some(json)) if json["kind"] == "Status" => {
                Ok(Response { status, json, headers, bytes: size, items, is_cut })
            }
            (404, _) => Err(ActionError::Invalid(format!("the cluster at {address} does not serve `{path}`"))),
            _ => Err(ActionError::Unreachable(format!(
                "expected a response of a Kubernetes API from {address}, found ({status}): {message}"
            ))),
        }
    }
}

/// Checks one segment of a path. Characters that Kubernetes does not allow in names could change the path. `what` is
/// for the message: "the name of an object".
///
/// # Errors
/// `Invalid`.
pub fn path_segment(text: &str, what: &str) -> Result<String, ActionError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:@~".contains(c);
    if text.is_empty() || text == "." || text == ".." || !text.chars().all(allowed) {
        return Err(ActionError::Invalid(format!(
            "`{text}` cannot be {what}: expected letters, digits and `-._:@~`, without `/`"
        )));
    }
    Ok(text.to_string())
}

/// Encodes a value of a query.
pub fn percent_encoded(text: &str) -> String {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if unreserved(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}
