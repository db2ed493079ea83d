//! The last sections of the report: actions outside of cases, targets, versions, variables and notes.
use super::{
    details,
    escape::{Context, code},
    format::{cell, colon_reason, file_and_line, line, status_icon},
};
use crate::report::{run_index::RunIndex, wording::join_with_and};

pub fn outside_cases(run: &RunIndex, out: &mut String) {
    if run.outside_cases.is_empty() {
        return;
    }
    *out += "\n## Outside the Cases\n";
    for action in &run.outside_cases {
        let location = action.location().map(|l| format!(", {}", file_and_line(l, Context::Line))).unwrap_or_default();
        let why = colon_reason(action.reason.as_deref());
        let summary = code(&action.summary, Context::Line);
        *out += &format!("\n{} **{}**: {summary}{location}{why}\n", status_icon(action.status), action.status);
        details::write(action, out);
    }
}

pub fn dependencies(run: &RunIndex, out: &mut String) {
    let start = &run.start;
    if !run.has_started {
        return;
    }
    *out += "\n## What This Run Depended On\n\n";
    *out += &format!("- **Plan**: {}", code(&start.plan.file, Context::Line));
    if let Some(source) = &start.plan.source {
        *out += &format!(", which implements {}", code(source, Context::Line));
    }
    *out += "\n";
    if !start.environment.replaced.is_empty() {
        let names: Vec<String> = start.environment.replaced.iter().map(|r| code(r, Context::Line)).collect();
        *out += &format!("- **Replaced by the environment**: {}\n", join_with_and(&names));
    }
    if let Some(trace) = &start.trace {
        *out += &format!("- **Trace**: {}\n", code(trace, Context::Line));
    }
    if start.plan.vars.is_empty() {
        return;
    }
    *out += "\n### Variables\n\n| Variable | Value |\n| --- | --- |\n";
    for (name, value) in &start.plan.vars {
        *out += &format!("| {} | {} |\n", cell(name), code(value, Context::Cell));
    }
}

pub fn notes(run: &RunIndex, out: &mut String) {
    if run.notes.is_empty() {
        return;
    }
    *out += "\n## Notes\n\n";
    for note in &run.notes {
        *out += &format!("- {}\n", line(note));
    }
}
