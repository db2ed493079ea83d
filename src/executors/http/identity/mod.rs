//! Who asks: headers, credentials, cookies, a certificate. Owns what a request is signed with and keeps it valid: a token that the
//! target itself has fetched is renewed, a challenge is answered. Must not know what is asked, or who judges the answer.
mod jar;
mod password;
mod tokens;

use self::{
    jar::Jar,
    password::{Digest, Password},
    tokens::{Held, Tokens},
};
use super::{
    connection::Connection,
    headers::Headers,
    request::Prepared,
    target::HttpTarget,
    tls::{Pair, PairSpec},
};
use crate::{
    diagnostic::Diagnostic,
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Body, RunInfo},
    expr::{Scope, Template},
};
use reqwest::{
    Client, Method, Url,
    header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue},
};
use std::sync::{Arc, Mutex};

pub(super) const KEYS: [&str; 8] = ["headers", "basic", "bearer", "digest", "oauth2", "login", "cookies", "csrf"];
const CREDENTIALS: [&str; 5] = ["basic", "bearer", "digest", "oauth2", "login"];

pub(super) struct Spec {
    /// `None`: who asks where no identity is named.
    name: Option<String>,
    headers: Headers,
    credentials: Option<Credentials>,
    jar: Option<jar::Spec>,
    pair: Option<PairSpec>,
}

enum Credentials {
    Basic(Password),
    Bearer(Template),
    Digest(Password),
    Token(tokens::Source),
}

impl Spec {
    /// Unknown keys were said by whoever knows what else may stand there.
    pub fn compile(name: Option<String>, body: &mut Body<'_>) -> Spec {
        let all = body.node.entries().iter();
        let mut there = all.filter(|(k, _)| CREDENTIALS.contains(&k.key_text().as_str())).map(|(k, _)| k.clone());
        let (first, second) = (there.next().map(|k| k.key_text()), there.next());
        drop(there);
        if let (Some(first), Some(second)) = (&first, second) {
            let message = format!("an identity has one kind of credentials: `{first}` is here already");
            let d = Diagnostic::error("multiple-credentials", &second.span, message);
            body.problem(d.help("name another identity under `identities`"));
        }
        let credentials = match first.as_deref() {
            Some("basic") => Password::compile(body, "basic").map(Credentials::Basic),
            Some("bearer") => body.template("bearer").map(Credentials::Bearer),
            Some("digest") => Password::compile(body, "digest").map(Credentials::Digest),
            Some(word) => tokens::Source::compile(body, word).map(Credentials::Token),
            None => None,
        };
        let headers = Headers::compile(body, "headers");
        let pair = if name.is_some() { PairSpec::compile(body) } else { None };
        Spec { name, headers, credentials, jar: jar::Spec::compile(body), pair }
    }
}

pub(super) struct Identity {
    spec: Arc<Spec>,
    tokens: Tokens,
    jar: Option<Jar>,
    digest: Digest,
    pair: Option<Pair>,
    /// With the certificate of its own.
    client: Option<Client>,
    /// The last `Authorization` that was made known as a secret.
    known: Mutex<Option<HeaderValue>>,
}

/// What of a request the target has seen to itself.
#[derive(Default)]
pub(super) struct Proof {
    token: Option<Held>,
    /// As the jar had it; `None` too where the plan says its own.
    cookie: Option<HeaderValue>,
    own_cookie: bool,
    /// The answer to a challenge.
    digest: Option<HeaderValue>,
}

impl Proof {
    /// Whether nobody but the target has said who asks.
    fn owns(&self, headers: &HeaderMap) -> bool {
        headers.get(AUTHORIZATION) == self.digest.as_ref()
    }

    /// Leaves out what the final headers do not have any more.
    pub fn stands(&mut self, headers: &HeaderMap) {
        if headers.get(COOKIE) != self.cookie.as_ref() {
            (self.cookie, self.own_cookie) = (None, true);
        }
        if self.token.as_ref().is_some_and(|held| held.header() != headers.get(AUTHORIZATION)) {
            self.token = None;
        }
    }
}

impl Identity {
    pub fn open(
        spec: Arc<Spec>,
        run: &RunInfo,
        scope: &Scope,
        connection: &Connection,
    ) -> Result<Identity, ActionError> {
        let pair = spec.pair.as_ref().map(|p| p.read(run, scope)).transpose()?;
        let client = pair.as_ref().map(|p| connection.client(Some(p), connection.protocol)).transpose()?;
        let jar = spec.jar.as_ref().map(Jar::new);
        Ok(Identity {
            spec,
            tokens: Tokens::default(),
            jar,
            digest: Digest::default(),
            pair,
            client,
            known: Mutex::default(),
        })
    }

    pub fn name(&self) -> Option<&str> {
        self.spec.name.as_deref()
    }

    /// As secrets and notes call it.
    fn label(&self) -> &str {
        self.name().unwrap_or("http")
    }

    pub fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    pub fn pair(&self) -> Option<&Pair> {
        self.pair.as_ref()
    }

