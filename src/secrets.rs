//! Masks the known secrets of a run and their parts, in every encoding: texts are decoded before they are compared. The
//! dispatcher masks each event when it is created; texts that are cut earlier are masked before the cut.
mod cut;
mod decode;
mod fields;
mod in_place;
mod parts;
mod position;

use aho_corasick::{AhoCorasick, Input, MatchKind};
pub use cut::before_token;
use decode::{Batch, EmitFound, is_same_in_form, unescape, unpack, unquote, with_spaces};
pub use fields::FieldRule;
use fields::FieldSearch;
use memchr::memmem;
use parking_lot::RwLock;
use parts::{Parts, secret_piece};
pub use position::is_named_like_secret;
use position::{ends_pair, is_credential, is_name, is_ordinary_in, is_weak, is_word};
use std::{
    collections::{HashMap, HashSet},
    hash::RandomState,
    ops::Range,
};

/// Shorter values are not masked: they would match too much of every report.
const MIN_SECRET_BYTES: usize = 4;
/// Shorter values must be a word of the text that base64 or hex was decoded to: random bytes contain them by chance.
const MIN_PACKED_BYTES: usize = 6;
/// The last line of a key can be shorter: it is masked only in the whole key.
const MIN_KEY_LINE_BYTES: usize = 20;
/// How many levels of escapes are decoded: text in JSON in JSON in a URL has three.
const MAX_ESCAPES: u8 = 6;
/// How many levels of base64 or hex are decoded, such as a Basic pair in the data of a Kubernetes Secret.
const MAX_PACKINGS: u8 = 2;
/// Further ones are masked only as a whole field.
const MAX_FOUND: usize = 10_000;
/// Secrets are added one by one; a small automaton of the newest is built faster than one of all.
const MAX_RECENT: usize = 64;

#[derive(Debug, Default)]
pub struct Secrets(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Whether the texts were masked when they were recorded. Further secrets are then ignored.
    recorded: bool,
    secrets: Vec<Secret>,
    /// How often each name was used, before numbering.
    names: HashMap<String, usize>,
    /// Values without escapes.
    values: HashSet<Vec<u8>>,
    /// Of all secrets but the newest, and of those.
    automata: [Option<Automaton>; 2],
    /// How many secrets the first automaton has.
    settled: usize,
    /// Of all secrets that are not weak.
    parts: Parts,
    /// The length of the shortest value.
    shortest: usize,
    /// Texts whose words are no secrets: the plan, names and addresses.
    ordinary: Vec<String>,
    fields: FieldRule,
    search: FieldSearch,
    /// How many secrets were found by the name of their field.
    found: usize,
    /// In a record: the names of those that the plan declared later.
    declared: HashSet<String>,
    /// Tells values apart that are only masked as a whole field.
    hash: RandomState,
}

#[derive(Debug)]
struct Secret {
    name: String,
    value: String,
    /// Counts only as a credential: it is an ordinary word, or too short to be told from one.
    weak: bool,
    /// Found by the name of its field: it is masked, but not declared as a secret.
    found: bool,
}

/// An occurrence of a secret.
struct Hit {
    range: Range<usize>,
    secret: usize,
    /// `base64` or `hex`; of a hit in the text itself also the name of its escapes.
    form: &'static str,
    /// Whether a weak secret is in the position of a credential.
    credential: bool,
}

/// What is searched in a text and its decoded views.
struct Search<'s> {
    /// The least number of bytes that can be found.
    shortest: usize,
    /// Searches one view.
    find: &'s dyn Fn(&[u8], EmitFound<'_>),
}

#[derive(Clone, Copy, Default)]
struct Levels {
    escapes: u8,
    packings: u8,
}

impl Secrets {
    /// For a recorded run, in which secrets are masked already.
    pub fn recorded() -> Self {
        Secrets(RwLock::new(Known { recorded: true, ..Known::default() }))
    }

