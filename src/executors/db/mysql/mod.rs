//! MySQL and MariaDB. A placeholder has no type there: a value is sent as what it is.
mod read;

use super::{
    address::Wire,
    bound::Bound,
    literal,
    scan::{Dialect, Statement},
    server::{Answer, ByHand, Came, Cell, Failed, Ran, Server, Session, Verdict, answer},
    target::named_file,
    trouble::{Place, Tls},
};
use crate::{executor::shell_word, value::Value};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column, ConnectOptions, Connection, Executor, MySqlConnection, Row,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlDatabaseError, MySqlQueryResult, MySqlRow, MySqlSslMode},
};
use std::{path::Path, str::FromStr, time::Duration};

pub struct Mysql {
    options: MySqlConnectOptions,
    /// Its own client, with what it needs to get here.
    client: String,
}

impl Mysql {
    /// # Errors
    /// An option has a value that it cannot have.
    pub fn new(wire: &Wire, dir: &Path, shown: &str) -> Result<(Mysql, Place), String> {
        let options = MySqlConnectOptions::from_str(&wire.url).map_err(|e| e.to_string())?;
        // SQL means here what it means to the platform: the library would change the session's mode.
        let mut options = options.pipes_as_concat(false).no_engine_substitution(false).disable_statement_logging();
        let mut client = vec![if shown.starts_with("mariadb") { "mariadb" } else { "mysql" }.to_string()];
        match options.get_socket() {
            Some(socket) => client.push(format!("-S {}", shell_word(&socket.to_string_lossy()))),
            None => client.push(format!("-h {} -P {}", shell_word(options.get_host()), options.get_port())),
        }
        client.push(format!("-u {}", shell_word(options.get_username())));
        if wire.password.is_some() {
            client.push("-p".into());
        }
        if let Some(path) = &wire.ca {
            let path = named_file(dir, "ssl-ca", path)?;
            client.push(format!("--ssl-ca={}", shell_word(&path.to_string_lossy())));
            options = options.ssl_ca(path);
        }
        if let (Some(certificate), Some(key)) = (&wire.certificate, &wire.key) {
            let (certificate, key) = (named_file(dir, "ssl-cert", certificate)?, named_file(dir, "ssl-key", key)?);
            let word = |path: &Path| shell_word(&path.to_string_lossy()).into_owned();
            client.push(format!("--ssl-cert={} --ssl-key={}", word(&certificate), word(&key)));
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        let mode = match options.get_ssl_mode() {
            MySqlSslMode::Required => "ssl-mode=REQUIRED",
            MySqlSslMode::VerifyCa => "ssl-mode=VERIFY_CA",
            MySqlSslMode::VerifyIdentity => "ssl-mode=VERIFY_IDENTITY",
            _ => "ssl-mode",
        };
        client.extend(options.get_database().map(|d| shell_word(d).into_owned()));
        let place = Place {
            address: shown.into(),
            at: match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
            user: options.get_username().into(),
            database: options.get_database().unwrap_or_default().into(),
            has_password: wire.password.is_some(),
            tls: Tls { mode: mode.into(), ca: "ssl-ca", certificate: "ssl-cert` and `ssl-key" },
        };
        Ok((Mysql { options, client: client.join(" ") }, place))
    }
}

#[async_trait]
impl Server for Mysql {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    fn version(&self) -> &'static str {
        "select concat(if(version() like '%MariaDB%', 'MariaDB ', 'MySQL '), version())"
    }

    async fn connect(&self) -> Ran<Box<dyn Session>> {
        let mut connection = self.options.connect().await?;
        let id = connection.fetch_one("select connection_id()").await?.try_get_unchecked(0)?;
        Ok(Box::new(Open { connection, id, options: self.options.clone() }))
    }

    fn placeholder(&self, _: usize) -> String {
        "?".into()
    }

    fn begin(&self) -> &'static str {
        "begin"
    }

    fn keeps_transactions(&self, statement: &Statement<'_>) -> bool {
        !statement.commits_by_itself()
    }

    fn verdict(&self, e: &sqlx::Error, _: &str) -> Verdict {
        use sqlx::Error as E;
        let E::Database(db) = e else {
            return match e {
                E::Decode(_) | E::ColumnDecode { .. } | E::Encode(_) => Verdict::Refused(e.to_string()),
                _ => Verdict::Lost,
            };
        };
        match number(e) {
            // access, too many connections, going down, killed
            Some(1040 | 1044 | 1045 | 1049 | 1053 | 1130 | 1203 | 1927 | 4031) => Verdict::Lost,
            Some(1615) => Verdict::Stale,
            Some(number) => Verdict::Refused(format!(
                "the database refused: {} ({number}, {})",
                db.message(),
                db.code().unwrap_or_default()
            )),
            None => Verdict::Refused(db.message().into()),
        }
    }

    fn code(&self, e: &sqlx::Error) -> Option<String> {
        number(e).map(|n| n.to_string())
    }

    fn literal(&self, value: &Value) -> String {
        match value {
            Value::Time(t) => literal::mysql(&Value::text(instant(*t))),
            Value::Duration(d) => literal::mysql(&Value::text(clock(*d))),
            other => literal::mysql(other),
        }
    }

    fn by_hand(&self, what: ByHand<'_>) -> String {
        let client = &self.client;
        match what {
            ByHand::Sql(sql) => format!("{client} -e {}", shell_word(sql)),
            ByHand::File(path) => format!("(echo 'begin;'; cat {}; echo '; commit;') | {client}", shell_word(path)),
        }
    }
}

