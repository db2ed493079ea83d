//! The kill matrix: what came of running the plan against a platform with each of its defects, and what that says of the plan.
//! Data and judgement only: who starts platforms and runs plans brings the statuses.
use crate::{
    address::Address,
    outcome::{Status, Verdict},
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    time::Duration,
};

/// A defect, or none: then it is a control.
#[derive(Clone, Debug)]
pub struct Row {
    pub defect: Option<String>,
    /// What the platform then does.
    pub about: String,
    /// The sentences that it must turn red; with none, any will do.
    pub breaks: Vec<Address>,
    pub outcome: Outcome,
    pub took: Duration,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Ran {
        /// Of every sentence.
        statuses: BTreeMap<Address, Status>,
        /// In the plan's order.
        cases: Vec<(String, Verdict)>,
    },
    /// The platform did not start, or the run broke off.
    CouldNot(String),
}

/// What came of a defect.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// By every sentence that it breaks.
    Caught,
    /// Something went red, but these sentences did not.
    Elsewhere(Vec<Address>),
    /// All green.
    Survived,
    CouldNot(String),
}

impl Row {
    pub fn fate(&self) -> Fate {
        let statuses = match &self.outcome {
            Outcome::CouldNot(why) => return Fate::CouldNot(why.clone()),
            Outcome::Ran { statuses, .. } => statuses,
        };
        let failed = |at: &Address| statuses.get(at) == Some(&Status::Failed);
        if !statuses.keys().any(failed) {
            return Fate::Survived;
        }
        match self.breaks.iter().filter(|at| !failed(at)).cloned().collect::<Vec<_>>() {
            green if green.is_empty() => Fate::Caught,
            green => Fate::Elsewhere(green),
        }
    }

    /// Whether it is as it must be: a defect caught, a control all green.
    pub fn holds(&self) -> bool {
        match (&self.defect, &self.outcome) {
            (Some(_), _) => self.fate() == Fate::Caught,
            (None, Outcome::Ran { cases, .. }) => cases.iter().all(|(_, v)| *v == Verdict::Passed),
            (None, Outcome::CouldNot(_)) => false,
        }
    }

    /// The sentences of a case that failed.
    fn red<'a>(&'a self, case: &'a str) -> impl Iterator<Item = &'a Address> {
        let statuses = match &self.outcome {
            Outcome::Ran { statuses, .. } => Some(statuses),
            Outcome::CouldNot(_) => None,
        };
        statuses
            .into_iter()
            .flatten()
            .filter(move |(at, m)| at.case() == case && **m == Status::Failed)
            .map(|(at, _)| at)
    }

    /// In one cell: whether the case is one that the defect breaks, and whether it saw that.
    fn cell(&self, case: &str) -> &'static str {
        let named = self.breaks.iter().filter(|at| at.case() == case);
        let (mut all, mut any) = (true, false);
        for at in named {
            any = true;
            all &= self.red(case).any(|red| red == at);
        }
        match (any, all, self.red(case).next().is_some()) {
            (true, true, _) => "**✗**",
            (true, false, _) => "**missed**",
            (false, _, true) => "✗",
            (false, _, false) => match &self.outcome {
                Outcome::Ran { cases, .. } => match cases.iter().find(|(id, _)| id == case).map(|(_, v)| *v) {
                    Some(Verdict::Passed) => "·",
                    Some(v) => v.word(),
                    None => "",
                },
                Outcome::CouldNot(_) => "?",
            },
        }
    }

    /// One line for the terminal.
    pub fn line(&self) -> String {
        let name = self.defect.as_deref().unwrap_or("no defect");
        let took = format!("{:.1} s", self.took.as_secs_f64());
        let says = match (&self.defect, self.fate()) {
            (None, _) if self.holds() => "all green".to_string(),
            (None, Fate::CouldNot(why)) | (Some(_), Fate::CouldNot(why)) => format!("could not be run: {why}"),
            (None, _) => format!("red without a defect: {}", self.red_cases().join(", ")),
            (Some(_), Fate::Caught) => format!("caught by {}", self.red_cases().join(", ")),
            (Some(_), Fate::Elsewhere(green)) => {
                let green = green.iter().map(Address::as_str).collect::<Vec<_>>().join(", ");
                format!("red in {}, but not in {green}", self.red_cases().join(", "))
            }
            (Some(_), Fate::Survived) => "survived: nothing went red".to_string(),
        };
        format!("{name:<34} {says} ({took})")
    }

    fn red_cases(&self) -> Vec<String> {
        let Outcome::Ran { cases, .. } = &self.outcome else { return vec![] };
        cases
            .iter()
            .filter(|(_, v)| *v != Verdict::Passed && *v != Verdict::Skipped)
            .map(|(id, _)| id.clone())
            .collect()
    }
}

