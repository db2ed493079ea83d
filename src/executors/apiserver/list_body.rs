//! Reads a list item by item, so that it is in memory once, and a list that is too long up to there. Pure.
use crate::value::Value;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use std::fmt;

/// An object of JSON, with its `items` apart if they are a list.
#[derive(Debug)]
pub struct ListBody {
    pub json: Json,
    pub items: Option<Vec<Value>>,
    /// Whether items are missing.
    pub is_cut: bool,
}

/// Reads an object, or with `is_beginning` a list of which the end is missing. Keeps the items that take up to `max_bytes` in memory.
/// `None` if it is neither.
pub fn read_list(text: &[u8], is_beginning: bool, max_bytes: usize) -> Option<ListBody> {
    let mut list = Fields { json: Map::new(), items: Items { all: None, left: max_bytes, is_full: false } };
    let end = list.deserialize(&mut serde_json::Deserializer::from_slice(text));
    let Fields { json, items } = list;
    let is_cut = match end {
        Ok(()) => is_beginning,
        Err(e) if items.is_full || is_beginning && e.is_eof() => true,
        Err(_) => return None,
    };
    let is_list = json.get("kind").and_then(Json::as_str).is_some_and(|kind| kind.ends_with("List"));
    if is_cut && (!is_list || items.all.is_none()) {
        return None;
    }
    Some(ListBody { json: Json::Object(json), items: items.all, is_cut })
}

/// The fields before an error.
struct Fields {
    json: Map<String, Json>,
    items: Items,
}

/// The items before an error.
struct Items {
    all: Option<Vec<Value>>,
    left: usize,
    is_full: bool,
}

impl<'de> DeserializeSeed<'de> for &mut Fields {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Fields {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        while let Some(key) = from.next_key::<String>()? {
            if key == "items" {
                self.json.insert(key, Json::Null);
                from.next_value_seed(&mut self.items)?;
            } else {
                let value = from.next_value()?;
                self.json.insert(key, value);
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Items {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Items {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    /// How Go writes a list that was never filled.
    fn visit_unit<E>(self) -> Result<(), E> {
        self.all = Some(vec![]);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let items = self.all.insert(vec![]);
        while let Some(item) = from.next_element::<Json>()? {
            let item = Value::from(item);
            match self.left.checked_sub(item.memory()) {
                Some(left) => self.left = left,
                None => {
                    self.is_full = true;
                    return Err(A::Error::custom("too many items"));
                }
            }
            items.push(item);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        r#"{"kind":"ThingList","metadata":{"continue":"x"},"items":[{"a":"ü"},{"b":[1,2]},{"c":{}}],"end":1}"#;

    fn count(text: &[u8], is_beginning: bool, max_bytes: usize) -> Option<(usize, bool)> {
        read_list(text, is_beginning, max_bytes).map(|list| (list.items.map_or(0, |items| items.len()), list.is_cut))
    }

    #[test]
    fn the_complete_items_of_each_beginning_are_kept() {
        let (first, all) = (TEXT.find(":[").unwrap() + 2, TEXT.find("],\"end").unwrap());
        let items = [r#"{"a":"ü"}"#, r#",{"b":[1,2]}"#, r#",{"c":{}}"#].map(str::len);
        for end in 0..TEXT.len() {
            let found = count(&TEXT.as_bytes()[..end], true, usize::MAX);
            let complete = (0..=3).rev().find(|n| end >= first + items[..*n].iter().sum::<usize>());
            let expected = complete.map(|n| if end >= all { 3 } else { n });
            assert_eq!(found, expected.map(|n| (n, true)), "{}", String::from_utf8_lossy(&TEXT.as_bytes()[..end]));
        }
        assert_eq!(count(TEXT.as_bytes(), false, usize::MAX), Some((3, false)));
    }

    #[test]
    fn a_list_that_takes_too_much_memory_is_cut() {
        assert_eq!(count(TEXT.as_bytes(), false, 400), Some((1, true)));
        assert_eq!(count(TEXT.as_bytes(), false, 0), Some((0, true)));
    }

    #[test]
    fn other_texts_are_no_list() {
        for text in
            ["", "[1, 2", r#"{"kind":"Thing","items":[1"#, r#"{"items":[1"#, r#"{"kind":"ThingList","items":[1}"#]
        {
            assert_eq!(count(text.as_bytes(), true, usize::MAX), None, "{text}");
        }
        let list = read_list(br#"{"kind":"Thing","spec":{}}"#, false, usize::MAX).unwrap();
        assert!(list.items.is_none() && list.json["kind"] == "Thing");
        assert!(read_list(br#"{"kind":"ThingList","items":null}"#, false, usize::MAX).unwrap().items.is_some());
    }
}
