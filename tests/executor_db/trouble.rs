//! A database that could not be asked: each reason has its own sentence, and none shows a password.
use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use tp_runner::{
    executor::{Need, ProbeStatus},
    expr::Scope,
};

async fn refusal(target: &str) -> String {
    match Stage::new("db", ".").open(&format!("db: '{target}'")).await.err() {
        Some(ActionError::Unreachable(said)) => {
            assert!(!said.contains("s3cret"), "{said}");
            said
        }
        other => panic!("{target}: {:?}", other.map(|e| e.to_string())),
    }
}

/// Where a server's TLS was set up by `tests/run`: a folder with the `ca.pem` that signed its certificate for `localhost`, and
/// `other.pem`, which did not.
fn authorities() -> Option<String> {
    server("TP_TEST_TLS")
}

fn port(url: &str) -> u16 {
    let host = url.rsplit_once('@').map_or(url, |(_, h)| h);
    host.split(['/', '?']).next().and_then(|h| h.rsplit_once(':')).expect("a port").1.parse().unwrap()
}

#[tokio::test]
async fn a_postgres_that_does_not_let_in_says_why() {
    let (Some(s), Some(url)) = (postgres().await, server("TP_TEST_POSTGRES")) else { return };
    let rule = "select count(*) as n from pg_hba_file_rules where 'tp_password' = any(user_name) and auth_method = 'scram-sha-256'";
    assert_ne!(at(&s.see(&format!("sql: \"{rule}\"")).await, "rows.0.n"), Value::Int(0), "tests/run sets this up");
    s.see("sql: drop role if exists tp_password").await;
    s.see("sql: create role tp_password login password 'right'").await;
    let to = |user: &str, name: &str| address(&url, user, None, name);
    for (target, expected) in [
        (to("tp_password:s3cret", "postgres"), "the password of `tp_password` is not accepted (28P01)"),
        (to("tp_password", "postgres"), "`tp_password` is not let in without a password"),
        (to("postgres", "nowhere"), "has no database `nowhere` (3D000)"),
        (to("nobody:s3cret", "postgres"), "`nobody` is not let in from here (28000)"),
        (address(&url, "a:s3cret", Some("127.0.0.1:1"), "x"), "nobody listens at 127.0.0.1:1 (connection refused)"),
        (
            address(&url, "a:s3cret", Some("no-such-host.invalid"), "x"),
            "the name of no-such-host.invalid:5432 is not known",
        ),
    ] {
        let said = refusal(&target).await;
        assert!(said.contains(expected), "{target}: {said}");
    }
    let right = to("tp_password:right", "postgres");
    let inside = Stage::new("db", ".").open(&format!("db: '{right}'")).await.unwrap();
    inside.see("sql: select 1 as one").await;
    // From its first use on, the password is masked wherever it turns up.
    assert_eq!(inside.secrets.mask("it is right").as_deref(), Some("it is ‹database-password›"));
}

#[tokio::test]
async fn a_mariadb_that_does_not_let_in_says_why() {
    let (Some(s), Some(url)) = (mariadb().await, server("TP_TEST_MARIADB")) else { return };
    s.see("sql: create or replace user tp_password identified by 'right'").await;
    let to = |user: &str, name: &str| address(&url, user, None, name);
    for (target, expected) in [
        (to("tp_password:s3cret", ""), "the password of `tp_password` is not accepted (1045)"),
        (to("tp_password", ""), "`tp_password` is not let in without a password (1045)"),
        (to("root", "nowhere"), "has no database `nowhere` (1049)"),
        (
            to("tp_password:right", "nowhere"),
            "`tp_password` may not use the database `nowhere`, or there is none (1044)",
        ),
        (address(&url, "a:s3cret", Some("127.0.0.1:1"), "x"), "nobody listens at 127.0.0.1:1 (connection refused)"),
        (
            address(&url, "a:s3cret", Some("no-such-host.invalid"), "x"),
            "the name of no-such-host.invalid:3306 is not known",
        ),
    ] {
        let said = refusal(&target).await;
        assert!(said.contains(expected), "{target}: {said}");
    }
    Stage::new("db", ".").open(&format!("db: '{}'", to("tp_password:right", ""))).await.unwrap();
}

