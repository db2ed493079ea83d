//! Expressions (CEL), templates (`${…}` in YAML), patterns (`expect`) and their evaluation. No network and no files.
pub mod assertion;
mod assignment;
pub mod cel;
#[cfg(test)]
mod completeness;
mod elements;
mod history;
pub mod interrupt;
pub mod matching;
pub mod pattern;
pub mod referenced;
pub mod regex;
mod sample;
pub mod schema;
pub mod scope;
pub mod template;

/// Stack of the threads that evaluate expressions, which is recursive.
pub const STACK_BYTES: usize = 64 << 20;

pub use self::{
    assertion::AssertionResult,
    cel::{Comparison, EvalError, Expression, Reference},
    interrupt::Interrupt,
    pattern::Pattern,
    referenced::ReferencedLiterals,
    scope::Scope,
    template::{Part, Template, Tree},
};
