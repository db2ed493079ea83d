//! Reads tables whose rows are cases.
use super::{
    blocks::{Line, Table},
    case::Builder,
    model::Comment,
    tables::{Columns, cell_id, row_text},
    text::has_words,
    vocabulary::Role,
};

/// The cases of a table, and the other rows.
pub fn read(table: &Table, columns: &Columns) -> (Vec<Builder>, Vec<Comment>) {
    let at = |wanted: Role| columns.roles.iter().position(|r| *r == Some(wanted));
    let (id_at, title_at, number_at) = (at(Role::Id), at(Role::Title), at(Role::Number));
    let cell = |row: &[Line], at: Option<usize>| -> String {
        at.and_then(|at| row.get(at)).map(|c| c.text.trim().to_string()).unwrap_or_default()
    };
    let mut cases: Vec<Builder> = Vec::new();
    let mut comments = Vec::new();
    let (mut last_id, mut last_title) = (String::new(), String::new());
    for row in &table.rows {
        let filled = row.iter().filter(|c| has_words(&c.text)).count();
        if filled == 0 {
            continue;
        }
        let line = row.first().map_or(table.line, |c| c.line);
        let (id, title) = (cell(row, id_at), cell(row, title_at));
        let content = columns.roles.iter().zip(row).any(|(role, c)| {
            matches!(role, Some(Role::Step | Role::Expected | Role::Title | Role::Precondition)) && has_words(&c.text)
        });
        // a row with one cell is a heading between the rows
        if filled == 1
            && row.len() > 2
            && (!content || (has_words(&row[0].text) && id_at == Some(0) && cell_id(&row[0].text).is_none()))
        {
            comments.push(Comment { text: row_text(row).trim_matches([' ', '|']).into(), line });
            continue;
        }
        let named = |text: &str| has_words(text);
        let same_id = id_at.is_some() && named(&id) && id == last_id && (!named(&title) || title == last_title);
        let unnamed = !named(&id) && !named(&title) || (id_at.is_some() && !named(&id) && title == last_title);
        if !cases.is_empty() && (same_id || unnamed) {
            if let Some(open) = cases.last_mut() {
                add(open, row, table, columns, true);
            }
            continue;
        }
        let mut open = Builder::new(line);
        open.title_is_result = true;
        open.number = Some(cell(row, number_at)).filter(|n| has_words(n));
        add(&mut open, row, table, columns, false);
        (last_id, last_title) = (id, title);
        cases.push(open);
    }
    (cases, comments)
}

/// Reads a row; `again` if the case has an earlier row, whose fields are not repeated.
fn add(open: &mut Builder, row: &[Line], table: &Table, columns: &Columns, again: bool) {
    if !again {
        return open.row(row, &table.header, &columns.roles, table.cells_span_lines);
    }
    let mut row = row.to_vec();
    for (at, cell) in row.iter_mut().enumerate() {
        let role = columns.roles.get(at).copied().flatten();
        let name = table.header.get(at).map_or("", |h| h.text.as_str());
        let squeezed = super::text::squeeze(&cell.text);
        let repeated = match role {
            Some(Role::Priority) => open.case.priority.as_deref() == Some(squeezed.as_str()),
            Some(Role::Title) => open.case.title == squeezed,
            Some(Role::Id) => true,
            Some(Role::Precondition) => {
                let items = super::text::split_items(&cell.text, cell.line, false);
                items.iter().all(|(t, _)| open.case.preconditions.iter().any(|p| p.text == *t))
            }
            Some(Role::Step | Role::Expected | Role::Data | Role::Number) => false,
            _ => open.case.fields.iter().any(|f| f.label == name && f.value == squeezed),
        };
        if repeated {
            cell.text.clear();
        }
    }
    open.row(&row, &table.header, &columns.roles, table.cells_span_lines);
}
