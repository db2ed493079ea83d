//! Carries out a request on a resource: reads its options and body, calls the operation, formats the result.
use super::{
    cause::Cause,
    format::ResponseFormat,
    kinds::Kind,
    list::{self, ListOptions},
    metadata, object_rules,
    params::{Params, Strictness, dry_run},
    patch,
    response::{json_response, response, with_warnings},
    selector::Selector,
    shared::Shared,
    status::{self, Refusal},
    store::Key,
    watch,
    write::{self, Deleted, Deletion, Part, Propagation},
};
use axum::{
    body::{Body, to_bytes},
    http::Method,
    response::Response,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// The real server's limit of a request body in bytes.
const MAX_BODY_BYTES: usize = 3 << 20;
/// The real server ends a watch without a timeout after 30 to 60 minutes.
const DEFAULT_WATCH_SECONDS: u64 = 1800;
const MAX_WATCH_SECONDS: u64 = 86_400;

/// A request on a resource.
pub(super) struct Call {
    pub shared: Arc<Shared>,
    pub kind: Arc<Kind>,
    pub namespace: String,
    pub query: Params,
    pub form: ResponseFormat,
    pub content_type: String,
}

impl Call {
    pub async fn collection(self, method: Method, body: Body, in_namespace: bool) -> Result<Response, Refusal> {
        let writable = in_namespace || !self.kind.namespaced;
        match method {
            Method::GET | Method::HEAD if self.query.flag("watch") => self.watch(),
            Method::GET | Method::HEAD => {
                let listing = self.list()?;
                let mut out = Vec::new();
                self.form.write_list(&self.kind, &listing, &mut out);
                Ok(response(200, out))
            }
            Method::POST if writable => {
                let dry_run = self.query.dry_run()?;
                let strictness = self.strictness("CreateOptions")?;
                let mut object = self.read_object(body).await?;
                let unknown = self.decode(&mut object, strictness)?;
                let created =
                    self.shared.write(|store| write::create(store, &self.kind, &self.namespace, object, dry_run))?;
                Ok(with_warnings(self.object_response(201, &created), &unknown))
            }
            Method::DELETE if writable => {
                let options = self.read_delete_options(body).await?;
                let listing = self.list()?;
                self.shared.write(|store| {
                    for object in &listing.items {
                        let key = self.key(metadata::string(object, "name"));
                        match write::delete(store, &self.kind, &key, &options) {
                            // already deleted, or protected; the others are still deleted
                            Ok(_) | Err(Refusal { code: 403 | 404, .. }) => {}
                            Err(refusal) => return Err(refusal),
                        }
                    }
                    Ok(())
                })?;
                let mut out = Vec::new();
                self.form.write_list(&self.kind, &listing, &mut out);
                Ok(response(200, out))
            }
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    pub async fn object(self, method: Method, body: Body, name: &str, part: Part) -> Result<Response, Refusal> {
        let key = self.key(name);
        match method {
            Method::GET | Method::HEAD => {
                // only validated: this server has one version of an object
                list::version(self.query.get("resourceVersion"), 500)?;
                let found = self.shared.lock().get(&key).cloned();
                let found = found.ok_or_else(|| Refusal::not_found(&self.kind, name))?;
                Ok(self.object_response(200, &found))
            }
            Method::PUT => {
                let dry_run = self.query.dry_run()?;
                let strictness = self.strictness("UpdateOptions")?;
                let mut object = self.read_object(body).await?;
                let unknown = self.decode(&mut object, strictness)?;
                let write = |store: &mut _| write::update(store, &self.kind, &key, object, part, true, dry_run);
                let written = self.shared.write(write)?;
                Ok(with_warnings(self.object_response(200, &written), &unknown))
            }
            Method::PATCH => {
                let patch_type = patch::PatchType::from_content_type(&self.kind, &self.content_type)?;
                let dry_run = self.query.dry_run()?;
                let strictness = self.strictness("PatchOptions")?;
                let body = read_body(body).await?;
                let (patched, unknown) = self.shared.write(|store| {
                    let stored = store.get(&key).ok_or_else(|| Refusal::not_found(&self.kind, name))?;
                    let mut object = patch::apply(patch_type, &body, stored)?;
                    let unknown = self.decode(&mut object, strictness).map_err(Refusal::invalid_patch_result)?;
                    let written = write::update(store, &self.kind, &key, object, part, false, dry_run)?;
                    Ok::<_, Refusal>((written, unknown))
                })?;
                Ok(with_warnings(self.object_response(200, &patched), &unknown))
            }
            Method::DELETE if part == Part::Main => {
                let options = self.read_delete_options(body).await?;
                match self.shared.write(|store| write::delete(store, &self.kind, &key, &options))? {
                    Deleted::Gone(last) => Ok(json_response(
                        200,
                        &status::success_status(&self.kind, name, metadata::string(&last, "uid")),
                    )),
                    Deleted::Pending(object) => Ok(self.object_response(200, &object)),
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

    fn object_response(&self, code: u16, object: &Value) -> Response {
        let mut out = Vec::new();
        self.form.write(&self.kind, object, true, &mut out);
        response(code, out)
    }

    fn selector(&self) -> Result<Selector, Refusal> {
        Selector::new(&self.kind, self.query.get("labelSelector"), self.query.get("fieldSelector"))
    }

    fn list(&self) -> Result<list::Listing, Refusal> {
        if self.query.has("sendInitialEvents") {
            let cause = Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
            return Err(Refusal::invalid_options("ListOptions", vec![cause]));
        }
        let selector = self.selector()?;
        let limit = self.query.number("limit")?.unwrap_or_default();
        let wanted = ListOptions {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            token: self.query.get("continue").to_owned(),
            version: self.query.get("resourceVersion").to_owned(),
            version_match: self.query.get("resourceVersionMatch").to_owned(),
        };
        list::list(&self.shared.lock(), &self.kind, &self.namespace, &selector, &wanted)
    }

    fn watch(self) -> Result<Response, Refusal> {
        let selector = self.selector()?;
        let initial_events = self.query.flag("sendInitialEvents");
        let version_match = self.query.get("resourceVersionMatch");
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
        let timeout = self.query.number("timeoutSeconds")?.filter(|s| *s > 0).unwrap_or(DEFAULT_WATCH_SECONDS);
        let wanted = watch::WatchOptions {
            version: list::version(self.query.get("resourceVersion"), 500)?,
            bookmarks: self.query.flag("allowWatchBookmarks"),
            initial_events,
            timeout: Duration::from_secs(timeout.min(MAX_WATCH_SECONDS)),
            kind: self.kind,
            namespace: self.namespace,
            selector,
            form: self.form,
        };
        Ok(response(200, Body::from_stream(watch::stream(self.shared, wanted))))
    }

    fn strictness(&self, options: &str) -> Result<Strictness, Refusal> {
        match self.query.get("fieldValidation") {
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

    /// Prunes an object and fills in defaults by its schema. Returns the warnings.
    ///
    /// # Errors
    /// Those of [`object_rules::check_type`], and 400 for unknown fields if `strictness` is `Strict`.
    fn decode(&self, object: &mut Value, strictness: Strictness) -> Result<Vec<String>, Refusal> {
        let mut unknown = metadata::remove_unknown_fields(object);
        object_rules::check_type(&self.kind, object)?;
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
        self.require_json()?;
        let bytes = read_body(body).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            object_rules::unrecognized(&self.kind, &format!("couldn't get version/kind; json parse error: {e}"))
        })
    }

    fn require_json(&self) -> Result<(), Refusal> {
        if ["", "application/json"].contains(&self.content_type.as_str()) {
            return Ok(());
        }
        Err(Refusal::unsupported_media(format!(
            "the body of the request was in an unknown format - accepted media types include: application/json; the embedded API server does not read {}, so use a manifest with kubectl create -f or apply -f",
            self.content_type.rsplit('.').next().unwrap_or_default()
        )))
    }

    async fn read_delete_options(&self, body: Body) -> Result<Deletion, Refusal> {
        let bytes = read_body(body).await?;
        let options: Value = if bytes.is_empty() {
            Value::Null
        } else {
            self.require_json()?;
            serde_json::from_slice(&bytes)
                .map_err(|e| Refusal::bad_request(format!("couldn't get version/kind; json parse error: {e}")))?
        };
        let text = |v: &Value, pointer: &str| v.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let policy = text(&options, "/propagationPolicy").unwrap_or_else(|| self.query.get("propagationPolicy").into());
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

pub(super) async fn read_body(body: Body) -> Result<axum::body::Bytes, Refusal> {
    to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| Refusal::too_large(MAX_BODY_BYTES))
}