#[tokio::test]
async fn tls_is_what_the_address_asks_for() {
    let (Some(pg), Some(maria), Some(tls)) = (server("TP_TEST_POSTGRES"), server("TP_TEST_MARIADB"), authorities())
    else {
        return;
    };
    let postgres = |host: &str, port: u16, options: String| {
        address(&pg, "postgres", Some(&format!("{host}:{port}")), &format!("postgres?{options}"))
    };
    let mariadb = |host: &str, port: u16, options: String| {
        address(&maria, "root", Some(&format!("{host}:{port}")), &format!("?{options}"))
    };
    let (pg_port, maria_port) = (port(&pg), port(&maria));
    let pg_full = |ca: &str| format!("sslmode=verify-full&sslrootcert={tls}/{ca}.pem");
    let maria_full = |ca: &str| format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={tls}/{ca}.pem");

    // Compared with the right authority: it holds, and the connection is a TLS one.
    let s =
        Stage::new("db", ".").open(&format!("db: '{}'", postgres("localhost", pg_port, pg_full("ca")))).await.unwrap();
    let seen = s.see("sql: select ssl from pg_stat_ssl where pid = pg_backend_pid()").await;
    assert_eq!(at(&seen, "rows.0.ssl"), Value::Bool(true));
    let s = Stage::new("db", ".")
        .open(&format!("db: '{}'", mariadb("localhost", maria_port, maria_full("ca"))))
        .await
        .unwrap();
    let seen = s.see("sql: show status like 'Ssl_version'").await;
    assert_eq!(at(&seen, "rows.0.Value"), Value::text("TLSv1.3"));

    let (no_pg, no_maria) = (without_tls(pg_port, Wire::Postgres), without_tls(maria_port, Wire::Mysql));
    for (target, expected) in [
        (
            postgres("localhost", pg_port, pg_full("other")),
            "signed by nobody who is trusted here: name its CA in `sslrootcert`",
        ),
        (postgres("localhost", pg_port, "sslmode=verify-full".into()), "name its CA in `sslrootcert`"),
        (postgres("127.0.0.1", pg_port, pg_full("ca")), "is for another name"),
        (postgres("localhost", no_pg, pg_full("ca")), "offers no TLS, and `sslmode=verify-full` asks for it"),
        (
            mariadb("localhost", maria_port, maria_full("other")),
            "signed by nobody who is trusted here: name its CA in `ssl-ca`",
        ),
        (mariadb("localhost", maria_port, "ssl-mode=VERIFY_IDENTITY".into()), "name its CA in `ssl-ca`"),
        (mariadb("127.0.0.1", maria_port, maria_full("ca")), "is for another name"),
        (mariadb("localhost", no_maria, maria_full("ca")), "offers no TLS, and `ssl-mode=VERIFY_IDENTITY` asks for it"),
        (
            mariadb("localhost", no_maria, "ssl-mode=REQUIRED".into()),
            "offers no TLS, and `ssl-mode=REQUIRED` asks for it",
        ),
    ] {
        let said = refusal(&target).await;
        assert!(said.contains(expected), "{target}: {said}");
    }
    // Where nothing is asked, a server without TLS is spoken to all the same; an authority's name is no matter to `verify-ca`.
    for target in [
        postgres("localhost", no_pg, "application_name=x".into()),
        mariadb("localhost", no_maria, "charset=utf8mb4".into()),
        postgres("127.0.0.1", pg_port, pg_full("ca").replace("verify-full", "verify-ca")),
        mariadb("127.0.0.1", maria_port, maria_full("ca").replace("VERIFY_IDENTITY", "VERIFY_CA")),
    ] {
        Stage::new("db", ".").open(&format!("db: '{target}'")).await.unwrap_or_else(|e| panic!("{target}: {e}"));
    }
    let e = Stage::new("db", ".").open(&format!("db: '{}'", postgres("localhost", pg_port, pg_full("none")))).await;
    let e = e.err().expect("there is no such file").to_string();
    assert!(e.contains("`sslrootcert` names") && e.contains("cannot be read"), "{e}");
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_one_is_wanted() {
    let (Some(pg), Some(maria), Some(tls)) = (postgres().await, mariadb().await, authorities()) else { return };
    pg.see("sql: drop role if exists tp_certified").await;
    pg.see("sql: create role tp_certified login").await;
    maria.see("sql: create or replace user tp_certified require x509").await;
    for (variable, database, mode, cert, key, said) in [
        ("TP_TEST_POSTGRES", "postgres", "sslmode=require", "sslcert", "sslkey", "requires a valid client certificate"),
        ("TP_TEST_MARIADB", "", "ssl-mode=REQUIRED", "ssl-cert", "ssl-key", "(1045): Access denied"),
    ] {
        let url = server(variable).unwrap();
        let bare = address(&url, "tp_certified", None, &format!("{database}?{mode}"));
        let e = refusal(&bare).await;
        assert!(e.contains("`tp_certified` is not let in") && e.contains(said), "{e}");
        let with = format!("{bare}&{cert}={tls}/client.pem&{key}={tls}/client.key");
        let s = Stage::new("db", ".").open(&format!("db: '{with}'")).await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(at(&s.see("sql: select 1 as one").await, "rows.0.one"), Value::Int(1));
    }
}

#[derive(Clone, Copy)]
enum Wire {
    Postgres,
    Mysql,
}

/// A way to a server on which its offer of TLS is taken away: the server then looks as if it had none. Returns its port.
fn without_tls(to: u16, wire: Wire) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let _ = match wire {
                Wire::Postgres => declined(&mut client),
                Wire::Mysql => greeted(&mut client, &mut server),
            };
            let (mut a, mut b) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut a, &mut b));
            std::thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    port
}

