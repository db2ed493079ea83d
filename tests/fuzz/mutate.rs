//! Mutations of texts that keep most of their structure.
use super::text::{ODD, SCALARS, boundary, pick, word, word_at};
use fastrand::Rng;

const MAX_BYTES: usize = 60_000;

/// Changes lines, blocks of an indentation, values, keys and words.
pub fn yaml(rng: &mut Rng, pool: &[String]) -> String {
    changed(rng, pool, |rng, text, other| match rng.u8(..16) {
        0..=2 => with_lines(rng, text, |rng, lines| value(rng, lines)),
        3..=4 => with_lines(rng, text, |rng, lines| splice(rng, lines, other)),
        5..=6 => with_lines(rng, text, block),
        7 => with_lines(rng, text, key),
        8 => with_lines(rng, text, line),
        9..=10 => replace_word(rng, text, other),
        11 => with_lines(rng, text, |rng, lines| long(rng, lines)),
        _ => bytes(rng, text),
    })
}

/// Changes lines and words.
pub fn lines(rng: &mut Rng, pool: &[String]) -> String {
    changed(rng, pool, |rng, text, other| match rng.u8(..8) {
        0..=2 => with_lines(rng, text, line),
        3 => with_lines(rng, text, |rng, lines| splice(rng, lines, other)),
        4 => with_lines(rng, text, block),
        5 => replace_word(rng, text, other),
        6 => with_lines(rng, text, |rng, lines| long(rng, lines)),
        _ => bytes(rng, text),
    })
}

/// Changes a short text word by word, and combines two.
pub fn tokens(rng: &mut Rng, pool: &[String]) -> String {
    const JOINTS: &[&str] = &[
        " && ",
        " || ",
        " == ",
        " + ",
        " in ",
        ".map(x, ",
        ".filter(x, ",
        ".all(x, ",
        ".exists(x, ",
        ".exists_one(x, ",
        ".sortBy(x, ",
        " ? 1 : ",
        "[",
        ".size() > ",
        ".replace('', ",
        ".split(",
        ".join(",
        ".matches(",
        ".format([",
        "].distinct()",
        ".?",
        "[?0]",
        ".orValue(",
        ".contains(",
        ".indexOf(",
        ", ",
        ")",
        "(",
        "lists.range(",
        "!",
        "-",
        "has(",
        "json(",
        "secret(",
        "string(",
        "${",
        "}",
    ];
    changed(rng, pool, |rng, text, other| match rng.u8(..8) {
        0..=1 => replace_word(rng, text, other),
        2..=3 => {
            let joint = pick(rng, JOINTS);
            let at = boundary(rng, text);
            text.insert_str(at, joint);
        }
        4 => {
            let joint = pick(rng, JOINTS);
            let closing = if joint.contains('(') { ")" } else { "" };
            *text = format!("{text}{joint}{other}{closing}");
        }
        5 => {
            let (a, b) = (boundary(rng, text), boundary(rng, text));
            let part = text[a.min(b)..a.max(b)].to_string();
            let at = boundary(rng, text);
            text.insert_str(at, &part);
        }
        6 => {
            let (a, b) = (boundary(rng, text), boundary(rng, text));
            text.replace_range(a.min(b)..a.max(b), "");
        }
        _ => bytes(rng, text),
    })
}

/// One to eight changes of a text of the pool.
fn changed(rng: &mut Rng, pool: &[String], change: impl Fn(&mut Rng, &mut String, &str)) -> String {
    let mut text = pool[rng.usize(..pool.len())].clone();
    for _ in 0..1 + rng.u8(..8) {
        let other = &pool[rng.usize(..pool.len())];
        change(rng, &mut text, other);
        text.truncate(text.floor_char_boundary(MAX_BYTES));
    }
    text
}

fn bytes(rng: &mut Rng, text: &mut String) {
    let at = boundary(rng, text);
    match rng.u8(..5) {
        0 if !text.is_empty() => {
            let mut all = std::mem::take(text).into_bytes();
            let at = at.min(all.len() - 1);
            all[at] = rng.u8(..);
            *text = String::from_utf8_lossy(&all).into_owned();
        }
        1 => text.truncate(at),
        2 => text.insert(at, rng.char(..)),
        _ => text.insert_str(at, pick(rng, ODD)),
    }
}

