//! Create, update and delete: which fields the server sets, keeps or refuses.
//!
//! The rules are those of `apiserver/pkg/registry`. Works on the store; knows no HTTP, watches or patches.
use super::{
    cause::Cause,
    definitions,
    kinds::{self, Kind},
    metadata, object_rules,
    schema::Schema,
    status::Refusal,
    store::{Key, Store},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const FOREGROUND: &str = "foregroundDeletion";
pub(super) const ORPHAN: &str = "orphan";
/// etcd's limit of an object in bytes.
const MAX_OBJECT_BYTES: usize = 3 << 19;

/// The part of an object that a request writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Main,
    Status,
}

/// What happens to the objects that the deleted object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// Options of a deletion.
#[derive(Debug, Clone, Default)]
pub(super) struct Deletion {
    pub propagation: Option<Propagation>,
    /// Precondition: the uid of the object.
    pub uid: Option<String>,
    /// Precondition: the resource version of the object.
    pub version: Option<String>,
    pub dry_run: bool,
}

/// The current time in seconds, in the format of Kubernetes.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Creates an object. With `dry_run` it is only validated.
///
/// # Errors
/// 400 for another namespace or type, 403 or 405 if the namespace or the definition is being deleted, 404 for an
/// unknown namespace, 409 for a name that exists, 422 for an invalid object, 500 for an object with a resource version.
pub(super) fn create(
    store: &mut Store,
    kind: &Kind,
    namespace: &str,
    mut object: Value,
    dry_run: bool,
) -> Result<Arc<Value>, Refusal> {
    object_rules::check_type(kind, &mut object)?;
    if !metadata::string(&object, "resourceVersion").is_empty() {
        // the real server returns 500 without a reason
        return Err(Refusal::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    set_namespace(kind, namespace, &mut object)?;
    let prefix = metadata::string(&object, "generateName").to_owned();
    let generated = metadata::string(&object, "name").is_empty() && !prefix.is_empty();
    let fields = metadata::fields_mut(&mut object);
    for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        fields.shift_remove(field);
    }
    let now = now();
    fields.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    fields.insert("creationTimestamp".into(), now.clone().into());
    if kind.generation {
        fields.insert("generation".into(), 1.into());
    }
    if kind.status
        && let Some(object) = object.as_object_mut()
    {
        object.shift_remove("status");
    }
    if generated {
        let name = (0..8)
            .map(|_| generate_name(&prefix))
            .find(|name| store.get(&Key::new(&kind.resource(), namespace, name)).is_none())
            .ok_or_else(|| Refusal::already_exists(kind, &prefix, false))?;
        metadata::set(&mut object, "name", name.into());
    }
    check_valid(kind, &object, object_rules::metadata_errors(kind, &object), |schema| schema.validate(&object))?;
    check_size(&object)?;
    let name = metadata::string(&object, "name").to_owned();
    if kind.namespaced {
        let key = Key::new(kinds::NAMESPACES, "", namespace);
        let Some(parent) = store.get(&key) else {
            let namespaces = store.kind_of(kinds::NAMESPACES).ok_or_else(Refusal::no_such_path)?;
            return Err(Refusal::not_found(&namespaces, namespace));
        };
        if metadata::is_deleting(parent) {
            return Err(Refusal::terminating(kind, &name, namespace));
        }
    }
    let definition = store.get(&Key::new(definitions::DEFINITIONS, "", &kind.resource()));
    if definition.is_some_and(|d| metadata::is_deleting(d)) {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(Refusal::new(405, "MethodNotAllowed", why));
    }
    match kind.resource().as_str() {
        kinds::NAMESPACES => {
            if let Some(object) = object.as_object_mut() {
                object.insert("spec".into(), json!({ "finalizers": ["kubernetes"] }));
                object.insert("status".into(), json!({ "phase": "Active" }));
            }
            let labels = metadata::fields_mut(&mut object).entry("labels").or_insert_with(|| json!({}));
            if let Some(labels) = labels.as_object_mut() {
                labels.insert("kubernetes.io/metadata.name".into(), name.clone().into());
            }
        }
        definitions::DEFINITIONS => definitions::accept(kind, &mut object, &now)?,
        _ => {}
    }
    let key = Key::new(&kind.resource(), namespace, &name);
    if let Some(existing) = store.get(&key) {
        return Err(Refusal::already_exists(kind, &name, metadata::is_deleting(existing)));
    }
    if dry_run { Ok(Arc::new(object)) } else { Ok(store.put(key, object)) }
}

/// Replaces one part of an existing object.
///
/// `conditional`: the request must name the version that it read (a replacement of a custom object; a patch need not).
///
/// # Errors
/// 404 if the object does not exist, 400 for another name or namespace, 409 for another version or uid than the stored
/// one, 422 for an invalid object.
pub(super) fn update(
    store: &mut Store,
    kind: &Kind,
    key: &Key,
    mut incoming: Value,
    part: Part,
    conditional: bool,
    dry_run: bool,
) -> Result<Arc<Value>, Refusal> {
    let old = store.get(key).ok_or_else(|| Refusal::not_found(kind, &key.name))?.clone();
    set_namespace(kind, &key.namespace, &mut incoming)?;
    let name = metadata::string(&incoming, "name");
    if name.is_empty() {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            key.name
        )));
    }
    if name != key.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    match metadata::string(&incoming, "resourceVersion") {
        "" if conditional && kind.custom => {
            return Err(Refusal::version_required(kind, name));
        }
        "" => {}
        version if version.parse::<u64>().is_err() => {
            return Err(Refusal::new(500, "", format!("strconv.ParseUint: parsing {version:?}: invalid syntax")));
        }
        version if version != metadata::string(&old, "resourceVersion") => {
            let why = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(Refusal::conflict(kind, name, why));
        }
        _ => {}
    }
    let (given, stored) = (metadata::string(&incoming, "uid"), metadata::string(&old, "uid"));
    if !given.is_empty() && given != stored && !conditional {
        let cause = Cause::invalid("metadata.uid", given, "field is immutable");
        return Err(Refusal::invalid(kind, name, vec![cause]));
    }
    if !given.is_empty() && given != stored {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {given}, UID in object meta: {stored}",
            storage_key(kind, key)
        );
        return Err(Refusal::conflict(kind, name, &why));
    }
    let new = merge_update(kind, &old, incoming, part);
    let causes = if part == Part::Main { object_rules::metadata_errors(kind, &new) } else { Vec::new() };
    check_valid(kind, &new, causes, |schema| schema.validate_change(&new, &old, part == Part::Status))?;
    if part == Part::Main {
        refuse_new_finalizers(kind, &old, &new)?;
    }
    check_size(&new)?;
    let mut new = new;
    if kind.resource() == definitions::DEFINITIONS && part == Part::Main && !metadata::is_deleting(&old) {
        update_definition(kind, &old, &mut new)?;
    }
    if new == *old {
        return Ok(old);
    }
    if dry_run {
        return Ok(Arc::new(new));
    }
    if metadata::is_deleting(&new) && metadata::finalizers(&new).is_empty() && key.resource != kinds::NAMESPACES {
        // the last finalizer is removed: watches see only the deletion, as in the real server
        store.remove(key);
        metadata::set(&mut new, "resourceVersion", metadata::string(&old, "resourceVersion").into());
        return Ok(Arc::new(new));
    }
    Ok(store.put(key.clone(), new))
}

