//! Connects to MySQL and MariaDB. Parameters have no declared type: each value is sent with its own type.
mod decode;

use super::{
    address::{NetworkAddress, option_file},
    bound_statement::BoundStatement,
    cell::{Cell, cells, too_large},
    connect_error::{ServerAddress, TlsOptions, error_code},
    relay::{Progress, Relay, Socket, Upstream},
    scan::Dialect,
    server::{
        ClientInput, ErrorClass, Opened, ResultStream, Server, Session, SqlxResult, StatementError, StreamItem,
        bind_all, file_in_transaction, result_stream,
    },
    too_large::TooLarge,
};
use crate::{shell::shell_word, value::Value};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use jiff::tz::TimeZone;
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions, Connection, Either, Executor, MySqlConnection, Row,
    error::BoxDynError,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlQueryResult, MySqlRow, MySqlSslMode},
};
use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

pub struct Mysql {
    connector: Arc<Connector>,
    /// The command of the server's own client, with the options that connect it.
    client: String,
}

struct Connector {
    options: MySqlConnectOptions,
    /// How many bytes a row or message may have.
    max_message: usize,
}

/// A connection, and the relay that limits what its server sends.
struct Connected {
    connection: MySqlConnection,
    relay: Relay,
    progress: Progress,
}

impl Connector {
    /// Connects through a relay; without one if no socket can be created.
    async fn connect(&self) -> SqlxResult<Connected> {
        const FILE: &str = "mysql.sock";
        let (options, progress) = (&self.options, Progress::new(self.max_message));
        let Some(socket) = Socket::create(FILE) else {
            let connection = options.connect().await?;
            return Ok(Connected { connection, relay: Relay::default(), progress });
        };
        let upstream = match options.get_socket() {
            Some(path) => Upstream::Socket(path),
            None => Upstream::Tcp(options.get_host(), options.get_port()),
        };
        let server = upstream.connect().await?;
        let options = options.clone().socket(socket.folder().join(FILE));
        let connecting = async { options.connect().await };
        let (connection, relay) = socket.relay(server, progress.clone(), connecting).await?;
        Ok(Connected { connection, relay, progress })
    }
}

impl Connected {
    /// For the next request: the response to the one before was read.
    fn step(&mut self) -> (&mut MySqlConnection, &mut Relay) {
        self.progress.step();
        (&mut self.connection, &mut self.relay)
    }

    /// The response to what `send` sends. Each row that was read makes room for the next one.
    fn stream<'s>(
        &'s mut self,
        send: impl FnOnce(&'s mut MySqlConnection) -> BoxStream<'s, SqlxResult<Either<MySqlQueryResult, MySqlRow>>>,
        decode: fn(&decode::Column<'_>) -> Cell,
    ) -> ResultStream<'s> {
        let progress = self.progress.clone();
        progress.step();
        let rows = rows(send(&mut self.connection), decode).inspect_ok(move |_| progress.step());
        self.relay.response(rows.boxed())
    }

    async fn close(self) {
        self.relay.close(self.connection.close()).await;
    }
}

impl Mysql {
    /// `dir`: the root folder of the plan. `url`: the address for messages. `max_message`: how many bytes a row may have.
    pub fn open(network: &NetworkAddress, dir: &Path, url: &str, max_message: usize) -> Opened {
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
            password: network.password.clone(),
            tls: TlsOptions { mode: mode.into(), ca: "ssl-ca", certificate: "ssl-cert` and `ssl-key" },
        };
        let connector = Arc::new(Connector { options, max_message });
        Ok((Box::new(Mysql { connector, client: client.join(" ") }), address))
    }
}

#[async_trait]
impl Server for Mysql {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    async fn connect(&self) -> SqlxResult<Box<dyn Session>> {
        let mut connected = self.connector.connect().await?;
        let Connected { connection, relay, .. } = &mut connected;
        let row = relay.query(connection.fetch_one("select connection_id()")).await?;
        Ok(Box::new(MysqlSession { connected, id: row.try_get_unchecked(0)?, connector: self.connector.clone() }))
    }

    fn classify(&self, e: &sqlx::Error, _: &str) -> ErrorClass {
        use sqlx::Error as E;
        if let Some(message) = TooLarge::message(e) {
            return ErrorClass::TooLarge(message);
        }
        let E::Database(db) = e else {
            return match e {
                E::Decode(_) | E::ColumnDecode { .. } | E::Encode(_) => ErrorClass::Rejected(e.to_string()),
                _ => ErrorClass::ConnectionLost,
            };
        };
        match error_code(e).unwrap_or_default().as_str() {
            // access denied, too many connections, shutting down, killed
            "1040" | "1044" | "1045" | "1049" | "1053" | "1130" | "1203" | "1927" | "4031" => {
                ErrorClass::ConnectionLost
            }
            "1615" => ErrorClass::StaleStatement,
            number => {
                let (message, state) = (db.message(), db.code().unwrap_or_default());
                ErrorClass::Rejected(format!("the database refused: {message} ({number}, {state})"))
            }
        }
    }

