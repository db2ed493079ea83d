//! An identity: headers, credentials, cookies, client certificate. Signs requests, and renews tokens and challenges.
mod authorization;
mod auxiliary;
mod jar;
mod login;
mod oauth;
mod password;
mod token_cache;

use self::{
    authorization::bearer,
    auxiliary::AuxiliarySender,
    jar::{CookieJar, CookieJarSpec},
    password::{DigestChallenge, Password},
    token_cache::{HeldToken, TokenCache, TokenSource},
};
use super::{
    endpoint::Endpoint,
    headers::{Headers, mask_header},
    prepared_request::PreparedRequest,
    request, request_body,
    tls::{ClientCertificate, ClientCertificateSpec},
};
use crate::{
    diagnostic::Diagnostic,
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Body, RunInfo},
    expr::{Scope, Template},
    language::{Key, Shape, VALUES},
};
use parking_lot::Mutex;
use reqwest::{
    Client, Url,
    header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue},
};
use std::sync::Arc;

pub(super) const KEYS: [Key; 8] = [
    Key::new("headers", VALUES),
    Key::new("basic", Shape::Keys(&[password::KEYS])),
    Key::new("bearer", Shape::Text),
    Key::new("digest", Shape::Keys(&[password::KEYS])),
    Key::new("oauth2", Shape::Keys(&[&oauth::REQUIRED, oauth::KEYS])),
    Key::new("login", Shape::Keys(&[&request::KEYS, &request_body::KEYS, login::KEYS])),
    Key::new("cookies", Shape::Either(&[Shape::Bool, Shape::Word(&["insecure"])])),
    Key::new("csrf", Shape::Keys(&[jar::CSRF_KEYS])),
];
const CREDENTIAL_KEYS: [&str; 5] = ["basic", "bearer", "digest", "oauth2", "login"];

pub(super) struct IdentitySpec {
    /// `None`: the default identity.
    name: Option<String>,
    headers: Headers,
    credentials: Option<Credentials>,
    jar: Option<CookieJarSpec>,
    certificate: Option<ClientCertificateSpec>,
}

enum Credentials {
    Basic(Password),
    Bearer(Template),
    Digest(Password),
    Token(TokenSource),
}

impl IdentitySpec {
    /// Does not report unknown keys: the default identity shares its map with the settings of the target.
    pub fn compile(name: Option<String>, body: &mut Body<'_>) -> IdentitySpec {
        let keys = body.node.entries().iter().map(|(key, _)| (key.key_text(), key.span.clone()));
        let found: Vec<_> = keys.filter(|(key, _)| CREDENTIAL_KEYS.contains(&key.as_str())).collect();
        if let [(first, _), (second, at), ..] = &found[..] {
            let message = format!("expected one kind of credentials, found `{second}` beside `{first}`");
            let d = Diagnostic::error("multiple-credentials", at, message);
            body.problem(d.help("define another identity under `identities`"));
        }
        let credentials = match found.first().map(|(key, _)| key.as_str()) {
            Some("basic") => Password::compile(body, "basic").map(Credentials::Basic),
            Some("bearer") => body.template("bearer").map(Credentials::Bearer),
            Some("digest") => Password::compile(body, "digest").map(Credentials::Digest),
            Some(key) => TokenSource::compile(body, key).map(Credentials::Token),
            None => None,
        };
        let headers = Headers::compile(body, "headers");
        let certificate = if name.is_some() { ClientCertificateSpec::compile(body) } else { None };
        IdentitySpec { name, headers, credentials, jar: CookieJarSpec::compile(body), certificate }
    }
}

pub(super) struct Identity {
    spec: Arc<IdentitySpec>,
    tokens: TokenCache,
    jar: Option<CookieJar>,
    digest: DigestChallenge,
    pub certificate: Option<ClientCertificate>,
    /// For an identity with a client certificate of its own.
    client: Option<Client>,
    /// The last `Authorization` that was added to the secrets.
    registered: Mutex<Option<HeaderValue>>,
}

/// The credentials that an identity added to one request.
#[derive(Default)]
pub(super) struct AppliedCredentials {
    token: Option<HeldToken>,
    cookie: Option<HeaderValue>,
    /// Whether the plan set `Cookie` itself.
    cookie_overridden: bool,
    /// The answer to a Digest challenge.
    digest: Option<HeaderValue>,
}

