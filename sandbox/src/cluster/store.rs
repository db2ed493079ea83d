//! Owns the objects, their versions and the bounded history of changes that watches and pages read.
//!
//! Synchronous and without judgement: whether a change is allowed is decided before it is committed. Must not know HTTP.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;

use super::kinds::{self, Kind};
use super::metadata;

/// Where an object is. Ordered as lists are: by namespace, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// `plural.group`.
    pub resource: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }
}

/// One committed change.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub version: u64,
    pub key: Key,
    pub before: Option<Arc<Value>>,
    /// What it became; of a deletion the last state, with the deletion's version.
    pub object: Arc<Value>,
    pub deleted: bool,
    weight: usize,
}

/// The version asked for is older than the history.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forgotten;

/// The history holds at most this much, however wide its window, so that large objects cannot fill the memory.
const HISTORY_BYTES: usize = 256 << 20;

pub(super) struct Store {
    version: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
    history_bytes: usize,
    window: usize,
    forgotten: u64,
    by_uid: HashMap<String, Key>,
    children: HashMap<String, BTreeSet<Key>>,
    chores: BTreeSet<Key>,
    /// What the stored definitions make served, by `plural.group`.
    defined: BTreeMap<String, Arc<Kind>>,
}

impl Store {
    pub fn new(window: usize) -> Self {
        Self {
            version: 0,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            history_bytes: 0,
            window,
            forgotten: 0,
            by_uid: HashMap::new(),
            children: HashMap::new(),
            chores: BTreeSet::new(),
            defined: BTreeMap::new(),
        }
    }

    /// The version of the latest change.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// The served kind of that path, built in or defined.
    pub fn kind(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        let found = kinds::builtin().iter().find(|k| k.group == group && k.plural == plural);
        let found = match found {
            Some(kind) => kind.clone(),
            None => self.kind_of(&format!("{plural}.{group}"))?,
        };
        (found.version == version).then_some(found)
    }

    /// The served kind of `plural.group`.
    pub fn kind_of(&self, resource: &str) -> Option<Arc<Kind>> {
        if let Some(kind) = kinds::builtin().iter().find(|k| k.resource() == resource) {
            return Some(kind.clone());
        }
        self.defined.get(resource).cloned()
    }

    /// All served kinds, built in first.
    pub fn kinds(&self) -> Vec<Arc<Kind>> {
        kinds::builtin().iter().chain(self.defined.values()).cloned().collect()
    }

