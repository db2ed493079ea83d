//! Where in a plan something stands, with the iteration of each enclosing `foreach` and the branch of each `parallel`:
//! the key by which events, evidence and recorded looks are joined.
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// For example `TC-INT-004/steps/2/do/0#3/use/1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(Arc<str>);

impl Address {
    pub fn new(text: impl AsRef<str>) -> Self {
        Address(Arc::from(text.as_ref()))
    }

    pub fn child(&self, segment: impl fmt::Display) -> Self {
        Address::new(format!("{}/{segment}", self.0))
    }

    /// The `n`th round of a `foreach`.
    pub fn item(&self, n: impl fmt::Display) -> Self {
        Address::new(format!("{}#{n}", self.0))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The case it belongs to: the first segment.
    pub fn case(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// This address, after all that it lies within, outermost first.
    pub fn ancestors(&self) -> impl Iterator<Item = Address> + '_ {
        let ends = self.0.match_indices(['/', '#']).map(|(i, _)| i).chain([self.0.len()]);
        ends.map(|end| Address::new(&self.0[..end]))
    }

    pub fn is_within(&self, other: &Address) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#']))
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
    fn knows_its_case_and_what_it_lies_within() {
        let step = Address::new("TC-1").child("steps").child(1);
        assert_eq!(step.child("do").child(0).item(2).as_str(), "TC-1/steps/1/do/0#2");
        assert_eq!(step.case(), "TC-1");
        assert!(step.item(1).is_within(&step) && step.is_within(&step));
        assert!(!Address::new("TC-1/steps/10").is_within(&step));
    }
}
