use super::*;
use serde_json::json;

#[test]
fn round_trips_with_its_types_and_order() {
    let v = Value::map([
        ("z".into(), Value::Time("2026-01-02T03:04:05.25Z".parse().unwrap())),
        ("a".into(), Value::Duration(SignedDuration::from_millis(-1500))),
        ("n".into(), Value::from(json!([1, u64::MAX, 1.5, null, true, "x"]))),
    ]);
    let text = serde_json::to_string(&v).unwrap();
    assert!(text.starts_with(r#"{"z":{"$time""#), "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), v);
}

#[test]
fn observed_data_is_never_read_as_a_marker() {
    let inner = [
        json!({"$time": "2026-01-02T03:04:05Z"}),
        json!({"$time": "soon"}),
        json!({"$unset": "why"}),
        json!({"$partial": [1, "why"]}),
        json!({"$map": {"$map": {"$duration": "PT1S"}}}),
        json!({"$float": "inf"}),
        json!({"$decimal": "1e400"}),
        json!({"$headers": {"a": 1}}),
        json!({"$time": 1, "other": 2}),
    ];
    for json in inner {
        let v = Value::list(vec![Value::from(json)]);
        assert_eq!(serde_json::from_str::<Value>(&serde_json::to_string(&v).unwrap()).unwrap(), v);
    }
}

#[test]
fn what_json_lacks_survives() {
    let partial = Value::partial(Value::map([("t".into(), Value::unset("cut"))]), "longer than 64 KiB");
    let headers = Map::from_iter([("$time".to_string(), Value::Decimal("1e400".into()))]).any_case(true);
    let headers = Value::from(headers);
    for v in
        [headers, Value::Float(f64::INFINITY), Value::Float(f64::NEG_INFINITY), Value::unset("no response"), partial]
    {
        assert_eq!(serde_json::from_str::<Value>(&serde_json::to_string(&v).unwrap()).unwrap(), v);
    }
    let nan = serde_json::to_string(&Value::Float(f64::NAN)).unwrap();
    assert!(matches!(serde_json::from_str(&nan).unwrap(), Value::Float(f) if f.is_nan()));
}

#[test]
fn equality_is_typed() {
    assert!(!Value::from(json!(1)).same(&Value::from(json!("1"))));
    assert!(Value::from(json!(1)).same(&Value::from(json!(1.0))));
    assert!(Value::from(json!({"a": 1, "b": [2]})).same(&Value::from(json!({"b": [2], "a": 1}))));
    assert!(!Value::from(json!({"a": 1})).same(&Value::from(json!({"a": 1, "b": 2}))));
}
