//! Completes a reading: ids, tiers and warnings; and finds lines of which a word got lost.
use super::{
    document::{Found, Reader},
    ids::Ids,
    model::{Case, Comment, Field, Imported, Tier, Warning},
    table_cases, tables,
    text::{has_words, slug, split_marker, words},
    tiers,
    vocabulary::Role,
};
use std::collections::{HashMap, HashSet};

/// Decides what needs the whole document. `stem` is the name of its file without extension.
pub fn finish(mut reader: Reader, text: &str, stem: &str) -> Imported {
    resolve_indexes(&mut reader);
    let (mut out, found, criteria, loud) = (reader.out, reader.found, reader.criteria, reader.loud);
    let mut groups = Vec::new();
    let mut hints = Vec::new();
    let mut numbers = Vec::new();
    let mut loud: Vec<usize> = loud;
    let mut cases: Vec<(usize, Found)> = found.into_iter().enumerate().collect();
    cases.sort_by_key(|(i, f)| (f.builder.case.line, *i));
    for (_, found) in cases {
        let builder = found.builder.finish();
        out.labels.extend(builder.labels);
        loud.extend(builder.case.comments.iter().map(|c| c.line));
        groups.push(found.group);
        hints.push((builder.tier, builder.severity));
        numbers.push(builder.number);
        out.cases.push(builder.case);
    }
    if out.plan.is_empty() {
        out.plan = Some(slug(stem)).filter(|s| !s.is_empty()).unwrap_or_else(|| "plan".into());
    }
    make_ids(&mut out, &numbers, stem);
    for (case, group) in out.cases.iter_mut().zip(&groups) {
        if case.priority.is_none()
            && let Some((_, word)) = group
        {
            case.priority = Some(word.clone());
        }
    }
    if let ([case], Some(priority)) = (out.cases.as_mut_slice(), reader.front_priority) {
        case.priority.get_or_insert(priority);
    }
    decide_tiers(&mut out, &hints, &groups, &numbers, &criteria.entries);
    for case in out.cases.iter().filter(|c| c.expected.is_empty()) {
        let text = format!("case `{}` has no expected result: add at least one", case.id);
        out.warnings.push(Warning { line: case.line, text });
    }
    warn_of_shared(&mut out);
    warn_of_comments(&mut out, loud);
    keep_lost_lines(&mut out, text);
    if out.cases.is_empty() {
        let text = "no case found: expected headings, tables or lists with steps or expected results".to_string();
        out.warnings.push(Warning { line: 1, text });
    }
    out.comments.sort_by_key(|c| c.line);
    out.warnings.sort_by_key(|w| w.line);
    out
}

