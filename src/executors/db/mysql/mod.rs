//! Connects to MySQL and MariaDB. Parameters have no declared type: each value is sent with its own type.
mod decode;

use super::{
    address::{NetworkAddress, OptionError, option_file},
    bound_statement::BoundStatement,
    connect_error::{ServerAddress, TlsOptions},
    literal,
    scan::{Dialect, Statement},
    server::{
        Cell, ClientInput, ErrorClass, ResultStream, Server, Session, SqlxResult, StatementError, StreamItem,
        result_stream,
    },
};
use crate::{executor::shell_word, value::Value};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column, ConnectOptions, Connection, Executor, MySqlConnection, Row,
    error::BoxDynError,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlDatabaseError, MySqlQueryResult, MySqlRow, MySqlSslMode},
};
use std::{path::Path, str::FromStr, time::Duration};

pub struct Mysql {
    options: MySqlConnectOptions,
    /// The command of the server's own client, with the options that connect it.
    client: String,
}

impl Mysql {
    /// `dir`: the root folder of the plan. `url`: the address for messages.
    pub fn new(network: &NetworkAddress, dir: &Path, url: &str) -> Result<(Mysql, ServerAddress), OptionError> {
        let options = MySqlConnectOptions::from_str(&network.url)?;
        // Keeps the session's SQL mode, which the library would change: a statement must mean the same as in the tested
        // product.
        let mut options = options.pipes_as_concat(false).no_engine_substitution(false).disable_statement_logging();
        let mut client = vec![if url.starts_with("mariadb") { "mariadb" } else { "mysql" }.to_string()];
        match options.get_socket() {
            Some(socket) => client.push(format!("-S {}", shell_word(&socket.to_string_lossy()))),
            None => client.push(format!("-h {} -P {}", shell_word(options.get_host()), options.get_port())),
        }
        client.push(format!("-u {}", shell_word(options.get_username())));
        if network.password.is_some() {
            client.push("-p".into());
        }
        if let Some(path) = &network.ca {
            let path = option_file(dir, "ssl-ca", path)?;
            client.push(format!("--ssl-ca={}", shell_word(&path.to_string_lossy())));
            options = options.ssl_ca(path);
        }
        if let (Some(certificate), Some(key)) = (&network.certificate, &network.key) {
            let (certificate, key) = (option_file(dir, "ssl-cert", certificate)?, option_file(dir, "ssl-key", key)?);
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
        let address = ServerAddress {
            url: url.into(),
            endpoint: match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
            user: options.get_username().into(),
            database: options.get_database().unwrap_or_default().into(),
            has_password: network.password.is_some(),
            tls: TlsOptions { mode: mode.into(), ca: "ssl-ca", certificate: "ssl-cert` and `ssl-key" },
        };
        Ok((Mysql { options, client: client.join(" ") }, address))
    }
}

#[async_trait]
impl Server for Mysql {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    fn version_query(&self) -> &'static str {
        "select concat(if(version() like '%MariaDB%', 'MariaDB ', 'MySQL '), version())"
    }

    async fn connect(&self) -> SqlxResult<Box<dyn Session>> {
        let mut connection = self.options.connect().await?;
        let id = connection.fetch_one("select connection_id()").await?.try_get_unchecked(0)?;
        Ok(Box::new(MysqlSession { connection, id, options: self.options.clone() }))
    }

    fn parameter(&self, _: usize) -> String {
        "?".into()
    }

    fn begin(&self) -> &'static str {
        "begin"
    }

    fn is_transactional(&self, statement: &Statement<'_>) -> bool {
        !statement.commits_implicitly()
    }

    fn classify(&self, e: &sqlx::Error, _: &str) -> ErrorClass {
        use sqlx::Error as E;
        let E::Database(db) = e else {
            return match e {
                E::Decode(_) | E::ColumnDecode { .. } | E::Encode(_) => ErrorClass::Rejected(e.to_string()),
                _ => ErrorClass::ConnectionLost,
            };
        };
        match error_number(e) {
            // access denied, too many connections, shutting down, killed
            Some(1040 | 1044 | 1045 | 1049 | 1053 | 1130 | 1203 | 1927 | 4031) => ErrorClass::ConnectionLost,
            Some(1615) => ErrorClass::StaleStatement,
            Some(number) => ErrorClass::Rejected(format!(
                "the database refused: {} ({number}, {})",
                db.message(),
                db.code().unwrap_or_default()
            )),
            None => ErrorClass::Rejected(db.message().into()),
        }
    }

    fn error_code(&self, e: &sqlx::Error) -> Option<String> {
        error_number(e).map(|n| n.to_string())
    }

    fn literal(&self, value: &Value) -> String {
        match value {
            Value::Time(t) => literal::mysql(&Value::text(format_datetime(*t))),
            Value::Duration(d) => literal::mysql(&Value::text(format_time(*d))),
            other => literal::mysql(other),
        }
    }

    fn client_command(&self, input: ClientInput<'_>) -> String {
        let client = &self.client;
        match input {
            ClientInput::Sql(sql) => format!("{client} -e {}", shell_word(sql)),
            ClientInput::File(path) => {
                format!("(echo 'begin;'; cat {}; echo '; commit;') | {client}", shell_word(path))
            }
        }
    }
}

