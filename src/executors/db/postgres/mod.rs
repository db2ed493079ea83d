//! Connects to PostgreSQL. Every statement is prepared first: the server infers the types of its parameters, and values
//! are encoded accordingly.
mod decode;
mod encode;
mod messages;
mod tls;

use super::{
    address::{NetworkAddress, option_file},
    bound_statement::BoundStatement,
    cell::{Cell, cells, too_large},
    connect_error::{ServerAddress, TlsOptions, error_code},
    relay::{Relay, Socket, Upstream},
    scan::{Dialect, Scanner, Statement},
    server::{
        ClientInput, ErrorClass, Opened, ResultStream, Server, Session, SqlxResult, StatementError, result_stream,
    },
    too_large::TooLarge,
};
use crate::shell::shell_word;
use async_trait::async_trait;
use decode::{decode, has_binary_format};
use encode::{EncodeError, Param};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use messages::Messages;
use sqlx::{
    Arguments as _, AssertSqlSafe, Column, ConnectOptions, Connection, Either, Executor, PgConnection, Row, SqlSafeStr,
    Statement as _, TypeInfo,
    postgres::{
        PgArguments, PgConnectOptions, PgDatabaseError, PgErrorPosition, PgQueryResult, PgRow, PgSslMode, PgStatement,
    },
};
use std::{path::Path, str::FromStr, sync::Arc, time::Duration};
use tls::Tls;

pub struct Postgres {
    connector: Arc<Connector>,
    /// Without password, for the client command.
    url: String,
}

struct Connector {
    options: PgConnectOptions,
    tls: Tls,
    /// How many bytes a message may have.
    max_message: usize,
}

impl Connector {
    /// Connects through a relay that limits what the server sends; without one if no socket can be created.
    async fn connect(&self) -> SqlxResult<(PgConnection, Relay)> {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        let file = format!(".s.PGSQL.{port}");
        let Some(socket) = Socket::create(&file) else { return Ok((self.options.connect().await?, Relay::default())) };
        let path = match self.options.get_socket() {
            Some(folder) => Some(folder.join(&file)),
            None => host.starts_with('/').then(|| Path::new(host).join(&file)),
        };
        let upstream = path.as_deref().map_or(Upstream::Tcp(host, port), Upstream::Socket);
        let server = self.tls.start(upstream.connect().await?, host).await?;
        let options = self.options.clone().socket(socket.folder()).ssl_mode(PgSslMode::Disable);
        let connecting = async { options.connect().await };
        socket.relay(server, Messages::new(self.max_message), connecting).await
    }
}

impl Postgres {
    /// `dir`: the root folder of the plan. `url`: the address for messages. `max_message`: how many bytes a message may have.
    pub fn open(network: &NetworkAddress, dir: &Path, url: &str, max_message: usize) -> Opened {
        let mut options = PgConnectOptions::from_str(&network.url)?;
        options = options.application_name("tp-runner").disable_statement_logging();
        let file = |option, path: &Option<String>| path.as_ref().map(|p| option_file(dir, option, p)).transpose();
        let ca = file("sslrootcert", &network.ca)?;
        let (certificate, key) = (file("sslcert", &network.certificate)?, file("sslkey", &network.key)?);
        if let Some(path) = &ca {
            options = options.ssl_root_cert(path);
        }
        if let Some(path) = &certificate {
            options = options.ssl_client_cert(path);
        }
        if let Some(path) = &key {
            options = options.ssl_client_key(path);
        }
        let mode = match options.get_ssl_mode() {
            PgSslMode::Require => "sslmode=require",
            PgSslMode::VerifyCa => "sslmode=verify-ca",
            PgSslMode::VerifyFull => "sslmode=verify-full",
            _ => "sslmode",
        };
        let address = ServerAddress {
            url: url.into(),
            endpoint: match options.get_socket() {
                Some(folder) => folder.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
            user: options.get_username().into(),
            database: options.get_database().unwrap_or(options.get_username()).into(),
            password: network.password.clone(),
            tls: TlsOptions { mode: mode.into(), ca: "sslrootcert", certificate: "sslcert` and `sslkey" },
        };
        let tls = Tls::new(options.get_ssl_mode(), ca, certificate, key);
        let connector = Arc::new(Connector { options, tls, max_message });
        Ok((Box::new(Postgres { connector, url: url.into() }), address))
    }
}

#[async_trait]
impl Server for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn connect(&self) -> SqlxResult<Box<dyn Session>> {
        let (mut connection, mut relay) = self.connector.connect().await?;
        let row = relay.query(connection.fetch_one("select pg_backend_pid()")).await?;
        let (process_id, connector) = (row.try_get(0)?, self.connector.clone());
        Ok(Box::new(PostgresSession { connection, relay, process_id, connector, statement: None }))
    }

