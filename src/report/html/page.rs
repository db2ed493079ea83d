//! The frame of the page: head with content security policy, landmarks, footer, script.
use super::{text::Text, words::of_run};
use crate::report::{gate::gate, run_index::RunIndex};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// Up to the beginning of the body's content.
pub fn begin(run: &RunIndex) -> Markup {
    let verdict = gate(run).verdict;
    let (_, symbol) = of_run(verdict);
    let title = format!("{symbol} {}: {} {}", verdict.as_str(), run.start.plan.id, run.start.plan.title);
    let start = html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy());
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="no-referrer";
            title { (Text(title.trim())) }
            style { (PreEscaped(STYLE)) }
        }
    };
    html! {
        (DOCTYPE)
        (PreEscaped("<html lang=\"en\">")) (start) (PreEscaped("<body>"))
        a.skip href="#cases" { "Skip to the cases" }
    }
}

pub fn begin_main() -> Markup {
    PreEscaped("<main>".to_owned())
}

pub fn end_section() -> Markup {
    PreEscaped("</section>".to_owned())
}

pub fn end(run: &RunIndex) -> Markup {
    let version = run.start.versions.iter().find(|(name, _)| name == "tp-runner").map(|(_, version)| version.as_str());
    html! {
        (PreEscaped("</main>"))
        footer {
            p {
                "Written by tp-runner" @if let Some(version) = version { " " (Text(version)) } "."
                @if let Some(notice) = &run.start.environment.notice { " " strong { (Text(notice)) } }
            }
        }
        script { (PreEscaped(SCRIPT)) }
        (PreEscaped("</body></html>\n"))
    }
}

/// Refuses everything but the page's own style and script.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}
