//! How a plan is written: its options, and what was found when it was tried.
use super::case::{Drafts, Part};
use crate::init::words;
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashSet};

/// How a plan is written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The id of the plan; see [`words::plan_id`].
    pub id: String,
    /// The OpenAPI document, relative to the folder of the plan. Without it nothing is compared with schemas.
    pub document: Option<String>,
    /// The schemes of [`Api::schemes`] that the environment logs in with.
    pub credentials: Vec<String>,
    /// Values for parameters that the document gives none for, by their names. They become variables of the plan.
    pub values: IndexMap<String, String>,
    pub drafts: Drafts,
}

/// The variables of a plan: for each parameter its name and value.
#[derive(Clone, Debug, Default)]
pub struct Variables(pub IndexMap<String, (String, String)>);

impl Variables {
    pub fn new(values: &IndexMap<String, String>) -> Variables {
        let mut used = HashSet::new();
        let entry = |(parameter, value): (&String, &String)| {
            (parameter.clone(), (words::name(parameter, &mut used), value.clone()))
        };
        Variables(values.iter().map(entry).collect())
    }

    /// The variable for a parameter.
    pub fn of(&self, parameter: &str) -> Option<&str> {
        self.0.get(parameter).map(|(name, _)| name.as_str())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|(name, _)| name.as_str())
    }
}

/// What did not hold when a plan was checked or run: by the key of an operation, and its part. The next version of the
/// plan has the part as a draft, with the reason.
#[derive(Clone, Debug, Default)]
pub struct Findings(BTreeMap<(String, Part), String>);

impl Findings {
    /// Adds a finding; the first one of a part stays.
    pub fn add(&mut self, key: &str, part: Part, reason: &str) {
        self.0.entry((key.to_string(), part)).or_insert_with(|| words::sentence(reason));
    }

    /// Why a part did not hold.
    pub fn of(&self, key: &str, part: Part) -> Option<&str> {
        self.0.get(&(key.to_string(), part)).map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Key, part and reason of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Part, &str)> {
        self.0.iter().map(|((key, part), reason)| (key.as_str(), *part, reason.as_str()))
    }
}
