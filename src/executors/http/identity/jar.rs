//! The cookies of one identity (RFC 6265), and the CSRF header that repeats one of them. Sends nothing.
use super::super::{headers::invalid_header_name, prepared_request::PreparedRequest};
use crate::{
    diagnostic::Diagnostic,
    event::EvidenceKind,
    executor::{ActionContext, Body},
    language::{Key, Shape},
};
use cookie_store::{CookieStore, RawCookie};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use reqwest::{
    Method, Url,
    header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE},
};
use std::{borrow::Cow, sync::Arc};

pub(super) struct CookieJarSpec {
    /// Whether `Secure` cookies are also used over plain HTTP.
    insecure: bool,
    csrf: Option<Arc<Csrf>>,
}

pub(super) const CSRF_KEYS: &[Key] = &[
    Key::new("cookie", Shape::Name).required().means("the cookie with the token"),
    Key::new("header", Shape::Name).required().means("the header that repeats the token"),
    Key::new("from", Shape::Text).means("path to `GET` if the cookie is missing"),
];

/// Double submit: every changing request repeats a cookie as a header.
struct Csrf {
    cookie: String,
    header: HeaderName,
    /// The path to `GET` if the cookie is missing.
    from: Option<String>,
}

impl CookieJarSpec {
    pub fn compile(body: &mut Body<'_>) -> Option<CookieJarSpec> {
        let insecure = match body.get("cookies").map(|node| (node.text(), node)) {
            None => None,
            Some((text, _)) if text == "false" => None,
            Some((text, _)) if text == "true" => Some(false),
            Some((text, _)) if text == "insecure" => Some(true),
            Some((_, node)) => {
                let d = Diagnostic::error("wrong-type", &node.span, "`cookies` must be `true`, `false` or `insecure`");
                body.problem(d.help("`insecure` also stores and sends `Secure` cookies over `http://`"));
                Some(false)
            }
        };
        let csrf = Csrf::compile(body);
        if csrf.is_some() && insecure.is_none() {
            let span = body.get("csrf").map_or(body.span(), |n| &n.span).clone();
            let d = Diagnostic::error("csrf-without-cookies", &span, "`csrf` needs `cookies`");
            body.problem(d.help(
                "add `cookies: true`, or `cookies: insecure` for a server that sets `Secure` cookies without TLS",
            ));
        }
        Some(CookieJarSpec { insecure: insecure?, csrf: csrf.map(Arc::new) })
    }

    pub fn csrf_header(&self) -> Option<&HeaderName> {
        self.csrf.as_ref().map(|c| &c.header)
    }
}

impl Csrf {
    fn compile(body: &mut Body<'_>) -> Option<Csrf> {
        let node = body.get("csrf")?.clone();
        let mut part = body.part(&node);
        if !part.only(&[CSRF_KEYS]) {
            return None;
        }
        let at = (part.required("cookie"), part.required("header")).1;
        let cookie = part.literal("cookie", "the name of a cookie")?;
        let text: String = part.literal("header", "the name of a header")?;
        let Ok(header) = HeaderName::from_bytes(text.as_bytes()) else {
            part.problem(invalid_header_name(&text, &at?.span));
            return None;
        };
        Some(Csrf { cookie, header, from: part.literal("from", "a path") })
    }
}

pub(super) struct CookieJar {
    store: Mutex<CookieStore>,
    insecure: bool,
    csrf: Option<Arc<Csrf>>,
}

impl CookieJar {
    pub fn new(spec: &CookieJarSpec) -> CookieJar {
        CookieJar { store: Mutex::new(CookieStore::new()), insecure: spec.insecure, csrf: spec.csrf.clone() }
    }

    /// Sets `Cookie`, and for a changing request the CSRF header. Both hold the cookies of the same moment.
    pub fn apply_to(&self, request: &mut PreparedRequest) {
        let csrf = self.csrf_for(&request.method);
        let (cookie, token) = self.lookup(&request.url, csrf.map_or("", |csrf| &csrf.cookie));
        cookie.map(|c| request.headers.insert(COOKIE, c));
        let token = token.and_then(|t| HeaderValue::from_str(&t).ok());
        if let (Some(csrf), Some(token)) = (csrf, token) {
            request.headers.insert(&csrf.header, token);
        }
    }

    /// The path to `GET` before this request, if it needs a CSRF cookie and the jar has none yet.
    pub fn missing_csrf_source(&self, request: &PreparedRequest) -> Option<&str> {
        let csrf = self.csrf_for(&request.method)?;
        let from = csrf.from.as_deref()?;
        self.lookup(&request.url, &csrf.cookie).1.is_none().then_some(from)
    }

    fn csrf_for(&self, method: &Method) -> Option<&Csrf> {
        let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
        self.csrf.as_deref().filter(|_| changes)
    }

    /// The header `Cookie` for this URL.
    pub fn cookie_header(&self, url: &Url) -> Option<HeaderValue> {
        self.lookup(url, "").0
    }

    /// The header `Cookie` for this URL, and the decoded value of the cookie `name`.
    fn lookup(&self, url: &Url, name: &str) -> (Option<HeaderValue>, Option<String>) {
        let store = self.store.lock();
        let (mut header, mut value) = (String::new(), None);
        for (n, v) in store.get_request_values(&self.effective_url(url)) {
            if !header.is_empty() {
                header.push_str("; ");
            }
            header.push_str(n);
            header.push('=');
            header.push_str(v);
            if n == name {
                value = Some(percent_decode(v));
            }
        }
        (HeaderValue::from_str(&header).ok().filter(|_| !header.is_empty()), value)
    }

    /// Stores the cookies of a response.
    pub fn store(&self, cx: &ActionContext<'_>, url: &Url, headers: &HeaderMap) {
        let mut cookies = headers.get_all(SET_COOKIE).iter().filter_map(parse_cookie).peekable();
        if cookies.peek().is_none() {
            return;
        }
        let mut store = self.store.lock();
        let url = self.effective_url(url);
        for cookie in cookies {
            // As in a browser, a cookie of another domain is refused.
            if let Err(e) = store.insert_raw(&cookie, &url) {
                cx.note(EvidenceKind::Note, format!("refused the cookie `{}`: {e}", cookie.name()));
            }
        }
    }

    /// The URL for the rules about `Secure`: with `insecure`, plain HTTP counts as HTTPS.
    fn effective_url<'u>(&self, url: &'u Url) -> Cow<'u, Url> {
        if !self.insecure || url.scheme() == "https" {
            return Cow::Borrowed(url);
        }
        let mut url = url.clone();
        let _ = url.set_scheme("https");
        Cow::Owned(url)
    }
}

fn parse_cookie(header: &HeaderValue) -> Option<RawCookie<'static>> {
    RawCookie::parse(header.to_str().ok()?.to_string()).ok()
}

fn percent_decode(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}
