//! Reads the lists of a case, with what stands below their items.
use super::{Builder, Part, is_plain_expected};
use crate::import::{
    blocks::{Block, Item, Line},
    drafts::draft,
    labels::{self, Label, label},
    model::Kind,
    plain,
    text::{has_words, squeeze, step_number, without_marks},
    vocabulary::Role,
};

impl Builder {
    pub(super) fn list(&mut self, ordered: bool, items: &[Item]) {
        let scenario = labels::is_scenario(items.iter().filter_map(head).map(|l| l.text.as_str()));
        let before = self.labels_in_list;
        let known = |i: &Item| head(i).and_then(|l| label(l, false)).is_some_and(|l| l.strong && l.role.is_some());
        self.labels_in_list = self.part == Part::Open && items.iter().any(known);
        for item in items {
            if scenario
                && let Some(line) = head(item)
                && labels::keyword(&line.text).is_some()
            {
                self.scenario_line(&line.text, line.line);
                self.nested(item.blocks.get(1..).unwrap_or_default(), self.last_keyword);
                continue;
            }
            self.list_item(item, ordered);
        }
        self.labels_in_list = before;
    }

    /// A sentence whose kind is to be decided.
    pub fn item(&mut self, text: &str, line: usize) {
        match labels::split_outcome(text) {
            Some((step, _, result)) => {
                self.sentence(Kind::Step, step, line);
                self.sentence(Kind::Expected, result, line);
            }
            None => self.sentence(Kind::Expected, text, line),
        }
    }

