//! The CEL environment: the standard library, its extensions, and the functions this project adds.
use super::{
    adapter::{chrono_time, from_argument, to_cel},
    decimal,
    error::EvalError,
    incomplete::add_searches,
    metered_functions,
};
use crate::{
    expr::{history::anomalies, scope::Scope},
    value::json,
};
use cel::{
    Context, Env, ExecutionError,
    common::{
        types::{CelString, STRING_TYPE},
        value::CowVal,
    },
};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for extension in [
        env.add_extension(cel::extensions::strings),
        env.add_extension(cel::extensions::lists),
        env.add_extension(cel::extensions::math),
    ] {
        extension.expect("the extensions do not clash");
    }
    decimal::add_conversion(&mut env);
    add_searches(&mut env);
    metered_functions::add(&mut env);
    let json = env.add_overload("json", "json_string", vec![STRING_TYPE], read_json);
    json.expect("the name is new");
    Arc::new(env)
});

/// Functions that are true of every text if their last argument is empty.
pub(super) const SEARCHES: [&str; 4] = ["contains", "startsWith", "endsWith", "matches"];

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
        "raw" => context.add_function("raw", |v: cel::Value| v),
        "secrets_in" => context.add_function("secrets_in", move |v: cel::Value| {
            let names = RefCell::new(BTreeSet::new());
            let value = from_argument(v).unwrap_or_default();
            value.map_text("", &|field, text| {
                names.borrow_mut().extend(secrets.names_in_field(field, text));
                None
            });
            list(names.into_inner().into_iter().collect())
        }),
        // in the environment, since its result may be a number that the library lacks
        "json" => return Ok(()),
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

fn read_json<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = args.first().and_then(|text| text.downcast_ref::<CelString>());
    let text = text.ok_or_else(|| ExecutionError::function_error("json", "expected a string"))?;
    let value = json::read(text.inner()).map_err(|e| ExecutionError::function_error("json", e))?;
    Ok(CowVal::Owned(to_cel(&value)))
}

fn list(texts: Vec<String>) -> cel::Value {
    cel::Value::List(Arc::new(texts.into_iter().map(|t| cel::Value::String(Arc::new(t))).collect()))
}
