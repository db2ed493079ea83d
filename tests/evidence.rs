//! A failed sentence shows its evidence in every format: TP-004 is run with defects of the sandbox that are picked at random, and the
//! block of the sentence that decides must hold what was asked, what came back, the value that differs, and the command to see it again.
mod support;

use quick_xml::{XmlVersion, events::Event, reader::Reader};
use serde_json::Value;
use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use support::{ROOT, Workspace};

const DEFECTS: usize = 20;
const PROCESSES: usize = 2;
const CASES: usize = 10;
/// Formats cut longer lines.
const MAX_COMPARED_CHARS: usize = 60;
/// A part of a value that is shown.
const MIN_PART_CHARS: usize = 24;

/// A defect of the sandbox, and a case that it breaks.
#[derive(Clone, Debug, PartialEq)]
struct Broken {
    defect: String,
    case: String,
}

/// The rows of the proof: `| defect | what it does | ✗ or · by case | outcome | time |`.
fn all_broken() -> Vec<Broken> {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/TP-004-proof.md")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let defect = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?.to_string();
        let marks = cells.get(3..3 + CASES)?;
        let broken = marks.iter().enumerate().filter(|(_, mark)| mark.contains('✗'));
        Some(
            broken
                .map(|(n, _)| Broken { defect: defect.clone(), case: format!("TC-INT-{:03}", n + 1) })
                .collect::<Vec<_>>(),
        )
    };
    text.lines().filter_map(row).flatten().collect()
}

/// As many different defects, each with one of its cases.
fn picked(count: usize, seed: u64) -> Vec<Broken> {
    let (mut all, mut random, mut picked) = (all_broken(), fastrand::Rng::with_seed(seed), Vec::<Broken>::new());
    random.shuffle(&mut all);
    for broken in all {
        if picked.len() < count && picked.iter().all(|p| p.defect != broken.defect) {
            picked.push(broken);
        }
    }
    assert_eq!(picked.len(), count, "the proof page has fewer defects");
    picked
}

/// Letters and digits of a text, by which formats that escape and wrap it can be compared.
fn core(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Whether a block has the beginning of a text.
fn contains(block: &str, text: &str) -> bool {
    let beginning: String = core(text).chars().take(MAX_COMPARED_CHARS).collect();
    !beginning.is_empty() && core(block).contains(&beginning)
}

/// Whether a block has a value, or of a long one any part: formats cut it around different places.
fn shows(block: &str, text: &str) -> bool {
    let (block, text) = (core(block), core(text).chars().collect::<Vec<_>>());
    let mut parts = text.windows(MIN_PART_CHARS.min(text.len().max(1))).map(|part| part.iter().collect::<String>());
    parts.any(|part| block.contains(&part))
}

/// The files of one run.
struct Reports {
    markdown: String,
    json: Value,
    junit: String,
    ctrf: Value,
    html: String,
    annotations: String,
}

fn reports(broken: &Broken) -> Reports {
    let workspace = Workspace::new();
    let args =
        ["run", "TP-004", "--defect", &broken.defect, "--case", &broken.case, "--format", "json,junit,ctrf,html"];
    // shorter than in the plan, so that a wait that fails does not take half a minute
    let shorter = ["--set", "settle=4s", "--set", "answer_within=5s"];
    let summary = workspace.path("summary.md");
    let mut command = workspace.command(&[&args[..], &shorter].concat());
    let ran = command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    let read = |extension: &str| {
        let file = workspace.path(&format!("tests/reports/integration-test-report.{extension}"));
        std::fs::read_to_string(file)
            .unwrap_or_else(|e| panic!("{broken:?}: {e}\n{}", String::from_utf8_lossy(&ran.stderr)))
    };
    let json = |extension: &str| serde_json::from_str(&read(extension)).unwrap();
    Reports {
        markdown: read("md"),
        json: json("json"),
        junit: read("junit.xml"),
        ctrf: json("ctrf.json"),
        html: read("html"),
        annotations: String::from_utf8_lossy(&ran.stderr).into_owned(),
    }
}

fn texts<'v>(list: &'v Value, key: &str) -> Vec<&'v str> {
    list.as_array().into_iter().flatten().filter_map(|entry| entry[key].as_str()).collect()
}

/// What the block of a sentence must hold.
#[derive(Debug)]
struct Facts {
    /// `expected`, and its number.
    part: String,
    number: usize,
    text: String,
    /// Of each observation that was judged: the first line of the request, and the lines of the response.
    exchanges: Vec<(String, Vec<String>)>,
    /// The values of the first assertion that does not hold, or the reason.
    values: Vec<String>,
    again: String,
}

