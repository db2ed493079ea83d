//! Reads a whole document: its cases, and what stands around them.
mod checklist;
mod sections;

use super::{
    blocks::{self, Block, Line, Table},
    case::Builder,
    csv, gherkin,
    ids::case_head,
    model::{Comment, Imported, Tier},
    outline::{self, Section},
    plain, table_cases,
    tables::{self, Shape},
    text::{has_words, squeeze},
    tiers::{self, Criteria},
    topics::{Topic, topic},
    vocabulary::{Role, role},
};

/// A case with what the headings above it say.
pub struct Found {
    pub builder: Builder,
    pub group: Option<(Tier, String)>,
    /// Perhaps only a reference to a case elsewhere.
    pub weak: bool,
}

/// What the reader collects before ids and tiers are decided.
#[derive(Default)]
pub struct Reader {
    pub out: Imported,
    pub found: Vec<Found>,
    pub criteria: Criteria,
    /// Comments that are worth a warning.
    pub loud: Vec<usize>,
    pub indexes: Vec<(Table, bool)>,
    doc_has_cases: bool,
    overview: Option<(String, usize)>,
    /// The priority that the front matter states.
    pub front_priority: Option<String>,
}

/// What the sections above say.
#[derive(Clone, Default)]
struct Context {
    group: Option<(Tier, String)>,
    heading: String,
    in_cases: bool,
    /// Whether numbered sections beside this one are cases.
    numbered_cases: bool,
}

impl Reader {
    fn comment(&mut self, comments: impl IntoIterator<Item = Comment>, loud: bool) {
        for comment in comments {
            if has_words(&comment.text) {
                if loud {
                    self.loud.push(comment.line);
                }
                self.out.comments.push(comment);
            }
        }
    }

    fn structure(&mut self, text: &str, line: usize) {
        self.out.labels.push(Comment { text: text.into(), line });
    }

    fn push(&mut self, builder: Builder, context: &Context, weak: bool) {
        self.found.push(Found { builder, group: context.group.clone(), weak });
    }

    /// Reads a Markdown document.
    pub fn markdown(&mut self, text: &str) {
        let text = numbered_headings(&self.front_matter(text));
        let root = outline::build(blocks::read(&text));
        self.doc_has_cases = root.shape.is_case || root.shape.holds_cases;
        self.section(&root, &Context::default());
        if let Some((overview, line)) = self.overview.take() {
            match self.out.objective {
                None => self.out.objective = Some(overview),
                Some(_) => self.comment([Comment { text: overview, line }], true),
            }
        }
    }

    /// Reads the YAML in front of a document, and blanks it.
    fn front_matter(&mut self, text: &str) -> String {
        let Some(rest) = text.strip_prefix("---\n") else { return text.to_string() };
        let end = rest
            .match_indices("\n---")
            .map(|(at, _)| at)
            .find(|at| rest[at + 4..].is_empty() || rest[at + 4..].starts_with('\n'));
        let Some(end) = end
            .filter(|e| rest[..*e].lines().next().is_some_and(|l| l.contains(':') && !l.starts_with(['#', '*', '-'])))
        else {
            return text.to_string();
        };
        for (i, line) in rest[..end].lines().enumerate() {
            let (name, value) = line.split_once(':').unwrap_or(("", line));
            let value = value.trim().trim_matches(['"', '\'']);
            match name.trim() {
                "title" | "name" if has_words(value) && self.out.title.is_none() => {
                    self.out.title = Some(value.into());
                    self.structure(name, i + 2);
                }
                "priority" | "severity" | "tier" if has_words(value) => {
                    self.front_priority = Some(value.into());
                    self.structure(name, i + 2);
                    self.comment([Comment { text: line.into(), line: i + 2 }], false);
                }
                "id" | "plan" | "test_plan_id" if has_words(value) && !value.contains(' ') => {
                    self.out.plan = value.into();
                    self.structure(name, i + 2);
                }
                _ => self.comment([Comment { text: line.into(), line: i + 2 }], false),
            }
        }
        let blanked = "\n".repeat(rest[..end].matches('\n').count() + 3);
        blanked + rest.get(end + 5..).unwrap_or_default()
    }