    /// Lays over `headers` all that says who asks.
    pub async fn sign(
        &self,
        cx: &ActionContext<'_>,
        target: &HttpTarget,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
    ) -> Result<Proof, ActionError> {
        let mut proof = Proof::default();
        self.spec.headers.lay(cx.environment, headers)?;
        match &self.spec.credentials {
            None | Some(Credentials::Digest(_)) => {}
            Some(Credentials::Basic(password)) => {
                drop(headers.insert(AUTHORIZATION, password.basic(cx, self.label())?))
            }
            Some(Credentials::Bearer(t)) => {
                drop(headers.insert(AUTHORIZATION, bearer(&t.render_text(cx.environment)?)?))
            }
            Some(Credentials::Token(source)) => {
                let held = self.tokens.current(source, cx, target, self).await?;
                held.header().map(|h| headers.insert(AUTHORIZATION, h.clone()));
                proof.token = Some(held);
            }
        }
        self.make_known(cx, headers);
        if let Some(jar) = &self.jar {
            jar.lay(cx, target, self, method, url, headers).await?;
            proof.cookie = headers.get(COOKIE).cloned();
        }
        Ok(proof)
    }

    /// `Authorization` is a secret, whoever wrote it.
    fn make_known(&self, cx: &ActionContext<'_>, headers: &HeaderMap) {
        let Some(value) = headers.get(AUTHORIZATION) else { return };
        let mut known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        if known.as_ref() == Some(value) {
            return;
        }
        if let Ok(text) = value.to_str() {
            let credential = text.split_once(' ').map_or(text, |(_, credential)| credential);
            cx.secrets.add(&format!("{}.authorization", self.label()), credential);
        }
        *known = Some(value.clone());
    }

    /// Before a request leaves: a server whose challenge is known need not send it again.
    pub fn prepare(&self, cx: &ActionContext<'_>, request: &mut Prepared<'_>) -> Result<(), ActionError> {
        let Some(Credentials::Digest(password)) = &self.spec.credentials else { return Ok(()) };
        if request.proof.owns(&request.headers) {
            self.answer(password, cx, request)?;
        }
        Ok(())
    }

    /// `false` as long as there was no challenge.
    fn answer(
        &self,
        password: &Password,
        cx: &ActionContext<'_>,
        request: &mut Prepared<'_>,
    ) -> Result<bool, ActionError> {
        let value = self.digest.respond(password, cx, self.label(), request)?;
        value.clone().map(|v| request.headers.insert(AUTHORIZATION, v));
        request.proof.digest = value;
        Ok(request.proof.digest.is_some())
    }

    /// After a 401: whether the request can be asked again, once, and why. It is signed anew then. Only what the target itself
    /// has seen to is renewed; what the plan or the environment wrote was refused, and that is the answer.
    pub async fn renew(
        &self,
        cx: &ActionContext<'_>,
        target: &HttpTarget,
        request: &mut Prepared<'_>,
        challenge: &HeaderMap,
    ) -> Result<Option<&'static str>, ActionError> {
        match &self.spec.credentials {
            Some(Credentials::Digest(password)) if request.proof.owns(&request.headers) => {
                let answered = self.digest.challenged(challenge) && self.answer(password, cx, request)?;
                Ok(answered.then_some("a challenge, which is answered"))
            }
            Some(Credentials::Token(source)) => {
                let Some(held) = request.proof.token.take().filter(|held| !held.fresh) else { return Ok(None) };
                let held = match (self.tokens.renew(source, cx, target, self, &held).await, source) {
                    // The log-in is the product's own: that it gives no other token is the product's answer too.
                    (Err(ActionError::Unreachable(why)), tokens::Source::Login(_)) => {
                        cx.note(EvidenceKind::Note, format!("401: the token is not accepted any more, and {why}"));
                        return Ok(None);
                    }
                    (held, _) => held?,
                };
                held.header().map(|h| request.headers.insert(AUTHORIZATION, h.clone()));
                self.make_known(cx, &request.headers);
                self.relay_cookies(cx, target, request).await?;
                Ok(Some("the token is not accepted any more; it is renewed"))
            }
            _ => Ok(None),
        }
    }

    async fn relay_cookies(
        &self,
        cx: &ActionContext<'_>,
        target: &HttpTarget,
        request: &mut Prepared<'_>,
    ) -> Result<(), ActionError> {
        if let (Some(jar), false) = (&self.jar, request.proof.own_cookie) {
            request.headers.remove(COOKIE);
            jar.lay(cx, target, self, &request.method, &request.url, &mut request.headers).await?;
        }
        Ok(())
    }

    /// For the next hop on the same server: cookies may have come.
    pub fn refresh(&self, request: &mut Prepared<'_>) {
        if let (Some(jar), false) = (&self.jar, request.proof.own_cookie) {
            request.headers.remove(COOKIE);
            jar.cookie(&request.url).map(|c| request.headers.insert(COOKIE, c));
        }
    }

    /// For a hop to another server: nothing that says who asks goes there.
    pub fn strip(&self, headers: &mut HeaderMap) {
        self.spec.headers.names().for_each(|name| drop(headers.remove(name)));
        if let Some(name) = self.spec.jar.as_ref().and_then(jar::Spec::csrf_header) {
            headers.remove(name);
        }
    }

    /// Takes what an answer sets.
    pub fn keep(&self, cx: &ActionContext<'_>, url: &Url, headers: &HeaderMap) {
        if let Some(jar) = &self.jar {
            jar.keep(cx, url, headers);
        }
    }

    /// For `curl`: user and password, where it must answer a challenge itself.
    pub fn digest_user(&self, cx: &ActionContext<'_>) -> Option<String> {
        let Some(Credentials::Digest(password)) = &self.spec.credentials else { return None };
        password.render(cx, self.label()).ok().map(|(user, password)| format!("{user}:{password}"))
    }
}

/// `Bearer TOKEN`.
fn bearer(token: &str) -> Result<HeaderValue, ActionError> {
    value(&format!("Bearer {token}"))
}

fn value(text: &str) -> Result<HeaderValue, ActionError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        ActionError::Invalid("a credential holds a line break or a character that no header can".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}