impl AppliedCredentials {
    /// Whether `Authorization` is left to the Digest challenge: the plan has not set it.
    fn may_answer_challenge(&self, headers: &HeaderMap) -> bool {
        headers.get(AUTHORIZATION) == self.digest.as_ref()
    }

    /// Forgets what the headers of the plan have overridden.
    pub fn drop_overridden(&mut self, headers: &HeaderMap) {
        if headers.get(COOKIE) != self.cookie.as_ref() {
            (self.cookie, self.cookie_overridden) = (None, true);
        }
        if self.token.as_ref().is_some_and(|held| held.header() != headers.get(AUTHORIZATION)) {
            self.token = None;
        }
    }
}

impl Identity {
    pub fn open(
        spec: Arc<IdentitySpec>,
        run: &RunInfo,
        scope: &Scope,
        endpoint: &Endpoint,
    ) -> Result<Identity, ActionError> {
        let certificate = spec.certificate.as_ref().map(|c| c.load(run, scope)).transpose()?;
        let connection = &endpoint.connection;
        let client = certificate.as_ref().map(|c| connection.client(Some(c), connection.protocol)).transpose()?;
        Ok(Identity {
            jar: spec.jar.as_ref().map(CookieJar::new),
            spec,
            tokens: TokenCache::default(),
            digest: DigestChallenge::default(),
            certificate,
            client,
            registered: Mutex::default(),
        })
    }

    pub fn name(&self) -> Option<&str> {
        self.spec.name.as_deref()
    }

    /// The name in notes and secrets.
    fn label(&self) -> &str {
        self.name().unwrap_or("http")
    }

    pub fn client<'c>(&'c self, endpoint: &'c Endpoint) -> &'c Client {
        self.client.as_ref().unwrap_or(&endpoint.client)
    }

    fn sender<'a>(&'a self, cx: &'a ActionContext<'_>, endpoint: &'a Endpoint) -> AuxiliarySender<'a> {
        let (client, label, jar) = (self.client(endpoint), self.label(), self.jar.as_ref());
        AuxiliarySender { cx, endpoint, client, label, jar }
    }

    /// Adds headers, credentials and cookies to the request.
    pub async fn sign(
        &self,
        cx: &ActionContext<'_>,
        endpoint: &Endpoint,
        request: &mut PreparedRequest,
    ) -> Result<AppliedCredentials, ActionError> {
        let mut applied = AppliedCredentials::default();
        let headers = &mut request.headers;
        self.spec.headers.apply_to(headers, cx.environment)?;
        match &self.spec.credentials {
            None | Some(Credentials::Digest(_)) => {}
            Some(Credentials::Basic(password)) => {
                headers.insert(AUTHORIZATION, password.basic(cx, self.label())?);
            }
            Some(Credentials::Bearer(token)) => {
                headers.insert(AUTHORIZATION, bearer(&token.render_text(cx.environment)?)?);
            }
            Some(Credentials::Token(source)) => {
                let held = self.tokens.get(source, &self.sender(cx, endpoint), None).await?;
                held.header().map(|h| headers.insert(AUTHORIZATION, h.clone()));
                applied.token = Some(held);
            }
        }
        self.register_secret(cx, headers);
        self.mask_headers(cx, headers);
        self.apply_cookies(cx, endpoint, request).await?;
        if self.jar.is_some() {
            applied.cookie = request.headers.get(COOKIE).cloned();
        }
        Ok(applied)
    }

    /// Makes `Authorization` a secret, also one from `headers`.
    fn register_secret(&self, cx: &ActionContext<'_>, headers: &HeaderMap) {
        let Some(value) = headers.get(AUTHORIZATION) else { return };
        let mut registered = self.registered.lock();
        if registered.as_ref() == Some(value) {
            return;
        }
        if let Ok(text) = value.to_str() {
            let credential = text.split_once(' ').map_or(text, |(_, credential)| credential);
            cx.secrets.add(&format!("{}.authorization", self.label()), credential);
        }
        *registered = Some(value.clone());
    }

    /// Masks the headers that the environment sets, unless they are no credentials.
    fn mask_headers(&self, cx: &ActionContext<'_>, headers: &HeaderMap) {
        for name in self.spec.headers.names() {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.for_each(|value| mask_header(cx.secrets, name.as_str(), value));
        }
    }

