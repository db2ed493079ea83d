//! Reads Gherkin: `.feature` files, and scenarios in code blocks of a Markdown document.
use super::{
    blocks::Block,
    case::{Builder, draft},
    ids::case_head,
    labels::Keyword,
    model::{Comment, Draft, Field, Kind, Sentence},
    text::{has_words, squeeze},
};

/// What a line of Gherkin begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Head {
    Feature,
    Rule,
    Background,
    Scenario,
    Examples,
}

/// Keywords in front of a colon, in several languages.
const HEADS: &[(Head, &str)] = &[
    (
        Head::Feature,
        "feature|business need|ability|funktionalität|funktion|fonctionnalité|característica|funcionalidade|\
         funcionalidad|necesidad del negocio|funzionalità|functionaliteit|функционал|функция|функціонал|właściwość|\
         tính năng|özellik|fitur|功能|機能|기능",
    ),
    (Head::Rule, "rule|regel|règle|regla|regra|regola|правило|kural|规则|규칙"),
    (
        Head::Background,
        "background|grundlage|hintergrund|contexte|antecedentes|contexto|contesto|achtergrond|предыстория|контекст|\
         założenia|bối cảnh|geçmiş|dasar|latar belakang|背景|배경",
    ),
    (
        Head::Scenario,
        "scenario outline|scenario template|scenario|example|szenariogrundriss|szenario|beispiel|plan du scénario|\
         scénario|exemple|esquema del escenario|escenario|ejemplo|esquema do cenário|esquema do cenario|cenário|\
         cenario|exemplo|schema dello scenario|esempio|abstract scenario|voorbeeld|структура сценария|сценарий|\
         пример|сценарій|scenariusz|khung kịch bản|kịch bản|tình huống|senaryo taslağı|senaryo|skenario|\
         konsep skenario|场景大纲|场景|シナリオ|시나리오",
    ),
    (
        Head::Examples,
        "examples|scenarios|beispiele|exemples|ejemplos|exemplos|esempi|voorbeelden|примеры|приклади|przykłady|\
         dữ liệu|örnekler|contoh|例子|サンプル|例|예",
    ),
];

/// Keywords in front of a sentence, in several languages.
const STEPS: &[(Keyword, &str)] = &[
    (
        Keyword::Given,
        "Given|Angenommen|Gegeben sei|Gegeben seien|Étant donné que|Étant donné qu'|Étant donné|Etant donné|Soit|\
         Dado que|Dados|Dadas|Dado|Dada|Dato|Data|Gegeven|Stel|Допустим|Дано|Пусть|Припустимо|Zakładając że|\
         Zakładając|Mając|Biết|Cho|Diyelim ki|Dengan|假如|假设|前提|조건|먼저",
    ),
    (
        Keyword::When,
        "When|Wenn|Quand|Lorsque|Cuando|Quando|Als|Wanneer|Когда|Если|Якщо|Коли|Jeżeli|Jeśli|Gdy|Kiedy|Khi|Eğer ki|\
         Ketika|当|もし|만일|만약",
    ),
    (
        Keyword::Then,
        "Then|Dann|Alors|Donc|Entonces|Então|Entao|Allora|Dan|То|Тогда|Тоді|Wtedy|Thì|O zaman|Maka|那么|ならば|그러면",
    ),
    (
        Keyword::And,
        "And|But|*|Und|Aber|Et que|Et|Mais|Y|E|Pero|Mas|Ma|En|Maar|И|Но|А|Та|Але|Oraz|I|Ale|Và|Nhưng|Ve|Ama|Fakat|\
         Dan|Tetapi|而且|并且|但是|かつ|しかし|그리고|하지만",
    ),
];

fn head_of(line: &str) -> Option<(Head, &str, &str)> {
    let (name, rest) = line.split_once([':', '：'])?;
    let lower = name.trim().to_lowercase();
    let head = HEADS.iter().find(|(_, names)| names.split('|').any(|n| n == lower))?.0;
    Some((head, name.trim(), rest.trim()))
}

