//! Owns the way from a request to the operation it asks for, and back: token, path, query, content types.
//!
//! Must not know the rules that objects follow.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, Request, Uri, header};
use axum::response::Response;
use serde_json::Value;

use super::kinds::Kind;
use super::list::{self, Wanted};
use super::selector::Selector;
use super::status::{self, Cause, Refusal};
use super::store::Key;
use super::table::Form;
use super::write::{self, Deleted, Deletion, Part, Propagation};
use super::{Shared, discovery, metadata, patch, watch};

/// As much as the real server reads of a body.
const LARGEST_BODY: usize = 3 << 20;
/// The real server ends a watch that names no time-out after half an hour to an hour.
const WATCH_FOR: u64 = 1800;
const LONGEST_WATCH: u64 = 86_400;

/// Answers any request; whatever cannot be done is a `Status`.
pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    match route(shared, request).await {
        Ok(response) => response,
        Err(refusal) => json(refusal.code, &refusal.body()),
    }
}

fn json(code: u16, body: &Value) -> Response {
    raw(code, body.to_string())
}

fn raw(code: u16, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-cache, private")
        .body(body.into())
        .unwrap_or_default()
}

/// The segments of a path, decoded; `None` for what is no path of text.
fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/').filter(|s| !s.is_empty()).map(decode).collect()
}

fn decode(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

/// Takes the token off the path or the headers.
fn authorised(shared: &Shared, headers: &HeaderMap, mut path: Vec<String>) -> Result<Vec<String>, Refusal> {
    if let [prefix, token, ..] = path.as_slice()
        && prefix == super::TOKEN_PREFIX
    {
        if *token != shared.token {
            return Err(Refusal::unauthorized());
        }
        return Ok(path.split_off(2));
    }
    let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let token = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if token.is_some_and(|(_, token)| token.trim() == shared.token) { Ok(path) } else { Err(Refusal::unauthorized()) }
}

async fn route(shared: Arc<Shared>, request: Request<Body>) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let path = segments(head.uri.path()).ok_or_else(Refusal::no_such_path);
    // A path that cannot be read is nobody's business without a token either.
    let path = match path {
        Ok(path) => authorised(&shared, &head.headers, path)?,
        Err(refusal) => return authorised(&shared, &head.headers, Vec::new()).and(Err(refusal)),
    };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (group, version, rest) = match path.as_slice() {
        ["api", "v1", rest @ ..] => ("", "v1", rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        about => return describe(&shared, &head.method, about),
    };
    let kinds = shared.lock().kinds();
    if !kinds.iter().any(|k| k.group == group && k.version == version) {
        return Ok(nothing_here());
    }
    if rest.is_empty() {
        only_get(&head.method)?;
        return Ok(json(200, &discovery::resources(&kinds, group, version).ok_or_else(Refusal::no_such_path)?));
    }
    let (namespace, rest) = match rest {
        ["namespaces", namespace, plural, more @ ..] if !["status", "finalize"].contains(plural) => {
            (Some(*namespace), [&[*plural], more].concat())
        }
        rest => (None, rest.to_vec()),
    };
    let kind = rest.first().and_then(|plural| shared.lock().kind(group, version, plural));
    let built_in = kinds.iter().any(|k| k.group == group && !k.custom);
    let Some(kind) = kind else { return if built_in { Err(Refusal::no_such_path()) } else { Ok(nothing_here()) } };
    if namespace.is_some() && !kind.namespaced {
        return Err(Refusal::no_such_path());
    }
    let query = Params::read(&head.uri)?;
    let form = Form::accepted(
        head.headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default(),
        query.text("includeObject"),
    )?;
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let call = Call { shared, kind, namespace: namespace.unwrap_or_default().to_owned(), query, form, content_type };
    match rest.as_slice() {
        [_] => call.collection(head.method, body, namespace.is_some()).await,
        // A namespaced object has no address without its namespace.
        [_, _, ..] if call.kind.namespaced && namespace.is_none() => Err(Refusal::no_such_path()),
        [_, name] => call.object(head.method, body, name, Part::Main).await,
        [_, name, "status"] if call.kind.status => call.object(head.method, body, name, Part::Status).await,
        [
            plural,
            _,
            "scale"
            | "log"
            | "exec"
            | "attach"
            | "portforward"
            | "proxy"
            | "eviction"
            | "binding"
            | "token"
            | "finalize"
            | "ephemeralcontainers"
            | "resize",
            ..,
        ] if !call.kind.custom => Err(Refusal::not_implemented(&format!("the subresource {} of {plural}", rest[2]))),
        [_, name, _] if call.kind.custom => Err(Refusal::not_found(&call.kind, name)),
        _ => Err(Refusal::no_such_path()),
    }
}

fn only_get(method: &Method) -> Result<(), Refusal> {
    if [Method::GET, Method::HEAD].contains(method) { Ok(()) } else { Err(Refusal::method_not_allowed()) }
}

/// What is not about objects.
fn describe(shared: &Shared, method: &Method, path: &[&str]) -> Result<Response, Refusal> {
    let kinds = || shared.lock().kinds();
    let body = match path {
        ["version"] => discovery::version(),
        ["api"] => discovery::core_versions(),
        ["apis"] => discovery::groups(&kinds()),
        ["apis", group] => match discovery::group(&kinds(), group, true) {
            Some(group) => group,
            None => return Ok(nothing_here()),
        },
        ["healthz" | "livez" | "readyz"] => {
            only_get(method)?;
            return Ok(text("ok"));
        }
        // kubectl wants a document here before it applies. An empty one of an unknown type makes it skip its own validation;
        // there are no schemas that it could validate by.
        ["openapi", "v2"] => {
            only_get(method)?;
            let mut response = text("");
            let plain = header::HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
            return Ok(response);
        }
        _ => return Ok(nothing_here()),
    };
    only_get(method)?;
    Ok(json(200, &body))
}

/// What the real server says of a path that belongs to no group: no `Status`.
fn nothing_here() -> Response {
    let mut response = text("404 page not found\n");
    *response.status_mut() = axum::http::StatusCode::NOT_FOUND;
    response
}

fn text(body: &'static str) -> Response {
    let mut response = raw(200, body);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The query of a request.
struct Params(Vec<(String, String)>);

impl Params {
    fn read(uri: &Uri) -> Result<Self, Refusal> {
        let query = Query::try_from_uri(uri);
        query.map(|Query(pairs)| Self(pairs)).map_err(|e| Refusal::bad_request(format!("bad query: {e}")))
    }

    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(k, _)| k == name).map_or("", |(_, v)| v)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(k, _)| k == name)
    }

    fn flag(&self, name: &str) -> bool {
        match self.text(name).to_ascii_lowercase().as_str() {
            // A parameter without a value is a switch: `?watch`.
            "" => self.has(name),
            "0" | "false" => false,
            _ => true,
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.text(name) {
            "" => Ok(None),
            text => {
                let bad = |_| Refusal::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
                text.parse::<i64>().map(|n| u64::try_from(n).ok()).map_err(bad)
            }
        }
    }

    fn dry_run(&self) -> Result<bool, Refusal> {
        let given = self.0.iter().filter(|(k, _)| k == "dryRun").map(|(_, v)| v.as_str());
        dry_run("CreateOptions", given)
    }
}