/// Rows and items that only name a case: of a case elsewhere they give the priority, else they are cases.
fn resolve_indexes(reader: &mut Reader) {
    let (weak, strong): (Vec<Found>, Vec<Found>) = std::mem::take(&mut reader.found).into_iter().partition(|f| f.weak);
    reader.found = strong;
    // their places stay the same: others are added behind them
    let with_id = reader.found.iter().enumerate().filter(|(_, f)| !f.builder.case.id.is_empty());
    let known: HashMap<String, usize> = with_id.map(|(i, f)| (f.builder.case.id.to_lowercase(), i)).collect();
    for found in weak {
        match known.get(&found.builder.case.id.to_lowercase()) {
            Some(index) => {
                let case = found.builder.case;
                reader.out.comments.push(Comment { text: format!("{}: {}", case.id, case.title), line: case.line });
                reader.out.comments.extend(case.comments);
                let target = &mut reader.found[*index];
                if target.group.is_none() {
                    target.group = found.group;
                }
            }
            None => reader.found.push(found),
        }
    }
    for (table, may_be_cases) in std::mem::take(&mut reader.indexes) {
        let columns = tables::columns(&table);
        let priority_at = columns.roles.iter().position(|r| *r == Some(Role::Priority));
        let id_at = columns.roles.iter().position(|r| *r == Some(Role::Id));
        let cell = |row: &[super::blocks::Line], at: Option<usize>| {
            at.and_then(|a| row.get(a)).map(|c| c.text.clone()).unwrap_or_default()
        };
        let index_of = |row: &[super::blocks::Line]| {
            tables::cell_id(&cell(row, id_at)).and_then(|id| known.get(&id.to_lowercase()).copied())
        };
        let references = table.rows.iter().filter(|r| index_of(r).is_some()).count();
        if references * 2 > table.rows.len() || !may_be_cases && !reader.found.is_empty() {
            for row in &table.rows {
                if let Some(index) = index_of(row) {
                    let target = &mut reader.found[index].builder.case;
                    let priority = cell(row, priority_at);
                    if target.priority.is_none() && has_words(&priority) {
                        target.priority = Some(priority);
                    }
                }
            }
            reader.out.comments.extend(super::plain::block(&super::blocks::Block::Table(table), 1));
            continue;
        }
        for cell in &table.header {
            reader.out.labels.push(Comment { text: cell.text.clone(), line: cell.line });
        }
        let (builders, comments) = table_cases::read(&table, &columns);
        reader.out.comments.extend(comments);
        reader.found.extend(builders.into_iter().map(|builder| Found { builder, group: None, weak: false }));
    }
}

fn make_ids(out: &mut Imported, numbers: &[Option<String>], stem: &str) {
    let written = out.cases.iter().map(|c| c.id.clone()).filter(|id| !id.is_empty());
    let mut ids = Ids::new(stem, written);
    let mut seen: HashSet<String> = HashSet::new();
    let mut made: Vec<String> = Vec::new();
    let mut first_line = 0;
    // the numbers of the document serve if all cases without id have different ones
    let unnamed = || out.cases.iter().zip(numbers).filter(|(c, _)| c.id.is_empty());
    let different: HashSet<&str> = unnamed().filter_map(|(_, n)| n.as_deref()).collect();
    let numbered = different.len() == unnamed().count();
    for (case, number) in out.cases.iter_mut().zip(numbers) {
        if case.id.is_empty() {
            case.id = ids.make(number.as_deref().filter(|_| numbered));
            if made.is_empty() {
                first_line = case.line;
            }
            made.push(case.id.clone());
            seen.insert(case.id.clone());
            continue;
        }
        case.id_is_written = true;
        if !seen.insert(case.id.clone()) {
            let id = ids.unique(&case.id);
            let text = format!("duplicate id `{}`: this case is called `{id}`", case.id);
            out.warnings.push(Warning { line: case.line, text });
            case.fields.push(Field { label: "Id in the document".into(), value: case.id.clone(), line: case.line });
            case.id = id;
            case.id_is_written = false;
            seen.insert(case.id.clone());
        }
    }
    if let [first, rest @ ..] = made.as_slice() {
        let which = match rest.last() {
            Some(last) => format!("{} cases have no id in the document: made `{first}` to `{last}`", made.len()),
            None => format!("the case has no id in the document: made `{first}`"),
        };
        out.warnings.push(Warning { line: first_line, text: which });
    }
}

type Hint = (Option<String>, Option<String>);
type Group = Option<(Tier, String)>;

