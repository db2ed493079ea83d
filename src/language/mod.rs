//! Describes the plan language: keys, built-in verbs, matchers, functions and diagnostic codes, each with its meaning.
//! Data only: the parser, diagnostics and the documentation's tests read it.
mod codes;
mod functions;
mod key;
mod keys;
pub mod slips;

pub use self::{
    codes::{codes, explanation},
    functions::{CEL_FUNCTIONS, RUNNER_FUNCTIONS, is_cel_function, runner_function},
    key::*,
    keys::*,
};

/// A word of the language that is not a key.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    pub name: &'static str,
    pub meaning: &'static str,
}

const fn word(name: &'static str, meaning: &'static str) -> Word {
    Word { name, meaning }
}

/// Verbs of the engine. The others belong to executors.
pub const BUILTIN_VERBS: &[Word] = &[
    word("use", "performs a reusable action"),
    word("parallel", "performs branches at the same time"),
    word("fault", "breaks or heals a dependency of the platform"),
    word("every_observation", "judges every observation of a target, from the start of the run to the end of the case"),
];

/// Words for waiting that users may try. The language lacks them on purpose: `eventually` waits.
pub const WAITING_WORDS: &[&str] = &["wait", "sleep", "retry", "retries", "poll", "delay"];

pub const MATCHERS: &[Word] = &[
    word("$set", "the list has exactly these elements, in any order"),
    word("$contains", "the list contains these elements, or the string this text"),
    word("$each", "every element matches, and there is at least one"),
    word("$in", "the value matches one of these"),
    word("$regex", "the string matches; not anchored, placeholders literally"),
    word("$type", "the value has this type"),
    word("$time", "a time in RFC 3339"),
    word("$absent", "the field is missing; `null` is not missing"),
    word("$nonempty", "present, not null, and no empty string, list or map"),
    word("$schema", "valid by this JSON Schema"),
    word("$that", "the expression is true, with the value as `it`"),
];

/// Arguments of `$type`.
pub const TYPES: &[&str] = &["string", "int", "float", "number", "bool", "null", "list", "map", "time", "duration"];

pub const TIERS: &[&str] = &["must", "should", "nice"];

/// The names of words, for suggestions and lists of what is allowed.
pub fn names(words: &[Word]) -> impl Iterator<Item = &'static str> {
    words.iter().map(|w| w.name)
}
