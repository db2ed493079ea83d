//! The faults of a relay in front of an echo server, with their counters.
use super::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A server that echoes everything.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn send_and_receive(stream: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(word).await?;
    let mut received = vec![0; word.len()];
    stream.read_exact(&mut received).await?;
    Ok(received)
}

async fn relay() -> Relay {
    Relay::bind("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn forwards_data_sent_before_the_upstream_was_set() {
    let relay = relay().await;
    let mut early = TcpStream::connect(relay.address()).await.unwrap();
    early.write_all(b"early").await.unwrap();
    relay.set_upstream(echo().await);
    let mut received = [0; 5];
    early.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"early");
    assert_eq!(relay.affected_connections(FaultMode::Cut), 0);
    relay.shutdown().await;
}

#[tokio::test]
async fn cut_resets_connections_and_counts_only_refused_ones() {
    let relay = relay().await;
    relay.set_upstream(echo().await);
    let mut living = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(send_and_receive(&mut living, b"one").await.unwrap(), b"one");

    relay.start_fault(FaultMode::Cut);
    assert!(send_and_receive(&mut living, b"two").await.is_err());
    assert_eq!(relay.affected_connections(FaultMode::Cut), 0, "an existing connection does not count as refused");

    for _ in 0..3 {
        // The kernel completes the handshake; the reset shows at the first write.
        if let Ok(mut stream) = TcpStream::connect(relay.address()).await {
            assert!(send_and_receive(&mut stream, b"three").await.is_err());
        }
    }
    assert_eq!(relay.affected_connections(FaultMode::Cut), 3);

    relay.stop_fault(FaultMode::Cut);
    let mut again = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(send_and_receive(&mut again, b"four").await.unwrap(), b"four");
    assert!(send_and_receive(&mut living, b"five").await.is_err(), "a reset connection stays closed");
    assert_eq!(relay.affected_connections(FaultMode::Cut), 3);
    relay.shutdown().await;
}