fn decide_tiers(
    out: &mut Imported,
    hints: &[Hint],
    groups: &[Group],
    numbers: &[Option<String>],
    criteria: &[tiers::Criterion],
) {
    let zero = tiers::start_at_zero(out.cases.iter().filter_map(|c| c.priority.as_deref()));
    let known: HashMap<String, usize> =
        out.cases.iter().enumerate().rev().map(|(i, c)| (c.id.to_lowercase(), i)).collect();
    let order: Vec<String> = out.cases.iter().map(|c| c.id.clone()).collect();
    let titles: HashMap<String, usize> =
        out.cases.iter().enumerate().rev().map(|(i, c)| (tiers::bare(&c.title), i)).collect();
    let by_number: HashMap<&str, usize> =
        numbers.iter().enumerate().rev().filter_map(|(i, n)| Some((n.as_deref()?, i))).collect();
    let mut of_priority: HashMap<String, Tier> = HashMap::new();
    let mut of_case: HashMap<usize, Tier> = HashMap::new();
    for entry in criteria {
        let mut found = tiers::ids_in(&entry.text, &known, &order);
        if found.is_empty() {
            let bare = tiers::bare(&entry.text);
            let numbered = super::ids::case_head(&entry.text).number;
            found.extend(titles.get(&bare).or_else(|| by_number.get(numbered.as_deref()?)));
        }
        if found.is_empty() {
            for word in words(&entry.text)
                .filter(|w| tiers::is_priority_code(w) || matches!(w.as_str(), "critical" | "high" | "medium" | "low"))
            {
                of_priority.entry(word).or_insert(entry.tier);
            }
        }
        for index in found {
            of_case.entry(index).or_insert(entry.tier);
        }
    }
    let mut undecided = 0;
    for (index, case) in out.cases.iter_mut().enumerate() {
        let (tier, severity) = &hints[index];
        let by = |value: &Option<String>| value.as_deref().and_then(|v| tiers::of_priority(v, zero));
        let mapped = case.priority.as_deref().and_then(|p| words(p).find_map(|w| of_priority.get(&w).copied()));
        let own = case
            .priority
            .clone()
            .filter(|_| groups[index].as_ref().is_none_or(|(_, w)| Some(w) != case.priority.as_ref()));
        let written = of_case.get(&index).copied().or_else(|| by(tier));
        case.tier_is_written = written.is_some();
        case.tier = written
            .or(mapped)
            .or_else(|| by(&own))
            .or_else(|| by(severity))
            .or(groups[index].as_ref().map(|g| g.0))
            .or_else(|| by(&case.priority));
        undecided += usize::from(case.tier.is_none());
    }
    if undecided > 0 {
        let line = out.cases.iter().find(|c| c.tier.is_none()).map_or(1, |c| c.line);
        let text = format!(
            "{undecided} of {} cases have no tier or priority in the document: written as `must`",
            out.cases.len()
        );
        out.warnings.push(Warning { line, text });
    }
}

fn warn_of_shared(out: &mut Imported) {
    let mut last = String::new();
    for shared in &out.shared {
        if shared.group != last {
            let text = format!(
                "`{}` holds for several cases and is kept as a comment: repeat it in the cases that need it",
                shared.group
            );
            out.warnings.push(Warning { line: shared.sentence.line, text });
            last.clone_from(&shared.group);
        }
    }
}

/// One warning for each run of comments.
fn warn_of_comments(out: &mut Imported, mut loud: Vec<usize>) {
    loud.sort_unstable();
    loud.dedup();
    let mut starts: Vec<usize> = out.cases.iter().map(|c| c.line).collect();
    starts.sort_unstable();
    let case_at = |line: usize| starts.partition_point(|s| *s <= line);
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for line in loud {
        match runs.last_mut() {
            Some((_, end)) if case_at(*end) == case_at(line) && line - *end <= 12 => *end = line,
            _ => runs.push((line, line)),
        }
    }
    let texts: HashMap<usize, String> = {
        let inside = out.cases.iter().flat_map(|c| &c.comments);
        out.comments.iter().chain(inside).rev_lines()
    };
    for (start, end) in runs {
        let text = texts.get(&start).map(|t| shorten(t)).unwrap_or_default();
        let lines = if start == end { String::new() } else { format!(" (to line {end})") };
        out.warnings.push(Warning { line: start, text: format!("not classified, kept as a comment{lines}: {text}") });
    }
}

trait Lines<'c> {
    fn rev_lines(self) -> HashMap<usize, String>;
}

