//! A server that sends more than the memory should hold: the action ends with a reason, whatever the server announces.
use super::*;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::Instant,
};

const TOO_LARGE: &str = "sent more than 32 MiB in one row or message";

/// Starts a server, and returns its address. The server ends a connection when it cannot write.
fn serve(behave: fn(TcpStream) -> std::io::Result<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || behave(stream));
        }
    });
    address
}

fn endless(mut stream: impl Write, block: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(block)?;
    }
}

/// Answers the request for TLS, and reads the first message.
fn postgres_start(stream: &mut TcpStream, tls: u8) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 8])?;
    stream.write_all(&[tls])
}

fn announces_2_gb(mut stream: TcpStream) -> std::io::Result<()> {
    postgres_start(&mut stream, b'N')?;
    stream.write_all(b"R\x7f\xff\xff\xff")?;
    endless(stream, &[b'x'; 65536])
}

/// Announces it, and sends nothing more: the memory must not be filled before the content is there.
fn announces_2_gb_with_tls(mut stream: TcpStream) -> std::io::Result<()> {
    postgres_start(&mut stream, b'S')?;
    let own = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream);
    stream.write_all(b"R\x7f\xff\xff\xff")?;
    stream.flush()?;
    stream.read_exact(&mut [0; 1 << 20])
}

fn settings_without_an_end(mut stream: TcpStream) -> std::io::Result<()> {
    postgres_start(&mut stream, b'N')?;
    stream.write_all(b"R\0\0\0\x08\0\0\0\0")?;
    for n in 0_u32.. {
        let name = format!("{n:060000}\0");
        stream.write_all(b"S")?;
        stream.write_all(&u32::try_from(name.len() + 6).unwrap().to_be_bytes())?;
        stream.write_all(name.as_bytes())?;
        stream.write_all(b"x\0")?;
    }
    Ok(())
}

/// A greeting that goes on in one packet after the other.
fn packets_without_an_end(stream: TcpStream) -> std::io::Result<()> {
    let mut packet = vec![b'x'; 0xff_ff_ff + 4];
    packet[..4].copy_from_slice(&[0xff, 0xff, 0xff, 0]);
    endless(stream, &packet)
}

#[tokio::test]
async fn servers_that_send_too_much_are_left_at_once() {
    for (scheme, behave) in [
        ("postgres", announces_2_gb as fn(TcpStream) -> std::io::Result<()>),
        ("postgres", announces_2_gb_with_tls),
        ("postgres", settings_without_an_end),
        ("mysql", packets_without_an_end),
    ] {
        let (address, started) = (serve(behave), Instant::now());
        let error = Harness::new(&Db, ".").open(&format!("db: {scheme}://u:s3cret@{address}/d")).await.err();
        let error = error.expect("the server is hostile").to_string();
        assert!(error.contains(&format!("{address} {TOO_LARGE}")) && error.contains("raise `limit`"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_message_without_a_valid_length_is_an_error() {
    let address = serve(|mut stream| {
        postgres_start(&mut stream, b'N')?;
        stream.write_all(b"R\0\0\0\x03")?;
        stream.read_exact(&mut [0; 1 << 20])
    });
    let error = Harness::new(&Db, ".").open(&format!("db: postgres://u@{address}/d")).await.err();
    let error = error.expect("the message is invalid").to_string();
    assert!(error.contains(&format!("{address}: a message with an invalid length")), "{error}");
}

/// A wide row is an error that names the limit, a long result is partial as always, and the target works on.
async fn large_results(url: &str, wide: &str, long: &str) {
    let s = Harness::new(&Db, ".").open(&format!("db: '{url}'")).await.unwrap();
    for body in [format!("sql: {wide}"), format!("transaction: [{wide}, select 1]")] {
        let error = s.error(&body).await.to_string();
        assert!(error.contains(&format!("the database {TOO_LARGE}")), "{error}");
        assert!(matches!(s.error(&body).await, ActionError::Invalid(_)));
    }
    let output = s.output(&format!("sql: {long}")).await;
    let Value::Partial(rows) = at(&output, "rows") else { panic!("the result is larger than the limit") };
    assert!(rows.reason.contains("more rows were not kept"), "{}", rows.reason);

    let wider = Harness::new(&Db, ".").open(&format!("db: '{url}'\nlimit: 64 MiB")).await.unwrap();
    let output = wider.output(&format!("sql: {wide}")).await;
    let Value::Unset(reason) = at(&output, "rows.0.a") else { panic!("the value is too large") };
    assert!(reason.contains("more than 8 MiB"), "{reason}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_rows_are_limited_and_results_are_not() {
    let url = server("TP_TEST_POSTGRES");
    let wide = "\"select repeat('x', 80000000) as a\"";
    let long = "select i, repeat('x', 1000) as t from generate_series(1, 100000) as i";
    large_results(&url, wide, long).await;
    // Also with TLS.
    let localhost = address(&url, "postgres", None, "postgres").replace("127.0.0.1", "localhost");
    let ca = format!("{}/ca.pem", server("TP_TEST_TLS"));
    large_results(&format!("{localhost}?sslmode=verify-full&sslrootcert={ca}"), wide, long).await;
}

#[tokio::test]
#[ignore = "needs MariaDB: tests/run"]
async fn mariadb_rows_are_limited_and_results_are_not() {
    let columns: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(|c| format!("repeat('x', 15000000) as {c}")).into();
    let wide = format!("\"select {}\"", columns.join(", "));
    large_results(&server("TP_TEST_MARIADB"), &wide, "select seq, repeat('x', 1000) as t from seq_1_to_100000").await;
}

/// The folder of each socket is private, and removed once the library is connected.
#[tokio::test]
#[ignore = "needs PostgreSQL and MariaDB: tests/run"]
async fn sockets_leave_nothing_behind() {
    let folders = || {
        let of_ours = |e: &std::fs::DirEntry| e.file_name().to_string_lossy().starts_with("tp-db-");
        std::fs::read_dir(std::env::temp_dir()).unwrap().filter_map(Result::ok).filter(of_ours).count()
    };
    let (pg, maria) = (postgres().await, mariadb().await);
    pg.output("sql: select 1").await;
    maria.output("sql: select 1").await;
    for _ in 0..100 {
        if folders() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} folders are left", folders());
}
