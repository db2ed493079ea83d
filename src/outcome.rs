//! Tier, verdict, blame and status: enums and their texts.
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The importance of a case, from the plan's success criteria.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Must,
    Should,
    Nice,
}

impl Tier {
    pub const ALL: [Tier; 3] = [Tier::Must, Tier::Should, Tier::Nice];

    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Must => "must",
            Tier::Should => "should",
            Tier::Nice => "nice",
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("expected the tier must, should or nice, found `{0}`")]
pub struct UnknownTier(String);

impl FromStr for Tier {
    type Err = UnknownTier;
    fn from_str(s: &str) -> Result<Self, UnknownTier> {
        Tier::ALL.into_iter().find(|t| t.as_str() == s).ok_or_else(|| UnknownTier(s.into()))
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The result of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every step passed and every expected result was proved.
    Passed,
    /// An assertion does not hold, or the product did not respond.
    Failed,
    /// Failed only in sentences that the environment accepts as failed until a date.
    KnownFailure,
    /// Passed when it was tried again (`--retries`).
    Flaky,
    /// A precondition does not hold.
    Blocked,
    /// The product could not be asked, or the result is inconclusive.
    Errored,
    /// Cancelled while it ran.
    Interrupted,
    /// Not selected, or cancelled before it started.
    Skipped,
}

impl Verdict {
    /// Whether the gate counts a case of this tier as passed.
    pub fn is_accepted(self, tier: Tier) -> bool {
        match self {
            Verdict::Passed | Verdict::KnownFailure => true,
            Verdict::Flaky => tier != Tier::Must,
            _ => false,
        }
    }

    /// How severe it is, compared with other results of the same case: a wrong response that was observed outweighs an interrupt, and
    /// that a product that could not be asked.
    pub fn severity(self, blame: Option<Blame>) -> u8 {
        match (self, blame) {
            (Verdict::Skipped, _) => 0,
            (Verdict::Passed, _) => 1,
            (Verdict::KnownFailure, _) => 2,
            (Verdict::Flaky, _) => 3,
            (Verdict::Blocked, Some(Blame::Product)) | (Verdict::Failed, _) => 6,
            (Verdict::Errored | Verdict::Blocked, _) => 4,
            (Verdict::Interrupted, _) => 5,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::KnownFailure => "known failure",
            Verdict::Flaky => "flaky",
            Verdict::Blocked => "blocked",
            Verdict::Errored => "errored",
            Verdict::Interrupted => "interrupted",
            Verdict::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who caused a verdict other than passed. Decides between the exit codes 1 and 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// An assertion does not hold, or the product did not respond.
    Product,
    /// The product could not be asked, or the environment lacks something.
    Environment,
}

/// The result of a sentence, and of each of its actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    #[default]
    Passed,
    /// An assertion does not hold, or the product did not respond.
    Failed,
    /// The product could not be asked.
    Errored,
    /// It needs a name that was never bound, or the case ended before it.
    NotReached,
    /// A precondition without actions, or a precondition or step whose actions were all skipped.
    NotVerified,
    /// An expected result that says `unproven: <reason>`.
    Unproven,
    /// An action whose `if` is not true.
    Skipped,
    /// Cancelled while it ran.
    Interrupted,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::Errored => "errored",
            Status::NotReached => "not reached",
            Status::NotVerified => "not verified",
            Status::Unproven => "unproven",
            Status::Skipped => "skipped",
            Status::Interrupted => "interrupted",
        }
    }

    /// The more severe of two statuses: a parent takes its children's worst. Failed is more severe than errored.
    pub fn worst(self, other: Status) -> Status {
        fn severity(status: Status) -> u8 {
            match status {
                Status::Passed | Status::Skipped => 0,
                Status::NotVerified => 1,
                Status::Unproven => 2,
                Status::NotReached => 3,
                Status::Interrupted => 4,
                Status::Errored => 5,
                Status::Failed => 6,
            }
        }
        if severity(other) > severity(self) { other } else { self }
    }

    /// Whether it keeps its case from passing.
    pub fn is_unsuccessful(self) -> bool {
        matches!(self, Status::Failed | Status::Errored | Status::NotReached | Status::Interrupted)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