    fn classify(&self, e: &sqlx::Error, sql: &str) -> ErrorClass {
        if let Some(message) = TooLarge::message(e) {
            return ErrorClass::TooLarge(message);
        }
        if is_lost(e) {
            return ErrorClass::ConnectionLost;
        }
        let sqlx::Error::Database(db) = e else { return ErrorClass::Rejected(e.to_string()) };
        let Some(e) = db.try_downcast_ref::<PgDatabaseError>() else {
            return ErrorClass::Rejected(db.message().into());
        };
        // The table was altered after the statement was prepared.
        if e.code() == "0A000" && e.message().contains("cached plan") {
            return ErrorClass::StaleStatement;
        }
        ErrorClass::Rejected(rejection(e, sql))
    }

    fn client_command(&self, input: ClientInput<'_>) -> String {
        let address = shell_word(&self.url);
        match input {
            ClientInput::Sql(sql) => format!("psql {address} -c {}", shell_word(sql)),
            ClientInput::File(path) => format!("psql {address} -1 -f {}", shell_word(path)),
        }
    }
}

/// The error for `copy` from or to the client. If it were sent, the server would wait forever for data.
const COPY_ERROR: &str = "`copy` from `stdin` or to `stdout` is not supported; write `insert` or `select`";

struct PostgresSession {
    connection: PgConnection,
    relay: Relay,
    /// The connection's process on the server.
    process_id: i32,
    connector: Arc<Connector>,
    /// The running statement.
    statement: Option<PgStatement>,
}

#[async_trait]
impl Session for PostgresSession {
    async fn execute(&mut self, sql: &'static str) -> SqlxResult<()> {
        self.relay.query(self.connection.execute(sql)).await.map(drop)
    }

    async fn run_statement<'s>(
        &'s mut self,
        bound: &'s BoundStatement,
        sql: String,
    ) -> Result<(ResultStream<'s>, Vec<String>), StatementError> {
        if bound.statement().copies_to_client() {
            return Err(StatementError::NotSent(COPY_ERROR.into()));
        }
        let (statement, arguments, notes) =
            match self.relay.with(prepare_bound(&mut self.connection, bound, sql.clone())).await {
                // Nothing was executed yet. A script returns every type as text.
                Err(StatementError::Server(e, _)) if is_unsupported_type(&e) && bound.values.is_empty() => {
                    let note = "columns read as text: a type is not supported".to_string();
                    return Ok((self.run_script(sql), vec![note]));
                }
                Err(StatementError::Server(e, _)) if is_unsupported_type(&e) => {
                    let message = "a type in this statement is not supported; cast it: `x::text`";
                    return Err(StatementError::NotSent(message.into()));
                }
                Err(StatementError::Server(e, sql)) => return Err(StatementError::Server(self.relay.explain(e), sql)),
                prepared => prepared?,
            };
        let statement = self.statement.insert(statement);
        let stream = self.connection.fetch_many(statement.query_with(arguments));
        Ok((self.relay.response(result_stream(stream, PgQueryResult::rows_affected, row_cells)), notes))
    }

    fn run_script(&mut self, sql: String) -> ResultStream<'_> {
        let mut scanner = Scanner::new(Dialect::Postgres);
        scanner.text(&sql);
        if Statement(&scanner.code).copies_to_client() {
            return stream::once(async { Err(sqlx::Error::InvalidArgument(COPY_ERROR.into())) }).boxed();
        }
        let stream = self.connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql)));
        self.relay.response(result_stream(stream, PgQueryResult::rows_affected, row_cells))
    }

    async fn revalidate(&mut self, _: Duration, changes: bool) -> SqlxResult<()> {
        if changes { self.relay.query(self.connection.ping()).await } else { Ok(()) }
    }

    async fn clear_statement_cache(&mut self) -> SqlxResult<()> {
        self.relay.query(self.connection.clear_cached_statements()).await
    }

    fn cancel(&self) -> BoxFuture<'static, ()> {
        let (connector, process_id) = (self.connector.clone(), self.process_id);
        async move {
            let Ok((mut other, mut relay)) = connector.connect().await else { return };
            let cancel = sqlx::query("select pg_cancel_backend($1)").bind(process_id);
            let _ = relay.with(cancel.execute(&mut other)).await;
            relay.close(other.close()).await;
        }
        .boxed()
    }

    async fn close(self: Box<Self>) {
        self.relay.close(self.connection.close()).await;
    }
}

/// Whether the library failed on a newer kind of type, such as a multirange.
fn is_unsupported_type(e: &sqlx::Error) -> bool {
    matches!(e, sqlx::Error::ColumnDecode { index, .. } if index.contains("typtype"))
}

async fn prepare(c: &mut PgConnection, sql: String) -> SqlxResult<PgStatement> {
    c.prepare(AssertSqlSafe(sql).into_sql_str()).await
}

