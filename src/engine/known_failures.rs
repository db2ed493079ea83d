//! Known failures: sentences that an environment accepts as failed until a date. A case is accepted if nothing else failed in it.
use super::{
    results::{CaseOutcome, SentenceOutcome},
    schedule::KnownFailure,
};
use crate::{
    address::Address,
    outcome::{Blame, Status, Verdict},
};
use jiff::civil::Date;

/// The outcome of a case, with its known failures applied. `unperformed` is a step that must be performed for the case to be accepted,
/// and was not; `today` is the day of the run.
pub fn accept(
    known: &[KnownFailure],
    sentences: &[SentenceOutcome],
    unperformed: Option<&Address>,
    outcome: CaseOutcome,
    today: Date,
) -> CaseOutcome {
    if known.is_empty() || !matches!(outcome.verdict, Verdict::Passed | Verdict::Failed | Verdict::Blocked) {
        return outcome;
    }
    let failed = |reason: String| CaseOutcome::new(Verdict::Failed, Some(Blame::Product), Some(reason));
    let passes = |k: &&KnownFailure| sentences.iter().any(|s| s.address == k.sentence && s.status == Status::Passed);
    if let Some(k) = known.iter().find(passes) {
        let KnownFailure { text, issue, until, .. } = k;
        return failed(format!(
            "`{text}` was expected to fail until {until} ({issue}), and it passed: remove it from `known_failures`"
        ));
    }
    if outcome.verdict == Verdict::Passed || outcome.blame != Some(Blame::Product) {
        return outcome;
    }
    let mut hits: Vec<&KnownFailure> = vec![];
    for sentence in sentences.iter().filter(|s| s.status == Status::Failed) {
        let of_sentence = || known.iter().filter(|k| k.sentence == sentence.address);
        match of_sentence().find(|k| k.covers(&sentence.observed)) {
            Some(k) => hits.push(k),
            None => {
                let Some(KnownFailure { text, observed: Some(pattern), issue, .. }) = of_sentence().next() else {
                    return outcome;
                };
                let found = sentence.observed.first().map_or("nothing", String::as_str);
                return failed(format!(
                    "`{text}` fails in another way than is known ({issue}): expected `{pattern}` in the observed value, found {found}"
                ));
            }
        }
    }
    if sentences.iter().any(|s| matches!(s.status, Status::Errored | Status::Interrupted)) {
        // accepting the case would hide that part of it could not be evaluated
        return CaseOutcome { verdict: Verdict::Errored, blame: Some(Blame::Environment), ..outcome };
    }
    if let Some(KnownFailure { text, issue, until, .. }) = hits.iter().find(|k| k.until < today) {
        return failed(format!(
            "`{text}` was accepted as a known failure until {until} ({issue}): that date has passed"
        ));
    }
    let Some(KnownFailure { text, issue, until, .. }) = hits.first() else { return outcome };
    if let Some(step) = unperformed.map(Address::last) {
        return failed(format!(
            "`{text}` is known until {until} ({issue}), but step {step} was never performed, and a must case needs it"
        ));
    }
    let more = if hits.len() > 1 { format!(" (and {} more)", hits.len() - 1) } else { String::new() };
    CaseOutcome::new(Verdict::KnownFailure, Some(Blame::Product), Some(format!("known until {until}: {issue}{more}")))
}

impl KnownFailure {
    /// Whether it accepts a failure that observed these values.
    fn covers(&self, observed: &[String]) -> bool {
        self.observed.as_ref().is_none_or(|pattern| observed.iter().any(|value| pattern.is_match(value)))
    }
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
            observed: None,
            issue: "#412".into(),
            until: until.parse().unwrap(),
        }
    }

    fn judged_with(
        known: &[KnownFailure],
        statuses: &[Status],
        verdict: Verdict,
        unperformed: Option<Address>,
    ) -> (Verdict, String) {
        let sentence = |(status, n): (&Status, u8)| SentenceOutcome {
            address: at(n),
            status: *status,
            observed: vec![format!("{n}04 not found")],
        };
        let sentences: Vec<_> = statuses.iter().zip(1..).map(sentence).collect();
        let blame = match verdict {
            Verdict::Failed => Some(Blame::Product),
            Verdict::Errored => Some(Blame::Environment),
            _ => None,
        };
        let outcome = CaseOutcome::new(verdict, blame, Some("why".into()));
        let today = "2026-11-23".parse().unwrap();
        let outcome = accept(known, &sentences, unperformed.as_ref(), outcome, today);
        (outcome.verdict, outcome.reason.unwrap_or_default())
    }

    fn judged(known: &[KnownFailure], statuses: &[Status], verdict: Verdict) -> (Verdict, String) {
        judged_with(known, statuses, verdict, None)
    }

    #[test]
    fn accepts_only_the_observed_value_that_is_known() {
        let with = |pattern: &str| {
            let observed = Some(regex::Regex::new(pattern).unwrap());
            [KnownFailure { observed, ..known(1, "2027-01-31") }, known(2, "2027-01-31")]
        };
        let statuses = [Status::Failed, Status::Failed];
        assert_eq!(judged(&with("^104 "), &statuses, Verdict::Failed).0, Verdict::KnownFailure);
        let (verdict, reason) = judged(&with("^500"), &statuses, Verdict::Failed);
        assert_eq!(verdict, Verdict::Failed);
        assert!(reason.contains("expected `^500` in the observed value, found 104 not found"), "{reason}");
    }

    #[test]
    fn does_not_accept_a_case_whose_step_was_never_performed() {
        let step = Some(Address::new("A/steps/3"));
        let statuses = [Status::Failed, Status::NotReached];
        let (verdict, reason) = judged_with(&[known(1, "2027-01-31")], &statuses, Verdict::Failed, step);
        assert_eq!(verdict, Verdict::Failed);
        assert!(reason.contains("step 3 was never performed"), "{reason}");
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
