//! What the parts of `prove` share.
use super::{args, signals::Interrupts};
use crate::executor::Registry;

pub struct Prover<'a> {
    pub args: &'a args::Prove,
    pub output: args::OutputArgs,
    pub registry: &'a Registry,
    pub interrupts: &'a Interrupts,
}
