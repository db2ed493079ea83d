//! The kill matrix: the results of a plan against a platform with each of its defects. Starts no platform and runs no
//! plan.
use crate::{
    address::Address,
    outcome::{Status, Verdict},
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    time::Duration,
};

/// What the plan runs against.
#[derive(Clone, Debug, PartialEq)]
pub enum Platform {
    /// It has no defect.
    Reference,
    /// It differs from the reference, and is right all the same.
    Variation(String),
    Defect(String),
}

/// The runs against one platform: with a defect, each case that names it alone; otherwise all cases in one run.
#[derive(Clone, Debug)]
pub struct Row {
    pub platform: Platform,
    /// What the platform does.
    pub about: String,
    /// The sentences that must fail; if empty, any failed sentence catches the defect.
    pub breaks: Vec<Address>,
    /// Or why the platform did not start, or a run was stopped.
    pub outcome: Result<RunResult, String>,
    /// The time of all runs together.
    pub took: Duration,
}

#[derive(Clone, Debug, Default)]
pub struct RunResult {
    /// The status of every sentence of the cases.
    pub statuses: BTreeMap<Address, Status>,
    /// The cases that ran, in the plan's order.
    pub cases: Vec<(String, Verdict)>,
}

impl RunResult {
    /// Adds the result of a run of other cases.
    pub fn add(&mut self, other: RunResult) {
        self.statuses.extend(other.statuses);
        self.cases.extend(other.cases);
    }

    fn failed(&self, at: &Address) -> bool {
        self.statuses.get(at) == Some(&Status::Failed)
    }
}

/// Whether a defect was caught.
#[derive(Clone, Debug, PartialEq)]
pub enum DefectOutcome {
    /// Every sentence that the defect breaks failed.
    Caught,
    /// At least one sentence failed, but these sentences, which the defect breaks, did not.
    CaughtElsewhere(Vec<Address>),
    /// No sentence failed.
    Survived,
    Failed(String),
}

impl Row {
    fn is_defect(&self) -> bool {
        matches!(self.platform, Platform::Defect(_))
    }

    pub fn defect_outcome(&self) -> DefectOutcome {
        let run = match &self.outcome {
            Err(why) => return DefectOutcome::Failed(why.clone()),
            Ok(run) => run,
        };
        if !run.statuses.keys().any(|at| run.failed(at)) {
            return DefectOutcome::Survived;
        }
        match self.breaks.iter().filter(|at| !run.failed(at)).cloned().collect::<Vec<_>>() {
            missed if missed.is_empty() => DefectOutcome::Caught,
            missed => DefectOutcome::CaughtElsewhere(missed),
        }
    }

    /// Whether the defect was caught, or all cases of the control passed.
    pub fn holds(&self) -> bool {
        match &self.outcome {
            _ if self.is_defect() => self.defect_outcome() == DefectOutcome::Caught,
            run => run.as_ref().is_ok_and(|run| run.cases.iter().all(|(_, v)| *v == Verdict::Passed)),
        }
    }

    /// The cell of a case: whether the defect breaks the case, and whether it failed.
    fn cell(&self, case: &str) -> &'static str {
        let run = self.outcome.as_ref();
        let named: Vec<&Address> = self.breaks.iter().filter(|at| at.case() == case).collect();
        if !named.is_empty() {
            let failed = run.is_ok_and(|run| named.into_iter().all(|at| run.failed(at)));
            return if failed { "**✗**" } else { "**missed**" };
        }
        let Ok(run) = run else { return "?" };
        if run.statuses.keys().any(|at| at.case() == case && run.failed(at)) {
            return "✗";
        }
        match run.cases.iter().find(|(id, _)| id == case) {
            Some((_, Verdict::Passed)) => "·",
            Some((_, verdict)) => verdict.as_str(),
            None => "",
        }
    }

    /// One line for the terminal.
    pub fn line(&self) -> String {
        let name = match &self.platform {
            Platform::Reference => "no defect",
            Platform::Variation(name) | Platform::Defect(name) => name,
        };
        let took = format!("{:.1} s", self.took.as_secs_f64());
        let outcome = match self.defect_outcome() {
            DefectOutcome::Failed(why) => format!("run failed: {why}"),
            _ if !self.is_defect() && self.holds() => "passed".to_string(),
            _ if !self.is_defect() => format!("failed without a defect: {}", self.failed_cases().join(", ")),
            DefectOutcome::Caught => format!("caught by {}", self.failed_cases().join(", ")),
            DefectOutcome::CaughtElsewhere(missed) => {
                let missed = missed.iter().map(Address::as_str).collect::<Vec<_>>().join(", ");
                format!("failed in {}, but not in {missed}", self.failed_cases().join(", "))
            }
            DefectOutcome::Survived => "survived: no sentence failed".to_string(),
        };
        format!("{name:<34} {outcome} ({took})")
    }

    fn failed_cases(&self) -> Vec<String> {
        let cases = self.outcome.iter().flat_map(|run| &run.cases);
        let failed = cases.filter(|(_, v)| *v != Verdict::Passed && *v != Verdict::Skipped);
        failed.map(|(id, _)| id.clone()).collect()
    }
}

