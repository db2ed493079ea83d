//! The commands that repeat a request by hand, or a case with the runner.
use crate::{
    event::{Evidence, EvidenceKind, RunStarted},
    shell::shell_word,
};

/// `tp-runner run TP-004 --case TC-INT-003 --env staging`.
pub fn run_again(start: &RunStarted, case: &str) -> String {
    let (plan, environment) = match &start.arguments[..] {
        [plan, environment @ ..] => (plan.clone(), environment.to_vec()),
        [] if start.environment.name.is_empty() => (plan_name(start), vec![]),
        [] => (plan_name(start), vec!["--env".into(), start.environment.name.clone()]),
    };
    let words = [plan, "--case".into(), case.into()].into_iter().chain(environment);
    words.fold("tp-runner run".to_owned(), |command, word| format!("{command} {}", shell_word(&word)))
}

/// What finds the plan if its journal does not say how the user named it: its id if that is enough, or its file.
fn plan_name(start: &RunStarted) -> String {
    let plan = &start.plan;
    let in_plans = format!("plans/{}.yaml", plan.id);
    let is_found_by_id = plan.file.is_empty() || plan.file == in_plans || plan.file.ends_with(&format!("/{in_plans}"));
    if is_found_by_id { plan.id.clone() } else { plan.file.clone() }
}

/// The evidence with the command lines for which it has only the options.
pub fn with_commands(evidence: &[Evidence]) -> Vec<Evidence> {
    let mut request = "";
    let mut shown = vec![];
    for e in evidence {
        match e.kind {
            EvidenceKind::Curl => {
                shown.push(Evidence { kind: EvidenceKind::Reproduce, text: curl(&e.text, request) });
                continue;
            }
            EvidenceKind::Request => request = &e.text,
            _ => {}
        }
        shown.push(e.clone());
    }
    shown
}

/// The `curl` command for a request: a line with method and URL, headers, and the body after an empty line.
fn curl(options: &str, request: &str) -> String {
    let (head, body) = request.split_once("\n\n").map_or((request, None), |(head, body)| (head, Some(body)));
    let mut lines = head.lines();
    let url = lines.next().and_then(|line| line.split_once(' ')).map_or("", |(_, url)| url);
    let mut command = format!("curl -sS -i{options} {}", shell_word(url));
    for header in lines {
        // for curl `Name:` removes a header, and `Name;` sends it empty
        let header = header.strip_suffix(": ").map_or_else(|| header.to_string(), |name| format!("{name};"));
        command += &format!(" -H {}", shell_word(&header));
    }
    if let Some(body) = body {
        command += &format!(" --data-raw {}", shell_word(body));
    }
    command
}
