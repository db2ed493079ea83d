//! Random delays, as on a busy platform: uniformly distributed from zero to a maximum; off by default.
//!
//! They are inserted where a real platform may be slow: around requests, steps, writes and delivery attempts. A seed
//! makes the sequence reproducible.
use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Clones share one sequence.
#[derive(Debug, Clone, Default)]
pub struct Delays(Option<Arc<Waits>>);

#[derive(Debug)]
struct Waits {
    max: Duration,
    seed: u64,
    count: AtomicU64,
}

impl Delays {
    pub fn up_to(max: Duration, seed: u64) -> Delays {
        Delays(Some(Arc::new(Waits { max, seed, count: AtomicU64::new(0) })))
    }

    /// Sleeps for the next delay; returns at once if delays are off.
    pub async fn wait(&self) {
        if let Some(wait) = self.next() {
            tokio::time::sleep(wait).await;
        }
    }

    fn next(&self) -> Option<Duration> {
        let waits = self.0.as_ref()?;
        let random =
            splitmix64(waits.seed.wrapping_add(waits.count.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN)));
        // an f64 represents 53 bits exactly
        #[allow(clippy::cast_precision_loss)]
        let part = (random >> 11) as f64 / (1u64 << 53) as f64;
        Some(waits.max.mul_f64(part))
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64.
fn splitmix64(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The maximum and the seed, in the form that `FromStr` accepts.
impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(waits) => write!(f, "{}:{}", humantime::format_duration(waits.max), waits.seed),
            None => f.write_str("0s"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDelays {
    #[error("expected a duration like `150ms`, found `{0}`")]
    Max(String),
    #[error("expected a number as the seed after `:`, found `{0}`")]
    Seed(String),
}

/// Parses `150ms`, or `150ms:7` with the seed 7.
impl FromStr for Delays {
    type Err = InvalidDelays;

    fn from_str(text: &str) -> Result<Delays, InvalidDelays> {
        let (max, seed) = match text.split_once(':') {
            Some((max, seed)) => (max, seed.parse().map_err(|_| InvalidDelays::Seed(seed.to_owned()))?),
            None => (text, u64::from(uuid::Uuid::new_v4().as_fields().0)),
        };
        let max = humantime::parse_duration(max).map_err(|_| InvalidDelays::Max(max.to_owned()))?;
        Ok(Delays::up_to(max, seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(delays: &Delays) -> Vec<Duration> {
        std::iter::from_fn(|| delays.next()).take(1000).collect()
    }

    #[test]
    fn there_are_no_delays_by_default() {
        assert!(some(&Delays::default()).is_empty());
    }

    #[test]
    fn delays_are_uniform_up_to_the_maximum() {
        let max = Duration::from_millis(150);
        let waits = some(&Delays::up_to(max, 7));
        assert!(waits.iter().all(|wait| *wait < max));
        let mean = waits.iter().sum::<Duration>() / 1000;
        assert!(mean > max.mul_f64(0.45) && mean < max.mul_f64(0.55), "{mean:?}");
        for tenth in 0..10 {
            let (from, to) = (max * tenth / 10, max * (tenth + 1) / 10);
            let there = waits.iter().filter(|wait| (from..to).contains(*wait)).count();
            assert!((60..140).contains(&there), "{there} of 1000 in the tenth {tenth}");
        }
    }

    #[test]
    fn a_seed_reproduces_the_delays() {
        let of = |text: &str| some(&text.parse().unwrap());
        assert_eq!(of("150ms:7"), of("150ms:7"));
        assert_ne!(of("150ms:7"), of("150ms:8"));
        assert_ne!(of("150ms"), of("150ms"));
    }

    #[test]
    fn display_can_be_parsed_again() {
        let delays: Delays = "150ms".parse().unwrap();
        assert_eq!(delays.to_string().parse::<Delays>().unwrap().to_string(), delays.to_string());
        assert_eq!("soon".parse::<Delays>().unwrap_err(), InvalidDelays::Max("soon".into()));
        assert_eq!("1s:x".parse::<Delays>().unwrap_err(), InvalidDelays::Seed("x".into()));
    }
}
