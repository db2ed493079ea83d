//! A sort key for addresses that follows the plan: `do/2` before `do/10`.
use crate::address::Address;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanOrder(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Number(u64, String),
    Word(String),
}

impl PlanOrder {
    pub fn of(at: &Address) -> Self {
        // The branches of a `parallel` are numbered `#1.2`.
        let segments = at.as_str().split(['/', '#', '.']).map(|s| match s.parse() {
            Ok(n) => Segment::Number(n, s.to_owned()),
            Err(_) => Segment::Word(s.to_owned()),
        });
        PlanOrder(segments.collect())
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