/// Prepares a statement and encodes its values with the inferred types. Returns a note on columns that are read as
/// text.
async fn prepare_bound(
    c: &mut PgConnection,
    bound: &BoundStatement,
    mut sql: String,
) -> Result<(PgStatement, PgArguments, Vec<String>), StatementError> {
    let mut statement = prepare(c, sql.clone()).await?;
    let types = match statement.parameters() {
        Some(Either::Left(types)) => types.to_vec(),
        _ => vec![],
    };
    let (expected, found) = (types.len(), bound.values.len());
    if expected != found {
        let message = format!("the statement has {expected} parameters, but {found} values are bound");
        return Err(StatementError::NotSent(message));
    }
    let mut arguments = PgArguments::default();
    let mut casts = vec![];
    for (i, (value, ty)) in bound.values.iter().zip(&types).enumerate() {
        let param = match Param::new(value, ty) {
            Ok(param) => param,
            Err(EncodeError::NeedsCast) => {
                casts.push(i);
                Param::text(value)
            }
            Err(EncodeError::Mismatch(reason)) => {
                let (number, name) = (i + 1, ty.name());
                let message = format!("parameter ${number} ({name}): invalid value `{value}`: {reason}");
                return Err(StatementError::NotSent(message));
            }
        };
        arguments.add(param).map_err(|e| StatementError::NotSent(e.to_string()))?;
    }
    if !casts.is_empty() {
        sql = bound.sql(|i, _| match casts.contains(&i) {
            true => format!("(${}::text)::{}", i + 1, types[i].name()),
            false => format!("${}", i + 1),
        });
        statement = prepare(c, sql.clone()).await?;
    }
    let unsupported: Vec<String> = statement
        .columns()
        .iter()
        .filter(|col| !has_binary_format(col.type_info()))
        .map(|col| format!("{} ({})", col.name(), col.type_info().name()))
        .collect();
    if unsupported.is_empty() {
        return Ok((statement, arguments, vec![]));
    }
    // Columns of unsupported types are requested as text. This is decided before execution, so that a statement runs
    // only once.
    if let Some(wrapped) = cast_to_text(&sql, &statement) {
        // An error would abort an open transaction. Outside of a transaction, the savepoint fails and is not needed.
        let saved = c.execute("savepoint tp_runner").await.is_ok();
        match prepare(c, wrapped).await {
            Ok(wrapped) => statement = wrapped,
            Err(_) if saved => c.execute("rollback to savepoint tp_runner").await.map(drop)?,
            Err(_) => {}
        }
        if saved {
            c.execute("release savepoint tp_runner").await?;
        }
    }
    Ok((statement, arguments, vec![format!("columns read as text: {}", unsupported.join(", "))]))
}

/// Wraps a statement so that the server casts every column of an unsupported type to text.
fn cast_to_text(sql: &str, statement: &PgStatement) -> Option<String> {
    let first = Statement(sql).first_keyword();
    if !["select", "values", "with", "table", "insert", "update", "delete"].contains(&first.as_str()) {
        return None;
    }
    let columns = statement.columns();
    let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let outer: Vec<String> = columns
        .iter()
        .zip(&names)
        .map(|(col, n)| {
            let cast = if has_binary_format(col.type_info()) { "" } else { "::text" };
            format!("{n}{cast} as \"{}\"", col.name().replace('"', "\"\""))
        })
        .collect();
    let sql = sql.trim_end().trim_end_matches(';');
    Some(format!("with q({}) as ({sql}\n) select {} from q", names.join(", "), outer.join(", ")))
}

fn row_cells(row: &PgRow) -> Vec<(String, Cell)> {
    cells(row, |i| {
        let raw = row.try_get_raw(i).map_err(|e| e.to_string())?;
        too_large(raw.as_bytes().map_or(0, <[u8]>::len)).map_or_else(|| decode(&raw), Ok)
    })
}

/// Whether the connection is closed, or the server is shutting down.
fn is_lost(e: &sqlx::Error) -> bool {
    match error_code(e) {
        Some(c) => {
            ["57P01", "57P02", "57P03", "53300"].contains(&c.as_str()) || c.starts_with("08") || c.starts_with("28")
        }
        None => !matches!(
            e,
            sqlx::Error::InvalidArgument(_)
                | sqlx::Error::Decode(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Encode(_)
        ),
    }
}

/// The server's message, with error code, position in the statement, detail and hint.
fn rejection(e: &PgDatabaseError, sql: &str) -> String {
    let mut message = format!("the database refused: {} ({})", e.message(), e.code());
    if let Some(PgErrorPosition::Original(at)) = e.position() {
        let part: String = sql.chars().skip(at.saturating_sub(1)).take(40).collect();
        message = format!("{message}, at character {at}: `{}`", part.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    for (label, text) in [("detail", e.detail()), ("hint", e.hint())] {
        if let Some(text) = text {
            message = format!("{message}; {label}: {text}");
        }
    }
    message
}
