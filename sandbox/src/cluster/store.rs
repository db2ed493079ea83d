//! Objects, their versions and the bounded history of changes that watches and paged lists read.
//!
//! Synchronous. Callers validate changes before they store them. Knows no HTTP.
use super::{
    definitions,
    kinds::{self, Kind},
    metadata,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

/// The identity of an object. The order is that of lists: by namespace, then by name.
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
    /// The object after the change; for a deletion its last state with the deletion's version.
    pub object: Arc<Value>,
    pub deleted: bool,
    bytes: usize,
}

/// The requested version is older than the history.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VersionCompacted;

/// Limit of the history in bytes, so that large objects cannot fill the memory.
const MAX_HISTORY_BYTES: usize = 256 << 20;

pub(super) struct Store {
    version: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
    history_bytes: usize,
    /// Limit of the history in changes.
    window: usize,
    /// The latest version that is no longer in the history.
    compacted: u64,
    by_uid: HashMap<String, Key>,
    children: HashMap<String, BTreeSet<Key>>,
    gc_queue: BTreeSet<Key>,
    /// The kinds that the stored definitions describe, by `plural.group`.
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
            compacted: 0,
            by_uid: HashMap::new(),
            children: HashMap::new(),
            gc_queue: BTreeSet::new(),
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

    /// The kind served under that path, built in or defined.
    pub fn kind(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        let found = kinds::builtin().iter().find(|k| k.group == group && k.plural == plural);
        let found = match found {
            Some(kind) => kind.clone(),
            None => self.kind_of(&format!("{plural}.{group}"))?,
        };
        (found.version == version).then_some(found)
    }

    /// The kind named `plural.group`.
    pub fn kind_of(&self, resource: &str) -> Option<Arc<Kind>> {
        if let Some(kind) = kinds::builtin().iter().find(|k| k.resource() == resource) {
            return Some(kind.clone());
        }
        self.defined.get(resource).cloned()
    }

    /// All served kinds, built-in ones first.
    pub fn kinds(&self) -> Vec<Arc<Kind>> {
        kinds::builtin().iter().chain(self.defined.values()).cloned().collect()
    }

