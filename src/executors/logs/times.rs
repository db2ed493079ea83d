//! Reads the time of a log line: in a common format at its start, or in a format that the target names. Pure.
use crate::value::{Value, json};
use jiff::{
    SignedDuration, Timestamp,
    civil::{self, DateTime},
    fmt::strtime::{self, BrokenDownTime},
    tz::{Offset, TimeZone},
};
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// A number is an epoch time only this near to the present: `ts: 12.5` is the uptime.
const MAX_EPOCH_DISTANCE: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// What can stand before the time: a syslog priority, `[GIN]`, `INFO:`, `web-1 |`, `1:M`, a bracket or a quote.
const PREFIX: &str = concat!(
    r"^(?:<\d{1,3}>(?:1 )?)?",
    r#"(?:\[[^\]\s\d][^\]\s]{0,19}\] ?|[A-Z]{1,8}[:,]? +|[A-Za-z][\w.-]{0,60} +\| +|\d+:[A-Z] +)*[\[("']?"#
);
const CLOCK: &str = concat!(
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9})\d*)?)?",
    r"(?: (?P<half>[AP]M)\b)?(?: ?(?P<zone>Z|[+-]\d\d(?::?\d\d)?|[A-Z]{3,5})\b)?"
);
const WEEKDAY: &str = "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)?";
const MONTHS: &[&str] = &["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Zones that a time is not guessed in, unless the log's zone has that name then.
const ABBREVIATIONS: &[&str] = &[
    "ACDT", "ACST", "AEDT", "AEST", "AKDT", "AKST", "AWST", "BST", "CDT", "CEST", "CET", "CST", "EDT", "EEST", "EET",
    "EST", "HKT", "HST", "IST", "JST", "KST", "MDT", "MSK", "MST", "NZDT", "NZST", "PDT", "PKT", "PST", "SGT", "WEST",
    "WET",
];

/// Each is built when the ones before it do not match.
static FORMATS: [LazyLock<Option<Regex>>; 5] = [
    // RFC 3339 and 5424, Go's log, nginx's error log, Python, Log4j.
    LazyLock::new(|| {
        regex(&format!(r"{PREFIX}(?P<year>\d{{4}})[-/.](?P<month>\d\d)[-/.](?P<day>\d\d)(?:[Tt:]| - | +){CLOCK}"))
    }),
    // klog.
    LazyLock::new(|| regex(&format!(r"^[DEFIW](?P<month>\d\d)(?P<day>\d\d) +{CLOCK}"))),
    // syslog, `date`, Apache's error log.
    LazyLock::new(|| {
        regex(&format!(
            r"{PREFIX}{WEEKDAY}{} +(?P<day>\d{{1,2}})(?:,? (?P<year>\d{{4}}))?,? {CLOCK}(?: (?P<last>\d{{4}})\b)?",
            month()
        ))
    }),
    // Redis, RFC 2822.
    LazyLock::new(|| {
        regex(&format!(r"{PREFIX}{WEEKDAY}(?P<day>\d{{1,2}})[ /-]{}[ /-](?P<year>\d{{4}})[: ]{CLOCK}", month()))
    }),
    // Access logs.
    LazyLock::new(|| regex(&format!(r"^[^\[]*\[(?P<day>\d\d)/{}/(?P<year>\d{{4}}):{CLOCK}\]", month()))),
];

fn regex(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

fn month() -> String {
    format!("(?P<name>{})", MONTHS.join("|"))
}

static LOGFMT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?:^|\s)(?:@timestamp|timestamp|time|ts|t)=(?:"([^"]*)"|(\S+))"#).ok());
/// The keys of a time in a JSON line; `t` is MongoDB's.
const JSON_KEYS: [&str; 5] = ["time", "ts", "timestamp", "@timestamp", "t"];

/// A time with its precision: `03:04:05` can be any moment before `03:04:06`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LineTime {
    pub at: Timestamp,
    /// Exclusive.
    pub until: Timestamp,
}

