//! The names available to an environment: process environment variables and its secrets. Every
//! secret is registered for masking before it can be printed.
use super::failure::Failure;
use crate::{
    engine::{schedule::Schedule, scopes::run_scope},
    executor::RunInfo,
    expr::{EvalError, Scope},
    plan::SecretSource,
    secrets::Secrets,
    value::Value,
};
use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

/// Time for a program to print a secret: a user may have to unlock a store.
const SECRET_COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Builds the scope of an environment: process environment variables under `env`, and each secret under its
/// name. Fails if a secret cannot be read or is empty.
pub async fn environment_scope(run: &RunInfo, secrets: &Arc<Secrets>, schedule: &Schedule) -> Result<Scope, Failure> {
    let mut variables = crate::value::Map::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        if let Some(secret) = secret_of_variable(name, value) {
            secrets.add(&format!("env.{name}"), &secret);
        }
        variables.insert(name.to_string(), Value::text(value));
    }
    let mut scope = run_scope(run, secrets).with("env", Value::from(variables));
    for (name, source) in &schedule.secrets {
        let value = read_secret(source, &scope, &run.dir)
            .await
            .map_err(|e| Failure::usage(format!("error: cannot read the secret `{name}` of the environment: {e}")))?;
        if value.is_empty() {
            return Err(Failure::usage(format!("error: the secret `{name}` of the environment is empty")));
        }
        secrets.add(name, &value);
        scope = scope.with(name, Value::text(value));
    }
    Ok(scope)
}

#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("{0}\nhelp: is the environment variable set?")]
    Value(EvalError),
    #[error("{0}")]
    Argument(EvalError),
    #[error("`{path}`: {source}")]
    File { path: String, source: std::io::Error },
    #[error("expected a program and its arguments, found an empty list")]
    NoProgram,
    #[error("`{program}` did not finish within {SECRET_COMMAND_TIMEOUT:?}")]
    TimedOut { program: String },
    #[error("cannot start `{program}`: {source}")]
    NotStarted { program: String, source: std::io::Error },
    #[error("`{program}` ended with {status}")]
    Failed { program: String, status: ExitStatus },
    #[error("the output of `{program}` is not UTF-8")]
    NotUtf8 { program: String },
}

async fn read_secret(source: &SecretSource, scope: &Scope, dir: &Path) -> Result<String, SecretError> {
    match source {
        SecretSource::Text(tree) => Ok(tree.render(scope).map_err(SecretError::Value)?.to_string()),
        SecretSource::File(path) => {
            let path = dir.join(path.render_text(scope).map_err(SecretError::Argument)?);
            let text = std::fs::read_to_string(&path)
                .map_err(|source| SecretError::File { path: path.display().to_string(), source })?;
            Ok(trim_line_breaks(text))
        }
        SecretSource::Command(words) => {
            let words = words.iter().map(|w| w.render_text(scope)).collect::<Result<Vec<_>, _>>();
            command_output(&words.map_err(SecretError::Argument)?, dir).await
        }
    }
}

/// The stdout of a program. It inherits stdin and stderr, so that it can ask for a password.
async fn command_output(words: &[String], dir: &Path) -> Result<String, SecretError> {
    let [program, arguments @ ..] = words else { return Err(SecretError::NoProgram) };
    let program = program.clone();
    let mut command = tokio::process::Command::new(&program);
    command.args(arguments).current_dir(dir).kill_on_drop(true);
    command.stdin(Stdio::inherit()).stderr(Stdio::inherit()).stdout(Stdio::piped());
    let output = match tokio::time::timeout(SECRET_COMMAND_TIMEOUT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(source)) => return Err(SecretError::NotStarted { program, source }),
        Err(_) => return Err(SecretError::TimedOut { program }),
    };
    if !output.status.success() {
        return Err(SecretError::Failed { program, status: output.status });
    }
    String::from_utf8(output.stdout).map(trim_line_breaks).map_err(|_| SecretError::NotUtf8 { program })
}

/// Removes the line breaks that editors and programs append.
fn trim_line_breaks(text: String) -> String {
    let end = text.trim_end_matches(['\r', '\n']).len();
    text[..end].to_string()
}

/// The secret in an environment variable: the password of a URL, or the whole value if its name
/// suggests a secret. Values below 8 bytes are ignored: masking a word like `true` everywhere hides
/// too much.
fn secret_of_variable(name: &str, value: &str) -> Option<String> {
    if let Ok(url) = reqwest::Url::parse(value)
        && let Some(password) = url.password()
    {
        return Some(password.to_string());
    }
    let upper = name.to_uppercase();
    let markers = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY", "API_KEY", "PRIVATE_KEY"];
    (value.len() >= 8 && markers.iter().any(|m| upper.contains(m))).then(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_secrets_by_variable_name_and_in_urls() {
        assert_eq!(secret_of_variable("DATABASE_URL", "postgres://u:s3cret@h/db").as_deref(), Some("s3cret"));
        assert_eq!(secret_of_variable("STREAMSPACE_PASSWORD", "correct horse").as_deref(), Some("correct horse"));
        assert_eq!(secret_of_variable("USE_TOKEN", "true"), None);
        assert_eq!(secret_of_variable("HOST", "https://streamspace.example"), None);
    }

    #[tokio::test]
    async fn command_output_is_the_secret_or_an_error() {
        let words = |text: &str| text.split('|').map(str::to_string).collect::<Vec<_>>();
        let here = Path::new(".");
        assert_eq!(command_output(&words("printf|two words\n"), here).await.unwrap(), "two words");
        for (command, error) in [
            ("sh|-c|exit 3", "`sh` ended with exit status: 3"),
            ("no-such-program", "cannot start `no-such-program`: "),
            ("printf|\\377", "the output of `printf` is not UTF-8"),
        ] {
            let message = command_output(&words(command), here).await.unwrap_err().to_string();
            assert!(message.starts_with(error), "{message}");
        }
    }
}
