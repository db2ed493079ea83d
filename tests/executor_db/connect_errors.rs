//! A database that cannot be reached: every cause has its own message, and none contains a password.
use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use tp_runner::{
    executor::{Permission, ProbeStatus},
    expr::Scope,
};

async fn connect_error(target: &str) -> String {
    match Harness::new(&Db, ".").open(&format!("db: '{target}'")).await.err() {
        Some(ActionError::Unreachable(message)) => {
            assert!(!message.contains("s3cret"), "{message}");
            message
        }
        other => panic!("{target}: {:?}", other.map(|e| e.to_string())),
    }
}

/// The folder of certificates from `tests/run`: `ca.pem` signed the servers' certificate for `localhost`, `other.pem`
/// did not.
fn authorities() -> String {
    server("TP_TEST_TLS")
}

fn port(url: &str) -> u16 {
    let host = url.rsplit_once('@').map_or(url, |(_, h)| h);
    host.split(['/', '?']).next().and_then(|h| h.rsplit_once(':')).expect("a port").1.parse().unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_login_errors_say_why() {
    let (s, url) = (postgres().await, server("TP_TEST_POSTGRES"));
    let rule = "select count(*) as n from pg_hba_file_rules where 'tp_password' = any(user_name) and auth_method = 'scram-sha-256'";
    assert_ne!(at(&s.output(&format!("sql: \"{rule}\"")).await, "rows.0.n"), Value::Int(0), "tests/run sets this up");
    s.output("sql: drop role if exists tp_password").await;
    s.output("sql: create role tp_password login password 'Kq71-right-Zx9'").await;
    let to = |user: &str, name: &str| address(&url, user, None, name);
    for (target, expected) in [
        (to("tp_password:s3cret", "postgres"), "wrong password for user `tp_password` (28P01)"),
        (to("tp_password", "postgres"), "login of `tp_password` without a password was rejected"),
        (to("postgres", "nowhere"), "has no database `nowhere` (3D000)"),
        (to("unknown_role:s3cret", "postgres"), "login of `unknown_role` from this host was rejected (28000)"),
        (address(&url, "a:s3cret", Some("127.0.0.1:1"), "x"), "connection refused by 127.0.0.1:1"),
        (
            address(&url, "a:s3cret", Some("no-such-host.invalid"), "x"),
            "host not found (DNS): no-such-host.invalid:5432",
        ),
    ] {
        let message = connect_error(&target).await;
        assert!(message.contains(expected), "{target}: {message}");
    }
    let right = to("tp_password:Kq71-right-Zx9", "postgres");
    let inside = Harness::new(&Db, ".").open(&format!("db: '{right}'")).await.unwrap();
    inside.output("sql: select 1 as one").await;
    // The password is masked from the first use of the target.
    assert_eq!(inside.secrets.mask("it is Kq71-right-Zx9").as_deref(), Some("it is ‹database-password›"));
}

#[tokio::test]
#[ignore = "needs MariaDB: tests/run"]
async fn mariadb_login_errors_say_why() {
    let (s, url) = (mariadb().await, server("TP_TEST_MARIADB"));
    s.output("sql: create or replace user tp_password identified by 'right'").await;
    let to = |user: &str, name: &str| address(&url, user, None, name);
    for (target, expected) in [
        (to("tp_password:s3cret", ""), "wrong password for user `tp_password` (1045)"),
        (to("tp_password", ""), "login of `tp_password` without a password was rejected (1045)"),
        (to("root", "nowhere"), "has no database `nowhere` (1049)"),
        (
            to("tp_password:right", "nowhere"),
            "user `tp_password` has no access to database `nowhere`, or it does not exist (1044)",
        ),
        (address(&url, "a:s3cret", Some("127.0.0.1:1"), "x"), "connection refused by 127.0.0.1:1"),
        (
            address(&url, "a:s3cret", Some("no-such-host.invalid"), "x"),
            "host not found (DNS): no-such-host.invalid:3306",
        ),
    ] {
        let message = connect_error(&target).await;
        assert!(message.contains(expected), "{target}: {message}");
    }
    Harness::new(&Db, ".").open(&format!("db: '{}'", to("tp_password:right", ""))).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL and MariaDB: tests/run"]
async fn tls_follows_the_options_of_the_address() {
    let (pg, maria, tls) = (server("TP_TEST_POSTGRES"), server("TP_TEST_MARIADB"), authorities());
    let postgres = |host: &str, port: u16, options: String| {
        address(&pg, "postgres", Some(&format!("{host}:{port}")), &format!("postgres?{options}"))
    };
    let mariadb = |host: &str, port: u16, options: String| {
        address(&maria, "root", Some(&format!("{host}:{port}")), &format!("?{options}"))
    };
    let (pg_port, maria_port) = (port(&pg), port(&maria));
    let pg_full = |ca: &str| format!("sslmode=verify-full&sslrootcert={tls}/{ca}.pem");
    let maria_full = |ca: &str| format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={tls}/{ca}.pem");

    // Verified with the right CA.
    let s =
        Harness::new(&Db, ".").open(&format!("db: '{}'", postgres("localhost", pg_port, pg_full("ca")))).await.unwrap();
    let output = s.output("sql: select ssl from pg_stat_ssl where pid = pg_backend_pid()").await;
    assert_eq!(at(&output, "rows.0.ssl"), Value::Bool(true));
    let s = Harness::new(&Db, ".")
        .open(&format!("db: '{}'", mariadb("localhost", maria_port, maria_full("ca"))))
        .await
        .unwrap();
    let output = s.output("sql: show status like 'Ssl_version'").await;
    assert_eq!(at(&output, "rows.0.Value"), Value::text("TLSv1.3"));

    let (no_pg, no_maria) = (without_tls(pg_port, Wire::Postgres), without_tls(maria_port, Wire::Mysql));
    for (target, expected) in [
        (
            postgres("localhost", pg_port, pg_full("other")),
            "signed by an unknown authority: set its CA in `sslrootcert`",
        ),
        (postgres("localhost", pg_port, "sslmode=verify-full".into()), "set its CA in `sslrootcert`"),
        (postgres("127.0.0.1", pg_port, pg_full("ca")), "is for another name"),
        (postgres("localhost", no_pg, pg_full("ca")), "does not support TLS, but `sslmode=verify-full` requires it"),
        (
            mariadb("localhost", maria_port, maria_full("other")),
            "signed by an unknown authority: set its CA in `ssl-ca`",
        ),
        (mariadb("localhost", maria_port, "ssl-mode=VERIFY_IDENTITY".into()), "set its CA in `ssl-ca`"),
        (mariadb("127.0.0.1", maria_port, maria_full("ca")), "is for another name"),
        (
            mariadb("localhost", no_maria, maria_full("ca")),
            "does not support TLS, but `ssl-mode=VERIFY_IDENTITY` requires it",
        ),
        (
            mariadb("localhost", no_maria, "ssl-mode=REQUIRED".into()),
            "does not support TLS, but `ssl-mode=REQUIRED` requires it",
        ),
    ] {
        let message = connect_error(&target).await;
        assert!(message.contains(expected), "{target}: {message}");
    }
    // TLS is optional by default, and `verify-ca` does not check the host name.
    for target in [
        postgres("localhost", no_pg, "application_name=x".into()),
        mariadb("localhost", no_maria, "charset=utf8mb4".into()),
        postgres("127.0.0.1", pg_port, pg_full("ca").replace("verify-full", "verify-ca")),
        mariadb("127.0.0.1", maria_port, maria_full("ca").replace("VERIFY_IDENTITY", "VERIFY_CA")),
    ] {
        Harness::new(&Db, ".").open(&format!("db: '{target}'")).await.unwrap_or_else(|e| panic!("{target}: {e}"));
    }
    let e = Harness::new(&Db, ".").open(&format!("db: '{}'", postgres("localhost", pg_port, pg_full("none")))).await;
    let e = e.err().expect("the file does not exist").to_string();
    assert!(e.contains("cannot read the file") && e.contains("`sslrootcert`"), "{e}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL and MariaDB: tests/run"]
async fn client_certificate_is_sent() {
    let (pg, maria, tls) = (postgres().await, mariadb().await, authorities());
    pg.output("sql: drop role if exists tp_certified").await;
    pg.output("sql: create role tp_certified login").await;
    maria.output("sql: create or replace user tp_certified require x509").await;
    for (variable, database, mode, cert, key, expected) in [
        (
            "TP_TEST_POSTGRES",
            "postgres",
            "sslmode=require",
            "sslcert",
            "sslkey",
            "from this host was rejected (28000): connection requires a valid client certificate",
        ),
        (
            "TP_TEST_MARIADB",
            "",
            "ssl-mode=REQUIRED",
            "ssl-cert",
            "ssl-key",
            "without a password was rejected (1045): Access denied",
        ),
    ] {
        let url = server(variable);
        let bare = address(&url, "tp_certified", None, &format!("{database}?{mode}"));
        let e = connect_error(&bare).await;
        assert!(e.contains("login of `tp_certified`") && e.contains(expected), "{e}");
        let with = format!("{bare}&{cert}={tls}/client.pem&{key}={tls}/client.key");
        let s = Harness::new(&Db, ".").open(&format!("db: '{with}'")).await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(at(&s.output("sql: select 1 as one").await, "rows.0.one"), Value::Int(1));
    }
}

#[derive(Clone, Copy)]
enum Wire {
    Postgres,
    Mysql,
}

/// A proxy that makes a server appear to lack TLS. Returns the proxy's port.
fn without_tls(server_port: u16, wire: Wire) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", server_port)) else { continue };
            let _ = match wire {
                Wire::Postgres => decline_tls(&mut client),
                Wire::Mysql => forward_greeting_without_tls(&mut client, &mut server),
            };
            let (mut a, mut b) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut a, &mut b));
            std::thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    port
}