    /// Masks `value` as `‹name›` from now on, and its encodings as `‹name:form›`. A known value keeps its first name;
    /// another value of the same name becomes `‹name~2›`. A key of several lines is masked line by line too, as a log has
    /// it.
    pub fn add(&self, name: &str, value: &str) {
        let mut known = self.0.write();
        if known.recorded {
            known.declared.extend(fields::token_name(value).map(str::to_string));
        } else if !known.add(name, value, false) {
            known.declare(value);
        }
    }

    /// Sets which fields are named like secrets.
    pub fn set_fields(&self, rule: FieldRule) {
        let mut known = self.0.write();
        known.search = FieldSearch::of(&rule);
        known.fields = rule;
    }

    /// Masks the value of a field from now on if the field is named like a secret, and what the text says of such fields. These values
    /// are not secrets for [`Secrets::names_in`].
    pub fn add_field(&self, field: &str, text: &str) {
        let values = {
            let known = self.0.read();
            if known.recorded || known.fields.off || known.found >= MAX_FOUND {
                return;
            }
            let pairs = known.search.pairs(text).chain((!field.is_empty()).then_some((field, text)));
            let is_secret = |(name, value): &(&str, &str)| known.fields.is_secret(name) && fields::may_be_secret(value);
            pairs.filter(is_secret).collect::<Vec<_>>()
        };
        values.into_iter().for_each(|(name, value)| self.add_found(name, value));
    }

    /// Masks a value that is not declared from now on, unless it contains a known secret.
    pub fn add_found(&self, name: &str, value: &str) {
        if fields::may_be_secret(value) && self.mask(value).is_none() {
            let mut known = self.0.write();
            let is_masked = !known.recorded && !known.fields.off && !known.fields.is_exempt(name);
            if is_masked && known.add(&format!("{}{name}", fields::PREFIX), value, true) {
                known.found += 1;
            }
        }
    }

    /// A secret that is a word of this text is weak: only a credential is masked. The credentials in the text itself
    /// do not count.
    pub fn add_ordinary(&self, text: impl Into<String>) {
        let mut known = self.0.write();
        let text = text.into();
        if known.ordinary.contains(&text) {
            return;
        }
        known.ordinary.push(text);
        let weak: Vec<bool> = known.secrets.iter().map(|s| s.weak || known.is_weak(&s.value)).collect();
        known.secrets.iter_mut().zip(weak).for_each(|(secret, weak)| secret.weak = weak);
    }

    /// Whether a secret of this value counts only as a credential.
    pub fn is_weak(&self, value: &str) -> bool {
        value.len() >= MIN_SECRET_BYTES && self.0.read().is_weak(value)
    }

    /// The names of the weak secrets.
    pub fn weak(&self) -> Vec<String> {
        self.0.read().secrets.iter().filter(|s| s.weak && !s.found).map(|s| s.name.clone()).collect()
    }

    /// The text with every secret replaced by its token; `None` if it contains none.
    pub fn mask(&self, text: &str) -> Option<String> {
        self.mask_field("", text)
    }

    /// The text with every secret replaced by its token.
    pub fn masked(&self, text: impl Into<String>) -> String {
        let text = text.into();
        self.mask(&text).unwrap_or(text)
    }

    /// The text with every declared secret replaced by its token.
    pub fn masked_if_declared(&self, text: &str) -> String {
        let known = self.0.read();
        known.with_tokens(text, &known.hits("", text, false))
    }

    /// Masks the value of a field: known secrets, and what is in the place of a secret although it cannot be searched for elsewhere.
    pub fn mask_field(&self, field: &str, text: &str) -> Option<String> {
        let known = self.0.read();
        let hits = known.hits(field, text, true);
        let masked = (!hits.is_empty()).then(|| known.with_tokens(text, &hits));
        if known.recorded || known.fields.off {
            return masked;
        }
        let text = masked.as_deref().unwrap_or(text);
        in_place::mask(&known.fields, &known.search, &known.hash, field, text).or(masked)
    }

    /// The text with the secret in the place of each token `‹name›`; `None` if it has none of a known secret.
    pub fn revealed(&self, text: &str) -> Option<String> {
        let known = self.0.read();
        let mut out = text.to_string();
        for secret in &known.secrets {
            out = out.replace(&format!("‹{}›", secret.name), &secret.value);
        }
        (out != text).then_some(out)
    }

