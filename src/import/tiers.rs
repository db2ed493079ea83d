//! Priorities and tiers.
//!
//! A section such as "Success Criteria" decides first: what it lists under must, should and nice (or MoSCoW words, or
//! priorities) has that tier. Else a field `Tier` decides, then `Priority`, then `Severity`, then a heading above the
//! case such as "P0 tests". The words mean:
//!
//! | Tier | Words |
//! |---|---|
//! | must | must, P0, blocker, critical, highest, high, urgent, essential, mandatory, required, 🔴 |
//! | should | should, P1, medium, normal, major, important, moderate, 🟠, 🟡 |
//! | nice | nice, could, won't, P2 and more, low, lowest, minor, trivial, optional, 🟢 |
//!
//! A plan whose numbers start at 1 has no P0: its P1 is must, P2 is should, P3 and more are nice.
use super::{
    blocks::{Block, Item, Table},
    model::Tier,
    text::{has_words, words},
    vocabulary::{Role, role},
};
use std::collections::HashMap;

/// Whether the text is a priority like `P0`.
pub fn is_priority_code(text: &str) -> bool {
    matches!(text.as_bytes(), [b'p' | b'P', b'0'..=b'9'])
}

/// The tier of one word.
fn word_tier(word: &str, numbers_start_at_zero: bool) -> Option<Tier> {
    if is_priority_code(word) || word.starts_with("sev") || (word.len() == 2 && word.starts_with('s')) {
        let digit = word.chars().next_back()?.to_digit(10)?;
        let digit = if numbers_start_at_zero || digit == 0 { digit } else { digit - 1 };
        return Some(match digit {
            0 => Tier::Must,
            1 => Tier::Should,
            _ => Tier::Nice,
        });
    }
    Some(match word {
        "must"
        | "critical"
        | "blocker"
        | "blocking"
        | "highest"
        | "high"
        | "urgent"
        | "essential"
        | "mandatory"
        | "required"
        | "showstopper"
        | "alta"
        | "alto"
        | "crítica"
        | "crítico"
        | "critica"
        | "critico"
        | "hoch"
        | "haute"
        | "élevée"
        | "kritisch"
        | "высокий"
        | "критический"
        | "cao"
        | "yüksek"
        | "kritik"
        | "tinggi"
        | "muss"
        | "高"
        | "높음"
        | "critique"
        | "wysoki"
        | "високий" => Tier::Must,
        "should" | "medium" | "normal" | "major" | "important" | "moderate" | "média" | "media" | "médio" | "medio"
        | "mittel" | "moyenne" | "moyen" | "средний" | "orta" | "sedang" | "soll" | "中" | "중간" | "średni"
        | "середній" | "recommended" => Tier::Should,
        "nice" | "could" | "won't" | "wont" | "low" | "lowest" | "minor" | "trivial" | "optional" | "baixa"
        | "baixo" | "baja" | "bajo" | "niedrig" | "gering" | "basse" | "faible" | "низкий" | "thấp" | "düşük"
        | "rendah" | "kann" | "低" | "낮음" | "niski" | "низький" | "cosmetic" => Tier::Nice,
        _ => return None,
    })
}

/// The tier that the value of a priority, tier or severity field means.
pub fn of_priority(value: &str, numbers_start_at_zero: bool) -> Option<Tier> {
    let lower = value.to_lowercase().replace("won't", "wont").replace("nice to have", "nice");
    let all: Vec<String> = words(&lower).collect();
    // a word is clearer than a number: `P1 - High`
    let worded = all.iter().filter(|w| !w.bytes().any(|b| b.is_ascii_digit())).find_map(|w| word_tier(w, true));
    let coded = || all.iter().find_map(|w| word_tier(w, numbers_start_at_zero));
    let sign = || {
        [("🔴", Tier::Must), ("🟠", Tier::Should), ("🟡", Tier::Should), ("🟢", Tier::Nice), ("⚪", Tier::Nice)]
            .into_iter()
            .find_map(|(sign, tier)| value.contains(sign).then_some(tier))
    };
    let number = || {
        let digits = all.first().filter(|w| w.len() == 1)?;
        word_tier(&format!("p{digits}"), numbers_start_at_zero)
    };
    // `vietnamese trung bình` has two words
    let bigram = || lower.contains("trung bình").then_some(Tier::Should);
    worded.or_else(bigram).or_else(coded).or_else(sign).or_else(number)
}

/// Whether the priorities of a plan start at 0.
pub fn start_at_zero<'p>(priorities: impl Iterator<Item = &'p str>) -> bool {
    let (mut coded, mut zero) = (false, false);
    for priority in priorities {
        for word in
            words(priority).filter(|w| is_priority_code(w) || (w.len() == 1 && w.bytes().all(|b| b.is_ascii_digit())))
        {
            coded = true;
            zero |= word.ends_with('0');
        }
    }
    zero || !coded
}

