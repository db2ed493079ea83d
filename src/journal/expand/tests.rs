use super::{super::compact::Compactor, *};
use proptest::prelude::*;
use serde_json::json;

/// Writes the events as lines, and reads them again.
fn lines(events: &[Json]) -> Vec<String> {
    let mut compactor = Compactor::default();
    let line = |event: &Json| compactor.line(event["seq"].as_u64().unwrap(), event, false).unwrap();
    events.iter().map(line).collect()
}

fn read(expander: &mut Expander, line: &str) -> Result<Json, ExpandError> {
    expander.event(line.as_bytes())
}

fn read_all(lines: &[String]) -> Vec<Json> {
    let mut expander = Expander::default();
    lines.iter().map(|line| read(&mut expander, line).unwrap()).collect()
}

fn session(name: &str) -> Json {
    json!({ "metadata": { "name": name, "namespace": "streamspace" }, "spec": { "template": "a template", "cpu": "100m", "memory": "128Mi" } })
}

#[test]
fn a_part_that_an_earlier_line_has_is_written_once() {
    let first = json!({ "seq": 1, "value": { "items": [session("one"), session("two")] } });
    let second = json!({ "seq": 2, "value": { "items": [session("one"), session("two"), session("three")] } });
    let events = [first.clone(), second, json!({ "seq": 3, "value": first["value"] })];
    let lines = lines(&events);
    assert_eq!(lines[2], r#"{"seq":3,"value":"^1.2"}"#);
    // the specification of the third session is that of the first
    assert_eq!(lines[1].matches("\"^1.").count(), 3, "{}", lines[1]);
    assert_eq!(lines.concat().matches("a template").count(), 1, "{lines:?}");
    assert_eq!(read_all(&lines), events);
}

#[test]
fn json_in_a_string_is_written_as_parts() {
    let object = session("one");
    let (compact, pretty) = (object.to_string(), serde_json::to_string_pretty(&object).unwrap());
    let events = [
        json!({ "seq": 1, "value": object }),
        json!({ "seq": 2, "text": compact, "other": format!("HTTP/1.1 200 OK\ncontent-type: application/json\n\n{compact}") }),
        json!({ "seq": 3, "text": format!("201\n{pretty}") }),
        // not what printing it gives
        json!({ "seq": 4, "text": format!("{pretty} "), "other": compact.replace(':', ": ") }),
    ];
    let lines = lines(&events);
    assert!(
        lines[1].starts_with(r#"{"seq":2,"text":{"$compact":"^1.2"},"other":{"$join":["\n","HTTP/1.1 200 OK","#),
        "{}",
        lines[1]
    );
    assert!(lines[1].ends_with(r#","",{"$compact":"^1.2"}]}}"#), "{}", lines[1]);
    assert_eq!(lines[2], r#"{"seq":3,"text":{"$join":["\n","201",{"$pretty":"^1.2"}]}}"#);
    assert!(!lines[3].contains("$compact") && !lines[3].contains("$pretty"), "{}", lines[3]);
    assert_eq!(read_all(&lines), events);
}

#[test]
fn a_path_after_a_known_one_is_written_shortly() {
    let event = |seq: u64, address: &str| json!({ "seq": seq, "address": address, "event": "action-started" });
    let events = [
        event(1, "TC-1/steps/1/do/0"),
        event(2, "TC-1/steps/1/do/0/use/3#1"),
        event(3, "TC-1/steps/1/do/0/use/3#1/do/5"),
        event(4, "TC-1/steps/2/do/0"),
    ];
    let lines = lines(&events);
    assert_eq!(lines[1], r#"{"seq":2,"address":"^1.2/use/3#1","event":"action-started"}"#);
    assert_eq!(lines[2], r#"{"seq":3,"address":"^2.2/do/5","event":"action-started"}"#);
    assert!(lines[3].contains("TC-1/steps/2/do/0"), "{}", lines[3]);
    assert_eq!(read_all(&lines), events);
}

#[test]
fn observed_data_is_never_read_as_a_reference() {
    let imitations = json!([
        "^1.2",
        "^a text of more than thirty-two bytes",
        "^^",
        { "$join": ["\n", "a", "b"] },
        { "$compact": {} },
        { "$literal": { "$literal": { "$pretty": "^1.0" } } },
        { "$join": "^1.2", "other": 1 },
    ]);
    let text = serde_json::to_string_pretty(&imitations).unwrap();
    let event = |seq| json!({ "seq": seq, "value": imitations, "text": text });
    let events = [event(1), event(2)];
    assert_eq!(read_all(&lines(&events)), events);
}

#[test]
fn a_damaged_line_makes_what_refers_to_it_unset() {
    let text = "a text of more than thirty-two bytes";
    let value = json!({ "items": [session("one")], "n": 1 });
    let event = |seq| json!({ "seq": seq, "value": value, "evidence": [text], "summary": text });
    let mut expander = Expander::default();
    let whole = event(2);
    let second = &lines(&[event(1), whole.clone()])[1];
    let why = "it refers to event 1, whose line in the journal is damaged or missing";
    let expected = json!({ "seq": 2, "value": { "$unset": why }, "summary": format!("({why})") });
    assert_eq!(read(&mut expander, second), Ok(expected));
    let addressed = r#"{"seq":3,"address":"^1.5"}"#;
    assert_eq!(read(&mut expander, addressed), Err(ExpandError::Missing(1)), "it belongs nowhere");
    for text in [r#"{"$compact":["^1.2"]}"#, r#"{"$join":["\n","a","^1.2"]}"#] {
        let line =
            format!(r#"{{"seq":4,"last":{{"took":1,"value":{{"text":{text}}},"evidence":[{text}],"error":{text}}}}}"#);
        let expected = json!({ "seq": 4, "last": { "took": 1, "value": { "text": { "$unset": why } }, "error": format!("({why})") } });
        assert_eq!(read(&mut expander, &line), Ok(expected));
    }
}

#[test]
fn forged_references_are_refused() {
    for (line, error) in [
        (r#"{"seq":1,"value":"^1.0"}"#, ExpandError::TooLarge),
        (r#"{"seq":1,"text":"^1.99"}"#, ExpandError::Invalid),
        (r#"{"seq":1,"text":"^1"}"#, ExpandError::Invalid),
        (r#"{"seq":1,"text":"^"}"#, ExpandError::Invalid),
        (r#"{"seq":1,"text":"^1.1/x"}"#, ExpandError::Invalid),
        (r#"{"seq":1,"text":{"$join":[]}}"#, ExpandError::Invalid),
        (r#"{"seq":1,"text":{"$join":["",1]}}"#, ExpandError::Invalid),
        (r#"{"seq":1,"text":{"$join":1}}"#, ExpandError::Invalid),
        (r#"{"seq":1,"text":{"$literal":1}}"#, ExpandError::Invalid),
        (r#"{"text":1}"#, ExpandError::Invalid),
        ("[]", ExpandError::Invalid),
    ] {
        assert_eq!(read(&mut Expander::default(), line), Err(error), "{line}");
    }
    // each line doubles the one before
    let mut expander = Expander::default();
    read(&mut expander, r#"{"seq":0,"value":["a text"]}"#).unwrap();
    let mut last = Ok(Json::Null);
    for seq in 1..64 {
        let before = seq - 1;
        let line = format!(r#"{{"seq":{seq},"value":["^{before}.2","^{before}.2"]}}"#);
        last = read(&mut expander, &line);
        if last.is_err() {
            break;
        }
    }
    assert_eq!(last, Err(ExpandError::TooLarge));
}

#[test]
fn references_reach_back_over_a_limited_number_of_bytes() {
    let filler = |seq: u64| json!({ "seq": seq, "value": format!("{seq}{}", "x".repeat(1 << 20)) });
    let part = json!({ "seq": 1, "value": session("one") });
    let events: Vec<Json> = [part.clone()]
        .into_iter()
        .chain((2..=20).map(filler))
        .chain([json!({ "seq": 21, "value": part["value"] })])
        .collect();
    let lines = lines(&events);
    assert!(!lines[20].contains("\"^"), "{}", lines[20]);
    assert_eq!(read_all(&lines), events);
}

fn any_json() -> impl Strategy<Value = Json> {
    let text = prop::sample::select(vec![
        "",
        "a",
        "a text of more than thirty-two bytes",
        "{\"a\":1}",
        "1.2",
        "compact",
        "200\n[1,\n2]",
        "^1.2",
        "/apis/stream.space/v1",
        "/apis/stream.space/v1/sessions/a",
        "POST /sessions\ncontent-type: application/json\n\n{\"a\":1}",
        "curl -X POST -H 'content-type: application/json' --data-raw '{\"a\":1}'",
        "create -f - <<'EOF'\n{\n  \"a\": 1\n}\nEOF and more than thirty-two bytes",
    ]);
    let key = prop::sample::select(vec!["a", "b", "items", "event", "$join", "$compact", "$literal", "$map"]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        text.prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::vec((key.clone(), inner.clone()), 0..4)
                .prop_map(|entries| entries.into_iter().map(|(k, v)| (k.to_string(), v)).collect()),
            inner.clone().prop_map(|json| Json::from(format!("head\n{json}"))),
            inner.prop_map(|json| Json::from(serde_json::to_string_pretty(&json).unwrap())),
        ]
    })
}

proptest! {
    #[test]
    fn lines_are_read_as_they_were_written(values in prop::collection::vec(any_json(), 1..6)) {
        let twice = values.iter().chain(&values).enumerate();
        let events: Vec<Json> = twice.map(|(seq, value)| json!({ "seq": seq, "value": value, "evidence": value })).collect();
        prop_assert_eq!(read_all(&lines(&events)), events);
    }
}
