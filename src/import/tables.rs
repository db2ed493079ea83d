//! Reads tables: rows that are cases, rows that are steps, and tables of labels and values.
use super::{
    blocks::{Cell, Line, Table},
    ids::is_id,
    labels::kind_of,
    model::Kind,
    text::has_words,
    vocabulary::{Role, normalise, role},
};

/// What the rows of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each row, or each run of rows, is a case.
    Cases,
    /// Names of cases without steps or results: an index, or a checklist.
    Index,
    /// Each row is a step of one case.
    Steps,
    /// Each row is a label and its value.
    Record,
    Other,
}

/// The roles of the columns.
#[derive(Debug)]
pub struct Columns {
    pub roles: Vec<Option<Role>>,
    pub shape: Shape,
}

/// What the table is.
pub fn kind(table: &Table) -> Shape {
    columns(table).shape
}

fn column(table: &Table, at: usize) -> impl Iterator<Item = &str> {
    table.rows.iter().take(400).filter_map(move |r| r.get(at)).map(|c| c.text.as_str()).filter(|c| has_words(c))
}

/// Whether a column has the same value in separate places, as the id of a requirement has.
fn repeats(table: &Table, at: usize) -> bool {
    let mut seen = std::collections::HashSet::new();
    let mut last = "";
    column(table, at).any(|cell| {
        let again = cell == last;
        last = cell;
        again || !seen.insert(cell)
    })
}

fn share(table: &Table, at: usize, test: impl Fn(&str) -> bool) -> bool {
    let (mut all, mut good) = (0, 0);
    for cell in column(table, at) {
        all += 1;
        good += usize::from(test(cell));
    }
    all > 0 && good * 2 > all
}