/// The tier and the priority that a heading above cases announces: `P0 Tests`, `Must Have`, `High Priority`.
pub fn of_heading(heading: &str) -> Option<(Tier, String)> {
    let heading = &heading.replace("on't", "ont").replace("on’t", "ont");
    let all: Vec<String> = words(heading).collect();
    if all.is_empty() || all.len() > 7 {
        return None;
    }
    let has = |w: &str| all.iter().any(|a| a == w);
    let position = all.iter().position(|w| word_tier(w, true).is_some())?;
    let word = &all[position];
    let next = all.get(position + 1).map(String::as_str);
    let clear = match word.as_str() {
        "must" | "should" | "could" | "won" | "wont" | "nice" => {
            position <= 2
                && (next.is_none()
                    || matches!(next, Some("have" | "pass" | "to" | "be" | "tests" | "test" | "fix" | "work")))
        }
        "required" | "optional" | "mandatory" | "essential" | "recommended" => {
            next.is_none() || matches!(next, Some("tests" | "test" | "cases" | "for" | "checks"))
        }
        word if is_priority_code(word) => true,
        "critical" | "blocker" | "blocking" | "showstopper" => position <= 1,
        _ => {
            has("priority")
                || has("severity")
                || all.len() <= 2 && position == 0
                || has("prioridade")
                || has("prioridad")
        }
    };
    if !clear {
        return None;
    }
    let tier = of_priority(heading, true)?;
    let code = all.iter().find(|w| is_priority_code(w)).map(|w| w.to_uppercase());
    Some((tier, code.unwrap_or_else(|| capitalised(word))))
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// Text of a section about success criteria, with the tier of its heading.
#[derive(Debug)]
pub struct Criterion {
    pub tier: Tier,
    pub text: String,
}

/// Collects what a section about criteria says of tiers.
#[derive(Default)]
pub struct Criteria {
    pub entries: Vec<Criterion>,
    current: Option<Tier>,
}

impl Criteria {
    /// Reads a heading of the section.
    pub fn heading(&mut self, text: &str) {
        self.current = of_heading(text).map(|(tier, _)| tier);
    }

    /// Reads blocks below the last heading.
    pub fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Lines(lines) => {
                    for line in lines {
                        let alone = lines.len() == 1 || line.is_bold();
                        self.line(&line.text, alone);
                    }
                }
                Block::List { items, .. } => items.iter().for_each(|item| self.item(item)),
                Block::Table(table) => self.table(table),
                _ => {}
            }
        }
    }

    fn item(&mut self, item: &Item) {
        let before = self.current;
        for block in &item.blocks {
            match block {
                Block::Lines(lines) => lines.iter().for_each(|l| self.line(&l.text, true)),
                other => self.blocks(std::slice::from_ref(other)),
            }
        }
        // a tier stated in an item without anything below holds for the items after it
        if item.blocks.len() > 1 || before.is_some() {
            self.current = before;
        }
    }

    fn line(&mut self, text: &str, alone: bool) {
        let (label, rest) = text.split_once(':').unwrap_or((text, ""));
        if let Some((tier, _)) = of_heading(label) {
            if rest.trim().is_empty() {
                if alone || text.ends_with(':') {
                    self.current = Some(tier);
                }
            } else {
                self.entries.push(Criterion { tier, text: rest.into() });
            }
            return;
        }
        if let Some((first, rest)) = text.split_once(". ").filter(|(_, rest)| has_words(rest)) {
            self.line(first, false);
            return self.line(rest, false);
        }
        let lower = text.to_lowercase();
        let said = if lower.contains("must ") || lower.contains("100%") {
            Some(Tier::Must)
        } else if lower.contains("should ") {
            Some(Tier::Should)
        } else if lower.contains("nice to have") || lower.contains("optional") {
            Some(Tier::Nice)
        } else {
            None
        };
        if let Some(tier) = self.current.or(said) {
            self.entries.push(Criterion { tier, text: text.into() });
        }
    }

    fn table(&mut self, table: &Table) {
        let by = table.header.iter().position(|h| matches!(role(&h.text), Some(Role::Tier | Role::Priority)));
        for row in &table.rows {
            let tier = match by {
                Some(by) => row.get(by).and_then(|c| of_priority(&c.text, true)),
                None => row.iter().find_map(|c| of_heading(&c.text)).map(|(tier, _)| tier),
            };
            if let Some(tier) = tier {
                for cell in row {
                    self.entries.push(Criterion { tier, text: cell.text.clone() });
                }
            }
        }
    }
}

/// Splits a text of a criterion into the ids it names; expands `TC-1 to TC-5`, `TC-01–TC-05` and `TC-01..05`.
pub fn ids_in(text: &str, known: &HashMap<String, usize>, order: &[String]) -> Vec<usize> {
    let lower = text.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '#' | '/');
    let mut tokens: Vec<(usize, &str)> = Vec::new();
    let mut start = None;
    for (at, c) in lower.char_indices().chain([(lower.len(), ' ')]) {
        match (is_part(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                tokens.push((from, lower[from..at].trim_matches(['-', '.', '/'])));
                start = None;
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    for (at, token) in tokens {
        let (token, end_of_range) = match token.split_once("..") {
            Some((a, b)) => (a, Some(b)),
            None => (token, None),
        };
        if let Some(index) = known.get(token).copied() {
            if let Some((before, end)) = last {
                let between = lower.get(end..at).unwrap_or_default().trim();
                if matches!(
                    between,
                    "to" | "-" | "–" | "—" | "→" | "through" | "thru" | "until" | "..." | "…" | "bis" | "a"
                ) && before < index
                {
                    found.extend(before + 1..index);
                }
            }
            found.push(index);
            last = Some((index, at + token.len()));
            if let Some(end) = end_of_range {
                let other =
                    known.get(end).copied().or_else(|| order.iter().position(|id| id.to_lowercase().ends_with(end)));
                found.extend(other.into_iter().filter(|o| *o > index).flat_map(|o| index + 1..=o));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The words of a criterion, for a comparison with titles.
pub fn bare(text: &str) -> String {
    words(super::text::without_marks(text)).collect::<Vec<_>>().join(" ")
}
