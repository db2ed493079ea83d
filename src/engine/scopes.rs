//! The names that are bound before a case begins.
use crate::{
    executor::RunInfo,
    expr::{EvalError, Scope, Tree},
    secrets::Secrets,
    value::Value,
};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
#[error("the variable `{name}` cannot be evaluated: {source}")]
pub struct VariableError {
    pub name: String,
    pub source: EvalError,
}

/// Binds `run`.
pub fn run_scope(run: &RunInfo, secrets: &Arc<Secrets>) -> Scope {
    let own = Value::map([("id".to_string(), Value::text(&run.id)), ("started".to_string(), Value::Time(run.started))]);
    Scope::new(secrets.clone()).with("run", own)
}

/// Binds `run` and the plan's variables. A variable that the environment sets may read names of the `environment`; a plan may not.
pub fn base_scope(
    run: &RunInfo,
    secrets: &Arc<Secrets>,
    vars: &[(String, Tree)],
    environment: &Scope,
) -> Result<Scope, VariableError> {
    let (mut scope, mut inner) = (run_scope(run, secrets), environment.clone());
    for (name, tree) in vars {
        let value = tree.render(&inner).map_err(|source| VariableError { name: name.clone(), source })?;
        if let Some(text) = value.as_str().filter(|_| is_ordinary_name(name)) {
            secrets.add_ordinary(text);
        }
        value.map_text(name, &|field, text| {
            secrets.add_field(field, text);
            None
        });
        scope = scope.with(name, value.clone());
        inner = inner.with(name, value);
    }
    Ok(scope)
}

/// Binds `case` over `base`.
pub fn case_scope(base: &Scope, id: &str) -> Scope {
    base.with("case", Value::map([("id".to_string(), id.into())]))
}

/// Whether a variable of this name holds an ordinary word, even if a password is the same word.
pub fn is_ordinary_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["user", "username", "namespace", "database", "db", "host", "hostname"].iter().any(|end| name.ends_with(end))
}
