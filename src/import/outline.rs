//! Divides a document into sections, and decides which of them are cases.
//!
//! A section is a case if it holds steps or expected results: below labels, below sub-headings or in a table of steps;
//! or if its heading announces one and it has text. Emphasised lines and list items act as headings where they do the
//! work of headings.
use super::{
    blocks::{Block, Item, Line},
    ids::{self, CaseHead, case_head, is_id},
    labels::{self, kind_of, label},
    model::Kind,
    tables,
    topics::{Topic, topic},
    vocabulary::{Role, role},
};

/// A heading with what stands below it.
#[derive(Debug, Default)]
pub struct Section {
    pub level: u8,
    pub head: Option<Line>,
    pub blocks: Vec<Block>,
    pub children: Vec<Section>,
    pub shape: Shape,
}

/// What a section turned out to be.
#[derive(Debug, Default, Clone, Copy)]
pub struct Shape {
    pub is_case: bool,
    /// Whether a section below is a case, or a table or code block here has cases.
    pub holds_cases: bool,
    /// Only a list item with an id: perhaps a reference to a case elsewhere.
    pub is_reference: bool,
}

/// Sections nested deeper than this are read as if they were on this level.
const MAX_LEVEL: u8 = 12;

/// Builds the tree of sections.
pub fn build(blocks: Vec<Block>) -> Section {
    let mut stack = vec![Section::default()];
    for block in blocks {
        match block {
            Block::Heading { level, line } => {
                while stack.len() > 1 && stack.last().is_some_and(|s| s.level >= level) {
                    fold(&mut stack);
                }
                stack.push(Section { level, head: Some(line), ..Section::default() });
            }
            block => {
                if let Some(last) = stack.last_mut() {
                    last.blocks.push(block);
                }
            }
        }
    }
    while stack.len() > 1 {
        fold(&mut stack);
    }
    let mut root = stack.pop().unwrap_or_default();
    divide(&mut root, false);
    assess(&mut root);
    root
}

fn fold(stack: &mut Vec<Section>) {
    if let (Some(done), Some(parent)) = (stack.pop(), stack.last_mut()) {
        parent.children.push(done);
    }
}

impl Section {
    /// Whether it is a list of boxes to tick.
    pub fn has_boxes(&self) -> bool {
        let is_ticked = |b: &Block| matches!(b, Block::List { items, .. } if items.iter().any(|i| i.checkbox));
        self.blocks.iter().any(is_ticked) || self.children.iter().any(Section::has_boxes)
    }

    pub fn heading(&self) -> &str {
        self.head.as_ref().map_or("", |h| h.text.as_str())
    }

    /// The role of the heading, if it is the label of a part of a case.
    pub fn role(&self) -> Option<Role> {
        self.head.as_ref().and_then(|h| role(h.text.trim_end_matches([':', '：'])))
    }

    pub fn topic(&self) -> Option<Topic> {
        self.head.as_ref().and_then(|h| topic(&h.text))
    }

    pub fn case_head(&self) -> CaseHead {
        self.head.as_ref().map(|h| case_head(&h.text)).unwrap_or_default()
    }
}

