//! Reads tables within a case.
use super::{Builder, Part};
use crate::import::{
    blocks::{Line, Table},
    labels::kind_of,
    model::Kind,
    plain,
    tables::{self, Shape},
    text::{has_words, says_none, squeeze},
    vocabulary::{Role, role},
};

impl Builder {
    pub(super) fn table(&mut self, table: &Table) {
        match tables::kind(table) {
            Shape::Record => {
                for (at, (name, value)) in tables::record(table).into_iter().enumerate() {
                    if at == 0 && is_record_head(&name.text, &value.text) {
                        self.structure(&name.text, name.line);
                        self.structure(&value.text, name.line);
                        continue;
                    }
                    let label = name.text.trim().trim_end_matches([':', '：']);
                    self.structure(label, name.line);
                    let role = role(label);
                    if kind_of(role).is_none() && role.is_none() && !has_words(&value.text) {
                        self.comment(label, name.line);
                    } else if role.is_none() {
                        self.field(label, &value.text, name.line);
                    } else {
                        self.put(role, label, &value.text, name.line, false);
                    }
                }
            }
            Shape::Steps => self.step_rows(table),
            _ => {
                // one column of steps or results below their label, or data
                let columns = tables::columns(table);
                let texts = columns.roles.iter().filter(|r| kind_of(**r).is_some()).count();
                let known =
                    columns.roles.iter().filter(|r| !matches!(r, None | Some(Role::Number | Role::Field))).count();
                if texts >= 1 && known <= texts + 1 && !columns.roles.contains(&Some(Role::Title)) {
                    return self.step_rows(table);
                }
                match self.part.clone() {
                    Part::List(kind) if kind != Kind::Step || self.case.steps.is_empty() => {
                        for cell in &table.header {
                            self.structure(&cell.text, cell.line);
                        }
                        for row in &table.rows {
                            let text = tables::row_text(row);
                            self.sentence(
                                kind,
                                text.trim_matches([' ', '|']),
                                row.first().map_or(table.line, |c| c.line),
                            );
                        }
                    }
                    _ => plain::table(table)
                        .into_iter()
                        .enumerate()
                        .for_each(|(i, t)| self.comment(t, table.line + i + usize::from(i > 0))),
                }
            }
        }
    }

    /// Each row is a step with its data and its result.
    pub fn step_rows(&mut self, table: &Table) {
        let columns = tables::columns(table);
        for cell in &table.header {
            self.structure(&cell.text, cell.line);
        }
        for row in &table.rows {
            self.row(row, &table.header, &columns.roles, table.cells_span_lines);
        }
    }

    /// Reads one row of a table of cases or steps.
    pub fn row(&mut self, row: &[Line], header: &[Line], roles: &[Option<Role>], lines_count: bool) {
        let mut order: Vec<usize> = (0..row.len()).collect();
        // data go to the step of their row, so the step comes first
        order.sort_by_key(|at| roles.get(*at).copied().flatten() == Some(Role::Data));
        for at in order {
            let (cell, role) = (&row[at], roles.get(at).copied().flatten());
            let name = header.get(at).map_or("", |h| h.text.as_str());
            let value = cell.text.as_str();
            match role {
                Some(Role::Number) => self.structure(value, cell.line),
                Some(Role::Data) if !self.case.steps.is_empty() && has_words(value) && !says_none(value) => {
                    let name = name.rsplit(" - ").next().unwrap_or(name);
                    self.data(&format!("{}: {value}", squeeze(name)), cell.line, Kind::Step);
                }
                Some(Role::Id) => {
                    if self.case.id.is_empty() {
                        let id = tables::cell_id(value).unwrap_or_else(|| value.trim_matches(['`', '*', '_']).into());
                        self.put(role, name, &id, cell.line, lines_count);
                        if !has_words(&id) || id != value {
                            self.structure(value, cell.line);
                        }
                    }
                }
                Some(Role::Field | Role::Description)
                    if says_none(value) && !value.chars().any(char::is_alphabetic) => {}
                None if has_words(value) => self.field(name, value, cell.line),
                None => {}
                role => self.put(role, name, value, cell.line, lines_count),
            }
        }
    }
}

/// Whether the first row of a table of labels and values only says so.
pub(super) fn is_record_head(label: &str, value: &str) -> bool {
    let word = |text: &str, words: &[&str]| words.contains(&crate::import::vocabulary::normalise(text, true).as_str());
    word(label, &["field", "attribute", "property", "element", "item", "key", "", "name", "section", "parameter"])
        && word(value, &["value", "description", "detail", "content", "", "information"])
}
