//! Sends the requests that an identity needs: for a token, a login, the CSRF cookie.
use super::{
    super::{
        connect_error::{explain, never_sent, reasons},
        endpoint::Endpoint,
        prepared_request::PreparedRequest,
    },
    jar::CookieJar,
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError},
    executors::received_secrets,
};
use reqwest::{Client, Response};

pub(super) struct AuxiliarySender<'a> {
    pub cx: &'a ActionContext<'a>,
    pub endpoint: &'a Endpoint,
    pub client: &'a Client,
    /// The name of the identity in notes and secrets.
    pub label: &'a str,
    pub jar: Option<&'a CookieJar>,
}

impl AuxiliarySender<'_> {
    /// Sends the request and stores the cookies of the response. A missing response is an error. Evidence has one line.
    pub async fn send(&self, request: &PreparedRequest, purpose: &str) -> Result<Response, ActionError> {
        let line = format!("{} {}, {purpose}", request.method, request.url);
        let response = self.client.execute(request.build(self.client)?).await.map_err(|e| {
            let reason = if never_sent(&e) {
                explain(&e, &request.url, &self.endpoint.connection)
            } else {
                format!("no complete response: {}", reasons(&e))
            };
            ActionError::Unreachable(format!("{line}: {reason}"))
        })?;
        received_secrets::add_from_headers(self.cx, response.headers());
        self.cx.note(EvidenceKind::Note, format!("{line}: {}", response.status()));
        if let Some(jar) = self.jar {
            jar.store(self.cx, &request.url, response.headers());
        }
        Ok(response)
    }
}
