//! The functions an expression may call.
use super::{Word, names, word};

/// The functions of CEL with its extensions for strings, lists, math and optional values, each with its namespace.
pub const CEL_FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "duration",
    "timestamp",
    "type",
    "dyn",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDayOfMonth",
    "getDate",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "substring",
    "trim",
    "reverse",
    "format",
    "distinct",
    "flatten",
    "slice",
    "sort",
    "sortBy",
    "lists.range",
    "hasValue",
    "value",
    "or",
    "orValue",
    "of",
    "none",
    "ofNonZeroValue",
    "math.greatest",
    "math.least",
    "math.ceil",
    "math.floor",
    "math.round",
    "math.abs",
    "has",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
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
    CEL_FUNCTIONS.iter().any(|f| *f == name || f.rsplit('.').next() == Some(name))
}

/// The function `name` of this project.
pub fn runner_function(name: &str) -> Option<&'static str> {
    names(RUNNER_FUNCTIONS).find(|f| *f == name)
}
