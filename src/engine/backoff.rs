//! Waiting times between attempts where the target does not report changes: short at first, then longer.
use std::time::Duration;

#[derive(Default)]
pub struct Backoff(u32);

impl Iterator for Backoff {
    type Item = Duration;

    /// 10 ms, then 1.5 times as long each time, up to 250 ms.
    fn next(&mut self) -> Option<Duration> {
        let pace = Duration::from_secs_f64((0.010 * 1.5f64.powi(self.0.min(20) as i32)).min(0.250));
        self.0 = self.0.saturating_add(1);
        Some(pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_up_to_the_maximum() {
        let paces: Vec<_> = Backoff::default().take(20).map(|d| d.as_millis()).collect();
        assert_eq!((paces[0], paces[1], paces[19]), (10, 15, 250));
        assert!(paces.windows(2).all(|w| w[0] <= w[1]));
    }
}
