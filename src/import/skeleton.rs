//! Writes the skeleton of a YAML plan: all sentences, without actions.
use super::{
    model::{Case, Comment, Draft, Field, Imported, Kind, Sentence, Tier},
    text::{has_words, words},
    yaml::{comment, scalar},
};
use std::{collections::HashMap, fmt::Write as _};

/// The YAML plan for a written plan; `source` is what its key `source` says.
pub fn skeleton(plan: &Imported, source: &str) -> String {
    let mut out = String::new();
    comment(
        &mut out,
        0,
        &format!("Imported from {source}. Add actions to each sentence: `tp-runner check` lists those without."),
    );
    pair(&mut out, 0, "plan", &plan.plan);
    if let Some(title) = plan.title.as_deref().filter(|t| has_words(t)) {
        pair(&mut out, 0, "title", title);
    }
    if has_words(source) {
        pair(&mut out, 0, "source", source);
    }
    if let Some(objective) = &plan.objective {
        pair(&mut out, 0, "objective", objective);
    }
    if !plan.scope_in.is_empty() || !plan.scope_out.is_empty() {
        out.push_str("scope:\n");
        for (key, list) in [("in", &plan.scope_in), ("out", &plan.scope_out)] {
            if !list.is_empty() {
                let _ = writeln!(out, "  {key}:");
                for text in list {
                    let _ = writeln!(out, "    - {}", scalar(text, 4));
                }
            }
        }
    }
    shared(&mut out, plan);
    let mut comments = plan.comments.iter().peekable();
    let first = plan.cases.first().map_or(usize::MAX, |c| c.line);
    let mut blank = true;
    while let Some(text) = comments.next_if(|c| c.line < first) {
        if std::mem::take(&mut blank) {
            out.push('\n');
        }
        comment(&mut out, 0, &text.text);
    }
    out.push('\n');
    if plan.cases.is_empty() {
        out.push_str("cases: [] # no case was found in the document\n");
    } else {
        out.push_str("cases:\n");
    }
    for case in &plan.cases {
        let mut before = true;
        while let Some(text) = comments.next_if(|c| c.line < case.line) {
            if std::mem::take(&mut before) {
                out.push('\n');
            }
            comment(&mut out, 2, &text.text);
        }
        write_case(&mut out, case);
    }
    for (i, text) in comments.enumerate() {
        if i == 0 {
            out.push('\n');
        }
        comment(&mut out, 0, &text.text);
    }
    out
}

fn pair(out: &mut String, indent: usize, key: &str, value: &str) {
    let _ = writeln!(out, "{:indent$}{key}: {}", "", scalar(value, indent));
}

fn shared(out: &mut String, plan: &Imported) {
    let mut group: Option<(&str, Kind)> = None;
    for shared in &plan.shared {
        if group != Some((shared.group.as_str(), shared.kind)) {
            group = Some((shared.group.as_str(), shared.kind));
            out.push('\n');
            let hint = match shared.kind {
                Kind::Teardown => "cleanup of several cases; write it as `undo` of the actions that create something:",
                _ => "holds for several cases; repeat it as preconditions of the cases that need it:",
            };
            comment(out, 0, &format!("{}: {hint}", shared.group));
        }
        comment(out, 0, &format!("  - {}", shared.sentence.text));
        for draft in &shared.sentence.data {
            draft.text.lines().for_each(|l| comment(out, 0, &format!("      {l}")));
        }
    }
}

/// The key of a YAML plan for a field of the written plan.
fn key(field: &Field) -> Option<&'static str> {
    let label: Vec<String> = words(&field.label).collect();
    let label: Vec<&str> = label.iter().map(String::as_str).collect();
    Some(match label.as_slice() {
        ["type"] | ["test", "type"] => "type",
        ["related", "issue" | "issues"] => "related_issue",
        ["test", "file"] => "test_file",
        _ => return None,
    })
}

