//! The HTML report in a real Chromium: it opens without errors and requests, texts of plan and product stay texts, and it can be read and
//! used by everyone. Each check is also tried on a page that is broken in that respect.
#[path = "../support/chromium.rs"]
mod chromium;
mod report;

use chromium::Chromium;
use report::Run;
use serde_json::{Value, json};
use std::path::PathBuf;

const HOSTILE: &str = "</script></style></title></textarea><script>window.ran = 1</script><img src=x onerror='window.ran = 2'>\
     <svg onload=window.ran=3> ]]> --> &lt;b&gt; \u{2028}\u{2029}\u{202e}right to left\u{202c} \u{2066}\u{1b}[31mred\u{1b}[0m \
     <a href=\"javascript:window.ran=4\">x</a> <style>*{display:none}</style> <base href=//example> ::error::x ##vso[y]";

/// A page in a file, and the browser.
struct Page {
    browser: Chromium,
    folder: tempfile::TempDir,
}

impl Page {
    async fn open(html: &str) -> Self {
        let (browser, folder) = (Chromium::start().await, tempfile::tempdir().unwrap());
        let mut page = Page { browser, folder };
        page.show(html).await;
        page
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("report.html")
    }

    async fn show(&mut self, html: &str) {
        std::fs::write(self.file(), html).unwrap();
        let file = self.file();
        self.browser.open(&file).await;
    }

    /// The strings that a JavaScript expression gives.
    async fn list(&mut self, expression: &str) -> Vec<String> {
        let found = self.browser.evaluate(expression).await;
        found.as_array().expect("a list").iter().map(|v| v.as_str().expect("a string").to_owned()).collect()
    }
}

fn ordinary() -> String {
    Run { cases: 6, steps: 6, text: "Sessions" }.html()
}

