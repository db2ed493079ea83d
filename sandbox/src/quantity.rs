//! What a session may ask of a machine: Kubernetes quantities and the platform's bounds on them. Pure.

/// In thousandths, so that `100m` and `128Mi` are both whole.
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

struct Bounds {
    what: &'static str,
    least: &'static str,
    most: &'static str,
}

const CPU: Bounds = Bounds { what: "cpu", least: "100m", most: "64" };
const MEMORY: Bounds = Bounds { what: "memory", least: "128Mi", most: "512Gi" };

impl Bounds {
    fn read(&self, text: &str) -> Result<i128, String> {
        let (what, shown, example) = (self.what, shown(text), self.least);
        parse(text).ok_or_else(|| format!("Invalid {what} {shown:?}: not a quantity like {example}"))
    }

    fn check(&self, text: &str) -> Result<(), String> {
        let (what, shown) = (self.what, shown(text));
        let value = self.read(text)?;
        if Some(value) < parse(self.least) {
            return Err(format!("Invalid {what} {shown:?}: the minimum is {}", self.least));
        }
        if Some(value) > parse(self.most) {
            return Err(format!("Invalid {what} {shown:?}: the maximum is {}", self.most));
        }
        Ok(())
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Says what is wrong with the one that is wrong, and does not name the other.
pub fn check(cpu: &str, memory: &str) -> Result<(), String> {
    all([CPU.check(cpu), MEMORY.check(memory)])
}

/// Whether they are quantities at all, whatever the bounds.
pub fn check_form(cpu: &str, memory: &str) -> Result<(), String> {
    all([CPU.read(cpu).map(drop), MEMORY.read(memory).map(drop)])
}

fn all(checked: [Result<(), String>; 2]) -> Result<(), String> {
    let wrong: Vec<_> = checked.into_iter().filter_map(Result::err).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_those_of_kubernetes() {
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
    fn bounds_are_included() {
        for (cpu, memory) in [("100m", "128Mi"), ("64", "512Gi"), ("64000m", "0.5Ti"), ("2.5", "1G")] {
            assert_eq!(check(cpu, memory), Ok(()));
        }
    }

    #[test]
    fn the_form_alone_knows_no_bounds() {
        assert_eq!(check_form("65000m", "-1Gi"), Ok(()));
        assert_eq!(check_form("abc", "128Mi"), check("abc", "128Mi"));
    }

    #[test]
    fn only_the_wrong_one_is_named() {
        for cpu in ["abc", "-100m", "99m", "65000m", "0"] {
            let said = check(cpu, "128Mi").unwrap_err();
            assert!(said.contains("cpu") && !said.contains("memory"), "{said}");
        }
        for memory in ["lots", "127Mi", "600Gi"] {
            let said = check("100m", memory).unwrap_err();
            assert!(said.contains("memory") && !said.contains("cpu"), "{said}");
        }
        let both = check("x", "y").unwrap_err();
        assert!(both.contains("cpu") && both.contains("memory"));
    }
}