fn error_number(e: &sqlx::Error) -> Option<u16> {
    e.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

struct MysqlSession {
    connection: MySqlConnection,
    /// The connection id on the server.
    id: u64,
    options: MySqlConnectOptions,
}

#[async_trait]
impl Session for MysqlSession {
    async fn execute(&mut self, sql: &'static str) -> SqlxResult<()> {
        self.connection.execute(sqlx::raw_sql(sql)).await.map(drop)
    }

    async fn run_statement<'s>(
        &'s mut self,
        bound: &'s BoundStatement,
        sql: String,
    ) -> Result<(ResultStream<'s>, Vec<String>), StatementError> {
        let mut arguments = MySqlArguments::default();
        for (i, value) in bound.values.iter().enumerate() {
            bind(&mut arguments, value).map_err(|e| StatementError::NotSent(format!("parameter ?{}: {e}", i + 1)))?;
        }
        let stream = self.connection.fetch_many(sqlx::query_with(AssertSqlSafe(sql), arguments));
        Ok((count_returned(result_stream(stream, MySqlQueryResult::rows_affected, binary_cells)), vec![]))
    }

    fn run_script(&mut self, sql: String) -> ResultStream<'_> {
        let stream = self.connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql)));
        count_returned(result_stream(stream, MySqlQueryResult::rows_affected, text_cells))
    }

    async fn revalidate(&mut self, _: Duration, changes: bool) -> SqlxResult<()> {
        if changes { self.connection.ping().await } else { Ok(()) }
    }

    async fn clear_statement_cache(&mut self) -> SqlxResult<()> {
        self.connection.clear_cached_statements().await
    }

    fn cancel(&self) -> BoxFuture<'static, ()> {
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

/// Counts the rows of `insert … returning`, for which the server reports no affected rows.
fn count_returned(stream: ResultStream<'_>) -> ResultStream<'_> {
    let mut rows = 0;
    let count = move |item| match item {
        StreamItem::Row(cells) => {
            rows += 1;
            StreamItem::Row(cells)
        }
        StreamItem::StatementEnd(affected) => StreamItem::StatementEnd(affected.max(std::mem::take(&mut rows))),
    };
    stream.map_ok(count).boxed()
}

fn bind(arguments: &mut MySqlArguments, value: &Value) -> Result<(), BoxDynError> {
    match value {
        Value::Null => arguments.add(None::<String>),
        Value::Bool(b) => arguments.add(*b),
        Value::Int(i) => arguments.add(*i),
        Value::Uint(u) => arguments.add(*u),
        Value::Float(f) => arguments.add(*f),
        Value::Text(t) => arguments.add(&**t),
        Value::List(_) | Value::Map(_) => arguments.add(value.to_json().to_string()),
        Value::Time(t) => arguments.add(format_datetime(*t)),
        Value::Duration(d) => arguments.add(format_time(*d)),
    }
}

/// The format of `DATETIME` and `TIMESTAMP`. The session's time zone is UTC.
fn format_datetime(t: Timestamp) -> String {
    t.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// The format of `TIME`.
fn format_time(d: SignedDuration) -> String {
    let (sign, seconds) = (if d.is_negative() { "-" } else { "" }, d.as_secs().unsigned_abs());
    let micros = d.subsec_micros().unsigned_abs();
    format!("{sign}{:02}:{:02}:{:02}.{micros:06}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn binary_cells(row: &MySqlRow) -> Vec<(String, Cell)> {
    cells(row, decode::binary)
}

fn text_cells(row: &MySqlRow) -> Vec<(String, Cell)> {
    cells(row, decode::text)
}

fn cells(row: &MySqlRow, decode: fn(&decode::Column<'_>) -> Cell) -> Vec<(String, Cell)> {
    let cell = |i| decode::column(row, i).map_or(Ok(Value::Null), |column| decode(&column));
    row.columns().iter().enumerate().map(|(i, column)| (column.name().to_string(), cell(i))).collect()
}
