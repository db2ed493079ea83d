//! Sends the requests that an identity needs: for a token, a login, the CSRF cookie.
use super::{
    super::{endpoint::Endpoint, exchange::send_auxiliary, prepared_request::PreparedRequest},
    jar::CookieJar,
};
use crate::executor::{ActionContext, ActionError};
use reqwest::{Client, Response};

pub(super) struct AuxiliarySender<'a, 'c> {
    pub cx: &'a ActionContext<'c>,
    pub endpoint: &'a Endpoint,
    pub client: &'a Client,
    /// The name of the identity in notes and secrets.
    pub label: &'a str,
    pub jar: Option<&'a CookieJar>,
}

impl AuxiliarySender<'_, '_> {
    /// Sends the request and stores the cookies of the response.
    pub async fn send(&self, request: &PreparedRequest, purpose: &str) -> Result<Response, ActionError> {
        let response = send_auxiliary(self.cx, self.endpoint, self.client, request, purpose).await?;
        if let Some(jar) = self.jar {
            jar.store(self.cx, &request.url, response.headers());
        }
        Ok(response)
    }
}