    /// The objects of a resource in one namespace, or in all if `namespace` is empty.
    pub fn list<'a>(
        &'a self,
        resource: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        self.objects
            .range((Bound::Included(Key::new(resource, namespace, "")), Bound::Unbounded))
            .take_while(move |(k, _)| k.resource == resource && (namespace.is_empty() || k.namespace == namespace))
    }

    /// All objects in a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Key> {
        self.objects.keys().filter(|k| k.namespace == namespace).cloned().collect()
    }

    /// The objects as of a version: the present objects with later changes reverted.
    ///
    /// # Errors
    /// The version is older than the history.
    pub fn list_at(
        &self,
        resource: &str,
        namespace: &str,
        version: u64,
    ) -> Result<BTreeMap<Key, Arc<Value>>, VersionCompacted> {
        if version < self.compacted {
            return Err(VersionCompacted);
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

    /// Up to `limit` changes after a version, oldest first.
    ///
    /// # Errors
    /// Changes after that version are no longer in the history.
    pub fn changes_after(&self, version: u64, limit: usize) -> Result<Vec<Change>, VersionCompacted> {
        if version < self.compacted {
            return Err(VersionCompacted);
        }
        let start = self.history.partition_point(|c| c.version <= version);
        Ok(self.history.range(start..).take(limit).cloned().collect())
    }

    /// The latest version that is no longer in the history.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    pub fn by_uid(&self, uid: &str) -> Option<&Key> {
        self.by_uid.get(uid)
    }

    /// The objects that have an owner reference to this uid.
    pub fn children(&self, uid: &str) -> Vec<Key> {
        self.children.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Removes and returns the next object that the garbage collector must process.
    pub fn next_gc_task(&mut self) -> Option<Key> {
        self.gc_queue.pop_first()
    }

    /// Creates or replaces an object under the next version.
    pub fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        metadata::set(&mut object, "resourceVersion", self.version.to_string().into());
        let object = Arc::new(object);
        let before = self.objects.insert(key.clone(), object.clone());
        if let Some(before) = &before {
            self.unindex(&key, before);
        }
        self.index(&key, &object);
        if key.resource == definitions::DEFINITIONS
            && let Some(kind) = definitions::served_kind(&object)
        {
            self.defined.insert(key.name.clone(), Arc::new(kind));
        }
        self.record(key, before, object.clone(), false);
        object
    }

    /// Removes an object under the next version. Returns its last state with that version.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        let mut last = (*before).clone();
        metadata::set(&mut last, "resourceVersion", self.version.to_string().into());
        let last = Arc::new(last);
        self.unindex(key, &before);
        if key.resource == definitions::DEFINITIONS {
            self.defined.remove(&key.name);
        }
        self.gc_queue.extend(self.children(metadata::string(&before, "uid")));
        self.record(key.clone(), Some(before), last.clone(), true);
        Some(last)
    }

    fn index(&mut self, key: &Key, object: &Value) {
        self.by_uid.insert(metadata::string(object, "uid").to_owned(), key.clone());
        for owner in metadata::owners(object) {
            self.children.entry(owner.uid).or_default().insert(key.clone());
        }
    }

    fn unindex(&mut self, key: &Key, object: &Value) {
        self.by_uid.remove(metadata::string(object, "uid"));
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
            self.gc_queue.extend(self.by_uid.get(&owner.uid).cloned());
        }
        // after a deletion its namespace or definition may be empty; an object created too late must be deleted with it
        for holder in
            [Key::new(kinds::NAMESPACES, "", &key.namespace), Key::new(definitions::DEFINITIONS, "", &key.resource)]
        {
            if self.objects.get(&holder).is_some_and(|o| metadata::is_deleting(o)) {
                self.gc_queue.insert(holder);
            }
        }
        self.gc_queue.insert(key.clone());
        let bytes = metadata::json_size(&object);
        self.history_bytes += bytes;
        self.history.push_back(Change { version: self.version, key, before, object, deleted, bytes });
        while self.history.len() > self.window || self.history_bytes > MAX_HISTORY_BYTES {
            let Some(oldest) = self.history.pop_front() else { break };
            self.history_bytes -= oldest.bytes;
            self.compacted = oldest.version;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str, n: u32) -> Value {
        json!({ "metadata": { "name": name, "uid": name }, "spec": { "n": n } })
    }

    fn key(name: &str) -> Key {
        Key::new("things.x.y", "a", name)
    }

    #[test]
    fn lists_objects_as_of_a_past_version() {
        let mut store = Store::new(100);
        store.put(key("one"), object("one", 1));
        store.put(key("two"), object("two", 1));
        let then = store.version();
        store.put(key("one"), object("one", 2));
        store.remove(&key("two"));
        store.put(key("three"), object("three", 1));
        let listed = store.list_at("things.x.y", "", then).unwrap();
        assert_eq!(listed.keys().map(|k| k.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(listed[&key("one")]["spec"]["n"], 1);
    }

    #[test]
    fn bounds_the_history_and_reports_compacted_versions() {
        let mut store = Store::new(3);
        for n in 0..10 {
            store.put(key("one"), object("one", n));
        }
        assert_eq!(store.changes_after(6, 10).unwrap_err(), VersionCompacted);
        let kept: Vec<_> = store.changes_after(7, 10).unwrap().iter().map(|c| c.version).collect();
        assert_eq!(kept, [8, 9, 10]);
        assert_eq!(store.list_at("things.x.y", "", 6).unwrap_err(), VersionCompacted);
    }

    #[test]
    fn a_deletion_gets_its_own_version() {
        let mut store = Store::new(10);
        store.put(key("one"), object("one", 1));
        let last = store.remove(&key("one")).unwrap();
        assert_eq!(metadata::string(&last, "resourceVersion"), "2");
        assert!(store.changes_after(1, 10).unwrap()[0].deleted);
    }
}
