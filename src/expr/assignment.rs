//! Assigns list elements to patterns: a maximum bipartite matching by augmenting paths.

/// Patterns and elements that are left over.
pub(super) struct Unassigned {
    pub patterns: Vec<usize>,
    pub elements: Vec<usize>,
}

/// `fits[p]` lists the elements that match pattern `p`. Each element is assigned to at most one pattern.
pub(super) fn assign(fits: &[Vec<usize>], elements: usize) -> Unassigned {
    let mut owner: Vec<Option<usize>> = vec![None; elements];
    let patterns = (0..fits.len()).filter(|&p| !augment(p, fits, &mut owner, &mut vec![false; elements])).collect();
    let elements = owner.iter().enumerate().filter(|(_, o)| o.is_none()).map(|(i, _)| i).collect();
    Unassigned { patterns, elements }
}

fn augment(pattern: usize, fits: &[Vec<usize>], owner: &mut [Option<usize>], visited: &mut [bool]) -> bool {
    for &i in &fits[pattern] {
        if std::mem::replace(&mut visited[i], true) {
            continue;
        }
        if owner[i].is_none_or(|o| augment(o, fits, owner, visited)) {
            owner[i] = Some(pattern);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::assign;

    #[test]
    fn reassigns_elements_so_that_every_pattern_gets_one() {
        let left = assign(&[vec![0, 1], vec![0]], 3);
        assert_eq!((left.patterns, left.elements), (vec![], vec![2]));
    }

    #[test]
    fn two_patterns_cannot_share_an_element() {
        let left = assign(&[vec![0], vec![0]], 1);
        assert_eq!((left.patterns, left.elements), (vec![1], vec![]));
    }
}