    pub(super) fn list_item(&mut self, item: &Item, ordered: bool) {
        let Some(Block::Lines(lines)) = item.blocks.first() else {
            return self.blocks(&item.blocks);
        };
        let first = &lines[0];
        let found = label(first, false).filter(|l| self.item_label(l, first, item));
        if let Some(found) = found {
            let before = self.part.clone();
            self.begin(&found, first.line);
            let rest: Vec<Line> = lines[1..].to_vec();
            if !rest.is_empty() {
                self.paragraph(&rest);
            }
            self.blocks(&item.blocks[1..]);
            if lines.len() > 1 || item.blocks.len() > 1 || has_words(&found.value) {
                self.part = before;
            }
            return;
        }
        if self.one_line(&first.text, first.line) {
            return self.blocks(&item.blocks[1..]);
        }
        // the lines of the item up to a label are one sentence
        let mut text = String::new();
        let mut labelled = Vec::new();
        for (i, line) in lines.iter().enumerate() {
            let found = if i == 0 { None } else { label(line, false).filter(|l| l.role.is_some()) };
            let found = found.or_else(|| arrow_line(line).filter(|_| i > 0));
            match found {
                Some(found) => labelled.push((found, line.line)),
                None if labelled.is_empty() => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(line.text.trim());
                }
                None => {
                    if let Some((last, _)) = labelled.last_mut() {
                        last.value.push(' ');
                        last.value.push_str(line.text.trim());
                    }
                }
            }
        }
        let stripped = step_number(without_marks(&text)).filter(|rest| has_words(rest)).map(squeeze);
        if let Some(stripped) = stripped {
            self.structure(&text[..text.find(':').unwrap_or(0)], first.line);
            text = stripped;
        }
        let before = self.part.clone();
        match &before {
            Part::List(kind) => {
                let kind = *kind;
                self.sentence_or_both(kind, &text, first.line);
                self.labelled(labelled);
                self.nested(&item.blocks[1..], kind);
            }
            Part::Open => {
                self.loose(without_marks(&text), first.line, true, ordered && !item.checkbox);
                if let Some(last) = self.loose.last_mut() {
                    last.checkbox = item.checkbox;
                }
                self.labelled(labelled);
                self.nested_loose(&item.blocks[1..]);
            }
            Part::Field(role) => {
                self.extend_field(*role, without_marks(&text), first.line);
                self.labelled(labelled);
                self.blocks(&item.blocks[1..]);
            }
            Part::Other => {
                self.extend_field(Role::Field, without_marks(&text), first.line);
                self.labelled(labelled);
                self.blocks(&item.blocks[1..]);
            }
        }
        self.part = before;
    }

    pub(super) fn labelled(&mut self, labels: Vec<(Label, usize)>) {
        for (found, line) in labels {
            let before = self.part.clone();
            self.begin(&found, line);
            self.part = before;
        }
    }

    /// Whether the label of an item begins a part, rather than being words of a sentence.
    pub(super) fn item_label(&self, found: &Label, line: &Line, item: &Item) -> bool {
        match (&self.part, found.role) {
            (_, None) => {
                // `- **Author**: me` in front of the parts is a field; `- **Login**: works` in a list is a sentence
                found.strong && self.part == Part::Open && !item.checkbox && self.labels_in_list
            }
            (Part::List(kind), Some(_)) => match found.kind() {
                Some(other) if found.strong => other != *kind || found.value.is_empty(),
                Some(Kind::Expected) => *kind != Kind::Expected && is_plain_expected(&found.name),
                Some(_) => found.value.is_empty() && item.blocks.len() > 1,
                None => {
                    found.strong
                        && matches!(found.role, Some(Role::Priority | Role::Id | Role::Severity | Role::Tier))
                        && line.bold > 0
                }
            },
            (Part::Open, Some(_)) => !item.checkbox || found.strong || found.value.is_empty(),
            (_, Some(_)) => found.strong || found.kind().is_some(),
        }
    }

    /// What stands below an item that is a sentence.
    pub(super) fn nested(&mut self, blocks: &[Block], kind: Kind) {
        for block in blocks {
            match block {
                Block::List { items, .. } => items.iter().for_each(|item| self.nested_item(item, kind)),
                Block::Lines(lines) => {
                    for line in lines {
                        if let Some(found) =
                            label(line, false).filter(|l| l.kind().is_some()).or_else(|| arrow_line(line))
                        {
                            self.begin(&found, line.line);
                        } else if let Part::List(now) = self.part
                            && now != kind
                        {
                            // the text below a label within the item
                            self.sentence_or_both(now, &line.text, line.line);
                        } else {
                            self.append(kind, &line.text, " ", line.line);
                        }
                    }
                }
                Block::Code { text, language, line } => {
                    self.last = Some(match self.part {
                        Part::List(now) => now,
                        _ => kind,
                    });
                    self.code(text, language, *line);
                }
                Block::Table(table) => self.data(&plain::table(table).join("\n"), table.line, kind),
                other => self.blocks(std::slice::from_ref(other)),
            }
        }
        self.part = Part::List(kind);
    }

    pub(super) fn nested_item(&mut self, item: &Item, kind: Kind) {
        let Some(line) = head(item) else {
            return self.nested(&item.blocks, kind);
        };
        let rest = || item.blocks.get(1..).unwrap_or_default();
        let found = label(line, false).filter(|l| match l.kind() {
            Some(other) => other != kind && (other == Kind::Expected || l.strong),
            None => false,
        });
        let found = found.or_else(|| arrow_line(line).filter(|_| kind == Kind::Step));
        if let Some(found) = found {
            let other = found.kind().unwrap_or(kind);
            self.begin(&found, line.line);
            let lines = match item.blocks.first() {
                Some(Block::Lines(lines)) => &lines[1..],
                _ => &[],
            };
            for line in lines {
                self.append(other, &line.text, " ", line.line);
            }
            let empty = !has_words(&found.value);
            for block in rest() {
                match block {
                    Block::List { .. } if empty => self.blocks(std::slice::from_ref(block)),
                    _ => self.nested(std::slice::from_ref(block), other),
                }
            }
            self.part = Part::List(kind);
            return;
        }
        if let Part::List(now) = self.part
            && now != kind
        {
            // siblings after `Expected:` with nothing behind it
            return self.list_item(item, false);
        }
        if let Some(Block::Lines(lines)) = item.blocks.first() {
            let text: Vec<&str> = lines.iter().map(|l| l.text.trim()).collect();
            let joined = without_marks(&text.join(" ")).to_string();
            let joint = match self.case.list(kind).last() {
                Some(last) if last.text.ends_with(':') => " ",
                _ => ", ",
            };
            match labels::split_outcome(&joined).filter(|_| kind == Kind::Step) {
                Some((step, mark, result)) => {
                    self.structure(mark, line.line);
                    self.append(kind, step, joint, line.line);
                    self.sentence(Kind::Expected, result, line.line);
                }
                None => self.append(kind, &joined, joint, line.line),
            }
        }
        self.nested(rest(), kind);
    }

    pub(super) fn append(&mut self, kind: Kind, text: &str, joint: &str, line: usize) {
        match self.case.list_mut(kind).last_mut() {
            Some(last) => {
                last.text.push_str(joint);
                last.text.push_str(text.trim());
            }
            None => self.sentence(kind, text, line),
        }
    }

    /// What stands below an item whose kind is not known yet.
    pub(super) fn nested_loose(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::List { items, ordered } => {
                    for item in items {
                        let Some(line) = head(item) else { continue };
                        if let Some(found) =
                            label(line, false).filter(|l| l.kind().is_some()).or_else(|| arrow_line(line))
                        {
                            self.begin(&found, line.line);
                            self.blocks(item.blocks.get(1..).unwrap_or_default());
                            self.part = Part::Open;
                        } else if self
                            .case
                            .list(Kind::Expected)
                            .last()
                            .is_some_and(|s| s.line >= self.loose.last().map_or(0, |l| l.sentence.line))
                        {
                            self.list_item(item, *ordered);
                        } else {
                            let text = plain::item_text(item);
                            if let Some(last) = self.loose.last_mut() {
                                last.sentence.text.push_str(if last.sentence.text.ends_with(':') { " " } else { ", " });
                                last.sentence.text.push_str(without_marks(&text));
                            }
                            self.attachments(&item.blocks);
                        }
                    }
                }
                Block::Lines(lines) => {
                    for line in lines {
                        if let Some(found) =
                            label(line, false).filter(|l| l.kind().is_some()).or_else(|| arrow_line(line))
                        {
                            self.begin(&found, line.line);
                            self.part = Part::Open;
                        } else if let Some(last) = self.loose.last_mut() {
                            last.sentence.text.push(' ');
                            last.sentence.text.push_str(line.text.trim());
                        }
                    }
                }
                other => self.attachments(std::slice::from_ref(other)),
            }
        }
    }

    /// Code and tables below an item whose kind is not known yet.
    pub(super) fn attachments(&mut self, blocks: &[Block]) {
        for block in blocks {
            let (text, line) = match block {
                Block::Code { text, line, .. } => (text.clone(), *line),
                Block::Table(table) => (plain::table(table).join("\n"), table.line),
                Block::List { .. } | Block::Lines(_) | Block::Rule => continue,
                other => {
                    (plain::block(other, 0).into_iter().map(|c| c.text).collect::<Vec<_>>().join("\n"), other.line())
                }
            };
            match self.loose.last_mut() {
                Some(last) => last.sentence.data.push(draft(&text, line)),
                None => self.comment(text, line),
            }
        }
    }
}

/// The first line of an item.
pub(super) fn head(item: &Item) -> Option<&Line> {
    match item.blocks.first() {
        Some(Block::Lines(lines)) => lines.first(),
        _ => None,
    }
}

/// `→ the page opens` below a step is its expected result.
pub(super) fn arrow_line(line: &Line) -> Option<Label> {
    let value = ["→", "=>", "⇒", "➜", "➔", "->", "⟶"].iter().find_map(|a| line.text.strip_prefix(a))?;
    has_words(value).then(|| match labels::plain_label(value.trim()).filter(|l| l.role == Some(Role::Expected)) {
        Some(label) => label,
        None => Label { name: String::new(), value: value.trim().into(), role: Some(Role::Expected), strong: true },
    })
}