    /// The names of the secrets in the text, in any encoding or as tokens.
    pub fn names_in(&self, text: &str) -> Vec<String> {
        self.names_in_field("", text)
    }

    /// The names of the secrets in the value of a field.
    pub fn names_in_field(&self, field: &str, text: &str) -> Vec<String> {
        let known = self.0.read();
        let mut names: Vec<String> =
            known.hits(field, text, false).iter().map(|hit| known.secrets[hit.secret].name.clone()).collect();
        names.extend(text.split('‹').skip(1).filter_map(|rest| {
            let name = rest.split('›').next()?.split(':').next()?;
            let is_declared = !name.starts_with(fields::PREFIX) || known.declared.contains(name);
            (rest.contains('›') && !name.is_empty() && is_declared).then(|| name.to_string())
        }));
        names.sort();
        names.dedup();
        names
    }
}

impl Known {
    /// Returns false for a value that is known already, or too short.
    fn add(&mut self, name: &str, value: &str, found: bool) -> bool {
        if value.len() < MIN_SECRET_BYTES || !self.values.insert(without_escapes(value)) {
            return false;
        }
        // in a record, different secrets must have different tokens
        let same = self.names.entry(name.to_string()).and_modify(|n| *n += 1).or_insert(1);
        let name = if *same == 1 { name.to_string() } else { format!("{name}~{same}") };
        let weak = self.is_weak(value);
        if !weak && !found {
            self.add_parts(self.secrets.len(), value);
        }
        for line in key_lines(value) {
            if self.values.insert(line.into()) {
                self.secrets.push(Secret { name: name.clone(), value: line.to_string(), weak: false, found });
            }
        }
        self.secrets.push(Secret { name, value: value.to_string(), weak, found });
        if self.secrets.len() - self.settled > MAX_RECENT {
            self.settled = self.secrets.len();
            self.automata = [Automaton::new(&self.secrets, 0), None];
        } else {
            self.automata[1] = Automaton::new(&self.secrets, self.settled);
        }
        let lengths = key_lines(value).map(str::len).chain([value.len(), without_escapes(value).len()]);
        let shortest = lengths.chain(self.parts.shortest()).min().unwrap_or_default();
        let before = if self.shortest == 0 { usize::MAX } else { self.shortest };
        self.shortest = before.min(shortest).max(MIN_SECRET_BYTES);
        true
    }

    /// The value of a field turns out to be a secret. It keeps its name.
    fn declare(&mut self, value: &str) {
        let Some(i) = self.secrets.iter().position(|s| s.found && s.value == value) else { return };
        self.secrets[i].found = false;
        if !self.secrets[i].weak {
            self.add_parts(i, value);
        }
    }

    fn add_parts(&mut self, secret: usize, value: &str) {
        let Some(piece) = secret_piece(value) else { return };
        let plain = without_escapes(piece);
        if plain != piece.as_bytes() {
            self.parts.add(secret, plain);
        }
        self.parts.add(secret, piece.into());
    }

    fn is_weak(&self, value: &str) -> bool {
        is_weak(value) || is_name(value) && self.ordinary.iter().any(|text| is_ordinary_in(text, value))
    }

    /// Whether an ordinary text contains this part of a secret, other than in the whole secret.
    fn is_ordinary_part(&self, part: &[u8], secret: usize) -> bool {
        let is_mark = |b: &u8| b.is_ascii() && !b.is_ascii_alphanumeric();
        let start = part.iter().position(|b| !is_mark(b)).unwrap_or(part.len());
        let end = part.iter().rposition(|b| !is_mark(b)).map_or(start, |last| last + 1);
        let contains = |text: &str| memmem::find(text.as_bytes(), &part[start..end]).is_some();
        self.ordinary.iter().any(|text| text.split(&self.secrets[secret].value).any(contains))
    }