/// Makes sections of the emphasised lines, tables and items that begin cases.
fn divide(section: &mut Section, quiet: bool) {
    let quiet = quiet || matches!(section.topic(), Some(Topic::Criteria | Topic::Administrative | Topic::Scope));
    for child in &mut section.children {
        divide(child, quiet);
    }
    if quiet || section.level >= MAX_LEVEL {
        return;
    }
    let announced = section.case_head().announced && section.role().is_none();
    let own_parts = section.blocks.iter().any(|b| block_kinds(b, false) != 0);
    let key_tables = section.blocks.iter().filter(|b| matches!(b, Block::Table(t) if tables::is_record(t))).count();
    let level = section.level.max(6) + 1;
    let mut kept = Vec::new();
    let mut made: Vec<Section> = Vec::new();
    let mut rest = std::mem::take(&mut section.blocks).into_iter().peekable();
    // whether a bold title of the kind seen before ends an earlier one
    while let Some(block) = rest.next() {
        let next = rest.peek();
        match block {
            Block::Lines(mut lines) if starts_case(&lines, next, announced) => {
                let head = lines.remove(0);
                let blocks = if lines.is_empty() { Vec::new() } else { vec![Block::Lines(lines)] };
                made.push(Section { level, head: Some(head), blocks, ..Section::default() });
            }
            // a line in capitals ends the case before it
            Block::Lines(mut lines) if !made.is_empty() && lines.len() == 1 && is_capitals(&lines[0].text) => {
                made.push(Section { level, head: lines.pop(), ..Section::default() });
            }
            Block::List { ordered, items } if items_are_cases(&items, announced, own_parts) => {
                // the list may belong to what stands before it; its items are cases of their own
                for item in items {
                    made.push(item_section(item, level, ordered));
                }
            }
            Block::Table(table) if key_tables > 1 && tables::is_record(&table) => {
                let blocks = vec![Block::Table(table)];
                made.push(Section { level, head: None, blocks, ..Section::default() });
            }
            block => match made.last_mut() {
                Some(open) => open.blocks.push(block),
                None => kept.push(block),
            },
        }
    }
    section.blocks = kept;
    for child in &mut made {
        if child.level < MAX_LEVEL && child.blocks.iter().any(|b| matches!(b, Block::Lines(_) | Block::List { .. })) {
            divide_items(child);
        }
    }
    made.append(&mut section.children);
    section.children = made;
}

/// Divides a section that an emphasised line began, once more, by list items.
fn divide_items(section: &mut Section) {
    let announced = section.case_head().announced;
    let own_parts = section.blocks.iter().any(|b| block_kinds(b, false) != 0);
    let level = section.level + 1;
    let mut kept = Vec::new();
    for block in std::mem::take(&mut section.blocks) {
        match block {
            Block::List { ordered, items } if items_are_cases(&items, announced, own_parts) => {
                section.children.extend(items.into_iter().map(|item| item_section(item, level, ordered)));
            }
            block => kept.push(block),
        }
    }
    section.blocks = kept;
}

/// Whether a line is a heading in capitals.
fn is_capitals(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    letters >= 8 && !text.chars().any(char::is_lowercase) && text.split_whitespace().count() >= 2
}

/// Whether a paragraph begins a case: its first line announces one, or is an emphasised title with a list below.
fn starts_case(lines: &[Line], next: Option<&Block>, in_case: bool) -> bool {
    let Some(first) = lines.first() else { return false };
    let found = label(first, true).filter(|l| l.role.is_some());
    if first.text.len() > 160
        || found.is_some_and(|l| l.kind().is_some() || in_case || first.text.contains([':', '：']))
    {
        return false;
    }
    let content = lines.len() > 1
        || matches!(next, Some(Block::List { .. } | Block::Code { .. } | Block::Table(_) | Block::Lines(_)));
    if !content {
        return false;
    }
    let head = case_head(&first.text);
    let labels_follow = lines.get(1).and_then(|l| label(l, true)).is_some_and(|l| l.role.is_some());
    // `TC-7. Log in` on a line of its own
    let titled = lines.len() == 1 && ids::is_titled(&first.text);
    let alone = titled
        || labels_follow
        || first.is_bold()
        || (lines.len() == 1 && !first.text.ends_with(['.', ',']))
        || first.bold > 0;
    if head.announced && alone && (head.id.is_some() || !in_case) {
        // a row of references is not a row of cases
        let reference = lines.get(1).is_some_and(|l| case_head(&l.text).announced);
        return !reference
            && (titled
                || first.bold > 0
                || lines.len() > 1
                || has_part(next)
                || matches!(next, Some(Block::List { .. })));
    }
    let titled = first.is_bold() && lines.len() == 1 && !first.text.ends_with([':', '：', '.']);
    titled && !in_case && (has_part(next) || matches!(next, Some(Block::List { .. })))
}