/// Refuses an object with metadata errors or schema errors.
fn check_valid(
    kind: &Kind,
    object: &Value,
    mut causes: Vec<Cause>,
    by: impl FnOnce(&Schema) -> Vec<Cause>,
) -> Result<(), Refusal> {
    causes.extend(kind.schema.as_deref().map(by).unwrap_or_default());
    let name = metadata::string(object, "name");
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid(kind, name, causes)) }
}

/// The object to store: the other part and the server's own fields keep their old values.
fn merge_update(kind: &Kind, old: &Value, incoming: Value, part: Part) -> Value {
    let status = |from: &Value, to: &mut Value| {
        if let Some(to) = to.as_object_mut() {
            match from.get("status") {
                Some(status) => to.insert("status".into(), status.clone()),
                None => to.shift_remove("status"),
            };
        }
    };
    if part == Part::Status {
        let mut new = old.clone();
        status(&incoming, &mut new);
        return new;
    }
    let mut new = incoming;
    if kind.status {
        status(old, &mut new);
    }
    let stored = old.get("metadata").cloned().unwrap_or_default();
    let fields = metadata::fields_mut(&mut new);
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "namespace",
        "generateName",
    ] {
        match stored.get(field) {
            Some(value) => fields.insert(field.into(), value.clone()),
            None => fields.shift_remove(field),
        };
    }
    for empty in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let is_empty =
            |v: &Value| v.as_object().is_some_and(|m| m.is_empty()) || v.as_array().is_some_and(Vec::is_empty);
        if fields.get(empty).is_some_and(is_empty) {
            fields.shift_remove(empty);
        }
    }
    let generation = stored.get("generation").and_then(Value::as_u64);
    if let Some(generation) = generation
        && desired_state(kind, old) != desired_state(kind, &new)
    {
        metadata::set(&mut new, "generation", generation.saturating_add(1).into());
    }
    new
}

