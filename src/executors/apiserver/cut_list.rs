//! The complete items of a list of which only the beginning was received. Pure.
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use std::fmt;

/// The list with its complete items. `None` if the text is not the beginning of a list.
pub fn complete_items(beginning: &[u8]) -> Option<Json> {
    let mut list = Map::new();
    let end = Fields(&mut list).deserialize(&mut serde_json::Deserializer::from_slice(beginning));
    let is_list = list.get("kind").and_then(Json::as_str).is_some_and(|kind| kind.ends_with("List"));
    (end.is_err_and(|e| e.is_eof()) && is_list && list.contains_key("items")).then_some(Json::Object(list))
}

/// Keeps the fields before an error, and of `items` those before it.
struct Fields<'a>(&'a mut Map<String, Json>);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        while let Some(key) = from.next_key::<String>()? {
            if key != "items" {
                let value = from.next_value()?;
                self.0.insert(key, value);
                continue;
            }
            let mut items = vec![];
            let end = from.next_value_seed(Items(&mut items));
            self.0.insert(key, Json::Array(items));
            end?;
        }
        Ok(())
    }
}

struct Items<'a>(&'a mut Vec<Json>);

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        while let Some(item) = from.next_element()? {
            self.0.push(item);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complete_items_of_each_beginning_are_kept() {
        let text =
            r#"{"kind":"ThingList","metadata":{"continue":"x"},"items":[{"a":"ü"},{"b":[1,2]},{"c":{}}],"end":1}"#;
        let (key, first) = (text.find(":[").unwrap(), text.find(":[").unwrap() + 2);
        let all = text.find("],\"end").unwrap();
        for end in 0..text.len() {
            let items =
                complete_items(&text.as_bytes()[..end]).map(|list| list["items"].as_array().map_or(0, Vec::len));
            let expected = match end {
                _ if end < key => None,
                _ if end >= all => Some(3),
                _ => Some(
                    [r#"{"a":"ü"}"#, r#",{"b":[1,2]}"#, r#",{"c":{}}"#]
                        .iter()
                        .scan(first, |at, item| {
                            *at += item.len();
                            (*at <= end).then_some(())
                        })
                        .count(),
                ),
            };
            assert_eq!(items, expected, "{}", String::from_utf8_lossy(&text.as_bytes()[..end]));
        }
    }

    #[test]
    fn other_texts_are_no_list() {
        for text in
            ["", "[1, 2", r#"{"kind":"Thing","items":[1"#, r#"{"items":[1"#, r#"{"kind":"ThingList","items":[1}"#]
        {
            assert_eq!(complete_items(text.as_bytes()), None, "{text}");
        }
    }
}
