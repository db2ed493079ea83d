//! A sort key for addresses that follows the plan: `do/2` before `do/10`.
use crate::address::{Address, Segment};

/// Number and text of each segment. Words have the highest number, so they come after all numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanOrder(Vec<(u64, String)>);

impl PlanOrder {
    pub fn of(at: &Address) -> Self {
        let mut texts = vec![];
        for segment in at.segments() {
            match segment {
                Segment::Root(s) | Segment::Item(s) => texts.push(s.into_owned()),
                Segment::List(s) => texts.push(s.to_owned()),
                Segment::Index(n) => texts.push(n.to_string()),
                Segment::Branch(item, n) => texts.extend([item.to_owned(), n.to_string()]),
            }
        }
        PlanOrder(texts.into_iter().map(|t| (t.parse().unwrap_or(u64::MAX), t)).collect())
    }

    /// Number of segments.
    pub fn depth(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_numerically() {
        let mut all =
            ["a/do/10", "a/do/2#10", "a/do/2", "a/do/2#9/use/0", "a/do/2#9.10", "a/do/2#9.2"].map(Address::new);
        all.sort_by_cached_key(PlanOrder::of);
        assert_eq!(
            all.map(|a| a.to_string()),
            ["a/do/2", "a/do/2#9.2", "a/do/2#9.10", "a/do/2#9/use/0", "a/do/2#10", "a/do/10"]
        );
    }
}
