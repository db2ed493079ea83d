//! Garbage collection: deletes objects whose owners no longer exist, processes the finalizers of deletion policies, and
//! empties namespaces and definitions that are being deleted.
//!
//! Works on the store, one task at a time. Knows neither HTTP nor the loop that runs it.
use super::{
    definitions, kinds,
    metadata::{self, Owner},
    store::{Key, Store},
    write::{self, Deletion, FOREGROUND, ORPHAN, Propagation},
};

/// Processes one object. The resulting changes of the store queue further tasks.
pub(super) fn collect(store: &mut Store, key: &Key) {
    let Some(object) = store.get(key).cloned() else { return };
    let uid = metadata::string(&object, "uid");
    if !metadata::is_deleting(&object) {
        return collect_dependent(store, key);
    }
    let finalizers = metadata::finalizers(&object);
    if finalizers.iter().any(|f| f == ORPHAN) {
        for child in store.children(uid) {
            let Some(mut object) = store.get(&child).map(|o| (**o).clone()) else { continue };
            metadata::retain_owners(&mut object, |owner| owner != uid);
            store.put(child, object);
        }
        write::remove_finalizer(store, key, ORPHAN);
    }
    if finalizers.iter().any(|f| f == FOREGROUND) {
        for child in store.children(uid) {
            delete(store, &child, Propagation::Foreground);
        }
        let blocks = |child: &Key| {
            let owners = store.get(child).map(|o| metadata::owners(o)).unwrap_or_default();
            owners.iter().any(|o| o.uid == uid && o.blocks_deletion)
        };
        if !store.children(uid).iter().any(blocks) {
            write::remove_finalizer(store, key, FOREGROUND);
        }
    }
    if key.resource == kinds::NAMESPACES {
        for content in store.in_namespace(&key.name) {
            delete(store, &content, Propagation::Background);
        }
        if store.in_namespace(&key.name).is_empty() && finalizers.is_empty() {
            store.remove(key);
        }
    }
    if key.resource == definitions::DEFINITIONS && finalizers.iter().any(|f| f == definitions::CLEANUP_FINALIZER) {
        let instances: Vec<Key> = store.list(&key.name, "").map(|(k, _)| k.clone()).collect();
        for instance in instances {
            delete(store, &instance, Propagation::Background);
        }
        if store.list(&key.name, "").next().is_none() {
            write::remove_finalizer(store, key, definitions::CLEANUP_FINALIZER);
        }
    }
}

/// Deletes an object if none of its owners exists; otherwise removes references to owners that do not exist.
fn collect_dependent(store: &mut Store, key: &Key) {
    let Some(object) = store.get(key).cloned() else { return };
    let owners = metadata::owners(&object);
    if owners.is_empty() {
        return;
    }
    let exists = |owner: &Owner| owner_exists(store, key, owner);
    let absent: Vec<String> = owners.iter().filter(|o| !exists(o)).map(|o| o.uid.clone()).collect();
    if absent.len() == owners.len() {
        delete(store, key, Propagation::Background);
    } else if !absent.is_empty() {
        let mut object = (*object).clone();
        metadata::retain_owners(&mut object, |uid| !absent.iter().any(|a| a == uid));
        store.put(key.clone(), object);
    }
}

/// An owner is an object with this uid, kind and name, in the same namespace or cluster-scoped.
fn owner_exists(store: &Store, child: &Key, owner: &Owner) -> bool {
    let Some(key) = store.by_uid(&owner.uid) else { return false };
    let Some(kind) = store.kind_of(&key.resource) else { return false };
    let group = |api_version: &str| api_version.rsplit_once('/').map(|(g, _)| g.to_owned()).unwrap_or_default();
    (key.namespace.is_empty() || key.namespace == child.namespace)
        && key.name == owner.name
        && kind.kind == owner.kind
        && kind.group == group(&owner.api_version)
}

fn delete(store: &mut Store, key: &Key, propagation: Propagation) {
    let already = store.get(key).is_some_and(|o| metadata::is_deleting(o));
    if already {
        return;
    }
    if let Some(kind) = store.kind_of(&key.resource) {
        let options = Deletion { propagation: Some(propagation), ..Deletion::default() };
        // if the deletion is refused, the object stays
        let _ = write::delete(store, &kind, key, &options);
    } else {
        store.remove(key);
    }
}
