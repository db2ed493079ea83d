//! Finds the error of a response in the product's own words.
use super::wording::{MAX_INLINE_CHARS, one_line};
use crate::value::Value;

/// The texts of `error` and `message` in the body of an output, or in the output itself; for an HTTP error whose body is not JSON, its
/// text.
pub fn own_words(output: &Value) -> Option<String> {
    let places = [output.get("body"), Some(output)].into_iter().flatten().map(received);
    let said = places.map(errors_of).find(|said| !said.is_empty());
    let said = said.or_else(|| {
        let is_error = output.get("status")?.as_i64()? >= 400;
        Some(vec![received(output.get("text")?).as_str()?]).filter(|_| is_error)
    })?;
    let said = one_line(&said.join(": "), MAX_INLINE_CHARS);
    Some(said).filter(|said| !said.is_empty())
}

fn errors_of(value: &Value) -> Vec<&str> {
    let mut said: Vec<&str> = vec![];
    for key in ["error", "message"] {
        let found = value.get(key).map(received);
        let text = found.and_then(|v| v.as_str().or_else(|| v.get("message")?.as_str()));
        said.extend(text.filter(|text| !text.trim().is_empty() && !said.contains(text)));
    }
    said
}

/// What was received of a value.
fn received(value: &Value) -> &Value {
    if let Value::Partial(partial) = value { &partial.value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_error_of_a_response() {
        for (output, expected) in [
            (r#"{"status":403,"body":{"error":"Quota exceeded","message":"5 of 5"}}"#, Some("Quota exceeded: 5 of 5")),
            (r#"{"status":500,"body":{"error":{"code":7,"message":"no"}},"text":"x"}"#, Some("no")),
            (r#"{"status":404,"body":null,"text":"404 page\nnot found"}"#, Some("404 page not found")),
            (r#"{"status":200,"body":null,"text":"fine"}"#, None),
            (r#"{"status":200,"body":{"error":"","message":7}}"#, None),
            (r#"{"message":"denied","object":{"message":"other"}}"#, Some("denied")),
            (r#"{"status":404,"text":""}"#, None),
            (r"[1]", None),
        ] {
            let output: serde_json::Value = serde_json::from_str(output).unwrap();
            assert_eq!(own_words(&output.into()).as_deref(), expected);
        }
    }
}
