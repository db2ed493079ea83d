//! The names available to an environment: process environment variables and its secrets. Every
//! secret is registered for masking before it can be printed.
use super::failure::Failure;
use crate::{
    engine::{
        schedule::Schedule,
        scopes::{is_ordinary_name, run_scope},
    },
    executor::RunInfo,
    executors::{
        child_environment::{withhold, without_secrets},
        process_group::ProcessGroup,
    },
    expr::{Reference, Scope, cel::Access},
    plan::SecretSource,
    secrets::Secrets,
    value::Value,
};
use std::{
    io::{self, IsTerminal},
    path::Path,
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::io::AsyncReadExt;

/// Time for a program to print a secret: a user may have to unlock a store.
/// How much a program may print.
const MAX_SECRET_BYTES: u64 = 1 << 20;
const SECRET_COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Builds the scope of an environment: process environment variables under `env`, and each secret under its
/// name. Fails if a secret cannot be read or is empty.
pub async fn environment_scope(run: &RunInfo, secrets: &Arc<Secrets>, schedule: &Schedule) -> Result<Scope, Failure> {
    schedule.ordinary.iter().for_each(|text| secrets.add_ordinary(text));
    withhold(declared_variables(schedule));
    secrets.set_fields(schedule.masked_fields.clone());
    let mut scope = run_scope(run, secrets).with("env", process_environment(secrets));
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

/// The environment variables that `secrets` reads.
fn declared_variables(schedule: &Schedule) -> Vec<String> {
    let sources = schedule.secrets.iter().map(|(_, source)| source);
    let texts = sources.filter_map(|source| if let SecretSource::Text(tree) = source { Some(tree) } else { None });
    let variable = |reference: Reference| match (&*reference.root, reference.path.first()) {
        ("env", Some(Access::Field(name, _))) => Some(name.clone()),
        _ => None,
    };
    texts.flat_map(|tree| tree.references()).filter_map(variable).collect()
}

/// The environment variables of this process. Their secrets are added.
pub fn process_environment(secrets: &Secrets) -> Value {
    let mut variables = crate::value::Map::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        if let Some(secret) = secret_of_variable(name, value) {
            secrets.add(&format!("env.{name}"), &secret);
        } else if is_ordinary_name(name) {
            secrets.add_ordinary(value);
        }
        variables.insert(name.to_string(), Value::text(value));
    }
    Value::from(variables)
}

async fn read_secret(source: &SecretSource, scope: &Scope, dir: &Path) -> Result<String, String> {
    match source {
        SecretSource::Text(tree) => match tree.render(scope) {
            Ok(value) => Ok(value.to_string()),
            Err(e) => Err(format!("{e}\nhelp: is the environment variable set?")),
        },
        SecretSource::File(path) => {
            let path = dir.join(path.render_text(scope).map_err(|e| e.to_string())?);
            let text = crate::file::read_text(&path).map_err(|e| format!("`{}`: {e}", path.display()))?;
            Ok(trim_line_breaks(text))
        }
        SecretSource::Command(words) => {
            let words = words.iter().map(|w| w.render_text(scope)).collect::<Result<Vec<_>, _>>();
            command_output(&words.map_err(|e| e.to_string())?, dir).await
        }
    }
}

/// The stdout of a program. It inherits stdin and stderr, so that it can ask for a password.
async fn command_output(words: &[String], dir: &Path) -> Result<String, String> {
    let [program, arguments @ ..] = words else {
        return Err("expected a program and its arguments, found an empty list".into());
    };
    let failed = |e: io::Error| format!("cannot start `{program}`: {e}");
    let work = async {
        // only a program in the runner's own group may read from the terminal
        let in_foreground = io::stdin().is_terminal();
        let mut command = match in_foreground {
            true => without_secrets(program),
            false => ProcessGroup::command(program, arguments, dir)?,
        };
        command.stdin(Stdio::inherit()).stderr(Stdio::inherit()).stdout(Stdio::piped());
        if in_foreground {
            let output = command.args(arguments).current_dir(dir).kill_on_drop(true).output().await?;
            return Ok((output.status, output.stdout));
        }
        let (mut group, mut stdout) = (ProcessGroup::spawn(&mut command)?, vec![]);
        if let Some(pipe) = group.leader.stdout.take() {
            pipe.take(MAX_SECRET_BYTES + 1).read_to_end(&mut stdout).await?;
            if stdout.len() as u64 > MAX_SECRET_BYTES {
                return Err(io::Error::other("it printed more than 1 MiB"));
            }
        }
        Ok((group.leader.wait().await?, stdout))
    };
    let (status, stdout) = match tokio::time::timeout(SECRET_COMMAND_TIMEOUT, work).await {
        Ok(ended) => ended.map_err(failed)?,
        Err(_) => return Err(format!("`{program}` did not finish within {SECRET_COMMAND_TIMEOUT:?}")),
    };
    if !status.success() {
        return Err(format!("`{program}` ended with {status}"));
    }
    let text = String::from_utf8(stdout).map_err(|_| format!("the output of `{program}` is not UTF-8"))?;
    Ok(trim_line_breaks(text))
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
            let message = command_output(&words(command), here).await.unwrap_err();
            assert!(message.starts_with(error), "{message}");
        }
    }
}
