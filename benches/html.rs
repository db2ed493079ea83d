//! How long Chromium takes to open the HTML report of 5,000 steps, a fifth of which did not pass, up to the second frame after the page is
//! loaded, the processor time of that, and how long writing takes. Prints them, and asserts nothing.
//!
//! `cargo bench --bench html`
#[path = "../tests/support/chromium.rs"]
mod chromium;
#[path = "../tests/html/report.rs"]
mod report;

use chromium::Chromium;
use report::Run;
use serde_json::json;
use std::time::Instant;

const CASES: usize = 100;
const STEPS: usize = 50;
const ROUNDS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if std::env::args().any(|a| a == "--list" || a == "--test") {
        return;
    }
    let run = Run { cases: CASES, steps: STEPS, text: "Sessions" };
    let begun = Instant::now();
    let html = run.html();
    let written = begun.elapsed();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    std::fs::write(&file, &html).expect("the report");
    let mut browser = Chromium::start().await;
    browser.send("Performance.enable", json!({ "timeDomain": "threadTicks" })).await;
    let mut took = vec![];
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        browser.open(&file).await;
        browser.wait_for_frame().await;
        took.push(begun.elapsed());
    }
    took.sort();
    let metrics = browser.send("Performance.getMetrics", json!({})).await;
    let is_busy = |metric: &&serde_json::Value| metric["name"] == "TaskDuration";
    let busy =
        metrics["metrics"].as_array().and_then(|all| all.iter().find(is_busy)?["value"].as_f64()).unwrap_or_default();
    let elements = browser.evaluate("document.querySelectorAll('*').length").await;
    println!("{} steps, {:.1} MB, {elements} elements", CASES * STEPS, html.len() as f64 / 1e6);
    println!(
        "written in {written:.0?} (with the index), opened in {:.0?} ({:.0?} to {:.0?})",
        took[ROUNDS / 2],
        took[0],
        took[ROUNDS - 1]
    );
    println!("processor time of the page's thread for the last one: {busy:.2} s");
}