/// The client asks for TLS in eight bytes, and hears no.
fn declined(client: &mut TcpStream) -> std::io::Result<()> {
    client.read_exact(&mut [0; 8])?;
    client.write_all(b"N")
}

/// The server's greeting, without the bit that offers TLS: behind protocol, version, thread, eight bytes of salt and a zero.
fn greeted(client: &mut TcpStream, server: &mut TcpStream) -> std::io::Result<()> {
    let mut head = [0; 4];
    server.read_exact(&mut head)?;
    let mut greeting = vec![0; usize::from(head[0]) + (usize::from(head[1]) << 8)];
    server.read_exact(&mut greeting)?;
    let version = greeting[1..].iter().position(|b| *b == 0).expect("an end of the version") + 2;
    greeting[version + 4 + 8 + 1 + 1] &= !0x08;
    client.write_all(&head)?;
    client.write_all(&greeting)
}

/// What a user may do with a table is asked of the server, before a plan is performed.
async fn allowed(target: &str, table: &str) -> Vec<(bool, String)> {
    let s = Stage::new("db", ".").open(&format!("db: '{target}'")).await.unwrap();
    let need = |verb| Need { verb, resource: table.into(), namespace: None, essential: true };
    let needs = ["select", "insert", "update", "delete"].map(need);
    let found = s.target.as_ref().unwrap().probe(&needs, &Scope::default()).await;
    found.into_iter().skip(1).map(|f| (f.status == ProbeStatus::Ok, f.seen)).collect()
}

#[tokio::test]
async fn what_a_user_may_do_is_told_beforehand() {
    for variable in ["TP_TEST_POSTGRES", "TP_TEST_MARIADB"] {
        let Some(url) = server(variable) else { continue };
        let (table, user) = (unique(), unique());
        let s = Stage::new("db", ".").open(&format!("db: '{url}'")).await.unwrap();
        let host = if variable.ends_with("MARIADB") { "@'127.0.0.1'" } else { "" };
        let database = url.rsplit('/').next().unwrap();
        s.see(&format!("sql: create table {table} (id int)")).await;
        s.see(&format!("sql: insert into {table} values (1)")).await;
        let role =
            if host.is_empty() { format!("create role {user} login") } else { format!("create user {user}{host}") };
        s.see(&format!("sql: {role}")).await;
        s.see(&format!("sql: \"grant select, insert on {table} to {user}{host}\"")).await;
        let theirs = address(&url, &user, None, database);
        let may = allowed(&theirs, &table).await;
        assert_eq!(may.iter().map(|(well, _)| *well).collect::<Vec<_>>(), [true, true, false, false], "{may:?}");
        assert!(may[3].1.to_lowercase().contains("denied"), "{may:?}");
        let none = allowed(&theirs, "no_such_table").await;
        assert!(none.iter().all(|(well, _)| !well), "{none:?}");
        // nothing of it was done
        assert_eq!(at(&s.see(&format!("sql: select id from {table}")).await, "rows.0.id"), value(json!(1)));
        s.see(&format!("sql: drop table {table}")).await;
        let role = if host.is_empty() { format!("drop role {user}") } else { format!("drop user {user}{host}") };
        s.see(&format!("sql: {role}")).await;
    }
    let (s, _dir) = lite().await;
    let need = Need { verb: "delete", resource: "t".into(), namespace: None, essential: true };
    let found = s.target.as_ref().unwrap().probe(&[need], &Scope::default()).await;
    assert_eq!(found[1].seen, "allowed");
}
