//! Reads the bodies of deliveries. Large ones arrive in turns, so that all bodies together take a bounded amount of memory.
use axum::body::{Body, HttpBody};
use futures::StreamExt;
use sha2::{Digest as _, Sha256};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Larger deliveries are answered with 413.
const MAX_BODY_BYTES: usize = 8 << 20;
/// Larger bodies wait for their turn.
const SMALL_BODY_BYTES: usize = 64 << 10;
/// How many large bodies are received and decoded at the same time.
const MAX_LARGE_BODIES: usize = 1;
/// How long a body may take from its turn on: a sender that stops must not hold up the others.
const LARGE_BODY_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Arrivals {
    turns: Arc<Semaphore>,
    timeout: Duration,
}

/// A body, and the turn of a large one, which lasts until this value is dropped.
pub(super) struct Arrived {
    pub body: ArrivedBody,
    pub turn: Option<OwnedSemaphorePermit>,
}

/// What is known of a body.
#[derive(Debug, PartialEq)]
pub(super) enum ArrivedBody {
    Whole {
        bytes: Vec<u8>,
        digest: Digest,
    },
    /// It arrived as a whole, and is too large to be kept.
    NotKept {
        digest: Digest,
    },
    /// Larger than a box accepts.
    TooLarge,
}

/// The SHA-256 of a body.
pub(super) type Digest = [u8; 32];

/// Why a body did not arrive.
#[derive(Debug, PartialEq)]
pub(super) enum ArrivalError {
    /// The sender has disconnected.
    Disconnected,
    TimedOut(Duration),
}

impl Arrivals {
    pub fn new() -> Arrivals {
        Arrivals { turns: Arc::new(Semaphore::new(MAX_LARGE_BODIES)), timeout: LARGE_BODY_TIMEOUT }
    }

    /// A body of more than `room` bytes is not kept: it does not even take memory while it arrives.
    pub async fn read(&self, body: Body, room: usize) -> Result<Arrived, ArrivalError> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut chunks = body.into_data_stream();
        let (mut bytes, mut turn): (Vec<u8>, Option<(OwnedSemaphorePermit, Instant)>) = (vec![], None);
        let (mut arrived, mut digest, mut is_kept) = (0, Sha256::new(), announced <= room);
        loop {
            let next = match &turn {
                None => chunks.next().await,
                Some((_, end)) => {
                    timeout_at(*end, chunks.next()).await.map_err(|_| ArrivalError::TimedOut(self.timeout))?
                }
            };
            let Some(chunk) = next else { break };
            let chunk = chunk.map_err(|_| ArrivalError::Disconnected)?;
            arrived += chunk.len();
            if arrived > MAX_BODY_BYTES {
                return Ok(Arrived { body: ArrivedBody::TooLarge, turn: None });
            }
            digest.update(&chunk);
            if is_kept && arrived > room {
                (is_kept, bytes, turn) = (false, vec![], None);
            }
            if !is_kept {
                continue;
            }
            if arrived > SMALL_BODY_BYTES && turn.is_none() {
                // fails only if the semaphore is closed, which it never is
                let permit = self.turns.clone().acquire_owned().await.map_err(|_| ArrivalError::Disconnected)?;
                turn = Some((permit, Instant::now() + self.timeout));
                bytes.reserve_exact(announced.min(MAX_BODY_BYTES).saturating_sub(bytes.len()));
            }
            bytes.extend_from_slice(&chunk);
        }
        let digest = digest.finalize().into();
        let body = if is_kept { ArrivedBody::Whole { bytes, digest } } else { ArrivedBody::NotKept { digest } };
        Ok(Arrived { body, turn: turn.map(|(permit, _)| permit) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use tokio::sync::mpsc;

    const CHUNK_BYTES: usize = 32 << 10;

    /// A body, and the sender of its chunks.
    fn body() -> (mpsc::UnboundedSender<Vec<u8>>, Body) {
        let (sender, receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        let chunks = stream::unfold(receiver, async |mut from| Some((from.recv().await?, from)));
        (sender, Body::from_stream(chunks.map(Ok::<_, std::io::Error>)))
    }

    fn send(to: &mpsc::UnboundedSender<Vec<u8>>, chunks: usize) {
        (0..chunks).for_each(|_| to.send(vec![b'x'; CHUNK_BYTES]).unwrap());
    }

    fn length(body: &ArrivedBody) -> Option<usize> {
        if let ArrivedBody::Whole { bytes, .. } = body { Some(bytes.len()) } else { None }
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_arrive_in_turns_and_small_ones_at_once() {
        let arrivals = Arrivals::new();
        let reading = |body: Body| {
            let arrivals = arrivals.clone();
            tokio::spawn(async move { arrivals.read(body, usize::MAX).await.map(|arrived| length(&arrived.body)) })
        };
        let slow: Vec<_> = (0..MAX_LARGE_BODIES).map(|_| body()).collect();
        let (senders, slow): (Vec<_>, Vec<_>) = slow.into_iter().unzip();
        senders.iter().for_each(|sender| send(sender, 3));
        let slow: Vec<_> = slow.into_iter().map(reading).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (third_sender, third) = body();
        send(&third_sender, 3);
        drop(third_sender);
        let third = reading(third);
        let (small_sender, small) = body();
        send(&small_sender, 2);
        drop(small_sender);
        assert_eq!(reading(small).await.unwrap(), Ok(Some(2 * CHUNK_BYTES)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!third.is_finished(), "it waits for its turn");
        // the slow ones never end
        for body in slow {
            assert_eq!(body.await.unwrap(), Err(ArrivalError::TimedOut(LARGE_BODY_TIMEOUT)));
        }
        assert_eq!(third.await.unwrap(), Ok(Some(3 * CHUNK_BYTES)));
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_ends_its_turn() {
        let arrivals = Arrivals::new();
        for _ in 0..=MAX_LARGE_BODIES {
            let arrived = arrivals.read(Body::from(vec![0; MAX_BODY_BYTES + 1]), usize::MAX).await.unwrap();
            assert!(arrived.body == ArrivedBody::TooLarge && arrived.turn.is_none());
        }
        let whole = arrivals.read(Body::from(vec![0; MAX_BODY_BYTES]), usize::MAX).await.unwrap();
        assert!(length(&whole.body) == Some(MAX_BODY_BYTES) && whole.turn.is_some());
    }

    #[tokio::test]
    async fn a_body_without_room_is_not_kept_and_has_its_digest() {
        let arrivals = Arrivals::new();
        let digest: Digest = Sha256::digest(vec![7; 200_000]).into();
        for (room, is_kept) in [(0, false), (199_999, false), (200_000, true), (usize::MAX, true)] {
            let (sender, chunked) = body();
            (0..10).for_each(|_| sender.send(vec![7; 20_000]).unwrap());
            drop(sender);
            for body in [Body::from(vec![7; 200_000]), chunked] {
                let arrived = arrivals.read(body, room).await.unwrap();
                match arrived.body {
                    ArrivedBody::Whole { bytes, digest: found } => {
                        assert!(is_kept && bytes == vec![7; 200_000] && found == digest, "{room}");
                    }
                    ArrivedBody::NotKept { digest: found } => {
                        assert!(!is_kept && found == digest && arrived.turn.is_none(), "{room}");
                    }
                    ArrivedBody::TooLarge => panic!("{room}"),
                }
            }
        }
    }
}
