//! Checks histories of operations for linearizability: creations, deletions and reads of things that exist or not.
//!
//! In each place where it can be read, a thing (by its name) is a register that is absent at first. A creation makes it
//! present, a deletion absent. Each operation takes effect at one moment between its start and its end, so overlapping
//! operations may take effect in either order. A history is correct if such an order exists for every thing in every
//! place (Herlihy and Wing, 1990). The search is that of Wing and Gong (1993), which needs no backtracking for a
//! register with two values.
use crate::value::Value;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Writes to one name; with more the search takes too long.
const MAX_WRITES: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    Create,
    Delete,
    /// The number of things of this name that the read found.
    Read(usize),
}

/// The number of things of each name that a read found, and its interval.
struct Observation<'a> {
    counts: BTreeMap<&'a str, usize>,
    from: Timestamp,
    to: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    effect: Effect,
    from: Timestamp,
    to: Timestamp,
}

/// One sentence for each thing and place whose history no order explains, with that history.
///
/// `operations` is a list of maps: `{op: "create" | "delete", name, from, to}` and
/// `{op: "read", where, seen: [names], from, to}`.
pub fn anomalies(operations: &Value) -> Result<Vec<String>, String> {
    let list =
        operations.as_list().ok_or_else(|| format!("expected a list of operations, found {}", operations.kind()))?;
    let mut writes: BTreeMap<&str, Vec<Operation>> = BTreeMap::new();
    let mut reads: BTreeMap<&str, Vec<Observation<'_>>> = BTreeMap::new();
    for (index, operation) in list.iter().enumerate() {
        let invalid = |key, expected| format!("operation {index}: expected {expected} under `{key}`");
        let text = |key| operation.get(key).and_then(Value::as_str).ok_or_else(|| invalid(key, "a string"));
        let time = |key| match operation.get(key) {
            Some(Value::Time(t)) => Ok(*t),
            _ => Err(invalid(key, "a time")),
        };
        let (from, to) = (time("from")?, time("to")?);
        if to < from {
            return Err(format!("operation {index}: `to` is before `from`"));
        }
        match text("op")? {
            "create" => writes.entry(text("name")?).or_default().push(Operation { effect: Effect::Create, from, to }),
            "delete" => writes.entry(text("name")?).or_default().push(Operation { effect: Effect::Delete, from, to }),
            "read" => {
                let seen = operation.get("seen").and_then(Value::as_list);
                let mut counts = BTreeMap::new();
                for name in seen.ok_or_else(|| invalid("seen", "a list"))? {
                    let name = name.as_str().ok_or_else(|| invalid("seen", "a list of strings"))?;
                    *counts.entry(name).or_insert(0) += 1;
                }
                reads.entry(text("where")?).or_default().push(Observation { counts, from, to });
            }
            other => {
                return Err(format!("operation {index}: expected `create`, `delete` or `read`, found `{other}`"));
            }
        }
    }
    if let Some((name, _)) = writes.iter().find(|(_, w)| w.len() > MAX_WRITES) {
        return Err(format!("expected at most {MAX_WRITES} writes to `{name}`"));
    }
    let mut found = vec![];
    for (place, reads) in &reads {
        let seen = reads.iter().flat_map(|r| r.counts.keys().copied());
        let names: BTreeSet<&str> = writes.keys().copied().chain(seen).collect();
        for name in names {
            let mut history = writes.get(name).cloned().unwrap_or_default();
            let seen = |r: &Observation<'_>| Effect::Read(r.counts.get(name).copied().unwrap_or(0));
            history.extend(reads.iter().map(|r| Operation { effect: seen(r), from: r.from, to: r.to }));
            history.sort_by_key(|o| (o.from, o.to));
            if let Some(what) = anomaly(&history) {
                found.push(format!("`{name}` {what} in {place}: {}", describe(&history)));
            }
        }
    }
    Ok(found)
}

