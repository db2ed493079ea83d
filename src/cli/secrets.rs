//! The names that an environment may read: environment variables, and its secrets from wherever they come. Whatever is secret is
//! known as such before anybody can say it.
use super::Failure;
use crate::{
    engine::{run::run_scope, schedule::Schedule},
    executor::RunContext,
    expr::Scope,
    secrets::Secrets,
    value::Value,
};
use std::sync::Arc;

/// What an environment may read: the environment variables, its secrets, and what its setup binds later.
pub fn environment_scope(run: &RunContext, secrets: &Arc<Secrets>, schedule: &Schedule) -> Result<Scope, Failure> {
    let mut variables = crate::value::Map::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        if let Some(secret) = secret_in(name, value) {
            secrets.add(&format!("env.{name}"), &secret);
        }
        variables.insert(name.to_string(), Value::text(value));
    }
    let mut scope = run_scope(run, secrets).with("env", Value::from(variables));
    for (name, tree) in &schedule.secrets {
        let value = tree.render(&scope).map_err(|e| {
            Failure::usage(format!("error: the secret `{name}` of the environment cannot be read: {e}\nhelp: is the environment variable set?"))
        })?;
        secrets.add(name, &value.to_string());
        scope = scope.with(name, value);
    }
    Ok(scope)
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
    use super::secret_in;

    #[test]
    fn secrets_of_the_environment_are_known_by_name_or_place() {
        assert_eq!(secret_in("DATABASE_URL", "postgres://u:s3cret@h/db").as_deref(), Some("s3cret"));
        assert_eq!(secret_in("STREAMSPACE_PASSWORD", "correct horse").as_deref(), Some("correct horse"));
        assert_eq!(secret_in("USE_TOKEN", "true"), None);
        assert_eq!(secret_in("HOST", "https://streamspace.example"), None);
    }
}
