//! The address of a database as people write it: a URL, or the path of an SQLite file. Pure; connects to nothing.
use reqwest::Url;
use std::borrow::Cow;

#[derive(Debug)]
pub enum Address {
    Postgres(Wire),
    Mysql(Wire),
    /// The path, and the parameters behind `?`.
    Sqlite {
        path: String,
        parameters: String,
    },
}

/// An address that is reached over a wire.
#[derive(Debug)]
pub struct Wire {
    /// As it was written.
    pub url: String,
    /// Paths among its options, which are seen from the environment's folder.
    pub ca: Option<String>,
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub password: Option<String>,
}

/// What is wrong with an address, and what to do.
#[derive(Debug)]
pub struct Wrong {
    pub code: &'static str,
    pub message: String,
    pub help: String,
    /// The option that was written and is not known, and those that are.
    pub meant: Option<(String, &'static [&'static str])>,
}

fn fail(code: &'static str, message: String, help: &str) -> Wrong {
    Wrong { code, message, help: help.into(), meant: None }
}

const SCHEMES: &str =
    "write `postgres://user:password@host:5432/name`, `mysql://…`, `mariadb://…`, `sqlite:///path` or a path";

const POSTGRES: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];
const MYSQL: &[&str] = &[
    "ssl-mode",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "charset",
    "collation",
    "socket",
    "timezone",
    "statement-cache-capacity",
];
const SQLITE: &[&str] = &["mode", "cache", "immutable", "vfs"];

impl Address {
    pub fn read(text: &str) -> Result<Address, Wrong> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Address::Postgres(Wire::read(text, POSTGRES, "sslmode")?)),
            Some(("mysql" | "mariadb", _)) => Ok(Address::Mysql(Wire::read(text, MYSQL, "ssl-mode")?)),
            Some(("sqlite", rest)) => {
                let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
                for name in parameters.split('&').filter_map(|p| p.split('=').next()).filter(|n| !n.is_empty()) {
                    known(name, SQLITE)?;
                }
                Ok(Address::Sqlite { path: path.into(), parameters: parameters.into() })
            }
            Some((scheme, _)) => {
                Err(fail("unknown-scheme", format!("there is no way to a database of `{scheme}:`"), SCHEMES))
            }
            None => Ok(Address::Sqlite { path: text.into(), parameters: String::new() }),
        }
    }
}

impl Wire {
    fn read(text: &str, options: &'static [&'static str], mode_option: &str) -> Result<Wire, Wrong> {
        let bad = |message: String, help: &str| fail("invalid-url", message, help);
        let url = Url::parse(text).map_err(|e| bad(format!("this is no URL: {e}"), SCHEMES))?;
        let mut wire = Wire {
            url: text.into(),
            ca: None,
            certificate: None,
            key: None,
            password: url.password().map(|p| decoded(p).into_owned()),
        };
        let mut mode = None;
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            // Each of the two servers' clients has its own spelling; both are taken.
            match &*name.replacen("ssl-", "ssl", 1) {
                "sslmode" => mode = Some(value),
                "sslrootcert" | "sslca" => wire.ca = Some(value),
                "sslcert" => wire.certificate = Some(value),
                "sslkey" => wire.key = Some(value),
                "password" => wire.password = Some(value),
                bracketed if bracketed.starts_with("options[") && options.contains(&"options") => {}
                _ => known(&name, options)?,
            }
        }
        let compares = mode.as_deref().is_some_and(|m| m.to_lowercase().starts_with("verify"));
        if wire.ca.is_some() && !compares {
            let mode = mode.map_or(format!("without `{mode_option}`"), |m| format!("with `{mode_option}={m}`"));
            let full = if mode_option == "sslmode" { "sslmode=verify-full" } else { "ssl-mode=VERIFY_IDENTITY" };
            return Err(bad(
                format!("{mode} the server's certificate is compared with nothing, and a CA is named all the same"),
                &format!("write `{full}`, or leave the CA out"),
            ));
        }
        if wire.certificate.is_some() != wire.key.is_some() {
            return Err(bad("a client's certificate and its key go together".into(), "name both, or none"));
        }
        Ok(wire)
    }
}

