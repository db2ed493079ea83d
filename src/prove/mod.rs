//! Mutation testing of plans: mutated evidence of a recorded run, and the kill matrix of a platform with defects.
//! Prints nothing and reads no file.
mod assertions;
pub mod baseline;
mod disturbance;
pub mod document;
pub mod evidence;
pub mod matrix;
mod mutation;
mod mutation_results;
pub mod mutation_run;
mod mutator;
pub mod page;
mod path;
pub mod proof;
mod reaction;

#[cfg(test)]
mod tests;
