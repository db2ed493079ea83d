//! Words of other tools and languages, and what to write instead: for the help of diagnostics.

/// A word that is not a key, the key that is meant, and what to write.
struct OtherKey {
    word: &'static str,
    key: &'static str,
    help: &'static str,
}

const fn other(word: &'static str, key: &'static str, help: &'static str) -> OtherKey {
    OtherKey { word, key, help }
}

const REQUEST: &str = "write method and path together: `request: POST /orders`";
const BODY: &str = "write `json: …` to send JSON, `form: …` for a form, `text: …` for anything else";
const EXPECT: &str = "write `expect: { status: 200 }` for a pattern, or `check: …` for an expression";

const OTHER_KEYS: &[OtherKey] = &[
    other("method", "request", REQUEST),
    other("url", "request", REQUEST),
    other("uri", "request", REQUEST),
    other("path", "request", REQUEST),
    other("endpoint", "request", REQUEST),
    other("body", "json", BODY),
    other("data", "json", BODY),
    other("payload", "json", BODY),
    other("params", "query", "write `query: { page: 2 }`"),
    other("auth", "identity", "write `identity: NAME`, and define the identity in the environment's target"),
    other("assert", "expect", EXPECT),
    other("asserts", "expect", EXPECT),
    other("assertions", "expect", EXPECT),
    other("expected", "expect", EXPECT),
    other("status", "expect", EXPECT),
    other("status_code", "expect", EXPECT),
    other("register", "as", "write `as: NAME` to keep the output, or `save: { NAME: EXPRESSION }` for parts of it"),
    other("capture", "save", "write `save: { id: body.id }`"),
    other("captures", "save", "write `save: { id: body.id }`"),
    other("extract", "save", "write `save: { id: body.id }`"),
    other("loop", "foreach", "write `foreach: [a, b]`; each run reads `item`"),
    other("with_items", "foreach", "write `foreach: [a, b]`; each run reads `item`"),
    other("when", "if", "write `if: EXPRESSION`"),
    other("cleanup", "undo", "write `undo: [...]` below the action that creates something"),
    other("teardown", "undo", "write `undo: [...]` below the action that creates something"),
    other("setup", "preconditions", "write it as `preconditions: [{ given: …, do: [...] }]`"),
    other("variables", "vars", "write `vars: { name: value }`"),
    other("tests", "cases", "write `cases: [...]`"),
    other("testcases", "cases", "write `cases: [...]`"),
    other("results", "expected", "write `expected: [{ result: …, check: … }]`"),
    other("command", "run", "write the program and its arguments as a list: `run: [curl, localhost]`"),
    other("cmd", "run", "write the program and its arguments as a list: `run: [curl, localhost]`"),
    other("args", "run", "write the program and its arguments as a list: `run: [curl, localhost]`"),
    other("name", "title", "write `title: …`; an output is named with `as: NAME`"),
    other("description", "title", "write `title: …`, or a comment that begins with `#`"),
    other("tags", "tier", "cases are selected by `--tier` and `--case`; `type: …` is shown in reports"),
    other("severity", "tier", "write `tier: must`, `should` or `nice`"),
];

/// What to write instead of a word of another tool, where `known` are the keys.
pub fn help_for_key(word: &str, known: &[&str]) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    OTHER_KEYS.iter().find(|o| o.word == word && known.contains(&o.key)).map(|o| o.help)
}

/// Whether a word is used for this key.
pub fn replaces(word: &str, key: &str) -> bool {
    word.eq_ignore_ascii_case(key) || OTHER_KEYS.iter().any(|o| o.word.eq_ignore_ascii_case(word) && o.key == key)
}

/// An example of a key that is missing.
pub fn example_of_key(key: &str) -> Option<&'static str> {
    Some(match key {
        "id" => "id: TC-1",
        "plan" => "plan: TP-1",
        "tier" => "tier: must",
        "cases" => "cases: [{ id: TC-1, tier: must, expected: [...] }]",
        "expected" => "expected: [{ result: The order is stored, check: order.status == 201 }]",
        "given" => "given: The platform is running",
        "step" => "step: Place an order",
        "result" => "result: The order is stored",
        "request" => "request: GET /orders",
        "run" => "run: [curl, localhost]",
        "sql" => "sql: select count(*) from orders",
        _ => return None,
    })
}