fn write_case(out: &mut String, case: &Case) {
    out.push('\n');
    let _ = writeln!(out, "  - id: {}", scalar(&case.id, 4));
    if has_words(&case.title) {
        pair(out, 4, "title", &case.title);
    }
    pair(out, 4, "tier", case.tier.unwrap_or(Tier::Must).as_str());
    if let Some(priority) = case.priority.as_deref().filter(|p| !p.trim().is_empty()) {
        pair(out, 4, "priority", priority);
    }
    let mut used = Vec::new();
    let (mut keyed, mut others) = (Vec::new(), Vec::new());
    for field in &case.fields {
        match key(field).filter(|k| !used.contains(k) && has_words(&field.value)) {
            Some(key) => {
                used.push(key);
                keyed.push((key, field));
            }
            None => others.push(field),
        }
    }
    keyed.iter().for_each(|(key, field)| pair(out, 4, key, &field.value));
    for field in others {
        comment(out, 4, &format!("{}: {}", field.label, field.value));
    }
    let places = Places::new(case);
    places.comments(out, None);
    for (kind, list, key) in [
        (Kind::Precondition, "preconditions", "given"),
        (Kind::Step, "steps", "step"),
        (Kind::Expected, "expected", "result"),
    ] {
        let sentences = case.list(kind);
        if sentences.is_empty() {
            if kind == Kind::Expected {
                let _ = writeln!(out, "    {list}: [] # the document states no expected result: add at least one");
            }
            continue;
        }
        let _ = writeln!(out, "    {list}:");
        for (i, sentence) in sentences.iter().enumerate() {
            let _ = writeln!(out, "      - {key}: {}", scalar(&sentence.text, 8));
            sentence.data.iter().for_each(|d| write_draft(out, d, kind));
            places.comments(out, Some((kind, i)));
        }
    }
    if !case.teardown.is_empty() {
        comment(out, 4, "Cleanup: write it as `undo` of the actions that create something.");
        for (i, sentence) in case.teardown.iter().enumerate() {
            comment(out, 4, &format!("  - {}", sentence.text));
            for draft in &sentence.data {
                draft.text.lines().for_each(|l| comment(out, 4, &format!("      {l}")));
            }
            places.comments(out, Some((Kind::Teardown, i)));
        }
    }
}

/// Data of a sentence: JSON as a pattern or payload that can be uncommented, anything else as it is.
fn write_draft(out: &mut String, draft: &Draft, kind: Kind) {
    match &draft.json {
        Some(json) => {
            let text = serde_json::to_string(&escaped(json)).unwrap_or_default();
            let text = match kind {
                Kind::Expected => format!("expect: {{ response: {{ body: {text} }} }}"),
                _ => format!("json: {text}"),
            };
            let hint = match kind {
                Kind::Expected => "draft: uncomment it, and write the name of an output for `response`",
                _ => "draft: the payload of an action",
            };
            comment(out, 8, hint);
            comment(out, 8, &text);
        }
        None => {
            for line in draft.text.lines() {
                comment(out, 8, &format!("  {line}"));
            }
        }
    }
}

/// The value with `$` in front of keys, and placeholders, escaped.
fn escaped(json: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match json {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Array(items) => Value::Array(items.iter().map(escaped).collect()),
        Value::Object(map) => {
            let key = |k: &String| if k.starts_with('$') { format!("${k}") } else { k.clone() };
            Value::Object(map.iter().map(|(k, v)| (key(k), escaped(v))).collect())
        }
        other => other.clone(),
    }
}

/// Where the comments of a case go: below the sentence that stands before them in the document.
struct Places<'c> {
    /// Line, kind and index of each sentence, by line.
    sentences: Vec<(usize, Kind, usize)>,
    positions: HashMap<(Kind, usize), usize>,
    comments: &'c [Comment],
}

impl<'c> Places<'c> {
    fn new(case: &'c Case) -> Places<'c> {
        let mut sentences = Vec::new();
        for kind in [Kind::Precondition, Kind::Step, Kind::Expected, Kind::Teardown] {
            let list: &[Sentence] = case.list(kind);
            sentences.extend(list.iter().enumerate().map(|(i, s)| (s.line, kind, i)));
        }
        sentences.sort_by_key(|(line, ..)| *line);
        let positions = sentences.iter().enumerate().map(|(at, (_, kind, i))| ((*kind, *i), at)).collect();
        Places { sentences, positions, comments: &case.comments }
    }

    /// Writes the comments below a sentence, or those before all sentences.
    fn comments(&self, out: &mut String, at: Option<(Kind, usize)>) {
        let (from, to) = match at {
            None => (0, self.sentences.first().map_or(usize::MAX, |s| s.0)),
            Some((kind, index)) => {
                let Some(position) = self.positions.get(&(kind, index)).copied() else { return };
                let line = self.sentences[position].0;
                // of several sentences on one line the last one takes the comments
                match self.sentences.get(position + 1) {
                    Some(next) if next.0 == line => return,
                    next => (line, next.map_or(usize::MAX, |n| n.0)),
                }
            }
        };
        let start = self.comments.partition_point(|c| c.line < from);
        let end = self.comments.partition_point(|c| c.line < to);
        for text in &self.comments[start.min(end)..end] {
            comment(out, if at.is_some() { 8 } else { 4 }, &text.text);
        }
    }
}
