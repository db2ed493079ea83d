//! The arguments of commands that explain: `explain`, `schema`, `completions` and `man`.
use super::completions;
use clap::{Args, ValueEnum};
use clap_complete::{ArgValueCompleter, Shell};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "\
Examples:
  tp-runner explain eventually
  tp-runner explain http.request
  tp-runner explain unknown-key
  tp-runner explain --search redirect")]
pub struct Explain {
    /// The word, alone or with its place: `timeout`, `http.request` [default: list all words]
    #[arg(add = ArgValueCompleter::new(completions::words))]
    pub word: Option<String>,
    /// List the words whose explanation has this text
    #[arg(long, value_name = "TEXT", conflicts_with = "word")]
    pub search: Option<String>,
}

/// What a schema describes.
#[derive(Clone, Copy, ValueEnum)]
pub enum SchemaOf {
    /// Plans
    Plan,
    /// Environment files: tp-runner.yaml
    Environment,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  tp-runner schema plan > plan.schema.json
  tp-runner schema environment > environment.schema.json

An editor uses a schema that the first line of a file names:
  # yaml-language-server: $schema=plan.schema.json")]
pub struct Schema {
    /// The kind of file
    #[arg(value_name = "FILE", default_value = "plan")]
    pub of: SchemaOf,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  source <(tp-runner completions bash)                                  in ~/.bashrc
  source <(tp-runner completions zsh)                                   in ~/.zshrc
  tp-runner completions fish > ~/.config/fish/completions/tp-runner.fish")]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  tp-runner man | man -l -
  tp-runner man ~/.local/share/man/man1")]
pub struct Man {
    /// Write the pages of all commands into this folder [default: the page of tp-runner to stdout]
    pub folder: Option<PathBuf>,
}
