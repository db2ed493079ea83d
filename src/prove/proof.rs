//! The result of mutation testing with a recorded run. Data only.
use super::baseline::{Baseline, Loss};
use crate::{event::CaseOutline, source::Location};
use std::{sync::Arc, time::Duration};

pub struct Proof {
    pub run: String,
    pub plan: String,
    pub title: String,
    pub cases: Vec<Arc<CaseOutline>>,
    /// In the plan's order.
    pub assertions: Vec<AssertionProof>,
    pub sentences: Vec<SentenceProof>,
    pub baseline: Baseline,
    /// Losses against the accepted baseline.
    pub losses: Vec<Loss>,
    /// Number of mutated observations that were judged.
    pub mutants: usize,
    pub took: Duration,
    /// Number of assertions in an `undo`, which are left out.
    pub in_undo: usize,
    /// Limits of this result, one sentence each.
    pub notes: Vec<String>,
}

pub struct AssertionProof {
    pub location: Location,
    pub text: String,
    /// The ids of the cases that evaluate it.
    pub cases: Vec<String>,
    pub outcome: AssertionOutcome,
}

#[derive(Debug, PartialEq)]
pub enum AssertionOutcome {
    /// `by` describes the first mutant that makes it fail; `times` is the number of all such mutants.
    Killed { by: String, times: usize },
    /// No mutation made it fail.
    Survived,
    /// Without mutations its result is not the recorded one.
    NotReplayable(String),
    /// The run never evaluated it.
    NotExercised(String),
}

impl AssertionOutcome {
    pub fn is_killed(&self) -> bool {
        matches!(self, AssertionOutcome::Killed { .. })
    }

    pub fn label(&self) -> &'static str {
        match self {
            AssertionOutcome::Killed { .. } => "killed",
            AssertionOutcome::Survived => "cannot fail",
            AssertionOutcome::NotReplayable(_) => "not replayable",
            AssertionOutcome::NotExercised(_) => "not exercised",
        }
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            AssertionOutcome::NotReplayable(why) | AssertionOutcome::NotExercised(why) => Some(why),
            AssertionOutcome::Killed { .. } | AssertionOutcome::Survived => None,
        }
    }
}

pub struct SentenceProof {
    pub case: String,
    pub text: String,
    pub unproven: Option<String>,
    /// Number of observed fields that an assertion reads.
    pub read: usize,
    /// Fields that no assertion reads: the observation, the field, and the number of fields under it.
    pub unread: Vec<(String, String, usize)>,
}

impl SentenceProof {
    pub fn unread_count(&self) -> usize {
        self.unread.iter().map(|(_, _, n)| n).sum()
    }
}

impl Proof {
    /// The assertions that no mutation killed.
    pub fn survivors(&self) -> impl Iterator<Item = &AssertionProof> {
        self.assertions.iter().filter(|a| !a.outcome.is_killed())
    }

    /// Whether every assertion can fail, and everything in the baseline is still detected.
    pub fn holds(&self) -> bool {
        self.survivors().next().is_none() && self.losses.is_empty()
    }

    pub fn killed(&self) -> usize {
        self.assertions.iter().filter(|a| a.outcome.is_killed()).count()
    }
}
