//! Performing statements on any server: a connection, a transaction, the rows, what was affected, and what follows an error. Written
//! once; knows no server by name.
use super::{
    bound::Bound,
    pool::Lease,
    server::{Answer, Came, Cell, Failed, Server, Session, Verdict},
    target::Database,
};
use crate::{
    executor::{ActionContext, ActionError},
    value::{Map, Value},
};
use futures::TryStreamExt;

/// What is to be performed.
pub enum Work {
    One(Bound),
    Transaction {
        statements: Vec<Bound>,
        rollback: bool,
    },
    /// The text of a file; all or nothing.
    Script(String),
}

impl Work {
    /// Whether it may not be asked twice.
    fn changes(&self) -> bool {
        match self {
            Work::One(bound) => bound.changes,
            Work::Transaction { .. } | Work::Script(_) => true,
        }
    }

    /// How its transaction ends, where it has one.
    fn end(&self) -> Option<&'static str> {
        match self {
            Work::One(_) => None,
            Work::Transaction { rollback: true, .. } => Some("rollback"),
            Work::Transaction { .. } | Work::Script(_) => Some("commit"),
        }
    }
}

/// What statements gave.
#[derive(Default)]
pub struct Done {
    /// Of the last statement; in a script of the last that had rows.
    pub rows: Vec<Value>,
    pub affected: u64,
    /// Of those the ones that a statement with rows counted: in a script it cannot be told whether they were changed or only read.
    looked_at: u64,
    pub notes: Vec<String>,
}

/// With the error comes the statement that it is about.
type Told<T> = Result<T, (Failed, String)>;

pub async fn run(cx: &ActionContext<'_>, db: &Database, work: &Work) -> Result<Done, ActionError> {
    let server = db.server();
    if let Work::Transaction { statements, .. } = work
        && let Some(bound) = statements.iter().find(|b| !server.keeps_transactions(&b.statement()))
    {
        let word = bound.statement().first();
        return Err(ActionError::Invalid(format!(
            "`{word}` cannot stand in a transaction here: the server commits before and after it, and nothing could be rolled back"
        )));
    }
    let mut lease = open(db, work.changes()).await?;
    cx.mark_sent();
    let mut ran = perform(lease.session()?, server, work).await;
    if let Err((Failed::Server(e), _)) = &ran
        && matches!(server.verdict(e, ""), Verdict::Lost)
        && lease.kept
        && !work.changes()
    {
        // The connection died while nobody used it. What changes nothing may be asked again; for the rest it was tried beforehand.
        lease.discard();
        db.pool.clear().await;
        lease = db.pool.lease().await.map_err(|e| db.missing(e))?;
        ran = perform(lease.session()?, server, work).await;
    }
    match ran {
        Ok(done) => {
            lease.give_back();
            Ok(done)
        }
        Err((failed, sql)) => Err(settle(lease, db, work, failed, &sql).await),
    }
}

/// A connection. Where something is going to be changed it is asked for a sign of life first: a statement that was sent on a
/// connection that breaks cannot be sent again, because nobody knows whether it was performed.
async fn open(db: &Database, changes: bool) -> Result<Lease<'_>, ActionError> {
    loop {
        let mut lease = db.pool.lease().await.map_err(|e| db.missing(e))?;
        let (kept, rested) = (lease.kept, lease.rested);
        if kept && lease.session()?.wake(rested, changes).await.is_err() {
            lease.discard();
            db.pool.clear().await;
            continue;
        }
        return Ok(lease);
    }
}

/// What an error comes to. After a refusal the connection is as good as before; a lost one is not kept.
async fn settle(mut lease: Lease<'_>, db: &Database, work: &Work, failed: Failed, sql: &str) -> ActionError {
    let error = match failed {
        Failed::Value(why) => ActionError::Invalid(why),
        Failed::Server(e) => match db.server().verdict(&e, sql) {
            Verdict::Refused(said) => ActionError::Invalid(said),
            Verdict::Stale => ActionError::Invalid(e.to_string()),
            Verdict::Lost => {
                lease.discard();
                return db.unreachable(&e);
            }
        },
    };
    let clean = match (work.end(), lease.session()) {
        (None, _) => true,
        (Some(_), Ok(session)) => session.plain("rollback").await.is_ok(),
        _ => false,
    };
    if clean {
        lease.give_back()
    } else {
        lease.discard()
    }
    error
}

