//! A compact text of a reading, for comparison in tests.
#![allow(dead_code, reason = "each test uses a part of it")]
use std::{collections::HashSet, fmt::Write as _};
use tp_runner::import::{Imported, Kind, Tier};

/// One line for each case, field, sentence, comment and warning.
pub fn outline(plan: &Imported) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "plan {} | {}", plan.plan, plan.title.as_deref().unwrap_or("-"));
    if let Some(objective) = &plan.objective {
        let _ = writeln!(out, "objective {objective}");
    }
    plan.scope_in.iter().for_each(|s| _ = writeln!(out, "in {s}"));
    plan.scope_out.iter().for_each(|s| _ = writeln!(out, "out {s}"));
    plan.shared
        .iter()
        .for_each(|s| _ = writeln!(out, "shared {} {}: {}", s.kind.noun(), s.sentence.line, s.sentence.text));
    for case in &plan.cases {
        let tier = case.tier.map_or("-", Tier::as_str);
        let _ = writeln!(
            out,
            "\n{} | {} | {tier} | {} | line {}",
            case.id,
            case.title,
            case.priority.as_deref().unwrap_or("-"),
            case.line
        );
        case.fields.iter().for_each(|f| _ = writeln!(out, "  {}: {}", f.label, f.value));
        for (kind, sign) in [
            (Kind::Precondition, "given"),
            (Kind::Step, "step"),
            (Kind::Expected, "result"),
            (Kind::Teardown, "cleanup"),
        ] {
            for sentence in case.list(kind) {
                let _ = writeln!(out, "  {sign} {}: {}", sentence.line, sentence.text.trim().replace('\n', "\\n"));
                for data in &sentence.data {
                    let _ = writeln!(
                        out,
                        "    {} {}",
                        if data.json.is_some() { "json" } else { "data" },
                        data.text.replace('\n', "\\n")
                    );
                }
            }
        }
        case.comments.iter().for_each(|c| _ = writeln!(out, "  # {}: {}", c.line, c.text.replace('\n', "\\n")));
    }
    if !plan.comments.is_empty() {
        out.push('\n');
    }
    plan.comments.iter().for_each(|c| _ = writeln!(out, "# {}: {}", c.line, c.text.replace('\n', "\\n")));
    if !plan.warnings.is_empty() {
        out.push('\n');
    }
    plan.warnings.iter().for_each(|w| _ = writeln!(out, "warning {}: {}", w.line, w.text));
    out
}

/// Words in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase)
}

/// The words of a YAML text: of its values and of its comments.
pub fn words_of_yaml(yaml: &str) -> HashSet<String> {
    fn strings(value: &serde_json::Value, out: &mut HashSet<String>) {
        match value {
            serde_json::Value::String(text) => out.extend(words(text)),
            serde_json::Value::Array(items) => items.iter().for_each(|i| strings(i, out)),
            serde_json::Value::Object(map) => map.values().for_each(|v| strings(v, out)),
            other => out.extend(words(&other.to_string())),
        }
    }
    let mut out = HashSet::new();
    if let Ok(value) = serde_saphyr::from_str(yaml) {
        strings(&value, &mut out);
    }
    let comments = yaml.lines().filter(|l| l.trim_start().starts_with('#'));
    out.extend(comments.flat_map(words));
    out
}

/// Asserts that the skeleton parses, and has the ids, tiers and sentences of the reading.
pub fn assert_same_sentences(plan: &Imported, yaml: &str) {
    let value: serde_json::Value = match serde_saphyr::from_str(yaml) {
        Ok(value) => value,
        Err(error) => panic!("invalid YAML: {error}\n{yaml}"),
    };
    let cases = value["cases"].as_array().expect("a list of cases");
    assert_eq!(cases.len(), plan.cases.len(), "{yaml}");
    let plain = |text: &str| text.replace("$${", "${").trim_end_matches('\n').to_string();
    for (written, case) in cases.iter().zip(&plan.cases) {
        assert_eq!(written["id"].as_str(), Some(case.id.as_str()), "{yaml}");
        assert_eq!(written["tier"].as_str(), Some(case.tier.unwrap_or(Tier::Must).as_str()), "{yaml}");
        for (kind, list, key) in [
            (Kind::Precondition, "preconditions", "given"),
            (Kind::Step, "steps", "step"),
            (Kind::Expected, "expected", "result"),
        ] {
            let found: Vec<String> = written[list].as_array().map_or_else(Vec::new, |items| {
                items.iter().map(|i| plain(i[key].as_str().expect("a sentence is a string"))).collect()
            });
            let expected: Vec<String> =
                case.list(kind).iter().map(|s| s.text.trim_end_matches('\n').to_string()).collect();
            assert_eq!(found, expected, "{yaml}");
        }
    }
}
