//! The entries of the reference: each word with its kind, and what there is to say about it.
use super::manual::{row, rows, section, summary};
use crate::{
    executor::Registry,
    language::{
        self, ACTION_KEYS, BUILTIN_VERBS, CEL_FUNCTIONS, ENVIRONMENT_FILE_KEYS, FAULT, Key, MATCHERS, PARALLEL,
        PLAN_KEYS, RUNNER_FUNCTIONS, Shape, WAITING_WORDS, Word,
    },
};
use std::fmt;

const PLAN_LANGUAGE: &str = include_str!("../../docs/plan-language.md");
const EXIT_CODES: &str = include_str!("../../docs/exit-codes.md");
const GLOSSARY: &str = include_str!("../../docs/glossary.md");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Verb,
    Key,
    Field,
    Matcher,
    Function,
    Code,
    Verdict,
    Status,
    ExitCode,
    Term,
}

impl Kind {
    /// In the order of [`entries`].
    pub const ALL: [Kind; 10] = [
        Kind::Verb,
        Kind::Key,
        Kind::Field,
        Kind::Matcher,
        Kind::Function,
        Kind::Code,
        Kind::Verdict,
        Kind::Status,
        Kind::ExitCode,
        Kind::Term,
    ];

    pub fn plural(self) -> &'static str {
        match self {
            Kind::Verb => "verbs",
            Kind::Key => "keys",
            Kind::Field => "fields of outputs",
            Kind::Matcher => "matchers",
            Kind::Function => "functions",
            Kind::Code => "codes of diagnostics",
            Kind::Verdict => "verdicts of a case",
            Kind::Status => "statuses of a sentence",
            Kind::ExitCode => "exit codes",
            Kind::Term => "terms",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Verb => "verb",
            Kind::Key => "key",
            Kind::Field => "field",
            Kind::Matcher => "matcher",
            Kind::Function => "function",
            Kind::Code => "code of a diagnostic",
            Kind::Verdict => "verdict of a case",
            Kind::Status => "status of a sentence",
            Kind::ExitCode => "exit code",
            Kind::Term => "term",
        })
    }
}

/// One word with one meaning. A word with several has several entries.
#[derive(Clone, Debug)]
pub struct Entry {
    pub word: String,
    pub kind: Kind,
    /// Where it may be written: "a case", "`http`". Empty if the kind says it all.
    pub place: String,
    /// In one sentence.
    pub summary: String,
    /// The rest, in Markdown.
    pub details: String,
    /// The page that says more, below `docs/`.
    pub page: String,
}

impl Entry {
    fn new(word: &str, kind: Kind, summary: impl Into<String>, page: &str) -> Entry {
        Entry {
            word: word.into(),
            kind,
            place: String::new(),
            summary: summary.into(),
            details: String::new(),
            page: page.into(),
        }
    }

    fn at(self, place: impl Into<String>) -> Entry {
        Entry { place: place.into(), ..self }
    }

    fn with(self, details: impl Into<String>) -> Entry {
        Entry { details: details.into(), ..self }
    }
}

/// All of them: verbs first, then keys, fields, matchers, functions, codes, verdicts, statuses, exit codes and terms.
pub fn entries(registry: &Registry) -> Vec<Entry> {
    let mut all = vec![];
    verbs(registry, &mut all);
    keys(registry, &mut all);
    fields(registry, &mut all);
    let words = |words: &[Word], kind, page: &str, all: &mut Vec<Entry>| {
        all.extend(words.iter().map(|w| Entry::new(w.name, kind, w.meaning, page)));
    };
    words(MATCHERS, Kind::Matcher, "plan-language.md#matchers", &mut all);
    words(RUNNER_FUNCTIONS, Kind::Function, "plan-language.md#functions", &mut all);
    words(CEL_FUNCTIONS, Kind::Function, "plan-language.md#functions", &mut all);
    for code in language::codes() {
        let text = language::explanation(code).unwrap_or_default();
        let (first, rest) = text.split_once("\n\n").unwrap_or((text, ""));
        all.push(Entry::new(code, Kind::Code, first.replace('\n', " "), "diagnostics.md").with(rest));
    }
    let mut table = |page: &str, heading: &str, kind, address: &str| {
        for (words, cells) in section(page, heading).into_iter().flat_map(rows) {
            let [meaning, more @ ..] = &cells[..] else { continue };
            let details = more
                .first()
                .map(|code| format!("Exit code: {}", code.trim_end_matches(", see below")))
                .unwrap_or_default();
            all.extend(words.iter().map(|word| Entry::new(word, kind, meaning, address).with(&details)));
        }
    };
    table(EXIT_CODES, "## Verdicts of a case", Kind::Verdict, "exit-codes.md#verdicts-of-a-case");
    table(EXIT_CODES, "## Statuses of a sentence", Kind::Status, "exit-codes.md#statuses-of-a-sentence");
    let codes = EXIT_CODES.split("\n## ").next().unwrap_or_default();
    for (page, text, kind) in [("exit-codes.md", codes, Kind::ExitCode), ("glossary.md", GLOSSARY, Kind::Term)] {
        for (words, cells) in rows(text) {
            // further cells of the glossary name source files
            all.extend(words.iter().zip(cells.first()).map(|(word, meaning)| Entry::new(word, kind, meaning, page)));
        }
    }
    all
}

