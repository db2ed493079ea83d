//! `schema`: the JSON Schema of plans or environment files, for editors.
use super::{args, exit, failure::Failure, print};
use crate::{executors, reference::schema};

pub fn command(args: args::Schema) -> Result<u8, Failure> {
    print::out(format_args!("{}", text(args.of)));
    Ok(exit::SUCCESS)
}

/// The schema, as it is published.
pub fn text(of: args::SchemaOf) -> String {
    let registry = executors::registry();
    let schema = match of {
        args::SchemaOf::Plan => schema::plan(&registry),
        args::SchemaOf::Environment => schema::environment(&registry),
    };
    format!("{schema:#}\n")
}