pub struct Matrix {
    /// The defects in the order of their catalogue; before them the reference and its variations, after them the
    /// reference again.
    pub rows: Vec<Row>,
    /// The text of each sentence of the plan.
    pub sentences: HashMap<Address, String>,
}

impl Matrix {
    pub fn holds(&self) -> bool {
        self.rows.iter().all(Row::holds)
    }

    /// The text for the terminal: the rows that do not hold, then one line of totals.
    pub fn page(&self) -> String {
        let mut out = String::new();
        for row in self.rows.iter().filter(|r| !r.holds()) {
            let _ = writeln!(out, "{}", row.line());
            if let (true, DefectOutcome::CaughtElsewhere(missed)) = (row.is_defect(), row.defect_outcome()) {
                for at in missed {
                    let _ = writeln!(out, "{:<34} {}: {}", "", at.case(), self.words(&at));
                }
            }
        }
        let count = |of_defects: bool| {
            let rows = self.rows.iter().filter(|r| r.is_defect() == of_defects);
            (rows.clone().filter(|r| r.holds()).count(), rows.count())
        };
        let ((caught, all), (passed, controls)) = (count(true), count(false));
        let _ = writeln!(
            out,
            "{caught} of {all} defects caught by every sentence that they break, in cases run alone; {passed} of \
             {controls} platforms without a defect passed"
        );
        out
    }