impl LineTime {
    pub fn may_be_after(self, since: Timestamp) -> bool {
        self.until > since
    }
}

/// How the times of a log are read.
#[derive(Clone)]
pub(super) struct Times {
    /// For `strptime`; `None` for the common formats.
    pub format: Option<String>,
    /// The zone of times that name none.
    pub zone: TimeZone,
}

impl Default for Times {
    fn default() -> Times {
        Times { format: None, zone: TimeZone::system() }
    }
}

impl Times {
    /// Whether `format` can read a time that it has written.
    pub fn check_format(format: &str) -> Result<(), String> {
        let time = civil::datetime(2026, 1, 2, 3, 4, 5, 0).to_zoned(TimeZone::UTC).map_err(|e| e.to_string())?;
        let written = strtime::format(format, &time).map_err(|e| e.to_string())?;
        let read = BrokenDownTime::parse_prefix(format, &written).map_err(|e| e.to_string());
        let times = Times { format: None, zone: TimeZone::UTC };
        let found = read.map(|_| times.in_format(format, &written, time.timestamp()))?;
        found.map(drop).ok_or_else(|| "it has no month and day".into())
    }

    /// The time of a line. A year that the line does not have is the one that brings it nearest to `now`.
    pub fn of_line(&self, line: &str, now: Timestamp) -> Option<LineTime> {
        let line = without_colours(line);
        match &self.format {
            Some(format) => self.in_format(format, line, now),
            None if line.starts_with('{') => self.in_json(line, now),
            None => self.in_text(line, now).or_else(|| self.in_logfmt(line, now)),
        }
    }

    fn in_json(&self, line: &str, now: Timestamp) -> Option<LineTime> {
        let json = json::read(line).ok()?;
        JSON_KEYS.iter().find_map(|key| {
            let value = json.get(key)?;
            match value.get("$date").unwrap_or(value) {
                Value::Text(text) => self.in_text(text, now),
                Value::Int(_) | Value::Uint(_) | Value::Float(_) | Value::Decimal(_) => epoch(&value.to_string(), now),
                _ => None,
            }
        })
    }

    fn in_logfmt(&self, line: &str, now: Timestamp) -> Option<LineTime> {
        let (key, _) = line.split_once('=')?;
        let values = LOGFMT.as_ref().filter(|_| !key.contains(char::is_whitespace))?.captures_iter(line);
        values.filter_map(|c| c.get(1).or_else(|| c.get(2))).find_map(|value| self.in_text(value.as_str(), now))
    }

    fn in_text(&self, text: &str, now: Timestamp) -> Option<LineTime> {
        text.bytes().any(|b| b.is_ascii_digit()).then_some(())?;
        let found = FORMATS.iter().find_map(|format| self.resolve(&format.as_ref()?.captures(text)?, now));
        found.or_else(|| epoch(text.trim_start_matches('[').split([' ', '\t', ']', ',']).next()?, now))
    }

