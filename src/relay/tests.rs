use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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

async fn says(stream: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(word).await?;
    let mut back = vec![0; word.len()];
    stream.read_exact(&mut back).await?;
    Ok(back)
}

async fn relay() -> Relay {
    Relay::bind("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn carries_bytes_also_for_who_came_before_it_led_anywhere() {
    let relay = relay().await;
    let mut early = TcpStream::connect(relay.address()).await.unwrap();
    early.write_all(b"early").await.unwrap();
    relay.to(echo().await);
    let mut back = [0; 5];
    early.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"early");
    assert_eq!(relay.refused(), 0);
    relay.shutdown().await;
}

#[tokio::test]
async fn a_cut_kills_what_lives_and_counts_only_what_is_tried() {
    let relay = relay().await;
    relay.to(echo().await);
    let mut living = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(says(&mut living, b"one").await.unwrap(), b"one");

    relay.cut();
    assert!(says(&mut living, b"two").await.is_err());
    assert_eq!(relay.refused(), 0, "a connection that was killed was not tried");

    for _ in 0..3 {
        // The handshake is the kernel's; the reset shows at the first word.
        if let Ok(mut stream) = TcpStream::connect(relay.address()).await {
            assert!(says(&mut stream, b"three").await.is_err());
        }
    }
    assert_eq!(relay.refused(), 3);

    relay.heal();
    let mut again = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(says(&mut again, b"four").await.unwrap(), b"four");
    assert!(says(&mut living, b"five").await.is_err(), "healing brings nobody back");
    assert_eq!(relay.refused(), 3);
    relay.shutdown().await;
}

