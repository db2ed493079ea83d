//! The entry of a run in a Markdown file where people and agents write to each other, under the heading `Agent Communication Log`.
mod edit;
mod outline;
#[cfg(test)]
mod tests;

use super::{
    gate::gate,
    markdown::escape::{Context, code, plan_text, prose},
    run_index::{CaseEntry, RunIndex},
    wording::{duration, tally, tiers},
};
use crate::{
    event::EvidenceKind,
    outcome::{Status, Verdict},
};
pub use edit::{Edit, Entry, SECTION, edit};
pub use outline::Refusal;

/// Everyone who writes into the file signs with a role.
const ROLE: &str = "Validator";

/// The entry of a run. `report` is the path of its Markdown report.
pub fn entry(run: &RunIndex, report: &str) -> Entry {
    let start = &run.start;
    let is_part_of_id = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let id: String = start.run.chars().filter(is_part_of_id).collect();
    let selected: Vec<&CaseEntry> = run.cases.iter().filter(|c| c.outline.selected).collect();
    let time = start.started.strftime("%H:%M");
    let mut lines = vec![format!("#### {ROLE} - {} run {id} ({time})", prose(&start.plan.id, Context::Line))];
    let mut line = |text: String| lines.push(text);
    line(String::new());
    let title = prose(&start.plan.title, Context::Line);
    line(format!("**{}**{}", gate(run).verdict.as_str().to_uppercase(), after_colon(&title)));
    line(String::new());
    use Verdict::*;
    let all = [Passed, Failed, KnownFailure, Blocked, Errored, Interrupted, Skipped];
    let counts = tally(selected.iter().map(|c| c.verdict), &all).into_iter().map(|(n, v)| format!("{n} {v}"));
    line(format!("- **Total**: {} ({})", selected.len(), counts.collect::<Vec<_>>().join(", ")));
    let sentences = || selected.iter().flat_map(|c| &c.sentences);
    let verified = sentences().filter(|s| matches!(s.status, Status::Passed | Status::Failed)).count();
    line(format!("- **Coverage**: {verified} of {} sentences verified", sentences().count()));
    line(format!("- **Gate**: {}", tiers(&start.gate)));
    let about = start.environment.notice.as_deref().unwrap_or(&start.environment.about);
    let about = if about.is_empty() { String::new() } else { format!(" ({})", prose(about, Context::Line)) };
    line(format!("- **Environment**: {}{about}", prose(&start.environment.name, Context::Line)));
    line(format!("- **Started**: {}, took {}", start.started.strftime("%Y-%m-%d %H:%M UTC"), duration(run.took)));
    line(format!("- **Report**: {}", code(report, Context::Line)));
    if !selected.is_empty() {
        line(String::new());
        selected.iter().for_each(|case| line(case_line(case)));
    }
    let failed: Vec<&&CaseEntry> = selected.iter().filter(|c| c.has_problem()).collect();
    if !failed.is_empty() {
        line(String::new());
        line("**Issues Found**:".to_owned());
        line(String::new());
        failed.iter().for_each(|case| issue(case).into_iter().for_each(&mut line));
    }
    line(String::new());
    Entry { run: id, date: start.started.strftime("%Y-%m-%d").to_string(), lines }
}

fn case_line(case: &CaseEntry) -> String {
    let mark = match case.verdict {
        Verdict::Passed => "✅ PASS".to_owned(),
        Verdict::Failed => "❌ FAIL".to_owned(),
        Verdict::KnownFailure => "🟡 KNOWN FAILURE".to_owned(),
        verdict => format!("⚠️ {}", verdict.as_str().to_uppercase()),
    };
    let title = after_colon(&plan_text(&case.outline.title, Context::Line));
    format!("- {mark} {}{title}", prose(&case.outline.id, Context::Line))
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Severity, sentence, difference, place and command of a case that did not pass.
fn issue(case: &CaseEntry) -> Vec<String> {
    let o = &case.outline;
    let priority = o.priority.as_deref().map(|p| format!(", priority {}", prose(p, Context::Line))).unwrap_or_default();
    let head = format!("- {} ({}{priority})", prose(&o.id, Context::Line), o.tier);
    let Some(sentence) = case.deciding_sentence() else {
        let why = case.reason.as_deref().unwrap_or(case.verdict.as_str());
        return vec![format!("{head}: {}", prose(why, Context::Line))];
    };
    let (why, location) = sentence.worst_cause();
    let mut lines = vec![format!("{head}: {}", plan_text(&sentence.outline.text, Context::Line))];
    if let Some(why) = why.as_deref().or(case.reason.as_deref()) {
        lines.push(format!("  - {}", prose(why, Context::Line)));
    }
    if let Some(said) = case.product_words(sentence) {
        lines.push(format!("  - the product says: {}", prose(said, Context::Line)));
    }
    lines.push(format!("  - in the plan: {}", code(&format!("{}:{}", location.file, location.line), Context::Line)));
    let evidence = sentence.causes().into_iter().flat_map(|c| &c.evidence).find(|e| e.kind == EvidenceKind::Reproduce);
    if let Some(command) = evidence.filter(|e| e.text.chars().count() <= super::wording::MAX_INLINE_CHARS) {
        lines.push(format!("  - to repeat it: {}", code(&command.text, Context::Line)));
    }
    lines
}