fn number(e: &sqlx::Error) -> Option<u16> {
    e.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// One connection.
struct Open {
    connection: MySqlConnection,
    /// Its number on the server.
    id: u64,
    options: MySqlConnectOptions,
}

#[async_trait]
impl Session for Open {
    async fn plain(&mut self, sql: &'static str) -> Ran<()> {
        self.connection.execute(sqlx::raw_sql(sql)).await.map(drop)
    }

    async fn ask<'s>(&'s mut self, bound: &'s Bound, sql: String) -> Result<(Answer<'s>, Vec<String>), Failed> {
        let mut arguments = MySqlArguments::default();
        for (i, value) in bound.values.iter().enumerate() {
            bind(&mut arguments, value).map_err(|why| Failed::Value(format!("parameter ?{}: {why}", i + 1)))?;
        }
        let stream = self.connection.fetch_many(sqlx::query_with(AssertSqlSafe(sql), arguments));
        Ok((counted(answer(stream, MySqlQueryResult::rows_affected, binary)), vec![]))
    }

    fn script(&mut self, sql: String) -> Answer<'_> {
        let stream = self.connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql)));
        counted(answer(stream, MySqlQueryResult::rows_affected, text))
    }

    async fn wake(&mut self, _: Duration, changes: bool) -> Ran<()> {
        if changes { self.connection.ping().await } else { Ok(()) }
    }

    async fn forget(&mut self) -> Ran<()> {
        self.connection.clear_cached_statements().await
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let (options, id) = (self.options.clone(), self.id);
        async move {
            let Ok(mut other) = options.connect().await else { return };
            let _ = other.execute(sqlx::raw_sql(AssertSqlSafe(format!("kill query {id}")))).await;
            let _ = other.close().await;
        }
        .boxed()
    }

    async fn close(self: Box<Self>) {
        let _ = self.connection.close().await;
    }
}

/// The server counts no rows where it gives some: `insert … returning`.
fn counted(answer: Answer<'_>) -> Answer<'_> {
    let mut rows = 0;
    let count = move |came| match came {
        Came::Row(cells) => {
            rows += 1;
            Came::Row(cells)
        }
        Came::End(affected) => Came::End(affected.max(std::mem::take(&mut rows))),
    };
    answer.map_ok(count).boxed()
}

fn bind(arguments: &mut MySqlArguments, value: &Value) -> Result<(), String> {
    let added = match value {
        Value::Null => arguments.add(None::<String>),
        Value::Bool(b) => arguments.add(*b),
        Value::Int(i) => arguments.add(*i),
        Value::Uint(u) => arguments.add(*u),
        Value::Float(f) => arguments.add(*f),
        Value::Text(t) => arguments.add(&**t),
        Value::List(_) | Value::Map(_) => arguments.add(value.to_json().to_string()),
        Value::Time(t) => arguments.add(instant(*t)),
        Value::Duration(d) => arguments.add(clock(*d)),
    };
    added.map_err(|e| e.to_string())
}

/// As `DATETIME` and `TIMESTAMP` are written; the session's zone is UTC.
fn instant(t: Timestamp) -> String {
    t.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// As `TIME` is written.
fn clock(d: SignedDuration) -> String {
    let (sign, seconds) = (if d.is_negative() { "-" } else { "" }, d.as_secs().unsigned_abs());
    let micros = d.subsec_micros().unsigned_abs();
    format!("{sign}{:02}:{:02}:{:02}.{micros:06}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn binary(row: &MySqlRow) -> Vec<(String, Cell)> {
    cells(row, read::binary)
}

fn text(row: &MySqlRow) -> Vec<(String, Cell)> {
    cells(row, read::text)
}

fn cells(row: &MySqlRow, read: fn(&read::Column<'_>) -> Cell) -> Vec<(String, Cell)> {
    let columns = row.columns().iter().enumerate();
    columns
        .map(|(i, column)| (column.name().to_string(), read::column(row, i).map_or(Ok(Value::Null), |c| read(&c))))
        .collect()
}