#[tokio::test]
async fn after_shutdown_nobody_listens() {
    let relay = relay().await;
    relay.to(echo().await);
    let address = relay.address();
    let mut living = TcpStream::connect(address).await.unwrap();
    says(&mut living, b"one").await.unwrap();
    relay.shutdown().await;
    assert!(says(&mut living, b"two").await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
}

/// Virtual time: it passes only while everything waits.
async fn paused() -> (Relay, TcpStream) {
    tokio::time::pause();
    let relay = relay().await;
    relay.to(echo().await);
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(says(&mut stream, b"before").await.unwrap(), b"before");
    (relay, stream)
}

async fn met(relay: &Relay, fault: FaultMode, count: u64) {
    while relay.met(fault) < count {
        tokio::task::yield_now().await;
    }
}

/// What a reader finds: bytes, an orderly end, or the kind of an error.
async fn read(stream: &mut TcpStream) -> Result<Vec<u8>, io::ErrorKind> {
    let mut bytes = vec![0; 1024];
    let n = stream.read(&mut bytes).await.map_err(|e| e.kind())?;
    bytes.truncate(n);
    Ok(bytes)
}

#[tokio::test]
async fn an_end_is_orderly_and_loses_nothing() {
    let relay = relay().await;
    relay.to(echo().await);
    let (mut from, mut to) = TcpStream::connect(relay.address()).await.unwrap().into_split();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let whole = sent.clone();
    let sender = tokio::spawn(async move {
        to.write_all(&whole).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut back = vec![];
    from.read_to_end(&mut back).await.unwrap();
    assert!(back == sent);
    sender.await.unwrap();
}

#[tokio::test]
async fn a_delay_holds_each_piece_and_keeps_their_order() {
    let (relay, mut stream) = paused().await;
    let _idle = TcpStream::connect(relay.address()).await.unwrap();
    let minute = FaultMode::Delay(Duration::from_secs(60));
    relay.begin(minute);
    let began = tokio::time::Instant::now();
    for i in 0..30_u8 {
        stream.write_all(&[i]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut back = [0; 30];
    stream.read_exact(&mut back[..1]).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(120), "a minute there, a minute back: {:?}", began.elapsed());
    stream.read_exact(&mut back[1..]).await.unwrap();
    assert!(back.iter().enumerate().all(|(i, b)| i == usize::from(*b)), "{back:?}");
    assert!(began.elapsed() < Duration::from_secs(15 * 60), "they travel together: {:?}", began.elapsed());
    assert_eq!(relay.met(minute), 1, "over the idle one nothing was delayed");

    relay.end(minute);
    let healed = tokio::time::Instant::now();
    assert_eq!(says(&mut stream, b"three").await.unwrap(), b"three");
    assert_eq!(healed.elapsed(), Duration::ZERO);
    assert_eq!(relay.met(minute), 1);
}

#[tokio::test]
async fn healed_what_was_held_back_arrives_at_once() {
    for fault in [FaultMode::Delay(Duration::MAX), FaultMode::Throttle(1)] {
        let relay = relay().await;
        relay.to(echo().await);
        let mut stream = TcpStream::connect(relay.address()).await.unwrap();
        relay.begin(fault);
        let word = vec![b'x'; 50_000];
        stream.write_all(&word).await.unwrap();
        met(&relay, fault, 1).await;
        relay.end(fault);
        let mut back = vec![0; word.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(says(&mut stream, b"after").await.unwrap(), b"after");
    }
}

#[tokio::test]
async fn a_reset_waits_until_something_is_sent() {
    let (relay, mut stream) = paused().await;
    let mut other = TcpStream::connect(relay.address()).await.unwrap();
    relay.begin(FaultMode::Reset);
    let mut new = TcpStream::connect(relay.address()).await.unwrap();
    for stream in [&mut stream, &mut new] {
        stream.write_all(b"word").await.unwrap();
        assert_eq!(read(stream).await, Err(io::ErrorKind::ConnectionReset));
    }
    assert_eq!(relay.met(FaultMode::Reset), 2);
    relay.end(FaultMode::Reset);
    assert_eq!(says(&mut other, b"still here").await.unwrap(), b"still here");
    let mut again = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(says(&mut again, b"again").await.unwrap(), b"again");
    assert_eq!(relay.met(FaultMode::Reset), 2);
}

#[tokio::test]
async fn what_is_swallowed_never_arrives_and_its_connection_is_reset_at_last() {
    let (relay, mut stream) = paused().await;
    let mut idle = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(says(&mut idle, b"idle").await.unwrap(), b"idle");
    relay.begin(FaultMode::Swallow);
    stream.write_all(b"gone").await.unwrap();
    let mut new = TcpStream::connect(relay.address()).await.unwrap();
    new.write_all(b"gone too").await.unwrap();
    for stream in [&mut stream, &mut new] {
        let silence = tokio::time::timeout(Duration::from_secs(3600), read(stream)).await;
        assert!(silence.is_err(), "{silence:?}");
    }
    assert_eq!(relay.met(FaultMode::Swallow), 2);
    relay.end(FaultMode::Swallow);
    for stream in [&mut stream, &mut new] {
        assert_eq!(read(stream).await, Err(io::ErrorKind::ConnectionReset));
    }
    assert_eq!(says(&mut idle, b"unharmed").await.unwrap(), b"unharmed");
    let mut again = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(says(&mut again, b"again").await.unwrap(), b"again");
}

#[tokio::test]
async fn who_hangs_up_while_all_is_swallowed_is_not_heard_either() {
    let (relay, mut stream) = paused().await;
    relay.begin(FaultMode::Swallow);
    stream.shutdown().await.unwrap();
    let silence = tokio::time::timeout(Duration::from_secs(3600), read(&mut stream)).await;
    assert!(silence.is_err(), "the other side would have ended it as well: {silence:?}");
    assert_eq!(relay.met(FaultMode::Swallow), 0, "nothing was sent");
    relay.end(FaultMode::Swallow);
    assert_eq!(read(&mut stream).await, Err(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_throttled_way_lets_so_many_bytes_pass_in_a_second() {
    let (relay, mut stream) = paused().await;
    let slow = FaultMode::Throttle(1000);
    relay.begin(slow);
    let began = tokio::time::Instant::now();
    stream.write_all(&[b'x'; 5000]).await.unwrap();
    let mut back = [0; 5000];
    stream.read_exact(&mut back[..1]).await.unwrap();
    let first = began.elapsed();
    stream.read_exact(&mut back[1..]).await.unwrap();
    let last = began.elapsed();
    assert!(last >= Duration::from_secs(5), "{last:?}");
    assert!(first < last / 2, "it flows: {first:?} of {last:?}");
    assert_eq!(relay.met(slow), 1);
    relay.end(slow);
    let healed = tokio::time::Instant::now();
    assert_eq!(says(&mut stream, b"after").await.unwrap(), b"after");
    assert_eq!(healed.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn the_last_of_several_faults_acts_and_each_is_counted_from_its_beginning() {
    let (relay, mut stream) = paused().await;
    let minute = FaultMode::Delay(Duration::from_secs(60));
    relay.begin(minute);
    relay.begin(FaultMode::Reset);
    relay.begin(FaultMode::Reset);
    stream.write_all(b"word").await.unwrap();
    assert_eq!(read(&mut stream).await, Err(io::ErrorKind::ConnectionReset));
    assert_eq!((relay.met(minute), relay.met(FaultMode::Reset)), (0, 1));

    relay.end(FaultMode::Reset);
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(says(&mut stream, b"slow").await.unwrap(), b"slow");
    assert!(began.elapsed() >= Duration::from_secs(120));

    relay.cut();
    relay.begin(FaultMode::Reset);
    assert_eq!(relay.met(FaultMode::Reset), 0, "it begins anew");
    assert!(says(&mut stream, b"cut").await.is_err());
    let mut refused = TcpStream::connect(relay.address()).await.unwrap();
    assert!(says(&mut refused, b"cut").await.is_err());
    assert_eq!((relay.refused(), relay.met(FaultMode::Reset)), (1, 0), "nothing passes over a link that is cut");
    relay.heal();
    relay.end(FaultMode::Reset);
    relay.end(minute);
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(says(&mut stream, b"well").await.unwrap(), b"well");
    relay.cut();
    assert_eq!(relay.refused(), 0);
}