/// A page that differs in one place.
fn broken(html: &str, from: &str, to: &str) -> String {
    assert!(html.contains(from), "{from}");
    html.replacen(from, to, 1)
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn opens_without_errors_violations_and_requests() {
    let html = ordinary();
    let mut page = Page::open(&html).await;
    assert_eq!(page.browser.problems(), Vec::<String>::new());
    for added in [
        "<img src=\"http://127.0.0.1:9/x\" alt=\"\"></footer>",
        "<script>window.ran = 1</script></footer>",
        "<p style=\"color: red\">x</p></footer>",
        "<iframe src=\"data:text/html,x\"></iframe></footer>",
    ] {
        page.show(&broken(&html, "</footer>", added)).await;
        assert!(!page.browser.problems().is_empty(), "{added}");
        assert_eq!(page.browser.evaluate("window.ran ?? null").await, Value::Null, "{added}");
    }
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn hostile_texts_stay_texts() {
    const FOREIGN: &str = "[...document.querySelectorAll('img, iframe, object, embed, form, base, link, textarea, \
         script ~ script, style ~ style, a[href^=javascript], [onload], [onerror], [style]')].map(e => e.outerHTML.slice(0, 80))";
    let long = format!("{HOSTILE} {}", "x".repeat(1 << 20));
    for (text, steps) in [(HOSTILE, 5), (&long, 2)] {
        let html = Run { cases: 2, steps, text }.html();
        let mut page = Page::open(&html).await;
        assert_eq!(page.browser.problems(), Vec::<String>::new());
        assert_eq!(page.browser.evaluate("window.ran ?? null").await, Value::Null);
        assert_eq!(page.list(FOREIGN).await, Vec::<String>::new());
        let scripts =
            page.browser.evaluate("document.scripts.length * 10 + document.querySelectorAll('style').length").await;
        assert_eq!(scripts, 11);
        let shown = page.browser.evaluate("document.querySelector('#case-TC-1').textContent").await;
        let shown = shown.as_str().unwrap();
        assert!(
            shown.contains("</script></style></title></textarea><script>window.ran = 1</script><img src=x onerror=")
        );
        assert!(!shown.contains(['\u{2028}', '\u{202e}', '\u{2066}', '\u{1b}']));
        assert!(page.browser.evaluate("document.title.includes('</title>')").await == json!(true));
        page.show(&html.replace("&lt;img", "<img")).await;
        assert_ne!(page.list(FOREIGN).await, Vec::<String>::new());
    }
}

/// The cases that are displayed.
const DISPLAYED: &str =
    "[...document.querySelectorAll('.case')].filter(c => c.getClientRects().length > 0).map(c => c.id)";

#[tokio::test]
#[ignore = "needs Chromium"]
async fn the_filter_hides_cases_with_and_without_javascript() {
    let html = ordinary();
    let mut page = Page::open(&html).await;
    for is_disabled in [false, true] {
        page.browser.send("Emulation.setScriptExecutionDisabled", json!({ "value": is_disabled })).await;
        page.show(&html).await;
        let all = ["case-TC-1", "case-TC-2", "case-TC-4", "case-TC-5", "case-TC-0", "case-TC-3"];
        assert_eq!(page.list(DISPLAYED).await, all);
        page.browser.click("#show-passed").await;
        assert_eq!(page.list(DISPLAYED).await, all[..4]);
        page.browser.click("#show-should").await;
        assert_eq!(page.list(DISPLAYED).await, ["case-TC-2", "case-TC-5"]);
        page.browser.click("#show-errored").await;
        assert_eq!(page.list(DISPLAYED).await, Vec::<String>::new());
    }
    page.show(&html.replace("<style>", "<style media=\"print\">")).await;
    page.browser.click("#show-passed").await;
    assert_eq!(page.list(DISPLAYED).await.len(), 6);
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn without_javascript_all_verdicts_are_shown_and_details_open() {
    let html = ordinary();
    let mut page = Page::open(&html).await;
    page.browser.send("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    page.show(&html).await;
    const BADGES: &str =
        "[...document.querySelectorAll('.case .head .badge')].filter(b => b.checkVisibility()).map(b => b.textContent)";
    let badges = page.list(BADGES).await;
    assert_eq!(
        badges.iter().map(|b| b.split(' ').next_back().unwrap()).collect::<Vec<_>>(),
        ["failed", "errored", "failed", "errored", "passed", "passed"]
    );
    assert_eq!(page.browser.evaluate("document.querySelector('.tools').checkVisibility()").await, json!(false));
    let is_open = "document.querySelector('#case-TC-0 details').open";
    assert_eq!(page.browser.evaluate(is_open).await, json!(false));
    page.browser.click("#case-TC-0 summary").await;
    assert_eq!(page.browser.evaluate(is_open).await, json!(true));
    assert_eq!(
        page.browser.evaluate("document.querySelector('#case-TC-0 .sentence').checkVisibility()").await,
        json!(true)
    );
}

/// What has the focus, with `!` if that cannot be seen.
const FOCUSED: &str = "(e => { const s = getComputedStyle(e); const name = e.id || e.className || e.localName; \
     return (s.outlineStyle === 'none' || parseFloat(s.outlineWidth) < 2 ? '!' : '') + e.localName + ' ' + name; })(document.activeElement)";

async fn tab_order(page: &mut Page, most: usize) -> Vec<String> {
    let mut order = vec![];
    for _ in 0..most {
        page.browser.press("Tab").await;
        order.push(page.browser.evaluate(FOCUSED).await.as_str().unwrap().to_owned());
    }
    order
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn everything_can_be_reached_and_opened_with_the_keyboard() {
    let html = ordinary();
    let mut page = Page::open(&html).await;
    let order = tab_order(&mut page, 70).await;
    assert_eq!(order[0], "a skip");
    let position = |name: &str| order.iter().position(|o| o == name).unwrap_or_else(|| panic!("{name}: {order:?}"));
    let places =
        [position("input show-failed"), position("input show-must"), position("a permalink"), position("summary head")];
    assert!(places.is_sorted(), "{order:?}");
    position("summary line");
    assert!(!order.iter().any(|o| o.starts_with('!')), "{order:?}");
    page.browser.evaluate("document.querySelector('#case-TC-0 summary').focus()").await;
    let is_open = "document.querySelector('#case-TC-0 details').open";
    page.browser.press("Enter").await;
    assert_eq!(page.browser.evaluate(is_open).await, json!(true));
    page.browser.press(" ").await;
    assert_eq!(page.browser.evaluate(is_open).await, json!(false));
    page.browser.evaluate("document.querySelector('#show-passed').focus()").await;
    page.browser.press(" ").await;
    assert_eq!(page.list(DISPLAYED).await.len(), 4);

    page.show(&html.replace("<input ", "<input tabindex=\"-1\" ")).await;
    assert!(!tab_order(&mut page, 70).await.contains(&"input show-failed".to_owned()));
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn a_link_to_a_sentence_opens_it_although_the_filter_hides_it() {
    let mut page = Page::open(&ordinary()).await;
    page.browser.click("#show-passed").await;
    page.browser.evaluate("location.hash = '#case-TC-0.steps.2'").await;
    page.browser.evaluate("new Promise(done => setTimeout(done, 200))").await;
    const SHOWN: &str = "document.querySelector('[id=\"case-TC-0.steps.2\"] .observed').checkVisibility()";
    assert_eq!(page.browser.evaluate(SHOWN).await, json!(true));
    assert_eq!(
        page.browser.evaluate("document.querySelector('[id=\"case-TC-0.steps.3\"] .observed').checkVisibility()").await,
        json!(false)
    );
}

const OPEN_ALL: &str = "document.querySelectorAll('details').forEach(d => d.open = true)";

#[tokio::test]
#[ignore = "needs Chromium"]
async fn nothing_is_wider_than_the_window() {
    const TOO_WIDE: &str = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    let html = ordinary();
    let hostile = Run { cases: 3, steps: 5, text: &format!("{HOSTILE} {}", "x".repeat(5_000)) }.html();
    let mut page = Page::open(&html).await;
    for html in [&html, &hostile] {
        for width in [320, 800, 1400] {
            page.browser.resize(width, 800).await;
            page.show(html).await;
            page.browser.evaluate(OPEN_ALL).await;
            assert_eq!(page.browser.evaluate(TOO_WIDE).await, json!(0), "{width}");
        }
    }
    page.browser.resize(320, 800).await;
    page.show(
        &broken(&html, "</footer>", "<pre>&#160;</pre><p>MMMMMMMMMMMMMMMMMMMMMMMMMMMMMM</p></footer>")
            .replace("anywhere", "normal"),
    )
    .await;
    assert_ne!(page.browser.evaluate(TOO_WIDE).await, json!(0));
}

/// Texts whose contrast with what is behind them is below 4.5, as in WCAG 2.2 AA.
const LOW_CONTRAST: &str = r"(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
    const rgba = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
    const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; if (c[3] !== 0) return [128, 128, 128]; } return [255, 255, 255]; };
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text; (text = texts.nextNode());) {
        const e = text.parentElement;
        if (!text.data.trim() || ['SCRIPT', 'STYLE', 'title'].includes(e.tagName) || !e.checkVisibility() || e.closest('.hidden')) continue;
        const [a, b] = [luminance(rgba(getComputedStyle(e).color)), luminance(behind(e))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${e.localName}.${e.className}: ${text.data.trim().slice(0, 40)}`);
    }
    return [...new Set(found)];
})()";

#[tokio::test]
#[ignore = "needs Chromium"]
async fn all_texts_have_contrast_in_light_and_dark() {
    let html = ordinary();
    let mixed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/reports/mixed.html")).unwrap();
    let mut page = Page::open(&html).await;
    for scheme in ["light", "dark"] {
        page.browser.emulate("screen", scheme).await;
        for html in [&html, &mixed] {
            page.show(html).await;
            page.browser.evaluate(OPEN_ALL).await;
            assert_eq!(page.list(LOW_CONTRAST).await, Vec::<String>::new(), "{scheme}");
        }
        // the security policy refuses a changed style
        page.show(&html).await;
        page.browser.evaluate("document.querySelector('h1').attributeStyleMap.set('color', '#777')").await;
        page.browser.evaluate("document.querySelector('h1').attributeStyleMap.set('background-color', '#999')").await;
        assert_eq!(page.list(LOW_CONTRAST).await.len(), 1);
    }
}

/// What a screen reader and a link need.
const STRUCTURE: &str = r"(() => {
    const found = [], all = (selector) => [...document.querySelectorAll(selector)];
    const ids = all('[id]').map(e => e.id);
    ids.filter((id, i) => ids.indexOf(id) !== i).forEach(id => found.push(`id ${id} twice`));
    all('a[href^=\'#\']').filter(a => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).forEach(a => found.push(`no target for ${a.hash}`));
    let before = 0;
    all('h1, h2, h3, h4, h5, h6').forEach(h => { const level = +h.localName[1]; if (level > before + 1) found.push(`${h.localName} after h${before}`); before = level; });
    if (all('h1').length !== 1) found.push('not one h1');
    for (const landmark of ['header', 'main', 'footer']) if (all('body > ' + landmark).length !== 1) found.push(`not one ${landmark}`);
    all('input').filter(i => !i.labels.length || !i.labels[0].textContent.trim()).forEach(i => found.push(`no label for ${i.id}`));
    all('svg').filter(s => s.getAttribute('role') !== 'img' || !s.getAttribute('aria-label')).forEach(() => found.push('a drawing without a name'));
    all('a, button').filter(e => !(e.getAttribute('aria-label') || e.textContent.trim())).forEach(e => found.push(`${e.localName} without a name`));
    all('[aria-labelledby]').filter(e => !document.getElementById(e.getAttribute('aria-labelledby'))).forEach(() => found.push('a label is missing'));
    all('ul > :not(li), ol > :not(li), dl > :not(dt, dd)').forEach(e => found.push(`${e.localName} in a list`));
    all('summary :is(a, button, input)').forEach(e => found.push(`${e.localName} in a summary`));
    if (!document.documentElement.lang || !document.title) found.push('no language or title');
    return found;
})()";

#[tokio::test]
#[ignore = "needs Chromium"]
async fn structure_names_and_links_are_complete() {
    let html = ordinary();
    let mut page = Page::open(&html).await;
    for text in ["Sessions", HOSTILE] {
        page.show(&Run { cases: 4, steps: 6, text }.html()).await;
        assert_eq!(page.list(STRUCTURE).await, Vec::<String>::new());
    }
    for (from, to, problem) in [
        ("id=\"case-TC-1\"", "id=\"case-TC-2\"", "id case-TC-2 twice"),
        ("href=\"#cases\"", "href=\"#nowhere\"", "no target for #nowhere"),
        ("<h2 id=\"time\">Cases over time</h2>", "<h4 id=\"time\">Cases over time</h4>", "h4 after h2"),
        ("<label>", "<span>", "no label for show-failed"),
        ("role=\"img\"", "", "a drawing without a name"),
        ("<main>", "<div>", "not one main"),
    ] {
        page.show(&broken(&html, from, to)).await;
        let found = page.list(STRUCTURE).await;
        assert!(found.contains(&problem.to_owned()), "{problem}: {found:?}");
    }
}

#[tokio::test]
#[ignore = "needs Chromium"]
async fn paper_shows_failures_although_they_are_folded() {
    const VISIBLE: &str = "[...document.querySelectorAll('.deciding .difference, .deciding .exchange pre')].filter(e => e.checkVisibility()).map(e => e.className)";
    let html = ordinary();
    let mut page = Page::open(&html).await;
    page.browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = false)").await;
    assert_eq!(page.list(VISIBLE).await, Vec::<String>::new());
    page.browser.emulate("print", "dark").await;
    assert!(page.list(VISIBLE).await.len() >= 8);
    assert_eq!(page.browser.evaluate("getComputedStyle(document.body).backgroundColor").await, "rgb(255, 255, 255)");
    assert_eq!(
        page.browser.evaluate("document.querySelector('#case-TC-0 .sentence').checkVisibility()").await,
        json!(false)
    );
    let printed = page.browser.send("Page.printToPDF", json!({})).await;
    assert!(printed["data"].as_str().unwrap().len() > 10_000);
}
