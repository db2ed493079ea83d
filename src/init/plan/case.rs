//! Cases of a plan, and how they are written.
use crate::{
    import::yaml::{comment, quoted},
    init::yaml::Yaml,
};
use std::fmt::Write as _;

/// A plan that is about to be written.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub id: String,
    pub title: String,
    /// Lines above the plan.
    pub comments: Vec<String>,
    /// Names and values; those that no case reads are left out.
    pub variables: Vec<(String, String)>,
    pub cases: Vec<Case>,
    pub drafts: Drafts,
}

/// How a case that asserts nothing is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drafts {
    /// As a case, which `check` lists, and reports show as unproven.
    #[default]
    Cases,
    /// As a comment: no report counts it.
    Comments,
}

#[derive(Clone, Debug)]
pub struct Case {
    /// What the case is about, for the caller: the key of an operation.
    pub key: String,
    pub title: String,
    pub tier: Tier,
    pub steps: Vec<Sentence>,
    pub expected: Vec<Sentence>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Must,
    Should,
    Nice,
}

impl Tier {
    fn word(self) -> &'static str {
        match self {
            Tier::Must => "must",
            Tier::Should => "should",
            Tier::Nice => "nice",
        }
    }
}

/// What a sentence of a case belongs to. If it does not pass, the caller finds it in [`super::Findings`] by this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The request, its status and content type.
    Response,
    /// The body, compared with its schema.
    Schema,
    /// The same request without credentials.
    Refusal,
}

/// A step or an expected result.
#[derive(Clone, Debug)]
pub struct Sentence {
    pub text: String,
    pub part: Part,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    /// Actions below `do`.
    Actions(Vec<Yaml>),
    /// A pattern below `expect`.
    Expect(Yaml),
    /// An expression below `check`.
    Check(String),
    /// A step whose actions are in a comment.
    DraftActions { hints: Vec<String>, actions: Vec<Yaml> },
    /// A result that nothing proves yet, with the pattern in a comment.
    Unproven { reason: String, draft: Option<Yaml> },
}

impl Case {
    /// Whether it asserts anything.
    pub fn is_running(&self) -> bool {
        self.expected.iter().any(|s| !matches!(s.content, Content::Unproven { .. }))
    }
}

/// A plan as text, and where its cases are.
#[derive(Clone, Debug)]
pub struct Written {
    pub yaml: String,
    pub cases: Vec<WrittenCase>,
}

#[derive(Clone, Debug)]
pub struct WrittenCase {
    pub id: String,
    pub key: String,
    /// First and last line, from 1.
    pub lines: (usize, usize),
    /// The parts of the steps and the expected results, in their order.
    pub steps: Vec<Part>,
    pub expected: Vec<Part>,
    /// Whether it asserts anything; otherwise it is a draft.
    pub is_running: bool,
}

impl Written {
    /// The number of cases that assert something, and of drafts.
    pub fn counts(&self) -> (usize, usize) {
        let running = self.cases.iter().filter(|c| c.is_running).count();
        (running, self.cases.len() - running)
    }

    /// The case at a line.
    pub fn case_at(&self, line: usize) -> Option<&WrittenCase> {
        self.cases.iter().find(|c| (c.lines.0..=c.lines.1).contains(&line))
    }
}

/// Writes a plan.
pub fn write(plan: &Plan) -> Written {
    let mut out = String::new();
    plan.comments
        .iter()
        .for_each(|line| if line.is_empty() { out.push_str("#\n") } else { comment(&mut out, 0, line) });
    let _ = writeln!(out, "plan: {}", quoted(&plan.id));
    if !plan.title.is_empty() {
        let _ = writeln!(out, "title: {}", quoted(&plan.title));
    }
    let texts: Vec<String> = plan.cases.iter().enumerate().map(|(n, case)| write_case(case, &id(plan, n))).collect();
    let is_read = |name: &String| texts.iter().any(|text| text.contains(&format!("${{{name}}}")));
    let variables: Vec<_> = plan.variables.iter().filter(|(name, _)| is_read(name)).collect();
    if !variables.is_empty() {
        out.push_str("\nvars:\n");
        variables.iter().for_each(|(name, value)| Yaml::Text(value.clone()).write_entry(&mut out, 2, name));
    }
    out.push_str("\ncases:\n");
    let has_running = plan.cases.iter().any(Case::is_running);
    let mut line = out.lines().count();
    let mut cases = vec![];
    for (n, (case, text)) in plan.cases.iter().zip(&texts).enumerate() {
        if n > 0 {
            out.push('\n');
            line += 1;
        }
        let first = line + 1;
        line += text.lines().count();
        // a plan needs a case
        if plan.drafts == Drafts::Cases || case.is_running() || !has_running {
            out.push_str(text);
        } else {
            text.lines().for_each(|line| {
                let _ = writeln!(out, "  # {}", line.get(2..).unwrap_or_default());
            });
        }
        let parts = |sentences: &[Sentence]| sentences.iter().map(|s| s.part).collect();
        cases.push(WrittenCase {
            id: id(plan, n),
            key: case.key.clone(),
            lines: (first, line),
            steps: parts(&case.steps),
            expected: parts(&case.expected),
            is_running: case.is_running(),
        });
    }
    Written { yaml: out, cases }
}

fn id(plan: &Plan, n: usize) -> String {
    format!("{}-{:03}", plan.id, n + 1)
}

fn write_case(case: &Case, id: &str) -> String {
    let mut text = String::new();
    let out = &mut text;
    let _ = writeln!(out, "  - id: {}", quoted(id));
    let _ = writeln!(out, "    title: {}", quoted(&case.title));
    let _ = writeln!(out, "    tier: {}", case.tier.word());
    for (list, key, sentences) in [("steps", "step", &case.steps), ("expected", "result", &case.expected)] {
        if sentences.is_empty() {
            continue;
        }
        let _ = writeln!(out, "    {list}:");
        for sentence in sentences {
            let _ = writeln!(out, "      - {key}: {}", quoted(&sentence.text));
            write_content(out, &sentence.content);
        }
    }
    text
}

fn write_content(out: &mut String, content: &Content) {
    match content {
        Content::Actions(actions) => write_actions(out, actions, 8),
        Content::Expect(pattern) => pattern.write_entry(out, 8, "expect"),
        Content::Check(expression) => {
            let _ = writeln!(out, "        check: {}", quoted(expression));
        }
        Content::DraftActions { hints, actions } => {
            hints.iter().for_each(|hint| comment(out, 8, &format!("draft: {hint}")));
            let mut text = String::new();
            write_actions(&mut text, actions, 0);
            commented(out, &text);
        }
        Content::Unproven { reason, draft } => {
            let _ = writeln!(out, "        unproven: {}", quoted(reason));
            if let Some(draft) = draft {
                let mut text = String::new();
                draft.write_entry(&mut text, 0, "expect");
                commented(out, &text);
            }
        }
    }
}

fn write_actions(out: &mut String, actions: &[Yaml], indent: usize) {
    let _ = writeln!(out, "{:indent$}do:", "");
    actions.iter().for_each(|action| action.write_item(out, indent + 2));
}

/// Writes lines as a comment. Without `# ` they are what they were.
fn commented(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "        # {line}");
    }
}
