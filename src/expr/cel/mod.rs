//! CEL expressions: compiled with the names and functions they use, evaluated against a scope, and explained operand by
//! operand when a check fails. Only this folder imports the CEL library.
mod adapter;
mod analysis;
mod ast;
mod budget;
#[cfg(test)]
mod budget_tests;
mod decimal;
mod display;
mod error;
mod explain;
mod expression;
mod functions;
mod incomplete;
mod literals;
mod metered_functions;
mod metering;
mod referenced;
mod resolver;
#[cfg(test)]
mod tests;
mod vacuous;

pub use self::{
    analysis::{Access, Comparison, Reference},
    display::{cut, difference, show},
    error::EvalError,
    expression::Expression,
};