    /// Sets cookies and the CSRF header. Fetches the CSRF cookie first if it is missing.
    async fn apply_cookies(
        &self,
        cx: &ActionContext<'_>,
        endpoint: &Endpoint,
        request: &mut PreparedRequest,
    ) -> Result<(), ActionError> {
        let Some(jar) = &self.jar else { return Ok(()) };
        if let Some(from) = jar.missing_csrf_source(request) {
            let mut get = PreparedRequest::get(endpoint.resolve(from)?);
            Box::pin(self.sign(cx, endpoint, &mut get)).await?;
            self.sender(cx, endpoint).send(&get, "for the cookie of `csrf`").await?;
        }
        jar.apply_to(request);
        Ok(())
    }

    /// Answers the last Digest challenge, unless the plan has set `Authorization`. `false`: the server has sent none yet.
    pub fn answer_challenge(
        &self,
        cx: &ActionContext<'_>,
        request: &mut PreparedRequest,
        applied: &mut AppliedCredentials,
    ) -> Result<bool, ActionError> {
        let Some(Credentials::Digest(password)) = &self.spec.credentials else { return Ok(false) };
        if !applied.may_answer_challenge(&request.headers) {
            return Ok(false);
        }
        applied.digest = self.digest.respond(password, cx, self.label(), request)?;
        if let Some(value) = &applied.digest {
            request.headers.insert(AUTHORIZATION, value.clone());
        }
        Ok(applied.digest.is_some())
    }

    /// Renews the credentials after a 401 and signs the request again; returns the reason. `None`: nothing can be
    /// renewed, so the 401 is the response. Credentials written in the plan or the environment are not renewed, neither
    /// is a token that was fetched for this very request.
    pub async fn renew(
        &self,
        cx: &ActionContext<'_>,
        endpoint: &Endpoint,
        request: &mut PreparedRequest,
        applied: &mut AppliedCredentials,
        response_headers: &HeaderMap,
    ) -> Result<Option<&'static str>, ActionError> {
        match &self.spec.credentials {
            Some(Credentials::Digest(_)) if applied.may_answer_challenge(&request.headers) => {
                let answered = self.digest.accept(response_headers) && self.answer_challenge(cx, request, applied)?;
                Ok(answered.then_some("Digest challenge"))
            }
            Some(Credentials::Token(source)) => {
                let Some(rejected) = applied.token.take().filter(|held| !held.fresh) else { return Ok(None) };
                let held = match (self.tokens.get(source, &self.sender(cx, endpoint), Some(&rejected)).await, source) {
                    // The login belongs to the product: if it fails too, the 401 is the product's response.
                    (Err(ActionError::Unreachable(reason)), TokenSource::Login(_)) => {
                        cx.note(EvidenceKind::Note, format!("401: the token is no longer accepted, and {reason}"));
                        return Ok(None);
                    }
                    (held, _) => held?,
                };
                held.header().map(|h| request.headers.insert(AUTHORIZATION, h.clone()));
                self.register_secret(cx, &request.headers);
                if !applied.cookie_overridden && self.jar.is_some() {
                    request.headers.remove(COOKIE);
                    self.apply_cookies(cx, endpoint, request).await?;
                }
                Ok(Some("the token is no longer accepted and was renewed"))
            }
            _ => Ok(None),
        }
    }

    /// Updates `Cookie` after a redirect to the same server, whose response may have set cookies.
    pub fn refresh_cookies(&self, request: &mut PreparedRequest, applied: &AppliedCredentials) {
        if let (Some(jar), false) = (&self.jar, applied.cookie_overridden) {
            request.headers.remove(COOKIE);
            jar.cookie_header(&request.url).map(|c| request.headers.insert(COOKIE, c));
        }
    }

    /// Removes the headers of this identity, before a redirect to another server.
    pub fn remove_headers(&self, headers: &mut HeaderMap) {
        self.spec.headers.names().for_each(|name| drop(headers.remove(name)));
        if let Some(name) = self.spec.jar.as_ref().and_then(CookieJarSpec::csrf_header) {
            headers.remove(name);
        }
    }

    pub fn store_cookies(&self, cx: &ActionContext<'_>, url: &Url, headers: &HeaderMap) {
        if let Some(jar) = &self.jar {
            jar.store(cx, url, headers);
        }
    }

    /// `user:password` for a Digest challenge.
    pub fn digest_user(&self, cx: &ActionContext<'_>) -> Option<String> {
        let Some(Credentials::Digest(password)) = &self.spec.credentials else { return None };
        password.render(cx, self.label()).ok().map(|(user, password)| format!("{user}:{password}"))
    }
}