    fn words(&self, at: &Address) -> String {
        let text = self.sentences.get(at).map(String::as_str).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Renders a table of defects and cases, and the defects that break each sentence, as Markdown. `escaped` escapes
    /// a sentence.
    pub fn markdown(&self, escaped: &dyn Fn(&str) -> String) -> String {
        let runs = self.rows.iter().filter_map(|r| r.outcome.as_ref().ok());
        let fullest = runs.max_by_key(|run| run.cases.len());
        let cases: Vec<&str> = fullest.into_iter().flat_map(|run| &run.cases).map(|(id, _)| id.as_str()).collect();
        let short = |id: &&str| id.rsplit('-').next().unwrap_or(id).to_string();
        let mut out = String::from(
            "\n## Defects of the platform\n\nThe plan run against the sandbox with each of its defects: each case that \
             the defect breaks, alone. Before and after them all cases, against platforms without a defect. **✗**: \
             failed where the defect breaks it; **missed**: not failed where the defect breaks it; ·: passed.\n\n",
        );
        let heads = cases.iter().map(short).collect::<Vec<_>>().join(" | ");
        let _ = writeln!(out, "| Defect | What the platform does | {heads} | Outcome | Took |");
        let _ = writeln!(out, "| --- | --- |{} --- | ---: |", " :-: |".repeat(cases.len()));
        for row in &self.rows {
            let name = match &row.platform {
                Platform::Reference => "*no defect*".to_string(),
                Platform::Variation(name) => format!("*no defect*, `{name}`"),
                Platform::Defect(name) => format!("`{name}`"),
            };
            let outcome = match row.defect_outcome() {
                DefectOutcome::Failed(_) => "**not run**",
                _ if !row.is_defect() => {
                    if row.holds() {
                        "passed"
                    } else {
                        "**failed**"
                    }
                }
                DefectOutcome::Caught => "caught",
                DefectOutcome::CaughtElsewhere(_) => "**caught elsewhere**",
                DefectOutcome::Survived => "**survived**",
            };
            let cells = cases.iter().map(|c| row.cell(c)).collect::<Vec<_>>().join(" | ");
            let _ = writeln!(out, "| {name} | {} | {cells} | {outcome} | {:.1} s |", row.about, row.took.as_secs_f64());
        }
        let mut broken: BTreeMap<&Address, Vec<&str>> = BTreeMap::new();
        for row in &self.rows {
            for at in &row.breaks {
                if let Platform::Defect(name) = &row.platform {
                    broken.entry(at).or_default().push(name);
                }
            }
        }
        out += "\nDefects that break each sentence:\n\n";
        for (at, defects) in broken {
            let names = defects.iter().map(|d| format!("`{d}`")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(out, "- {} *{}*: {names}", at.case(), escaped(&self.words(at)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: &str) -> Address {
        Address::new(s)
    }

    fn row(defect: Option<&str>, breaks: &[&str], statuses: &[(&str, Status)]) -> Row {
        let failed = |case: &str| statuses.iter().any(|(a, m)| at(a).case() == case && *m != Status::Passed);
        let verdict = |case: &str| if failed(case) { Verdict::Failed } else { Verdict::Passed };
        Row {
            platform: defect.map_or(Platform::Reference, |name| Platform::Defect(name.into())),
            about: "it errs".into(),
            breaks: breaks.iter().map(|s| at(s)).collect(),
            outcome: Ok(RunResult {
                statuses: statuses.iter().map(|(a, m)| (at(a), *m)).collect(),
                cases: ["A", "B"].map(|c| (c.to_string(), verdict(c))).to_vec(),
            }),
            took: Duration::from_millis(1500),
        }
    }

    #[test]
    fn a_defect_is_caught_by_every_sentence_that_it_breaks_or_not_at_all() {
        use Status::*;
        let both = ["A/expected/1", "A/expected/2"];
        let outcome = |statuses: &[(&str, Status)]| row(Some("d"), &both, statuses).defect_outcome();
        assert_eq!(outcome(&[("A/expected/1", Failed), ("A/expected/2", Failed)]), DefectOutcome::Caught);
        assert_eq!(
            outcome(&[("A/expected/1", Failed), ("A/expected/2", Passed)]),
            DefectOutcome::CaughtElsewhere(vec![at("A/expected/2")])
        );
        assert_eq!(
            outcome(&[("A/expected/1", NotReached), ("A/expected/2", NotReached), ("A/steps/1", Failed)]),
            DefectOutcome::CaughtElsewhere(vec![at("A/expected/1"), at("A/expected/2")]),
            "a sentence that was not reached detects nothing"
        );
        assert_eq!(outcome(&[("A/expected/1", Errored), ("A/expected/2", Passed)]), DefectOutcome::Survived);
        assert_eq!(
            row(Some("d"), &[], &[("B/steps/1", Failed)]).defect_outcome(),
            DefectOutcome::Caught,
            "any failed sentence counts"
        );
        assert_eq!(row(Some("d"), &[], &[("B/steps/1", Passed)]).defect_outcome(), DefectOutcome::Survived);
    }

    #[test]
    fn a_control_holds_only_if_every_case_passed() {
        assert!(row(None, &[], &[("A/steps/1", Status::Passed)]).holds());
        assert!(!row(None, &[], &[("A/steps/1", Status::Errored)]).holds());
        let broken = Row { outcome: Err("no port".into()), ..row(None, &[], &[]) };
        assert!(!broken.holds());
        let broken = Row { platform: Platform::Defect("d".into()), ..broken };
        assert_eq!((broken.holds(), broken.defect_outcome()), (false, DefectOutcome::Failed("no port".into())));
    }

    #[test]
    fn the_table_shows_the_cases_that_a_defect_breaks_and_those_that_failed() {
        use Status::*;
        let rows = vec![
            row(None, &[], &[("A/steps/1", Passed)]),
            row(Some("d"), &["A/expected/1"], &[("A/expected/1", Failed), ("B/steps/1", Failed)]),
            row(Some("e"), &["A/expected/1"], &[("A/expected/1", Passed), ("B/steps/1", Failed)]),
        ];
        let sentences = [(at("A/expected/1"), "all \n there".to_string())].into();
        let matrix = Matrix { rows, sentences };
        let text = matrix.markdown(&|text| text.to_string());
        assert!(text.contains("| *no defect* | it errs | · | · | passed | 1.5 s |"), "{text}");
        assert!(text.contains("| `d` | it errs | **✗** | ✗ | caught | 1.5 s |"), "{text}");
        assert!(text.contains("| `e` | it errs | **missed** | ✗ | **caught elsewhere** | 1.5 s |"), "{text}");
        assert!(text.contains("- A *all there*: `d`, `e`"), "{text}");
        let page = matrix.page();
        assert!(page.contains("but not in A/expected/1") && page.contains("A: all there"), "{page}");
        assert!(
            page.contains(
                "1 of 2 defects caught by every sentence that they break, in cases run alone; 1 of 1 platforms without a \
                 defect passed"
            ),
            "{page}"
        );
        assert!(!matrix.holds());
    }
}