impl<'c, I: Iterator<Item = &'c Comment>> Lines<'c> for I {
    /// The first comment of each line.
    fn rev_lines(self) -> HashMap<usize, String> {
        let mut map = HashMap::new();
        for comment in self {
            map.entry(comment.line).or_insert_with(|| comment.text.clone());
        }
        map
    }
}

fn shorten(text: &str) -> String {
    let text = super::text::squeeze(text);
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// All words of a reading.
pub fn words_of(out: &Imported) -> HashSet<String> {
    let mut known = HashSet::new();
    let mut add = |text: &str| known.extend(words(text));
    add(&out.plan);
    out.title.iter().chain(&out.objective).chain(&out.scope_in).chain(&out.scope_out).for_each(|t| add(t));
    for shared in &out.shared {
        add(&shared.sentence.text);
        shared.sentence.data.iter().for_each(|d| add(&d.text));
    }
    out.comments.iter().chain(&out.labels).for_each(|c| add(&c.text));
    for case in &out.cases {
        case_texts(case, &mut add);
    }
    known
}

fn case_texts(case: &Case, add: &mut impl FnMut(&str)) {
    add(&case.id);
    add(&case.title);
    case.priority.iter().for_each(|t| add(t));
    for field in &case.fields {
        add(&field.label);
        add(&field.value);
    }
    for sentence in case.preconditions.iter().chain(&case.steps).chain(&case.expected).chain(&case.teardown) {
        add(&sentence.text);
        sentence.data.iter().for_each(|d| add(&d.text));
    }
    case.comments.iter().for_each(|c| add(&c.text));
}

/// Words of a line of the document, without markup and list numbers.
pub fn line_words(line: &str) -> Vec<String> {
    let line = line.trim();
    let fence = line.trim_start_matches(['>', ' ']);
    if fence.starts_with("```") || fence.starts_with("~~~") {
        return words(fence.trim_matches(['`', '~'])).skip(1).collect();
    }
    let line = split_marker(line).map_or(line, |(_, rest)| rest);
    let line = super::text::without_marks(line);
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        let tail = &rest[at..];
        let end = if tail.starts_with('<') {
            super::tags::tag_end(tail)
        } else {
            tail.bytes().take(10).position(|b| b == b';')
        };
        match end {
            Some(end) if tail.starts_with('<') && super::tags::is_markup(&tail[..=end]) && !tail.starts_with("<!") => {
                text.push(' ');
                rest = &tail[end + 1..];
            }
            Some(end)
                if tail.starts_with('&') && tail[1..end].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#') =>
            {
                text.push(' ');
                rest = &tail[end + 1..];
            }
            _ => {
                text.push_str(&tail[..1]);
                rest = &tail[1..];
            }
        }
    }
    text.push_str(rest);
    let mut found = Vec::new();
    for (at, word) in
        text.split(|c: char| !c.is_alphanumeric()).map(|w| (w.as_ptr() as usize - text.as_ptr() as usize, w))
    {
        if word.is_empty() {
            continue;
        }
        let number = word.len() <= 3 && word.bytes().all(|b| b.is_ascii_digit());
        if !(number && text[at + word.len()..].starts_with(['.', ')'])) {
            found.push(word.to_lowercase());
        }
    }
    found
}

/// Keeps each line of which a word is in no part of the reading.
fn keep_lost_lines(out: &mut Imported, text: &str) {
    let known = words_of(out);
    for (i, line) in text.lines().enumerate() {
        let lost = line_words(line).into_iter().any(|w| !known.contains(&w));
        if lost {
            let line_number = i + 1;
            let text = line.trim().to_string();
            out.warnings.push(Warning { line: line_number, text: format!("kept as a comment: {}", shorten(&text)) });
            let comment = Comment { text, line: line_number };
            match out.cases.partition_point(|c| c.line <= line_number).checked_sub(1) {
                Some(owner) => out.cases[owner].comments.push(comment),
                None => out.comments.push(comment),
            }
        }
    }
    for case in &mut out.cases {
        case.comments.sort_by_key(|c| c.line);
    }
}