fn dry_run<'a>(options: &str, given: impl Iterator<Item = &'a str>) -> Result<bool, Refusal> {
    let mut dry = false;
    for value in given {
        if value != "All" {
            let cause = Cause::unsupported("dryRun", &format!("[{value:?}]"), &["All"]);
            return Err(Refusal::invalid_options(options, vec![cause]));
        }
        dry = true;
    }
    Ok(dry)
}

/// What becomes of fields that the schema does not name.
#[derive(Debug, Clone, Copy)]
enum Strictness {
    Ignore,
    Warn,
    Strict,
}

fn warned(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings {
        // 299 is "miscellaneous, and it stays so".
        if let Ok(value) = header::HeaderValue::from_str(&format!("299 - {warning:?}")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// A request about objects of one kind.
struct Call {
    shared: Arc<Shared>,
    kind: Arc<Kind>,
    namespace: String,
    query: Params,
    form: Form,
    content_type: String,
}

impl Call {
    async fn collection(self, method: Method, body: Body, in_namespace: bool) -> Result<Response, Refusal> {
        let placed = in_namespace || !self.kind.namespaced;
        match method {
            Method::GET | Method::HEAD if self.query.flag("watch") => self.watch(),
            Method::GET | Method::HEAD => {
                let listing = self.list()?;
                let mut out = Vec::new();
                self.form.write_list(&self.kind, &listing, &mut out);
                Ok(raw(200, out))
            }
            Method::POST if placed => {
                let dry_run = self.query.dry_run()?;
                let strictness = self.strictness("CreateOptions")?;
                let mut object = self.read_object(body).await?;
                let unknown = self.decode(&mut object, strictness)?;
                let created =
                    self.shared.write(|store| write::create(store, &self.kind, &self.namespace, object, dry_run))?;
                Ok(warned(self.one(201, &created), &unknown))
            }
            Method::DELETE if placed => {
                let how = self.deletion(body).await?;
                let listing = self.list()?;
                self.shared.write(|store| {
                    for object in &listing.items {
                        let key = self.key(metadata::text(object, "name"));
                        match write::delete(store, &self.kind, &key, &how) {
                            // Somebody else was quicker, or it has to stay; the others go all the same.
                            Ok(_) | Err(Refusal { code: 403 | 404, .. }) => {}
                            Err(refusal) => return Err(refusal),
                        }
                    }
                    Ok(())
                })?;
                let mut out = Vec::new();
                self.form.write_list(&self.kind, &listing, &mut out);
                Ok(raw(200, out))
            }
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    async fn object(self, method: Method, body: Body, name: &str, part: Part) -> Result<Response, Refusal> {
        let key = self.key(name);
        match method {
            Method::GET | Method::HEAD => {
                // Only its form is asked of: this server has one state of an object.
                list::version(self.query.text("resourceVersion"), 500)?;
                let found = self.shared.lock().get(&key).cloned();
                let found = found.ok_or_else(|| Refusal::not_found(&self.kind, name))?;
                Ok(self.one(200, &found))
            }
            Method::PUT => {
                let dry_run = self.query.dry_run()?;
                let strictness = self.strictness("UpdateOptions")?;
                let mut object = self.read_object(body).await?;
                let unknown = self.decode(&mut object, strictness)?;
                let write = |store: &mut _| write::update(store, &self.kind, &key, object, part, true, dry_run);
                let written = self.shared.write(write)?;
                Ok(warned(self.one(200, &written), &unknown))
            }
            Method::PATCH => {
                let way = patch::Way::of(&self.kind, &self.content_type)?;
                let dry_run = self.query.dry_run()?;
                let strictness = self.strictness("PatchOptions")?;
                let body = read(body).await?;
                let (patched, unknown) = self.shared.write(|store| {
                    let there = store.get(&key).ok_or_else(|| Refusal::not_found(&self.kind, name))?;
                    let mut object = patch::apply(way, &body, there)?;
                    let unknown = self.decode(&mut object, strictness).map_err(Refusal::unreadable_outcome)?;
                    let written = write::update(store, &self.kind, &key, object, part, false, dry_run)?;
                    Ok::<_, Refusal>((written, unknown))
                })?;
                Ok(warned(self.one(200, &patched), &unknown))
            }
            Method::DELETE if part == Part::Main => {
                let how = self.deletion(body).await?;
                match self.shared.write(|store| write::delete(store, &self.kind, &key, &how))? {
                    Deleted::Gone(last) => {
                        Ok(json(200, &status::deleted(&self.kind, name, metadata::text(&last, "uid"))))
                    }
                    Deleted::Waiting(object) => Ok(self.one(200, &object)),
                }
            }
            Method::POST if self.kind.custom => Err(Refusal::not_supported(&self.kind, "create")),
            Method::DELETE if self.kind.custom => Err(Refusal::not_supported(&self.kind, "delete")),
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    fn key(&self, name: &str) -> Key {
        Key::new(&self.kind.resource(), &self.namespace, name)
    }

    fn one(&self, code: u16, object: &Value) -> Response {
        let mut out = Vec::new();
        self.form.write(&self.kind, object, true, &mut out);
        raw(code, out)
    }

    fn selector(&self) -> Result<Selector, Refusal> {
        Selector::new(&self.kind, self.query.text("labelSelector"), self.query.text("fieldSelector"))
    }

    fn list(&self) -> Result<list::Listing, Refusal> {
        if self.query.has("sendInitialEvents") {
            let cause = Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
            return Err(Refusal::invalid_options("ListOptions", vec![cause]));
        }
        let selector = self.selector()?;
        let limit = self.query.number("limit")?.unwrap_or_default();
        let wanted = Wanted {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            token: self.query.text("continue").to_owned(),
            version: self.query.text("resourceVersion").to_owned(),
            version_match: self.query.text("resourceVersionMatch").to_owned(),
        };
        list::list(&self.shared.lock(), &self.kind, &self.namespace, &selector, &wanted)
    }

    fn watch(self) -> Result<Response, Refusal> {
        let selector = self.selector()?;
        let initial_events = self.query.flag("sendInitialEvents");
        let version_match = self.query.text("resourceVersionMatch");
        let forbidden =
            |field: &str, why: &str| Err(Refusal::invalid_options("ListOptions", vec![Cause::forbidden(field, why)]));
        if !version_match.is_empty() && !self.query.has("sendInitialEvents") {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return forbidden("resourceVersionMatch", why);
        }
        if initial_events && version_match != "NotOlderThan" {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let mut causes = vec![Cause::forbidden("resourceVersionMatch", why)];
            if !version_match.is_empty() {
                let given = format!("{version_match:?}");
                causes.push(Cause::unsupported("resourceVersionMatch", &given, &["NotOlderThan"]));
            }
            return Err(Refusal::invalid_options("ListOptions", causes));
        }
        let timeout = self.query.number("timeoutSeconds")?.filter(|s| *s > 0).unwrap_or(WATCH_FOR);
        let wanted = watch::Wanted {
            version: list::version(self.query.text("resourceVersion"), 500)?,
            bookmarks: self.query.flag("allowWatchBookmarks"),
            initial_events,
            timeout: Duration::from_secs(timeout.min(LONGEST_WATCH)),
            kind: self.kind,
            namespace: self.namespace,
            selector,
            form: self.form,
        };
        Ok(raw(200, Body::from_stream(watch::stream(self.shared, wanted))))
    }

    fn strictness(&self, options: &str) -> Result<Strictness, Refusal> {
        match self.query.text("fieldValidation") {
            "" | "Warn" => Ok(Strictness::Warn),
            "Ignore" => Ok(Strictness::Ignore),
            "Strict" => Ok(Strictness::Strict),
            other => {
                let given = format!("{other:?}");
                let cause = Cause::unsupported("fieldValidation", &given, &["", "Ignore", "Strict", "Warn"]);
                Err(Refusal::invalid_options(options, vec![cause]))
            }
        }
    }

    /// Makes of a custom object what its schema makes of it; gives what is to be warned of.
    fn decode(&self, object: &mut Value, strictness: Strictness) -> Result<Vec<String>, Refusal> {
        let mut unknown = metadata::prune(object);
        metadata::shape(&self.kind, object)?;
        unknown.extend(self.kind.schema.as_ref().map(|schema| schema.decode(object)).unwrap_or_default());
        let unknown: Vec<String> = unknown.into_iter().map(|field| format!("unknown field {field:?}")).collect();
        match strictness {
            Strictness::Ignore => Ok(Vec::new()),
            Strictness::Strict if !unknown.is_empty() => {
                let (kind, version) = (&self.kind.kind, &self.kind.version);
                Err(Refusal::bad_request(format!(
                    "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {}",
                    unknown.join(", ")
                )))
            }
            _ => Ok(unknown),
        }
    }

    async fn read_object(&self, body: Body) -> Result<Value, Refusal> {
        self.reads_json()?;
        let bytes = read(body).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            metadata::unrecognized(&self.kind, &format!("couldn't get version/kind; json parse error: {e}"))
        })
    }

    fn reads_json(&self) -> Result<(), Refusal> {
        if ["", "application/json"].contains(&self.content_type.as_str()) {
            return Ok(());
        }
        Err(Refusal::unsupported_media(format!(
            "the body of the request was in an unknown format - accepted media types include: application/json; the embedded API server does not read {}, so use a manifest with kubectl create -f or apply -f",
            self.content_type.rsplit('.').next().unwrap_or_default()
        )))
    }

    async fn deletion(&self, body: Body) -> Result<Deletion, Refusal> {
        let bytes = read(body).await?;
        let options: Value = if bytes.is_empty() {
            Value::Null
        } else {
            self.reads_json()?;
            serde_json::from_slice(&bytes)
                .map_err(|e| Refusal::bad_request(format!("couldn't get version/kind; json parse error: {e}")))?
        };
        let text = |v: &Value, pointer: &str| v.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let policy =
            text(&options, "/propagationPolicy").unwrap_or_else(|| self.query.text("propagationPolicy").into());
        let orphan = options.get("orphanDependents").and_then(Value::as_bool);
        let propagation = match (policy.as_str(), orphan) {
            ("", None) => None,
            ("Orphan", None) | ("", Some(true)) => Some(Propagation::Orphan),
            ("Background", None) | ("", Some(false)) => Some(Propagation::Background),
            ("Foreground", None) => Some(Propagation::Foreground),
            (other, both) => {
                let cause = match both {
                    Some(_) => {
                        let why = "orphanDependents and deletionPropagation cannot be both set";
                        Cause::invalid("propagationPolicy", other, why)
                    }
                    None => {
                        let supported = ["Foreground", "Background", "Orphan", "nil"];
                        Cause::unsupported("propagationPolicy", &format!("{other:?}"), &supported)
                    }
                };
                return Err(Refusal::invalid_options("DeleteOptions", vec![cause]));
            }
        };
        let dry = options.get("dryRun").and_then(Value::as_array).into_iter().flatten();
        let dry = dry_run("DeleteOptions", dry.map(|v| v.as_str().unwrap_or_default()))?;
        Ok(Deletion {
            propagation,
            uid: text(&options, "/preconditions/uid"),
            version: text(&options, "/preconditions/resourceVersion"),
            dry_run: dry || self.query.dry_run()?,
        })
    }
}

async fn read(body: Body) -> Result<axum::body::Bytes, Refusal> {
    to_bytes(body, LARGEST_BODY).await.map_err(|_| Refusal::too_large(LARGEST_BODY))
}
