//! The words for what happened (design, "Words for what happened"). Data only: nobody is judged here.
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// From the plan's Success Criteria.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Must,
    Should,
    Nice,
}

impl Tier {
    pub const ALL: [Tier; 3] = [Tier::Must, Tier::Should, Tier::Nice];

    pub fn word(self) -> &'static str {
        match self {
            Tier::Must => "must",
            Tier::Should => "should",
            Tier::Nice => "nice",
        }
    }
}

impl FromStr for Tier {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Tier::ALL.into_iter().find(|t| t.word() == s).ok_or_else(|| format!("unknown tier `{s}`: must, should or nice"))
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every step held and every expected result was proved.
    Passed,
    /// The product gave a wrong answer, or none.
    Failed,
    /// Failed where the environment accepts it for a while.
    KnownFailure,
    /// A precondition does not hold.
    Blocked,
    /// We could not ask, or our own fault.
    Errored,
    /// Cancelled midway.
    Interrupted,
    /// Not selected, or cancelled before it began.
    Skipped,
}

impl Verdict {
    /// Whether the gate takes it as passed.
    pub fn is_accepted(self) -> bool {
        matches!(self, Verdict::Passed | Verdict::KnownFailure)
    }

    pub fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::KnownFailure => "known failure",
            Verdict::Blocked => "blocked",
            Verdict::Errored => "errored",
            Verdict::Interrupted => "interrupted",
            Verdict::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Whose fault it was that a case is not green: decides between the exit codes 1 and 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The product answered wrongly, or not at all.
    Product,
    /// It could not be asked, or the environment lacks something.
    Environment,
}

/// Of a sentence of the plan, and of each action under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Passed,
    /// The product gave a wrong answer, or none.
    Failed,
    /// We could not ask.
    Errored,
    /// It reads a name that was never bound, or the case ended before it.
    NotReached,
    /// A precondition without actions.
    NotVerified,
    /// An expected result that says `unproven: <reason>`.
    Unproven,
    /// An action whose `if` said no.
    Skipped,
    /// Cancelled midway.
    Interrupted,
}

impl Status {
    pub fn word(self) -> &'static str {
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

    /// Of two statuses under one roof the one that the roof bears. A wrong answer outweighs not having been able to ask.
    pub fn worse(self, other: Status) -> Status {
        fn weight(m: Status) -> u8 {
            match m {
                Status::Passed | Status::Skipped => 0,
                Status::NotVerified => 1,
                Status::Unproven => 2,
                Status::NotReached => 3,
                Status::Interrupted => 4,
                Status::Errored => 5,
                Status::Failed => 6,
            }
        }
        if weight(other) > weight(self) { other } else { self }
    }

    /// Whether it keeps a case from being passed.
    pub fn is_red(self) -> bool {
        matches!(self, Status::Failed | Status::Errored | Status::NotReached | Status::Interrupted)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