fn step_of(line: &str) -> Option<(Keyword, &str, &str)> {
    let mut best: Option<(Keyword, &str, &str)> = None;
    for (keyword, names) in STEPS {
        for name in names.split('|') {
            let Some(rest) = line.strip_prefix(name) else { continue };
            let ends = rest.starts_with([' ', '\t'])
                || name.ends_with('\'')
                || !name.is_ascii() && name.chars().any(|c| c > '\u{2e80}');
            // `Dan` is `Then` in Dutch and `And` in Indonesian: the first wins
            if ends && best.is_none_or(|(_, n, _)| name.len() > n.len()) {
                best = Some((*keyword, name, rest.trim()));
            }
        }
    }
    best
}

/// Whether a code block holds Gherkin.
pub fn is_scenario(text: &str, language: &str) -> bool {
    let said = matches!(language.trim().to_ascii_lowercase().as_str(), "gherkin" | "feature" | "cucumber");
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with('@'));
    let first = lines.next().unwrap_or_default();
    let starts = head_of(first).is_some() || step_of(first).is_some();
    said && (starts || text.lines().any(|l| step_of(l.trim()).is_some()))
        || starts
            && super::labels::is_scenario(text.lines())
            && matches!(language.trim(), "" | "text" | "txt" | "plaintext")
}

/// Whether a whole text is a `.feature` file.
pub fn is_feature(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('@'));
    let first = lines.find(|l| !l.starts_with('#')).unwrap_or_default();
    // `# Title` in front is Markdown, unless it is the language
    let plain = text
        .lines()
        .map(str::trim)
        .take_while(|l| !l.starts_with(first))
        .all(|l| !l.starts_with("# ") || l.contains("language"));
    plain && head_of(first).is_some_and(|(h, ..)| h == Head::Feature)
}

/// How many scenarios with a heading a block holds.
pub fn scenarios_in(block: &Block) -> usize {
    match block {
        Block::Code { text, language, .. } if is_scenario(text, language) => {
            text.lines().filter(|l| head_of(l.trim()).is_some_and(|(h, ..)| h == Head::Scenario)).count()
        }
        _ => 0,
    }
}

/// A `.feature` file or code block.
#[derive(Default)]
pub struct Feature {
    pub title: Option<String>,
    pub description: Vec<Comment>,
    pub cases: Vec<Builder>,
    pub comments: Vec<Comment>,
    pub labels: Vec<Comment>,
}

/// Reads the scenarios of a text whose first line has the number `first`.
pub fn read(text: &str, first: usize) -> Feature {
    let mut reader = Reader::default();
    for (i, line) in text.lines().enumerate() {
        reader.line(line, first + i);
    }
    reader.finish()
}

/// Reads the sentences of a scenario into a case that the document describes otherwise.
pub fn read_into(text: &str, first: usize, builder: &mut Builder) {
    let feature = read(text, first);
    builder.labels.extend(feature.labels);
    builder.case.comments.extend(feature.comments);
    builder.case.comments.extend(feature.description);
    builder.case.comments.extend(feature.title.map(|text| Comment { text, line: first }));
    for other in feature.cases {
        if builder.case.title.is_empty() {
            builder.case.title = other.case.title;
        } else if has_words(&other.case.title) {
            builder.comment(other.case.title, other.case.line);
        }
        builder.case.preconditions.extend(other.case.preconditions);
        builder.case.steps.extend(other.case.steps);
        builder.case.expected.extend(other.case.expected);
        builder.case.comments.extend(other.case.comments);
        builder.case.fields.extend(other.case.fields);
        builder.labels.extend(other.labels);
    }
}

