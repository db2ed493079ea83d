//! Owns what happens by itself: objects whose owners are gone are collected, finalizers of deletion policies are worked off,
//! ending namespaces and definitions are emptied.
//!
//! One chore at a time, on the store. Must not know HTTP, or when it is called.

use super::kinds;
use super::metadata::{self, Owner};
use super::store::{Key, Store};
use super::write::{self, Deletion, FOREGROUND, ORPHAN, Propagation};

/// Looks at one object and does what is due. What that changes gives new chores.
pub(super) fn tend(store: &mut Store, key: &Key) {
    let Some(object) = store.get(key).cloned() else { return };
    let uid = metadata::text(&object, "uid");
    if !metadata::deleting(&object) {
        return collect(store, key);
    }
    let finalizers = metadata::finalizers(&object);
    if finalizers.iter().any(|f| f == ORPHAN) {
        for child in store.children(uid) {
            let Some(mut object) = store.get(&child).map(|o| (**o).clone()) else { continue };
            metadata::retain_owners(&mut object, |owner| owner != uid);
            store.put(child, object);
        }
        write::release(store, key, ORPHAN);
    }
    if finalizers.iter().any(|f| f == FOREGROUND) {
        for child in store.children(uid) {
            delete(store, &child, Propagation::Foreground);
        }
        let blocks = |child: &Key| {
            let owners = store.get(child).map(|o| metadata::owners(o)).unwrap_or_default();
            owners.iter().any(|o| o.uid == uid && o.blocks)
        };
        if !store.children(uid).iter().any(blocks) {
            write::release(store, key, FOREGROUND);
        }
    }
    if key.resource == kinds::NAMESPACES {
        for content in store.inside(&key.name) {
            delete(store, &content, Propagation::Background);
        }
        if store.inside(&key.name).is_empty() && finalizers.is_empty() {
            store.take(key);
        }
    }
    if key.resource == kinds::DEFINITIONS && finalizers.iter().any(|f| f == kinds::CLEANUP) {
        let instances: Vec<Key> = store.list(&key.name, "").map(|(k, _)| k.clone()).collect();
        for instance in instances {
            delete(store, &instance, Propagation::Background);
        }
        if store.list(&key.name, "").next().is_none() {
            write::release(store, key, kinds::CLEANUP);
        }
    }
}

/// Deletes an object none of whose owners exists, and forgets the owners that do not.
fn collect(store: &mut Store, key: &Key) {
    let Some(object) = store.get(key).cloned() else { return };
    let owners = metadata::owners(&object);
    if owners.is_empty() {
        return;
    }
    let lives = |owner: &Owner| is_there(store, key, owner);
    let absent: Vec<String> = owners.iter().filter(|o| !lives(o)).map(|o| o.uid.clone()).collect();
    if absent.len() == owners.len() {
        delete(store, key, Propagation::Background);
    } else if !absent.is_empty() {
        let mut object = (*object).clone();
        metadata::retain_owners(&mut object, |uid| !absent.iter().any(|a| a == uid));
        store.put(key.clone(), object);
    }
}

/// An owner is the object with that uid, of that kind and name, in the same namespace or in none.
fn is_there(store: &Store, child: &Key, owner: &Owner) -> bool {
    let Some(key) = store.by_uid(&owner.uid) else { return false };
    let Some(kind) = store.kind_of(&key.resource) else { return false };
    let group = |api_version: &str| api_version.rsplit_once('/').map(|(g, _)| g.to_owned()).unwrap_or_default();
    (key.namespace.is_empty() || key.namespace == child.namespace)
        && key.name == owner.name
        && kind.kind == owner.kind
        && kind.group == group(&owner.api_version)
}

fn delete(store: &mut Store, key: &Key, propagation: Propagation) {
    let already = store.get(key).is_some_and(|o| metadata::deleting(o));
    if already {
        return;
    }
    if let Some(kind) = store.kind_of(&key.resource) {
        let how = Deletion { propagation: Some(propagation), ..Deletion::default() };
        // A refusal leaves the object where it is, which is all that can be done about it here.
        let _ = write::delete(store, &kind, key, &how);
    } else {
        store.take(key);
    }
}
