//! For `doctor`: may we do with the tables what the plan does? Asked of the server itself, by statements that touch no row.
use super::{flow, scan::Dialect, server::Session, target::Database};
use crate::executor::{Need, ProbeResult};

/// What a statement does to which table, as far as its words say so: `("delete", "sessions")`.
pub(super) fn need(sql: &str) -> Option<Need> {
    let words: Vec<&str> =
        sql.split(|c: char| c.is_whitespace() || "(),;".contains(c)).filter(|w| !w.is_empty()).collect();
    let after = |word: &str| {
        let at = words.iter().position(|w| w.eq_ignore_ascii_case(word))?;
        words.get(at + 1).copied()
    };
    let (verb, table) = match words.first()?.to_ascii_lowercase().as_str() {
        "select" => ("select", after("from")?),
        "insert" => ("insert", after("into")?),
        "delete" => ("delete", after("from")?),
        "update" => ("update", *words.get(1)?),
        _ => return None,
    };
    // a hole is filled only in the run, and a subquery names its tables itself
    let named = table.chars().all(|c| c.is_alphanumeric() || "_.\"`".contains(c));
    named.then(|| Need { verb, resource: table.to_string(), namespace: None, essential: true })
}

pub(super) async fn tables(db: &Database, needs: &[Need]) -> Vec<ProbeResult> {
    let mut found = vec![];
    for Need { verb, resource, .. } in needs {
        let tried = format!("{verb} in `{resource}`");
        let Ok(mut lease) = db.pool.lease().await else { break };
        let asked = match lease.session() {
            Ok(session) => ask(session, verb, resource, db.server().dialect()).await,
            Err(_) => break,
        };
        match asked {
            Ok(_) => {
                lease.give_back();
                found.push(ProbeResult::ok(tried, "allowed"));
            }
            Err(e) => {
                lease.discard();
                let seen = e.as_database_error().map_or_else(|| e.to_string(), |e| e.message().to_string());
                let remedy = format!(
                    "grant it to the user that the target names, or see whether this is the database of `{resource}`"
                );
                found.push(ProbeResult::error(tried, seen, remedy));
            }
        }
    }
    found
}

async fn ask(
    session: &mut dyn Session,
    verb: &str,
    table: &str,
    dialect: Dialect,
) -> Result<Option<String>, sqlx::Error> {
    if (verb, dialect) != ("update", Dialect::Mysql) {
        return flow::text(session, &harmless(verb, table, dialect)).await;
    }
    // there only an `update` tells, and that names a column
    let (schema, name) = match table.replace('`', "").rsplit_once('.') {
        Some((schema, name)) => (format!("'{schema}'"), name.to_string()),
        None => ("database()".to_string(), table.replace('`', "")),
    };
    let columns = format!(
        "select column_name from information_schema.columns where table_schema = {schema} and table_name = '{name}' limit 1"
    );
    match flow::text(session, &columns).await? {
        Some(column) => {
            flow::text(session, &format!("explain update {table} set `{column}` = `{column}` where 1 = 0")).await
        }
        None => flow::text(session, &harmless("select", table, dialect)).await,
    }
}

/// A statement that the server allows to whom it allows `verb`, and that changes nothing.
fn harmless(verb: &str, table: &str, dialect: Dialect) -> String {
    match (verb, dialect) {
        ("delete", _) => format!("explain delete from {table} where 1 = 0"),
        ("insert", Dialect::Mysql) => format!("explain insert into {table} () values ()"),
        ("insert", _) => format!("explain insert into {table} default values"),
        ("update", Dialect::Postgres) => format!("select 1 from {table} where 1 = 0 for update"),
        _ => format!("select 1 from {table} where 1 = 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::need;

    #[test]
    fn a_statement_says_what_it_does_to_which_table() {
        let said = |sql: &str| need(sql).map(|n| format!("{} {}", n.verb, n.resource));
        assert_eq!(said("select count(*) as n\nFROM sessions where a = ${x}").as_deref(), Some("select sessions"));
        assert_eq!(said("delete from public.sessions").as_deref(), Some("delete public.sessions"));
        assert_eq!(said("insert into t(a, b) values (1, 2)").as_deref(), Some("insert t"));
        assert_eq!(said("Update \"Users\" set a = 1").as_deref(), Some("update \"Users\""));
        assert_eq!(said("select 1"), None);
        assert_eq!(said("delete from ${table}"), None);
        assert_eq!(said("with x as (select 1) select * from x"), None);
    }
}
