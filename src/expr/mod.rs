//! Expressions (CEL), templates (`${…}` in YAML), patterns (`expect`) and their evaluation. No network and no files.
pub mod assertion;
mod assignment;
pub mod cel;
mod history;
pub mod matching;
pub mod pattern;
pub mod referenced;
mod sample;
pub mod schema;
pub mod scope;
pub mod template;

pub use self::{
    assertion::AssertionResult,
    cel::{EvalError, Expression, Reference},
    pattern::Pattern,
    referenced::ReferencedLiterals,
    scope::Scope,
    template::{Part, Template, Tree},
};
