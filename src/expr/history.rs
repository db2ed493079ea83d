//! Histories: what was done to things that are there or not, and when each was seen, compared with what a correct register allows.
//!
//! Each thing (by its name) is a register that is absent at first, in each place where it can be seen. A creation makes it present,
//! a deletion absent; a read says what is there. Each operation takes effect at one moment between its beginning and its end, so
//! what overlaps may have come in either order, and everything else may not. A history is right if there is such an order for
//! every thing in every place (linearizability: Herlihy and Wing, 1990; the search is that of Wing and Gong, 1993, which for a
//! register with two values needs no way back). Pure; knows no expression.
use crate::value::Value;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Writes to one name, beyond which the search for an order would take too long.
const WRITES: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Create,
    Delete,
    /// How often it was seen.
    Read(usize),
}

/// What a look has shown: how often each name, and when.
struct Sight<'a> {
    counts: BTreeMap<&'a str, usize>,
    from: Timestamp,
    to: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    act: Act,
    from: Timestamp,
    to: Timestamp,
}

/// What is wrong with a history, a sentence for each thing and place, with what happened to it there.
///
/// `operations` is a list of maps: `{op: "create" | "delete", name, from, to}` and
/// `{op: "read", where, seen: [names], from, to}`. The error says what of it cannot be read.
pub fn anomalies(operations: &Value) -> Result<Vec<String>, String> {
    let list = operations.as_list().ok_or("a list of operations is needed")?;
    let mut writes: BTreeMap<&str, Vec<Operation>> = BTreeMap::new();
    let mut reads: BTreeMap<&str, Vec<Sight<'_>>> = BTreeMap::new();
    for (i, one) in list.iter().enumerate() {
        let text = |key: &str| {
            let text = one.get(key).and_then(Value::as_str);
            text.ok_or_else(|| format!("operation {i} needs the text `{key}`"))
        };
        let time = |key: &str| match one.get(key) {
            Some(Value::Time(t)) => Ok(*t),
            _ => Err(format!("operation {i} needs the time `{key}`")),
        };
        let (from, to) = (time("from")?, time("to")?);
        if to < from {
            return Err(format!("operation {i} ends before it begins"));
        }
        match text("op")? {
            "create" => writes.entry(text("name")?).or_default().push(Operation { act: Act::Create, from, to }),
            "delete" => writes.entry(text("name")?).or_default().push(Operation { act: Act::Delete, from, to }),
            "read" => {
                let seen = one.get("seen").and_then(Value::as_list);
                let mut counts = BTreeMap::new();
                for name in seen.ok_or_else(|| format!("operation {i} needs the list `seen`"))? {
                    let name = name.as_str().ok_or_else(|| format!("operation {i} has seen what is no name"))?;
                    *counts.entry(name).or_insert(0) += 1;
                }
                reads.entry(text("where")?).or_default().push(Sight { counts, from, to });
            }
            other => return Err(format!("operation {i} is `{other}`: it can be `create`, `delete` or `read`")),
        }
    }
    if let Some((name, _)) = writes.iter().find(|(_, w)| w.len() > WRITES) {
        return Err(format!("`{name}` was written more than {WRITES} times"));
    }
    let mut found = vec![];
    for (place, reads) in &reads {
        let seen = reads.iter().flat_map(|r| r.counts.keys().copied());
        let names: BTreeSet<&str> = writes.keys().copied().chain(seen).collect();
        for name in names {
            let mut history = writes.get(name).cloned().unwrap_or_default();
            let seen = |r: &Sight<'_>| Act::Read(r.counts.get(name).copied().unwrap_or(0));
            history.extend(reads.iter().map(|r| Operation { act: seen(r), from: r.from, to: r.to }));
            history.sort_by_key(|o| (o.from, o.to));
            if let Some(what) = anomaly(&history) {
                found.push(format!("`{name}` {what} in {place}: {}", told(&history)));
            }
        }
    }
    Ok(found)
}

/// In one word what is wrong with the history of one thing in one place; `None` if there is an order that explains it.
fn anomaly(history: &[Operation]) -> Option<&'static str> {
    if history.iter().any(|o| matches!(o.act, Act::Read(n) if n > 1)) {
        return Some("was doubled");
    }
    if explained(history) {
        return None;
    }
    let present = |o: &&Operation| o.act == Act::Read(1);
    let absent = |o: &&Operation| o.act == Act::Read(0);
    let created = history.iter().filter(|o| o.act == Act::Create);
    let deleted = history.iter().filter(|o| o.act == Act::Delete);
    let Some(first_created) = created.clone().map(|o| o.from).min() else { return Some("was made by nobody") };
    if history.iter().filter(present).any(|o| o.to < first_created) {
        return Some("was there before it was asked for");
    }
    let gone = deleted.clone().map(|o| o.to).min();
    let going = deleted.map(|o| o.from).min();
    if created.clone().count() > 1 && going.is_none() {
        return Some("was created twice");
    }
    let made = created.map(|o| o.to).min()?;
    let seen = history.iter().filter(present).map(|o| o.to).min();
    let lost = |o: &Operation| {
        let there = o.from > made || seen.is_some_and(|s| o.from > s);
        there && going.is_none_or(|g| o.to < g)
    };
    if history.iter().filter(absent).any(lost) {
        return Some("was lost");
    }
    let back = |o: &Operation| {
        let away = history.iter().filter(absent).any(|a| a.to < o.from && going.is_some_and(|g| a.from > g));
        away || gone.is_some_and(|g| o.from > g)
    };
    if history.iter().filter(present).any(back) {
        return Some("was resurrected");
    }
    Some("has a history that no order explains")
}