    fn client_command(&self, input: ClientInput<'_>) -> String {
        let client = &self.client;
        match input {
            ClientInput::Sql(sql) => format!("{client} -e {}", shell_word(sql)),
            ClientInput::File(path) => file_in_transaction(path, client),
        }
    }
}

struct MysqlSession {
    connected: Connected,
    /// The connection id on the server.
    id: u64,
    connector: Arc<Connector>,
}

#[async_trait]
impl Session for MysqlSession {
    async fn execute(&mut self, sql: &'static str) -> SqlxResult<()> {
        let (connection, relay) = self.connected.step();
        relay.query(connection.execute(sqlx::raw_sql(sql))).await.map(drop)
    }

    async fn run_statement<'s>(
        &'s mut self,
        bound: &'s BoundStatement,
        sql: String,
    ) -> Result<(ResultStream<'s>, Vec<String>), StatementError> {
        let arguments = bind_all(&bound.values, bind)?;
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
        Ok((self.connected.stream(|c| c.fetch_many(query), decode::binary), vec![]))
    }

    fn run_script(&mut self, sql: String) -> ResultStream<'_> {
        self.connected.stream(|c| c.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql))), decode::text)
    }

    async fn revalidate(&mut self, _: Duration, changes: bool) -> SqlxResult<()> {
        let (connection, relay) = self.connected.step();
        if changes { relay.query(connection.ping()).await } else { Ok(()) }
    }

    async fn clear_statement_cache(&mut self) -> SqlxResult<()> {
        let (connection, relay) = self.connected.step();
        relay.query(connection.clear_cached_statements()).await
    }

    fn cancel(&self) -> BoxFuture<'static, ()> {
        let (connector, id) = (self.connector.clone(), self.id);
        async move {
            let Ok(mut other) = connector.connect().await else { return };
            let kill = sqlx::raw_sql(AssertSqlSafe(format!("kill query {id}")));
            let _ = other.relay.with(other.connection.execute(kill)).await;
            other.close().await;
        }
        .boxed()
    }

    async fn close(self: Box<Self>) {
        self.connected.close().await;
    }
}

/// Decodes the rows. Counts those of `insert … returning`, for which the server reports no affected rows.
fn rows<'s>(
    stream: BoxStream<'s, SqlxResult<Either<MySqlQueryResult, MySqlRow>>>,
    decode: fn(&decode::Column<'_>) -> Cell,
) -> ResultStream<'s> {
    let cell = move |column: decode::Column<'_>| too_large(column.size()).map_or_else(|| decode(&column), Ok);
    let row_cells = move |row: &MySqlRow| cells(row, |i| decode::column(row, i).map_or(Ok(Value::Null), cell));
    let mut rows = 0;
    let count = move |item| match item {
        StreamItem::Row(cells) => {
            rows += 1;
            StreamItem::Row(cells)
        }
        StreamItem::StatementEnd(affected) => StreamItem::StatementEnd(affected.max(std::mem::take(&mut rows))),
    };
    result_stream(stream, MySqlQueryResult::rows_affected, row_cells).map_ok(count).boxed()
}

fn bind(arguments: &mut MySqlArguments, value: &Value) -> Result<(), BoxDynError> {
    match value {
        Value::Null => arguments.add(None::<String>),
        Value::Bool(b) => arguments.add(*b),
        Value::Int(i) => arguments.add(*i),
        Value::Uint(u) => arguments.add(*u),
        Value::Float(f) => arguments.add(*f),
        Value::Text(t) => arguments.add(&**t),
        Value::Unset(reason) => Err(reason.to_string().into()),
        Value::Partial(partial) => Err(partial.reason.to_string().into()),
        Value::Decimal(_) | Value::List(_) | Value::Map(_) | Value::Time(_) | Value::Duration(_) => {
            arguments.add(text(value))
        }
    }
}

/// A value as text: a time in the format of `DATETIME` and `TIMESTAMP` in UTC, the session's time zone; a duration in
/// the format of `TIME`.
pub fn text(value: &Value) -> String {
    match value {
        Value::Time(t) => t.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string(),
        Value::Duration(d) => {
            let (sign, seconds) = (if d.is_negative() { "-" } else { "" }, d.as_secs().unsigned_abs());
            let micros = d.subsec_micros().unsigned_abs();
            format!("{sign}{:02}:{:02}:{:02}.{micros:06}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        other => other.to_string(),
    }
}
