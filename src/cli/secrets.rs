//! The names that an environment may read: environment variables, and its secrets from wherever they come. Whatever is secret is
//! known as such before anybody can say it.
use super::{exit, failure::Failure};
use crate::{
    engine::{schedule::Schedule, scopes::run_scope},
    executor::RunInfo,
    expr::Scope,
    plan::SecretSource,
    secrets::Secrets,
    value::Value,
};
use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

/// How long a program may take to print a secret: somebody may have to unlock a store.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an environment may read: the environment variables, its secrets, and what its setup binds later.
pub async fn environment_scope(run: &RunInfo, secrets: &Arc<Secrets>, schedule: &Schedule) -> Result<Scope, Failure> {
    let mut variables = crate::value::Map::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        if let Some(secret) = secret_in(name, value) {
            secrets.add(&format!("env.{name}"), &secret);
        }
        variables.insert(name.to_string(), Value::text(value));
    }
    let mut scope = run_scope(run, secrets).with("env", Value::from(variables));
    for (name, source) in &schedule.secrets {
        let value = secret(source, &scope, &run.dir).await.map_err(|why| Failure {
            message: format!("error: the secret `{name}` of the environment cannot be read: {why}"),
            code: exit::USAGE,
        })?;
        if value.is_empty() {
            return Err(Failure::usage(format!("error: the secret `{name}` of the environment is empty")));
        }
        secrets.add(name, &value);
        scope = scope.with(name, Value::text(value));
    }
    Ok(scope)
}

async fn secret(source: &SecretSource, scope: &Scope, dir: &Path) -> Result<String, String> {
    match source {
        SecretSource::Text(tree) => {
            let value = tree.render(scope).map_err(|e| format!("{e}\nhelp: is the environment variable set?"))?;
            Ok(value.to_string())
        }
        SecretSource::File(path) => {
            let path = dir.join(path.render_text(scope).map_err(|e| e.to_string())?);
            let text = std::fs::read_to_string(&path).map_err(|e| format!("`{}`: {e}", path.display()))?;
            Ok(without_break(text))
        }
        SecretSource::Command(words) => {
            let words = words.iter().map(|w| w.render_text(scope)).collect::<Result<Vec<_>, _>>();
            let words = words.map_err(|e| e.to_string())?;
            printed(&words, dir).await
        }
    }
}

/// What a program prints. It may ask on the terminal, so its input and errors are ours.
async fn printed(words: &[String], dir: &Path) -> Result<String, String> {
    let [program, arguments @ ..] = words else { return Err("there is no program to ask".into()) };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(dir).kill_on_drop(true);
    command.stdin(Stdio::inherit()).stderr(Stdio::inherit()).stdout(Stdio::piped());
    let asked = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = asked
        .map_err(|_| format!("`{program}` printed nothing within {PATIENCE:?}"))?
        .map_err(|e| format!("`{program}` cannot be started: {e}"))?;
    if !output.status.success() {
        return Err(format!("`{program}` ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map(without_break).map_err(|_| format!("`{program}` printed no text"))
}

/// Editors and programs end a text with a line break that is no part of it.
fn without_break(text: String) -> String {
    let end = text.trim_end_matches(['\r', '\n']).len();
    text[..end].to_string()
}

/// What of an environment variable must not be seen: the password of a URL, or all of one that is named like a secret. Short
/// values are let through: `true` blotted out everywhere would hide more than it guards.
fn secret_in(name: &str, value: &str) -> Option<String> {
    if let Ok(url) = reqwest::Url::parse(value)
        && let Some(password) = url.password()
    {
        return Some(password.to_string());
    }
    let upper = name.to_uppercase();
    let named = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY", "API_KEY", "PRIVATE_KEY"];
    (value.len() >= 8 && named.iter().any(|n| upper.contains(n))).then(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_environment_are_known_by_name_or_place() {
        assert_eq!(secret_in("DATABASE_URL", "postgres://u:s3cret@h/db").as_deref(), Some("s3cret"));
        assert_eq!(secret_in("STREAMSPACE_PASSWORD", "correct horse").as_deref(), Some("correct horse"));
        assert_eq!(secret_in("USE_TOKEN", "true"), None);
        assert_eq!(secret_in("HOST", "https://streamspace.example"), None);
    }

    #[tokio::test]
    async fn a_program_prints_a_secret_or_says_why_not() {
        let words = |text: &str| text.split('|').map(str::to_string).collect::<Vec<_>>();
        let here = Path::new(".");
        assert_eq!(printed(&words("printf|two words\n"), here).await.as_deref(), Ok("two words"));
        assert!(printed(&words("sh|-c|exit 3"), here).await.unwrap_err().contains("`sh` ended with exit status: 3"));
        assert!(printed(&words("no-such-program"), here).await.unwrap_err().contains("cannot be started"));
        assert!(printed(&words("printf|\\377"), here).await.unwrap_err().contains("no text"));
    }
}