async fn perform(session: &mut dyn Session, server: &dyn Server, work: &Work) -> Told<Done> {
    let about = |sql: &str| {
        let sql = sql.to_string();
        move |e: sqlx::Error| (Failed::Server(e), sql)
    };
    if work.end().is_some() {
        session.plain(server.begin()).await.map_err(about(server.begin()))?;
    }
    let done = match work {
        Work::One(bound) => statement(session, server, bound, true).await?,
        Work::Transaction { statements, .. } => {
            let mut all = Done::default();
            for bound in statements {
                let one = statement(session, server, bound, false).await?;
                all.rows = one.rows;
                all.affected += one.affected;
                all.notes.extend(one.notes);
            }
            all
        }
        Work::Script(sql) => script(session, sql).await.map_err(about(sql))?,
    };
    if let Some(end) = work.end() {
        session.plain(end).await.map_err(about(end))?;
    }
    Ok(done)
}

async fn statement(session: &mut dyn Session, server: &dyn Server, bound: &Bound, alone: bool) -> Told<Done> {
    let sql = bound.sql(|i, _| server.placeholder(i));
    let mut ran = one(session, bound, &sql).await;
    if let Err(Failed::Server(e)) = &ran
        && alone
        && matches!(server.verdict(e, ""), Verdict::Stale)
    {
        session.forget().await.map_err(|e| (Failed::Server(e), sql.clone()))?;
        ran = one(session, bound, &sql).await;
    }
    let mut done = ran.map_err(|e| (e, sql))?;
    // What is only looked at is not affected, whatever a server counts.
    done.affected = if bound.changes { done.affected } else { 0 };
    Ok(done)
}

async fn one(session: &mut dyn Session, bound: &Bound, sql: &str) -> Result<Done, Failed> {
    let (answer, notes) = session.ask(bound, sql.to_string()).await?;
    let mut done = collect(answer).await?;
    done.notes.extend(notes);
    Ok(done)
}

async fn script(session: &mut dyn Session, sql: &str) -> Result<Done, sqlx::Error> {
    let before = session.changed().await?;
    let mut done = collect(session.script(sql.to_string())).await?;
    done.affected = match (before, session.changed().await?) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => done.affected - done.looked_at,
    };
    Ok(done)
}

async fn collect(mut answer: Answer<'_>) -> Result<Done, sqlx::Error> {
    let mut done = Done::default();
    let mut fresh = true;
    while let Some(came) = answer.try_next().await? {
        match came {
            Came::End(affected) => {
                done.affected += affected;
                done.looked_at += if fresh { 0 } else { affected };
                fresh = true;
            }
            Came::Row(cells) => {
                if fresh {
                    done.rows.clear();
                    fresh = false;
                }
                let row = row(cells, &mut done.notes);
                done.rows.push(row);
            }
        }
    }
    Ok(done)
}

/// The first column of the one row of a query without values.
pub async fn text(session: &mut dyn Session, sql: &str) -> Result<Option<String>, sqlx::Error> {
    let done = collect(session.script(sql.to_string())).await?;
    let first = done.rows.first().and_then(|r| r.as_map()?.values().next().cloned());
    Ok(first.map(|v| v.to_string()))
}

/// A row as a map. What cannot be read is shown as it came, with a note.
fn row(cells: Vec<(String, Cell)>, notes: &mut Vec<String>) -> Value {
    let mut note = |text: String| {
        if !notes.contains(&text) {
            notes.push(text);
        }
    };
    let mut map = Map::with_capacity(cells.len());
    for (name, cell) in cells {
        let value = cell.unwrap_or_else(|raw| {
            note(format!("column `{name}` has a type that cannot be read; it is shown as it came"));
            Value::text(raw)
        });
        if map.contains_key(&name) {
            note(format!("two columns are called `{name}`; the last one counts"));
        }
        map.insert(name, value);
    }
    Value::from(map)
}
