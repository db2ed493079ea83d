//! The environment file for a first plan: its targets, with addresses and secrets from environment variables.
use super::{
    openapi::Scheme,
    words::{literal, sentence, variable},
    yaml::{WIDTH, Yaml, map, text},
};
use crate::import::yaml::{comment, quoted};
use std::fmt::Write as _;

/// One environment.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `local`, `staging` …
    pub name: String,
    /// One sentence for the report.
    pub about: String,
    /// The id of the plan: names of environment variables begin with it.
    pub id: String,
    pub target: Target,
    pub login: Option<Login>,
    /// Whether the variables of `login` are set; otherwise it is a comment.
    pub has_login: bool,
    /// Refuses what cannot be undone. Meant for a service that others use: see [`is_local`].
    pub is_protected: bool,
}

/// What plans talk to.
#[derive(Clone, Debug)]
pub enum Target {
    Http {
        url: String,
    },
    Kubernetes {
        context: Option<String>,
        namespace: String,
    },
    /// The address is read from a variable: it usually contains a password. `file` is that of SQLite.
    Database {
        file: Option<String>,
    },
}

/// How a target logs in.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// The name of the scheme in the OpenAPI document.
    pub scheme: String,
    /// Names of secrets, each with the environment variable that it is read from.
    pub secrets: Vec<(String, String)>,
    entries: Vec<(String, Yaml)>,
}

/// How to log in by a scheme; `None` if a target cannot.
pub fn login(id: &str, name: &str, scheme: &Scheme) -> Option<Login> {
    let one = |secret: &str, entry: (&str, Yaml)| {
        let secrets = vec![(secret.to_string(), variable(id, secret))];
        Some(Login { scheme: name.into(), secrets, entries: vec![(entry.0.to_string(), entry.1)] })
    };
    let pair = |key: &str| {
        let secrets = ["user", "password"].map(|s| (s.to_string(), variable(id, s))).to_vec();
        let entry =
            map([("user", Yaml::Template("${user}".into())), ("password", Yaml::Template("${password}".into()))]);
        Some(Login { scheme: name.into(), secrets, entries: vec![(key.into(), entry)] })
    };
    let header = |name: &str, value: &str| {
        ("headers", Yaml::Map(vec![(super::yaml::escaped(name), Yaml::Template(value.into()))]))
    };
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    match scheme {
        Scheme::Bearer => one("token", ("bearer", Yaml::Template("${token}".into()))),
        Scheme::Basic => pair("basic"),
        Scheme::Digest => pair("digest"),
        Scheme::Header(key) if is_token(key) => one("api_key", header(key, "${api_key}")),
        Scheme::Cookie(key) if is_token(key) => one("session", header("Cookie", &format!("{key}=${{session}}"))),
        Scheme::ClientCredentials { token_url, scopes } if token_url.starts_with("http") => {
            let mut entry = vec![
                ("token_url".to_string(), text(token_url)),
                ("client_id".to_string(), Yaml::Template("${client_id}".into())),
                ("client_secret".to_string(), Yaml::Template("${client_secret}".into())),
            ];
            if !scopes.is_empty() {
                entry.push(("scope".into(), Yaml::List(scopes.iter().map(text).collect())));
            }
            let secrets = ["client_id", "client_secret"].map(|s| (s.to_string(), variable(id, s))).to_vec();
            Some(Login { scheme: name.into(), secrets, entries: vec![("oauth2".into(), Yaml::Map(entry))] })
        }
        _ => None,
    }
}

/// Whether an address is on this machine.
pub fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = if host.starts_with('[') {
        host.split(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    matches!(host, "localhost" | "[::1") || host.starts_with("127.") || host.ends_with(".localhost")
}

impl Environment {
    /// The variable that replaces the address.
    pub fn address_variable(&self) -> Option<String> {
        match self.target {
            Target::Http { .. } => Some(variable(&self.id, "url")),
            Target::Database { .. } => Some(variable(&self.id, "database_url")),
            Target::Kubernetes { .. } => None,
        }
    }

    /// The variables of its secrets.
    pub fn secret_variables(&self) -> Vec<&str> {
        let database = matches!(self.target, Target::Database { file: None });
        let login = self.login.iter().filter(|_| self.has_login && !database).flat_map(|l| &l.secrets);
        login.map(|(_, variable)| variable.as_str()).collect()
    }
}

/// The whole file, with comments on the next edits.
pub fn file(environment: &Environment, plan: &str) -> String {
    let mut out = String::new();
    for line in [
        "Where plans run. Plans contain no address and no secret: both are here, or in environment variables.",
        "",
        &format!("  tp-runner doctor {plan}        # tests the connection"),
        &format!("  tp-runner run {plan}"),
    ] {
        if line.is_empty() { out.push_str("#\n") } else { comment(&mut out, 0, line) }
    }
    let _ = writeln!(out, "default: {}", quoted(&environment.name));
    out.push_str("environments:\n");
    out.push_str(&entry(environment));
    out.push_str(&second(environment));
    out
}

/// The entry under `environments`, for a file that exists.
pub fn entry(environment: &Environment) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "  {}:", quoted(&environment.name));
    let about = sentence(&environment.about);
    if !about.is_empty() {
        let _ = writeln!(out, "    about: {}", Yaml::Text(about).inline());
    }
    if environment.is_protected {
        out.push_str("    protected: true                 # others use it: refuse what cannot be undone\n");
    }
    let login = environment.login.as_ref();
    if let Some(login) = login {
        let secrets =
            login.secrets.iter().map(|(name, variable)| (name.clone(), Yaml::Template(format!("${{env.{variable}}}"))));
        let mut lines = String::from("secrets:                          # masked in all output\n");
        secrets.for_each(|(name, value)| value.write_entry(&mut lines, 2, &name));
        if !environment.has_login {
            let names: Vec<&str> = login.secrets.iter().map(|(_, v)| v.as_str()).collect();
            comment(
                &mut out,
                4,
                &format!("To log in, set {} and uncomment these lines, and those below `api`.", names.join(" and ")),
            );
        }
        indented(&mut out, 4, &lines, !environment.has_login);
    }
    out.push_str("    targets:\n");
    target(&mut out, environment);
    out
}