fn facts(json: &Value, case: &str) -> Result<Facts, String> {
    let case = json["cases"].as_array().unwrap().iter().find(|c| c["id"] == case).unwrap();
    if case["verdict"] != "failed" {
        return Err(format!("verdict {}", case["verdict"]));
    }
    let deciding = &case["deciding_sentence"];
    let sentence = case["sentences"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["address"] == *deciding)
        .ok_or("no deciding sentence")?;
    let failed = |a: &&Value| a["status"] == "failed";
    let actions: Vec<&Value> = sentence["actions"].as_array().unwrap().iter().filter(failed).collect();
    let unmet = |a: &&Value| a["assertions"].as_array().unwrap().iter().find(|r| r["holds"] == false).cloned();
    let values = match actions.iter().find_map(unmet) {
        Some(result) => {
            let operands = texts(&result["operands"], "value");
            let shown = if operands.is_empty() { vec![result["actual"].as_str().unwrap()] } else { operands };
            shown.into_iter().map(|v| v.trim_matches(['…', '"']).to_string()).collect()
        }
        None => vec![
            sentence["reason"]
                .as_str()
                .or(actions.first().and_then(|a| a["reason"].as_str()))
                .unwrap_or_default()
                .into(),
        ],
    };
    let judged: Vec<&Value> = sentence["judged"].as_array().unwrap().iter().collect();
    let inputs = case["inputs"].as_array().unwrap().iter().filter(|i| judged.contains(&&i["address"]));
    let exchange = |a: &Value| {
        let evidence = |kind: &str| {
            a["evidence"].as_array().unwrap().iter().find(|e| e["kind"] == kind).and_then(|e| e["text"].as_str())
        };
        let lines = |text: &str| text.lines().map(str::to_string).collect();
        let request = evidence("request").and_then(|text| text.lines().next()).unwrap_or_default();
        let response = evidence("response").map(lines).unwrap_or_default();
        (evidence("request").is_some() || evidence("response").is_some()).then(|| (request.to_string(), response))
    };
    let address: Vec<&str> = deciding.as_str().unwrap().rsplit('/').collect();
    Ok(Facts {
        part: sentence["part"].as_str().unwrap().into(),
        number: address[0].parse().unwrap(),
        text: sentence["text"].as_str().unwrap().into(),
        exchanges: actions.into_iter().chain(inputs).filter_map(exchange).collect(),
        values,
        again: case["again"].as_str().unwrap().into(),
    })
}

/// The part of a text from `start` to the first of `ends`.
fn between<'t>(text: &'t str, start: &str, ends: &[&str]) -> Option<&'t str> {
    let from = &text[text.find(start)? + start.len()..];
    let end = ends.iter().filter_map(|end| from.find(end)).min().unwrap_or(from.len());
    Some(&from[..end])
}

/// The item of the sentence in its case, with the line that says how to run the case again.
fn markdown_block(text: &str, case: &str, facts: &Facts) -> Option<String> {
    let section = between(text, &format!("\n### {case}"), &["\n### ", "\n## "])?;
    let starts = section.match_indices('\n').map(|(at, _)| at + 1).filter(|at| is_item(&section[*at..]));
    let starts: Vec<usize> = starts.chain([section.len()]).collect();
    let item = starts
        .windows(2)
        .map(|ends| &section[ends[0]..ends[1]])
        .find(|item| item.contains('❌') && contains(item, &facts.text))?;
    let item = &item[..item.find("\n**").unwrap_or(item.len())];
    let again = section.lines().filter(|line| line.contains("tp-runner run"));
    Some(again.fold(item.to_string(), |block, line| block + "\n" + line))
}

/// Whether an item of a list begins, with or without a number.
fn is_item(text: &str) -> bool {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    text.starts_with("- ") || digits > 0 && text[digits..].starts_with(". ")
}

