//! Known failures: what an environment accepts as red for a while. Accepted is what failed in a sentence that is named, in no
//! other, and in time; whatever else comes of it is red and says why. Pure.
use super::{case::Outcome, schedule::Known};
use crate::{
    address::Address,
    outcome::{Blame, Status, Verdict},
};
use jiff::civil::Date;

/// What a case comes to, given what is known of it. `statuses` are those of its sentences; `today` is the day on which the run began.
pub fn accept(known: &[Known], statuses: &[(Address, Status)], outcome: Outcome, today: Date) -> Outcome {
    if known.is_empty() || !matches!(outcome.verdict, Verdict::Passed | Verdict::Failed | Verdict::Blocked) {
        return outcome;
    }
    let status = |at: &Address| statuses.iter().find(|(a, _)| a == at).map(|(_, m)| *m);
    let failed = |reason: String| Outcome {
        verdict: Verdict::Failed,
        blame: Some(Blame::Product),
        reason: Some(reason),
        left: vec![],
    };
    if let Some(k) = known.iter().find(|k| status(&k.sentence) == Some(Status::Passed)) {
        let Known { text, issue, until, .. } = k;
        return failed(format!(
            "`{text}` was known to fail until {until} ({issue}), and it passed: take it off `known_failures`"
        ));
    }
    if outcome.verdict == Verdict::Passed || outcome.blame != Some(Blame::Product) {
        return outcome;
    }
    let named = |at: &Address| known.iter().find(|k| k.sentence == *at);
    let elsewhere = statuses.iter().any(|(at, m)| *m == Status::Failed && named(at).is_none());
    if elsewhere {
        return outcome;
    }
    if statuses.iter().any(|(_, m)| matches!(m, Status::Errored | Status::Interrupted)) {
        // what is known would hide that the rest could not be asked
        return Outcome { verdict: Verdict::Errored, blame: Some(Blame::Environment), ..outcome };
    }
    let hit: Vec<&Known> =
        statuses.iter().filter(|(_, m)| *m == Status::Failed).filter_map(|(at, _)| named(at)).collect();
    if let Some(Known { text, issue, until, .. }) = hit.iter().find(|k| k.until < today) {
        return failed(format!("`{text}` was accepted as a known failure until {until} ({issue}): that time is over"));
    }
    let Some(first) = hit.first() else { return outcome };
    let reason = match hit.len() {
        1 => format!("known until {}: {}", first.until, first.issue),
        n => format!("known until {}: {} (and {} more)", first.until, first.issue, n - 1),
    };
    Outcome { verdict: Verdict::KnownFailure, blame: Some(Blame::Product), reason: Some(reason), left: vec![] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u8) -> Address {
        Address::new(format!("A/expected/{n}"))
    }

    fn known(n: u8, until: &str) -> Known {
        Known { sentence: at(n), text: format!("result {n}"), issue: "#412".into(), until: until.parse().unwrap() }
    }

    fn judged(known: &[Known], statuses: &[Status], verdict: Verdict) -> (Verdict, String) {
        let statuses: Vec<_> = statuses.iter().zip(1..).map(|(m, n)| (at(n), *m)).collect();
        let blame = match verdict {
            Verdict::Failed => Some(Blame::Product),
            Verdict::Errored => Some(Blame::Environment),
            _ => None,
        };
        let outcome = Outcome { verdict, blame, reason: Some("why".into()), left: vec![] };
        let outcome = accept(known, &statuses, outcome, "2026-11-23".parse().unwrap());
        (outcome.verdict, outcome.reason.unwrap_or_default())
    }

    #[test]
    fn a_failure_is_accepted_where_it_is_named_and_in_time() {
        use Status::*;
        let (verdict, reason) = judged(&[known(1, "2026-11-23")], &[Failed, Passed, NotReached], Verdict::Failed);
        assert_eq!((verdict, reason.as_str()), (Verdict::KnownFailure, "known until 2026-11-23: #412"));
    }

    #[test]
    fn one_that_is_over_is_red_and_says_so() {
        let (verdict, reason) = judged(&[known(1, "2026-11-22")], &[Status::Failed], Verdict::Failed);
        assert_eq!(verdict, Verdict::Failed);
        assert!(reason.contains("until 2026-11-22 (#412): that time is over"), "{reason}");
    }

    #[test]
    fn one_that_passes_is_red_and_says_so() {
        for (statuses, verdict) in
            [(vec![Status::Passed], Verdict::Passed), (vec![Status::Passed, Status::Failed], Verdict::Failed)]
        {
            let both = [known(1, "2027-01-31"), known(2, "2027-01-31")];
            let (verdict, reason) = judged(&both[..statuses.len()], &statuses, verdict);
            assert_eq!(verdict, Verdict::Failed);
            assert!(reason.contains("`result 1`") && reason.contains("it passed"), "{reason}");
        }
    }

    #[test]
    fn a_failure_elsewhere_stays_one_and_what_could_not_be_asked_is_not_hidden() {
        let k = [known(1, "2027-01-31")];
        assert_eq!(judged(&k, &[Status::Failed, Status::Failed], Verdict::Failed), (Verdict::Failed, "why".into()));
        assert_eq!(judged(&k, &[Status::Failed, Status::Errored], Verdict::Failed).0, Verdict::Errored);
        assert_eq!(judged(&k, &[Status::Errored], Verdict::Errored).0, Verdict::Errored);
        assert_eq!(judged(&[], &[Status::Failed], Verdict::Failed).0, Verdict::Failed);
    }
}
