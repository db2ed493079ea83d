//! Parses the address of a database: a URL, or the path of an SQLite file. Connects to nothing.
use percent_encoding::percent_decode_str;
use reqwest::Url;
use sqlx::error::BoxDynError;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub enum Address {
    Postgres(NetworkAddress),
    Mysql(NetworkAddress),
    /// `parameters` is the part after `?`.
    Sqlite {
        path: String,
        parameters: String,
    },
}

/// The address of a server that is reached over the network.
#[derive(Debug)]
pub struct NetworkAddress {
    /// The URL as it was written.
    pub url: String,
    /// Paths from the URL's options, relative to the root folder of the plan.
    pub ca: Option<String>,
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub password: Option<String>,
}

/// An invalid address, and how to fix it.
#[derive(Debug, thiserror::Error)]
#[error("{message}; {help}")]
pub struct AddressError {
    pub code: &'static str,
    pub message: String,
    pub help: String,
    /// An unknown option and the options that are supported.
    pub unknown_option: Option<(String, &'static [&'static str])>,
}

fn error(code: &'static str, message: String, help: &str) -> AddressError {
    AddressError { code, message, help: help.into(), unknown_option: None }
}

const SCHEMES_HELP: &str =
    "write `postgres://user:password@host:5432/name`, `mysql://…`, `mariadb://…`, `sqlite:///path` or a path";

const POSTGRES_OPTIONS: &[&str] = &[
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
const MYSQL_OPTIONS: &[&str] = &[
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
const SQLITE_OPTIONS: &[&str] = &["mode", "cache", "immutable", "vfs"];

impl Address {
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => {
                Ok(Address::Postgres(NetworkAddress::parse(text, POSTGRES_OPTIONS, "sslmode")?))
            }
            Some(("mysql" | "mariadb", _)) => {
                Ok(Address::Mysql(NetworkAddress::parse(text, MYSQL_OPTIONS, "ssl-mode")?))
            }
            Some(("sqlite", rest)) => {
                let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
                for name in parameters.split('&').filter_map(|p| p.split('=').next()).filter(|n| !n.is_empty()) {
                    check_option(name, SQLITE_OPTIONS)?;
                }
                Ok(Address::Sqlite { path: path.into(), parameters: parameters.into() })
            }
            Some((scheme, _)) => {
                Err(error("unknown-scheme", format!("unknown database scheme `{scheme}:`"), SCHEMES_HELP))
            }
            None => Ok(Address::Sqlite { path: text.into(), parameters: String::new() }),
        }
    }
}

impl NetworkAddress {
    fn parse(text: &str, options: &'static [&'static str], mode_option: &str) -> Result<NetworkAddress, AddressError> {
        let invalid = |message: String, help: &str| error("invalid-url", message, help);
        let url = Url::parse(text).map_err(|e| invalid(format!("invalid URL: {e}"), SCHEMES_HELP))?;
        let mut address = NetworkAddress {
            url: text.into(),
            ca: None,
            certificate: None,
            key: None,
            password: url.password().map(|p| percent_decode_str(p).decode_utf8_lossy().into_owned()),
        };
        let mut mode = None;
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            // `sslmode` and `ssl-mode`: the clients of the two servers differ, both spellings are accepted.
            match &*name.replacen("ssl-", "ssl", 1) {
                "sslmode" => mode = Some(value),
                "sslrootcert" | "sslca" => address.ca = Some(value),
                "sslcert" => address.certificate = Some(value),
                "sslkey" => address.key = Some(value),
                "password" => address.password = Some(value),
                bracketed if bracketed.starts_with("options[") && options.contains(&"options") => {}
                _ => check_option(&name, options)?,
            }
        }
        let verifies = mode.as_deref().is_some_and(|m| m.to_lowercase().starts_with("verify"));
        if address.ca.is_some() && !verifies {
            let mode = mode.map_or(format!("without `{mode_option}`"), |m| format!("with `{mode_option}={m}`"));
            let full = if mode_option == "sslmode" { "sslmode=verify-full" } else { "ssl-mode=VERIFY_IDENTITY" };
            return Err(invalid(
                format!("{mode} the server's certificate is not verified, so the CA has no effect"),
                &format!("write `{full}`, or remove the CA"),
            ));
        }
        if address.certificate.is_some() != address.key.is_some() {
            return Err(invalid("a client certificate and its key go together".into(), "set both, or neither"));
        }
        Ok(address)
    }
}

fn check_option(name: &str, options: &'static [&'static str]) -> Result<(), AddressError> {
    if options.contains(&name) {
        return Ok(());
    }
    let supported: Vec<String> = options.iter().map(|o| format!("`{o}`")).collect();
    let help = format!("supported: {}", supported.join(", "));
    let unknown = error("unknown-option", format!("unknown option `{name}` in the address of a database"), &help);
    Err(AddressError { unknown_option: Some((name.to_string(), options)), ..unknown })
}

/// The path of a file that an option names, relative to `dir`. Checks that the file can be opened.
pub fn option_file(dir: &Path, option: &str, path: &str) -> Result<PathBuf, BoxDynError> {
    let path = dir.join(path);
    match std::fs::File::open(&path) {
        Ok(_) => Ok(path),
        Err(e) => Err(format!("cannot read the file `{}` of `{option}`: {e}", path.display()).into()),
    }
}

/// `postgres://user@host/name`: the URL for reports, without password and without a `password=` parameter.
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
    fn without_password_removes_the_password() {
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
    fn passwords_are_percent_decoded() {
        for (url, password) in [
            ("postgres://ann:p%40s+s@db/x", Some("p@s+s")),
            ("postgres://db/x?user=ann&password=a%20b", Some("a b")),
            ("mysql://ann@db/x", None),
        ] {
            let (Address::Postgres(address) | Address::Mysql(address)) = Address::parse(url).unwrap() else {
                panic!("{url}")
            };
            assert_eq!(address.password.as_deref(), password, "{url}");
        }
    }

    #[test]
    fn refuses_unknown_schemes_options_and_incomplete_tls() {
        for (url, code, expected) in [
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
            let error = Address::parse(url).expect_err(url);
            assert_eq!(error.code, code, "{url}");
            assert!(error.message.contains(expected), "{}", error.message);
        }
        for url in [
            "postgres://db/x?options[search_path]=a&sslmode=verify-ca&ssl-ca=a.pem",
            "mariadb://ann:pw@db/x?ssl-mode=VERIFY_IDENTITY&ssl-ca=ca.pem&charset=utf8mb4",
            "sqlite://a.db?mode=ro",
            "a.db",
        ] {
            Address::parse(url).expect(url);
        }
    }
}
