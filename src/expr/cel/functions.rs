//! The CEL environment: the standard library, its extensions, and the functions this project adds.
use super::{
    adapter::{chrono_time, from_argument, to_cel},
    error::EvalError,
};
use crate::{
    expr::{history::anomalies, scope::Scope},
    value::Value,
};
use cel::{Context, Env, ExecutionError};
use std::sync::{Arc, LazyLock};

pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for extension in [
        env.add_extension(cel::extensions::strings),
        env.add_extension(cel::extensions::lists),
        env.add_extension(cel::extensions::math),
    ] {
        extension.expect("the extensions do not clash");
    }
    Arc::new(env)
});

/// Adds the function `name` of this project. `secret_name` is what `secret(…)` calls its argument in masks.
pub(super) fn add(
    context: &mut Context<'_, '_>,
    name: &str,
    scope: &Scope,
    secret_name: &str,
) -> Result<(), EvalError> {
    let secrets = scope.secrets().clone();
    let added = match name {
        "secret" => {
            let secret_name = secret_name.to_string();
            context.add_function("secret", move |v: cel::Value| {
                if let cel::Value::String(s) = &v {
                    secrets.add(&secret_name, s);
                }
                v
            })
        }
        "secrets_in" => context.add_function("secrets_in", move |v: cel::Value| {
            let text = from_argument(v).map(|v| v.to_string()).unwrap_or_default();
            list(secrets.names_in(&text))
        }),
        "json" => context.add_function("json", |text: Arc<String>| -> Result<cel::Value, ExecutionError> {
            let json = serde_json::from_str::<serde_json::Value>(&text);
            let json = json.map_err(|e| ExecutionError::function_error("json", e))?;
            (&*to_cel(&Value::from(json))).try_into()
        }),
        "anomalies" => context.add_function("anomalies", |v: cel::Value| -> Result<cel::Value, ExecutionError> {
            let operations = from_argument(v).map_err(|e| ExecutionError::function_error("anomalies", e))?;
            anomalies(&operations).map(list).map_err(|e| ExecutionError::function_error("anomalies", e))
        }),
        _ => {
            let scope = scope.clone();
            context.add_function("now", move || cel::Value::Timestamp(chrono_time(scope.now())))
        }
    };
    added.map_err(|e| EvalError::Other(e.to_string()))
}

fn list(texts: Vec<String>) -> cel::Value {
    cel::Value::List(Arc::new(texts.into_iter().map(|t| cel::Value::String(Arc::new(t))).collect()))
}