/// Whether each operation can be given a moment within its time so that all fit together. What can come next is taken at once: a read
/// as soon as it fits, for it changes nothing; and of the writes that fit the one that ends first, for in any order that explains
/// the history it could change places with another of its kind that comes before it.
fn explained(history: &[Operation]) -> bool {
    let mut left: Vec<&Operation> = history.iter().collect();
    let mut present = false;
    // what ends first must come before whatever begins after that
    while let Some(first_end) = left.iter().map(|o| o.to).min() {
        let fits = |o: &&&Operation| match o.act {
            Act::Read(n) => (n == 1) == present,
            Act::Create => !present,
            Act::Delete => present,
        };
        let ready = left.iter().enumerate().filter(|(_, o)| o.from <= first_end && fits(o));
        let next = ready.min_by_key(|(_, o)| (!matches!(o.act, Act::Read(_)), o.to)).map(|(i, _)| i);
        let Some(i) = next else { return false };
        match left.remove(i).act {
            Act::Create => present = true,
            Act::Delete => present = false,
            Act::Read(_) => {}
        }
    }
    true
}

/// The history in words, in milliseconds since its beginning; reads that say the same in a row are one.
fn told(history: &[Operation]) -> String {
    let Some(start) = history.iter().map(|o| o.from).min() else { return String::new() };
    let ms = |t: Timestamp| t.duration_since(start).as_millis();
    let mut parts: Vec<(String, i128, i128)> = vec![];
    for o in history {
        let word = match o.act {
            Act::Create => "created".to_string(),
            Act::Delete => "deleted".to_string(),
            Act::Read(0) => "not seen".to_string(),
            Act::Read(1) => "seen".to_string(),
            Act::Read(n) => format!("seen {n} times"),
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
    fn what_overlaps_may_have_come_in_either_order() {
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
    fn a_lost_thing_is_named_with_its_history() {
        assert_eq!(
            found(&["create a 0 10", "read API 11 12 a", "read API 13 14", "delete a 20 30"]),
            ["`a` was lost in API: created +0..10 ms, seen +11..12 ms, not seen +13..14 ms, deleted +20..30 ms"]
        );
        assert!(found(&["create a 0 10", "read API 2 3 a", "read API 4 5", "read API 6 7 a"])[0].contains("was lost"));
        assert!(found(&["create a 0 10", "read API 11 12"])[0].contains("was lost"));
    }

    #[test]
    fn a_doubled_one_too_and_one_that_nobody_made() {
        assert!(found(&["create a 0 10", "read API 11 12 a a"])[0].contains("was doubled in API: created"));
        assert!(found(&["create a 0 10", "create a 1 9", "read API 11 12 a"])[0].contains("was created twice"));
        assert!(found(&["create a 0 10", "read API 11 12 a b"])[0].starts_with("`b` was made by nobody"));
        assert!(found(&["create a 10 20", "read API 1 2 a"])[0].contains("before it was asked for"));
    }

    #[test]
    fn many_writes_at_once_are_judged_at_once() {
        let mut all: Vec<String> = (0..30).map(|i| format!("create a {i} 100")).collect();
        all.push("read API 110 111 a".into());
        assert!(found(&all.iter().map(String::as_str).collect::<Vec<_>>())[0].contains("was created twice"));
        all.extend((0..29).map(|i| format!("delete a {i} 100")));
        assert!(found(&all.iter().map(String::as_str).collect::<Vec<_>>()).is_empty());
    }

    #[test]
    fn a_resurrected_one_too() {
        let base = ["create a 0 10", "delete a 20 30"];
        let with = |more: &[&str]| found(&[&base[..], more].concat());
        assert!(with(&["read API 31 32 a"])[0].contains("was resurrected"));
        assert!(with(&["read API 21 22", "read API 23 24 a"])[0].contains("was resurrected"));
    }

    #[test]
    fn each_place_has_a_history_of_its_own() {
        let bad = found(&["create a 0 10", "read API 11 12 a", "read database 11 12", "read cluster 11 12 a"]);
        assert_eq!(bad.len(), 1);
        assert!(bad[0].contains("in database"), "{bad:?}");
    }

    /// Against an order that is known: a register is run through, and each operation given some time around its moment.
    #[test]
    fn what_a_register_did_is_always_explained() {
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
    fn what_cannot_be_read_is_said() {
        assert_eq!(anomalies(&Value::Null).unwrap_err(), "a list of operations is needed");
        assert!(anomalies(&history(&["swap a 0 1"])).unwrap_err().contains("`swap`"));
        assert!(anomalies(&history(&["create a 5 1"])).unwrap_err().contains("ends before it begins"));
        let no_name = Value::list(vec![Value::map([("op".to_string(), Value::text("create"))])]);
        assert!(anomalies(&no_name).unwrap_err().contains("the time `from`"));
    }
}
