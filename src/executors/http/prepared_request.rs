//! A rendered request, ready to be sent.
use super::{
    connect_error::reasons,
    request_body::{RequestBody, multipart_form},
    response::write_headers,
};
use crate::executor::ActionError;
use reqwest::{Client, Method, Url, header::HeaderMap};
use std::fmt::Write;

pub(super) struct PreparedRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: RequestBody,
}

impl PreparedRequest {
    pub fn get(url: Url) -> PreparedRequest {
        PreparedRequest { method: Method::GET, url, headers: HeaderMap::new(), body: RequestBody::Empty }
    }

    pub fn build(&self, client: &Client) -> Result<reqwest::Request, ActionError> {
        let builder = client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone());
        let builder = match &self.body {
            RequestBody::Empty => builder,
            RequestBody::Text(text) => builder.body(text.clone()),
            RequestBody::File { bytes, .. } => builder.body(bytes.clone()),
            RequestBody::Multipart(parts) => builder.multipart(multipart_form(parts.clone())?),
        };
        builder.build().map_err(invalid_request)
    }

    pub fn evidence(&self) -> String {
        let mut out = String::with_capacity(256);
        let _ = writeln!(out, "{} {}", self.method, self.url);
        write_headers(&self.headers, &mut out);
        self.body.write_evidence(&mut out);
        out
    }
}

pub(super) fn invalid_request(e: reqwest::Error) -> ActionError {
    ActionError::Invalid(format!("cannot build this request: {}", reasons(&e)))
}
