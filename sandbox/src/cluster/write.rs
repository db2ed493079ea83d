//! Owns the rules of create, update and delete: what the server sets, what it keeps, what it refuses.
//!
//! Rules are those of `apiserver/pkg/registry`. Works on the store; must not know HTTP, watches or patches.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{self, Kind};
use super::metadata;
use super::schema::Schema;
use super::status::{Cause, Refusal};
use super::store::{Key, Store};

pub(super) const FOREGROUND: &str = "foregroundDeletion";
pub(super) const ORPHAN: &str = "orphan";
/// What etcd takes at most.
const LARGEST_OBJECT: usize = 3 << 19;

/// Which part of the object a request writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Main,
    Status,
}

/// What becomes of the objects that the deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Deletion {
    pub propagation: Option<Propagation>,
    pub uid: Option<String>,
    pub version: Option<String>,
    pub dry_run: bool,
}

/// Now, to the second, as Kubernetes writes times.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// # Errors
/// 404 for an unknown namespace, 409 for a name that is taken, 422 for metadata against the rules.
pub(super) fn create(
    store: &mut Store,
    kind: &Kind,
    namespace: &str,
    mut object: Value,
    dry_run: bool,
) -> Result<Arc<Value>, Refusal> {
    metadata::shape(kind, &mut object)?;
    if !metadata::text(&object, "resourceVersion").is_empty() {
        // The real server answers this with 500 and no reason.
        return Err(Refusal::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    place(kind, namespace, &mut object)?;
    let prefix = metadata::text(&object, "generateName").to_owned();
    let generated = metadata::text(&object, "name").is_empty() && !prefix.is_empty();
    let fields = metadata::fields(&mut object);
    for ours in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        fields.shift_remove(ours);
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
            .map(|_| generate(&prefix))
            .find(|name| store.get(&Key::new(&kind.resource(), namespace, name)).is_none())
            .ok_or_else(|| Refusal::already_exists(kind, &prefix, false))?;
        metadata::set(&mut object, "name", name.into());
    }
    valid(kind, &object, metadata::faults(kind, &object), |schema| schema.validate(&object))?;
    fits(&object)?;
    let name = metadata::text(&object, "name").to_owned();
    if kind.namespaced {
        let key = Key::new(kinds::NAMESPACES, "", namespace);
        let Some(home) = store.get(&key) else {
            let namespaces = store.kind_of(kinds::NAMESPACES).ok_or_else(Refusal::no_such_path)?;
            return Err(Refusal::not_found(&namespaces, namespace));
        };
        if metadata::deleting(home) {
            return Err(Refusal::terminating(kind, &name, namespace));
        }
    }
    let definition = store.get(&Key::new(kinds::DEFINITIONS, "", &kind.resource()));
    if definition.is_some_and(|d| metadata::deleting(d)) {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(Refusal::new(405, "MethodNotAllowed", why));
    }
    match kind.resource().as_str() {
        kinds::NAMESPACES => {
            if let Some(object) = object.as_object_mut() {
                object.insert("spec".into(), json!({ "finalizers": ["kubernetes"] }));
                object.insert("status".into(), json!({ "phase": "Active" }));
            }
            let labels = metadata::fields(&mut object).entry("labels").or_insert_with(|| json!({}));
            if let Some(labels) = labels.as_object_mut() {
                labels.insert("kubernetes.io/metadata.name".into(), name.clone().into());
            }
        }
        kinds::DEFINITIONS => kinds::define(kind, &mut object, &now)?,
        _ => {}
    }
    let key = Key::new(&kind.resource(), namespace, &name);
    if let Some(there) = store.get(&key) {
        return Err(Refusal::already_exists(kind, &name, metadata::deleting(there)));
    }
    if dry_run { Ok(Arc::new(object)) } else { Ok(store.put(key, object)) }
}

/// Writes one part of an object that exists.
///
/// `conditional`: the request must say which version it read (a replacement of a custom object; a patch need not).
///
/// # Errors
/// 404 if it is not there, 409 for another version or uid than the stored one, 422 for metadata against the rules.
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
    place(kind, &key.namespace, &mut incoming)?;
    let name = metadata::text(&incoming, "name");
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
    match metadata::text(&incoming, "resourceVersion") {
        "" if conditional && kind.custom => {
            return Err(Refusal::unconditional(kind, name));
        }
        "" => {}
        version if version.parse::<u64>().is_err() => {
            return Err(Refusal::new(500, "", format!("strconv.ParseUint: parsing {version:?}: invalid syntax")));
        }
        version if version != metadata::text(&old, "resourceVersion") => {
            let why = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(Refusal::conflict(kind, name, why));
        }
        _ => {}
    }
    let (given, stored) = (metadata::text(&incoming, "uid"), metadata::text(&old, "uid"));
    if !given.is_empty() && given != stored && !conditional {
        let cause = Cause::invalid("metadata.uid", given, "field is immutable");
        return Err(Refusal::invalid(kind, name, vec![cause]));
    }
    if !given.is_empty() && given != stored {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {given}, UID in object meta: {stored}",
            registry(kind, key)
        );
        return Err(Refusal::conflict(kind, name, &why));
    }
    let new = merged(kind, &old, incoming, part);
    let faults = if part == Part::Main { metadata::faults(kind, &new) } else { Vec::new() };
    valid(kind, &new, faults, |schema| schema.validate_change(&new, &old, part == Part::Status))?;
    if part == Part::Main {
        no_new_finalizers(kind, &old, &new)?;
    }
    fits(&new)?;
    let mut new = new;
    if kind.resource() == kinds::DEFINITIONS && part == Part::Main && !metadata::deleting(&old) {
        redefine(kind, &old, &mut new)?;
    }
    if new == *old {
        return Ok(old);
    }
    if dry_run {
        return Ok(Arc::new(new));
    }
    if metadata::deleting(&new) && metadata::finalizers(&new).is_empty() && key.resource != kinds::NAMESPACES {
        // The last finalizer is gone. Its removal is seen only as the deletion, as in the real server.
        store.take(key);
        metadata::set(&mut new, "resourceVersion", metadata::text(&old, "resourceVersion").into());
        return Ok(Arc::new(new));
    }
    Ok(store.put(key.clone(), new))
}

