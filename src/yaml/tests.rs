use super::{Node, parse};
use crate::{source::Source, value::Value};
use proptest::collection::vec;
use std::sync::Arc;

fn tree(text: &str) -> Node {
    parse(&Arc::new(Source::new("t.yaml", text))).expect("it parses")
}

/// The underlined text for `word` inside the scalar at `key`.
fn under(text: &str, key: &str, word: &str) -> String {
    let tree = tree(text);
    let n = tree.get(key).expect("the key is there");
    let s = n.as_str().expect("it is a text");
    let i = s.find(word).expect("the word is in it");
    n.inner(i..i + word.len()).text().to_string()
}

#[test]
fn merges_maps_in_the_order_of_other_tools() {
    let json = |text: &str| tree(text).get("m").expect("m is there").to_value().to_json().to_string();
    let base = "a: &a { x: 1, y: 2 }\nb: &b { y: 3, z: 4 }\n";
    for (merged, expected) in [
        ("m: { <<: *a, y: 5 }", r#"{"x":1,"y":5}"#),
        ("m: { y: 5, <<: *a }", r#"{"x":1,"y":5}"#),
        ("m: { <<: [*a, *b], w: 0 }", r#"{"y":2,"z":4,"x":1,"w":0}"#),
        ("m: { <<: { x: 7 }, n: { <<: *b } }", r#"{"x":7,"n":{"y":3,"z":4}}"#),
        ("m: { '<<': 1 }", r#"{"<<":1}"#),
    ] {
        assert_eq!(json(&format!("{base}{merged}\n")), expected, "{merged}");
    }
    let wrong = |text: &str| parse(&Arc::new(Source::new("t.yaml", text))).unwrap_err();
    assert_eq!(wrong("m: { <<: 1 }\n").code, "wrong-type");
    assert!(wrong("a: 1\n---\na: 2\n").message.contains("multiple"));
    assert_eq!(tree("a: &a { x: 1 }\nm: { <<: *a, x: 2, x: 3 }\n").get("m").unwrap().entries().len(), 2);
}

#[test]
fn keeps_the_spelling_of_scalars_without_quotes() {
    for spelling in crate::testing::SPELLINGS {
        for text in [format!("a: {spelling}"), format!("b: &x {spelling}\na: *x"), format!("{{ a: {spelling} }}")] {
            assert_eq!(tree(&text).get("a").unwrap().text(), *spelling, "{text}");
        }
        assert_eq!(tree(&format!("a: \"{spelling}\"\n")).get("a").unwrap().plain, None);
    }
}

#[test]
fn maps_positions_inside_scalars_of_every_style() {
    assert_eq!(under("a: x ${nmae} y\n", "a", "nmae"), "nmae");
    assert_eq!(under("a: 'it''s ${nmae}'\n", "a", "nmae"), "nmae");
    assert_eq!(under("a: \"tab\\t ${nmae}\"\n", "a", "nmae"), "nmae");
    assert_eq!(under("a: >-\n  first line\n  and ${nmae}\nb: 1\n", "a", "nmae"), "nmae");
    assert_eq!(under("a: |\n    first line\n      and ${nmae}\nb: 1\n", "a", "nmae"), "nmae");
    assert_eq!(under("a: plain that\n  goes on ${nmae}\n", "a", "nmae"), "nmae");
    assert_eq!(under("ä: 1\na: ü ${nmae}\n", "a", "nmae"), "nmae");
    assert_eq!(under("a: |\n  'ä' == nmae\n", "a", "nmae"), "nmae");
    assert_eq!(under("b: &x is ${nmae}\na: *x\n", "a", "nmae"), "*x");
}

proptest::proptest! {
    /// Words after nothing, a space, a line break, an empty line, or a line continuation.
    #[test]
    fn maps_every_character_of_a_scalar(style in 0..5usize, dos: bool, words in vec((0..8usize, 0..5usize), 1..12)) {
        let (before, after) = [("x", ""), ("'", "'"), ("\"", "\""), (">-\n    ", "\n"), ("|\n    ", "\n")][style];
        let lines = |text: &str| if dos { text.replace('\n', "\r\n") } else { text.to_string() };
        let mut file = lines(&format!("a: {before}"));
        let mut places = vec![file.len() - 1];
        places.truncate(usize::from(style == 0));
        for (i, (word, lead)) in words.into_iter().enumerate() {
            let word = ["a", "ä", "'", "\"", "\\", "${b}", "*c", "😀"][word];
            let lead = ["", " ", "\n    ", "\n\n    ", if style == 2 { "\\\n    " } else { "  " }][lead];
            file.push_str(&lines(if i > 0 { lead } else { "" }));
            for c in word.chars() {
                places.push(file.len());
                file.push_str(&match (style, c) {
                    (1, '\'') => "''".to_string(),
                    (2, '"' | '\\') => format!("\\{c}"),
                    (2, 'ä') => "\\u00e4".to_string(),
                    _ => c.to_string(),
                });
            }
        }
        file.push_str(&lines(&format!("{after}\nb: 1\n")));
        let tree = tree(&file);
        let node = tree.get("a").expect("the key is there");
        let text = node.as_str().expect("it is a text");
        let found = text.char_indices().filter(|(_, c)| !c.is_whitespace());
        let found: Vec<usize> = found.map(|(i, c)| node.inner(i..i + c.len_utf8()).range.start).collect();
        proptest::prop_assert_eq!(found, places, "{}", file);
    }
}

#[test]
fn keeps_duplicate_keys() {
    let t = tree("a: 1\nb: 2\na: 3\n");
    assert_eq!(t.entries().len(), 3);
    assert_eq!(t.entries()[2].0.span.location().line, 3);
}

#[test]
fn scalars_have_the_expected_types() {
    let t = tree("a: no\nb: 017\nc: 1_000\nd: 12\ne: 1.5\nf: ~\ng: true\nh: 99999999999999999999999\n");
    let kinds: Vec<_> = t.entries().iter().map(|(_, v)| v.what()).collect();
    assert_eq!(kinds[7], "a number");
    assert_eq!(kinds[..7], ["a string", "a string", "a string", "a number", "a number", "nothing", "a boolean"]);
}

#[test]
fn numbers_keep_their_value() {
    let t = tree(
        "a: 1.50\nb: &x 36893488147419103232\nc: *x\nd: 1e400\ne: 4611686018427387904.0\nf: -1234567890.12345678901\n",
    );
    let value = |key: &str| t.get(key).map(Node::to_value).unwrap();
    assert_eq!(value("a"), Value::Float(1.5));
    assert_eq!(value("b"), Value::Decimal("36893488147419103232".into()));
    assert_eq!(value("c"), value("b"));
    assert_eq!(value("d"), Value::Decimal("1e400".into()));
    assert_eq!(value("e"), Value::Int(1 << 62));
    assert_eq!(value("f"), Value::Decimal("-1234567890.12345678901".into()));
    for text in ["a: .inf", "a: [-.inf]", "a: { .nan: 1 }"] {
        let e = parse(&Arc::new(Source::new("t.yaml", text))).unwrap_err();
        assert!(e.message.ends_with("is not a finite number"), "{}", e.message);
    }
}

#[test]
fn syntax_errors_have_a_location_and_help() {
    let e = parse(&Arc::new(Source::new("t.yaml", "a: 1\nb: \"x\nc: 2\n"))).unwrap_err();
    assert_eq!((e.code, e.span.location().line), ("yaml-syntax", 2));
    let e = parse(&Arc::new(Source::new("t.yaml", "a: !has(x)\n"))).unwrap_err();
    assert!(e.help.unwrap().contains("quote"), "{}", e.message);
    let e = parse(&Arc::new(Source::new("t.yaml", "a: >= 3\n"))).unwrap_err();
    assert!(e.help.unwrap().contains("quote an expression"), "{}", e.message);
}

#[test]
fn refuses_keys_that_are_lists_or_maps() {
    for text in ["? ".repeat(60) + "x", "{".repeat(60) + "a: 1" + &"}: 1".repeat(59) + "}", "[a, b]: 1".into()] {
        let refused = parse(&Arc::new(Source::new("t.yaml", text.clone()))).unwrap_err();
        assert!(refused.message.starts_with("expected a string as the key of a map, found a "), "{text}: {refused:?}");
    }
}

#[test]
fn a_place_has_the_whole_of_its_last_character() {
    for (text, part) in [("k: 'aé€ b'", "é€"), ("k: \"é\"", "é"), ("k: é", "é"), ("k: |\n  é\n  b\n", "é\nb\n")]
    {
        let root = tree(text);
        let value = root.get("k").expect("a value");
        let decoded = value.as_str().expect("a string");
        let at = decoded.find(part).expect("the part");
        let found = value.inner(at..at + part.len());
        assert!(value.span.contains(&found), "{text}: {found:?}");
        assert_eq!(found.text().trim_end(), part.trim_end().replace('\n', "\n  "), "{text}");
    }
}

#[test]
fn a_text_that_is_not_spelled_in_the_file_is_placed_as_a_whole() {
    let root = tree("k: !!binary aGk=\n");
    let value = root.get("k").expect("a value");
    assert_eq!((value.as_str(), value.inner(0..1)), (Some("hi"), value.span.clone()));
}
