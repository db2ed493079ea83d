use super::*;
use encoding_rs::WINDOWS_1252;
use proptest::prelude::*;

fn error(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

#[test]
fn deviations_from_json_are_errors_with_a_position() {
    assert_eq!(error(r#"{"ok": true, "error": "boom""#), "incomplete document at line 1, column 29");
    assert_eq!(error("{\"a\": 1,\n \"b\": NaN}"), "malformed json at line 2, column 7");
    assert_eq!(error(r#"{"ok":true}garbage"#), "trailing data at line 1, column 12");
    assert!(error("[1,\n\"\\ud800\"]").starts_with("unpaired surrogate pair escape sequence at line 2"));
    assert!(error(&"[".repeat(200)).starts_with("nested more than 128 levels deep at line 1, column 129"));
    for text in ["", " ", "nul", "[1,]", "{,}", "{a: 1}", "'a'", "01", "1.", "+1", "\"\t\"", "// x\n1", "Infinity"] {
        let e = read(text).expect_err(text);
        assert!(e.line >= 1 && e.column >= 1, "{text}: {e}");
    }
}

#[test]
fn duplicate_keys_are_errors_that_name_them() {
    assert_eq!(error(r#"{"state":"failed","state":"ok"}"#), "duplicate key `state` at line 1, column 19");
    assert_eq!(error(r#"{"a":[{"id":1,"\u0069d":2}]}"#), "duplicate key `id` at line 1, column 15");
    assert!(read(r#"{"a":1,"A":{"a":2}}"#).is_ok());
}

#[test]
fn numbers_keep_their_value() {
    let number = |text: &str| read(text).expect(text);
    assert_eq!(number("18446744073709551615"), Value::Uint(u64::MAX));
    assert_eq!(number("1.50"), Value::Float(1.5));
    assert_eq!(number("4611686018427387904.0"), Value::Int(1 << 62));
    for text in ["36893488147419103232", "9007199254740993.5", "1e400", "-1e-400", "1234567890.12345678901"] {
        assert_eq!(number(text), Value::Decimal(text.into()), "{text}");
    }
    assert!(error("1e99999999999999999999").starts_with("a number whose exponent is too large"));
}

#[test]
fn bytes_are_decoded() {
    let text = r#"{"n":"é"}"#;
    let want = read(text).unwrap();
    let utf16: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = utf16.iter().flat_map(|u| u.to_le_bytes()).collect();
    let big: Vec<u8> = utf16.iter().flat_map(|u| u.to_be_bytes()).collect();
    let with = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
    for bytes in [
        text.as_bytes().to_vec(),
        with(b"\xef\xbb\xbf", text.as_bytes()),
        with(b"\xff\xfe", &little),
        with(b"\xfe\xff", &big),
        little,
        big,
    ] {
        assert_eq!(read_bytes(&bytes, None, usize::MAX), Ok(want.clone()), "{bytes:?}");
    }
    assert_eq!(read_bytes(b"{\"n\":\"\xe9\"}", Some(WINDOWS_1252), usize::MAX), Ok(want));
    let e = read_bytes(b"{\n\"n\":\"\xe9\"}", None, usize::MAX).unwrap_err();
    assert_eq!(e.to_string(), "bytes that are not UTF-8 at line 2, column 6");
}

/// A document as text with its value.
fn document() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
    let text = any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap());
    let leaf = prop_oneof![Just("null".to_string()), Just("true".to_string()), number, text.clone()];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let key = "[a-z\u{e9}\"\\\\]{0,6}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::btree_map(key, inner, 0..5).prop_map(|entries| {
                let entry = |(k, v): (&String, &String)| format!("{}: {v}", serde_json::to_string(k).unwrap());
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(",\n"))
            }),
        ]
    })
}

#[test]
fn a_double_with_two_shortest_spellings_round_trips() {
    // halfway between both: 563000000000000.25
    for text in ["563000000000000.2", "563000000000000.3", "56300000.00000003E7"] {
        let value = read(text).expect(text);
        assert_eq!(read(&value.to_string()).expect(text), value);
        assert_eq!(value.decimal(), super::super::Decimal::parse(text), "{text}");
    }
}

proptest! {
    #[test]
    fn a_document_round_trips(text in document()) {
        let value = read(&text).expect(&text);
        let written = Value::list(vec![value.clone()]).to_string();
        prop_assert_eq!(read(&written).expect(&written), Value::list(vec![value.clone()]));
        let journal = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&journal).unwrap(), value);
    }

    #[test]
    fn a_truncated_document_is_an_error(text in document(), at: prop::sample::Index) {
        let text = format!("[{text}]");
        let cut = text.floor_char_boundary(at.index(text.len()));
        let e = read(&text[..cut]).expect_err(&text[..cut]);
        prop_assert!(e.line >= 1 && e.column >= 1);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[\\[\\]{}\":,0-9eE.+\\-\\\\u a\u{0}]{0,60}") {
        let _ = read_bytes(&bytes, None, usize::MAX);
        let _ = read_bytes(&bytes, Some(WINDOWS_1252), usize::MAX);
        let strict = read(&text).is_ok();
        prop_assert!(!strict || serde_json::from_str::<serde_json::Value>(&text).is_ok() || text.contains(['e', 'E']));
    }

    #[test]
    fn a_number_keeps_its_decimal_value(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?") {
        let value = read(&text).expect(&text);
        prop_assert_eq!(value.decimal(), super::super::Decimal::parse(&text));
        prop_assert!(value.same(&Value::Decimal(text.as_str().into())));
    }
}

#[test]
fn a_number_survives_the_journal_to_its_last_digit() {
    let value = read("5700000000000003e-1").unwrap();
    assert_eq!(serde_json::from_str::<Value>(&serde_json::to_string(&value).unwrap()).unwrap(), value);
}

#[test]
fn values_take_no_more_memory_than_allowed() {
    let numbers = format!("[{}1]", "1,".repeat(100_000));
    let e = read_within(&numbers, 1 << 20).unwrap_err();
    assert!(e.reason.starts_with("more values than fit into 1 MiB of memory"), "{e}");
    assert!((80_000..120_000).contains(&e.column), "stops early: {e}");
    let value = read_within(&numbers, 4 << 20).unwrap();
    assert!((2_400_000..3_000_000).contains(&value.memory()), "{}", value.memory());
    let maps = format!("[{}null]", "{\"a\":\"b\"},".repeat(10_000));
    assert!(read_within(&maps, 1 << 20).is_err());
    assert!(read_within(&format!("\"{}\"", "x".repeat(2 << 20)), 1 << 20).is_err());
}