/// Refuses an object with faults in its metadata, or against its schema.
fn valid(
    kind: &Kind,
    object: &Value,
    mut faults: Vec<Cause>,
    by: impl FnOnce(&Schema) -> Vec<Cause>,
) -> Result<(), Refusal> {
    faults.extend(kind.schema.as_deref().map(by).unwrap_or_default());
    let name = metadata::text(object, "name");
    if faults.is_empty() { Ok(()) } else { Err(Refusal::invalid(kind, name, faults)) }
}

/// The object after the write: the other part and the server's own fields stay as they were.
fn merged(kind: &Kind, old: &Value, incoming: Value, part: Part) -> Value {
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
    let fields = metadata::fields(&mut new);
    for ours in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "namespace",
        "generateName",
    ] {
        match stored.get(ours) {
            Some(value) => fields.insert(ours.into(), value.clone()),
            None => fields.shift_remove(ours),
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
        && content(kind, old) != content(kind, &new)
    {
        metadata::set(&mut new, "generation", generation.saturating_add(1).into());
    }
    new
}

/// Where the real server keeps an object.
fn registry(kind: &Kind, key: &Key) -> String {
    let group = if kind.custom { kind.group.as_str() } else { "" };
    let parts = ["/registry", group, &kind.plural, &key.namespace, &key.name];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/")
}

/// What the generation counts changes of: all but metadata and, where it is a part of its own, status.
fn content(kind: &Kind, object: &Value) -> Value {
    let mut content = object.clone();
    if let Some(content) = content.as_object_mut() {
        content.shift_remove("metadata");
        if kind.status {
            content.shift_remove("status");
        }
    }
    content
}

fn no_new_finalizers(kind: &Kind, old: &Value, new: &Value) -> Result<(), Refusal> {
    if !metadata::deleting(old) {
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
    Err(Refusal::invalid(kind, metadata::text(new, "name"), vec![Cause::forbidden("metadata.finalizers", &why)]))
}

/// A changed definition stays servable, and keeps what its objects depend on.
fn redefine(kind: &Kind, old: &Value, new: &mut Value) -> Result<(), Refusal> {
    let name = metadata::text(new, "name").to_owned();
    for fixed in ["/spec/group", "/spec/scope", "/spec/names/plural", "/spec/names/kind"] {
        if old.pointer(fixed) != new.pointer(fixed) {
            let field = fixed.trim_start_matches('/').replace('/', ".");
            let given = new.pointer(fixed).and_then(Value::as_str).unwrap_or_default();
            return Err(Refusal::invalid(kind, &name, vec![Cause::invalid(&field, given, "field is immutable")]));
        }
    }
    if kinds::defined(old).map(|k| k.version) != kinds::defined(new).map(|k| k.version) {
        // Stored objects would need a conversion.
        let why = "the embedded API server cannot change the served version of a custom resource";
        return Err(Refusal::invalid(kind, &name, vec![Cause::forbidden("spec.versions", why)]));
    }
    let status = old.get("status").cloned();
    kinds::define(kind, new, "")?;
    if let (Some(status), Some(new)) = (status, new.as_object_mut()) {
        new.insert("status".into(), status);
    }
    Ok(())
}

/// Puts the object into the namespace of the request.
fn place(kind: &Kind, namespace: &str, object: &mut Value) -> Result<(), Refusal> {
    let given = metadata::text(object, "namespace");
    if !kind.namespaced {
        metadata::fields(object).shift_remove("namespace");
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

fn fits(object: &Value) -> Result<(), Refusal> {
    if metadata::size(object) > LARGEST_OBJECT { Err(Refusal::too_large(LARGEST_OBJECT)) } else { Ok(()) }
}

fn generate(prefix: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut base = prefix.to_owned();
    let mut cut = base.len().min(58);
    while !base.is_char_boundary(cut) {
        cut -= 1;
    }
    base.truncate(cut);
    let bytes = *uuid::Uuid::new_v4().as_bytes();
    // The fixed bits of a UUID are in the middle; its last bytes are all random.
    base.extend(bytes[11..].iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])));
    base
}

/// What a deletion did.
#[derive(Debug)]
pub(super) enum Deleted {
    /// It is gone.
    Gone(Arc<Value>),
    /// It waits for its finalizers.
    Waiting(Arc<Value>),
}

/// # Errors
/// 404 if it is not there, 403 for the namespaces that must stay, 409 for another uid or version than the stated one.
pub(super) fn delete(store: &mut Store, kind: &Kind, key: &Key, how: &Deletion) -> Result<Deleted, Refusal> {
    let old = store.get(key).ok_or_else(|| Refusal::not_found(kind, &key.name))?.clone();
    preconditions(kind, key, &old, how)?;
    let namespace = key.resource == kinds::NAMESPACES;
    if namespace && ["default", "kube-system"].contains(&key.name.as_str()) {
        return Err(Refusal::forbidden(kind, &key.name, "this namespace may not be deleted"));
    }
    let mut finalizers = metadata::finalizers(&old);
    let wanted = match how.propagation {
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
    if key.resource == kinds::DEFINITIONS && !finalizers.iter().any(|f| f == kinds::CLEANUP) {
        finalizers.push(kinds::CLEANUP.to_owned());
    }
    let mut new = (*old).clone();
    metadata::set_finalizers(&mut new, &finalizers);
    if !metadata::deleting(&old) {
        metadata::set(&mut new, "deletionTimestamp", now().into());
        if namespace && let Some(object) = new.as_object_mut() {
            object.insert("status".into(), json!({ "phase": "Terminating" }));
        } else if key.resource == kinds::DEFINITIONS {
            kinds::terminate(&mut new, &now());
        } else {
            metadata::set(&mut new, "deletionGracePeriodSeconds", 0.into());
            // The real server counts the mark of deletion as a change of what is wanted.
            if let Some(generation) = old["metadata"]["generation"].as_u64().filter(|_| kind.generation) {
                metadata::set(&mut new, "generation", generation.saturating_add(1).into());
            }
        }
    }
    let waits = !finalizers.is_empty() || namespace;
    if how.dry_run {
        let new = Arc::new(new);
        return Ok(if waits { Deleted::Waiting(new) } else { Deleted::Gone(new) });
    }
    if !waits {
        return Ok(Deleted::Gone(store.take(key).unwrap_or(old)));
    }
    Ok(Deleted::Waiting(if new == *old { old } else { store.put(key.clone(), new) }))
}

fn preconditions(kind: &Kind, key: &Key, old: &Value, how: &Deletion) -> Result<(), Refusal> {
    let uid = metadata::text(old, "uid");
    if let Some(wanted) = how.uid.as_deref().filter(|w| *w != uid) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        );
        return Err(Refusal::not_as_expected(kind, &key.name, &why));
    }
    let version = metadata::text(old, "resourceVersion");
    if let Some(wanted) = how.version.as_deref().filter(|w| *w != version) {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({version}). The object might have been modified"
        );
        return Err(Refusal::not_as_expected(kind, &key.name, &why));
    }
    Ok(())
}

/// Takes a finalizer of the server's own off; the object goes when it was the last.
pub(super) fn release(store: &mut Store, key: &Key, finalizer: &str) {
    let Some(old) = store.get(key).cloned() else { return };
    let finalizers: Vec<String> = metadata::finalizers(&old).into_iter().filter(|f| f != finalizer).collect();
    if finalizers.is_empty() && metadata::deleting(&old) && key.resource != kinds::NAMESPACES {
        store.take(key);
        return;
    }
    let mut new = (*old).clone();
    metadata::set_finalizers(&mut new, &finalizers);
    if new != *old {
        store.put(key.clone(), new);
    }
}
