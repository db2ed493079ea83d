//! The one form of a time outside this process.
use regex::Regex;
use std::sync::LazyLock;

/// Whether a text is a time in RFC 3339, from the year 1 on. The parser of `jiff` also accepts other forms of ISO 8601.
pub fn is_rfc3339(text: &str) -> bool {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        let form = r"^(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+)?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$";
        Regex::new(&form.replace(r"\d", "[0-9]")).expect("it is valid")
    });
    let Some(parts) = FORM.captures(text) else { return false };
    let number = |i: usize| parts.get(i).map_or(0, |n| n.as_str().parse::<i32>().unwrap_or(0));
    let offset = (number(6) * 60 + number(7)) * if parts.get(5).is_some_and(|s| s.as_str() == "-") { -1 } else { 1 };
    // a leap second is the last one of a day in UTC
    let is_possible = number(4) < 60 || (number(2) * 60 + number(3) - offset).rem_euclid(24 * 60) == 24 * 60 - 1;
    is_possible && !text.starts_with("0000") && parts[1].parse::<jiff::civil::Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_rfc_3339_has_one_form() {
        for date in ["2026-01-02", "2024-02-29", "0001-01-01", "9999-12-31"] {
            for time in ["03:04:05", "00:00:00", "23:59:59", "03:04:05.1", "03:04:05.1234567890123"] {
                for zone in ["Z", "z", "+00:00", "-00:00", "+23:59", "-05:30"] {
                    assert!(is_rfc3339(&format!("{date}T{time}{zone}")), "{date}T{time}{zone}");
                }
            }
        }
        for valid in ["2026-01-02t03:04:05z", "2026-06-30T23:59:60Z", "2026-07-01T01:29:60.5+01:30"] {
            assert!(is_rfc3339(valid), "{valid}");
        }
        let (date, time, zone) = ("2026-01-02", "03:04:05", "Z");
        let dates =
            ["20260102", "2026-1-2", "26-01-02", "2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "0000-01-01"];
        let times = [
            "03:04",
            "03",
            "030405",
            "24:00:00",
            "03:60:00",
            "03:04:61",
            "03:04:60",
            "3:04:05",
            "03:04:05,5",
            "03:04:05.",
            "٠3:04:05",
        ];
        let zones =
            ["", "+01", "+0100", "+25:00", "+24:00", "+01:60", "+01:00:30", "Z[UTC]", "[UTC]", " Z", "UTC", "−01:00"];
        for text in dates
            .map(|d| format!("{d}T{time}{zone}"))
            .into_iter()
            .chain(["+002026-01-02", "-009999-01-02", " 2026-01-02"].map(|d| format!("{d}T{time}{zone}")))
            .chain(times.map(|t| format!("{date}T{t}{zone}")))
            .chain(zones.map(|z| format!("{date}T{time}{z}")))
            .chain([" ", "_", "", "  "].map(|between| format!("{date}{between}{time}{zone}")))
            .chain([" ", "\n", "x"].map(|end| format!("{date}T{time}{zone}{end}")))
            .chain([date.into(), String::new()])
        {
            assert!(!is_rfc3339(&text), "{text:?}");
        }
    }
}
