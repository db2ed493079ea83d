//! Rules for names, label keys and label values: those of `apimachinery/pkg/api/validation`. Pure.

/// The rule that an object's name follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    Subdomain,
    Label,
    /// A DNS label that begins with a letter (services).
    Label1035,
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Why `name` breaks the rule.
pub(super) fn name_error(naming: Naming, name: &str) -> Option<&'static str> {
    let label = |part: &str| {
        let inner = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        inner && !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
    };
    match naming {
        Naming::Subdomain if name.len() > 253 => Some("must be no more than 253 characters"),
        Naming::Subdomain => (!name.split('.').all(label)).then_some(SUBDOMAIN),
        Naming::Label | Naming::Label1035 if name.len() > 63 => Some("must be no more than 63 bytes"),
        Naming::Label if name.contains('.') => Some("must not contain dots"),
        Naming::Label => (!label(name)).then_some(LABEL),
        Naming::Label1035 => {
            (!label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase())).then_some(LABEL_1035)
        }
    }
}

fn is_qualified_part(part: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = part.as_bytes();
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// Why `key` is not a valid label key; empty if it is.
pub(super) fn qualified_name_errors(key: &str) -> Vec<String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    let mut errors = Vec::new();
    if prefix == Some("") {
        errors.push("prefix part must be non-empty".to_owned());
    } else if let Some(why) = prefix.and_then(|prefix| name_error(Naming::Subdomain, prefix)) {
        errors.push(format!("prefix part {why}"));
    }
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_qualified_part(name) {
        errors.push(QUALIFIED.to_owned());
    }
    errors
}

/// Why `value` is not a valid label value.
pub(super) fn label_value_error(value: &str) -> Option<&'static str> {
    if value.len() > 63 {
        return Some("must be no more than 63 bytes");
    }
    (!value.is_empty() && !is_qualified_part(value)).then_some(LABEL_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_lower_case_dns_names() {
        for good in ["a", "a-b", "a.b", "0", &"x".repeat(253)] {
            assert_eq!(name_error(Naming::Subdomain, good), None, "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "ä", &"x".repeat(254)] {
            assert!(name_error(Naming::Subdomain, bad).is_some(), "{bad}");
        }
        assert!(name_error(Naming::Label, "a.b").is_some());
        assert!(name_error(Naming::Label1035, "0a").is_some());
    }
}