fn replace_word(rng: &mut Rng, text: &mut String, other: &str) {
    let range = word_at(rng, text);
    let with = if rng.bool() { word(rng, other) } else { pick(rng, SCALARS).to_string() };
    text.replace_range(range, &with);
}

fn with_lines(rng: &mut Rng, text: &mut String, change: impl FnOnce(&mut Rng, &mut Vec<String>)) {
    let mut all: Vec<String> = text.split('\n').map(str::to_string).collect();
    change(rng, &mut all);
    *text = all.join("\n");
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The lines from `start` on that are indented more than it.
fn end_of_block(lines: &[String], start: usize) -> usize {
    let own = indentation(&lines[start]);
    let inner = |line: &String| line.trim().is_empty() || indentation(line) > own;
    start + 1 + lines[start + 1..].iter().take_while(|l| inner(l)).count()
}

/// Another value after a key.
fn value(rng: &mut Rng, lines: &mut [String]) {
    let at = rng.usize(..lines.len());
    if let Some(colon) = lines[at].find(": ") {
        let scalar = pick(rng, SCALARS);
        lines[at].replace_range(colon + 2.., scalar);
    } else {
        lines[at].push_str(pick(rng, SCALARS));
    }
}

/// A block of another text in place of one of this, or before it, with the indentation of this.
fn splice(rng: &mut Rng, lines: &mut Vec<String>, other: &str) {
    let others: Vec<String> = other.split('\n').map(str::to_string).collect();
    let from = rng.usize(..others.len());
    let block = &others[from..end_of_block(&others, from)];
    let at = rng.usize(..lines.len());
    let (old, new) = (indentation(&block[0]), indentation(&lines[at]));
    let moved = block.iter().map(|l| format!("{}{}", " ".repeat(new), l.get(old..).unwrap_or_default()));
    let moved: Vec<String> = moved.collect();
    let end = if rng.bool() { end_of_block(lines, at) } else { at };
    lines.splice(at..end, moved);
}

/// A block is removed, repeated, or indented.
fn block(rng: &mut Rng, lines: &mut Vec<String>) {
    let at = rng.usize(..lines.len());
    let end = end_of_block(lines, at);
    let block: Vec<String> = lines[at..end].to_vec();
    match rng.u8(..4) {
        0 if lines.len() > end - at => drop(lines.drain(at..end)),
        1 => {
            let count = 1 + rng.usize(..20);
            lines.splice(at..at, std::iter::repeat_n(block, count).flatten());
        }
        2 => {
            let by = " ".repeat(rng.usize(..5));
            lines.splice(at..end, block.into_iter().map(|l| format!("{by}{l}")));
        }
        _ => drop(lines.splice(at..end, block.into_iter().map(|l| l.trim_start_matches(' ').to_string()))),
    }
}

/// The key of another line, or a second key for the same value.
fn key(rng: &mut Rng, lines: &mut Vec<String>) {
    let (from, at) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
    let key = lines[from].split(':').next().unwrap_or_default().trim().trim_start_matches("- ").to_string();
    let rest = lines[at].split_once(':').map_or_else(String::new, |(_, rest)| rest.to_string());
    let indent = " ".repeat(indentation(&lines[at]));
    let dash = if lines[at].trim_start().starts_with("- ") { "- " } else { "" };
    let new = format!("{indent}{dash}{key}:{rest}");
    if rng.bool() { lines[at] = new } else { lines.insert(at, new) }
}

fn line(rng: &mut Rng, lines: &mut Vec<String>) {
    let (a, b) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
    match rng.u8(..3) {
        0 if lines.len() > 1 => drop(lines.remove(a)),
        1 => lines.swap(a, b),
        _ => lines.insert(a, lines[b].clone()),
    }
}

/// A long run of one piece.
fn long(rng: &mut Rng, lines: &mut [String]) {
    let at = rng.usize(..lines.len());
    let column = boundary(rng, &lines[at]);
    let piece = if rng.bool() { pick(rng, ODD).to_string() } else { word(rng, &lines[at]) };
    lines[at].insert_str(column, &piece.repeat(1 + rng.usize(..500)));
}
