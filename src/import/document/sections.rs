//! Reads sections that are no cases: objective, scope, criteria, shared preconditions, and the blocks around cases.
use super::{Context, Reader};
use crate::import::{
    blocks::{Block, Line},
    case::Builder,
    gherkin,
    labels::{kind_of, label},
    model::{Comment, Kind, Sentence, Shared},
    outline::Section,
    plain, scenarios,
    tables::{self, Shape},
    text::{has_words, squeeze, without_marks},
    topics::{Topic, topic},
    vocabulary::{Role, normalise, role},
};

impl Reader {
    pub(super) fn criteria(&mut self, section: &Section) {
        self.criteria.heading("");
        self.criteria.blocks(&section.blocks);
        let mut open: Vec<&Section> = section.children.iter().rev().collect();
        while let Some(child) = open.pop() {
            self.criteria.heading(child.heading());
            self.criteria.blocks(&child.blocks);
            open.extend(child.children.iter().rev());
        }
        self.plain_section(section, false);
    }

    /// Keeps a section as comments.
    pub(super) fn plain_section(&mut self, section: &Section, loud: bool) {
        if let Some(head) = &section.head {
            self.comment([Comment { text: head.text.clone(), line: head.line }], loud);
        }
        for block in &section.blocks {
            let lines = plain::block(block, 1);
            self.comment(lines, loud);
        }
        for child in &section.children {
            self.plain_section(child, loud);
        }
    }

    /// The text of a section in one line.
    pub(super) fn text_of(&self, section: &Section) -> String {
        let mut text: Vec<String> = section.blocks.iter().flat_map(|b| plain::block(b, 0)).map(|c| c.text).collect();
        for child in &section.children {
            text.push(child.heading().to_string());
            text.push(self.text_of(child));
        }
        squeeze(&text.join(" "))
    }

    pub(super) fn scope(&mut self, section: &Section, found: Option<Topic>) {
        let line = section.head.as_ref().map_or(1, |h| h.line);
        self.structure(section.heading(), line);
        let mut inside = found != Some(Topic::OutOfScope);
        for block in &section.blocks {
            match block {
                Block::Lines(lines) => {
                    for line in lines {
                        let (name, value) = line.text.split_once(':').unwrap_or((&line.text, ""));
                        match topic(name) {
                            Some(found @ (Topic::InScope | Topic::OutOfScope)) if name.len() < 48 => {
                                inside = found == Topic::InScope;
                                self.structure(name, line.line);
                                self.scope_item(value, inside);
                            }
                            _ => self.comment([Comment { text: line.text.clone(), line: line.line }], false),
                        }
                    }
                }
                Block::List { items, .. } => {
                    for item in items {
                        let text = plain::item_text(item);
                        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
                        match topic(name).filter(|_| name.len() < 24) {
                            Some(found @ (Topic::InScope | Topic::OutOfScope)) => {
                                self.structure(name, item.line);
                                self.scope_item(value, found == Topic::InScope);
                            }
                            _ => self.scope_item(&text, inside),
                        }
                        for block in item.blocks.iter().filter(|b| matches!(b, Block::Code { .. } | Block::Table(_))) {
                            self.comment(plain::block(block, 1), false);
                        }
                    }
                }
                other => self.comment(plain::block(other, 1), false),
            }
        }
        for child in &section.children {
            match child.topic() {
                Some(found @ (Topic::InScope | Topic::OutOfScope)) => self.scope(child, Some(found)),
                _ => self.plain_section(child, false),
            }
        }
    }

    pub(super) fn scope_item(&mut self, text: &str, inside: bool) {
        let text = squeeze(without_marks(text));
        if has_words(&text) {
            if inside { self.out.scope_in.push(text) } else { self.out.scope_out.push(text) }
        }
    }

    /// Preconditions or cleanup of several cases.
    pub(super) fn shared(&mut self, section: &Section, own_role: Option<Role>, heading: &str) {
        let line = section.head.as_ref().map_or(1, |h| h.line);
        self.comment([Comment { text: heading.into(), line }], false);
        self.shared_blocks(&section.blocks, kind_of(own_role).unwrap_or(Kind::Precondition), heading);
        for child in &section.children {
            self.shared(child, own_role, child.heading());
        }
    }

