//! What headings of a document are about, if not about the parts of a case.
use super::vocabulary::normalise;

/// What a section of the document is about, if it is not about cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Objective,
    /// Objective only if no section is called so.
    Overview,
    Scope,
    InScope,
    OutOfScope,
    Criteria,
    /// Schedule, risks, roles, tools: nothing to execute.
    Administrative,
    /// A heading that announces cases.
    Cases,
}

/// What a heading of the document is about.
pub fn topic(heading: &str) -> Option<Topic> {
    let text = normalise(heading, true);
    let has = |word: &str| text.split(' ').any(|w| w == word);
    let is = |phrases: &[&str]| phrases.contains(&text.as_str());
    if is(&[
        "objective",
        "test objective",
        "testing objective",
        "testing goal",
        "purpose",
        "goal",
        "aim",
        "test goal",
        "test purpose",
        "objetivo",
        "ziel",
        "mission",
        "objectif",
        "goal and objective",
        "objective and goal",
        "purpose and objective",
        "mục tiêu",
        "цель",
    ]) {
        return Some(Topic::Objective);
    }
    if is(&[
        "overview",
        "introduction",
        "summary",
        "executive summary",
        "about",
        "description",
        "abstract",
        "background",
        "visão geral",
        "introdução",
        "introducción",
        "einleitung",
        "tổng quan",
        "введение",
        "context",
    ]) {
        return Some(Topic::Overview);
    }
    if has("scope")
        || text.starts_with("feature to be tested")
        || text.starts_with("feature not to be tested")
        || is(&[
            "feature to test",
            "what we test",
            "what is tested",
            "what is not tested",
            "non goal",
            "escopo",
            "alcance",
            "phạm vi",
            "not tested",
            "out of scope",
        ])
    {
        return Some(match () {
            () if has("out") || has("not") || has("non") || has("exclusion") => Topic::OutOfScope,
            () if has("in") || text.starts_with("feature") || text.starts_with("what") || has("inclusion") => {
                Topic::InScope
            }
            () => Topic::Scope,
        });
    }
    let criteria = has("criteria") || has("criterion");
    if (criteria && !has("entry") && !has("suspension") && !has("resumption"))
        || is(&[
            "definition of done",
            "priority",
            "prioritization",
            "prioritisation",
            "test priority",
            "priority matrix",
            "tier",
            "test tier",
            "priority level",
            "test priority matrix",
            "test prioritization",
            "release gate",
            "moscow",
            "case priority",
            "priority summary",
            "priorisierung",
            "test case priority",
            "priority of case",
            "release decision",
            "must have vs nice to have",
            "priority classification",
        ])
    {
        return Some(Topic::Criteria);
    }
    const ADMINISTRATIVE: &[&str] = &[
        "schedule",
        "timeline",
        "milestone",
        "risk",
        "responsibility",
        "responsibilitie",
        "stakeholder",
        "approval",
        "deliverable",
        "glossary",
        "revision",
        "changelog",
        "staffing",
        "budget",
        "reporting",
        "appendix",
        "suspension",
        "resumption",
        "entry",
        "signoff",
        "traceability",
        "legend",
        "conclusion",
        "acronym",
        "cronograma",
        "methodology",
        "recommendation",
        "troubleshooting",
        "faq",
        "toc",
        "terminology",
        "escalation",
        "environment",
        "dependencie",
        "dependency",
        "limitation",
        "riesgo",
        "risco",
        "strategy",
    ];
    // words that also name parts of a product: only if the heading has hardly any other word
    const WEAK: &[&str] = &[
        "history",
        "resource",
        "training",
        "report",
        "metric",
        "contact",
        "team",
        "tool",
        "tooling",
        "approach",
        "coverage",
        "definition",
        "defect",
        "bug",
        "communication",
        "assumption",
        "constraint",
        "author",
        "result",
        "issue",
        "note",
        "link",
        "architecture",
        "content",
        "log",
        "distribution",
        "maintenance",
        "automation",
        "ci",
        "next",
        "feedback",
        "support",
        "finding",
        "status",
        "document",
        "lesson",
        "future",
        "improvement",
        "reference",
        "summary",
        "rationale",
    ];
    let count = text.split(' ').count();
    let strong = count <= 5 && text.split(' ').any(|w| ADMINISTRATIVE.contains(&w)) || text.starts_with("sign off");
    let weak = count <= 3
        && text.split(' ').any(|w| WEAK.contains(&w))
        && text.split(' ').all(|w| {
            WEAK.contains(&w)
                || matches!(
                    w,
                    "test"
                        | "testing"
                        | "known"
                        | "and"
                        | "the"
                        | "step"
                        | "required"
                        | "general"
                        | "final"
                        | "bug"
                        | "issue"
                        | "critical"
                        | "non"
                        | "qa"
                )
        });
    let weak = weak || has("data") && count <= 3;
    if (strong || weak || text.starts_with("known "))
        && !has("case")
        && !has("scenario")
        && !has("check")
        && !has("checklist")
    {
        return Some(Topic::Administrative);
    }
    const CASES: &[&str] = &[
        "test",
        "case",
        "scenario",
        "checklist",
        "smoke",
        "regression",
        "qa",
        "testing",
        "teste",
        "prueba",
        "uat",
        "verification",
        "acceptance",
        "casos",
        "testfälle",
        "сценарии",
        "validation",
        "check",
        "testcase",
        "kiểm",
    ];
    text.split(' ').any(|w| CASES.contains(&w)).then_some(Topic::Cases)
}