    /// The objects of a resource, in one namespace or, if that is empty, in all.
    pub fn list<'a>(
        &'a self,
        resource: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        self.objects
            .range((Bound::Included(Key::new(resource, namespace, "")), Bound::Unbounded))
            .take_while(move |(k, _)| k.resource == resource && (namespace.is_empty() || k.namespace == namespace))
    }

    /// Everything inside a namespace.
    pub fn inside(&self, namespace: &str) -> Vec<Key> {
        self.objects.keys().filter(|k| k.namespace == namespace).cloned().collect()
    }

    /// The objects as they were at a version: the present, with the later changes taken back. No snapshot is kept for anyone.
    ///
    /// # Errors
    /// The history no longer reaches back to that version.
    pub fn list_at(
        &self,
        resource: &str,
        namespace: &str,
        version: u64,
    ) -> Result<BTreeMap<Key, Arc<Value>>, Forgotten> {
        if version < self.forgotten {
            return Err(Forgotten);
        }
        let mut then: BTreeMap<Key, Arc<Value>> =
            self.list(resource, namespace).map(|(k, v)| (k.clone(), v.clone())).collect();
        for change in self.history.iter().rev().take_while(|c| c.version > version) {
            let key = &change.key;
            if key.resource != resource || !(namespace.is_empty() || key.namespace == namespace) {
                continue;
            }
            match &change.before {
                Some(before) => then.insert(key.clone(), before.clone()),
                None => then.remove(key),
            };
        }
        Ok(then)
    }

    /// Up to `most` changes after a version, oldest first.
    ///
    /// # Errors
    /// Changes after that version have already been forgotten.
    pub fn changes_after(&self, version: u64, most: usize) -> Result<Vec<Change>, Forgotten> {
        if version < self.forgotten {
            return Err(Forgotten);
        }
        let start = self.history.partition_point(|c| c.version <= version);
        Ok(self.history.range(start..).take(most).cloned().collect())
    }

    /// The latest version whose change is no longer known.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub fn by_uid(&self, uid: &str) -> Option<&Key> {
        self.by_uid.get(uid)
    }

    /// The objects that name this uid as an owner.
    pub fn children(&self, uid: &str) -> Vec<Key> {
        self.children.get(uid).into_iter().flatten().cloned().collect()
    }

    /// The next object for the garbage collector to look at.
    pub fn next_chore(&mut self) -> Option<Key> {
        self.chores.pop_first()
    }

    /// Writes an object, new or changed, under the next version.
    pub fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        metadata::set(&mut object, "resourceVersion", self.version.to_string().into());
        let object = Arc::new(object);
        let before = self.objects.insert(key.clone(), object.clone());
        if let Some(before) = &before {
            self.unindex(&key, before);
        }
        self.index(&key, &object);
        if key.resource == kinds::DEFINITIONS
            && let Some(kind) = kinds::defined(&object)
        {
            self.defined.insert(key.name.clone(), Arc::new(kind));
        }
        self.record(key, before, object.clone(), false);
        object
    }

    /// Takes an object away under the next version. Gives its last state, with that version.
    pub fn take(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        let mut last = (*before).clone();
        metadata::set(&mut last, "resourceVersion", self.version.to_string().into());
        let last = Arc::new(last);
        self.unindex(key, &before);
        if key.resource == kinds::DEFINITIONS {
            self.defined.remove(&key.name);
        }
        self.chores.extend(self.children(metadata::text(&before, "uid")));
        self.record(key.clone(), Some(before), last.clone(), true);
        Some(last)
    }

    fn index(&mut self, key: &Key, object: &Value) {
        self.by_uid.insert(metadata::text(object, "uid").to_owned(), key.clone());
        for owner in metadata::owners(object) {
            self.children.entry(owner.uid).or_default().insert(key.clone());
        }
    }

    fn unindex(&mut self, key: &Key, object: &Value) {
        self.by_uid.remove(metadata::text(object, "uid"));
        for owner in metadata::owners(object) {
            if let Some(children) = self.children.get_mut(&owner.uid) {
                children.remove(key);
                if children.is_empty() {
                    self.children.remove(&owner.uid);
                }
            }
        }
    }

    fn record(&mut self, key: Key, before: Option<Arc<Value>>, object: Arc<Value>, deleted: bool) {
        for owner in metadata::owners(&object) {
            self.chores.extend(self.by_uid.get(&owner.uid).cloned());
        }
        // What goes away may be the last thing that its namespace or its definition waits for; what comes may be too late.
        for holder in [Key::new(kinds::NAMESPACES, "", &key.namespace), Key::new(kinds::DEFINITIONS, "", &key.resource)]
        {
            if self.objects.get(&holder).is_some_and(|o| metadata::deleting(o)) {
                self.chores.insert(holder);
            }
        }
        self.chores.insert(key.clone());
        let weight = metadata::size(&object);
        self.history_bytes += weight;
        self.history.push_back(Change { version: self.version, key, before, object, deleted, weight });
        while self.history.len() > self.window || self.history_bytes > HISTORY_BYTES {
            let Some(oldest) = self.history.pop_front() else { break };
            self.history_bytes -= oldest.weight;
            self.forgotten = oldest.version;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, n: u32) -> Value {
        json!({ "metadata": { "name": name, "uid": name }, "spec": { "n": n } })
    }

    fn key(name: &str) -> Key {
        Key::new("things.x.y", "a", name)
    }

    #[test]
    fn past_versions_can_be_listed() {
        let mut store = Store::new(100);
        store.put(key("one"), object("one", 1));
        store.put(key("two"), object("two", 1));
        let then = store.version();
        store.put(key("one"), object("one", 2));
        store.take(&key("two"));
        store.put(key("three"), object("three", 1));
        let listed = store.list_at("things.x.y", "", then).unwrap();
        assert_eq!(listed.keys().map(|k| k.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(listed[&key("one")]["spec"]["n"], 1);
    }

    #[test]
    fn the_history_is_bounded_and_says_when_it_forgot() {
        let mut store = Store::new(3);
        for n in 0..10 {
            store.put(key("one"), object("one", n));
        }
        assert_eq!(store.changes_after(6, 10).unwrap_err(), Forgotten);
        let kept: Vec<_> = store.changes_after(7, 10).unwrap().iter().map(|c| c.version).collect();
        assert_eq!(kept, [8, 9, 10]);
        assert_eq!(store.list_at("things.x.y", "", 6).unwrap_err(), Forgotten);
    }

    #[test]
    fn a_deletion_has_a_version_of_its_own() {
        let mut store = Store::new(10);
        store.put(key("one"), object("one", 1));
        let last = store.take(&key("one")).unwrap();
        assert_eq!(metadata::text(&last, "resourceVersion"), "2");
        assert!(store.changes_after(1, 10).unwrap()[0].deleted);
    }
}
