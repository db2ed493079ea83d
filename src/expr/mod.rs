//! Expressions (CEL), templates (`${ }` in YAML), pictures (`expect`) and how a value is judged against them. Pure: no clock, no
//! network, no file.
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
    cel::{EvalError, Expression, Reference},
    matching::AssertionResult,
    pattern::Pattern,
    referenced::ReferencedLiterals,
    scope::Scope,
    template::{Part, Template, Tree},
};