    /// Where the text must be masked, from left to right. Overlapping occurrences are one.
    /// With `found`, also those that were found by the name of their field.
    fn hits(&self, field: &str, text: &str, found: bool) -> Vec<Hit> {
        let mut hits: Vec<Hit> = vec![];
        let named = is_named_like_secret(field.as_bytes());
        let find = |view: &[u8], emit: EmitFound<'_>| {
            self.automata.iter().flatten().for_each(|automaton| automaton.find(view, emit));
            self.parts.find(view, &mut |range, secret| {
                if !self.secrets[secret].weak && !self.is_ordinary_part(&view[range.clone()], secret) {
                    emit(range, secret);
                }
            });
        };
        let search = Search { shortest: self.shortest, find: &find };
        self.scan(&search, text.as_bytes(), Levels::default(), &mut |hit| {
            if !self.secrets[hit.secret].weak || hit.credential || named {
                let range = text.floor_char_boundary(hit.range.start)..text.ceil_char_boundary(hit.range.end);
                let form = if hit.form.is_empty() { self.escapes(hit.secret, &text[range.clone()]) } else { hit.form };
                hits.push(Hit { range, form, ..hit });
            }
        });
        hits.retain(|hit| (found || !self.secrets[hit.secret].found) && !self.is_in_token(text, &hit.range));
        hits.sort_by_key(|hit| (hit.range.start, std::cmp::Reverse(hit.range.end)));
        hits.dedup_by(|next, hit| {
            let overlaps = next.range.start < hit.range.end;
            if overlaps {
                hit.range.end = hit.range.end.max(next.range.end);
            }
            overlaps
        });
        hits
    }

    /// Searches the text as it is, and all its decoded views.
    fn scan(&self, search: &Search<'_>, text: &[u8], levels: Levels, emit: &mut dyn FnMut(Hit)) {
        if self.secrets.is_empty() || text.len() < search.shortest {
            return;
        }
        let packed = levels.packings > 0;
        let mut emit = |mut hit: Hit| {
            if self.secrets[hit.secret].weak {
                hit.credential |= is_credential(text, &hit.range) || packed && ends_pair(text, &hit.range);
            }
            emit(hit);
        };
        (search.find)(text, &mut |range, secret| {
            let must_be_word = self.secrets[secret].weak || packed && range.len() < MIN_PACKED_BYTES;
            if !must_be_word || is_word(text, &range) {
                emit(Hit { range, secret, form: "", credential: false });
            }
        });
        let quoted = if levels.escapes == 0 { unquote(text) } else { None };
        let escaped = if levels.escapes < MAX_ESCAPES { unescape(text) } else { None };
        for view in [quoted, escaped].into_iter().flatten() {
            let levels = Levels { escapes: levels.escapes + 1, ..levels };
            self.scan(search, &view.bytes, levels, &mut |hit| emit(Hit { range: view.encoded(&hit.range), ..hit }));
        }
        if levels.packings < MAX_PACKINGS {
            unpack(text, search.shortest, &mut |batch: &Batch| {
                // bytes that are no text are not decoded further
                let binary = Levels { escapes: MAX_ESCAPES, packings: MAX_PACKINGS };
                let text = Levels { packings: levels.packings + 1, ..levels };
                let levels = if batch.is_text { text } else { binary };
                self.scan(search, &batch.bytes, levels, &mut |hit| {
                    let (range, form) = batch.encoded(&hit.range);
                    emit(Hit { range, form, ..hit });
                });
            });
        }
    }

    /// Whether the range is part of a token, which may be named like a secret.
    fn is_in_token(&self, text: &str, range: &Range<usize>) -> bool {
        let before = &text[text.floor_char_boundary(range.start.saturating_sub(256))..range.start];
        let after = &text[range.start..text.floor_char_boundary(range.end.saturating_add(256))];
        let Some((_, start)) = before.rsplit_once('‹').filter(|(_, start)| !start.contains('›')) else {
            return false;
        };
        let Some((end, _)) = after.split_once('›') else { return false };
        let token = format!("{start}{end}");
        let name = token.split(':').next().unwrap_or_default();
        range.end <= range.start + end.len() && self.secrets.iter().any(|s| s.name == name)
    }

    /// The name of the escapes in an occurrence of a secret, or `part`; empty if it is the secret itself.
    fn escapes(&self, secret: usize, found: &str) -> &'static str {
        let value = &self.secrets[secret].value;
        match found {
            _ if found == value => "",
            _ if without_escapes(found).len() < without_escapes(value).len() => "part",
            _ if found.contains(r"'\''") => "shell",
            _ if found.contains('\\') => "json",
            _ if found.contains('&') && found.contains(';') => "html",
            _ => "percent",
        }
    }

    fn with_tokens(&self, text: &str, hits: &[Hit]) -> String {
        let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
        for hit in hits {
            out.push_str(&text[copied..hit.range.start]);
            out.push_str(&self.token(hit));
            copied = hit.range.end;
        }
        out.push_str(&text[copied..]);
        out
    }

    fn token(&self, hit: &Hit) -> String {
        let name = &self.secrets[hit.secret].name;
        if hit.form.is_empty() { format!("‹{name}›") } else { format!("‹{name}:{}›", hit.form) }
    }
}