fn known(name: &str, options: &'static [&'static str]) -> Result<(), Wrong> {
    if options.contains(&name) {
        return Ok(());
    }
    let known: Vec<String> = options.iter().map(|o| format!("`{o}`")).collect();
    let help = format!("known here: {}", known.join(", "));
    let wrong = fail("unknown-option", format!("unknown option `{name}` in the address of a database"), &help);
    Err(Wrong { meant: Some((name.to_string(), options)), ..wrong })
}

/// A text with its `%40` as they are meant.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    // A `+` is no space in the part of a URL that names a user.
    let pair = format!("x={}", text.replace('+', "%2B"));
    Url::parse(&format!("x:/?{pair}"))
        .ok()
        .and_then(|u| u.query_pairs().next().map(|(_, v)| v.into_owned()))
        .map_or(text.into(), Cow::Owned)
}

/// `postgres://user@host/name`: what stands in reports. Also a `password=` among the parameters is left out.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_string() };
    let (host, query) = rest.split_once('?').map_or((rest, None), |(h, q)| (h, Some(q)));
    let (authority, path) = host.split_once('/').map_or((host, None), |(a, p)| (a, Some(p)));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_string(),
    };
    let query: Vec<&str> =
        query.into_iter().flat_map(|q| q.split('&')).filter(|p| !p.starts_with("password=")).collect();
    let path = path.map(|p| format!("/{p}")).unwrap_or_default();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{scheme}://{authority}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_shows() {
        for (url, expected) in [
            ("postgres://ann:s3cret@db:5432/x", "postgres://ann@db:5432/x"),
            ("postgres://ann:p@ss@db/x?sslmode=require", "postgres://ann@db/x?sslmode=require"),
            ("postgres://db/x?user=ann&password=s3cret", "postgres://db/x?user=ann"),
            ("mysql://ann:s3cret@db/x", "mysql://ann@db/x"),
            ("sqlite:///tmp/a.db?mode=ro", "sqlite:///tmp/a.db?mode=ro"),
            ("a.db", "a.db"),
        ] {
            assert_eq!(without_password(url), expected);
        }
    }

    #[test]
    fn passwords_are_known_as_they_are_meant() {
        for (url, password) in [
            ("postgres://ann:p%40s+s@db/x", Some("p@s+s")),
            ("postgres://db/x?user=ann&password=a%20b", Some("a b")),
            ("mysql://ann@db/x", None),
        ] {
            let (Address::Postgres(wire) | Address::Mysql(wire)) = Address::read(url).unwrap() else { panic!("{url}") };
            assert_eq!(wire.password.as_deref(), password, "{url}");
        }
    }

    #[test]
    fn what_is_not_known_is_said_and_not_passed_over() {
        for (url, code, said) in [
            ("oracle://db/x", "unknown-scheme", "`oracle:`"),
            ("postgres://db/x?sslmod=require", "unknown-option", "`sslmod`"),
            ("postgres://db/x?charset=utf8", "unknown-option", "`charset`"),
            ("mysql://db/x?tls=true", "unknown-option", "`tls`"),
            ("sqlite://a.db?made=ro", "unknown-option", "`made`"),
            ("mysql://db:port/x", "invalid-url", "invalid port"),
            ("postgres://db/x?sslrootcert=ca.pem", "invalid-url", "without `sslmode`"),
            ("mysql://db/x?ssl-mode=REQUIRED&ssl-ca=ca.pem", "invalid-url", "with `ssl-mode=REQUIRED`"),
            ("postgres://db/x?sslcert=a.pem", "invalid-url", "go together"),
        ] {
            let wrong = Address::read(url).expect_err(url);
            assert_eq!(wrong.code, code, "{url}");
            assert!(wrong.message.contains(said), "{}", wrong.message);
        }
        for url in [
            "postgres://db/x?options[search_path]=a&sslmode=verify-ca&ssl-ca=a.pem",
            "mariadb://ann:pw@db/x?ssl-mode=VERIFY_IDENTITY&ssl-ca=ca.pem&charset=utf8mb4",
            "sqlite://a.db?mode=ro",
            "a.db",
        ] {
            Address::read(url).expect(url);
        }
    }
}
