//! Recognises sections whose items are checks without more structure.
use super::{Context, Reader, first_line};
use crate::import::{
    blocks::{Block, Item, Line},
    case::Builder,
    ids::case_head,
    labels::kind_of,
    model::Kind,
    outline::Section,
    phrasing::{is_demand, is_instruction},
    text::without_marks,
    topics::{Topic, topic},
    vocabulary::{Role, normalise},
};

impl Reader {
    /// Whether the items of a section are checks without more structure.
    pub(super) fn is_checklist(&self, section: &Section, context: &Context) -> bool {
        let items: Vec<&Item> = section
            .blocks
            .iter()
            .filter_map(|b| match b {
                Block::List { items, .. } => Some(items),
                _ => None,
            })
            .flatten()
            .collect();
        if context.numbered_cases && case_head(section.heading()).number.is_some() && section.role().is_none() {
            let active = |text: &str| is_demand(text) || is_instruction(text);
            return section.blocks.iter().any(|b| match b {
                Block::List { items, .. } => items.iter().filter_map(item_line).any(|l| active(&l.text)),
                Block::Lines(lines) => lines.iter().any(|l| is_instruction(&l.text)),
                _ => false,
            });
        }
        let shell = |b: &Block| match b {
            Block::Code { language, .. } => {
                ["bash", "sh", "shell", "console", "http", "zsh"].contains(&language.as_str())
            }
            _ => false,
        };
        if !self.doc_has_cases && items.is_empty() && section.level > 1 && section.blocks.iter().any(shell) {
            return section.role().is_none()
                && !matches!(topic(section.heading()), Some(Topic::Overview | Topic::Administrative));
        }
        if items.is_empty() || section.head.is_none() && self.doc_has_cases {
            return false;
        }
        let own = topic(section.heading());
        if matches!(section.role(), Some(Role::Field | Role::Data | Role::Description | Role::Id | Role::Priority))
            && own != Some(Topic::Cases)
        {
            return false;
        }
        let boxes = items.iter().filter(|i| i.checkbox || (!self.doc_has_cases && marked(i))).count();
        if boxes * 2 >= items.len() {
            return own != Some(Topic::Overview);
        }
        // `Expected results` of the whole plan, `Console checks`
        let name = normalise(section.heading(), true);
        if name.starts_with("how to use") || name.starts_with("definition of") {
            return false;
        }
        let last = name.split(' ').next_back().unwrap_or_default();
        let checks = matches!(last, "check" | "checklist" | "verification" | "validation");
        if section.level > 1 && (checks || matches!(kind_of(section.role()), Some(Kind::Step | Kind::Expected))) {
            return true;
        }
        let active = items
            .iter()
            .filter(|i| item_line(i).is_some_and(|l| is_demand(&l.text) || is_instruction(&l.text)))
            .count();
        let cases = context.in_cases || own == Some(Topic::Cases);
        if self.doc_has_cases {
            cases && active * 2 >= items.len() && own != Some(Topic::Overview)
        } else {
            (cases || section.level > 1) && active * 2 >= items.len()
        }
    }

    pub(super) fn checklist(&mut self, section: &Section, context: &Context) {
        let line = section.head.as_ref().map_or_else(|| first_line(&section.blocks), |h| h.line);
        let mut builder = Builder::new(line);
        let head = case_head(section.heading());
        self.structure(section.heading(), line);
        builder.number = head.number;
        let title = head.title.trim_end_matches([':', '：']);
        builder.case.title = if title.is_empty() { self.out.title.clone().unwrap_or_default() } else { title.into() };
        builder.case.id = head.id.unwrap_or_default();
        builder.blocks(&section.blocks);
        self.push(builder, context, false);
        for child in &section.children {
            self.section(child, context);
        }
    }
}

/// Whether the item begins with a box or tick of its own.
pub(super) fn marked(item: &Item) -> bool {
    item_line(item).is_some_and(|l| without_marks(&l.text).len() < l.text.trim().len())
}

pub(super) fn item_line(item: &Item) -> Option<&Line> {
    match item.blocks.first() {
        Some(Block::Lines(lines)) => lines.first(),
        _ => None,
    }
}
