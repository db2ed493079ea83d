//! Could this plan fail? What answers that, apart from who assertions: its evidence, changed piece by piece and judged again, and runs of it
//! against a platform with defects. Sits on the engine; prints nothing and reads no file.
pub mod document;
pub mod evidence;
pub mod guards;
mod hunt;
mod leaf;
pub mod matrix;
mod mutant;
pub mod page;

#[cfg(test)]
mod tests;