fn target(out: &mut String, environment: &Environment) {
    match &environment.target {
        Target::Http { url } => {
            let variable = variable(&environment.id, "url");
            let _ = writeln!(
                out,
                "      api:                            # an action without `target` uses the first of its kind"
            );
            let _ = writeln!(out, "        http: {}", with_default(&variable, url).inline());
            if let Some(login) = &environment.login {
                let mut lines = String::new();
                login.entries.iter().for_each(|(key, value)| value.write_entry(&mut lines, 0, key));
                indented(out, 8, &lines, !environment.has_login);
            }
        }
        Target::Kubernetes { context, namespace } => {
            let mut entries = vec![];
            entries.extend(context.as_ref().map(|context| ("context".to_string(), text(context))));
            entries.push(("namespace".to_string(), text(namespace)));
            map([("k8s", Yaml::Map(entries))]).write_entry(out, 6, "cluster");
        }
        Target::Database { file } => {
            let variable = variable(&environment.id, "database_url");
            let value = match file {
                Some(file) => with_default(&variable, file),
                None => Yaml::Template(format!("${{env.{variable}}}")),
            };
            map([("db", value)]).write_entry(out, 6, "database");
        }
    }
}

/// The value of a variable, or a default if it is not set or empty.
fn with_default(variable: &str, default: &str) -> Yaml {
    Yaml::Template(format!("${{has(env.{variable}) && env.{variable} != '' ? env.{variable} : {}}}", literal(default)))
}

/// A second environment, as a comment.
fn second(environment: &Environment) -> String {
    let lines = match &environment.target {
        Target::Http { .. } => {
            "staging:\n  extends: NAME                   # what is not written here is the same\n  targets:\n    api: { http: \"https://staging.example\" }\n"
        }
        Target::Kubernetes { .. } => {
            "staging:\n  targets:\n    cluster: { k8s: { context: \"staging\", namespace: \"default\" } }\n"
        }
        Target::Database { .. } => "staging:\n  targets:\n    database: { db: \"${env.STAGING_DATABASE_URL}\" }\n",
    };
    let lines = lines.replace("NAME", &quoted(&environment.name));
    let name = if environment.name == "staging" { "production" } else { "staging" };
    let lines = lines.replacen("staging:", &format!("{name}:"), 1);
    let mut out = String::new();
    comment(&mut out, 2, &format!("A second environment, for `tp-runner run --env {name}`:"));
    indented(&mut out, 2, &lines, true);
    out
}

fn indented(out: &mut String, indent: usize, lines: &str, is_comment: bool) {
    for line in lines.lines() {
        let mark = if is_comment { "# " } else { "" };
        debug_assert!(line.len() < 100 * WIDTH);
        let _ = writeln!(out, "{:indent$}{mark}{line}", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(url: &str) -> Environment {
        Environment {
            name: "local".into(),
            about: "Pets".into(),
            id: "PETS".into(),
            target: Target::Http { url: url.into() },
            login: login("PETS", "auth", &Scheme::Bearer),
            has_login: true,
            is_protected: false,
        }
    }

    #[test]
    fn addresses_and_secrets_come_from_variables() {
        let text = file(&http("http://localhost:8080"), "plans/PETS.yaml");
        for part in [
            "default: local\n",
            r#"http: "${has(env.PETS_URL) && env.PETS_URL != '' ? env.PETS_URL : 'http://localhost:8080'}""#,
            r#"token: "${env.PETS_TOKEN}""#,
            r#"        bearer: "${token}""#,
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let _: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let mut unset = http("http://localhost:8080");
        unset.has_login = false;
        let text = file(&unset, "p");
        assert!(text.contains(r#"        # bearer: "${token}""#) && text.contains("    # secrets:"), "{text}");
        assert!(unset.secret_variables().is_empty());
    }

    #[test]
    fn every_kind_of_login_that_a_target_knows() {
        let of = |scheme: Scheme| login("P", "s", &scheme).map(|l| Yaml::Map(l.entries).inline()).unwrap_or_default();
        assert_eq!(of(Scheme::Basic), r#"{ basic: { user: "${user}", password: "${password}" } }"#);
        assert_eq!(of(Scheme::Header("X-Key".into())), r#"{ headers: { X-Key: "${api_key}" } }"#);
        assert_eq!(of(Scheme::Cookie("sid".into())), r#"{ headers: { Cookie: "sid=${session}" } }"#);
        assert!(
            of(Scheme::ClientCredentials { token_url: "https://id.example/t".into(), scopes: vec!["a".into()] })
                .contains("client_secret")
        );
        for none in
            [Scheme::Query("k".into()), Scheme::Certificate, Scheme::Other("x".into()), Scheme::Header("a b".into())]
        {
            assert_eq!(of(none), "");
        }
    }

    #[test]
    fn local_addresses() {
        for (url, expected) in [
            ("http://localhost:1", true),
            ("http://127.0.0.1/x", true),
            ("http://[::1]:80", true),
            ("https://user@localhost.example", false),
            ("https://petstore.example", false),
        ] {
            assert_eq!(is_local(url), expected, "{url}");
        }
    }
}