/// What is wrong with the history of one thing in one place; `None` if an order explains it.
fn anomaly(history: &[Operation]) -> Option<&'static str> {
    if history.iter().any(|o| matches!(o.effect, Effect::Read(n) if n > 1)) {
        return Some("was duplicated");
    }
    if is_linearizable(history) {
        return None;
    }
    let present = |o: &&Operation| o.effect == Effect::Read(1);
    let absent = |o: &&Operation| o.effect == Effect::Read(0);
    let created = history.iter().filter(|o| o.effect == Effect::Create);
    let deleted = history.iter().filter(|o| o.effect == Effect::Delete);
    let Some(create_requested) = created.clone().map(|o| o.from).min() else { return Some("was never created") };
    if history.iter().filter(present).any(|o| o.to < create_requested) {
        return Some("was present before its creation was requested");
    }
    let delete_done = deleted.clone().map(|o| o.to).min();
    let delete_requested = deleted.map(|o| o.from).min();
    if created.clone().count() > 1 && delete_requested.is_none() {
        return Some("was created twice");
    }
    let create_done = created.map(|o| o.to).min()?;
    let first_found = history.iter().filter(present).map(|o| o.to).min();
    let lost = |o: &Operation| {
        let existed = o.from > create_done || first_found.is_some_and(|f| o.from > f);
        existed && delete_requested.is_none_or(|d| o.to < d)
    };
    if history.iter().filter(absent).any(lost) {
        return Some("was lost");
    }
    let resurrected = |o: &Operation| {
        let was_absent = |a: &Operation| a.to < o.from && delete_requested.is_some_and(|d| a.from > d);
        history.iter().filter(absent).any(was_absent) || delete_done.is_some_and(|d| o.from > d)
    };
    if history.iter().filter(present).any(resurrected) {
        return Some("was resurrected");
    }
    Some("has a history that no order of operations explains")
}

/// Whether some order of the operations explains all reads. Greedy: a fitting read is chosen next, since it changes
/// nothing; otherwise the fitting write that ends first, which in any valid order could change places with an earlier
/// one of its kind.
fn is_linearizable(history: &[Operation]) -> bool {
    let mut left: Vec<&Operation> = history.iter().collect();
    let mut present = false;
    // the operation that ends first must precede all that start later
    while let Some(first_end) = left.iter().map(|o| o.to).min() {
        let fits = |o: &&&Operation| match o.effect {
            Effect::Read(n) => (n == 1) == present,
            Effect::Create => !present,
            Effect::Delete => present,
        };
        let ready = left.iter().enumerate().filter(|(_, o)| o.from <= first_end && fits(o));
        let next = ready.min_by_key(|(_, o)| (!matches!(o.effect, Effect::Read(_)), o.to)).map(|(i, _)| i);
        let Some(i) = next else { return false };
        match left.remove(i).effect {
            Effect::Create => present = true,
            Effect::Delete => present = false,
            Effect::Read(_) => {}
        }
    }
    true
}