#[tokio::test]
async fn shutdown_closes_listener_and_connections() {
    let relay = relay().await;
    relay.set_upstream(echo().await);
    let address = relay.address();
    let mut living = TcpStream::connect(address).await.unwrap();
    send_and_receive(&mut living, b"one").await.unwrap();
    relay.shutdown().await;
    assert!(send_and_receive(&mut living, b"two").await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
}

/// A connected relay with time paused: it advances only while every task waits.
async fn connected_with_paused_time() -> (Relay, TcpStream) {
    tokio::time::pause();
    let relay = relay().await;
    relay.set_upstream(echo().await);
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(send_and_receive(&mut stream, b"before").await.unwrap(), b"before");
    (relay, stream)
}

async fn wait_until_affected(relay: &Relay, fault: FaultMode, count: u64) {
    while relay.affected_connections(fault) < count {
        tokio::task::yield_now().await;
    }
}

/// Bytes (none at the end of the stream), or the kind of the error.
async fn read(stream: &mut TcpStream) -> Result<Vec<u8>, io::ErrorKind> {
    let mut bytes = vec![0; 1024];
    let n = stream.read(&mut bytes).await.map_err(|e| e.kind())?;
    bytes.truncate(n);
    Ok(bytes)
}

#[tokio::test]
async fn clean_close_delivers_everything() {
    let relay = relay().await;
    relay.set_upstream(echo().await);
    let (mut from, mut to) = TcpStream::connect(relay.address()).await.unwrap().into_split();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let whole = sent.clone();
    let sender = tokio::spawn(async move {
        to.write_all(&whole).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut received = vec![];
    from.read_to_end(&mut received).await.unwrap();
    assert!(received == sent);
    sender.await.unwrap();
}

#[tokio::test]
async fn delay_applies_to_each_chunk_and_keeps_the_order() {
    let (relay, mut stream) = connected_with_paused_time().await;
    let _idle = TcpStream::connect(relay.address()).await.unwrap();
    let minute = FaultMode::Delay(Duration::from_secs(60));
    relay.start_fault(minute);
    let started = tokio::time::Instant::now();
    for i in 0..30_u8 {
        stream.write_all(&[i]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut received = [0; 30];
    stream.read_exact(&mut received[..1]).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(120), "a minute in each direction: {:?}", started.elapsed());
    stream.read_exact(&mut received[1..]).await.unwrap();
    assert!(received.iter().enumerate().all(|(i, b)| i == usize::from(*b)), "{received:?}");
    assert!(started.elapsed() < Duration::from_secs(15 * 60), "delays overlap: {:?}", started.elapsed());
    assert_eq!(relay.affected_connections(minute), 1, "the idle connection is not affected");

    relay.stop_fault(minute);
    let stopped = tokio::time::Instant::now();
    assert_eq!(send_and_receive(&mut stream, b"three").await.unwrap(), b"three");
    assert_eq!(stopped.elapsed(), Duration::ZERO);
    assert_eq!(relay.affected_connections(minute), 1);
}

#[tokio::test]
async fn ending_a_fault_delivers_held_data_immediately() {
    for fault in [FaultMode::Delay(Duration::MAX), FaultMode::Throttle(1)] {
        let relay = relay().await;
        relay.set_upstream(echo().await);
        let mut stream = TcpStream::connect(relay.address()).await.unwrap();
        relay.start_fault(fault);
        let word = vec![b'x'; 50_000];
        stream.write_all(&word).await.unwrap();
        wait_until_affected(&relay, fault, 1).await;
        relay.stop_fault(fault);
        let mut received = vec![0; word.len()];
        stream.read_exact(&mut received).await.unwrap();
        assert_eq!(send_and_receive(&mut stream, b"after").await.unwrap(), b"after");
    }
}

#[tokio::test]
async fn reset_happens_when_data_is_sent() {
    let (relay, mut stream) = connected_with_paused_time().await;
    let mut other = TcpStream::connect(relay.address()).await.unwrap();
    relay.start_fault(FaultMode::Reset);
    let mut new = TcpStream::connect(relay.address()).await.unwrap();
    for stream in [&mut stream, &mut new] {
        stream.write_all(b"word").await.unwrap();
        assert_eq!(read(stream).await, Err(io::ErrorKind::ConnectionReset));
    }
    assert_eq!(relay.affected_connections(FaultMode::Reset), 2);
    relay.stop_fault(FaultMode::Reset);
    assert_eq!(send_and_receive(&mut other, b"still here").await.unwrap(), b"still here");
    let mut again = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(send_and_receive(&mut again, b"again").await.unwrap(), b"again");
    assert_eq!(relay.affected_connections(FaultMode::Reset), 2);
}

#[tokio::test]
async fn swallowed_data_is_lost_and_its_connection_reset_after_the_fault() {
    let (relay, mut stream) = connected_with_paused_time().await;
    let mut idle = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(send_and_receive(&mut idle, b"idle").await.unwrap(), b"idle");
    relay.start_fault(FaultMode::Swallow);
    stream.write_all(b"gone").await.unwrap();
    let mut new = TcpStream::connect(relay.address()).await.unwrap();
    new.write_all(b"gone too").await.unwrap();
    for stream in [&mut stream, &mut new] {
        let outcome = tokio::time::timeout(Duration::from_secs(3600), read(stream)).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
    assert_eq!(relay.affected_connections(FaultMode::Swallow), 2);
    relay.stop_fault(FaultMode::Swallow);
    for stream in [&mut stream, &mut new] {
        assert_eq!(read(stream).await, Err(io::ErrorKind::ConnectionReset));
    }
    assert_eq!(send_and_receive(&mut idle, b"unharmed").await.unwrap(), b"unharmed");
    let mut again = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(send_and_receive(&mut again, b"again").await.unwrap(), b"again");
}

#[tokio::test]
async fn close_is_swallowed_too() {
    let (relay, mut stream) = connected_with_paused_time().await;
    relay.start_fault(FaultMode::Swallow);
    stream.shutdown().await.unwrap();
    let outcome = tokio::time::timeout(Duration::from_secs(3600), read(&mut stream)).await;
    assert!(outcome.is_err(), "the close was forwarded: {outcome:?}");
    assert_eq!(relay.affected_connections(FaultMode::Swallow), 0, "nothing was sent");
    relay.stop_fault(FaultMode::Swallow);
    assert_eq!(read(&mut stream).await, Err(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn throttle_limits_bytes_per_second() {
    let (relay, mut stream) = connected_with_paused_time().await;
    let slow = FaultMode::Throttle(1000);
    relay.start_fault(slow);
    let started = tokio::time::Instant::now();
    stream.write_all(&[b'x'; 5000]).await.unwrap();
    let mut received = [0; 5000];
    stream.read_exact(&mut received[..1]).await.unwrap();
    let first = started.elapsed();
    stream.read_exact(&mut received[1..]).await.unwrap();
    let last = started.elapsed();
    assert!(last >= Duration::from_secs(5), "{last:?}");
    assert!(first < last / 2, "data arrives gradually: {first:?} of {last:?}");
    assert_eq!(relay.affected_connections(slow), 1);
    relay.stop_fault(slow);
    let stopped = tokio::time::Instant::now();
    assert_eq!(send_and_receive(&mut stream, b"after").await.unwrap(), b"after");
    assert_eq!(stopped.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn last_of_several_faults_is_effective_and_counts_since_its_start() {
    let (relay, mut stream) = connected_with_paused_time().await;
    let minute = FaultMode::Delay(Duration::from_secs(60));
    relay.start_fault(minute);
    relay.start_fault(FaultMode::Reset);
    relay.start_fault(FaultMode::Reset);
    stream.write_all(b"word").await.unwrap();
    assert_eq!(read(&mut stream).await, Err(io::ErrorKind::ConnectionReset));
    assert_eq!((relay.affected_connections(minute), relay.affected_connections(FaultMode::Reset)), (0, 1));

    relay.stop_fault(FaultMode::Reset);
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(send_and_receive(&mut stream, b"slow").await.unwrap(), b"slow");
    assert!(started.elapsed() >= Duration::from_secs(120));

    relay.start_fault(FaultMode::Cut);
    relay.start_fault(FaultMode::Reset);
    assert_eq!(relay.affected_connections(FaultMode::Reset), 0, "restarting resets the count");
    assert!(send_and_receive(&mut stream, b"cut").await.is_err());
    let mut refused = TcpStream::connect(relay.address()).await.unwrap();
    assert!(send_and_receive(&mut refused, b"cut").await.is_err());
    assert_eq!(
        (relay.affected_connections(FaultMode::Cut), relay.affected_connections(FaultMode::Reset)),
        (1, 0),
        "a cut outranks other faults"
    );
    relay.stop_fault(FaultMode::Cut);
    relay.stop_fault(FaultMode::Reset);
    relay.stop_fault(minute);
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(send_and_receive(&mut stream, b"well").await.unwrap(), b"well");
    relay.start_fault(FaultMode::Cut);
    assert_eq!(relay.affected_connections(FaultMode::Cut), 0);
}
