//! `doctor`: checks the user's privileges on the plan's tables, with statements that change no row.
use super::{
    database::Database,
    execute::query_text,
    scan::Dialect,
    server::{Session, SqlxResult},
};
use crate::executor::{Permission, ProbeResult};

/// The privilege that a simple statement needs: `delete` on `sessions`.
pub(super) fn permission(sql: &str) -> Option<Permission> {
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
    // Excludes placeholders and subqueries.
    let is_name = table.chars().all(|c| c.is_alphanumeric() || "_.\"`".contains(c));
    is_name.then(|| Permission { verb, resource: table.to_string(), namespace: None, essential: true })
}

pub(super) async fn privileges(db: &Database, permissions: &[Permission]) -> Vec<ProbeResult> {
    let mut results = vec![];
    for Permission { verb, resource, .. } in permissions {
        let check = format!("{verb} in `{resource}`");
        let Ok(mut lease) = db.lease().await else { break };
        match probe(lease.session(), verb, resource, db.server.dialect()).await {
            Ok(_) => {
                lease.release();
                results.push(ProbeResult::ok(check, "allowed"));
            }
            Err(e) => {
                lease.discard();
                let message = e.as_database_error().map_or_else(|| e.to_string(), |e| e.message().to_string());
                let remedy = format!("grant it to the target's user, or check that `{resource}` is in this database");
                results.push(ProbeResult::error(check, message, remedy));
            }
        }
    }
    results
}

async fn probe(session: &mut dyn Session, verb: &str, table: &str, dialect: Dialect) -> SqlxResult<Option<String>> {
    if (verb, dialect) != ("update", Dialect::Mysql) {
        return query_text(session, &no_op_statement(verb, table, dialect)).await;
    }
    // MySQL checks this privilege only for an `update`, which must name a column.
    let (schema, name) = match table.replace('`', "").rsplit_once('.') {
        Some((schema, name)) => (format!("'{schema}'"), name.to_string()),
        None => ("database()".to_string(), table.replace('`', "")),
    };
    let columns = format!(
        "select column_name from information_schema.columns where table_schema = {schema} and table_name = '{name}' limit 1"
    );
    match query_text(session, &columns).await? {
        Some(column) => {
            query_text(session, &format!("explain update {table} set `{column}` = `{column}` where 1 = 0")).await
        }
        None => query_text(session, &no_op_statement("select", table, dialect)).await,
    }
}

/// A statement that needs the privilege `verb` and changes nothing.
fn no_op_statement(verb: &str, table: &str, dialect: Dialect) -> String {
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
    use super::permission;

    #[test]
    fn derives_the_privilege_from_simple_statements() {
        let needed = |sql: &str| permission(sql).map(|n| format!("{} {}", n.verb, n.resource));
        assert_eq!(needed("select count(*) as n\nFROM sessions where a = ${x}").as_deref(), Some("select sessions"));
        assert_eq!(needed("delete from public.sessions").as_deref(), Some("delete public.sessions"));
        assert_eq!(needed("insert into t(a, b) values (1, 2)").as_deref(), Some("insert t"));
        assert_eq!(needed("Update \"Users\" set a = 1").as_deref(), Some("update \"Users\""));
        assert_eq!(needed("select 1"), None);
        assert_eq!(needed("delete from ${table}"), None);
        assert_eq!(needed("with x as (select 1) select * from x"), None);
    }
}