/// What to write instead of a name of another language.
pub fn help_for_name(word: &str) -> Option<&'static str> {
    Some(match word {
        "None" | "nil" | "undefined" | "NULL" | "Null" => "write `null`",
        "True" | "TRUE" => "write `true`",
        "False" | "FALSE" => "write `false`",
        "env" => {
            "environment variables are read in environment files only: set a variable of the plan there, under `vars`"
        }
        "vars" | "variables" => "a variable is read by its name alone, without `vars.`",
        "secrets" => "a secret is read by its name alone, in environment files",
        "response" | "res" | "resp" => "name the output with `as: response` beside the verb",
        "status" | "body" | "headers" | "text" | "cookies" | "rows" | "stdout" => {
            "an output has a name elsewhere: write `as: NAME` beside the verb, and read `NAME.status`, `NAME.body`, …"
        }
        _ if word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
            "environment variables are read in environment files: `vars: { name: \"${env.NAME}\" }` sets a variable of the plan"
        }
        _ => return None,
    })
}

/// What to write instead of a function of another language.
pub fn help_for_function(name: &str) -> Option<&'static str> {
    Some(match name {
        "len" | "length" | "count" | "strlen" => "write `size(x)`",
        "includes" | "include" => "write `text.contains(\"x\")`, or `x in list`",
        "str" | "toString" | "to_string" => "write `string(x)`",
        "parseInt" | "Number" | "float" | "number" => "write `int(x)` or `double(x)`",
        "lower" | "toLowerCase" | "tolower" => "write `text.lowerAscii()`",
        "upper" | "toUpperCase" | "toupper" => "write `text.upperAscii()`",
        "any" | "some" => "write `list.exists(x, x > 1)`",
        "every" => "write `list.all(x, x > 1)`",
        "regex" | "match" | "test" => "write `text.matches(\"x\")`",
        "isEmpty" | "empty" => "write `size(x) == 0`",
        "date" | "time" | "parseTime" => "write `timestamp(text)`",
        _ => return None,
    })
}

/// What to write instead of an operator of another language, at `at` in an expression.
pub fn help_for_operator(text: &str, at: usize) -> Option<&'static str> {
    let rest = text.get(at..)?;
    let before = text[..at].trim_end();
    let word =
        |word: &str| rest.strip_prefix(word).is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
    Some(match () {
        () if rest.starts_with("=~") || before.ends_with('~') => "write `text.matches(\"x\")`",
        () if rest.starts_with('=') && before.ends_with(['=', '!']) => "write `==` or `!=`, without a third `=`",
        () if rest.starts_with('=') || before.ends_with('=') && !before.ends_with("==") => "write `==` to compare",
        () if word("and") || word("AND") || rest.starts_with("&") => "write `&&`",
        () if word("or") || word("OR") || rest.starts_with('|') => "write `||`",
        () if before == "not" || before.ends_with(" not") || word("not") => "write `!` for not: `!has(body.error)`",
        () if word("if") || word("else") || word("then") => "write `condition ? a : b`",
        () if word("is") => "write `==`",
        () if rest.starts_with("<>") => "write `!=`",
        () if rest.starts_with("->") || rest.starts_with("=>") => "write `list.all(x, x > 1)`, without an arrow",
        () if rest.starts_with('$') => "write the name without `$`",
        () if rest.starts_with("**") || rest.starts_with("//") => "this operator is not part of CEL",
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_of_other_languages_are_known_at_the_place_of_the_error() {
        for (text, at, help) in [
            ("a = 1", 2, Some("write `==` to compare")),
            ("a === 1", 4, Some("write `==` or `!=`, without a third `=`")),
            ("a and b", 2, Some("write `&&`")),
            ("a or b", 2, Some("write `||`")),
            ("not a", 4, Some("write `!` for not: `!has(body.error)`")),
            ("a =~ \"x\"", 2, Some("write `text.matches(\"x\")`")),
            ("1 if a else 2", 2, Some("write `condition ? a : b`")),
            ("$.a", 0, Some("write the name without `$`")),
            ("a android", 2, None),
            ("a )", 2, None),
            ("é", 1, None),
        ] {
            assert_eq!(help_for_operator(text, at), help, "{text}");
        }
    }

    #[test]
    fn a_word_of_another_tool_is_explained_where_its_key_exists() {
        assert_eq!(help_for_key("Method", &["request", "json"]), Some(REQUEST));
        assert_eq!(help_for_key("method", &["run"]), None);
        assert!(replaces("url", "request") && replaces("Step", "step") && !replaces("url", "json"));
    }
}
