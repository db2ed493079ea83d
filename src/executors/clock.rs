//! `doctor`: compares a server's clock with ours, using the `Date` header of a response.
use crate::executor::ProbeResult;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

/// Smaller differences can come from the resolution of `Date`, one second, and from the time of the response.
const MAX_SKEW: SignedDuration = SignedDuration::from_secs(3);

/// Compares `now` with the `Date` of a response; `None` if it is missing. `server` is a name for messages: "the
/// cluster".
pub fn compare_clocks(headers: &HeaderMap, now: Timestamp, server: &str) -> Option<ProbeResult> {
    let date = headers.get(http::header::DATE)?.to_str().ok()?;
    let ahead = now.duration_since(rfc2822::parse(date).ok()?.timestamp());
    Some(if ahead.abs() > MAX_SKEW {
        let which = if ahead.is_positive() { "ahead of" } else { "behind" };
        let found = format!("this machine is {} s {which} {server}", ahead.abs().as_secs());
        let remedy = "synchronise both clocks with NTP: otherwise times in the report and in logs do not match";
        ProbeResult::warning("compare clocks", found, remedy)
    } else {
        ProbeResult::ok("compare clocks", format!("within {} s", MAX_SKEW.as_secs()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::ProbeStatus;

    #[test]
    fn reports_clocks_that_differ() {
        let headers = HeaderMap::from_iter([(http::header::DATE, "Mon, 23 Nov 2026 04:05:22 GMT".parse().unwrap())]);
        let found = |now: &str| compare_clocks(&headers, now.parse().unwrap(), "the cluster").unwrap();
        assert_eq!(found("2026-11-23T04:05:23.9Z").status, ProbeStatus::Ok);
        let late = found("2026-11-23T04:06:22Z");
        assert_eq!((late.status, &*late.found), (ProbeStatus::Warning, "this machine is 60 s ahead of the cluster"));
        assert_eq!(found("2026-11-23T04:05:02Z").found, "this machine is 20 s behind the cluster");
        assert!(compare_clocks(&HeaderMap::new(), Timestamp::now(), "it").is_none());
    }
}
