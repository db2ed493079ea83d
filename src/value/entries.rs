//! The map of [`Value`](super::Value): keeps the order of its keys, and can find them without regard to case.
use indexmap::IndexMap;
use std::ops::{Deref, DerefMut};

/// Every lookup by key goes through the methods here, so that a map of headers finds `X-Foo` as `x-foo`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries<V> {
    all: IndexMap<String, V>,
    any_case: bool,
}

impl<V> Entries<V> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_capacity(n: usize) -> Self {
        Entries { all: IndexMap::with_capacity(n), any_case: false }
    }

    /// The same entries; `any_case`: with keys that are found without regard to case, like the names of headers.
    #[must_use]
    pub fn any_case(self, any_case: bool) -> Self {
        Entries { any_case, ..self }
    }

    pub fn is_any_case(&self) -> bool {
        self.any_case
    }

    pub fn get(&self, key: &str) -> Option<&V> {
        self.all.get(self.spelled(key)?)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let i = self.all.get_index_of(self.spelled(key)?)?;
        self.all.get_index_mut(i).map(|(_, v)| v)
    }

    pub fn contains_key(&self, key: &str) -> bool {
        self.spelled(key).is_some()
    }

    pub fn insert(&mut self, key: String, value: V) -> Option<V> {
        let key = self.spelled(&key).map(str::to_owned).unwrap_or(key);
        self.all.insert(key, value)
    }

    pub fn shift_remove(&mut self, key: &str) -> Option<V> {
        let i = self.all.get_index_of(self.spelled(key)?)?;
        self.all.shift_remove_index(i).map(|(_, v)| v)
    }

    /// The key as it is spelled here.
    pub fn spelled(&self, key: &str) -> Option<&str> {
        match self.all.get_key_value(key) {
            Some((k, _)) => Some(k),
            None if self.any_case => self.all.keys().map(String::as_str).find(|k| k.eq_ignore_ascii_case(key)),
            None => None,
        }
    }
}

impl<V> Default for Entries<V> {
    fn default() -> Self {
        Entries { all: IndexMap::new(), any_case: false }
    }
}

impl<V> Deref for Entries<V> {
    type Target = IndexMap<String, V>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl<V> DerefMut for Entries<V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.all
    }
}

impl<V> FromIterator<(String, V)> for Entries<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(entries: I) -> Self {
        Entries { all: entries.into_iter().collect(), any_case: false }
    }
}

impl<V> IntoIterator for Entries<V> {
    type Item = (String, V);
    type IntoIter = indexmap::map::IntoIter<String, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

impl<'a, V> IntoIterator for &'a Entries<V> {
    type Item = (&'a String, &'a V);
    type IntoIter = indexmap::map::Iter<'a, String, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}
