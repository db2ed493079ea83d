//! What `init` is asked to write: from the arguments, and from answers on a terminal.
use super::document::Document;
use crate::{
    cli::{args, failure::Failure, print},
    init::{
        environment::{self, Environment, Login, Target, is_local},
        openapi, words,
    },
};
use indexmap::IndexMap;
use std::io::{BufRead, IsTerminal};

/// The kind of system, with its address.
#[derive(Clone, Debug, PartialEq)]
pub enum System {
    Http(String),
    /// Its URL, or the path of a SQLite file.
    Database(String),
    Kubernetes,
    Sandbox,
}

pub struct Answers {
    pub system: System,
    pub id: String,
    pub document: Option<Document>,
    pub values: IndexMap<String, String>,
    environment: String,
    login: Option<Login>,
    has_login: bool,
}

impl Answers {
    pub fn of(args: &args::Init) -> Result<Answers, Failure> {
        let document = args.from.as_deref().map(Document::read).transpose()?;
        let offered = document.as_ref().and_then(|d| d.api.servers.first().cloned());
        let default = offered.filter(|url| url.starts_with("http")).unwrap_or_else(|| "sandbox".into());
        let may_ask = !args.yes && std::io::stdin().is_terminal();
        let system = match &args.system {
            Some(system) => system.clone(),
            None if may_ask => ask("What is tested: a URL, a database, `k8s` or `sandbox`?", &default)?,
            None => default,
        };
        let mut system = system_of(&system)?;
        if let (System::Http(url), Some(document)) = (&system, &document) {
            system = System::Http(openapi::base(url, &document.api.servers));
        }
        if document.is_some() && !matches!(system, System::Http(_)) {
            return Err(Failure::usage(
                "error: `--from` needs the URL of the service\nhelp: tp-runner init URL --from FILE",
            ));
        }
        let title = document.as_ref().map_or_else(|| name_of(&system), |d| d.api.title.clone());
        let id = match &args.id {
            Some(id) => id.clone(),
            None if may_ask => ask("Id of the plan?", &words::plan_id(&title))?,
            None => words::plan_id(&title),
        };
        if id.is_empty() || !id.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) {
            return Err(Failure::usage(format!(
                "error: expected letters, digits, `-`, `_` and `.` in the id, found `{id}`"
            )));
        }
        let mut values = IndexMap::new();
        for set in &args.set {
            let (name, value) = set
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("error: expected `--set NAME=VALUE`, found `--set {set}`")))?;
            values.insert(name.into(), value.into());
        }
        let schemes = document.iter().flat_map(|d| &d.api.schemes);
        let logins: Vec<Login> = schemes.filter_map(|(name, s)| environment::login(&id, name, s)).collect();
        let is_set = |login: &&Login| {
            login.secrets.iter().all(|(_, variable)| std::env::var(variable).is_ok_and(|value| !value.is_empty()))
        };
        let login = logins.iter().find(is_set).or(logins.first()).cloned();
        let has_login = login.as_ref().is_some_and(|login| is_set(&login));
        let local = match &system {
            System::Http(url) | System::Database(url) => !url.contains("://") || is_local(url),
            System::Kubernetes | System::Sandbox => true,
        };
        let default = match system {
            System::Sandbox => "sandbox",
            _ if local => "local",
            _ => "service",
        };
        let environment = args.env.clone().unwrap_or_else(|| default.into());
        Ok(Answers { system, id, document, values, environment, login, has_login })
    }

    pub fn environment_name(&self) -> &str {
        &self.environment
    }

    /// The schemes that the environment logs in with.
    pub fn credentials(&self) -> Vec<String> {
        self.login.iter().filter(|_| self.has_login).map(|l| l.scheme.clone()).collect()
    }

    /// What was tested, for people.
    pub fn shown(&self) -> String {
        match &self.system {
            System::Http(url) => url.clone(),
            System::Database(url) if url.contains("://") => "the database".into(),
            System::Database(file) => file.clone(),
            System::Kubernetes => "the cluster".into(),
            System::Sandbox => "the sandbox".into(),
        }
    }

    /// The environment to write; `None` for the sandbox, which needs no file.
    pub fn environment(&self) -> Option<Environment> {
        let (target, is_local) = match &self.system {
            System::Http(url) => (Target::Http { url: url.clone() }, is_local(url)),
            System::Database(url) if url.contains("://") => (Target::Database { file: None }, is_local(url)),
            System::Database(file) => (Target::Database { file: Some(file.clone()) }, true),
            System::Kubernetes => (Target::Kubernetes { context: None, namespace: "default".into() }, true),
            System::Sandbox => return None,
        };
        let about = self.document.as_ref().map(|d| d.api.title.clone()).unwrap_or_default();
        let (name, id) = (self.environment.clone(), self.id.clone());
        let (login, has_login, is_protected) = (self.login.clone(), self.has_login, !is_local);
        Some(Environment { name, about, id, target, login, has_login, is_protected })
    }
}

fn system_of(text: &str) -> Result<System, Failure> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    Ok(match scheme.as_deref() {
        Some("http" | "https") => System::Http(text.trim_end_matches('/').into()),
        Some("postgres" | "postgresql" | "mysql" | "mariadb" | "sqlite") => System::Database(text.into()),
        Some(other) => {
            let message = format!("error: expected `http`, `https`, `postgres`, `mysql` or `sqlite`, found `{other}`");
            return Err(Failure::usage(message));
        }
        None if text == "k8s" || text == "kubernetes" => System::Kubernetes,
        None if text == "sandbox" && cfg!(feature = "sandbox") => System::Sandbox,
        None if std::path::Path::new(text).is_file() => System::Database(text.into()),
        None => {
            let message = format!("error: expected a URL, a SQLite file, `k8s` or `sandbox`, found `{text}`");
            return Err(Failure::usage(format!("{message}\nhelp: for example `tp-runner init http://localhost:8080`")));
        }
    })
}

/// What a plan is called after a system.
fn name_of(system: &System) -> String {
    match system {
        System::Http(url) => {
            let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            let host = rest.split(['/', ':', '?']).next().unwrap_or_default().trim_start_matches("www.");
            let is_name = host.chars().any(|c| c.is_ascii_alphabetic()) && host != "localhost";
            if is_name { host.to_string() } else { "service".into() }
        }
        System::Database(address) => {
            let rest = address.split(['?', '#']).next().unwrap_or_default();
            let last = rest.rsplit('/').next().unwrap_or_default();
            let stem = last.split('.').next().unwrap_or_default();
            if stem.chars().any(|c| c.is_ascii_alphabetic()) && !stem.contains(':') {
                stem.into()
            } else {
                "database".into()
            }
        }
        System::Kubernetes => "cluster".into(),
        System::Sandbox => "sandbox".into(),
    }
}

fn ask(question: &str, default: &str) -> Result<String, Failure> {
    print::err(format_args!("{question} [{default}] "));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|e| Failure::usage(format!("error: cannot read the answer: {e}")))?;
    Ok(match line.trim() {
        "" => default.into(),
        answer => answer.into(),
    })
}