/// PostgreSQL: replies `N` to the client's eight-byte TLS request.
fn decline_tls(client: &mut TcpStream) -> std::io::Result<()> {
    client.read_exact(&mut [0; 8])?;
    client.write_all(b"N")
}

/// MySQL: clears the TLS bit of the server's greeting, after protocol, version, thread, eight bytes of salt and a zero.
fn forward_greeting_without_tls(client: &mut TcpStream, server: &mut TcpStream) -> std::io::Result<()> {
    let mut head = [0; 4];
    server.read_exact(&mut head)?;
    let mut greeting = vec![0; usize::from(head[0]) + (usize::from(head[1]) << 8)];
    server.read_exact(&mut greeting)?;
    let version = greeting[1..].iter().position(|b| *b == 0).expect("a terminated version") + 2;
    greeting[version + 4 + 8 + 1 + 1] &= !0x08;
    client.write_all(&head)?;
    client.write_all(&greeting)
}

/// Probes the privileges on a table: whether each is granted, and the message.
async fn probe(target: &str, table: &str) -> Vec<(bool, String)> {
    let s = Harness::new(&Db, ".").open(&format!("db: '{target}'")).await.unwrap();
    let permission = |verb| Permission { verb, resource: table.into(), namespace: None, essential: true };
    let permissions = ["select", "insert", "update", "delete"].map(permission);
    let found = s.target.as_ref().unwrap().probe(&permissions, &Scope::default()).await;
    found.into_iter().skip(1).map(|f| (f.status == ProbeStatus::Ok, f.found)).collect()
}

