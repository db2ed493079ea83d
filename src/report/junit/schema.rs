//! Validates a JUnit file against `tests/fixtures/reports/junit.xsd`: reads the elements, attributes and content models that the schema
//! declares, and compares each element of the file with them.
use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesStart, Event},
};
use regex::Regex;
use std::collections::BTreeMap;

const SCHEMA: &str = include_str!("../../../tests/fixtures/reports/junit.xsd");

#[derive(Clone, Debug, Default)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    /// All elements of this name, in the order of the file.
    pub fn all(&self, name: &str) -> Vec<&Element> {
        let own = (self.name == name).then_some(self);
        own.into_iter().chain(self.children.iter().flat_map(|c| c.all(name))).collect()
    }

    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }
}

/// Parses a document, and checks its characters.
pub fn parse(text: &str) -> Result<Element, String> {
    let is_allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') || c > '\u{ffff}';
    if let Some(c) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(format!("XML forbids {c:?}"));
    }
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    let error = |e: &dyn std::fmt::Display| e.to_string();
    loop {
        match reader.read_event().map_err(|e| error(&e))? {
            Event::Start(start) => open.push(element(&start)?),
            Event::Empty(start) => {
                let child = element(&start)?;
                open.last_mut().ok_or("no parent")?.children.push(child);
            }
            Event::End(_) => {
                let child = open.pop().ok_or("no element")?;
                open.last_mut().ok_or("no parent")?.children.push(child);
            }
            Event::Text(text) => open.last_mut().ok_or("no parent")?.text += &text.decode().map_err(|e| error(&e))?,
            Event::GeneralRef(name) => {
                let c = name.resolve_char_ref().map_err(|e| error(&e))?.map(String::from);
                let known = resolve_xml_entity(&name.decode().map_err(|e| error(&e))?).map(str::to_owned);
                open.last_mut().ok_or("no parent")?.text += &c.or(known).ok_or("unknown entity")?;
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match open.as_slice() {
        [Element { children, .. }] if children.len() == 1 => Ok(children[0].clone()),
        _ => Err("expected one root element".into()),
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
    let mut attributes = BTreeMap::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| e.to_string())?.into_owned();
        attributes.insert(String::from_utf8_lossy(attribute.key.as_ref()).into_owned(), value);
    }
    Ok(Element { name, attributes, ..Element::default() })
}

/// What the schema says about an element.
struct Rule {
    /// Type and whether it is required, by name.
    attributes: BTreeMap<String, (String, bool)>,
    children: Vec<String>,
    has_text: bool,
}

/// Compares a document with the schema.
pub fn validate(document: &Element) -> Result<(), String> {
    let schema = parse(SCHEMA)?;
    let get = |e: &Element, name: &str| e.attributes.get(name).cloned().unwrap_or_default();
    let patterns: BTreeMap<String, Regex> = schema
        .all("xs:simpleType")
        .into_iter()
        .map(|t| {
            let pattern = get(t.all("xs:pattern")[0], "value");
            (get(t, "name"), Regex::new(&format!("^(?:{pattern})$")).unwrap())
        })
        .collect();
    let rule = |e: &Element| Rule {
        attributes: e
            .all("xs:attribute")
            .into_iter()
            .map(|a| (get(a, "name"), (get(a, "type"), get(a, "use") == "required")))
            .collect(),
        children: e.all("xs:element").into_iter().map(|c| get(c, "ref")).filter(|r| !r.is_empty()).collect(),
        has_text: get(e, "type") == "xs:string" || e.all("xs:complexType").iter().any(|t| get(t, "mixed") == "true"),
    };
    let rules: BTreeMap<String, Rule> =
        schema.children.iter().filter(|e| e.name == "xs:element").map(|e| (get(e, "name"), rule(e))).collect();
    check(document, &rules, &patterns)
}

fn check(e: &Element, rules: &BTreeMap<String, Rule>, patterns: &BTreeMap<String, Regex>) -> Result<(), String> {
    let name = &e.name;
    let rule = rules.get(name).ok_or_else(|| format!("unknown element `{name}`"))?;
    for (attribute, value) in &e.attributes {
        let (kind, _) = rule.attributes.get(attribute).ok_or_else(|| format!("`{name}` has no `{attribute}`"))?;
        if patterns.get(kind).is_some_and(|p| !p.is_match(value)) {
            return Err(format!("`{attribute}` of `{name}` is `{value}`, not of type `{kind}`"));
        }
    }
    let is_missing =
        |(attribute, (_, required)): &(&String, &(String, bool))| *required && !e.attributes.contains_key(*attribute);
    if let Some((attribute, _)) = rule.attributes.iter().find(is_missing) {
        return Err(format!("`{name}` lacks `{attribute}`"));
    }
    if !rule.has_text && !e.text.trim().is_empty() {
        return Err(format!("`{name}` contains the text `{}`", e.text));
    }
    for child in &e.children {
        if !rule.children.contains(&child.name) {
            return Err(format!("`{name}` contains `{}`", child.name));
        }
        check(child, rules, patterns)?;
    }
    Ok(())
}

#[test]
fn the_schema_refuses_other_files() {
    for (text, expected) in [
        (
            r#"<testsuites><testsuite name="a" tests="1" failures="0" errors="0"><testcase name="t"/></testsuite></testsuites>"#,
            "",
        ),
        (r#"<testsuites skipped="1"/>"#, "`testsuites` has no `skipped`"),
        (r#"<testsuites time="1,5"/>"#, "`time` of `testsuites` is `1,5`, not of type `seconds`"),
        (r#"<testsuites><testcase name="t"/></testsuites>"#, "`testsuites` contains `testcase`"),
        (r#"<testsuites><testsuite name="a" tests="1" failures="0"/></testsuites>"#, "`testsuite` lacks `errors`"),
        ("<testsuites>text</testsuites>", "`testsuites` contains the text `text`"),
        ("<properties><property name='a' value='b'><x/></property></properties>", "`property` contains `x`"),
        ("<other/>", "unknown element `other`"),
        ("<testsuites>\u{1}</testsuites>", "XML forbids '\\u{1}'"),
        ("<testsuites/><testsuites/>", "expected one root element"),
    ] {
        let result = parse(text).and_then(|document| validate(&document));
        assert_eq!(result.err().unwrap_or_default(), expected, "{text}");
    }
    assert!(parse("<testsuites>").is_err() && parse("<a>&nbsp;</a>").is_err());
}