fn has_part(block: Option<&Block>) -> bool {
    block.is_some_and(|b| block_kinds(b, false) != 0)
}

/// Whether the items of a list are cases: they have steps or results below, or ids.
fn items_are_cases(items: &[Item], in_case: bool, own_parts: bool) -> bool {
    let with_parts = items
        .iter()
        .filter(|i| {
            let kinds = i.blocks.iter().skip(1).map(|b| block_kinds(b, true)).fold(0, |a, b| a | b);
            let head = first_line(i);
            let labelled = head.and_then(|l| label(l, false)).is_some_and(|l| l.role.is_some());
            let stepped = head.is_some_and(|l| super::text::step_number(&l.text).is_some());
            // a step with its own result is not a case
            kinds & STEP != 0 && !labelled && !stepped
        })
        .count();
    if with_parts > 0 && with_parts * 2 >= items.len() && !own_parts {
        return true;
    }
    if in_case || own_parts {
        return false;
    }
    // groups of check boxes
    let groups = items.iter().filter(|i| is_group(i)).count();
    if groups * 2 > items.len() {
        return true;
    }
    let with_id = |line: &Line| case_head(&line.text).id.is_some() && ids::count(&line.text) == 1;
    let with_ids = items.iter().filter(|i| first_line(i).is_some_and(with_id)).count();
    with_ids * 2 > items.len()
}

/// Whether an item is the title of the checks below it.
fn is_group(item: &Item) -> bool {
    item.blocks.iter().skip(1).any(|block| match block {
        Block::List { items, .. } => are_checks(items) && (item.checkbox || !items.iter().all(|i| i.checkbox)),
        _ => false,
    })
}

/// Whether all items are boxes to tick, or demands.
fn are_checks(items: &[Item]) -> bool {
    let demand = |i: &Item| {
        let lower = first_line(i).map(|l| l.text.to_lowercase()).unwrap_or_default();
        ["should ", "verify ", "must ", "ensure ", "check that "].iter().any(|w| lower.starts_with(w))
    };
    items.iter().all(|i| i.checkbox) || items.iter().all(demand)
}

fn first_line(item: &Item) -> Option<&Line> {
    match item.blocks.first() {
        Some(Block::Lines(lines)) => lines.first(),
        _ => None,
    }
}

fn item_section(mut item: Item, level: u8, _ordered: bool) -> Section {
    let mut head = None;
    if let Some(Block::Lines(lines)) = item.blocks.first_mut() {
        if !lines.is_empty() {
            head = Some(lines.remove(0));
        }
        if lines.is_empty() {
            item.blocks.remove(0);
        }
    }
    let is_reference = item.blocks.is_empty();
    let shape = Shape { is_reference, ..Shape::default() };
    Section { level, head, blocks: item.blocks, children: Vec::new(), shape }
}

const PRE: u8 = 1;
const STEP: u8 = 2;
const EXPECTED: u8 = 4;

fn bit(kind: Option<Kind>) -> u8 {
    match kind {
        Some(Kind::Precondition) => PRE,
        Some(Kind::Step) => STEP,
        Some(Kind::Expected) => EXPECTED,
        _ => 0,
    }
}

