//! Fuzzing of everything that reads input from outside: no panic, no input that takes long, bounded memory. Inputs are changed copies of
//! the files that the project ships, and of journals recorded here; those that reach new code stay in the pool.
//!
//! `TP_TEST_FUZZ_SECONDS` is the time of each target, one second by default. `tests/long/fuzz` runs each target in a process of its own.
mod corpus;
mod driver;
mod expression;
mod gentle;
mod journal;
mod kubeconfig;
mod mutants;
mod mutate;
mod patterns;
mod plans;
mod spans;
mod text;

use driver::Target;

#[test]
fn plan() {
    Target::new("plan", corpus::plans()).run(mutate::yaml, plans::plan);
}

#[test]
fn environment() {
    Target::new("environment", corpus::environments()).run(mutate::yaml, plans::environment);
}

#[test]
fn markdown() {
    Target::new("markdown", corpus::markdown()).run(mutate::lines, plans::markdown);
}

#[test]
fn cel() {
    Target::new("cel", corpus::expressions()).run(mutate::tokens, expression::cel);
}

#[test]
fn placeholders() {
    Target::new("placeholders", corpus::placeholders()).run(mutate::tokens, expression::placeholders);
}

#[test]
fn pattern() {
    Target::new("pattern", corpus::patterns()).run(mutate::yaml, patterns::pattern);
}

#[test]
fn schema() {
    Target::new("schema", corpus::schemas()).run(mutate::yaml, patterns::schema);
}

#[test]
fn spans() {
    Target::new("spans", corpus::yaml()).run(mutate::yaml, spans::spans);
}

#[test]
fn kubeconfigs() {
    Target::new("kubeconfigs", corpus::kubeconfigs()).run(mutate::yaml, kubeconfig::kubeconfig);
}

#[test]
fn journals() {
    Target::new("journals", journal::recorded()).run(journal::changed, journal::journal);
}

#[test]
fn mutants_through_the_binary() {
    mutants::run();
}
