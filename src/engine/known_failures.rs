//! Known failures: sentences that an environment accepts as failed until a date. A case is accepted if nothing else failed in it.
use super::{results::CaseOutcome, schedule::KnownFailure};
use crate::{
    address::Address,
    outcome::{Blame, Status, Verdict},
};
use jiff::civil::Date;

/// The outcome of a case, with its known failures applied. `statuses` are those of its sentences; `today` is the day of the run.
pub fn accept(
    known: &[KnownFailure],
    statuses: &[(Address, Status)],
    outcome: CaseOutcome,
    today: Date,
) -> CaseOutcome {
    if known.is_empty() || !matches!(outcome.verdict, Verdict::Passed | Verdict::Failed | Verdict::Blocked) {
        return outcome;
    }
    let status = |at: &Address| statuses.iter().find(|(a, _)| a == at).map(|(_, s)| *s);
    let failed = |reason: String| CaseOutcome::new(Verdict::Failed, Some(Blame::Product), Some(reason));
    if let Some(k) = known.iter().find(|k| status(&k.sentence) == Some(Status::Passed)) {
        let KnownFailure { text, issue, until, .. } = k;
        return failed(format!(
            "`{text}` was expected to fail until {until} ({issue}), and it passed: remove it from `known_failures`"
        ));
    }
    if outcome.verdict == Verdict::Passed || outcome.blame != Some(Blame::Product) {
        return outcome;
    }
    let find = |at: &Address| known.iter().find(|k| k.sentence == *at);
    if statuses.iter().any(|(at, s)| *s == Status::Failed && find(at).is_none()) {
        return outcome;
    }
    if statuses.iter().any(|(_, s)| matches!(s, Status::Errored | Status::Interrupted)) {
        // accepting the case would hide that part of it could not be evaluated
        return CaseOutcome { verdict: Verdict::Errored, blame: Some(Blame::Environment), ..outcome };
    }
    let hits: Vec<&KnownFailure> =
        statuses.iter().filter(|(_, s)| *s == Status::Failed).filter_map(|(at, _)| find(at)).collect();
    if let Some(KnownFailure { text, issue, until, .. }) = hits.iter().find(|k| k.until < today) {
        return failed(format!(
            "`{text}` was accepted as a known failure until {until} ({issue}): that date has passed"
        ));
    }
    let Some(first) = hits.first() else { return outcome };
    let reason = match hits.len() {
        1 => format!("known until {}: {}", first.until, first.issue),
        n => format!("known until {}: {} (and {} more)", first.until, first.issue, n - 1),
    };
    CaseOutcome::new(Verdict::KnownFailure, Some(Blame::Product), Some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u8) -> Address {
        Address::new(format!("A/expected/{n}"))
    }

    fn known(n: u8, until: &str) -> KnownFailure {
        KnownFailure {
            sentence: at(n),
            text: format!("result {n}"),
            issue: "#412".into(),
            until: until.parse().unwrap(),
        }
    }

    fn judged(known: &[KnownFailure], statuses: &[Status], verdict: Verdict) -> (Verdict, String) {
        let statuses: Vec<_> = statuses.iter().zip(1..).map(|(m, n)| (at(n), *m)).collect();
        let blame = match verdict {
            Verdict::Failed => Some(Blame::Product),
            Verdict::Errored => Some(Blame::Environment),
            _ => None,
        };
        let outcome = CaseOutcome::new(verdict, blame, Some("why".into()));
        let outcome = accept(known, &statuses, outcome, "2026-11-23".parse().unwrap());
        (outcome.verdict, outcome.reason.unwrap_or_default())
    }

    #[test]
    fn accepts_a_named_failure_until_its_date() {
        use Status::*;
        let (verdict, reason) = judged(&[known(1, "2026-11-23")], &[Failed, Passed, NotReached], Verdict::Failed);
        assert_eq!((verdict, reason.as_str()), (Verdict::KnownFailure, "known until 2026-11-23: #412"));
    }

    #[test]
    fn fails_after_the_date() {
        let (verdict, reason) = judged(&[known(1, "2026-11-22")], &[Status::Failed], Verdict::Failed);
        assert_eq!(verdict, Verdict::Failed);
        assert!(reason.contains("until 2026-11-22 (#412): that date has passed"), "{reason}");
    }

    #[test]
    fn fails_if_the_sentence_passes() {
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
    fn keeps_other_failures_and_errors() {
        let k = [known(1, "2027-01-31")];
        assert_eq!(judged(&k, &[Status::Failed, Status::Failed], Verdict::Failed), (Verdict::Failed, "why".into()));
        assert_eq!(judged(&k, &[Status::Failed, Status::Errored], Verdict::Failed).0, Verdict::Errored);
        assert_eq!(judged(&k, &[Status::Errored], Verdict::Errored).0, Verdict::Errored);
        assert_eq!(judged(&[], &[Status::Failed], Verdict::Failed).0, Verdict::Failed);
    }
}
