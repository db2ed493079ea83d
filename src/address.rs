//! Addresses: where in a plan something happens, with the item of each enclosing `foreach` and the branch of each
//! `parallel`. Events, evidence and recorded observations are joined by address.
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, sync::Arc};

/// A path of [`Segment`]s, stored and serialised as text: `TC-INT-004/steps/2/do/0#3/use/1`. Ids and keys are escaped: `%2F` is
/// a `/` in them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment<'a> {
    /// The first segment: the id of a case, `setup`, `teardown`, or empty for the run.
    Root(Cow<'a, str>),
    /// A list of the case or action: `steps`, `do`, `use`, `undo`, `fault`, `on_failure`.
    List(&'a str),
    /// A position in a list: from 1 for sentences, from 0 for actions.
    Index(usize),
    /// `#key`: an iteration of a `foreach`.
    Item(Cow<'a, str>),
    /// `#key.n`: the branch `n` of a `parallel`, for an item of its `foreach`.
    Branch(&'a str, usize),
}

impl Address {
    /// An address from its text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Address(Arc::from(text.as_ref()))
    }

    /// The address of the case with this id.
    pub fn of_case(id: &str) -> Self {
        Address::new(escaped(id))
    }

    /// A list or an index below this address.
    #[must_use]
    pub fn child(&self, segment: impl fmt::Display) -> Self {
        Address::new(format!("{}/{segment}", self.0))
    }

    /// An iteration of a `foreach`.
    #[must_use]
    pub fn item(&self, key: impl fmt::Display) -> Self {
        let mut key = escaped(&key.to_string());
        if let Some((item, n)) = branch_of(&key) {
            // a key like `1.2` is not a branch
            key = format!("{item}%2E{n}");
        }
        Address::new(format!("{}#{key}", self.0))
    }

    /// A branch of a `parallel`.
    #[must_use]
    pub fn branch(&self, item: usize, branch: usize) -> Self {
        Address::new(format!("{}#{item}.{branch}", self.0))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment, such as the number of a step.
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.0.split('/').enumerate().flat_map(|(position, part)| {
            let mut pieces = part.split('#');
            let name = pieces.next().unwrap_or_default();
            let first = match name.parse() {
                _ if position == 0 => Segment::Root(unescaped(name)),
                Ok(index) => Segment::Index(index),
                Err(_) => Segment::List(name),
            };
            let item =
                |key| branch_of(key).map_or_else(|| Segment::Item(unescaped(key)), |(i, n)| Segment::Branch(i, n));
            std::iter::once(first).chain(pieces.map(item))
        })
    }

    /// The id of the case, or another root.
    pub fn case(&self) -> Cow<'_, str> {
        unescaped(self.0.split(['/', '#']).next().unwrap_or_default())
    }

    /// The items and branches of this address, outermost first: the keys, and `item.branch`.
    pub fn items(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.split('/').flat_map(|part| part.split('#').skip(1)).map(unescaped)
    }

    /// Whether this is the address `action`, or that of one of its items.
    pub fn is_run_of(&self, action: &Address) -> bool {
        let rest = self.0.strip_prefix(&*action.0);
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('#') && !rest.contains('/')))
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
                Segment::Root(name) => text.push_str(&escaped(&name)),
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

/// What separates segments, and the escape itself.
const ESCAPES: [(&str, &str); 3] = [("%", "%25"), ("/", "%2F"), ("#", "%23")];

fn escaped(text: &str) -> String {
    ESCAPES.iter().fold(text.to_string(), |text, (plain, escape)| text.replace(plain, escape))
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let text = text.replace("%2E", ".");
    ESCAPES.iter().rev().fold(text, |text, (plain, escape)| text.replace(escape, plain)).into()
}

/// The item and the number of a branch: `0.2`.
fn branch_of(key: &str) -> Option<(&str, usize)> {
    let (item, n) = key.rsplit_once('.')?;
    Some((item, n.parse().ok()?))
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
        let address = Address::new("7/do").child(0).item("a").child("use").child(1).branch(3, 2);
        assert_eq!(address.as_str(), "7/do/0#a/use/1#3.2");
        let expected = [
            Segment::Root("7".into()),
            Segment::List("do"),
            Segment::Index(0),
            Segment::Item("a".into()),
            Segment::List("use"),
            Segment::Index(1),
            Segment::Branch("3", 2),
        ];
        assert_eq!(address.segments().collect::<Vec<_>>(), expected);
        assert_eq!(address.items().collect::<Vec<_>>(), ["a", "3.2"]);
        assert!(address.is_in("use") && !address.is_in("undo"));
        assert_eq!(address.without_items().as_str(), "7/do/0/use/1#2");
    }

    #[test]
    fn ancestors_end_with_itself() {
        let all: Vec<String> = Address::new("A/do/0#1").ancestors().map(|a| a.to_string()).collect();
        assert_eq!(all, ["A", "A/do", "A/do/0", "A/do/0#1"]);
    }

    #[test]
    fn ids_and_keys_with_separators_are_parsed_as_written() {
        for text in ["a/b", "a#b", "50%", "%2F", "%252F", "1.2", "a.7", "a.b", "/", "#1", "%2E1", "ü", ""] {
            let case = Address::of_case(text);
            let action = case.child("do").child(0).item(text).child("use").child(1);
            let expected = [
                Segment::Root(text.into()),
                Segment::List("do"),
                Segment::Index(0),
                Segment::Item(text.into()),
                Segment::List("use"),
                Segment::Index(1),
            ];
            assert_eq!(action.segments().collect::<Vec<_>>(), expected, "{action}");
            assert_eq!((action.case(), action.items().collect::<Vec<_>>()), (text.into(), vec![text.into()]));
            assert_eq!(action.ancestors().next(), Some(case.clone()));
            assert_eq!(action.without_items(), case.child("do").child(0).child("use").child(1));
        }
        assert!(!Address::of_case("A/B").is_within(&Address::of_case("A")));
    }
}
