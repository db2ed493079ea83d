//! YAML: a tree with positions, its parser, and checks of kinds and keys.
mod expect;
mod node;
mod number;
mod parse;
#[cfg(test)]
mod tests;

pub use self::{
    expect::{check_keys, duplicate_key, missing_key, wrong_type},
    node::{Kind, Node},
    number::check_numbers,
    parse::parse,
};
