//! For `doctor`: how far a server's clock is from ours, as the `Date` of an answer says.
use crate::executor::ProbeResult;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

/// A `Date` is written to the second, and an answer takes its time.
const SKEW: SignedDuration = SignedDuration::from_secs(3);

/// `whose`: "the cluster". `None` where the answer has no date.
pub fn compared(headers: &HeaderMap, now: Timestamp, whose: &str) -> Option<ProbeResult> {
    let date = headers.get(http::header::DATE)?.to_str().ok()?;
    let theirs = rfc2822::parse(date).ok()?.timestamp();
    let ahead = now.duration_since(theirs);
    Some(if ahead.abs() > SKEW {
        let which = if ahead.is_positive() { "ahead of" } else { "behind" };
        let seen = format!("this machine is {} s {which} {whose}", ahead.abs().as_secs());
        let remedy = "set both by NTP: times in the report and in logs do not fit together";
        ProbeResult::warning("compare clocks", seen, remedy)
    } else {
        ProbeResult::ok("compare clocks", format!("within {} s", SKEW.as_secs()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::ProbeStatus;

    #[test]
    fn clocks_that_differ_are_said_to() {
        let headers = HeaderMap::from_iter([(http::header::DATE, "Mon, 23 Nov 2026 04:05:22 GMT".parse().unwrap())]);
        let found = |now: &str| compared(&headers, now.parse().unwrap(), "the cluster").unwrap();
        assert_eq!(found("2026-11-23T04:05:23.9Z").status, ProbeStatus::Ok);
        let late = found("2026-11-23T04:06:22Z");
        assert_eq!((late.status, &*late.seen), (ProbeStatus::Warning, "this machine is 60 s ahead of the cluster"));
        assert_eq!(found("2026-11-23T04:05:02Z").seen, "this machine is 20 s behind the cluster");
        assert!(compared(&HeaderMap::new(), Timestamp::now(), "it").is_none());
    }
}
