//! The cookies of one identity (RFC 6265), and the pair of cookie and header by which a server knows that a request is no forgery.
use super::Identity;
use crate::{
    diagnostic::Diagnostic,
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Body},
    yaml::Kind,
};
use cookie_store::{CookieStore, RawCookie};
use percent_encoding::percent_decode_str;
use reqwest::{
    Method, Url,
    header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE},
};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
};

use super::super::{content::Sent, exchange, request::Prepared, target::HttpTarget};

/// Shorter values are settings (`de`, `dark`), not sessions: masking them would blot out half of every report.
const SECRET: usize = 8;

pub(super) struct Spec {
    /// `Secure` cookies over plain HTTP too.
    insecure: bool,
    csrf: Option<Arc<Csrf>>,
}

/// The double submit: what the cookie holds is sent as a header too, by every request that changes something.
struct Csrf {
    cookie: String,
    header: HeaderName,
    /// A path whose `GET` brings the cookie, asked where it is not there yet.
    from: Option<String>,
}

impl Spec {
    pub fn compile(body: &mut Body<'_>) -> Option<Spec> {
        let cookies = body.get("cookies").cloned();
        let insecure = match cookies.as_ref().map(|n| &n.kind) {
            None | Some(Kind::Bool(false)) => None,
            Some(Kind::Bool(true)) => Some(false),
            Some(Kind::Str(s)) if s == "insecure" => Some(true),
            Some(_) => {
                let span = cookies.as_ref().map_or(body.span(), |n| &n.span).clone();
                let d = Diagnostic::error("wrong-type", &span, "`cookies` must be `true`, `false` or `insecure`");
                body.problem(d.help("`insecure`: those marked `Secure` are kept and sent over `http://` too"));
                Some(false)
            }
        };
        let csrf = Csrf::compile(body);
        if csrf.is_some() && insecure.is_none() {
            let span = body.get("csrf").map_or(body.span(), |n| &n.span).clone();
            let d = Diagnostic::error("csrf-without-cookies", &span, "`csrf` needs the cookies that it pairs");
            body.problem(
                d.help("add `cookies: true`, or `cookies: insecure` for a server without TLS that marks them `Secure`"),
            );
        }
        Some(Spec { insecure: insecure?, csrf: csrf.map(Arc::new) })
    }

    pub fn csrf_header(&self) -> Option<&HeaderName> {
        self.csrf.as_ref().map(|c| &c.header)
    }
}

impl Csrf {
    fn compile(body: &mut Body<'_>) -> Option<Csrf> {
        let node = body.get("csrf")?.clone();
        let mut part = body.part(&node);
        if !part.keys(&["cookie", "header", "from"]) {
            return None;
        }
        for key in ["cookie", "header"] {
            if part.get(key).is_none() {
                part.missing(key);
            }
        }
        let cookie = part.literal("cookie", "the name of a cookie")?;
        let text: String = part.literal("header", "the name of a header")?;
        let Ok(header) = HeaderName::from_bytes(text.as_bytes()) else {
            let span = part.get("header").map_or(part.span(), |n| &n.span).clone();
            let d = Diagnostic::error("invalid-header", &span, format!("`{text}` cannot be the name of a header"));
            part.problem(d.help("letters, digits and `-`"));
            return None;
        };
        Some(Csrf { cookie, header, from: part.literal("from", "a path") })
    }
}

pub(super) struct Jar {
    store: Mutex<CookieStore>,
    insecure: bool,
    csrf: Option<Arc<Csrf>>,
}

impl Jar {
    pub fn new(spec: &Spec) -> Jar {
        Jar { store: Mutex::new(CookieStore::new()), insecure: spec.insecure, csrf: spec.csrf.clone() }
    }

    /// Cookies, and where something is to be changed the header that pairs with one of them: both as of one moment.
    pub async fn lay(
        &self,
        cx: &ActionContext<'_>,
        target: &HttpTarget,
        who: &Identity,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
    ) -> Result<(), ActionError> {
        let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
        let Some(csrf) = self.csrf.as_ref().filter(|_| changes) else {
            self.cookie(url).map(|c| headers.insert(COOKIE, c));
            return Ok(());
        };
        let (mut cookie, mut token) = self.pair(url, &csrf.cookie);
        if let (None, Some(from)) = (&token, &csrf.from) {
            Box::pin(fetch(cx, target, who, from)).await?;
            (cookie, token) = self.pair(url, &csrf.cookie);
        }
        cookie.map(|c| headers.insert(COOKIE, c));
        if let Some(token) = token.and_then(|t| HeaderValue::from_str(&t).ok()) {
            headers.insert(&csrf.header, token);
        }
        Ok(())
    }

    pub fn cookie(&self, url: &Url) -> Option<HeaderValue> {
        self.pair(url, "").0
    }

    /// The header `Cookie` for this URL, and the decoded value of the cookie `name`.
    fn pair(&self, url: &Url, name: &str) -> (Option<HeaderValue>, Option<String>) {
        let store = self.store.lock().unwrap_or_else(|e| e.into_inner());
        let (mut all, mut token) = (String::new(), None);
        for (n, v) in store.get_request_values(&self.seen(url)) {
            if !all.is_empty() {
                all.push_str("; ");
            }
            all.push_str(n);
            all.push('=');
            all.push_str(v);
            if n == name {
                token = Some(decoded(v));
            }
        }
        (HeaderValue::from_str(&all).ok().filter(|_| !all.is_empty()), token)
    }

    pub fn keep(&self, cx: &ActionContext<'_>, url: &Url, headers: &HeaderMap) {
        let mut come = headers.get_all(SET_COOKIE).iter().filter_map(cookie).peekable();
        if come.peek().is_none() {
            return;
        }
        let mut store = self.store.lock().unwrap_or_else(|e| e.into_inner());
        let seen = self.seen(url);
        for cookie in come {
            // the pair proves nothing without the session, and may be another at every answer
            let pair = self.csrf.as_ref().is_some_and(|c| c.cookie == cookie.name());
            if cookie.value().len() >= SECRET && !pair {
                let name = format!("cookie {}", cookie.name());
                cx.secrets.add(&name, cookie.value());
                cx.secrets.add(&name, &decoded(cookie.value()));
            }
            // one that does not belong to this server is not kept, as in a browser
            if let Err(why) = store.insert_raw(&cookie, &seen) {
                cx.note(EvidenceKind::Note, format!("the cookie `{}` is not kept: {why}", cookie.name()));
            }
        }
    }

    /// The URL as the rules on `Secure` see it.
    fn seen<'u>(&self, url: &'u Url) -> Cow<'u, Url> {
        if !self.insecure || url.scheme() == "https" {
            return Cow::Borrowed(url);
        }
        let mut url = url.clone();
        let _ = url.set_scheme("https");
        Cow::Owned(url)
    }
}

async fn fetch(cx: &ActionContext<'_>, target: &HttpTarget, who: &Identity, from: &str) -> Result<(), ActionError> {
    let url = target.resolve(from)?;
    let mut headers = HeaderMap::new();
    let proof = who.sign(cx, target, &Method::GET, &url, &mut headers).await?;
    let mut request = Prepared { method: Method::GET, url, headers, content: Sent::Nothing, who: Some(who), proof };
    exchange::aside(cx, target, &mut request, "for the cookie of `csrf`").await?;
    Ok(())
}

fn cookie(header: &HeaderValue) -> Option<RawCookie<'static>> {
    RawCookie::parse(header.to_str().ok()?.to_string()).ok()
}

fn decoded(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}
