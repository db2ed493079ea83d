//! Waits for no reason, as a busy platform has them: each from nothing up to a longest time, off by default.
//!
//! Whoever works asks for one where a real platform is slow at times: before and after a request, a step, a write, an attempt.
//! It must not know who asks. The same seed gives the same waits, in the order in which they are asked for.
use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Copies share one sequence.
#[derive(Debug, Clone, Default)]
pub struct Delays(Option<Arc<Waits>>);

#[derive(Debug)]
struct Waits {
    longest: Duration,
    seed: u64,
    asked: AtomicU64,
}

impl Delays {
    pub fn up_to(longest: Duration, seed: u64) -> Delays {
        Delays(Some(Arc::new(Waits { longest, seed, asked: AtomicU64::new(0) })))
    }

    /// Sleeps a random while; without delays not at all.
    pub async fn wait(&self) {
        if let Some(wait) = self.next() {
            tokio::time::sleep(wait).await;
        }
    }

    fn next(&self) -> Option<Duration> {
        let waits = self.0.as_ref()?;
        let random = mixed(waits.seed.wrapping_add(waits.asked.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN)));
        // 53 bits are what a double holds.
        #[allow(clippy::cast_precision_loss)]
        let part = (random >> 11) as f64 / (1u64 << 53) as f64;
        Some(waits.longest.mul_f64(part))
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64: evenly spread, whatever the seed.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// As it is given: the longest, and the seed behind a colon.
impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(waits) => write!(f, "{}:{}", humantime::format_duration(waits.longest), waits.seed),
            None => f.write_str("0s"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    #[error("`{0}` is no time: write one like `150ms`")]
    Longest(String),
    #[error("`{0}` is no seed: write a number behind the colon")]
    Seed(String),
}

/// `150ms`, or `150ms:7` for the waits that seed 7 gives.
impl FromStr for Delays {
    type Err = Misread;

    fn from_str(text: &str) -> Result<Delays, Misread> {
        let (longest, seed) = match text.split_once(':') {
            Some((longest, seed)) => (longest, seed.parse().map_err(|_| Misread::Seed(seed.to_owned()))?),
            None => (text, u64::from(uuid::Uuid::new_v4().as_fields().0)),
        };
        let longest = humantime::parse_duration(longest).map_err(|_| Misread::Longest(longest.to_owned()))?;
        Ok(Delays::up_to(longest, seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(delays: &Delays) -> Vec<Duration> {
        std::iter::from_fn(|| delays.next()).take(1000).collect()
    }

    #[test]
    fn off_nobody_waits() {
        assert!(some(&Delays::default()).is_empty());
    }

    #[test]
    fn waits_are_spread_from_nothing_to_the_longest() {
        let longest = Duration::from_millis(150);
        let waits = some(&Delays::up_to(longest, 7));
        assert!(waits.iter().all(|wait| *wait < longest));
        let mean = waits.iter().sum::<Duration>() / 1000;
        assert!(mean > longest.mul_f64(0.45) && mean < longest.mul_f64(0.55), "{mean:?}");
        for tenth in 0..10 {
            let (from, to) = (longest * tenth / 10, longest * (tenth + 1) / 10);
            let there = waits.iter().filter(|wait| (from..to).contains(*wait)).count();
            assert!((60..140).contains(&there), "{there} of 1000 in the tenth {tenth}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits_and_another_gives_others() {
        let of = |text: &str| some(&text.parse().unwrap());
        assert_eq!(of("150ms:7"), of("150ms:7"));
        assert_ne!(of("150ms:7"), of("150ms:8"));
        assert_ne!(of("150ms"), of("150ms"));
    }

    #[test]
    fn what_it_says_of_itself_gives_it_again() {
        let delays: Delays = "150ms".parse().unwrap();
        assert_eq!(delays.to_string().parse::<Delays>().unwrap().to_string(), delays.to_string());
        assert_eq!("soon".parse::<Delays>().unwrap_err(), Misread::Longest("soon".into()));
        assert_eq!("1s:x".parse::<Delays>().unwrap_err(), Misread::Seed("x".into()));
    }
}
