//! The functions an expression may call.
use super::{Word, names, word};

/// The functions of CEL with its extensions for strings, lists, math and optional values, each with its namespace.
pub const CEL_FUNCTIONS: &[Word] = &[
    word("size", "number of elements, entries, characters or bytes"),
    word("contains", "whether a text contains another"),
    word("startsWith", "whether a text begins with another"),
    word("endsWith", "whether a text ends with another"),
    word("matches", "whether a regular expression is found in a text"),
    word("string", "a value as text"),
    word("int", "a value as whole number"),
    word("uint", "a value as whole number without sign"),
    word("double", "a value as floating-point number"),
    word("bool", "a text as boolean"),
    word("bytes", "a text as bytes"),
    word("duration", "a text like `1m30s` as duration"),
    word("timestamp", "a text in RFC 3339 as time"),
    word("type", "the type of a value"),
    word("dyn", "a value without a type known beforehand"),
    word("getFullYear", "year of a time"),
    word("getMonth", "month of a time, from 0"),
    word("getDayOfYear", "day of the year, from 0"),
    word("getDayOfMonth", "day of the month, from 0"),
    word("getDate", "day of the month, from 1"),
    word("getDayOfWeek", "day of the week, from 0 for Sunday"),
    word("getHours", "hours of a time or duration"),
    word("getMinutes", "minutes of a time or duration"),
    word("getSeconds", "seconds of a time or duration"),
    word("getMilliseconds", "milliseconds of a time or duration"),
    word("charAt", "the character at an index"),
    word("indexOf", "index of the first occurrence, or -1"),
    word("lastIndexOf", "index of the last occurrence, or -1"),
    word("join", "a list of texts as one text"),
    word("lowerAscii", "a text with ASCII letters in lower case"),
    word("upperAscii", "a text with ASCII letters in upper case"),
    word("replace", "a text with occurrences of another replaced"),
    word("split", "a text as list, split at a separator"),
    word("substring", "a part of a text, by indices"),
    word("trim", "a text without white space at both ends"),
    word("reverse", "a list or text in reverse order"),
    word("format", "a text with values filled in: `\"%d of %s\".format([n, name])`"),
    word("distinct", "a list without repetitions"),
    word("flatten", "a list of lists as one list"),
    word("slice", "a part of a list, by indices"),
    word("sort", "a list in order"),
    word("sortBy", "a list in the order of an expression: `list.sortBy(x, x.age)`"),
    word("lists.range", "the whole numbers from 0 to below a number"),
    word("hasValue", "whether an optional value is present"),
    word("value", "the value of an optional value"),
    word("or", "an optional value, or another one if it is absent"),
    word("orValue", "the value of an optional value, or another value"),
    word("of", "an optional value: `optional.of(x)`"),
    word("none", "an absent optional value: `optional.none()`"),
    word("ofNonZeroValue", "an optional value that is absent if the value is zero or empty"),
    word("math.greatest", "the greatest of several numbers"),
    word("math.least", "the least of several numbers"),
    word("math.ceil", "the next whole number above"),
    word("math.floor", "the next whole number below"),
    word("math.round", "the nearest whole number"),
    word("math.abs", "the number without its sign"),
    word("has", "whether a field is there: `has(body.error)`"),
    word("all", "whether a condition holds for all elements; true of an empty list"),
    word("exists", "whether a condition holds for an element"),
    word("exists_one", "whether a condition holds for exactly one element"),
    word("existsOne", "whether a condition holds for exactly one element"),
    word("map", "a list with an expression of each element"),
    word("filter", "the elements for which a condition holds"),
];

/// The functions that this project adds.
pub const RUNNER_FUNCTIONS: &[Word] = &[
    word("secret", "its argument, masked in all output from now on"),
    word("secrets_in", "names of the known secrets in a value, in any encoding, also in part"),
    word("json", "the parsed JSON"),
    word("raw", "its argument; in `$regex`, a regular expression and not a text to find"),
    word("now", "the current time"),
    word("anomalies", "what no correct register would have shown"),
];

/// Whether CEL has the function `name`, with or without its namespace.
pub fn is_cel_function(name: &str) -> bool {
    names(CEL_FUNCTIONS).any(|f| f == name || f.rsplit('.').next() == Some(name))
}

/// The function `name` of this project.
pub fn runner_function(name: &str) -> Option<&'static str> {
    names(RUNNER_FUNCTIONS).find(|f| *f == name)
}