/// The number of a secret, and what to find.
type Pattern = (usize, Vec<u8>);

/// Finds values in a text that is not decoded further.
#[derive(Debug)]
struct Automaton {
    search: AhoCorasick,
    /// The secret of each pattern.
    secrets: Vec<usize>,
    /// For values with a space, which a form writes as `+`: patterns and text have spaces for both.
    spaced: Option<(AhoCorasick, Vec<Pattern>)>,
}

impl Automaton {
    /// Of all secrets from `first` on.
    fn new(secrets: &[Secret], first: usize) -> Option<Automaton> {
        let (mut patterns, mut spaced) = (vec![], vec![]);
        for (i, secret) in secrets.iter().enumerate().skip(first) {
            let (value, plain) = (secret.value.clone().into_bytes(), without_escapes(&secret.value));
            let differs = plain != value && plain.len() >= MIN_PACKED_BYTES;
            for pattern in [Some(value), Some(plain).filter(|_| differs)].into_iter().flatten() {
                if pattern.contains(&b' ') {
                    spaced.push((i, pattern.clone()));
                }
                patterns.push((i, pattern));
            }
        }
        let build =
            |patterns: Vec<Vec<u8>>| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns).ok();
        let (secrets, patterns): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        let folded = spaced.iter().map(|(_, p)| with_spaces(p)).collect::<Vec<_>>();
        let spaced = if folded.is_empty() { None } else { build(folded).map(|search| (search, spaced)) };
        Some(Automaton { search: build(patterns)?, secrets, spaced })
    }

    fn find(&self, text: &[u8], emit: EmitFound<'_>) {
        for (range, pattern) in overlapping(&self.search, text) {
            emit(range, self.secrets[pattern]);
        }
        let Some((search, patterns)) = &self.spaced else { return };
        if !text.contains(&b'+') {
            return;
        }
        for (range, pattern) in overlapping(search, &with_spaces(text)) {
            let (secret, pattern) = &patterns[pattern];
            if text[range.clone()].iter().zip(pattern).all(is_same_in_form) {
                emit(range, *secret);
            }
        }
    }
}

/// The longest match at each position: a secret can begin inside another one.
fn overlapping<'t>(search: &'t AhoCorasick, text: &'t [u8]) -> impl Iterator<Item = (Range<usize>, usize)> + 't {
    let mut from = 0;
    std::iter::from_fn(move || {
        let found = search.find(Input::new(text).range(from..))?;
        from = found.start() + 1;
        Some((found.range(), found.pattern().as_usize()))
    })
}

/// The lines of a key of several lines: PEM.
fn key_lines(value: &str) -> impl Iterator<Item = &str> {
    let is_key = |line: &&str| {
        line.len() >= MIN_KEY_LINE_BYTES && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
    };
    let several = value.trim_end().contains('\n');
    value.lines().map(str::trim).filter(is_key).filter(move |_| several)
}

/// A value that itself looks escaped is compared without escapes, like the text.
fn without_escapes(value: &str) -> Vec<u8> {
    let mut value = value.as_bytes().to_vec();
    for _ in 0..MAX_ESCAPES {
        let Some(view) = unescape(&value) else { break };
        value = view.bytes;
    }
    value
}

#[cfg(test)]
pub mod tests;
