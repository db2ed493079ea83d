//! YAML: a tree with positions, its parser, and checks of kinds and keys.
mod expect;
mod node;
mod parse;
#[cfg(test)]
mod tests;

pub use self::{
    expect::{check_keys, duplicate_key, missing_key, wrong_type},
    node::{Kind, Node},
    parse::parse,
};
