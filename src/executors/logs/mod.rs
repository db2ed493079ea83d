//! The verb `logs`: reads the product's log lines from a file, a program or pods.
//!
//! | File | Owns |
//! |---|---|
//! | `action` | the action: parses its body, reads the lines |
//! | `target` | the target's entry in an environment; implements `Target` |
//! | `log` | the open target: reading, waiting for changes, the command that reproduces it |
//! | `file`, `command`, `pods` | the three sources |
//! | `text` | bytes to lines |
//! | `times` | the time of a line |
//! | `lines` | the choice of lines by time and number |
//! | `types` | the data they share |
mod action;
mod command;
mod file;
mod lines;
mod log;
mod pods;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod times;
mod types;

use crate::{
    executor::{Action, Body, Executor, TargetSpec},
    language::Key,
    value::ValueKind,
};

pub struct Logs;

impl Executor for Logs {
    fn verb(&self) -> &'static str {
        "logs"
    }

    fn fields(&self) -> &'static [&'static str] {
        action::FIELDS
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/logs.md")
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[action::KEYS]
    }

    fn target_keys(&self) -> &'static [&'static [Key]] {
        &[target::KEYS]
    }

    fn kind_of(&self, field: &str) -> Option<ValueKind> {
        Some(match field {
            "lines" => ValueKind::List,
            _ => return None,
        })
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(action::LogsAction::compile(body)?))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(target::LogSpec::compile(body)?))
    }
}