/// The key under which the real server stores an object.
fn storage_key(kind: &Kind, key: &Key) -> String {
    let group = if kind.custom { kind.group.as_str() } else { "" };
    let parts = ["/registry", group, &kind.plural, &key.namespace, &key.name];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/")
}

/// The fields whose changes `generation` counts: all except metadata and, where it is a subresource, status.
fn desired_state(kind: &Kind, object: &Value) -> Value {
    let mut content = object.clone();
    if let Some(content) = content.as_object_mut() {
        content.shift_remove("metadata");
        if kind.status {
            content.shift_remove("status");
        }
    }
    content
}

fn refuse_new_finalizers(kind: &Kind, old: &Value, new: &Value) -> Result<(), Refusal> {
    if !metadata::is_deleting(old) {
        return Ok(());
    }
    let before = metadata::finalizers(old);
    let added: Vec<String> = metadata::finalizers(new).into_iter().filter(|f| !before.contains(f)).collect();
    if added.is_empty() {
        return Ok(());
    }
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.iter().map(|f| format!("{f:?}")).collect::<Vec<_>>().join(", ")
    );
    Err(Refusal::invalid(kind, metadata::string(new, "name"), vec![Cause::forbidden("metadata.finalizers", &why)]))
}

/// Validates a changed definition and refuses changes that its objects depend on.
fn update_definition(kind: &Kind, old: &Value, new: &mut Value) -> Result<(), Refusal> {
    let name = metadata::string(new, "name").to_owned();
    for fixed in ["/spec/group", "/spec/scope", "/spec/names/plural", "/spec/names/kind"] {
        if old.pointer(fixed) != new.pointer(fixed) {
            let field = fixed.trim_start_matches('/').replace('/', ".");
            let given = new.pointer(fixed).and_then(Value::as_str).unwrap_or_default();
            return Err(Refusal::invalid(kind, &name, vec![Cause::invalid(&field, given, "field is immutable")]));
        }
    }
    if definitions::served_kind(old).map(|k| k.version) != definitions::served_kind(new).map(|k| k.version) {
        // stored objects would need a conversion
        let why = "the embedded API server cannot change the served version of a custom resource";
        return Err(Refusal::invalid(kind, &name, vec![Cause::forbidden("spec.versions", why)]));
    }
    let status = old.get("status").cloned();
    definitions::accept(kind, new, "")?;
    if let (Some(status), Some(new)) = (status, new.as_object_mut()) {
        new.insert("status".into(), status);
    }
    Ok(())
}

/// Sets the object's namespace to the request's.
fn set_namespace(kind: &Kind, namespace: &str, object: &mut Value) -> Result<(), Refusal> {
    let given = metadata::string(object, "namespace");
    if !kind.namespaced {
        metadata::fields_mut(object).shift_remove("namespace");
        return Ok(());
    }
    if given.is_empty() {
        metadata::set(object, "namespace", namespace.into());
    } else if given != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

fn check_size(object: &Value) -> Result<(), Refusal> {
    if metadata::json_size(object) > MAX_OBJECT_BYTES { Err(Refusal::too_large(MAX_OBJECT_BYTES)) } else { Ok(()) }
}

fn generate_name(prefix: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut base = prefix.to_owned();
    let mut cut = base.len().min(58);
    while !base.is_char_boundary(cut) {
        cut -= 1;
    }
    base.truncate(cut);
    let bytes = *uuid::Uuid::new_v4().as_bytes();
    // the fixed bits of a UUID are in its middle, so its last bytes are random
    base.extend(bytes[11..].iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])));
    base
}

