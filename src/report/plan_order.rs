//! A sort key for addresses that follows the plan: `do/2` before `do/10`.
use crate::address::{Address, Segment as Part};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanOrder(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Number(u64, String),
    Word(String),
}

impl PlanOrder {
    pub fn of(at: &Address) -> Self {
        let word = |s: &str| match s.parse() {
            Ok(n) => Segment::Number(n, s.to_owned()),
            Err(_) => Segment::Word(s.to_owned()),
        };
        let mut segments = vec![];
        for part in at.segments() {
            match part {
                Part::Root(s) | Part::List(s) | Part::Item(s) => segments.push(word(s)),
                Part::Index(n) => segments.push(word(&n.to_string())),
                Part::Branch(item, n) => segments.extend([word(item), word(&n.to_string())]),
            }
        }
        PlanOrder(segments)
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
