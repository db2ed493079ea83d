//! Splits text into lines, each with the time at its start. Pure.
use crate::value::Value;
use jiff::{SignedDuration, Timestamp};

/// The lines as `{at, text}`, without those that are certainly older than `since`. A line without a time has that of
/// the line before, as in a message of several lines; before the first time, lines are kept.
pub(super) fn select(text: &str, since: Option<Timestamp>, tail: Option<usize>) -> Vec<Value> {
    let mut last = None;
    let mut out = vec![];
    let count = text.lines().count();
    for (i, line) in text.lines().enumerate() {
        let time = time_of(line).or(last);
        last = time;
        let in_tail = tail.is_none_or(|n| i + n >= count);
        if in_tail && since.is_none_or(|since| time.is_none_or(|t| t.may_be_after(since))) {
            let at = time.map_or(Value::Null, |t| Value::Time(t.at));
            out.push(Value::map([("at".into(), at), ("text".into(), Value::text(line))]));
        }
    }
    out
}

/// A time with its precision: `03:04:05` can be any moment before `03:04:06`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct LineTime {
    at: Timestamp,
    precision: SignedDuration,
}

impl LineTime {
    fn may_be_after(self, since: Timestamp) -> bool {
        self.at >= since || self.at.checked_add(self.precision).is_ok_and(|end| end > since)
    }
}

fn time_of(line: &str) -> Option<LineTime> {
    let line = without_colours(line);
    if line.starts_with('{') {
        let json: serde_json::Value = serde_json::from_str(line).ok()?;
        return ["time", "ts", "timestamp", "@timestamp"].iter().find_map(|k| parse_time(json.get(k)?.as_str()?));
    }
    let line = ["time=", "ts=", "timestamp="].iter().find_map(|p| line.strip_prefix(p)).unwrap_or(line);
    let line = line.trim_start_matches(['[', '"']);
    if !line.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let end = |from: usize| {
        let rest = line.get(from..)?;
        Some(from + rest.find(|c: char| c.is_whitespace() || matches!(c, ']' | '"' | '\u{1b}')).unwrap_or(rest.len()))
    };
    let word = end(0)?;
    parse_time(&line[..word]).or_else(|| parse_time(&line[..end(word + 1)?]))
}

fn parse_time(text: &str) -> Option<LineTime> {
    let text = text.trim_end_matches([',', ':', ';']);
    // A shorter text cannot hold a date, a time and an offset.
    let at: Timestamp = (text.len() >= 20).then(|| text.parse().ok())??;
    let fraction = text.split_once(['.', ',']).map_or("", |(_, rest)| rest);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count().min(9);
    let unit = 10i64.pow(9 - u32::try_from(digits).unwrap_or(0));
    Some(LineTime { at, precision: SignedDuration::from_nanos(unit) })
}

/// The line without ANSI colour codes at its start.
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

    fn at(line: &str) -> Option<String> {
        time_of(line).map(|t| t.at.to_string())
    }

    #[test]
    fn finds_the_time_in_all_common_formats() {
        for line in [
            "2026-01-02T03:04:05Z started",
            "[2026-01-02T03:04:05Z] started",
            "[2026-01-02T03:04:05Z INFO x] started",
            "2026-01-02T04:04:05+01:00 started",
            "2026-01-02 03:04:05Z started",
            "time=2026-01-02T03:04:05Z level=info",
            "time=\"2026-01-02T03:04:05Z\" level=info",
            "ts=2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05Z: started",
            "\u{1b}[2m2026-01-02T03:04:05Z\u{1b}[0m \u{1b}[32m INFO",
            r#"{"level":"info","ts":"2026-01-02T03:04:05Z"}"#,
            "  2026-01-02T03:04:05Z indented",
        ] {
            assert_eq!(at(line).as_deref(), Some("2026-01-02T03:04:05Z"), "{line}");
        }
        for line in [
            "",
            "12 apples",
            "2026-01-02",
            "2026-01-02T03:04:05 without an offset",
            "{not json",
            "é 2026",
            "2026-01-02 é",
            "9",
        ] {
            assert_eq!(at(line), None, "{line}");
        }
    }

    #[test]
    fn line_without_a_time_gets_that_of_the_line_before() {
        let all = select("first\n2026-01-02T03:04:05Z boom\n  at x\r\n\n2026-01-02T03:04:06Z end", None, None);
        let times: Vec<_> = all.iter().map(|l| l.get("at").unwrap().to_string()).collect();
        assert_eq!(
            times,
            ["null", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"]
        );
        assert_eq!(all[2].get("text"), Some(&Value::text("  at x")));
    }

    #[test]
    fn keeps_lines_that_may_be_later_than_since() {
        let text = "untimed\n2026-01-02T03:04:04Z a\n2026-01-02T03:04:05Z b\n2026-01-02T03:04:05.299Z c\n2026-01-02T03:04:05.300Z d\n";
        let kept = |since: &str| -> Vec<String> {
            let all = select(text, Some(since.parse().unwrap()), None);
            all.iter().map(|l| l.get("text").unwrap().as_str().unwrap().chars().last().unwrap().to_string()).collect()
        };
        assert_eq!(kept("2026-01-02T03:04:05.3Z"), ["d", "b", "d"], "`b` has no fraction of a second");
        assert_eq!(kept("2026-01-02T03:04:05.2995Z"), ["d", "b", "c", "d"]);
        assert_eq!(kept("2026-01-02T03:04:06Z"), ["d"], "a line without a time is kept");
    }

    #[test]
    fn tail_lines_get_the_time_of_the_lines_before() {
        let all = select("2026-01-02T03:04:05Z a\nb\nc\n", None, Some(2));
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("at").unwrap().to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(select("a\n", None, Some(9)).len(), 1);
        assert!(select("", None, Some(1)).is_empty());
    }
}
