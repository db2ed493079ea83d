//! Addresses: where in a plan something happens, with the item of each enclosing `foreach` and the branch of each
//! `parallel`. Events, evidence and recorded observations are joined by address.
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// A path of [`Segment`]s, stored and serialised as text: `TC-INT-004/steps/2/do/0#3/use/1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(Arc<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment<'a> {
    /// The first segment: the id of a case, `setup`, `teardown`, or empty for the run.
    Root(&'a str),
    /// A list of the case or action: `steps`, `do`, `use`, `undo`, `fault`, `on_failure`.
    List(&'a str),
    /// A position in a list: from 1 for sentences, from 0 for actions.
    Index(usize),
    /// `#key`: an iteration of a `foreach`.
    Item(&'a str),
    /// `#key.n`: the branch `n` of a `parallel`, for an item of its `foreach`.
    Branch(&'a str, usize),
}

impl Address {
    pub fn new(text: impl AsRef<str>) -> Self {
        Address(Arc::from(text.as_ref()))
    }

    /// A list or an index below this address.
    #[must_use]
    pub fn child(&self, segment: impl fmt::Display) -> Self {
        Address::new(format!("{}/{segment}", self.0))
    }

    /// An iteration of a `foreach`.
    #[must_use]
    pub fn item(&self, key: impl fmt::Display) -> Self {
        Address::new(format!("{}#{key}", self.0))
    }

    /// A branch of a `parallel`.
    #[must_use]
    pub fn branch(&self, item: impl fmt::Display, branch: usize) -> Self {
        self.item(format!("{item}.{branch}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.0.split('/').enumerate().flat_map(|(position, part)| {
            let mut pieces = part.split('#');
            let name = pieces.next().unwrap_or_default();
            let first = match name.parse() {
                _ if position == 0 => Segment::Root(name),
                Ok(index) => Segment::Index(index),
                Err(_) => Segment::List(name),
            };
            std::iter::once(first).chain(pieces.map(|key| {
                let branch = key.rsplit_once('.').and_then(|(item, n)| Some(Segment::Branch(item, n.parse().ok()?)));
                branch.unwrap_or(Segment::Item(key))
            }))
        })
    }

    /// The id of the case, or another root.
    pub fn case(&self) -> &str {
        self.0.split(['/', '#']).next().unwrap_or_default()
    }

    /// The items and branches of this address, outermost first, as written after `#`.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').flat_map(|part| part.split('#').skip(1))
    }

    /// Whether this address is in a list of this name: `undo`, `on_failure`.
    pub fn is_in(&self, list: &str) -> bool {
        self.segments().any(|s| s == Segment::List(list))
    }

    /// The addresses that contain this one, outermost first, and itself at the end.
    pub fn ancestors(&self) -> impl Iterator<Item = Address> + '_ {
        let ends = self.0.match_indices(['/', '#']).map(|(i, _)| i).chain([self.0.len()]);
        ends.map(|end| Address::new(&self.0[..end]))
    }

    pub fn is_within(&self, other: &Address) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#']))
    }

    /// The same place in the plan for all iterations: without items, but with branches (`#n`).
    #[must_use]
    pub fn without_items(&self) -> Address {
        let mut text = String::new();
        for segment in self.segments() {
            match segment {
                Segment::Root(name) => text.push_str(name),
                Segment::List(name) => text.extend(["/", name]),
                Segment::Index(n) => text.extend(["/", &n.to_string()]),
                Segment::Item(_) => {}
                Segment::Branch(_, n) => text.extend(["#", &n.to_string()]),
            }
        }
        Address::new(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_its_case_and_the_addresses_that_contain_it() {
        let step = Address::new("TC-1").child("steps").child(1);
        assert_eq!(step.child("do").child(0).item(2).as_str(), "TC-1/steps/1/do/0#2");
        assert_eq!(step.case(), "TC-1");
        assert!(step.item(1).is_within(&step) && step.is_within(&step));
        assert!(!Address::new("TC-1/steps/10").is_within(&step));
    }

    #[test]
    fn parses_every_kind_of_segment() {
        let address = Address::new("7/do").child(0).item("a").child("use").child(1).branch("b", 2);
        assert_eq!(address.as_str(), "7/do/0#a/use/1#b.2");
        let expected = [
            Segment::Root("7"),
            Segment::List("do"),
            Segment::Index(0),
            Segment::Item("a"),
            Segment::List("use"),
            Segment::Index(1),
            Segment::Branch("b", 2),
        ];
        assert_eq!(address.segments().collect::<Vec<_>>(), expected);
        assert_eq!(address.items().collect::<Vec<_>>(), ["a", "b.2"]);
        assert!(address.is_in("use") && !address.is_in("undo"));
        assert_eq!(address.without_items().as_str(), "7/do/0/use/1#2");
    }

    #[test]
    fn ancestors_end_with_itself() {
        let all: Vec<String> = Address::new("A/do/0#1").ancestors().map(|a| a.to_string()).collect();
        assert_eq!(all, ["A", "A/do", "A/do/0", "A/do/0#1"]);
    }
}