#[tokio::test]
#[ignore = "needs PostgreSQL and MariaDB: tests/run"]
async fn probe_checks_table_privileges() {
    for variable in ["TP_TEST_POSTGRES", "TP_TEST_MARIADB"] {
        let url = server(variable);
        let (table, user) = (unique(), unique());
        let s = Harness::new(&Db, ".").open(&format!("db: '{url}'")).await.unwrap();
        let host = if variable.ends_with("MARIADB") { "@'127.0.0.1'" } else { "" };
        let database = url.rsplit('/').next().unwrap();
        s.output(&format!("sql: create table {table} (id int)")).await;
        s.output(&format!("sql: insert into {table} values (1)")).await;
        let role =
            if host.is_empty() { format!("create role {user} login") } else { format!("create user {user}{host}") };
        s.output(&format!("sql: {role}")).await;
        s.output(&format!("sql: \"grant select, insert on {table} to {user}{host}\"")).await;
        let theirs = address(&url, &user, None, database);
        let granted = probe(&theirs, &table).await;
        assert_eq!(granted.iter().map(|(ok, _)| *ok).collect::<Vec<_>>(), [true, true, false, false], "{granted:?}");
        assert!(granted[3].1.to_lowercase().contains("denied"), "{granted:?}");
        let none = probe(&theirs, "no_such_table").await;
        assert!(none.iter().all(|(ok, _)| !ok), "{none:?}");
        // The probes changed nothing.
        assert_eq!(at(&s.output(&format!("sql: select id from {table}")).await, "rows.0.id"), value(json!(1)));
        s.output(&format!("sql: drop table {table}")).await;
        let role = if host.is_empty() { format!("drop role {user}") } else { format!("drop user {user}{host}") };
        s.output(&format!("sql: {role}")).await;
    }
    let (s, _dir) = sqlite().await;
    let permission = Permission { verb: "delete", resource: "t".into(), namespace: None, essential: true };
    let found = s.target.as_ref().unwrap().probe(&[permission], &Scope::default()).await;
    assert_eq!(found[1].found, "allowed");
}
