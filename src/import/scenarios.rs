//! The keywords of Gherkin in several languages, and which texts are scenarios.
use super::{
    blocks::Block,
    labels::{self, Keyword},
};

/// What a line of Gherkin begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Head {
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

/// The head that a line begins, the word that was used, and the rest.
pub fn head_of(line: &str) -> Option<(Head, &str, &str)> {
    let (name, rest) = line.split_once([':', '：'])?;
    let lower = name.trim().to_lowercase();
    let head = HEADS.iter().find(|(_, names)| names.split('|').any(|n| n == lower))?.0;
    Some((head, name.trim(), rest.trim()))
}

/// The step that a line begins, the word that was used, and the rest.
pub fn step_of(line: &str) -> Option<(Keyword, &str, &str)> {
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
        || starts && labels::is_scenario(text.lines()) && matches!(language.trim(), "" | "text" | "txt" | "plaintext")
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