fn is_number(text: &str) -> bool {
    let text = text.trim().trim_end_matches(['.', ')']);
    let text = text.strip_prefix("Step ").or_else(|| text.strip_prefix("step ")).unwrap_or(text);
    !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Whether a cell is an id, perhaps in markup.
pub fn cell_id(text: &str) -> Option<String> {
    let bare = text.trim().trim_matches(['`', '*', '_', '[', ']']);
    if is_id(bare) {
        return Some(bare.into());
    }
    if let Some((name, _)) = text.trim().strip_prefix('[').and_then(|t| t.split_once("](")) {
        return is_id(name).then(|| name.into());
    }
    super::ids::case_head(text).id.filter(|_| super::ids::case_head(text).title.is_empty())
}

/// Finds the roles of the columns by their names and contents.
pub fn columns(table: &Table) -> Columns {
    if is_record(table) {
        return Columns { roles: Vec::new(), shape: Shape::Record };
    }
    let mut roles: Vec<Option<Role>> = table.header.iter().map(|h| role(&h.text)).collect();
    let position = |roles: &[Option<Role>], wanted: Role| roles.iter().position(|r| *r == Some(wanted));
    for (at, role) in roles.iter_mut().enumerate() {
        match role {
            // an id that many rows share is that of a requirement
            None if table.rows.len() > 1 && repeats(table, at) => {}
            Some(Role::Step | Role::Number | Role::Title | Role::Subject) | None
                if share(table, at, |c| cell_id(c).is_some()) =>
            {
                *role = Some(Role::Id);
            }
            Some(Role::Step | Role::Title | Role::Subject) if share(table, at, is_number) => *role = Some(Role::Number),
            None if !has_words(&table.header[at].text) && share(table, at, is_number) => *role = Some(Role::Number),
            _ => {}
        }
    }
    // `Result` beside `Expected` is what happened; the actual result is not an expectation
    let strong = |at: usize| {
        let name = normalise(&table.header[at].text, true);
        name.contains("expect")
            || !matches!(
                name.as_str(),
                "result"
                    | "outcome"
                    | "output"
                    | "check"
                    | "validation"
                    | "verification"
                    | "resultado"
                    | "pass criteria"
                    | "verify"
                    | "validate"
                    | "step result"
            )
    };
    let expected: Vec<usize> = (0..roles.len()).filter(|at| roles[*at] == Some(Role::Expected)).collect();
    if expected.iter().any(|at| strong(*at)) {
        for at in expected.iter().copied().filter(|at| !strong(*at)) {
            roles[at] = Some(if normalise(&table.header[at].text, true).contains("check") {
                Role::Subject
            } else {
                Role::Field
            });
        }
    } else {
        const VERDICTS: &[&str] =
            &["pass", "fail", "passed", "failed", "ok", "todo", "tbd", "pending", "untested", "blocked", "skipped"];
        for at in expected {
            let verdict = |c: &str| {
                c.split(|c: char| !c.is_alphanumeric()).any(|w| VERDICTS.contains(&w.to_lowercase().as_str()))
                    && c.len() < 24
            };
            if share(table, at, verdict) || column(table, at).next().is_none() {
                roles[at] = Some(Role::Field);
            }
        }
    }
    keep_first(&mut roles, Role::Id, |at| share(table, at, |c| cell_id(c).is_some()));
    let have = |roles: &[Option<Role>], wanted: Role| position(roles, wanted).is_some();
    if !have(&roles, Role::Step) && have(&roles, Role::Expected) {
        if let Some(at) = position(&roles, Role::Data) {
            roles[at] = Some(Role::Step);
        } else if have(&roles, Role::Number)
            && let Some(at) = position(&roles, Role::Description)
            && !have(&roles, Role::Title)
            && !have(&roles, Role::Subject)
            && role(&table.header[position(&roles, Role::Number).unwrap_or(0)].text) == Some(Role::Step)
        {
            roles[at] = Some(Role::Step);
        }
    }
    // one column is the title; a worse name is a field
    if !have(&roles, Role::Step) && !have(&roles, Role::Expected) {
        // `Area | Test cases`: what each area must fulfil
        let many = |at: usize| {
            let name = table.header[at].text.trim().to_lowercase();
            let length: usize = column(table, at).map(|c| c.chars().count()).sum();
            (name.ends_with("cases") || name.ends_with("checks") || name.ends_with("scenarios"))
                && length > 30 * table.rows.len()
        };
        if let Some(at) = (1..roles.len()).find(|at| many(*at))
            && matches!(roles[0], None | Some(Role::Title | Role::Subject | Role::Field))
        {
            roles[at] = Some(Role::Expected);
            roles[0] = Some(Role::Title);
        }
    }
    let mut titles: Vec<usize> = Vec::new();
    for wanted in [Role::Title, Role::Subject, Role::Description] {
        titles.extend((0..roles.len()).filter(|at| roles[*at] == Some(wanted)));
    }
    // a title tells the rows apart; the name of a feature may be the same in all of them
    let differs = |at: &usize| {
        let all: std::collections::HashSet<&str> = column(table, *at).collect();
        all.len() * 2 > column(table, *at).count()
    };
    if table.rows.len() > 2 && titles.first().is_some_and(|first| !differs(first)) {
        titles.sort_by_key(|at| !differs(at));
    }
    for at in titles.iter().skip(1) {
        roles[*at] = Some(if roles[*at] == Some(Role::Description) { Role::Description } else { Role::Field });
    }
    if let Some(at) = titles.first() {
        roles[*at] = Some(Role::Title);
    } else if have(&roles, Role::Expected)
        && !have(&roles, Role::Step)
        && roles.first() == Some(&None)
        && table.header.len() > 1
    {
        roles[0] = Some(Role::Title);
    }
    if table.cells_span_lines && table.header.iter().all(|h| h.text.is_empty()) {
        // without names, the longest texts are the titles
        let length = |at: usize| column(table, at).map(str::len).sum::<usize>();
        if let Some(at) = (0..roles.len()).filter(|at| roles[*at].is_none()).max_by_key(|at| length(*at)) {
            roles[at] = Some(Role::Title);
        }
    }
    let shape = shape_of(table, &roles);
    Columns { roles, shape }
}

fn keep_first(roles: &mut [Option<Role>], wanted: Role, better: impl Fn(usize) -> bool) {
    let all: Vec<usize> = (0..roles.len()).filter(|at| roles[*at] == Some(wanted)).collect();
    let Some(best) = all.iter().copied().find(|at| better(*at)).or(all.first().copied()) else { return };
    for at in all.into_iter().filter(|at| *at != best) {
        roles[at] = Some(Role::Field);
    }
}

fn shape_of(table: &Table, roles: &[Option<Role>]) -> Shape {
    let has = |wanted: Role| roles.contains(&Some(wanted));
    let first = table.header.first().map(|h| normalise(&h.text, true)).unwrap_or_default();
    let foreign = [
        "risk",
        "defect",
        "bug",
        "milestone",
        "requirement",
        "phase",
        "term",
        "role",
        "deliverable",
        "resource",
        "metric",
    ];
    if foreign.iter().any(|f| first.split(' ').any(|w| w == *f)) && !has(Role::Step) && !has(Role::Id) {
        return Shape::Other;
    }
    let ids =
        roles.iter().position(|r| *r == Some(Role::Id)).is_some_and(|at| share(table, at, |c| cell_id(c).is_some()));
    let named = has(Role::Title) || has(Role::Id);
    match (has(Role::Step), has(Role::Expected)) {
        (true, true) if named => Shape::Cases,
        (true, true) => Shape::Steps,
        (false, true) if named && (has(Role::Title) || has(Role::Precondition)) => Shape::Cases,
        (true, false) if has(Role::Id) && (has(Role::Title) || has(Role::Precondition)) => Shape::Cases,
        (true, false) if has(Role::Number) && !has(Role::Title) => Shape::Steps,
        _ if ids && has(Role::Title) => Shape::Index,
        _ => {
            // a checklist: a name and a box to tick
            let status = table.header.iter().any(|h| {
                let name = normalise(&h.text, false);
                name.contains("pass")
                    || name.contains("status")
                    || name.contains("result")
                    || name == "done"
                    || name == "ok"
                    || name == "✓"
            });
            if has(Role::Title) && status && table.header.len() <= 5 { Shape::Index } else { Shape::Other }
        }
    }
}

/// The labels and values of a table that describes one case.
pub fn record(table: &Table) -> Vec<(Cell, Cell)> {
    let mut pairs = Vec::new();
    for row in std::iter::once(&table.header).chain(&table.rows) {
        // a number in front of the label
        let row = match row.as_slice() {
            [number, rest @ ..] if rest.len() == 2 && (is_number(&number.text) || !has_words(&number.text)) => rest,
            row => row,
        };
        match row {
            [label] => pairs.push((label.clone(), Cell::default())),
            row => {
                for pair in row.chunks(2) {
                    pairs.push((pair[0].clone(), pair.get(1).cloned().unwrap_or_default()));
                }
            }
        }
    }
    pairs
}

/// Whether the table has labels in its first column and describes one case.
pub fn is_record(table: &Table) -> bool {
    if !(2..=4).contains(&table.header.len())
        || table.rows.is_empty()
        || table.rows.len() > 60
        || table.cells_span_lines
    {
        return false;
    }
    let label = |cell: Option<&Cell>| cell.and_then(|c| role(c.text.trim_end_matches(':')));
    let at = usize::from(table.header.len() == 3 && share(table, 0, is_number));
    if table.header.len() == 3 && at == 0 {
        return false;
    }
    let known: Vec<Role> = table.rows.iter().filter_map(|r| label(r.get(at))).collect();
    let other = label(table.header.get(at + 1)).is_some_and(|r| kind_of(Some(r)).is_some());
    let structural = known.iter().filter(|r| kind_of(Some(**r)).is_some()).count();
    let identity = known.iter().any(|r| matches!(r, Role::Id | Role::Title))
        || label(table.header.get(at)).is_some_and(|r| matches!(r, Role::Id | Role::Title) && structural > 0);
    known.len() * 2 > table.rows.len()
        && !other
        && (structural >= 2 || (structural >= 1 && identity) || (identity && known.len() >= 3))
}

/// The kinds of sentences that a table of labels has.
pub fn record_kinds(table: &Table) -> Vec<Kind> {
    record(table)
        .iter()
        .filter_map(|(l, v)| kind_of(role(l.text.trim_end_matches(':'))).filter(|_| has_words(&v.text)))
        .collect()
}

/// A row as text: its cells between bars.
pub fn row_text(row: &[Line]) -> String {
    let cells: Vec<String> = row.iter().map(|c| c.text.replace('\n', " / ")).collect();
    cells.join(" | ").trim().to_string()
}
