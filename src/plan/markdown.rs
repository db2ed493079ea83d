//! The Markdown plan that a YAML plan carries out: its cases with their tiers and sentences, and the comparison word for word.
//! Case, punctuation and list marks aside; a JSON block counts as its words.
use super::model::{Case, Named, Plan, Sentence};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    outcome::Tier,
};
use std::collections::HashMap;

/// A case as the Markdown has it.
#[derive(Debug, Default)]
pub struct Written {
    pub id: String,
    pub title: String,
    pub priority: Option<String>,
    pub fields: HashMap<String, String>,
    pub preconditions: Vec<String>,
    pub steps: Vec<String>,
    pub expected: Vec<String>,
}

/// A plan as the Markdown has it.
#[derive(Debug, Default)]
pub struct Document {
    pub cases: Vec<Written>,
    pub tiers: HashMap<String, Tier>,
    pub objective: Option<String>,
}

/// Reads what it knows of a Markdown plan; the rest is prose.
pub fn read(text: &str) -> Document {
    #[derive(PartialEq)]
    enum At {
        Elsewhere,
        Objective,
        Case,
        Criteria(Option<Tier>),
    }
    let mut document = Document::default();
    let mut at = At::Elsewhere;
    let mut part = String::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        if let Some(open) = &mut block {
            if line.trim_start().starts_with("```") {
                let done = block.take().unwrap_or_default();
                if let Some(list) = document.cases.last_mut().and_then(|c| list_of(c, &part)) {
                    list.push(done);
                }
            } else {
                open.push_str(line);
                open.push('\n');
            }
            continue;
        }
        if line.trim_start().starts_with("```") {
            block = Some(String::new());
        } else if let Some(heading) = line.strip_prefix("## ") {
            at = match heading.trim() {
                "Objective" => At::Objective,
                "Success Criteria" => At::Criteria(None),
                _ => At::Elsewhere,
            };
        } else if let Some(heading) = line.strip_prefix("### ") {
            part.clear();
            if let At::Criteria(_) = at {
                let lower = heading.to_lowercase();
                let tier =
                    ["must", "should", "nice"].into_iter().find(|w| lower.starts_with(w)).and_then(|w| w.parse().ok());
                at = At::Criteria(tier);
            } else if let Some((id, title)) = heading.split_once(':').filter(|(id, _)| !id.contains(' ')) {
                at = At::Case;
                document.cases.push(Written { id: id.trim().into(), title: title.trim().into(), ..Written::default() });
            } else {
                at = At::Elsewhere;
            }
        } else if at == At::Objective && !line.trim().is_empty() && line.trim() != "---" {
            document.objective =
                Some(document.objective.map_or(line.trim().into(), |o| format!("{o} {}", line.trim())));
        } else if let At::Criteria(Some(tier)) = at {
            if let Some((id, _)) = line.trim_start_matches(['-', '*', ' ']).split_once(':') {
                document.tiers.insert(id.trim().into(), tier);
            }
        } else if at == At::Case {
            let Some(case) = document.cases.last_mut() else { continue };
            if let Some((label, value)) = line.trim().strip_prefix("**").and_then(|l| l.split_once("**:")) {
                part = label.to_lowercase();
                let value = value.trim().trim_matches('`').to_string();
                match part.as_str() {
                    "priority" => case.priority = Some(value),
                    "preconditions" | "steps" | "expected results" => {}
                    _ => {
                        case.fields.insert(label.to_string(), value);
                    }
                }
            } else if let Some(list) = list_of(case, &part) {
                let item = item(line);
                match (item, line.starts_with([' ', '\t'])) {
                    (Some(text), false) => list.push(text.into()),
                    // an item within an item belongs to its sentence
                    (Some(text), true) => {
                        if let Some(last) = list.last_mut() {
                            last.push_str(if last.ends_with(':') { " " } else { ", " });
                            last.push_str(text);
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    document
}

fn list_of<'c>(case: &'c mut Written, part: &str) -> Option<&'c mut Vec<String>> {
    match part {
        "preconditions" => Some(&mut case.preconditions),
        "steps" => Some(&mut case.steps),
        "expected results" => Some(&mut case.expected),
        _ => None,
    }
}

/// The text behind `- ` or `1. `.
fn item(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return Some(rest.trim());
    }
    let (number, rest) = line.split_once(". ")?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then(|| rest.trim())
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// Says every place where the plan's words, order, tiers or priorities are not those of the Markdown.
pub fn compare(plan: &Plan, name: &str, text: &str, problems: &mut Diagnostics) {
    let document = read(text);
    let whole = plan.source.as_ref().map_or(&plan.span, |s| &s.span);
    for written in &document.cases {
        let Some(case) = plan.cases.iter().find(|c| c.id.text == written.id) else {
            problems.push(Diagnostic::error(
                "case-missing",
                whole,
                format!("`{name}` has a case `{}` that is not here", written.id),
            ));
            continue;
        };
        if words(&case.title) != words(&written.title) {
            let d = Diagnostic::error(
                "differs-from-source",
                &case.id.span,
                format!("the title of `{}` is another in `{name}`", written.id),
            );
            problems.push(d.help(format!("there it is: {}", written.title)));
        }
        if let Some(priority) = &written.priority
            && case.priority.as_deref().map(str::to_lowercase) != Some(priority.to_lowercase())
        {
            let d = Diagnostic::error(
                "differs-from-source",
                &case.id.span,
                format!("the priority of `{}` is another in `{name}`", written.id),
            );
            problems.push(d.help(format!("there it is: {}", priority.to_lowercase())));
        }
        if let Some(tier) = document.tiers.get(&written.id)
            && *tier != case.tier
        {
            let d = Diagnostic::error(
                "differs-from-source",
                &case.id.span,
                format!("the tier of `{}` is another in `{name}`", written.id),
            );
            problems.push(d.help(format!("there it is: {tier}")));
        }
        for (label, value) in &case.fields {
            if let Some(there) = written.fields.get(label)
                && words(there) != words(value)
            {
                let d = Diagnostic::error(
                    "differs-from-source",
                    &case.id.span,
                    format!("`{label}` of `{}` is another in `{name}`", written.id),
                );
                problems.push(d.help(format!("there it is: {there}")));
            }
        }
        sentences(case, &case.preconditions, &written.preconditions, "precondition", name, problems);
        sentences(case, &case.steps, &written.steps, "step", name, problems);
        sentences(case, &case.expected, &written.expected, "expected result", name, problems);
    }
    for case in plan.cases.iter().filter(|c| !document.cases.iter().any(|w| w.id == c.id.text)) {
        let d = Diagnostic::error("case-unknown", &case.id.span, format!("`{name}` has no case `{}`", case.id.text));
        problems.push(d.meant(&case.id.text, document.cases.iter().map(|w| w.id.as_str())));
    }
}

fn sentences(case: &Case, here: &[Sentence], there: &[String], what: &str, name: &str, problems: &mut Diagnostics) {
    for (i, (mine, theirs)) in here.iter().zip(there).enumerate() {
        if words(&mine.text.text) != words(theirs) {
            let d = Diagnostic::error(
                "differs-from-source",
                &mine.text.span,
                format!("{what} {} is worded otherwise in `{name}`", i + 1),
            );
            problems.push(d.help(format!("there it is: {}", theirs.trim())));
        }
    }
    let at = |s: Option<&Sentence>| s.map_or(&case.id, |s| &s.text).span.clone();
    for theirs in there.iter().skip(here.len()) {
        let d = Diagnostic::error(
            "sentence-missing",
            &at(here.last()),
            format!("a {what} of `{}` is missing after this", case.id.text),
        );
        problems.push(d.help(format!("`{name}` has: {}", theirs.trim())));
    }
    for mine in here.iter().skip(there.len()) {
        let Named { text, span } = &mine.text;
        problems.push(Diagnostic::error(
            "sentence-unknown",
            span,
            format!("`{name}` has no such {what}: {}", text.trim()),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TP_004: &str = include_str!("../../docs/TP-004.md");

    #[test]
    fn the_plan_is_read_whole() {
        let d = read(TP_004);
        assert_eq!(d.cases.len(), 10);
        let count = |f: fn(&Written) -> usize| d.cases.iter().map(f).sum::<usize>();
        assert_eq!(
            (count(|c| c.preconditions.len()), count(|c| c.steps.len()), count(|c| c.expected.len())),
            (11, 57, 34)
        );
        assert_eq!(d.tiers.values().filter(|t| **t == Tier::Must).count(), 3);
        let four = &d.cases[3];
        assert_eq!(four.priority.as_deref(), Some("High"));
        assert!(
            four.steps[0].starts_with("Create batch request with: 2 valid session names, 1 nonexistent"),
            "{}",
            four.steps[0]
        );
        assert!(d.cases[0].expected[0].contains("\"succeeded\": 4"));
        assert_eq!(d.cases[0].fields["Test File"], "tests/integration/batch_hibernate_test.go");
    }
}