/// Which kinds of sentences the labels of a block begin.
fn block_kinds(block: &Block, nested: bool) -> u8 {
    let of_line = |line: &Line| bit(label(line, true).and_then(|l| l.kind()));
    match block {
        Block::Lines(lines) => {
            let scenario = labels::is_scenario(lines.iter().map(|l| l.text.as_str()));
            let one = lines.iter().any(|l| labels::one_line_scenario(&l.text).is_some());
            let bold_keyword = lines
                .iter()
                .filter(|l| l.bold > 0)
                .filter_map(|l| labels::keyword(&l.text))
                .map(|(k, ..)| bit(Some(k.kind(Kind::Step))))
                .fold(0, |a, b| a | b);
            let labels = lines.iter().map(of_line).fold(0, |a, b| a | b);
            labels | bold_keyword | if scenario || one { STEP | EXPECTED } else { 0 }
        }
        Block::List { items, .. } => {
            let heads = || items.iter().filter_map(first_line);
            if labels::is_scenario(heads().map(|l| l.text.as_str())) {
                return STEP | EXPECTED;
            }
            let mut kinds = 0;
            for line in heads() {
                if labels::one_line_scenario(&line.text).is_some() {
                    kinds |= STEP | EXPECTED;
                }
                let found = label(line, nested)
                    .filter(|l| l.strong || nested || l.role != Some(Role::Expected) || l.value.is_empty());
                kinds |= bit(found.and_then(|l| l.kind()));
            }
            kinds
        }
        Block::Code { text, .. } if super::drafts::has_commented_results(text) => STEP | EXPECTED,
        Block::Table(table) => match tables::kind(table) {
            tables::Shape::Steps => STEP | EXPECTED,
            tables::Shape::Record => {
                tables::record_kinds(table).into_iter().map(|k| bit(Some(k))).fold(0, |a, b| a | b)
            }
            _ => 0,
        },
        _ => 0,
    }
}

/// Decides bottom-up which sections are cases.
fn assess(section: &mut Section) {
    for child in &mut section.children {
        assess(child);
    }
    let inside = section.children.iter().any(|c| c.shape.is_case || c.shape.holds_cases);
    let tables_hold =
        section.blocks.iter().any(|b| matches!(b, Block::Table(t) if tables::kind(t) == tables::Shape::Cases));
    let head = section.case_head();
    let own_role = section.role();
    let part_of_case = kind_of(own_role).is_some() && !head.announced;
    let features = section.blocks.iter().filter(|b| super::scenarios::scenarios_in(b) > 0).count();
    let scenarios: usize = section.blocks.iter().map(super::scenarios::scenarios_in).sum();
    let many_scenarios = scenarios > 1 || (features > 0 && !head.announced);
    section.shape.holds_cases = inside || tables_hold || many_scenarios;
    let special = matches!(
        section.topic(),
        Some(
            Topic::Criteria
                | Topic::Administrative
                | Topic::Scope
                | Topic::InScope
                | Topic::OutOfScope
                | Topic::Objective
        )
    ) && head.id.is_none()
        && !head.announced;
    let step = super::text::step_number(section.heading()).is_some();
    if part_of_case || many_scenarios || step {
        return;
    }
    let own = section.blocks.iter().map(|b| block_kinds(b, false)).fold(0, |a, b| a | b);
    let parts = section
        .children
        .iter()
        .filter(|c| !c.shape.holds_cases && !c.shape.is_case)
        .map(|c| {
            let step = super::text::step_number(c.heading()).is_some();
            if step {
                STEP
            } else {
                bit(kind_of(c.role().filter(|_| c.topic() != Some(Topic::Criteria) || section.level > 1)))
            }
        })
        .fold(0, |a, b| a | b);
    let content = !section.blocks.is_empty() || section.shape.is_reference;
    let checks = |b: &Block| matches!(b, Block::List { items, .. } if are_checks(items));
    let group = section.head.is_some() && section.level > 6 && section.blocks.iter().any(checks);
    section.shape.is_case = if section.shape.holds_cases || special {
        own & STEP != 0 && own & EXPECTED != 0
    } else {
        let id = head.id.as_deref().is_some_and(is_id);
        own & (STEP | EXPECTED) != 0
            || (parts & STEP != 0 && (section.level > 1 || head.announced || parts & EXPECTED != 0))
            || (parts & EXPECTED != 0 && (section.level > 1 || head.announced))
            || (head.announced && (content || !section.children.is_empty()))
            || (id && section.shape.is_reference)
            || group
    };
}