fn verbs(registry: &Registry, all: &mut Vec<Entry>) {
    for executor in registry.verbs().filter_map(|verb| registry.get(verb)) {
        let (verb, manual) = (executor.verb(), executor.manual());
        let details = manual.split_once("\n\n").map_or("", |(_, rest)| rest);
        let details = details.split_once("\n\n").map_or("", |(_, rest)| rest);
        let page = format!("verbs/{verb}.md");
        all.push(Entry::new(verb, Kind::Verb, summary(manual), &page).with(details.trim()));
    }
    for verb in BUILTIN_VERBS {
        let (heading, anchor) = match verb.name {
            "use" => ("### Reusable actions", "reusable-actions"),
            "parallel" => ("### Parallel branches", "parallel-branches"),
            "fault" => ("### Faults", "faults"),
            _ => ("### Race conditions", "race-conditions"),
        };
        let page = format!("plan-language.md#{anchor}");
        let details = section(PLAN_LANGUAGE, heading).unwrap_or_default();
        all.push(Entry::new(verb.name, Kind::Verb, verb.meaning, &page).with(details));
    }
    let waiting = "not a word of the language: `eventually: 30s` beside a verb retries until `expect` and `check` hold";
    all.extend(WAITING_WORDS.iter().map(|w| Entry::new(w, Kind::Term, waiting, "plan-language.md#waiting")));
}

fn keys(registry: &Registry, all: &mut Vec<Entry>) {
    let mut walk = Walk { all, manual: "", page: "plan-language.md".into() };
    walk.group("a plan", &[PLAN_KEYS]);
    walk.page = "plan-language.md#actions".into();
    walk.group("an action", &[ACTION_KEYS]);
    walk.shape("`parallel`", &PARALLEL);
    walk.shape("`fault`", &FAULT);
    walk.page = "environments.md#keys".into();
    walk.group("an environment file", &[ENVIRONMENT_FILE_KEYS]);
    for executor in registry.verbs().filter_map(|verb| registry.get(verb)) {
        let verb = executor.verb();
        (walk.manual, walk.page) = (executor.manual(), format!("verbs/{verb}.md"));
        walk.group(&format!("`{verb}`"), executor.keys());
        walk.group(&format!("a target of `{verb}`"), executor.target_keys());
    }
}

/// Walks through the keys below a key.
struct Walk<'w> {
    all: &'w mut Vec<Entry>,
    /// Explains the keys that have no meaning of their own.
    manual: &'static str,
    page: String,
}

impl Walk<'_> {
    fn group(&mut self, place: &str, groups: &[&[Key]]) {
        for key in groups.iter().flat_map(|keys| keys.iter()) {
            let meaning = match key.meaning {
                "" => row(self.manual, key.name),
                meaning => Some(meaning.to_string()),
            };
            let value = format!("Value: {}", key.shape);
            let required = if key.required { ", required" } else { "" };
            let entry = Entry::new(key.name, Kind::Key, meaning.unwrap_or_default(), &self.page);
            let entry = entry.at(place).with(format!("{value}{required}"));
            let known = |e: &Entry| e.word == entry.word && e.place == entry.place && e.kind == Kind::Key;
            // a target has the same keys beside its address as inside
            if !self.all.iter().any(known) {
                self.all.push(entry);
            }
            let inner = match key.shape {
                Shape::List(_) | Shape::MapOf(_) => format!("an entry of `{}`", key.name),
                _ => format!("`{}`", key.name),
            };
            let inner = if place.starts_with("a target") { place.to_string() } else { inner };
            self.shape(&inner, &key.shape);
        }
    }

    fn shape(&mut self, place: &str, shape: &Shape) {
        match shape {
            Shape::List(inner) | Shape::MapOf(inner) => self.shape(place, inner),
            Shape::Either(shapes) => shapes.iter().for_each(|s| self.shape(place, s)),
            Shape::Keys(groups) => self.group(place, groups),
            _ => {}
        }
    }
}

/// The fields of outputs: the rows of the manual's section.
fn fields(registry: &Registry, all: &mut Vec<Entry>) {
    for executor in registry.verbs().filter_map(|verb| registry.get(verb)) {
        let page = format!("verbs/{}.md#output", executor.verb());
        let described = section(executor.manual(), "## Output").unwrap_or_default();
        for field in executor.fields() {
            let text = row(described, field).unwrap_or_else(|| "see its manual".into());
            let place = format!("the output of `{}`", executor.verb());
            all.push(Entry::new(field, Kind::Field, text, &page).at(place));
        }
    }
}
