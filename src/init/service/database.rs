//! The plan for a SQL database: its tables have the columns that the service needs.
use crate::init::{
    plan::{Case, Content, Drafts, Part, Plan, Sentence, Tier, Written, write},
    words::sentence,
    yaml::{Yaml, map, text, word},
};

const MAX_CASES: usize = 40;
const MAX_COLUMNS: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    Postgres,
    /// MariaDB, too.
    Mysql,
    Sqlite,
}

/// The tables that were observed.
#[derive(Clone, Debug)]
pub struct DatabaseObservation {
    pub kind: DatabaseKind,
    /// The schema of PostgreSQL; not used by the others.
    pub schema: String,
    pub tables: Vec<Table>,
}

#[derive(Clone, Debug, Default)]
pub struct Table {
    pub name: String,
    pub columns: Vec<String>,
}

impl DatabaseKind {
    /// The statement with which the caller observes `table_name` and `column_name` of each column, in order.
    pub fn observe(self) -> &'static str {
        match self {
            DatabaseKind::Postgres => {
                "select table_name, column_name from information_schema.columns \
                 where table_schema = current_schema() order by table_name, ordinal_position"
            }
            DatabaseKind::Mysql => {
                "select table_name as table_name, column_name as column_name from information_schema.columns \
                 where table_schema = database() order by table_name, ordinal_position"
            }
            DatabaseKind::Sqlite => {
                "select m.name as table_name, c.name as column_name from sqlite_schema m, pragma_table_info(m.name) c \
                 where m.type = 'table' and m.name not like 'sqlite_%' order by m.name, c.cid"
            }
        }
    }

    fn columns_of(self, schema: &str, table: &str) -> Option<String> {
        let (schema, table) = (literal(schema)?, literal(table)?);
        Some(match self {
            DatabaseKind::Postgres => format!(
                "select column_name from information_schema.columns where table_schema = {schema} and table_name = {table}"
            ),
            DatabaseKind::Mysql => format!(
                "select column_name as column_name from information_schema.columns \
                 where table_schema = database() and table_name = {table}"
            ),
            DatabaseKind::Sqlite => format!("select name as column_name from pragma_table_info({table})"),
        })
    }
}

/// Writes the plan: each table has its columns, in any order and beside others. `None` without tables.
pub fn database(id: &str, title: &str, observation: &DatabaseObservation) -> Option<Written> {
    let cases: Vec<Case> =
        observation.tables.iter().filter_map(|table| case(observation, table)).take(MAX_CASES).collect();
    let left = observation.tables.len() - cases.len();
    let mut comments = vec![
        "Written by `tp-runner init` from the tables of the database. Columns may be added, and not be removed or renamed.".into(),
        "Add the steps that change rows through the service, and look at the rows here.".into(),
    ];
    if left > 0 {
        comments.push(format!("{left} more tables are not asserted."));
    }
    (!cases.is_empty()).then(|| {
        write(&Plan {
            id: id.into(),
            title: sentence(title),
            comments,
            variables: vec![],
            cases,
            drafts: Drafts::default(),
        })
    })
}

/// A string of SQL; `None` for a text that databases read differently.
fn literal(text: &str) -> Option<String> {
    (!text.contains(['\\', '\0']) && !text.chars().any(char::is_control))
        .then(|| format!("'{}'", text.replace('\'', "''")))
}

fn case(observation: &DatabaseObservation, table: &Table) -> Option<Case> {
    let columns: Vec<&String> = table.columns.iter().take(MAX_COLUMNS).collect();
    let sql = observation.kind.columns_of(&observation.schema, &table.name).filter(|_| !columns.is_empty())?;
    let name = sentence(&table.name);
    let action = map([("db", map([("sql", text(sql))])), ("as", word("columns"))]);
    let rows = columns.iter().map(|column| map([("column_name", text(column.as_str()))]));
    let pattern = map([("rows", map([("$contains", Yaml::List(rows.collect()))]))]);
    let step = Sentence {
        text: format!("Read the columns of the table {name}"),
        part: Part::Response,
        content: Content::Actions(vec![action]),
    };
    let content = Content::Expect(map([("columns", pattern)]));
    Some(Case {
        key: table.name.clone(),
        title: format!("Table {name}"),
        tier: Tier::Must,
        steps: vec![step],
        expected: vec![Sentence {
            text: "It has the columns that the service needs".into(),
            part: Part::Response,
            content,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_their_columns() {
        let table = |name: &str| Table { name: name.into(), columns: vec!["id".into(), "it's ${x}".into()] };
        let tables = vec![table("orders"), table("o'clock"), table("back\\slash"), Table::default()];
        let of = |kind| {
            database("SHOP", "Shop", &DatabaseObservation { kind, schema: "public".into(), tables: tables.clone() })
                .unwrap()
        };
        let written = of(DatabaseKind::Postgres);
        assert_eq!(written.counts(), (2, 0));
        for part in
            ["table_schema = 'public' and table_name = 'o''clock'", r#"{ column_name: "it's $${x}" }"#, "2 more tables"]
        {
            assert!(written.yaml.contains(part), "{part}\n{}", written.yaml);
        }
        assert!(of(DatabaseKind::Sqlite).yaml.contains("pragma_table_info('orders')"));
        assert!(of(DatabaseKind::Mysql).yaml.contains("table_schema = database()"));
    }
}