fn junit_block(xml: &str, case: &str, facts: &Facts) -> Option<String> {
    let (class, name) = (format!("TP-004.{case}"), format!("{} {}:", facts.part, facts.number));
    let (mut reader, mut block, mut inside) = (Reader::from_str(xml), String::new(), false);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) if tag.name().as_ref() == b"testcase" => {
                let attribute = |key: &str| {
                    tag.try_get_attribute(key)
                        .unwrap()
                        .unwrap()
                        .normalized_value(XmlVersion::Implicit1_0)
                        .unwrap()
                        .into_owned()
                };
                inside = attribute("classname") == class && attribute("name").starts_with(&name);
            }
            Event::End(tag) if tag.name().as_ref() == b"testcase" && inside => return Some(block),
            Event::Text(text) if inside => block.push_str(&text.decode().unwrap()),
            // no escaped character is a letter
            Event::GeneralRef(_) if inside => block.push(' '),
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn ctrf_block(report: &Value, case: &str, facts: &Facts) -> Option<String> {
    let tests = report["results"]["tests"].as_array()?;
    let trace = tests.iter().find(|t| t["name"].as_str().is_some_and(|n| n.starts_with(case)))?["trace"].as_str()?;
    let name = |part: &str| format!("\n\n{part} ");
    let ends: Vec<String> = ["precondition", "step", "expected"].iter().map(|p| name(p)).collect();
    let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
    between(&format!("\n\n{trace}"), &format!("\n\n{} {}:", facts.part, facts.number), &ends).map(str::to_string)
}

/// The text of the element of the sentence, and the command of its case.
fn html_block(html: &str, case: &str, facts: &Facts) -> Option<String> {
    let list = match facts.part.as_str() {
        "precondition" => "preconditions",
        "step" => "steps",
        other => other,
    };
    let sentence = between(html, &format!("id=\"case-{case}.{list}.{}\"", facts.number), &["id=\"case-"])?;
    let head = between(html, &format!("id=\"case-{case}\""), &["id=\"case-"])?;
    Some(format!("{} {}", text_of(sentence), text_of(head)))
}

fn text_of(html: &str) -> String {
    let mut out = String::new();
    for piece in html.split('<') {
        out.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
    }
    // no escaped character is a letter
    ["&quot;", "&amp;", "&lt;", "&gt;", "&#39;"].into_iter().fold(out, |text, entity| text.replace(entity, " "))
}

fn annotation(stderr: &str, case: &str, facts: &Facts) -> Option<String> {
    let title = format!("title={case} {} {}%3A", facts.part, facts.number);
    let line = stderr.lines().find(|line| line.starts_with("::error ") && line.contains(&title))?;
    Some(line.replace("%0A", "\n").replace("%25", "%"))
}

/// What the blocks lack, by format.
fn lacks(reports: &Reports, broken: &Broken) -> Vec<String> {
    let case = broken.case.as_str();
    let facts = match facts(&reports.json, case) {
        Ok(facts) => facts,
        Err(why) => return vec![format!("JSON: {why}")],
    };
    let mut lacks = vec![];
    if facts.exchanges.is_empty() {
        lacks.push(format!("JSON: no request and no observation: {facts:?}"));
    }
    for (format, block) in [
        ("Markdown", markdown_block(&reports.markdown, case, &facts)),
        ("JUnit", junit_block(&reports.junit, case, &facts)),
        ("CTRF", ctrf_block(&reports.ctrf, case, &facts)),
        ("HTML", html_block(&reports.html, case, &facts)),
        ("GitHub", annotation(&reports.annotations, case, &facts)),
    ] {
        let Some(block) = block else {
            lacks.push(format!("{format}: no block of {} {}", facts.part, facts.number));
            continue;
        };
        let mut lack = |what: &str| lacks.push(format!("{format}: no {what}; {facts:?}\n{block}\n"));
        if !facts.exchanges.iter().any(|(request, _)| request.is_empty() || contains(&block, request)) {
            lack("request");
        }
        let has_line =
            |lines: &Vec<String>| lines.is_empty() || lines.iter().any(|l| core(l).len() > 7 && shows(&block, l));
        if !facts.exchanges.iter().any(|(_, response)| has_line(response)) {
            lack("response");
        }
        if !facts.values.iter().any(|value| core(value).is_empty() || shows(&block, value)) {
            lack("differing value");
        }
        if !contains(&block, &facts.again) {
            lack("command");
        }
    }
    lacks
}

#[test]
fn failed_sentences_show_their_evidence_in_every_format() {
    let variable = |name: &str| std::env::var(name).ok().map(|v| v.parse().unwrap_or_else(|e| panic!("{name}: {e}")));
    let seed = variable("TP_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let count = variable("TP_TEST_DEFECTS").map_or(DEFECTS, |n| n as usize);
    let (picked, next) = (picked(count, seed), AtomicUsize::new(0));
    let work = || {
        let mut found = vec![];
        while let Some(broken) = picked.get(next.fetch_add(1, Ordering::SeqCst)) {
            found.extend(lacks(&reports(broken), broken).into_iter().map(|lack| format!("{broken:?}: {lack}")));
        }
        found
    };
    let found: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..PROCESSES).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    assert!(found.is_empty(), "TP_TEST_SEED={seed}\n{}", found.join("\n"));
}