#[derive(Default)]
struct Reader {
    feature: Feature,
    background: Vec<(Kind, Sentence)>,
    rule_background: Vec<(Kind, Sentence)>,
    open: Option<Builder>,
    head: Option<Head>,
    in_rule: bool,
    kind: Option<Kind>,
    tags: Vec<(String, usize)>,
    rule: Option<(String, usize)>,
    doc: Option<(&'static str, String, usize)>,
    table: Option<(String, usize)>,
}

impl Reader {
    fn line(&mut self, raw: &str, number: usize) {
        let line = raw.trim();
        if let Some((fence, text, _)) = &mut self.doc {
            if line.starts_with(*fence) {
                self.end_doc();
            } else {
                text.push_str(raw.trim_end());
                text.push('\n');
            }
            return;
        }
        if let Some(fence) = ["\"\"\"", "```"].into_iter().find(|f| line.starts_with(f)) {
            self.feature.labels.push(Comment { text: line[3..].into(), line: number });
            self.doc = Some((fence, String::new(), number));
            return;
        }
        if line.starts_with('|') {
            let row = line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" | ");
            let (text, _) = self.table.get_or_insert((String::new(), number));
            text.push_str(&row);
            text.push('\n');
            return;
        }
        self.end_table();
        if line.is_empty() {
            return;
        }
        if let Some(comment) = line.strip_prefix('#') {
            return self.remark(comment.trim(), number);
        }
        if line.starts_with('@') {
            return self.tags.extend(line.split_whitespace().map(|t| (t.to_string(), number)));
        }
        if let Some((head, word, rest)) = head_of(line) {
            return self.begin(head, word, rest, number);
        }
        let stepping = matches!(self.head, Some(Head::Background | Head::Scenario)) || self.head.is_none();
        if let Some((keyword, word, rest)) = step_of(line).filter(|_| stepping) {
            let kind = keyword.kind(self.kind.unwrap_or(Kind::Precondition));
            self.kind = Some(kind);
            self.feature.labels.push(Comment { text: word.into(), line: number });
            return self.step(kind, rest, number);
        }
        match (&mut self.open, self.head) {
            (Some(open), Some(Head::Scenario | Head::Examples)) => open.comment(line, number),
            _ => self.feature.description.push(Comment { text: line.into(), line: number }),
        }
    }

    fn remark(&mut self, text: &str, line: usize) {
        let comment = Comment { text: text.into(), line };
        match &mut self.open {
            Some(open) if self.tags.is_empty() => open.case.comments.push(comment),
            _ => self.feature.comments.push(comment),
        }
    }

    fn begin(&mut self, head: Head, word: &str, rest: &str, line: usize) {
        self.feature.labels.push(Comment { text: word.into(), line });
        match head {
            Head::Examples => {
                if let Some(open) = &mut self.open {
                    for (tag, line) in self.tags.drain(..) {
                        open.comment(tag, line);
                    }
                    if has_words(rest) {
                        open.comment(rest, line);
                    }
                }
            }
            _ => self.end_case(),
        }
        self.head = Some(head);
        self.kind = None;
        match head {
            Head::Feature => {
                self.feature.title = Some(rest.into());
                let tags = std::mem::take(&mut self.tags);
                self.feature.comments.extend(tags.into_iter().map(|(text, line)| Comment { text, line }));
            }
            Head::Rule => {
                self.rule = Some((rest.into(), line));
                self.in_rule = true;
                self.rule_background.clear();
            }
            Head::Background => {
                if has_words(rest) {
                    self.feature.comments.push(Comment { text: rest.into(), line });
                }
                if !self.in_rule {
                    self.background.clear();
                }
            }
            Head::Scenario => {
                let mut open = Builder::new(line);
                let found = case_head(rest);
                if let Some(id) = found.id {
                    open.case.id = id;
                    open.case.title = found.title;
                } else {
                    open.case.title = rest.into();
                }
                self.tags(&mut open);
                if let Some((rule, line)) = &self.rule {
                    open.case.fields.push(Field { label: "Rule".into(), value: rule.clone(), line: *line });
                }
                for (kind, sentence) in self.background.iter().chain(&self.rule_background) {
                    open.case.list_mut(*kind).push(sentence.clone());
                }
                self.open = Some(open);
            }
            Head::Examples => {}
        }
    }

