//! Expressions (CEL), templates (`${ }` in YAML), pictures (`expect`) and how a value is judged against them. Pure: no clock, no
//! network, no file.
pub mod cel;
mod history;
pub mod judge;
pub mod picture;
mod sample;
pub mod schema;
pub mod scope;
pub mod spoken;
pub mod template;

pub use self::{
    cel::{EvalError, Expression, Reference},
    judge::AssertionResult,
    picture::Pattern,
    scope::Scope,
    spoken::Spoken,
    template::{Part, Template, Tree},
};
