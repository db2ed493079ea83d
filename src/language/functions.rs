//! The functions an expression may call.

/// Where a function comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// CEL with its extensions for strings, lists, math and optional values.
    Cel,
    /// This project.
    Runner,
}

#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// With its namespace, if it has one: `math.abs`.
    pub name: &'static str,
    pub origin: Origin,
    /// What it returns; empty for CEL's own, which CEL documents.
    pub meaning: &'static str,
}

/// The function called `name`, with or without its namespace.
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name == name || f.name.rsplit('.').next() == Some(name))
}

const fn cel(name: &'static str) -> Function {
    Function { name, origin: Origin::Cel, meaning: "" }
}

const fn runner(name: &'static str, meaning: &'static str) -> Function {
    Function { name, origin: Origin::Runner, meaning }
}

pub const FUNCTIONS: &[Function] = &[
    cel("size"),
    cel("contains"),
    cel("startsWith"),
    cel("endsWith"),
    cel("matches"),
    cel("string"),
    cel("int"),
    cel("uint"),
    cel("double"),
    cel("bool"),
    cel("bytes"),
    cel("duration"),
    cel("timestamp"),
    cel("type"),
    cel("dyn"),
    cel("getFullYear"),
    cel("getMonth"),
    cel("getDayOfYear"),
    cel("getDayOfMonth"),
    cel("getDate"),
    cel("getDayOfWeek"),
    cel("getHours"),
    cel("getMinutes"),
    cel("getSeconds"),
    cel("getMilliseconds"),
    cel("charAt"),
    cel("indexOf"),
    cel("lastIndexOf"),
    cel("join"),
    cel("lowerAscii"),
    cel("upperAscii"),
    cel("replace"),
    cel("split"),
    cel("substring"),
    cel("trim"),
    cel("reverse"),
    cel("format"),
    cel("distinct"),
    cel("flatten"),
    cel("slice"),
    cel("sort"),
    cel("sortBy"),
    cel("lists.range"),
    cel("hasValue"),
    cel("value"),
    cel("or"),
    cel("orValue"),
    cel("of"),
    cel("none"),
    cel("ofNonZeroValue"),
    cel("math.greatest"),
    cel("math.least"),
    cel("math.ceil"),
    cel("math.floor"),
    cel("math.round"),
    cel("math.abs"),
    cel("has"),
    cel("all"),
    cel("exists"),
    cel("exists_one"),
    cel("existsOne"),
    cel("map"),
    cel("filter"),
    runner("secret", "its argument, masked in all output from now on"),
    runner("secrets_in", "names of the known secrets in a value, in any encoding"),
    runner("json", "the parsed JSON"),
    runner("now", "the current time"),
    runner("anomalies", "what no correct register would have shown"),
];