/// The history in words, in milliseconds since its start. Equal consecutive reads are joined.
fn describe(history: &[Operation]) -> String {
    let Some(start) = history.iter().map(|o| o.from).min() else { return String::new() };
    let ms = |t: Timestamp| t.duration_since(start).as_millis();
    let mut parts: Vec<(String, i128, i128)> = vec![];
    for o in history {
        let word = match o.effect {
            Effect::Create => "created".to_string(),
            Effect::Delete => "deleted".to_string(),
            Effect::Read(0) => "not seen".to_string(),
            Effect::Read(1) => "seen".to_string(),
            Effect::Read(n) => format!("seen {n} times"),
        };
        match parts.last_mut() {
            Some((last, _, to)) if *last == word => *to = ms(o.to).max(*to),
            _ => parts.push((word, ms(o.from), ms(o.to))),
        }
    }
    parts.iter().map(|(word, from, to)| format!("{word} +{from}..{to} ms")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `create 0 10`, `read API 5 6 a b`
    fn history(lines: &[&str]) -> Value {
        let time = |ms: &str| Value::Time(Timestamp::from_millisecond(ms.parse().unwrap()).unwrap());
        let one = |line: &&str| {
            let w: Vec<&str> = line.split(' ').collect();
            let entry = |k: &str, v: Value| (k.to_string(), v);
            match w[0] {
                "read" => Value::map([
                    entry("op", Value::text("read")),
                    entry("where", Value::text(w[1])),
                    entry("from", time(w[2])),
                    entry("to", time(w[3])),
                    entry("seen", Value::list(w[4..].iter().map(Value::text).collect())),
                ]),
                op => Value::map([
                    entry("op", Value::text(op)),
                    entry("name", Value::text(w[1])),
                    entry("from", time(w[2])),
                    entry("to", time(w[3])),
                ]),
            }
        };
        Value::list(lines.iter().map(one).collect())
    }

    fn found(lines: &[&str]) -> Vec<String> {
        anomalies(&history(lines)).unwrap()
    }

    #[test]
    fn overlapping_operations_may_take_effect_in_either_order() {
        assert!(found(&["create a 0 10", "read API 2 3", "read API 4 5 a", "read API 11 12 a"]).is_empty());
        assert!(
            found(&["create a 0 10", "delete a 20 30", "read API 21 22 a", "read API 23 24", "read API 31 32"])
                .is_empty()
        );
        assert!(found(&["create a 0 10", "read API 1 9", "read API 2 8 a"]).is_empty(), "reads that overlap too");
        assert!(found(&["create a 0 5", "delete a 6 8", "create a 9 12", "read API 13 14 a"]).is_empty());
        assert!(found(&["create a 0 30", "delete a 0 30", "read API 40 41"]).is_empty());
    }

    #[test]
    fn reports_a_lost_thing_with_its_history() {
        assert_eq!(
            found(&["create a 0 10", "read API 11 12 a", "read API 13 14", "delete a 20 30"]),
            ["`a` was lost in API: created +0..10 ms, seen +11..12 ms, not seen +13..14 ms, deleted +20..30 ms"]
        );
        assert!(found(&["create a 0 10", "read API 2 3 a", "read API 4 5", "read API 6 7 a"])[0].contains("was lost"));
        assert!(found(&["create a 0 10", "read API 11 12"])[0].contains("was lost"));
    }

    #[test]
    fn reports_duplicated_and_never_created_things() {
        assert!(found(&["create a 0 10", "read API 11 12 a a"])[0].contains("was duplicated in API: created"));
        assert!(found(&["create a 0 10", "create a 1 9", "read API 11 12 a"])[0].contains("was created twice"));
        assert!(found(&["create a 0 10", "read API 11 12 a b"])[0].starts_with("`b` was never created"));
        assert!(found(&["create a 10 20", "read API 1 2 a"])[0].contains("before its creation was requested"));
    }

    #[test]
    fn many_concurrent_writes_are_checked_quickly() {
        let mut all: Vec<String> = (0..30).map(|i| format!("create a {i} 100")).collect();
        all.push("read API 110 111 a".into());
        assert!(found(&all.iter().map(String::as_str).collect::<Vec<_>>())[0].contains("was created twice"));
        all.extend((0..29).map(|i| format!("delete a {i} 100")));
        assert!(found(&all.iter().map(String::as_str).collect::<Vec<_>>()).is_empty());
    }

    #[test]
    fn reports_a_resurrected_thing() {
        let base = ["create a 0 10", "delete a 20 30"];
        let with = |more: &[&str]| found(&[&base[..], more].concat());
        assert!(with(&["read API 31 32 a"])[0].contains("was resurrected"));
        assert!(with(&["read API 21 22", "read API 23 24 a"])[0].contains("was resurrected"));
    }

    #[test]
    fn each_place_has_its_own_history() {
        let bad = found(&["create a 0 10", "read API 11 12 a", "read database 11 12", "read cluster 11 12 a"]);
        assert_eq!(bad.len(), 1);
        assert!(bad[0].contains("in database"), "{bad:?}");
    }

    /// Simulates a register, and gives each operation a random interval around its moment.
    #[test]
    fn accepts_every_history_of_a_simulated_register() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        for _ in 0..300 {
            let (mut present, mut lines) = (false, vec![]);
            for n in 0..20 {
                let moment = 100 * (n + 1);
                let (from, to) = (moment - random(100), moment + random(100));
                match random(4) {
                    0 if !present => lines.push(format!("create a {from} {to}")),
                    1 if present => lines.push(format!("delete a {from} {to}")),
                    _ => {
                        lines.push(format!("read API {from} {to}{}", if present { " a" } else { "" }));
                        continue;
                    }
                }
                present = !present;
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(found(&lines), Vec::<String>::new(), "{lines:?}");
        }
    }

    #[test]
    fn refuses_malformed_histories() {
        assert_eq!(anomalies(&Value::Null).unwrap_err(), "expected a list of operations, found null");
        assert!(anomalies(&history(&["swap a 0 1"])).unwrap_err().to_string().contains("`swap`"));
        assert_eq!(anomalies(&history(&["create a 5 1"])).unwrap_err(), "operation 0: `to` is before `from`");
        let no_name = Value::list(vec![Value::map([("op".to_string(), Value::text("create"))])]);
        assert!(anomalies(&no_name).unwrap_err().to_string().contains("a time under `from`"));
    }
}