    /// Tags give the id, the priority and a field.
    fn tags(&mut self, open: &mut Builder) {
        let tags = std::mem::take(&mut self.tags);
        let Some((_, line)) = tags.first().cloned() else { return };
        for (tag, _) in &tags {
            let name = tag.trim_start_matches('@');
            let id = name
                .strip_prefix("TEST_")
                .or_else(|| name.strip_prefix("TestCase-"))
                .or_else(|| name.strip_prefix("id:"))
                .unwrap_or(name);
            let value = ["priority", "prio", "severity"].iter().find_map(|p| {
                name.to_ascii_lowercase()
                    .strip_prefix(p)
                    .map(|r| r.trim_start_matches([':', '-', '_', '=']).to_string())
            });
            if let Some(value) = value.filter(|v| has_words(v)) {
                open.case.priority.get_or_insert(value);
            } else if super::tiers::is_priority_code(name)
                || super::tiers::of_heading(name).is_some_and(|_| !name.contains(['-', '_']))
            {
                open.case.priority.get_or_insert(name.into());
            } else if open.case.id.is_empty() && super::ids::is_id(id) {
                open.case.id = id.into();
            }
        }
        let value = tags.into_iter().map(|(t, _)| t).collect::<Vec<_>>().join(" ");
        open.case.fields.push(Field { label: "Tags".into(), value, line });
    }

    fn step(&mut self, kind: Kind, text: &str, line: usize) {
        let sentence = Sentence { text: squeeze(text), line, data: Vec::new() };
        match self.head {
            Some(Head::Background) if self.in_rule => self.rule_background.push((Kind::Precondition, sentence)),
            Some(Head::Background) => self.background.push((Kind::Precondition, sentence)),
            _ => {
                let open = self.open.get_or_insert_with(|| Builder::new(line));
                open.case.list_mut(kind).push(sentence);
            }
        }
    }

    fn last(&mut self) -> Option<&mut Vec<Draft>> {
        let kind = self.kind?;
        let sentence = match self.head {
            Some(Head::Background) if self.in_rule => self.rule_background.last_mut().map(|(_, s)| s),
            Some(Head::Background) => self.background.last_mut().map(|(_, s)| s),
            _ => self.open.as_mut()?.case.list_mut(kind).last_mut(),
        };
        sentence.map(|s| &mut s.data)
    }

    fn attach(&mut self, text: String, line: usize) {
        if !has_words(&text) {
            return;
        }
        if self.head == Some(Head::Examples)
            && let Some(open) = &mut self.open
        {
            open.comment("Examples:", line);
            text.lines().enumerate().for_each(|(i, l)| open.comment(format!("  {l}"), line + i));
            return;
        }
        match self.last() {
            Some(data) => data.push(draft(&text, line)),
            None => self.remark(&text, line),
        }
    }

    fn end_doc(&mut self) {
        if let Some((_, text, line)) = self.doc.take() {
            self.attach(text, line);
        }
    }

    fn end_table(&mut self) {
        if let Some((text, line)) = self.table.take() {
            self.attach(text, line);
        }
    }

    fn end_case(&mut self) {
        if let Some(open) = self.open.take() {
            self.feature.cases.push(open);
        }
    }

    fn finish(mut self) -> Feature {
        self.end_doc();
        self.end_table();
        self.end_case();
        let tags = std::mem::take(&mut self.tags);
        self.feature.comments.extend(tags.into_iter().map(|(text, line)| Comment { text, line }));
        if let Some((text, line)) = self.rule.take()
            && !self.feature.cases.iter().any(|c| c.case.fields.iter().any(|f| f.line == line))
        {
            self.feature.comments.push(Comment { text, line });
        }
        // a background without scenarios
        if self.feature.cases.is_empty() {
            let all = self.background.into_iter().chain(self.rule_background);
            self.feature.comments.extend(all.map(|(_, s)| Comment { text: s.text, line: s.line }));
        }
        self.feature
    }
}