    fn resolve(&self, found: &Captures<'_>, now: Timestamp) -> Option<LineTime> {
        let number = |name: &str| found.name(name)?.as_str().parse::<i8>().ok();
        let month = match found.name("name") {
            Some(name) => MONTHS.iter().position(|m| *m == name.as_str()).and_then(|i| i8::try_from(i + 1).ok())?,
            None => number("month")?,
        };
        let hour = match (number("hour")?, found.name("half").map(|h| h.as_str())) {
            (12, Some("AM")) => 0,
            (hour @ 1..=11, Some("PM")) => hour + 12,
            (hour, _) => hour,
        };
        let fraction = found.name("fraction").map_or("", |f| f.as_str());
        let unit = match number("second") {
            None => SignedDuration::from_mins(1),
            Some(_) => fraction_unit(fraction.len()),
        };
        // A leap second is the end of its minute.
        let second = number("second").unwrap_or(0).min(59);
        let nanosecond = format!("{fraction:0<9}").parse().ok()?;
        let year = found.name("year").or_else(|| found.name("last")).and_then(|y| y.as_str().parse::<i16>().ok());
        let zone = found.name("zone").map(|z| z.as_str());
        let in_year = |year: i16| {
            let time = DateTime::new(year, month, number("day")?, hour, number("minute")?, second, nanosecond).ok()?;
            match zone {
                Some("Z" | "UTC" | "GMT") => instant(time, &TimeZone::UTC, unit),
                Some(offset) if offset.starts_with(['+', '-']) => {
                    let digits: String = offset[1..].chars().filter(|c| *c != ':').collect();
                    let (hours, minutes) = (digits[..2].parse::<i32>().ok()?, digits[2..].parse::<i32>().unwrap_or(0));
                    let seconds = (hours * 60 + minutes) * if offset.starts_with('-') { -60 } else { 60 };
                    instant(time, &TimeZone::fixed(Offset::from_seconds(seconds).ok()?), unit)
                }
                Some(name) if ABBREVIATIONS.contains(&name) => {
                    let found = instant(time, &self.zone, unit)?;
                    (self.zone.to_offset_info(found.at).abbreviation() == name).then_some(found)
                }
                // The level, or the host.
                _ => instant(time, &self.zone, unit),
            }
        };
        year.map_or_else(|| nearest(now, in_year), in_year)
    }

    fn in_format(&self, format: &str, line: &str, now: Timestamp) -> Option<LineTime> {
        let (time, length) = BrokenDownTime::parse_prefix(format, line).ok()?;
        let digits = line.get(..length)?.rsplit_once(['.', ',']).map_or(0, |(_, end)| {
            let digits = end.bytes().take_while(u8::is_ascii_digit).count();
            if time.subsec_nanosecond().is_some() { digits } else { 0 }
        });
        let unit = match (time.hour(), time.minute(), time.second()) {
            _ if time.timestamp().is_some() => fraction_unit(digits),
            (None, ..) => SignedDuration::from_hours(24),
            (_, None, _) => SignedDuration::from_hours(1),
            (.., None) => SignedDuration::from_mins(1),
            _ => fraction_unit(digits),
        };
        let zone = time.offset().map(TimeZone::fixed).unwrap_or_else(|| self.zone.clone());
        if time.timestamp().is_some() || time.iana_time_zone().is_some() {
            let at = time.to_timestamp().or_else(|_| time.to_zoned().map(|z| z.timestamp())).ok()?;
            return Some(LineTime { at, until: at.checked_add(unit).ok()? });
        }
        let in_year = |year: i16| {
            let (mut time, _) = BrokenDownTime::parse_prefix(format, line).ok()?;
            time.set_year(Some(year)).ok()?;
            let midnight = || time.to_date().ok().map(|d| d.at(0, 0, 0, 0));
            instant(time.to_datetime().ok().or_else(midnight)?, &zone, unit)
        };
        time.year().map_or_else(|| nearest(now, in_year), in_year)
    }
}

/// A local time that the clock shows twice may be either.
fn instant(time: DateTime, zone: &TimeZone, unit: SignedDuration) -> Option<LineTime> {
    let instant = zone.to_ambiguous_timestamp(time);
    let (at, later) = (instant.earlier().ok()?, instant.later().ok()?);
    Some(LineTime { at: at.min(later), until: at.max(later).checked_add(unit).ok()? })
}

fn nearest(now: Timestamp, in_year: impl Fn(i16) -> Option<LineTime>) -> Option<LineTime> {
    let year = now.to_zoned(TimeZone::UTC).year();
    let all = [year - 1, year, year + 1].into_iter().filter_map(in_year);
    all.min_by_key(|t| now.duration_since(t.at).abs())
}