/// The result of a deletion.
#[derive(Debug)]
pub(super) enum Deleted {
    /// The object is removed. This is its last state.
    Gone(Arc<Value>),
    /// The object is marked for deletion. It stays until its finalizers or, in a namespace, its contents are removed.
    Pending(Arc<Value>),
}

/// Deletes an object, or marks it for deletion.
///
/// # Errors
/// 404 if it does not exist, 403 for namespaces that cannot be deleted, 409 if a precondition on uid or version fails.
pub(super) fn delete(store: &mut Store, kind: &Kind, key: &Key, options: &Deletion) -> Result<Deleted, Refusal> {
    let old = store.get(key).ok_or_else(|| Refusal::not_found(kind, &key.name))?.clone();
    preconditions(kind, key, &old, options)?;
    let namespace = key.resource == kinds::NAMESPACES;
    if namespace && ["default", "kube-system"].contains(&key.name.as_str()) {
        return Err(Refusal::forbidden(kind, &key.name, "this namespace may not be deleted"));
    }
    let mut finalizers = metadata::finalizers(&old);
    let wanted = match options.propagation {
        None => None,
        Some(Propagation::Background) => Some(""),
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Orphan) => Some(ORPHAN),
    };
    if let Some(wanted) = wanted {
        finalizers.retain(|f| f != FOREGROUND && f != ORPHAN);
        if !wanted.is_empty() {
            finalizers.push(wanted.to_owned());
        }
    }
    if key.resource == definitions::DEFINITIONS && !finalizers.iter().any(|f| f == definitions::CLEANUP_FINALIZER) {
        finalizers.push(definitions::CLEANUP_FINALIZER.to_owned());
    }
    let mut new = (*old).clone();
    metadata::set_finalizers(&mut new, &finalizers);
    if !metadata::is_deleting(&old) {
        metadata::set(&mut new, "deletionTimestamp", now().into());
        if namespace && let Some(object) = new.as_object_mut() {
            object.insert("status".into(), json!({ "phase": "Terminating" }));
        } else if key.resource == definitions::DEFINITIONS {
            definitions::mark_terminating(&mut new, &now());
        } else {
            metadata::set(&mut new, "deletionGracePeriodSeconds", 0.into());
            // the real server counts the deletion mark as a change of the spec
            if let Some(generation) = old["metadata"]["generation"].as_u64().filter(|_| kind.generation) {
                metadata::set(&mut new, "generation", generation.saturating_add(1).into());
            }
        }
    }
    let pending = !finalizers.is_empty() || namespace;
    if options.dry_run {
        let new = Arc::new(new);
        return Ok(if pending { Deleted::Pending(new) } else { Deleted::Gone(new) });
    }
    if !pending {
        return Ok(Deleted::Gone(store.remove(key).unwrap_or(old)));
    }
    Ok(Deleted::Pending(if new == *old { old } else { store.put(key.clone(), new) }))
}

fn preconditions(kind: &Kind, key: &Key, old: &Value, options: &Deletion) -> Result<(), Refusal> {
    let uid = metadata::string(old, "uid");
    if let Some(wanted) = options.uid.as_deref().filter(|w| *w != uid) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        );
        return Err(Refusal::precondition_failed(kind, &key.name, &why));
    }
    let version = metadata::string(old, "resourceVersion");
    if let Some(wanted) = options.version.as_deref().filter(|w| *w != version) {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({version}). The object might have been modified"
        );
        return Err(Refusal::precondition_failed(kind, &key.name, &why));
    }
    Ok(())
}

/// Removes one of the server's own finalizers, and the object if it was the last.
pub(super) fn remove_finalizer(store: &mut Store, key: &Key, finalizer: &str) {
    let Some(old) = store.get(key).cloned() else { return };
    let finalizers: Vec<String> = metadata::finalizers(&old).into_iter().filter(|f| f != finalizer).collect();
    if finalizers.is_empty() && metadata::is_deleting(&old) && key.resource != kinds::NAMESPACES {
        store.remove(key);
        return;
    }
    let mut new = (*old).clone();
    metadata::set_finalizers(&mut new, &finalizers);
    if new != *old {
        store.put(key.clone(), new);
    }
}