    /// Reads a `.feature` file.
    pub fn feature(&mut self, text: &str) {
        let feature = gherkin::read(text, 1);
        self.out.title = feature.title.clone().filter(|t| has_words(t));
        let description: Vec<String> = feature.description.iter().map(|c| c.text.clone()).collect();
        if !description.is_empty() {
            self.out.objective = Some(description.join(" "));
        }
        self.comment(feature.comments, false);
        self.out.labels.extend(feature.labels);
        for builder in feature.cases {
            self.push(builder, &Context::default(), false);
        }
    }

    /// Reads a CSV export.
    pub fn csv(&mut self, text: &str) {
        let (before, table) = csv::read(text);
        let comments: Vec<Comment> = before
            .iter()
            .map(|r| Comment { text: tables::row_text(r), line: r.first().map_or(1, |c| c.line) })
            .collect();
        self.comment(comments, true);
        let columns = tables::columns(&table);
        match columns.shape {
            Shape::Steps => {
                let mut builder = Builder::new(table.line);
                builder.step_rows(&table);
                self.push(builder, &Context::default(), false);
            }
            Shape::Cases | Shape::Index => self.case_table(&table, &Context::default()),
            Shape::Record => {
                let mut builder = Builder::new(table.line);
                builder.blocks(&[Block::Table(table)]);
                self.push(builder, &Context::default(), false);
            }
            Shape::Other => {
                let named = columns
                    .roles
                    .iter()
                    .any(|r| matches!(r, Some(Role::Title | Role::Step | Role::Expected | Role::Id)));
                if named {
                    self.case_table(&table, &Context::default())
                } else {
                    self.comment(plain::block(&Block::Table(table), 0), true)
                }
            }
        }
    }

    fn case_table(&mut self, table: &Table, context: &Context) {
        let columns = tables::columns(table);
        for cell in &table.header {
            self.structure(&cell.text, cell.line);
        }
        let (builders, comments) = table_cases::read(table, &columns);
        self.comment(comments, false);
        for builder in builders {
            self.push(builder, context, false);
        }
    }

    fn section(&mut self, section: &Section, context: &Context) {
        let mut context = context.clone();
        let heading = section.heading().trim().to_string();
        let line = section.head.as_ref().map_or(1, |h| h.line);
        let found = topic(&heading);
        let first_title = section.level == 1 && self.out.title.is_none();
        if first_title {
            self.title(&heading, line);
        }
        if section.head.is_some() {
            if section.level > 1 {
                context.in_cases |= found == Some(Topic::Cases) && !first_title;
                if let Some(group) = tiers::of_heading(&heading) {
                    context.group = Some(group);
                }
            }
            context.heading = heading.clone();
        }
        if section.shape.is_case {
            self.case(section, &context);
            for child in section.children.iter().filter(|c| c.shape.is_case || c.shape.holds_cases) {
                self.section(child, &context);
            }
            return;
        }
        let own_role = section.role();
        if !section.shape.holds_cases {
            match found {
                Some(Topic::Criteria) if self.doc_has_cases || !section.has_boxes() => return self.criteria(section),
                Some(Topic::Objective) => {
                    let text = self.text_of(section);
                    if has_words(&text) && self.out.objective.is_none() {
                        self.out.objective = Some(text);
                        self.structure(&heading, line);
                    } else {
                        self.plain_section(section, true);
                    }
                    return;
                }
                Some(Topic::Scope | Topic::InScope | Topic::OutOfScope) => return self.scope(section, found),
                Some(Topic::Administrative) if !first_title => return self.plain_section(section, true),
                _ => {}
            }
            if matches!(own_role, Some(Role::Precondition | Role::Teardown)) && section.level > 1 {
                return self.shared(section, own_role, &heading);
            }
            if found == Some(Topic::Overview)
                && let Some(Block::Lines(lines)) = section.blocks.first()
                && self.overview.is_none()
                && self.out.objective.is_none()
            {
                self.structure(&heading, line);
                self.overview = Some((join(lines), section.blocks[0].line()));
                self.group_blocks(&section.blocks[1..], &context);
                section.children.iter().for_each(|c| self.section(c, &context));
                return;
            }
            if self.is_checklist(section, &context) {
                return self.checklist(section, &context);
            }
        }
        if section.head.is_some() && !first_title {
            self.comment([Comment { text: heading, line }], false);
        }
        self.group_blocks(&section.blocks, &context);
        let numbered = |s: &Section| case_head(s.heading()).number.is_some();
        context.numbered_cases = section.children.iter().any(|c| c.shape.is_case && numbered(c));
        for child in &section.children {
            self.section(child, &context);
        }
    }