/// All of them.
pub struct Matrix {
    /// In the order of the catalogue, between the controls.
    pub rows: Vec<Row>,
    /// The plan's sentences, in its words.
    pub sentences: HashMap<Address, String>,
}

impl Matrix {
    pub fn holds(&self) -> bool {
        self.rows.iter().all(Row::holds)
    }

    /// What is not as it must be first, then one line of numbers.
    pub fn page(&self) -> String {
        let mut out = String::new();
        for row in self.rows.iter().filter(|r| !r.holds()) {
            let _ = writeln!(out, "{}", row.line());
            if let (Some(_), Fate::Elsewhere(green)) = (&row.defect, row.fate()) {
                for at in green {
                    let _ = writeln!(out, "{:<34} {}: {}", "", at.case(), self.words(&at));
                }
            }
        }
        let defects = self.rows.iter().filter(|r| r.defect.is_some());
        let all = defects.clone().count();
        let caught = defects.filter(|r| r.holds()).count();
        let controls = self.rows.iter().filter(|r| r.defect.is_none());
        let green = controls.clone().filter(|r| r.holds()).count();
        let _ = writeln!(
            out,
            "{caught} of {all} defects caught by every sentence that they break; {green} of {} runs without one green",
            controls.count()
        );
        out
    }

    fn words(&self, at: &Address) -> String {
        let text = self.sentences.get(at).map(String::as_str).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// As Markdown: a table of defects and cases, and what every sentence is broken by. `escaped` makes a sentence fit for it.
    pub fn markdown(&self, escaped: &dyn Fn(&str) -> String) -> String {
        let cases: Vec<&str> = self
            .rows
            .iter()
            .find_map(|r| match &r.outcome {
                Outcome::Ran { cases, .. } => Some(cases.iter().map(|(id, _)| id.as_str()).collect()),
                Outcome::CouldNot(_) => None,
            })
            .unwrap_or_default();
        let short = |id: &&str| id.rsplit('-').next().unwrap_or(id).to_string();
        let mut out = String::from(
            "\n## Defects of the platform\n\nThe plan run against the sandbox with each of its defects. **✗**: red where the defect breaks it; ✗: red \
             besides; **missed**: not red where the defect breaks it; ·: green.\n\n",
        );
        let heads = cases.iter().map(short).collect::<Vec<_>>().join(" | ");
        let _ = writeln!(out, "| Defect | What the platform then does | {heads} | Fate | Took |");
        let _ = writeln!(out, "| --- | --- |{} --- | ---: |", " :-: |".repeat(cases.len()));
        for row in &self.rows {
            let name = row.defect.as_ref().map_or("*no defect*".to_string(), |d| format!("`{d}`"));
            let fate = match (&row.defect, row.fate()) {
                (None, _) => if row.holds() { "green" } else { "**red**" }.to_string(),
                (_, Fate::Caught) => "caught".to_string(),
                (_, Fate::Elsewhere(_)) => "**caught elsewhere**".to_string(),
                (_, Fate::Survived) => "**survived**".to_string(),
                (_, Fate::CouldNot(_)) => "**not run**".to_string(),
            };
            let cells = cases.iter().map(|c| row.cell(c)).collect::<Vec<_>>().join(" | ");
            let _ = writeln!(out, "| {name} | {} | {cells} | {fate} | {:.1} s |", row.about, row.took.as_secs_f64());
        }
        let mut broken: BTreeMap<&Address, Vec<&str>> = BTreeMap::new();
        for row in &self.rows {
            for at in &row.breaks {
                broken.entry(at).or_default().extend(row.defect.as_deref());
            }
        }
        out += "\nWhat turns each sentence red:\n\n";
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
        let red = |case: &str| statuses.iter().any(|(a, m)| at(a).case() == case && *m != Status::Passed);
        let verdict = |case: &str| if red(case) { Verdict::Failed } else { Verdict::Passed };
        Row {
            defect: defect.map(str::to_owned),
            about: "it errs".into(),
            breaks: breaks.iter().map(|s| at(s)).collect(),
            outcome: Outcome::Ran {
                statuses: statuses.iter().map(|(a, m)| (at(a), *m)).collect(),
                cases: ["A", "B"].map(|c| (c.to_string(), verdict(c))).to_vec(),
            },
            took: Duration::from_millis(1500),
        }
    }

    #[test]
    fn a_defect_is_caught_only_by_every_sentence_that_it_breaks() {
        use Status::*;
        let both = ["A/expected/1", "A/expected/2"];
        let fate = |statuses: &[(&str, Status)]| row(Some("d"), &both, statuses).fate();
        assert_eq!(fate(&[("A/expected/1", Failed), ("A/expected/2", Failed)]), Fate::Caught);
        assert_eq!(
            fate(&[("A/expected/1", Failed), ("A/expected/2", Passed)]),
            Fate::Elsewhere(vec![at("A/expected/2")])
        );
        assert_eq!(
            fate(&[("A/expected/1", NotReached), ("A/expected/2", NotReached), ("A/steps/1", Failed)]),
            Fate::Elsewhere(vec![at("A/expected/1"), at("A/expected/2")]),
            "what was not reached saw nothing"
        );
        assert_eq!(fate(&[("A/expected/1", Errored), ("A/expected/2", Passed)]), Fate::Survived);
        assert_eq!(row(Some("d"), &[], &[("B/steps/1", Failed)]).fate(), Fate::Caught, "any sentence will do");
        assert_eq!(row(Some("d"), &[], &[("B/steps/1", Passed)]).fate(), Fate::Survived);
    }

    #[test]
    fn a_control_holds_only_if_all_is_green() {
        assert!(row(None, &[], &[("A/steps/1", Status::Passed)]).holds());
        assert!(!row(None, &[], &[("A/steps/1", Status::Errored)]).holds());
        let broken = Row { outcome: Outcome::CouldNot("no port".into()), ..row(None, &[], &[]) };
        assert!(!broken.holds());
        let broken = Row { defect: Some("d".into()), ..broken };
        assert_eq!((broken.holds(), broken.fate()), (false, Fate::CouldNot("no port".into())));
    }

    #[test]
    fn the_table_shows_who_was_to_see_it_and_who_did() {
        use Status::*;
        let rows = vec![
            row(None, &[], &[("A/steps/1", Passed)]),
            row(Some("d"), &["A/expected/1"], &[("A/expected/1", Failed), ("B/steps/1", Failed)]),
            row(Some("e"), &["A/expected/1"], &[("A/expected/1", Passed), ("B/steps/1", Failed)]),
        ];
        let sentences = [(at("A/expected/1"), "all \n there".to_string())].into();
        let matrix = Matrix { rows, sentences };
        let text = matrix.markdown(&|text| text.to_string());
        assert!(text.contains("| *no defect* | it errs | · | · | green | 1.5 s |"), "{text}");
        assert!(text.contains("| `d` | it errs | **✗** | ✗ | caught | 1.5 s |"), "{text}");
        assert!(text.contains("| `e` | it errs | **missed** | ✗ | **caught elsewhere** | 1.5 s |"), "{text}");
        assert!(text.contains("- A *all there*: `d`, `e`"), "{text}");
        let page = matrix.page();
        assert!(page.contains("but not in A/expected/1") && page.contains("A: all there"), "{page}");
        assert!(
            page.contains("1 of 2 defects caught by every sentence that they break; 1 of 1 runs without one green"),
            "{page}"
        );
        assert!(!matrix.holds());
    }
}
