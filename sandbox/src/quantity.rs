//! Session resources: parses Kubernetes quantities and checks the platform's limits. Pure.

/// The value in thousandths, so that `100m` and `128Mi` are integers.
fn parse(text: &str) -> Option<i128> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-' || c == '+')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let scale: i128 = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1000_i128.pow(2),
        "G" => 1000 * 1000_i128.pow(3),
        "T" => 1000 * 1000_i128.pow(4),
        "Ki" => 1000 * 1024,
        "Mi" => 1000 * 1024_i128.pow(2),
        "Gi" => 1000 * 1024_i128.pow(3),
        "Ti" => 1000 * 1024_i128.pow(4),
        _ => return None,
    };
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !plain(whole) || !plain(part) {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let tenths = 10_i128.pow(u32::try_from(part.len()).ok()?);
    let part: i128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let value = whole * scale + part * scale / tenths;
    Some(if negative { -value } else { value })
}

/// Why one resource is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    #[error("Invalid {resource} {given:?}: not a quantity like {example}")]
    Malformed { resource: &'static str, given: String, example: &'static str },
    #[error("Invalid {resource} {given:?}: the minimum is {limit}")]
    BelowMinimum { resource: &'static str, given: String, limit: &'static str },
    #[error("Invalid {resource} {given:?}: the maximum is {limit}")]
    AboveMaximum { resource: &'static str, given: String, limit: &'static str },
}

/// The invalid resources of a request, at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidResources(pub Vec<InvalidQuantity>);

struct Limits {
    resource: &'static str,
    min: &'static str,
    max: &'static str,
}

const CPU: Limits = Limits { resource: "cpu", min: "100m", max: "64" };
const MEMORY: Limits = Limits { resource: "memory", min: "128Mi", max: "512Gi" };

impl Limits {
    fn parse(&self, text: &str) -> Result<i128, InvalidQuantity> {
        let malformed =
            || InvalidQuantity::Malformed { resource: self.resource, given: truncated(text), example: self.min };
        parse(text).ok_or_else(malformed)
    }

    fn check(&self, text: &str) -> Result<(), InvalidQuantity> {
        let (resource, value) = (self.resource, self.parse(text)?);
        if Some(value) < parse(self.min) {
            return Err(InvalidQuantity::BelowMinimum { resource, given: truncated(text), limit: self.min });
        }
        if Some(value) > parse(self.max) {
            return Err(InvalidQuantity::AboveMaximum { resource, given: truncated(text), limit: self.max });
        }
        Ok(())
    }
}

fn truncated(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Checks form and limits; the error names only the invalid resources.
pub fn check(cpu: &str, memory: &str) -> Result<(), InvalidResources> {
    both([CPU.check(cpu), MEMORY.check(memory)])
}

/// Checks the form only.
pub fn check_form(cpu: &str, memory: &str) -> Result<(), InvalidResources> {
    both([CPU.parse(cpu).map(drop), MEMORY.parse(memory).map(drop)])
}

fn both(results: [Result<(), InvalidQuantity>; 2]) -> Result<(), InvalidResources> {
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    if errors.is_empty() { Ok(()) } else { Err(InvalidResources(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_kubernetes_quantities() {
        assert_eq!(parse("100m"), Some(100));
        assert_eq!(parse("0.5"), Some(500));
        assert_eq!(parse("1k"), Some(1_000_000));
        assert_eq!(parse("1Ki"), Some(1_024_000));
        assert_eq!(parse("-2"), Some(-2000));
        for wrong in ["", "m", "abc", "1 Gi", "1gi", "1.2.3", "--1", "1e", "٣", "99999999999999999999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn limits_are_inclusive() {
        for (cpu, memory) in [("100m", "128Mi"), ("64", "512Gi"), ("64000m", "0.5Ti"), ("2.5", "1G")] {
            assert_eq!(check(cpu, memory), Ok(()));
        }
    }

    #[test]
    fn check_form_ignores_the_limits() {
        assert_eq!(check_form("65000m", "-1Gi"), Ok(()));
        assert_eq!(check_form("abc", "128Mi"), check("abc", "128Mi"));
    }

    #[test]
    fn names_only_the_invalid_resource() {
        for cpu in ["abc", "-100m", "99m", "65000m", "0"] {
            let message = check(cpu, "128Mi").unwrap_err().to_string();
            assert!(message.contains("cpu") && !message.contains("memory"), "{message}");
        }
        for memory in ["lots", "127Mi", "600Gi"] {
            let message = check("100m", memory).unwrap_err().to_string();
            assert!(message.contains("memory") && !message.contains("cpu"), "{message}");
        }
        let both = check("x", "y").unwrap_err().to_string();
        assert!(both.contains("cpu") && both.contains("memory"));
    }
}
