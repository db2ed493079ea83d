//! Journals: what can be read of one is rendered.
use super::{
    corpus::ROOT,
    driver::Outcome,
    mutate,
    text::{SCALARS, boundary, pick},
};
use fastrand::Rng;
use serde_json::{Value as Json, json};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};
use tp_runner::{
    event::EventSink,
    journal::lines,
    report::{index_builder::IndexBuilder, markdown},
};

/// The journals of short runs with the binary: of two cases of TP-004, and of one that cannot reach its targets.
pub fn recorded() -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tp-runner"));
        command.args(args).current_dir(ROOT).env("TP_RUNS_DIR", folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the binary starts");
    };
    run(&[
        "run",
        "plans/TP-004.yaml",
        "--case",
        "TC-INT-00[13]",
        "--report-dir",
        &folder.path().join("out").display().to_string(),
    ]);
    run(&["run", "examples/01-http-and-checks.yaml", "--report-dir", &folder.path().join("out").display().to_string()]);
    let mut all = vec![];
    for entry in fs::read_dir(folder.path()).expect("a folder").flatten() {
        if let Ok(text) = fs::read_to_string(entry.path().join("events.jsonl")) {
            // the beginning, the end, and what is between
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let ends = lines.len().saturating_sub(40).max(40).min(lines.len());
            all.push(lines[..40.min(lines.len())].iter().chain(&lines[ends..]).copied().collect());
            all.push(lines.into_iter().step_by(7).collect::<String>());
        }
    }
    all
}

/// Changes the JSON of some lines, or the text.
pub fn changed(rng: &mut Rng, pool: &[String]) -> String {
    if rng.u8(..4) == 0 {
        return mutate::lines(rng, pool);
    }
    let text = &pool[rng.usize(..pool.len())];
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    for _ in 0..1 + rng.u8(..6) {
        if lines.is_empty() {
            break;
        }
        let (at, other) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
        match rng.u8(..8) {
            0 => lines.swap(at, other),
            1 => lines.insert(at, lines[other].clone()),
            2 => drop(lines.remove(at)),
            3 => {
                let cut = boundary(rng, &lines[at]);
                lines[at].truncate(cut);
            }
            _ => {
                if let (Ok(mut event), Ok(from)) =
                    (serde_json::from_str(&lines[at]), serde_json::from_str(&lines[other]))
                {
                    change(rng, &mut event, &from);
                    lines[at] = event.to_string();
                }
            }
        }
    }
    lines.join("\n") + if rng.bool() { "\n" } else { "" }
}

/// Changes a value inside of `json`, or takes it from the same place of `other`.
fn change(rng: &mut Rng, json: &mut Json, other: &Json) {
    match json {
        Json::Object(map) if !map.is_empty() && rng.u8(..8) > 0 => {
            let key = map.keys().nth(rng.usize(..map.len())).cloned().unwrap_or_default();
            match rng.u8(..10) {
                0 => drop(map.remove(&key)),
                1 => drop(map.insert(pick(rng, SCALARS).to_string(), json!(1))),
                2 => drop(other.get(&key).map(|v| map.insert(key, v.clone()))),
                _ => {
                    let inner = other.get(&key).unwrap_or(&Json::Null);
                    map.get_mut(&key).into_iter().for_each(|v| change(rng, v, inner));
                }
            }
        }
        Json::Array(items) if !items.is_empty() && rng.u8(..8) > 0 => {
            let at = rng.usize(..items.len());
            match rng.u8(..6) {
                0 => drop(items.remove(at)),
                1 => items.insert(at, items[at].clone()),
                _ => change(rng, &mut items[at], &Json::Null),
            }
        }
        value => {
            *value = match rng.u8(..14) {
                0 => Json::Null,
                1 => json!(-1),
                2 => json!(u64::MAX),
                3 => json!([]),
                4 => json!({}),
                5 => json!({"$time": "9999-12-31T23:59:59Z"}),
                6 => json!({"$duration": "P999999D"}),
                7 => json!("x".repeat(rng.usize(..3000))),
                8 => json!(1e300),
                9 => json!(format!("^{}.{}", rng.u8(..60), rng.u8(..60))),
                10 => json!(format!("^{}.{}/x", rng.u8(..60), rng.u8(..6))),
                11 => json!({ "$join": ["\n", "a", format!("^{}.3", rng.u8(..60))] }),
                12 => json!({ "$compact": format!("^{}.3", rng.u8(..60)) }),
                _ => json!(pick(rng, SCALARS)),
            }
        }
    }
}

pub fn journal(text: &str) -> Outcome {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
    let path = FOLDER.path().join("events.jsonl");
    fs::write(&path, text).expect("a file");
    let mut builder = IndexBuilder::default();
    let (mut events, mut kinds) = (0, vec![]);
    let unreadable = lines::for_each(&path, |event| {
        events += 1;
        kinds.push(std::mem::discriminant(&event.kind));
        builder.on_event(&event).expect("an index takes every event");
    });
    let index = builder.index();
    let mut out = vec![];
    markdown::write(&index, &mut out).expect("it is rendered");
    assert!(events == 0 || !out.is_empty(), "{events} events were read, and nothing is rendered");
    kinds.dedup();
    Outcome::of((unreadable.map_or(99, |torn| torn.len().min(5)), kinds.len().min(200), Path::new(&path).exists()))
}
