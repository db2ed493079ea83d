//! Shortens the times of an event. `at` becomes microseconds since 1970, if it has no nanoseconds. In an attempt, `began` becomes `age`, the nanoseconds from then to the event's `at`. If
//! the value ends with `at` and `took`, and `at` is when the attempt began, `value` becomes `timed`: without `at`, and without `took`
//! if that is the attempt's.
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json, json};

pub(super) fn shorten(event: &mut Json) {
    edit(event, "began", |attempt, at| {
        let began: Timestamp = attempt.get("began")?.as_str()?.parse().ok()?;
        // the text is restored from the times
        if attempt.get("began")?.as_str()? != began.to_string() {
            return None;
        }
        let age = i64::try_from(at.duration_since(began).as_nanos()).ok()?;
        let took = json!({ "$duration": attempt.get("took")? });
        if let Some(Json::Object(value)) = attempt.get("value") {
            let last: Vec<_> = value.keys().rev().take(2).map(String::as_str).collect();
            if is_output(value) && last == ["took", "at"] && value["at"] == json!({ "$time": began }) {
                rename(attempt, "value", "timed", |value| {
                    value.shift_remove("at");
                    if value["took"] == took {
                        value.shift_remove("took");
                    }
                });
            }
        }
        rename(attempt, "began", "age", |_| {});
        attempt.insert("age".into(), age.into());
        Some(())
    });
    edit_at(event, |at| {
        let time: Timestamp = at.as_str()?.parse().ok()?;
        let micros = time.as_microsecond();
        // the text is restored from the number
        (text_of(micros)? == *at).then(|| micros.into())
    });
}

pub(super) fn restore(event: &mut Json) {
    edit_at(event, |at| text_of(at.as_i64()?));
    edit(event, "age", |attempt, at| {
        let age = attempt.get("age")?.as_i64()?;
        let began = at.checked_sub(SignedDuration::from_nanos(age)).ok()?;
        let took = attempt.get("took")?.clone();
        rename(attempt, "timed", "value", |value| {
            if is_output(value) {
                let took = value.shift_remove("took").unwrap_or_else(|| json!({ "$duration": took }));
                value.insert("at".into(), json!({ "$time": began }));
                value.insert("took".into(), took);
            }
        });
        rename(attempt, "age", "began", |_| {});
        attempt.insert("began".into(), began.to_string().into());
        Some(())
    });
}

fn text_of(micros: i64) -> Option<Json> {
    Some(Timestamp::from_microsecond(micros).ok()?.to_string().into())
}

fn edit_at(event: &mut Json, f: impl FnOnce(&Json) -> Option<Json>) {
    if let Some(at) = event.get_mut("at")
        && let Some(edited) = f(at)
    {
        *at = edited;
    }
}

/// Calls `f` with the attempt of an event, the map that has `key`, and the event's `at`.
fn edit(event: &mut Json, key: &str, f: impl FnOnce(&mut Map<String, Json>, Timestamp) -> Option<()>) {
    let Some(at) = event.get("at").and_then(|at| at.as_str()?.parse::<Timestamp>().ok()) else { return };
    let Some(event) = event.as_object_mut() else { return };
    if event.contains_key(key) {
        f(event, at);
    } else if let Some(Json::Object(last)) = event.get_mut("last") {
        f(last, at);
    }
}

/// Whether a value is the map of an output's fields, and not a value that JSON cannot hold.
fn is_output(value: &Map<String, Json>) -> bool {
    value.keys().next().is_none_or(|key| !key.starts_with('$'))
}

/// Gives an entry another key in its place, and edits its map.
fn rename(map: &mut Map<String, Json>, from: &str, to: &str, edit: impl FnOnce(&mut Map<String, Json>)) {
    let mut edit = Some(edit);
    *map = std::mem::take(map)
        .into_iter()
        .map(|(key, mut content)| {
            if key != from {
                return (key, content);
            }
            if let (Json::Object(map), Some(edit)) = (&mut content, edit.take()) {
                edit(map);
            }
            (to.to_string(), content)
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_an_attempt_are_written_once() {
        let at = "2026-01-02T03:04:05.000000009Z";
        let value = json!({ "status": 200, "at": { "$time": "2026-01-02T03:04:04Z" }, "took": { "$duration": 7 } });
        let attempt = json!({ "began": "2026-01-02T03:04:04Z", "took": 7, "value": value, "error": null });
        let short = json!({ "age": 1_000_000_009, "took": 7, "timed": { "status": 200 }, "error": null });
        let other_time = |key: &str, time: Json| {
            let mut value = value.clone();
            value[key] = time;
            value
        };
        for (attempt, shortened) in [
            (attempt.clone(), Some(short)),
            // times that are not those of the attempt, and values without times, are written as they are
            (
                json!({ "began": "2026-01-02T03:04:04Z", "took": 7, "value": other_time("took", json!({ "$duration": 8 })) }),
                Some(
                    json!({ "age": 1_000_000_009, "took": 7, "timed": { "status": 200, "took": { "$duration": 8 } } }),
                ),
            ),
            (
                json!({ "began": "2026-01-02T03:04:04Z", "took": 7, "value": other_time("at", json!({ "$time": at })) }),
                None,
            ),
            (json!({ "began": "2026-01-02T03:04:04Z", "took": 7, "value": { "$unset": "it was lost" } }), None),
            (json!({ "began": "2026-01-02T03:04:04Z", "took": 7, "value": 5 }), None),
            (json!({ "began": "2026-01-02T03:04:04Z", "took": 7 }), None),
            (json!({ "began": "2026-01-02T03:04:06Z", "took": 7 }), None),
        ] {
            for event in [with_at(at, attempt.clone()), json!({ "at": at, "last": attempt })] {
                let mut written = event.clone();
                shorten(&mut written);
                let found = written.get("last").unwrap_or(&written);
                assert!(found.get("began").is_none() && found.get("age").is_some(), "{written}");
                assert_eq!(found.get("timed").is_some(), shortened.is_some(), "{written}");
                if let (Some(shortened), Some(last)) = (&shortened, written.get("last")) {
                    assert_eq!(last.to_string(), shortened.to_string());
                }
                restore(&mut written);
                assert_eq!(written.to_string(), event.to_string());
            }
        }
    }

    #[test]
    fn the_time_of_an_event_is_a_number_unless_it_has_nanoseconds() {
        for (at, written) in [
            ("2026-01-02T03:04:05.000009Z", json!(1_767_323_045_000_009_i64)),
            ("2026-01-02T03:04:05Z", json!(1_767_323_045_000_000_i64)),
            ("2026-01-02T03:04:05.000000009Z", json!("2026-01-02T03:04:05.000000009Z")),
            ("2026-01-02T05:04:05+02:00", json!("2026-01-02T05:04:05+02:00")),
        ] {
            let mut event = json!({ "at": at });
            shorten(&mut event);
            assert_eq!(event["at"], written);
            restore(&mut event);
            assert_eq!(event["at"], at);
        }
    }

    #[test]
    fn events_without_a_time_stay() {
        for event in [
            json!({ "at": "yesterday", "began": "2026-01-02T03:04:05Z" }),
            json!({ "at": "2026-01-02T03:04:05Z", "began": "x" }),
            json!(7),
        ] {
            let mut written = event.clone();
            shorten(&mut written);
            restore(&mut written);
            assert_eq!(written, event);
        }
    }

    fn with_at(at: &str, mut attempt: Json) -> Json {
        attempt["at"] = at.into();
        attempt
    }
}