    fn title(&mut self, heading: &str, line: usize) {
        let lower = heading.to_lowercase();
        let rest = ["test plan", "testplan", "test cases", "plan"]
            .iter()
            .find_map(|p| lower.starts_with(p).then(|| &heading[p.len().min(heading.len())..]));
        let title = match rest.map(str::trim_start) {
            Some(rest) if rest.starts_with([':', '-', '–', '—']) && has_words(rest) => {
                rest.trim_start_matches([':', '-', '–', '—', ' '])
            }
            _ => heading,
        };
        self.structure(heading, line);
        self.out.title = Some(title.into());
    }

    fn case(&mut self, section: &Section, context: &Context) {
        let line = section.head.as_ref().map_or_else(|| first_line(&section.blocks), |h| h.line);
        let mut builder = Builder::new(line);
        let text = section.head.as_ref().map_or("", |h| h.text.as_str());
        let head = case_head(text);
        if section.head.is_some() {
            self.structure(text, line);
        }
        builder.case.id = head.id.unwrap_or_default();
        builder.number = head.number;
        builder.case.title = squeeze(head.title.trim_end_matches([':', '：']));
        builder.title_is_weak = !head.announced;
        if builder.case.title.is_empty() && builder.case.id.is_empty() && section.level <= 1 {
            builder.case.title = self.out.title.clone().unwrap_or_default();
        }
        if builder.case.priority.is_none() {
            builder.case.priority = title_priority(text);
        }
        if section.shape.is_reference {
            builder.item(&builder.case.title.clone(), line);
        }
        builder.section(section);
        let weak = section.shape.is_reference && section.children.is_empty();
        self.push(builder, context, weak);
    }
}

/// The line that the first of the blocks stands on.
fn first_line(blocks: &[Block]) -> usize {
    blocks.iter().map(Block::line).find(|line| *line > 0).unwrap_or(1)
}

fn join(lines: &[Line]) -> String {
    lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// An underlined heading with a number in front would be a list and a rule.
fn numbered_headings(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut before_is_blank = true;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let underline = lines
            .peek()
            .map(|l| l.trim())
            .is_some_and(|l| l.len() >= 3 && (l.bytes().all(|b| b == b'-') || l.bytes().all(|b| b == b'=')));
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        if before_is_blank && underline && (1..=3).contains(&digits) && line[digits..].starts_with(". ") {
            out.push_str(&line[..digits]);
            out.push('\\');
            out.push_str(&line[digits..]);
        } else {
            out.push_str(line);
        }
        before_is_blank = line.trim().is_empty();
    }
    out
}

/// A priority in a title: `Login [P0]`, `Login (Critical)`, `Login (Priority: High)`.
fn title_priority(text: &str) -> Option<String> {
    for (open, close) in [('(', ')'), ('[', ']')] {
        for part in text.split(open).skip(1) {
            let inner = part.split(close).next().unwrap_or_default().trim();
            let bare =
                inner.split_once(':').filter(|(n, _)| role(n) == Some(Role::Priority)).map_or(inner, |(_, v)| v.trim());
            let bare = bare.strip_suffix("priority").or_else(|| bare.strip_suffix("Priority")).unwrap_or(bare).trim();
            if bare.split_whitespace().count() <= 2
                && bare.chars().count() <= 16
                && tiers::of_priority(bare, true).is_some()
                && !bare.starts_with(|c: char| c.is_ascii_digit())
            {
                return Some(bare.into());
            }
        }
    }
    text.split(|c: char| !c.is_alphanumeric())
        .find(|w| tiers::is_priority_code(w) && w.starts_with('P'))
        .map(Into::into)
}
