//! Chooses the lines of a log by time and number, and gives each its time. Pure.
use super::times::{LineTime, Times};
use crate::value::{Value, recorded_bytes};
use jiff::Timestamp;

/// What a line takes in memory beside its text.
const LINE_BYTES: usize = 360;

/// The last lines of a log that fit into a memory.
pub(super) struct LastLines<'a> {
    /// The last one first.
    reversed: Vec<&'a str>,
    room: usize,
    /// Whether there are more.
    pub is_cut: bool,
}

impl<'a> LastLines<'a> {
    pub fn new(max_bytes: usize) -> Self {
        LastLines { reversed: vec![], room: max_bytes, is_cut: false }
    }

    /// Adds lines before those that it has, the last one first.
    pub fn add(&mut self, reversed: impl Iterator<Item = &'a str>) {
        for line in reversed {
            match self.room.checked_sub(LINE_BYTES + recorded_bytes(line)) {
                Some(room) if !self.is_cut => self.room = room,
                _ => {
                    self.is_cut = true;
                    return;
                }
            }
            self.reversed.push(line);
        }
    }

    /// The lines in their order.
    pub fn into_lines(mut self) -> Vec<&'a str> {
        self.reversed.reverse();
        self.reversed
    }
}

pub(super) struct Selected {
    pub lines: Vec<Value>,
    /// The first time in the log.
    pub first: Option<LineTime>,
}

/// The lines as `{at, text}`, without those that are certainly older than `since`. A line without a time has that of
/// the line before, as in a message of several lines; before the first time, lines are kept. So are lines without a
/// time just before the first line that is kept, unless they continue a message.
///
/// # Errors
/// With `since`, if no line has a time.
pub(super) fn select(
    log: &[&str],
    times: &Times,
    since: Option<Timestamp>,
    tail: Option<usize>,
) -> Result<Selected, String> {
    let now = Timestamp::now();
    let own: Vec<Option<LineTime>> = log.iter().map(|line| times.of_line(line, now)).collect();
    let first = own.iter().flatten().next().copied();
    if since.is_some() && first.is_none() && !log.is_empty() {
        return Err(match &times.format {
            Some(format) => format!("`since` needs times, and no line starts with a time like `{format}`"),
            None => "`since` needs times, and no line has one in a known format; \
                     name the format of the log with `time` in its target"
                .into(),
        });
    }
    let is_recent = |time: LineTime| since.is_none_or(|since| time.may_be_after(since));
    // Whether the next time after a line, if any, is recent.
    let mut until_recent = vec![true; own.len()];
    for i in (1..own.len()).rev() {
        until_recent[i - 1] = own[i].map_or(until_recent[i], is_recent);
    }
    let (mut last, mut lines) = (None, vec![]);
    for (i, (line, own)) in log.iter().zip(&own).enumerate() {
        last = own.or(last);
        let kept = last.is_none_or(is_recent) || (own.is_none() && until_recent[i] && !continues(line));
        if kept && tail.is_none_or(|n| i + n >= log.len()) {
            let at = last.map_or(Value::Null, |t| Value::Time(t.at));
            lines.push(Value::map([("at".into(), at), ("text".into(), Value::text(line))]));
        }
    }
    Ok(Selected { lines, first })
}

/// Whether a line belongs to the message of the line before: it is indented, or part of a stack trace.
fn continues(line: &str) -> bool {
    line.is_empty()
        || line.starts_with([' ', '\t', '}', ')', ']'])
        || line.starts_with("at ")
        || line.starts_with("Caused by")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select_from(text: &str, since: Option<&str>, tail: Option<usize>) -> Vec<Value> {
        let log: Vec<&str> = text.lines().collect();
        select(&log, &Times::default(), since.map(|s| s.parse().unwrap()), tail).unwrap().lines
    }

    fn kept(text: &str, since: &str) -> Vec<String> {
        let lines = select_from(text, Some(since), None);
        lines.iter().map(|l| l.get("text").unwrap().to_string().split(' ').next_back().unwrap().to_string()).collect()
    }

    #[test]
    fn keeps_the_last_lines_that_fit() {
        let text: String = (0..100).map(|i| format!("line {i}\n")).collect();
        let mut last = LastLines::new(50 * (LINE_BYTES + 7));
        last.add(text.lines().rev());
        last.add(["older"].into_iter());
        assert!(last.is_cut);
        let lines = last.into_lines();
        assert_eq!((lines.len(), lines[0], lines[49]), (50, "line 50", "line 99"));
        let mut all = LastLines::new(1 << 20);
        all.add(text.lines().rev());
        assert!(!all.is_cut && all.into_lines().len() == 100);
    }

    #[test]
    fn line_without_a_time_gets_that_of_the_line_before() {
        let all = select_from("first\n2026-01-02T03:04:05Z boom\n  at x\r\n\n2026-01-02T03:04:06Z end", None, None);
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
        assert_eq!(kept(text, "2026-01-02T03:04:05.3Z"), ["untimed", "b", "d"], "`b` has no fraction of a second");
        assert_eq!(kept(text, "2026-01-02T03:04:05.2995Z"), ["untimed", "b", "c", "d"]);
        assert_eq!(kept(text, "2026-01-02T03:04:06Z"), ["untimed"], "a line before the first time is kept");
    }

    #[test]
    fn keeps_a_line_without_a_time_that_may_be_later_than_since() {
        let text =
            "2026-01-02T03:04:04Z a\nold\n2026-01-02T03:04:05Z b\n  trace\npanicked\n2026-01-02T03:04:07Z c\nnew\n";
        assert_eq!(kept(text, "2026-01-02T03:04:07Z"), ["panicked", "c", "new"]);
        assert_eq!(kept(text, "2026-01-02T03:04:09Z"), ["new"]);
    }

    #[test]
    fn since_needs_a_time_in_the_log() {
        let since = Some("2026-01-02T03:04:05Z".parse().unwrap());
        let error = select(&["one", "two"], &Times::default(), since, None).err().unwrap();
        assert!(error.starts_with("`since` needs times, and no line has one"), "{error}");
        assert!(select(&[], &Times::default(), since, None).unwrap().lines.is_empty());
    }

    #[test]
    fn tail_lines_get_the_time_of_the_lines_before() {
        let all = select_from("2026-01-02T03:04:05Z a\nb\nc\n", None, Some(2));
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("at").unwrap().to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(select_from("a\n", None, Some(9)).len(), 1);
        assert!(select_from("", None, Some(1)).is_empty());
    }
}
