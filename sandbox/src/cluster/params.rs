//! Query parameters of a request.
use super::{cause::Cause, status::Refusal};
use axum::{extract::Query, http::Uri};

pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub fn read(uri: &Uri) -> Result<Self, Refusal> {
        let query = Query::try_from_uri(uri);
        query.map(|Query(pairs)| Self(pairs)).map_err(|e| Refusal::bad_request(format!("bad query: {e}")))
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(k, _)| k == name).map_or("", |(_, v)| v)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(k, _)| k == name)
    }

    pub fn flag(&self, name: &str) -> bool {
        match self.get(name).to_ascii_lowercase().as_str() {
            // a parameter without a value is true: `?watch`
            "" => self.has(name),
            "0" | "false" => false,
            _ => true,
        }
    }

    /// A number; `None` if it is missing or negative.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.get(name) {
            "" => Ok(None),
            text => {
                let bad = |_| Refusal::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
                text.parse::<i64>().map(|n| u64::try_from(n).ok()).map_err(bad)
            }
        }
    }

    pub fn dry_run(&self) -> Result<bool, Refusal> {
        let given = self.0.iter().filter(|(k, _)| k == "dryRun").map(|(_, v)| v.as_str());
        dry_run("CreateOptions", given)
    }
}

pub(super) fn dry_run<'a>(options: &str, given: impl Iterator<Item = &'a str>) -> Result<bool, Refusal> {
    let mut dry = false;
    for value in given {
        if value != "All" {
            let cause = Cause::unsupported("dryRun", &format!("[{value:?}]"), &["All"]);
            return Err(Refusal::invalid_options(options, vec![cause]));
        }
        dry = true;
    }
    Ok(dry)
}

/// How unknown fields are handled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Strictness {
    Ignore,
    Warn,
    Strict,
}