fn fraction_unit(digits: usize) -> SignedDuration {
    SignedDuration::from_nanos(10i64.pow(9 - u32::try_from(digits.min(9)).unwrap_or(9)))
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970: the number of digits tells.
fn epoch(text: &str, now: Timestamp) -> Option<LineTime> {
    let plain;
    let text = match text.contains(['e', 'E']) {
        true => {
            plain = format!("{:.6}", text.parse::<f64>().ok()?);
            &plain
        }
        false => text,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if ![whole, fraction].iter().all(|t| t.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let scale: i128 = match whole.len() {
        9..=10 => 1_000_000_000,
        12..=13 => 1_000_000,
        15..=16 => 1_000,
        18..=19 => 1,
        _ => return None,
    };
    let fraction = &fraction[..fraction.len().min(9)];
    let unit = (scale / 10i128.pow(u32::try_from(fraction.len()).ok()?)).max(1);
    let part = fraction.parse::<i128>().unwrap_or(0) * scale / 10i128.pow(u32::try_from(fraction.len()).ok()?);
    let nanoseconds = whole.parse::<i128>().ok()? * scale + part;
    let at = Timestamp::from_nanosecond(nanoseconds).ok()?;
    let until = Timestamp::from_nanosecond(nanoseconds + unit).ok()?;
    (now.duration_since(at).abs() < MAX_EPOCH_DISTANCE).then_some(LineTime { at, until })
}

/// The line without spaces and ANSI colour codes at its start.
fn without_colours(mut line: &str) -> &str {
    loop {
        line = line.trim_start();
        match line.strip_prefix("\u{1b}[").and_then(|rest| rest.split_once('m')) {
            Some((code, rest)) if code.bytes().all(|b| b.is_ascii_digit() || b == b';') => line = rest,
            _ => return line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(format: Option<&str>, zone: &str) -> Times {
        Times { format: format.map(str::to_string), zone: TimeZone::get(zone).unwrap() }
    }

    fn now() -> Timestamp {
        "2026-02-03T00:00:00Z".parse().unwrap()
    }

    fn at(line: &str) -> Option<String> {
        times(None, "UTC").of_line(line, now()).map(|t| t.at.to_string())
    }

    #[test]
    fn finds_the_time_in_all_common_formats() {
        for line in [
            "2026-01-02T03:04:05Z started",
            "[2026-01-02T03:04:05Z] started",
            "[2026-01-02T03:04:05Z INFO x] started",
            "2026-01-02T04:04:05+01:00 started",
            "2026-01-02T04:04:05+0100 started",
            "2026-01-02 03:04:05Z started",
            "2026-01-02 03:04:05 started",
            "2026-01-02 04:04:05 +0100 started",
            "2026-01-02 03:04:05 +0000 UTC m=+0.1 started",
            "2026-01-02 03:04:05 UTC [12] LOG:  started",
            "time=2026-01-02T03:04:05Z level=info",
            "time=\"2026-01-02T03:04:05Z\" level=info",
            "level=info msg=\"a b\" ts=2026-01-02T03:04:05Z",
            "level=info ts=1767323045",
            "ts=2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05Z: started",
            "\u{1b}[2m2026-01-02T03:04:05Z\u{1b}[0m \u{1b}[32m INFO",
            "  2026-01-02T03:04:05Z indented",
            "INFO 2026-01-02T03:04:05Z started",
            "INFO: 2026-01-02 03:04:05 started",
            "I, [2026-01-02T03:04:05 #1]  INFO -- : started",
            "web-1  | 2026-01-02T03:04:05Z started",
            "2026/01/02 03:04:05 started",
            "2026/01/02 03:04:05 [error] 31#31: *1 open() failed",
            "[GIN] 2026/01/02 - 03:04:05 | 200 | 1.2ms | 127.0.0.1 | GET /",
            "I0102 03:04:05       1 main.go:10] started",
            "E0102 03:04:05.000000 1 main.go:10] started",
            r#"127.0.0.1 - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 1"#,
            r#"127.0.0.1 - "user" [02/Jan/2026:04:04:05 +0100] "GET / HTTP/1.1" 200 1"#,
            "Jan  2 03:04:05 host app[1]: started",
            "<34>Jan  2 03:04:05 host app: started",
            "<34>1 2026-01-02T03:04:05Z host app - - - started",
            "[Fri Jan 02 03:04:05.000 2026] [core:error] started",
            "Fri Jan  2 03:04:05 UTC 2026 started",
            "Jan 02, 2026 3:04:05 AM org.example.Main main",
            "1:M 02 Jan 2026 03:04:05.000 * Ready",
            "Fri, 02 Jan 2026 03:04:05 GMT started",
            r#"{"level":"info","ts":"2026-01-02T03:04:05Z"}"#,
            r#"{"ts":1767323045,"msg":"x"}"#,
            r#"{"time":1767323045000,"msg":"x"}"#,
            r#"{"timestamp":1767323045000000}"#,
            r#"{"timestamp":1767323045000000000}"#,
            r#"{"@timestamp":"2026-01-02T03:04:05.000Z"}"#,
            r#"{"time":"1767323045"}"#,
            r#"{"time":"2026/01/02 03:04:05"}"#,
            r#"{"t":{"$date":"2026-01-02T04:04:05.000+01:00"},"s":"I"}"#,
            "1767323045 started",
            "1767323045.000 started",
            "1.767323045e+09\tinfo\tstarted",
        ] {
            assert_eq!(at(line).as_deref(), Some("2026-01-02T03:04:05Z"), "{line}");
        }
        for line in [
            "",
            "12 apples",
            "2026-01-02",
            "{not json",
            "é 2026",
            "2026-01-02 é",
            "9",
            "12345678901 apples",
            "1234567890 was long ago",
            "2026-13-02T03:04:05Z",
            "2026-01-02T25:04:05Z",
            "2026-01-02 03:04:05 AEDT is not the zone of the log",
            "expired: 2020-01-01T00:00:00Z",
            "the session of 2020-01-01T00:00:00Z expired",
            r#"{"ts":12.5,"msg":"uptime"}"#,
            "panicked at src/main.rs:10:5: time=2020-01-01T00:00:00Z",
        ] {
            assert_eq!(at(line), None, "{line}");
        }
    }

    /// Every common format × offset × precision: the same instant, and nothing later than its precision.
    #[test]
    fn reads_every_format_with_every_offset_and_precision() {
        let instant: Timestamp = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
        let zones = [
            ("UTC", 0, "Z", "+0000"),
            ("Europe/Berlin", 3600, "+01:00", "+0100"),
            ("America/New_York", -18000, "-05:00", "-0500"),
            ("Asia/Kolkata", 19800, "+05:30", "+0530"),
            ("Pacific/Chatham", 49500, "+13:45", "+1345"),
        ];
        for (zone, seconds, long, short) in zones {
            let local = instant.to_zoned(TimeZone::fixed(Offset::from_seconds(seconds).unwrap()));
            for digits in [0, 3, 6, 9] {
                let fraction = if digits == 0 { String::new() } else { format!(".{:0.1$}", "123456789", digits) };
                let text = |format: &str, offset: &str| {
                    local.strftime(&format.replace("%F0", &fraction).replace("%Z0", offset)).to_string()
                };
                let lines = [
                    text("%Y-%m-%dT%H:%M:%S%F0%Z0 x", long),
                    text("%Y-%m-%dT%H:%M:%S%F0%Z0 x", short),
                    text("%Y-%m-%d %H:%M:%S%F0 %Z0 x", short),
                    text("%Y-%m-%d %H:%M:%S%F0 x", "").replace('.', ","),
                    text("%Y/%m/%d %H:%M:%S%F0 x", ""),
                    text("I%m%d %H:%M:%S%F0 1 x.go:1] x", ""),
                    text("1.2.3.4 - - [%d/%b/%Y:%H:%M:%S%F0 %Z0] \"GET /\"", short),
                    text("%b %e %H:%M:%S%F0 host x", ""),
                    text("<13>1 %Y-%m-%dT%H:%M:%S%F0%Z0 host x", long),
                    text("[%a %b %d %H:%M:%S%F0 %Y] x", ""),
                    text("%d %b %Y %H:%M:%S%F0 * x", ""),
                    text("level=info time=\"%Y-%m-%dT%H:%M:%S%F0%Z0\"", long),
                    text("{\"time\":\"%Y-%m-%dT%H:%M:%S%F0%Z0\"}", long),
                    text("{\"ts\":\"%s%F0\"}", ""),
                    text("%s%F0 x", ""),
                ];
                let unit = fraction_unit(digits);
                let expected = instant.round(jiff::TimestampRound::new().smallest(jiff::Unit::Nanosecond)).unwrap();
                let below = expected.as_nanosecond() % unit.as_nanos();
                let expected = Timestamp::from_nanosecond(expected.as_nanosecond() - below).unwrap();
                for line in lines {
                    let found = times(None, zone).of_line(&line, now()).unwrap_or_else(|| panic!("{zone}: {line}"));
                    assert_eq!(found.at, expected, "{zone}: {line}");
                    assert_eq!(found.until, expected + unit, "{zone}: {line}");
                }
            }
        }
    }

    #[test]
    fn a_year_is_guessed_near_the_present() {
        let found =
            |line: &str, now: &str| times(None, "UTC").of_line(line, now.parse().unwrap()).map(|t| t.at.to_string());
        assert_eq!(found("Dec 31 23:59:59 x", "2026-01-01T00:00:01Z").unwrap(), "2025-12-31T23:59:59Z");
        assert_eq!(found("I0101 00:00:01 x", "2025-12-31T23:59:59Z").unwrap(), "2026-01-01T00:00:01Z");
        assert_eq!(found("Feb 29 00:00:00 x", "2025-03-01T00:00:00Z").unwrap(), "2024-02-29T00:00:00Z");
    }

    #[test]
    fn a_local_time_that_is_shown_twice_may_be_either() {
        let time = times(None, "Europe/Berlin").of_line("2026-10-25 02:30:00 x", now()).unwrap();
        assert_eq!(time.at.to_string(), "2026-10-25T00:30:00Z");
        assert_eq!(time.until.to_string(), "2026-10-25T01:30:01Z");
        let berlin = times(None, "Europe/Berlin");
        assert_eq!(berlin.of_line("2026-01-02 04:04:05 CET x", now()).unwrap().at.to_string(), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn reads_a_named_format() {
        for (format, line, expected) in [
            ("%d.%m.%Y %H:%M:%S", "02.01.2026 03:04:05 x", "2026-01-02T03:04:05Z"),
            ("%d.%m.%Y %H:%M:%S%.f", "02.01.2026 03:04:05.25 x", "2026-01-02T03:04:05.25Z"),
            ("[%m/%d/%y %I:%M:%S %p]", "[01/02/26 03:04:05 PM] x", "2026-01-02T15:04:05Z"),
            ("%Y%m%d-%H%M%S %z", "20260102-040405 +0100 x", "2026-01-02T03:04:05Z"),
            ("%b %d %H:%M", "Jan 02 03:04 x", "2026-01-02T03:04:00Z"),
            ("%s", "1767323045 x", "2026-01-02T03:04:05Z"),
            ("%Y-%m-%d", "2026-01-02 x", "2026-01-02T00:00:00Z"),
        ] {
            assert_eq!(Times::check_format(format), Ok(()), "{format}");
            let found = times(Some(format), "UTC").of_line(line, now()).unwrap_or_else(|| panic!("{format}: {line}"));
            assert_eq!(found.at.to_string(), expected, "{format}");
            assert_eq!(times(Some(format), "UTC").of_line("no time", now()), None);
        }
        for format in ["", "%Q", "%H:%M:%S", "%"] {
            assert!(Times::check_format(format).is_err(), "{format}");
        }
    }
}
