//! What the page contains, without a browser; `tests/html` opens it in one.
use crate::report::{
    index_builder::IndexBuilder,
    run_index::RunIndex,
    samples::{self, hostile},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::Regex;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;

fn page(run: &RunIndex) -> String {
    let mut out = vec![];
    super::write(run, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn samples() -> [RunIndex; 4] {
    [samples::passing().index(), samples::mixed().index(), IndexBuilder::build([]), hostile()]
}

/// The values of an attribute, in their order.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let pattern = Regex::new(&format!(r#" {name}="([^"]*)""#)).unwrap();
    pattern.captures_iter(page).map(|found| found.get(1).unwrap().as_str()).collect()
}

#[test]
fn ids_are_unique_and_links_have_their_targets() {
    for run in samples() {
        let page = page(&run);
        let ids = attributes(&page, "id");
        let distinct: HashSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len());
        for link in attributes(&page, "href").iter().filter_map(|href| href.strip_prefix('#')) {
            assert!(distinct.contains(link), "{link}");
        }
    }
}

#[test]
fn only_its_own_style_and_script_are_allowed() {
    for run in samples() {
        let page = page(&run);
        let policy = attributes(&page, "content")[0].replace("&#39;", "'");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        for tag in ["style", "script"] {
            let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
            assert_eq!((page.matches(&open).count(), page.matches(&close).count()), (1, 1));
            let text = page.split(&open).nth(1).unwrap().split(&close).next().unwrap();
            let hash = STANDARD.encode(Sha256::digest(text));
            assert!(policy.contains(&format!("{tag}-src 'sha256-{hash}'")), "{policy}");
        }
        assert!(attributes(&page, "style").is_empty() && attributes(&page, "src").is_empty());
    }
}

#[test]
fn opens_with_the_verdict_and_what_decides_it() {
    let page = page(&samples::mixed().index());
    let places =
        ["failed</p>", "id=\"problems\"", "id=\"time\"", "id=\"cases\"", "id=\"case-TC-1\"", "id=\"case-TC-6\""];
    let places: Vec<usize> = places.iter().map(|text| page.find(text).unwrap_or_else(|| panic!("{text}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    for text in [
        "decides the verdict",
        "tp-runner run TP-900 --case TC-1 --env staging",
        "<dd class=\"expected\"><code><mark>201</mark></code></dd>",
        "curl -X POST https://greeter.example/greetings",
        "plans/TP-900.yaml:42",
        "While waiting: 5 attempts, 3 observations",
        "Left behind: 1 of 1 thing",
        "12:00 panic averted",
        "feelings cannot be measured",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn hostile_texts_add_no_elements() {
    let hostile = page(&hostile());
    let foreign = Regex::new("<(img|iframe|object|embed|link|base|form|video)|<[^>]* on[a-z]+=").unwrap();
    assert_eq!(foreign.find(&hostile).map(|m| m.as_str()), None);
    assert!(hostile.contains("&lt;details&gt;"));
}

#[test]
fn cases_that_failed_come_first() {
    let mut run = samples::passing().index();
    run.cases[1].verdict = crate::outcome::Verdict::Failed;
    let page = page(&run);
    let order: Vec<&str> =
        attributes(&page, "id").into_iter().filter(|id| id.starts_with("case-") && !id.contains('.')).collect();
    assert_eq!(order, ["case-TC-2", "case-TC-1", "case-TC-3"]);
}

#[test]
fn no_element_has_an_attribute_twice() {
    let tag = Regex::new(r#"<[a-z0-9]+((?: [a-zA-Z-]+(?:="[^"]*")?)*)>"#).unwrap();
    let name = Regex::new(r#" ([a-zA-Z-]+)(?:="[^"]*")?"#).unwrap();
    for run in samples() {
        for tag in tag.captures_iter(&page(&run)) {
            let names: Vec<&str> = name.captures_iter(&tag[1]).map(|n| n.get(1).unwrap().as_str()).collect();
            let distinct: HashSet<&str> = names.iter().copied().collect();
            assert_eq!(names.len(), distinct.len(), "{}", &tag[0]);
        }
    }
}
