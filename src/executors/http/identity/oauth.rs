//! Fetches a token by OAuth 2.0 client credentials (RFC 6749, 4.4).
use super::{
    super::{
        exchange::read_short_body,
        prepared_request::PreparedRequest,
        request_body::{RequestBody, form_encode},
    },
    authorization::{FetchedToken, bearer, sensitive_value},
    auxiliary::AuxiliarySender,
};
use crate::{
    executor::{ActionContext, ActionError, Body},
    expr::{Template, Tree},
    language::{Key, Shape, TEXTS, VALUES},
    value::{
        Value,
        json::{self, JsonError},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use std::time::Duration;

/// How much of a response an error quotes.
const MAX_QUOTED_BYTES: usize = 200;

pub(super) const REQUIRED: [Key; 3] = [
    Key::new("token_url", Shape::Text).required().means("address of the token endpoint"),
    Key::new("client_id", Shape::Text).required().means("id of the client"),
    Key::new("client_secret", Shape::Text).required().means("secret of the client"),
];
pub(super) const KEYS: &[Key] = &[
    Key::new("scope", Shape::Either(&[Shape::Text, TEXTS])).means("requested scopes"),
    Key::new("parameters", VALUES).means("further form fields"),
    Key::new("client_in", Shape::Word(&["header", "body"])).means("where id and secret of the client are sent"),
];

pub(super) struct OAuth {
    url: Template,
    client_id: Template,
    client_secret: Template,
    scope: Option<Tree>,
    parameters: Vec<(String, Tree)>,
    /// Whether the request carries the client's id and secret in its body, and not in a header.
    client_in_body: bool,
}

impl OAuth {
    pub fn compile(body: &mut Body<'_>) -> Option<OAuth> {
        if !body.only(&[&REQUIRED, KEYS]) {
            return None;
        }
        let [url, client_id, client_secret] = REQUIRED.map(|key| body.required_template(key.name));
        Some(OAuth {
            scope: body.texts("scope"),
            parameters: body.pairs("parameters"),
            client_in_body: body.choice("client_in", &[("header", false), ("body", true)]).unwrap_or(false),
            url: url?,
            client_id: client_id?,
            client_secret: client_secret?,
        })
    }

    pub async fn fetch(&self, sender: &AuxiliarySender<'_>) -> Result<FetchedToken, ActionError> {
        let AuxiliarySender { cx, label, .. } = sender;
        let request = self.request(sender)?;
        let response = sender.send(&request, &format!("for the token of `{label}`")).await?;
        let status = response.status();
        let text = read_short_body(cx, response).await;
        let json = json::read(&text);
        let token = json.as_ref().ok().and_then(|json| json.get("access_token")).and_then(Value::as_str);
        let Some(token) = token.filter(|token| status.is_success() && !token.is_empty()) else {
            let verdict = if status.is_success() { "returned no token for" } else { "rejected the credentials of" };
            return Err(ActionError::Unreachable(format!(
                "the token endpoint {} {verdict} `{label}`: {status}, {}",
                request.url,
                rejection_reason(cx, status, &json, &text)
            )));
        };
        cx.secrets.add(&format!("{label}.token"), token);
        let seconds = json.as_ref().ok().and_then(|json| json.get("expires_in")).and_then(|expires| match expires {
            Value::Text(text) => text.parse().ok(),
            number => u64::try_from(number.decimal()?.integer()?).ok(),
        });
        Ok(FetchedToken { header: Some(bearer(token)?), lifetime: seconds.map(Duration::from_secs) })
    }

    fn request(&self, sender: &AuxiliarySender<'_>) -> Result<PreparedRequest, ActionError> {
        let AuxiliarySender { cx, endpoint, label, .. } = sender;
        let scope = cx.environment;
        let (id, secret) = (self.client_id.render_text(scope)?, self.client_secret.render_text(scope)?);
        cx.secrets.add(&format!("{label}.client_secret"), &secret);
        let mut form = vec![("grant_type".to_string(), "client_credentials".to_string())];
        if let Some(tree) = &self.scope {
            let scopes: Vec<_> = tree.render(scope)?.items().iter().map(Value::to_string).collect();
            form.push(("scope".into(), scopes.join(" ")));
        }
        for (name, tree) in &self.parameters {
            form.push((name.clone(), tree.render(scope)?.to_string()));
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if self.client_in_body {
            form.extend([("client_id".into(), id), ("client_secret".into(), secret)]);
        } else {
            // Both are form-encoded first (RFC 6749, 2.3.1).
            let encode = |s: String| form_encode(vec![(String::new(), s)]).trim_start_matches('=').to_string();
            let basic = STANDARD.encode(format!("{}:{}", encode(id), encode(secret)));
            cx.secrets.add(&format!("{label}.client"), &basic);
            headers.insert(AUTHORIZATION, sensitive_value(&format!("Basic {basic}"))?);
        }
        let url = endpoint.resolve(&self.url.render_text(scope)?)?;
        Ok(PreparedRequest { method: Method::POST, url, headers, body: RequestBody::Text(form_encode(form)) })
    }
}

fn rejection_reason(cx: &ActionContext<'_>, status: StatusCode, json: &Result<Value, JsonError>, text: &str) -> String {
    let field = |name: &str| json.as_ref().ok().and_then(|json| json.get(name)).and_then(Value::as_str);
    match (field("error"), field("error_description"), json) {
        (Some(error), Some(description), _) => format!("{error}: {description}"),
        (Some(error), None, _) => error.to_string(),
        (None, _, Err(e)) if status.is_success() => format!("the response is not valid JSON: {e}"),
        (None, _, Ok(_)) if status.is_success() => "no `access_token` in the response".into(),
        _ => quote_body(cx, text),
    }
}

/// The beginning of a body for an error message.
pub(super) fn quote_body(cx: &ActionContext<'_>, text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "empty body".into();
    }
    cx.secrets.mask_and_cut(text.to_string(), MAX_QUOTED_BYTES, "…")
}