    pub(super) fn shared_blocks(&mut self, blocks: &[Block], kind: Kind, group: &str) {
        let mut builder = Builder::new(1);
        builder.blocks(blocks);
        let builder = builder.finish();
        let case = builder.case;
        let mut sentences: Vec<Sentence> = Vec::new();
        for list in [case.preconditions, case.steps, case.expected, case.teardown] {
            sentences.extend(list);
        }
        sentences.sort_by_key(|s| s.line);
        for sentence in sentences {
            self.out.shared.push(Shared { sentence, group: group.into(), kind });
        }
        let fields =
            case.fields.into_iter().map(|f| Comment { text: format!("{}: {}", f.label, f.value), line: f.line });
        self.comment(fields.collect::<Vec<_>>(), false);
        if let Some(priority) = case.priority {
            self.comment([Comment { text: priority, line: 1 }], false);
        }
        if !case.id.is_empty() || !case.title.is_empty() {
            self.comment([Comment { text: format!("{} {}", case.id, case.title), line: 1 }], false);
        }
        self.comment(case.comments, true);
        self.out.labels.extend(builder.labels);
    }

    /// Blocks around cases: tables of cases, scenarios, shared preconditions, fields of the plan.
    pub(super) fn group_blocks(&mut self, blocks: &[Block], context: &Context) {
        let mut part: Option<Kind> = None;
        for block in blocks {
            match block {
                Block::Table(table) => match tables::kind(table) {
                    Shape::Cases => self.case_table(table, context),
                    Shape::Index => self.indexes.push((table.clone(), context.in_cases || !self.doc_has_cases)),
                    _ => self.comment(plain::block(block, 1), true),
                },
                Block::Code { text, line, language } if scenarios::is_scenario(text, language) => {
                    self.structure(language, *line);
                    let feature = gherkin::read(text, line + 1);
                    self.out.labels.extend(feature.labels);
                    let title = feature.title.map(|text| Comment { text, line: *line });
                    self.comment(
                        title.into_iter().chain(feature.description).chain(feature.comments).collect::<Vec<_>>(),
                        false,
                    );
                    feature.cases.into_iter().for_each(|b| self.push(b, context, false));
                }
                Block::Lines(lines) => part = self.group_lines(lines, part),
                Block::List { .. } if part.is_some() => {
                    let kind = part.unwrap_or(Kind::Precondition);
                    self.shared_blocks(std::slice::from_ref(block), kind, &context.heading.clone());
                }
                Block::List { items, .. } => {
                    for item in items {
                        match item.blocks.first() {
                            Some(Block::Lines(lines)) if item.blocks.len() == 1 && self.plan_field(&lines[0]) => {
                                self.comment(
                                    lines[1..].iter().map(|l| Comment { text: l.text.clone(), line: l.line }),
                                    false,
                                );
                            }
                            _ => self
                                .comment(item.blocks.iter().flat_map(|b| plain::block(b, 1)).collect::<Vec<_>>(), true),
                        }
                    }
                }
                other => self.comment(plain::block(other, 1), !matches!(other, Block::Remark(_))),
            }
        }
    }

    pub(super) fn group_lines(&mut self, lines: &[Line], mut part: Option<Kind>) -> Option<Kind> {
        for line in lines {
            if self.plan_field(line) {
                part = None;
                continue;
            }
            match label(line, true) {
                Some(found) if matches!(found.kind(), Some(Kind::Precondition | Kind::Teardown)) => {
                    part = found.kind();
                    self.structure(&found.name, line.line);
                    if has_words(&found.value) {
                        let sentence = Sentence { text: found.value.clone(), line: line.line, data: Vec::new() };
                        let kind = part.unwrap_or(Kind::Precondition);
                        self.out.shared.push(Shared { sentence, group: found.name.clone(), kind });
                    }
                }
                found => {
                    part = None;
                    let loud = found.is_none_or(|f| !f.strong);
                    self.comment([Comment { text: line.text.clone(), line: line.line }], loud);
                }
            }
        }
        part
    }

    /// Reads a field of the plan: its id or objective.
    pub(super) fn plan_field(&mut self, line: &Line) -> bool {
        let found = label(line, false).or_else(|| {
            let (name, value) = line.text.split_once(':')?;
            Some(crate::import::labels::Label {
                name: name.trim().into(),
                value: value.trim().into(),
                role: role(name),
                strong: false,
            })
        });
        let Some(found) = found.filter(|f| has_words(&f.value)) else { return false };
        let name = normalise(&found.name, true);
        match name.as_str() {
            "test plan id" | "plan id" | "document id" | "test plan identifier" | "plan identifier"
                if self.out.plan.is_empty() =>
            {
                let value = found.value.trim_matches(['`', '*']);
                if value.contains(' ') {
                    return false;
                }
                self.out.plan = value.into();
            }
            "objective" | "purpose" | "goal" | "test objective" | "objetivo" | "ziel"
                if self.out.objective.is_none() =>
            {
                self.out.objective = Some(found.value.clone());
            }
            _ => return false,
        }
        self.structure(&found.name, line.line);
        true
    }
}
